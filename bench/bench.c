/* SPDX-License-Identifier: MIT */
/* bench - what a hit costs (bare call, welded, kernel uprobe), and what a weld
 * costs (time, file growth, start-up, memory), all in one run.
 *
 *     bench TARGET ROWS.bpf.o OPS.bpf.o BPFWELD BASH BASH.bpf.o [ROUNDS]
 *
 * A table goes to standard error, the same as JSON to standard output.
 */
#include <stdlib.h>
#include <sys/utsname.h>

#include "bench/bench.h"

/* The first "model name" of /proc/cpuinfo. */
static void cpu_report(struct json *j)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256], model[200] = "unknown";

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "model name : %199[^\n]", model) == 1)
			break;
	if (f)
		fclose(f);
	json_str_at(j, "cpu", model);
}

static void machine_report(struct json *j, size_t rounds)
{
	struct utsname u;

	cpu_report(j);
	if (!uname(&u))
		json_str_at(j, "kernel", u.release);
	json_u64_at(j, "rounds", rounds);
}

static int bench(char **argv, size_t rounds, const char *dir, struct err *e)
{
	const char *object[] = { argv[2], argv[3] };
	struct weld_options opt = { .target = argv[1],
				    .object = object,
				    .nobject = 2,
				    .dry_run = true,
				    .strict = true };
	struct json j = json_to(stdout, true);
	struct weld w = { 0 };
	struct costs costs = {
		.bpfweld = argv[4],
		.bash = argv[5],
		.object = argv[6],
		.rounds = rounds,
	};
	int bad;

	json_object(&j);
	machine_report(&j, rounds);
	costs.out = arena_printf(&w.arena, "%s/bash", dir);
	bad = weld(&w, &opt, e) || hits_bench(&w, dir, rounds, &j, e);
	costs.region = arena_printf(&w.arena, "%s/bash-region", dir);
	setenv("BPFWELD_REGION", costs.region, 1);
	bad = bad || costs_bench(&costs, &j, e);
	json_end(&j);
	json_done(&j);
	if (bad)
		err_print(stderr, e);
	weld_free(&w);
	return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/bpfweld-bench.XXXXXX", cmd[64];
	size_t rounds = argc > 7 ? strtoul(argv[7], NULL, 0) : 400;
	struct err e;
	int bad;

	if (argc < 7 || rounds == 0 || rounds > ROUNDS_MAX || !mkdtemp(dir)) {
		fputs("usage: bench TARGET ROWS.bpf.o OPS.bpf.o BPFWELD BASH "
		      "BASH.bpf.o [ROUNDS]\n",
		      stderr);
		return 2;
	}
	bad = bench(argv, rounds, dir, &e);
	snprintf(cmd, sizeof(cmd), "rm -rf -- %s", dir);
	return system(cmd) || bad;
}
