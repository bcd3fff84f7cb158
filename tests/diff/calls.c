/* SPDX-License-Identifier: MIT */
/* A workload for programs that call: each test's programs are on site(), whose
 * argument tells them what to do, or on other(). */
#include <pthread.h>

#define WORK __attribute__((noinline, noclone)) long

enum {
	TURNS = 40
};

WORK site(long n)
{
	__asm__ volatile("" : "+r"(n));
	return n * 2 + 1;
}

WORK other(long n)
{
	__asm__ volatile("" : "+r"(n));
	return n + site(n);
}

static void *turns(void *unused)
{
	volatile long sum = 0;

	(void)unused;
	for (long i = 0; i < TURNS; i++)
		sum += site(i) + other(i);
	return 0;
}

int main(void)
{
	pthread_t t;

	turns(0);
	pthread_create(&t, 0, turns, 0);
	pthread_join(t, 0);
	return 0;
}
