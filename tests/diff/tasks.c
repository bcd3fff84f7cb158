/* SPDX-License-Identifier: MIT */
/* tasks - the program that tasks.bpf.c asks for its ids: threads, and children
 * of every kind, in this pid namespace and in another one. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline, noclone)) void here(long number, long tid, long pid)
{
	__asm__ volatile("" : "+r"(number), "+r"(tid), "+r"(pid));
}

static void ask(long number)
{
	here(number, syscall(SYS_gettid), getpid());
}

static void *thread(void *unused)
{
	(void)unused;
	ask(1);
	return NULL;
}

static void child(long number, pid_t pid)
{
	if (!pid) {
		ask(number);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* In a process whose children have another namespace. */
static void apart(long number, int by_vfork)
{
	pid_t pid = fork();

	if (pid) {
		waitpid(pid, NULL, 0);
		return;
	}
	if (!unshare(CLONE_NEWPID)) {
		ask(number); /* still in the old one */
		if (by_vfork)
			child(number + 1, vfork());
		else
			child(number + 1, fork());
		ask(number + 2);
	}
	_exit(0);
}

int main(void)
{
	pthread_t t;

	ask(0);
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	child(2, fork());
	child(3, vfork());
	ask(4);
	apart(5, 0);
	apart(8, 1);
	return 0;
}
