/* SPDX-License-Identifier: MIT */
/* task - the program that task.bpf.c asks who it is: threads and children with
 * names of several kinds. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline, noclone)) void here(long number, long tid, long pid,
					     long parent)
{
	__asm__ volatile("" : "+r"(number), "+r"(tid), "+r"(pid), "+r"(parent));
}

static void ask(long number)
{
	here(number, syscall(SYS_gettid), getpid(), getppid());
}

static void *thread(void *name)
{
	if (name)
		prctl(PR_SET_NAME, name);
	ask(name ? 2 : 1);
	return NULL;
}

int main(void)
{
	pthread_t t;
	pid_t pid;

	ask(0);
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	pthread_create(&t, NULL, thread, "a) b (\n) 1 2 c");
	pthread_join(t, NULL);
	prctl(PR_SET_NAME, "as long as can be");
	ask(3);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NAME, "");
		ask(4);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pid = vfork();
	if (!pid) {
		ask(5);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	ask(6);
	return 0;
}
