// SPDX-License-Identifier: MIT
// For tools_own.sh: a program that asks for memory in all ways, and keeps some.
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *kept[64];

__attribute__((noinline)) void *leaky(size_t n)
{
	void *p = malloc(n);

	__asm__ volatile("" : "+r"(p));
	return p;
}

__attribute__((noinline)) void *tidy(size_t n)
{
	char *p = calloc(n, 3);

	memset(p, 1, n);
	return p;
}

__attribute__((noinline)) void grows(void)
{
	char *p = NULL;

	for (size_t i = 1; i < 200; i++)
		p = realloc(p, 37 * i);
	free(p);
}

static void *thread(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++)
		free(tidy(1 + i));
	kept[63] = leaky(77);
	return NULL;
}

int main(void)
{
	pthread_t t;
	void *p;

	for (int i = 0; i < 500; i++) {
		p = tidy(i + 1);
		if (i % 10 == 0)
			kept[i / 10] = leaky(16 + i);
		free(p);
		if (!posix_memalign(&p, 64, 100 + i) && i % 3)
			free(p);
		free(aligned_alloc(256, 512));
	}
	grows();
	/* One thread at a time: so that addresses are the same each time. */
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	p = malloc((size_t)-1 >> 1); /* fails */
	printf("%s, %d\n", strdup("done"), !p);
	return kept[0] == NULL;
}
