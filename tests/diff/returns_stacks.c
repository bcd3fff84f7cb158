/* SPDX-License-Identifier: MIT */
/* returns_stacks.c - frames that are pending while something else goes on: on
 * another stack, in another thread or process; see returns.h.
 */
#define _GNU_SOURCE
#include "returns.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	STACK = 1 << 16
};

/* --- signals ------------------------------------------------------------- */

PROBED int signal_h(int x)
{
	HIDE(x);
	return x + 400;
}
PROBED void signal_handler(int sig)
{
	int r = signal_h(sig == SIGUSR1);

	HIDE(r);
}
PROBED int signal_f(int x)
{
	int r = raise(SIGUSR1);

	HIDE(r);
	return r + x;
}
static void with_handler(void *stack, const char *what)
{
	struct sigaction sa = { .sa_handler = signal_handler };
	stack_t ss = { .ss_sp = stack, .ss_size = STACK };

	sa.sa_flags = stack ? SA_ONSTACK : 0;
	if (!stack)
		ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	say(what, signal_f(5) + signal_f(6));
}
void run_signal_same(void)
{
	with_handler(NULL, "signal_same");
}
static char below[STACK] __attribute__((aligned(64)));
void run_signal_below(void)
{
	with_handler(below, "signal_below");
}

/* The handler's stack is above the one that it interrupts. */
static char low[STACK] __attribute__((aligned(64)));
static ucontext_t high_main, low_context;
static void *high_stack;
static void on_low(void)
{
	with_handler(high_stack, "signal_above");
}
void run_signal_above(void)
{
	char high[STACK];

	high_stack = high;
	getcontext(&low_context);
	low_context.uc_stack.ss_sp = low;
	low_context.uc_stack.ss_size = sizeof(low);
	low_context.uc_link = &high_main;
	makecontext(&low_context, on_low, 0);
	swapcontext(&high_main, &low_context);
	high_stack = NULL;
	HIDE(high_stack);
}

static sigjmp_buf leap_back;
PROBED void leap_handler(int sig)
{
	siglongjmp(leap_back, sig);
}
PROBED int leap_f(int x)
{
	int r = raise(SIGUSR2);

	HIDE(r);
	return r + x;
}
void run_leap(void)
{
	int sig;

	signal(SIGUSR2, leap_handler);
	sig = sigsetjmp(leap_back, 1);
	if (!sig)
		leap_f(1);
	say("leap", sig);
}

/* --- other stacks -------------------------------------------------------- */

static ucontext_t context_main, context_co;
static int context_steps;
PROBED int context_g(int x)
{
	HIDE(x);
	return x * 200;
}
PROBED void context_whole(void)
{
	context_steps += context_g(5);
}
void run_context(void)
{
	getcontext(&context_co);
	context_co.uc_stack.ss_sp = low;
	context_co.uc_stack.ss_size = sizeof(low);
	context_co.uc_link = &context_main;
	makecontext(&context_co, context_whole, 0);
	swapcontext(&context_main, &context_co);
	say("context", context_steps + context_g(1));
}

/* Leaves a frame that it comes back to later. */
PROBED int swap_in(int x)
{
	HIDE(x);
	swapcontext(&context_co, &context_main);
	return x + 1;
}
PROBED int swap_out(int x)
{
	HIDE(x);
	swapcontext(&context_main, &context_co);
	return x + 10;
}
static void co_swap(void)
{
	say("swap_in", swap_in(1) + swap_in(2));
}
void run_swap(void)
{
	getcontext(&context_co);
	context_co.uc_stack.ss_sp = low;
	context_co.uc_stack.ss_size = sizeof(low);
	context_co.uc_link = &context_main;
	makecontext(&context_co, co_swap, 0);
	say("swap_out", swap_out(1) + swap_out(2) + swap_out(3));
}

/* The same, switched by hand. */
static void *hand_main, *hand_co;
PROBED long hand_in(long x)
{
	HIDE(x);
	switch_to(&hand_co, hand_main);
	return x + 1;
}
PROBED long hand_out(long x)
{
	HIDE(x);
	switch_to(&hand_main, hand_co);
	return x + 10;
}
static void co_hand(void)
{
	say("hand_in", hand_in(1) + hand_in(2));
	switch_to(&hand_co, hand_main);
	abort();
}
void run_hand(void)
{
	void **sp = (void **)(low + sizeof(low));

	*--sp = NULL; /* aligns */
	*--sp = (void *)co_hand;
	sp -= 6;
	memset(sp, 0, 6 * sizeof(*sp));
	hand_co = sp;
	say("hand_out", hand_out(1) + hand_out(2) + hand_out(3));
}

