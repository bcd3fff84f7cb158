/* SPDX-License-Identifier: MIT */
/* bench - what a hit costs: bare call, welded, kernel uprobe, interleaved in
 * one run; and what a weld costs: time, file growth, start-up, memory.
 *
 *     bench TARGET ROWS.bpf.o BPFWELD BASH BASH.bpf.o [ROUNDS]
 *
 * A table goes to standard error, the same as JSON to standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rewriter/diff/diff.h"
#include "runtime-stub/reader/json.h"

extern char **environ;

enum { ROUNDS_MAX = 200, CALLS = 20000000, KERNEL_CALLS = 20000, STARTS = 200 };

struct series {
	double v[ROUNDS_MAX];
	size_t n;
};
struct stats {
	double min, median, p25, p75;
};

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

static struct stats stats_of(const struct series *s)
{
	struct series t = *s;

	qsort(t.v, t.n, sizeof(*t.v), by_value);
	return (struct stats){ t.v[0], t.v[t.n / 2], t.v[t.n / 4],
			       t.v[t.n * 3 / 4] };
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Run a command; wall time in microseconds, its peak memory, and the number it
 * printed. */
struct ran {
	double us, printed;
	long rss_kb;
	int status;
};

static struct ran run(char *const *argv)
{
	struct ran r = { .status = -1 };
	posix_spawn_file_actions_t fa;
	struct rusage ru;
	char text[64] = "";
	double start;
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC))
		return r;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fd[1], 1);
	start = now_us();
	if (posix_spawn(&pid, argv[0], &fa, NULL, argv, environ) == 0) {
		close(fd[1]);
		fd[1] = -1;
		if (read(fd[0], text, sizeof(text) - 1) < 0)
			text[0] = 0;
		wait4(pid, &r.status, 0, &ru);
		r.us = now_us() - start;
		r.rss_kb = ru.ru_maxrss;
		r.printed = strtod(text, NULL);
	}
	posix_spawn_file_actions_destroy(&fa);
	close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
	return r;
}

static double ns_per_call(const char *target, const char *row, long calls)
{
	char count[32];
	char *argv[] = { (char *)target, (char *)row, count, NULL };

	snprintf(count, sizeof(count), "%ld", calls);
	return run(argv).printed;
}

static const char *const rows[] = { "empty", "args", "array", "hash" };
enum { NROWS = sizeof(rows) / sizeof(*rows) };

static void hits_report(struct json *j, const char *row,
			const struct series *bare, const struct series *welded,
			const struct series *kernel)
{
	struct stats b = stats_of(bare), w = stats_of(welded);
	double cost = w.median - b.median;

	fprintf(stderr, "%-8s %7.2f %7.2f  %6.2f  %5.2f..%-5.2f", row, b.median,
		w.median, cost, w.p25 - b.median, w.p75 - b.median);
	json_object(j);
	json_str_at(j, "row", row);
	json_key(j, "bare_ns"), json_double(j, b.median);
	json_key(j, "bare_min_ns"), json_double(j, b.min);
	json_key(j, "welded_ns"), json_double(j, w.median);
	json_key(j, "welded_min_ns"), json_double(j, w.min);
	json_key(j, "welded_p25_ns"), json_double(j, w.p25);
	json_key(j, "welded_p75_ns"), json_double(j, w.p75);
	json_key(j, "cost_ns"), json_double(j, cost);
	if (kernel->n) {
		struct stats k = stats_of(kernel);
		double ratio = (k.median - b.median) / cost;

		fprintf(stderr, "  %8.0f  %6.0fx", k.median - b.median, ratio);
		json_key(j, "kernel_cost_ns");
		json_double(j, k.median - b.median);
		json_key(j, "ratio"), json_double(j, ratio);
	}
	fputc('\n', stderr);
	json_end(j);
}

static void hits_measure(struct json *j, const char *bare, const char *welded,
			 const char *kernel, size_t rounds)
{
	static struct series b[NROWS], w[NROWS], k[NROWS];

	for (size_t r = 0; r < rounds; r++)
		for (size_t i = 0; i < NROWS; i++) {
			b[i].v[b[i].n++] = ns_per_call(bare, rows[i], CALLS);
			w[i].v[w[i].n++] = ns_per_call(welded, rows[i], CALLS);
			if (kernel)
				k[i].v[k[i].n++] = ns_per_call(
					kernel, rows[i], KERNEL_CALLS);
		}
	fprintf(stderr, "per hit     bare  welded    cost  (p25..p75)%s\n",
		kernel ? "      kernel   ratio" : "");
	json_key(j, "hits");
	json_array(j);
	for (size_t i = 0; i < NROWS; i++)
		hits_report(j, rows[i], &b[i], &w[i], &k[i]);
	json_end(j);
}

