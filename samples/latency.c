/* SPDX-License-Identifier: MIT */
/* latency - a program with threads for latency.bpf.c to look at. */
#include <pthread.h>
#include <stdio.h>

static volatile unsigned sink;

__attribute__((noinline)) void request_begin(int id)
{
	sink += (unsigned)id;
}

__attribute__((noinline)) void request_end(int id)
{
	sink -= (unsigned)id;
}

static void *serve(void *arg)
{
	for (int i = 0; i < 500; i++) {
		request_begin(i);
		for (int k = 0; k < i; k++)
			sink++;
		request_end(i);
	}
	return arg;
}

int main(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, serve, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	puts("2000 requests");
	return 0;
}
