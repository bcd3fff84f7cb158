/* SPDX-License-Identifier: MIT */
/* costs.c - what a weld costs, on the example of bash: the time of the whole
 * command, what the file grows by, and what start-up and memory grow by.
 *
 * Bare and welded bash start in turns.  The welded one finds its region file,
 * as all processes but the first do; the first one's case is a row of its own.
 * Memory is what bash itself reads in its smaps_rollup, with the one process
 * mapping the region.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

extern char **environ;

/* Run a command: wall time in microseconds, and the number it printed. */
struct ran {
	double us, printed;
};

static int run(const char *const *argv, struct ran *out, struct err *e)
{
	posix_spawn_file_actions_t fa;
	char text[64] = "";
	int fd[2], status;
	double start;
	pid_t pid;
	ssize_t n;

	if (pipe2(fd, O_CLOEXEC))
		return fail(e, NULL, NOWHERE, "pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fd[1], 1);
	start = now_us();
	status = posix_spawn(&pid, argv[0], &fa, NULL, (char **)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(fd[1]);
	if (!status) {
		n = read(fd[0], text, sizeof(text) - 1);
		waitpid(pid, &status, 0);
		out->us = now_us() - start;
		out->printed = n > 0 ? strtod(text, NULL) : 0;
	}
	close(fd[0]);
	if (status)
		return fail(e, argv[0], NOWHERE, "did not end well");
	return 0;
}

static long file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (long)st.st_size;
}

static int weld_bench(const struct costs *c, struct json *j, struct err *e)
{
	const char *argv[] = { c->bpfweld, "weld", c->bash, c->object,
			       "-o",       c->out, NULL };
	static struct series ms;
	struct stats s;
	struct ran r;
	long growth;

	for (size_t i = 0; i < c->rounds && i < 41; i++) {
		if (run(argv, &r, e))
			return -1;
		series_add(&ms, r.us / 1e3);
	}
	s = series_stats(&ms);
	growth = file_size(c->out) - file_size(c->bash);
	fprintf(stderr, "weld bash          %6.1f ms median, %.1f min\n",
		s.median, s.min);
	fprintf(stderr, "file growth        %6ld bytes, from %ld\n", growth,
		file_size(c->bash));
	stats_report(j, "weld_ms", s);
	json_u64_at(j, "file_growth_bytes", (uint64_t)growth);
	return 0;
}

static void starts_report(struct json *j, const char *title, const char *key,
			  const struct series *bare, const struct series *more)
{
	static struct series added;
	struct stats b = series_stats(bare), s;

	series_differences(more, bare, &added);
	s = series_stats(&added);
	fprintf(stderr, "%s %+6.0f us median, %.0f..%.0f, from %.0f\n", title,
		s.median, s.p25, s.p75, b.median);
	json_key(j, key);
	json_object(j);
	stats_report(j, "bare", b);
	stats_report(j, "added", s);
	json_end(j);
}

static int starts_bench(const struct costs *c, struct json *j, struct err *e)
{
	const char *bare[] = { c->bash, "-c", ":", NULL };
	const char *welded[] = { c->out, "-c", ":", NULL };
	static struct series b, w, first;
	struct ran r;

	for (size_t i = 0; i < c->rounds; i++) {
		if (run(bare, &r, e))
			return -1;
		series_add(&b, r.us);
		unlink(c->region);
		if (run(welded, &r, e))
			return -1;
		series_add(&first, r.us);
		if (run(welded, &r, e))
			return -1;
		series_add(&w, r.us);
	}
	starts_report(j, "start-up of bash  ", "startup_us", &b, &w);
	starts_report(j, "the first one's   ", "startup_first_us", &b, &first);
	return 0;
}

static int memory_bench(const struct costs *c, struct json *j, struct err *e)
{
	static const char script[] =
		"while read -r k v _; do [ $k = Rss: ] && echo $v; done "
		"</proc/$$/smaps_rollup; :";
	const char *bare[] = { c->bash, "-c", script, NULL };
	const char *welded[] = { c->out, "-c", script, NULL };
	static struct series b, w, added;
	struct stats s;
	struct ran r;

	for (size_t i = 0; i < c->rounds && i < 100; i++) {
		if (run(bare, &r, e))
			return -1;
		series_add(&b, r.printed);
		if (run(welded, &r, e))
			return -1;
		series_add(&w, r.printed);
	}
	series_differences(&w, &b, &added);
	s = series_stats(&added);
	fprintf(stderr,
		"memory of bash     %+6.0f KiB median, %.0f..%.0f, from %.0f\n",
		s.median, s.p25, s.p75, series_stats(&b).median);
	stats_report(j, "memory_added_kib", s);
	return 0;
}

int costs_bench(const struct costs *c, struct json *j, struct err *e)
{
	return weld_bench(c, j, e) || starts_bench(c, j, e) ||
			       memory_bench(c, j, e)
		       ? -1
		       : 0;
}