/* Start-up and memory: the same tiny run of the original and the welded bash,
 * in turns. */
static void start_measure(struct json *j, const char *bare, const char *welded)
{
	static struct series b, w, brss, wrss;
	char *one[] = { (char *)bare, "-c", ":", NULL };
	char *two[] = { (char *)welded, "-c", ":", NULL };
	double us, kb;

	for (size_t i = 0; i < STARTS; i++) {
		struct ran r = run(one), s = run(two);

		b.v[b.n++] = r.us, brss.v[brss.n++] = (double)r.rss_kb;
		w.v[w.n++] = s.us, wrss.v[wrss.n++] = (double)s.rss_kb;
	}
	us = stats_of(&w).median - stats_of(&b).median;
	kb = stats_of(&wrss).median - stats_of(&brss).median;
	fprintf(stderr, "start-up of bash   %+.0f us (bare %.0f us)\n", us,
		stats_of(&b).median);
	fprintf(stderr, "memory of bash     %+.0f KiB (bare %.0f KiB)\n", kb,
		stats_of(&brss).median);
	json_key(j, "startup_added_us"), json_double(j, us);
	json_key(j, "rss_added_kib"), json_double(j, kb);
}

static long file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (long)st.st_size;
}

static void weld_measure(struct json *j, const char *bpfweld, const char *bash,
			 const char *object, const char *out)
{
	char *argv[] = { (char *)bpfweld, "weld", (char *)bash, (char *)object,
			 "-o", (char *)out, "-p",
			 "command=uprobe:execute_command_internal", NULL };
	static struct series t;

	for (size_t i = 0; i < 21; i++)
		t.v[t.n++] = run(argv).us / 1e3;
	fprintf(stderr, "welding bash       %.1f ms (min %.1f)\n",
		stats_of(&t).median, stats_of(&t).min);
	fprintf(stderr, "file growth        %ld bytes of %ld\n",
		file_size(out) - file_size(bash), file_size(bash));
	json_key(j, "weld_ms"), json_double(j, stats_of(&t).median);
	json_key(j, "file_growth_bytes");
	json_s64(j, file_size(out) - file_size(bash));
}

/* Three copies: uprobes belong to a file, so the bare one stays bare. */
static int targets_make(struct weld *w, const char *dir, char *path[3],
			struct kernel **k, struct err *e)
{
	static const char *const name[] = { "bare", "welded", "kernel" };
	const char *why;

	for (int i = 0; i < 3; i++) {
		path[i] = arena_printf(&w->arena, "%s/%s", dir, name[i]);
		if (emit_file(path[i], w->img.file, 0755, NULL, e))
			return -1;
	}
	if (emit_write(&w->arena, &w->img, &w->room, &w->edits, path[1], e))
		return -1;
	if (!kernel_usable(&why)) {
		fprintf(stderr, "no kernel column: %s\n", why);
		path[2] = NULL;
		return 0;
	}
	return kernel_attach(&w->arena, w, path[2], k, e);
}

static int bench(char **argv, size_t rounds, const char *dir, struct err *e)
{
	const char *object[] = { argv[2] };
	struct weld_options opt = { .target = argv[1], .object = object,
				    .nobject = 1, .dry_run = true };
	struct json j = json_to(stdout, true);
	struct kernel *k = NULL;
	struct weld w = { 0 };
	char *path[3];
	int bad = weld(&w, &opt, e) || targets_make(&w, dir, path, &k, e);

	if (!bad) {
		char *bash = arena_printf(&w.arena, "%s/bash", dir);

		json_object(&j);
		hits_measure(&j, path[0], path[1], path[2], rounds);
		weld_measure(&j, argv[3], argv[4], argv[5], bash);
		start_measure(&j, argv[4], bash);
		json_end(&j);
		json_done(&j);
	}
	if (k)
		kernel_detach(k);
	weld_free(&w);
	return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/bpfweld-bench.XXXXXX", cmd[64], region[64];
	size_t rounds = argc > 6 ? strtoul(argv[6], NULL, 0) : 11;
	struct err e;
	int bad;

	if (argc < 6 || rounds == 0 || rounds > ROUNDS_MAX || !mkdtemp(dir)) {
		fputs("usage: bench TARGET ROWS.bpf.o BPFWELD BASH "
		      "BASH.bpf.o [ROUNDS]\n", stderr);
		return 2;
	}
	snprintf(region, sizeof(region), "%s/region", dir);
	setenv("BPFWELD_REGION", region, 1);
	bad = bench(argv, rounds, dir, &e);
	if (bad)
		err_print(stderr, &e);
	snprintf(cmd, sizeof(cmd), "rm -rf -- %s", dir);
	return system(cmd) || bad;
}
