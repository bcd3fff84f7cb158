/* SPDX-License-Identifier: MIT */
/* override - the program that override.bpf.c returns in the place of. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBED __attribute__((noinline, noclone))
enum { PASS, FAIL, FAIL_TWICE, FAIL_DEEP, FAIL_TAIL, LAST };

/* override.S: calls a function with n and a value of its own in every other
 * register.  Which have changed: 1 callee-saved ones, 2 the stack pointer, 4 others. */
long call_target(long n, uint64_t *result, long (*func)(long n));
long target(long n);
long never(long n);
long ran;
long tiny(long n);
long loop(long n);
long calls(long n);

PROBED long both(long n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 100;
}

static long inside;
PROBED uint64_t busy(uint64_t n)
{
	__asm__ volatile("" : "+r"(n));
	if (n & 1)
		__atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
	return ~n;
}

static void *thread(void *seed)
{
	uint64_t n = (uintptr_t)seed << 20, end = n + 100000;

	for (; n < end; n++)
		if (busy(n) != (n & 1 ? n * n : ~n))
			return (void *)1;
	return NULL;
}

static int threads(void)
{
	pthread_t t[4];
	void *bad[4];

	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], &bad[i]);
	return bad[0] || bad[1] || bad[2] || bad[3] || inside;
}

int main(void)
{
	uint64_t result;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (long what = PASS; what < LAST; what++) {
		long changed = call_target(what, &result, target);

		printf("%ld: %#llx ran %ld changed %ld\n", what,
		       (unsigned long long)result, ran, changed);
	}
	printf("never %ld", call_target(FAIL, &result, never));
	printf(" %#llx\n", (unsigned long long)result);
	printf("both %ld", both(PASS));
	printf(" %ld\n", both(FAIL));
	printf("places %ld %ld %ld\n", tiny(1), loop(1), calls(1));
	printf("threads %d\n", threads());
	return 0;
}
