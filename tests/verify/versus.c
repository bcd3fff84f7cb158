/* SPDX-License-Identifier: MIT */
/* versus.c - random programs, judged by the running kernel's verifier and by
 * ours (judges.h), and by ours a second time, comparing all numbers.
 *
 *     versus COUNT [SEED]   so many; what the two say, and where they differ a
 *                           line for each pair of messages: how often, the
 *                           first seed, the kernel's message, ours
 *     versus -v SEED        one: the program, and both logs
 *
 * One in FEW may be accepted by us alone, where we know more than the kernel.
 * The exit is 1 when there are more, or when we differ with ourselves; 77: the
 * kernel cannot be asked.
 */
#include <bpf/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "judges.h"
#include "jumble.h"

enum {
	SECONDS_MAX = 300,
	FEW = 200
};

// clang-format off
static struct bpf_map_def maps[JUMBLE_MAPS] = {
	/*                 type                          key value entries */
	[JUMBLE_ARRAY] = { .type = BPF_MAP_TYPE_ARRAY,   .key_size = 4,
			   .value_size = 64, .max_entries = 4 },
	[JUMBLE_HASH]  = { .type = BPF_MAP_TYPE_HASH,    .key_size = 8,
			   .value_size = 64, .max_entries = 4 },
	[JUMBLE_RING]  = { .type = BPF_MAP_TYPE_RINGBUF, .max_entries = 4096 },
	[JUMBLE_DATA]  = { .type = BPF_MAP_TYPE_ARRAY,   .key_size = 4,
			   .value_size = 64, .max_entries = 1 },
};
// clang-format on
static int map_fd[JUMBLE_MAPS];
static uint64_t seed;

static void begin(void)
{
	judges_begin();
	for (int i = 0; i < JUMBLE_MAPS; i++) {
		maps[i].name = "map";
		map_fd[i] = bpf_map_create(maps[i].type, "versus",
					   maps[i].key_size, maps[i].value_size,
					   maps[i].max_entries, NULL);
		judges_need(map_fd[i] >= 0, "the kernel makes no maps");
	}
}

/* The program of this seed. */
static const struct trial *make(void)
{
	static struct jumble j;
	static struct bpf_object_file file = { .path = "versus.bpf.o",
					       .name = "versus" };
	static const struct bpf_set set = {
		.object = &file, .nobject = 1, .map = maps, .nmap = JUMBLE_MAPS
	};
	static struct bpf_prog p;
	static const struct trial t = { .set = &set,
					.prog = &p,
					.map_fd = map_fd };

	jumble(seed, &j);
	p = (struct bpf_prog){
		.name = "made",
		.section = "uprobe",
		.insn = j.insn,
		.ninsn = j.ninsn,
		.sub = j.sub,
		.nsub = j.nsub,
		.stack = 512,
		.ours = true,
	};
	return &t;
}

static void versus(const struct trial *t)
{
	struct ours o;
	char where[32];

	snprintf(where, sizeof(where), "seed %llu", (unsigned long long)seed);
	judge_both(t, NULL, where, &o);
	judge_exactly(t, where, &o);
}

static void died(int sig)
{
	printf("seed %llu: signal %d\n", (unsigned long long)seed, sig);
	fflush(stdout);
	_exit(1);
}

int main(int argc, char **argv)
{
	uint64_t n, made;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		return 2;
	n = made = strtoull(argv[1], NULL, 0);
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	begin();
	if (!strcmp(argv[1], "-v")) {
		judges_look(make());
		return 0;
	}
	signal(SIGALRM, died);
	signal(SIGSEGV, died);
	signal(SIGABRT, died);
	for (; n--; seed++) {
		alarm(SECONDS_MAX);
		versus(make());
	}
	judges_report();
	return judges_total[WE_ACCEPT] > made / FEW || judges_total[WE_DIFFER];
}
