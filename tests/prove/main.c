/* SPDX-License-Identifier: MIT */
/* main.c - prove COUNT [SEED]: so many random programs; prove -v SEED: one, and
 * what became of it. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "prove.h"

enum {
	SECONDS = 20
};

static uint64_t seed;

/* A crash, or a program that does not end. */
static void died(int sig)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "seed %llu: signal %d\n",
			 (unsigned long long)seed, sig);

	if (write(2, text, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

static void print_share(const char *what, uint64_t n, uint64_t of)
{
	printf("%-12s %9llu  %5.1f %%\n", what, (unsigned long long)n,
	       of ? 100.0 * (double)n / (double)of : 0.0);
}

static void print_tally(const struct tally *t)
{
	print_share("made", t->made, t->made);
	print_share("no shape", t->shapeless, t->made);
	print_share("refused", t->refused, t->made);
	print_share("accepted", t->accepted, t->made);
	print_share("  guarded", t->guarded, t->accepted);
	print_share("  charged", t->charged, t->accepted);
	print_share("  ran", t->ran, t->accepted);
	print_share("  failed", t->failed, t->accepted);
	print_share("  by chance ", t->by_chance, t->accepted);
	print_share("  too long", t->too_long, t->accepted);
	if (t->accepted)
		printf("%llu instructions looked at in each, at most %llu\n",
		       (unsigned long long)(t->processed / t->accepted),
		       (unsigned long long)t->most_processed);
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGSEGV, SIGBUS,  SIGILL,
				       SIGFPE,  SIGABRT, SIGPROF };
	static const struct itimerval limit = { .it_value.tv_sec = SECONDS };
	struct tally t = { 0 };
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	if (argc > 2 && !strcmp(argv[1], "-v")) {
		prove_loud = true;
		count = 1;
	}
	mallopt(M_MMAP_THRESHOLD, 1 << 30); /* arenas come and go */
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	for (size_t k = 0; k < sizeof(signals) / sizeof(*signals); k++)
		signal(signals[k], died);
	for (; count--; seed++) {
		struct dice d = { .seed = seed * UINT64_C(0x9e3779b97f4a7c15) |
					  1 };

		dice_word(&d);
		setitimer(ITIMER_PROF, &limit, NULL);
		if (prove(&d, &t)) {
			fprintf(stderr, "seed %llu\n",
				(unsigned long long)seed);
			return 1;
		}
	}
	print_tally(&t);
	return 0;
}
