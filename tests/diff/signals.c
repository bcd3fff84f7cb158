/* SPDX-License-Identifier: MIT */
/* signals - the program that signals.bpf.c probes: in ask() a program sends a
 * signal, caught() is who got it.  What the handler does comes out the same
 * wherever in ask() it runs. */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PROBED __attribute__((noinline, noclone)) void
enum { THREAD = 32 }; /* cases of the thread count from here */

PROBED ask(long number, unsigned long sig)
{
	__asm__ volatile("" : "+r"(number), "+r"(sig));
}
PROBED ask_thread(long number, unsigned long sig)
{
	__asm__ volatile("" : "+r"(number), "+r"(sig));
}
PROBED ask_twice(long number, unsigned long sig)
{
	__asm__ volatile("" : "+r"(number), "+r"(sig));
}
PROBED caught(long number, long sig, long code, long pid, long main)
{
	__asm__ volatile("" : "+r"(number), "+r"(sig), "+r"(code), "+r"(pid),
			      "+r"(main));
}
__attribute__((noinline, noclone)) long ended(long number, long status)
{
	__asm__ volatile("" : "+r"(number), "+r"(status));
	return number;
}

static volatile long now, seen;

static void handler(int sig, siginfo_t *info, void *unused)
{
	(void)unused;
	caught(now, sig, info->si_code, info->si_pid,
	       getpid() == syscall(SYS_gettid));
	seen++;
}

static void blocked(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(how, &set, NULL);
}

static void cases(long from, void (*ask)(long, unsigned long))
{
	now = from;
	ask(now++, SIGUSR1);
	ask(now++, SIGUSR2); /* ignored */
	ask(now++, 0);
	ask(now++, 65);
	ask(now++, -1ul);
	ask(now++, SIGRTMAX);
	ask(now++, 1ul << 32 | SIGUSR1); /* a u32 */
	blocked(SIG_BLOCK, SIGUSR1);
	ask(now, SIGUSR1);
	ask(now, SIGUSR1);
	blocked(SIG_UNBLOCK, SIGUSR1);
	now++;
}

static void *thread(void *unused)
{
	long had;

	(void)unused;
	cases(THREAD, ask_thread);
	blocked(SIG_BLOCK, SIGRTMIN);
	now = THREAD + 8;
	had = seen;
	ask(now, SIGRTMIN); /* the main thread takes it */
	while (seen == had)
		usleep(100);
	now = THREAD + 9;
	ask_thread(now, SIGRTMIN); /* nobody else can */
	usleep(1000);
	now = THREAD + 10;
	blocked(SIG_UNBLOCK, SIGRTMIN);
	now = THREAD + 11;
	ask(now, SIGRTMIN); /* this thread's, though the main one could */
	return NULL;
}

/* A child that a signal ends. */
static void end(long number, void (*ask)(long, unsigned long), int sig)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		ask(number, (unsigned long)sig);
		_exit(7);
	}
	waitpid(pid, &status, 0);
	ended(number, status);
}

int main(void)
{
	struct sigaction act = { .sa_sigaction = handler,
				 .sa_flags = SA_SIGINFO };
	pthread_t t;

	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGRTMIN, &act, NULL);
	sigaction(SIGRTMAX, &act, NULL);
	signal(SIGUSR2, SIG_IGN);
	cases(0, ask);
	cases(8, ask_thread);
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	now = 40;
	ask_twice(40, SIGUSR1);
	now = 41;
	ask_twice(41, SIGRTMAX); /* four of them */
	now = 42;
	ask_twice(42, 99);
	end(50, ask, SIGKILL);
	end(51, ask_thread, SIGTERM);
	end(52, ask, SIGCHLD);
	end(53, ask_twice, SIGKILL);
	return 0;
}
