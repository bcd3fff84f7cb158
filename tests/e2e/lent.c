/* SPDX-License-Identifier: MIT */
/* lent RING|SUM N [lent] - N slow calls each of two threads, in a child;
 * `lent`: a child of vfork() has made the first call in its memory. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) void event(long n, long slow)
{
	__asm__ volatile("nop" : : "r"(n), "r"(slow));
}
__attribute__((noinline)) void add(long slow)
{
	__asm__ volatile("nop" : : "r"(slow));
}

static int what; /* 'r' or 's' */
static long each;

static void call(long n, long slow)
{
	if (what == 'r')
		event(n, slow);
	else
		add(slow);
}

static void *calls(void *first)
{
	for (long i = 0; i < each; i++)
		call((long)first + i, 1);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[2];
	int status = 0;

	what = argv[1][0];
	each = atol(argv[2]);
	if (fork()) {
		wait(&status);
		return status != 0;
	}
	if (argc > 3) {
		if (!vfork()) {
			call(0, 0);
			_exit(0);
		}
		wait(&status); /* its pid is nobody's now */
	}
	for (long i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, calls, (void *)(each * i + 1));
	for (long i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
