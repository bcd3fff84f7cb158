/* SPDX-License-Identifier: MIT */
/* stack - what stack.bpf.c walks: calls, recursion, callbacks from a library,
 * tail calls, a signal handler, a thread. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define APART __attribute__((noinline, noclone))

long odd_chain(unsigned long rbp);

APART long leaf(long x)
{
	__asm__ volatile("" : "+r"(x) : : "memory");
	return x + 1;
}

APART long middle(long x)
{
	return leaf(x) * 3;
}

APART long outer(long x)
{
	return middle(x) * 5;
}

APART long down(long n)
{
	long below = n ? down(n - 1) : leaf(n);

	__asm__ volatile("" : "+r"(below)); /* no loop */
	return below + 1;
}

APART long tail_last(long x)
{
	return leaf(x) ^ 2;
}

APART long tail_first(long x)
{
	__asm__ volatile("" : "+r"(x));
	return tail_last(x + 1);
}

APART static int compare(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return leaf(x) < leaf(y) ? -1 : x > y;
}

static void handler(int sig)
{
	leaf(sig);
}

static void *thread(void *arg)
{
	return (void *)outer((long)arg);
}

int main(void)
{
	long v[] = { 3, 1, 2 }, sum = outer(1);
	pthread_t t;

	sum += down(3) + down(30) + down(300);
	sum += tail_first(4);
	qsort(v, 3, sizeof(*v), compare);
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	sum += odd_chain(0) + odd_chain(8) + odd_chain((unsigned long)v) +
	       odd_chain(1ul << 47) + odd_chain(1ul << 63) +
	       odd_chain(-1ul << 24) + odd_chain((unsigned long)main);
	if (!pthread_create(&t, NULL, thread, (void *)7))
		pthread_join(t, NULL);
	printf("%ld\n", sum);
	return 0;
}