/* --- processes and threads ----------------------------------------------- */

PROBED int fork_f(int x)
{
	pid_t pid = fork();

	HIDE(x);
	if (pid)
		x += status_of(pid);
	return pid ? x : -x;
}
PROBED int fork_g(int x)
{
	int r = fork_f(x);

	HIDE(r);
	return r + 1;
}
void run_fork(void)
{
	int r = fork_g(5);

	if (r < 0)
		_exit(20 - r);
	say("fork", r);
}

PROBED int vfork_h(int x)
{
	HIDE(x);
	return x * 300 % 256;
}
PROBED int vfork_f(int x)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(vfork_h(x));
	return status_of(pid);
}
void run_vfork(void)
{
	say("vfork", vfork_f(5) + vfork_h(1));
}

PROBED long clone_g(long x)
{
	HIDE(x);
	return x * 5;
}
PROBED int clone_thread(void *x)
{
	return (int)clone_g(*(long *)x);
}
PROBED int clone_f(long x)
{
	int pid =
		clone(clone_thread, low + sizeof(low), CLONE_VM | SIGCHLD, &x);

	return status_of(pid);
}
void run_clone(void)
{
	say("clone", clone_f(7) + clone_g(1));
}

PROBED void *thread_start(void *x)
{
	return (void *)(clone_g((long)x) + 1);
}
PROBED long thread_f(long x)
{
	pthread_t id;
	void *r;

	pthread_create(&id, NULL, thread_start, (void *)x);
	pthread_join(id, &r);
	return (long)r;
}
void run_thread(void)
{
	say("thread", thread_f(6) + clone_g(2));
}

enum {
	CROWD = 1000
};
PROBED long crowd_down(long n)
{
	long r = 0;

	if (n)
		r = crowd_down(n - 1);
	HIDE(r);
	return r + n;
}
PROBED long crowd_tail(long n)
{
	return crowd_down(n % 17);
}
PROBED void *crowd_start(void *x)
{
	return (void *)(crowd_tail((long)x) + 1);
}
void run_crowd(void)
{
	static pthread_t id[CROWD];
	pthread_attr_t small;
	long sum = 0;
	void *r;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	for (long i = 0; i < CROWD; i++)
		if (pthread_create(&id[i], &small, crowd_start, (void *)i))
			abort();
	for (long i = 0; i < CROWD; i++) {
		pthread_join(id[i], &r);
		sum += (long)r;
	}
	say("crowd", sum);
}

/* Frames that a thread's end unwinds. */
PROBED void *end_exit(void *x)
{
	pthread_exit(x);
}
PROBED int end_f(void *x)
{
	void *r = end_exit(x);

	return r != NULL;
}
static void *begin_end(void *x)
{
	return (void *)(long)end_f(x);
}
void run_end(void)
{
	pthread_t id;
	void *r;

	pthread_create(&id, NULL, begin_end, (void *)5L);
	pthread_join(id, &r);
	say("end", (long)r);
}
static sem_t cancel_ready;
PROBED void cancel_g(void)
{
	sem_post(&cancel_ready);
	for (;;)
		pause();
}
static void clean_up(void *x)
{
	*(long *)x += 2;
}
static long cleaned_up;
PROBED int cancel_f(int x)
{
	pthread_cleanup_push(clean_up, &cleaned_up);
	cancel_g();
	pthread_cleanup_pop(0);
	return x;
}
static void *begin_cancel(void *x)
{
	return (void *)(long)cancel_f(x != NULL);
}
void run_cancel(void)
{
	pthread_t id;
	void *r;

	sem_init(&cancel_ready, 0, 0);
	pthread_create(&id, NULL, begin_cancel, NULL);
	sem_wait(&cancel_ready);
	pthread_cancel(id);
	pthread_join(id, &r);
	say("cancel", (r == PTHREAD_CANCELED) + cleaned_up);
}
