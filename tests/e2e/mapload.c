/* SPDX-License-Identifier: MIT */
/* mapload TYPE THREADS N [SIGNALS [NUMBER]] - THREADS threads call op_TYPE() N
 * times each; meanwhile so many timer signals come, whose handler calls it,
 * too. Prints how many calls there were.  The argument of a call is our NUMBER
 * << 48 | which thread (64 is the handler) << 40 | which call.
 *   LENT=1  does so in a child, in whose memory a child of vfork() was the first
 *           to call it. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void op(unsigned long i);
#define OP(name)                                                               \
	__attribute__((noinline, noclone)) void op_##name(unsigned long i)     \
	{                                                                      \
		__asm__ volatile("nop" : "+r"(i));                             \
	}
// clang-format off
#define TYPES(X)                                                               \
	X(array) X(percpu_array) X(hash) X(percpu_hash) X(lru_hash)            \
	X(lru_percpu_hash) X(lpm) X(queue) X(stack) X(lru) X(churn)            \
	X(bloom) X(bloom_look) X(array_of_maps) X(hash_of_maps) X(prog_array)  \
	X(ringbuf) X(perf) X(user_ring)
// clang-format on
TYPES(OP)

/* It begins with push %rbp, for its caller to be in the chain. */
__attribute__((noinline, noclone)) void op_stack_trace(unsigned long i)
{
	__asm__ volatile("nop" : : "r"(i), "r"(__builtin_frame_address(0)));
}

/* Eight ways there: whose frames are on the stack, the low three bits say. */
#define WAY(name, bit, zero, one)                                              \
	__attribute__((noinline, noclone)) void name(unsigned long i)          \
	{                                                                      \
		if (i >> bit & 1)                                              \
			one(i);                                                \
		else                                                           \
			zero(i);                                               \
		__asm__ volatile("");                                          \
	}
WAY(way_20, 3, op_stack_trace, op_stack_trace)
WAY(way_21, 3, op_stack_trace, op_stack_trace)
WAY(way_10, 2, way_20, way_21)
WAY(way_11, 2, way_20, way_21)
WAY(way_00, 1, way_10, way_11)
WAY(way_01, 1, way_10, way_11)
WAY(ways, 0, way_00, way_01)

static const struct type {
	const char *name;
	op *op;
} types[] = {
#define ROW(name) { #name, op_##name },
	TYPES(ROW){ "stack_trace", ways },
};

enum {
	LENT = 63,
	HANDLER = 64
};
static op *type;
static unsigned long number;
static long each, signals;
static _Atomic long seen;
static pthread_barrier_t begin;

static void *calls(void *arg)
{
	unsigned long i = number << 48 | (unsigned long)arg << 40;

	pthread_barrier_wait(&begin);
	for (long n = 0; n < each; n++)
		type(i++);
	return NULL;
}

static void handler(int sig)
{
	struct itimerval stop = { 0 };
	long n = seen++;

	(void)sig;
	if (n < signals)
		type(number << 48 | (unsigned long)HANDLER << 40 |
		     (unsigned long)n);
	else
		setitimer(ITIMER_REAL, &stop, NULL);
}

static void storm(void)
{
	struct itimerval often = { { 0, 10 }, { 0, 10 } };
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

/* Goes on in a child. */
static void lend(void)
{
	pid_t child = fork();
	int status;

	if (child) {
		waitpid(child, &status, 0);
		_exit(status != 0);
	}
	if (!vfork()) {
		type(number << 48 | (unsigned long)LENT << 40);
		_exit(0);
	}
	wait(&status); /* its pid is nobody's now */
}

int main(int argc, char **argv)
{
	bool lent = getenv("LENT");
	pthread_t thread[HANDLER];
	long n = argc > 2 ? atol(argv[2]) : 1;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (argc > 1 && strcmp(types[i].name, argv[1]) == 0)
			type = types[i].op;
	if (!type || n < 1 || n > HANDLER)
		return 2;
	each = argc > 3 ? atol(argv[3]) : 1;
	signals = argc > 4 ? atol(argv[4]) : 0;
	number = argc > 5 ? strtoul(argv[5], NULL, 0) : 0;
	pthread_barrier_init(&begin, NULL, (unsigned)n);
	if (lent)
		lend();
	if (signals)
		storm();
	for (long i = 0; i < n; i++)
		pthread_create(&thread[i], NULL, calls, (void *)i);
	for (long i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	while (signals && seen < signals)
		usleep(1000); /* (the last one may just have come: no pause) */
	printf("%ld\n", n * each + signals + lent);
	return 0;
}
