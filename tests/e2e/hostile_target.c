/* SPDX-License-Identifier: MIT */
/* hostile_target run THREADS MS          call all functions for so long
 * hostile_target cases REGION COUNT SEED call them COUNT times, each time with
 * a few words of the region changed hostile_target flip FILE MS SEED change a
 * region, or a pinned map's file, for so long, as others run
 *
 * Every result must be right, and what the program has in memory as it was. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

#define FUNCTION(name)                                                         \
	__attribute__((noinline)) unsigned op_##name(unsigned x)               \
	{                                                                      \
		__asm__ volatile("" : "+r"(x));                                \
		return x * 3 + sizeof(#name);                                  \
	}
OPS(FUNCTION)

enum {
	CANARY = 1 << 16
};
static unsigned char zeroes[CANARY],
	sevens[CANARY] = { [0 ... CANARY - 1] = 7 };
static volatile int failed;

#define CALL(name)                                                             \
	if (op_##name(x) != x * 3 + sizeof(#name)) {                           \
		printf("op_" #name "(%u) is wrong\n", x);                      \
		failed = 1;                                                    \
	}
static void call_all(unsigned x)
{
	unsigned char stack[256];

	memset(stack, 9, sizeof(stack));
	__asm__ volatile("" : : "r"(stack) : "memory");
	OPS(CALL)
	__asm__ volatile("" : : "r"(stack) : "memory");
	for (unsigned i = 0; i < sizeof(stack); i++)
		failed |= stack[i] != 9;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double end;
static void *calls(void *arg)
{
	unsigned x = (unsigned)(unsigned long)arg;

	do
		for (int i = 0; i < 20; i++)
			call_all(x++);
	while (now() < end);
	return NULL;
}

static void run(int threads, int ms)
{
	pthread_t thread[64];

	end = now() + ms / 1e3;
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, calls,
			       (void *)(i * 1000003ul));
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

/* The region, and in *good a copy of it. */
static uint8_t *map(const char *file, uint64_t *size, uint8_t **good)
{
	int fd = open(file, O_RDWR);
	struct stat st;
	uint8_t *base;

	if (fd < 0 || fstat(fd, &st) < 0)
		exit(2);
	*size = st.st_size;
	base = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*good = malloc(*size);
	memcpy(*good, base, *size);
	return base;
}

/* A word here and there; or one all the time, there and back: it is to be
 * another one between a look at it and its use.  Now and then all is mended. */
static void flip(const char *file, int ms, uint64_t seed)
{
	uint64_t size;
	uint8_t *good, *base = map(file, &size, &good);
	struct hostile all = hostile_at(base, size), to = all;
	volatile uint64_t *at;

	/* With a header that is wrong nobody reads any further. */
	for (uint32_t i = 2; i < all.parts; i++)
		to.part[i - 2] = all.part[i];
	to.parts = all.parts > 2 ? all.parts - 2 : all.parts;
	for (end = now() + ms / 1e3; now() < end;) {
		for (int i = 0; i < 300; i++)
			hostile_change(hostile_pick(&seed, 100) ? &to : &all,
				       &seed);
		for (int i = 0; i < 8; i++) {
			at = hostile_change(&to, &seed);
			uint64_t bad = *at,
				 was = *(uint64_t *)(good +
						     ((uint8_t *)at - base));

			for (int k = 0; k < 3000; k++) {
				*at = was;
				__builtin_ia32_pause();
				*at = bad;
			}
		}
		memcpy(base, good, size);
	}
}

static void cases(const char *region, long count, uint64_t seed)
{
	uint8_t *base, *good;
	struct hostile to;
	uint64_t size;
	double begin = now(), most = 0;

	for (unsigned x = 0; x < 200; x++)
		call_all(x);
	base = map(region, &size, &good);
	to = hostile_at(base, size);
	for (long i = 0; i < count && !failed; i++) {
		uint64_t was = seed;
		uint32_t n = 1 + hostile_pick(&seed, 12);
		double t = now();

		while (n--)
			hostile_change(&to, &seed);
		if (i % 1000 == 0)
			alarm(120); /* what never ends, ends so */
		for (unsigned x = 0; x < 4; x++)
			call_all(x * 77 + (unsigned)i);
		t = now() - t;
		most = t > most ? t : most;
		if (failed)
			printf("case %ld, seed %lu\n", i, was);
		if (i % 4 == 3)
			memcpy(base, good, size);
	}
	memcpy(base, good, size);
	fprintf(stderr, "%ld cases, %.0f us each, %.0f us at most\n", count,
		(now() - begin) / count * 1e6, most * 1e6);
}

int main(int argc, char **argv)
{
	unsigned char *heap = malloc(CANARY);

	memset(heap, 5, CANARY);
	if (argc == 4 && !strcmp(argv[1], "run"))
		run(atoi(argv[2]), atoi(argv[3]));
	else if (argc == 5 && !strcmp(argv[1], "cases"))
		cases(argv[2], atol(argv[3]), strtoul(argv[4], NULL, 0));
	else if (argc == 5 && !strcmp(argv[1], "flip"))
		flip(argv[2], atoi(argv[3]), strtoul(argv[4], NULL, 0));
	else
		return 2;
	for (int i = 0; i < CANARY; i++)
		failed |= zeroes[i] != 0 || sevens[i] != 7 || heap[i] != 5;
	puts(failed ? "harmed" : "unharmed");
	return failed;
}
