/* SPDX-License-Identifier: MIT */
/* hits.c - what a hit costs: bare call, welded, kernel uprobe.
 *
 * Three copies of the target run at once and measure in turns, for a part of a
 * millisecond each: bare, welded, and one with kernel uprobes (which belong to
 * a file, hence a copy of its own).  All on one CPU, so that they see the same
 * clock rate and the same neighbours.
 *
 * In the end every call must have been counted, in the weld's region and in
 * the kernel's maps: nothing was measured that did not happen.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "rewriter/diff/diff.h"
#include "runtime-stub/reader/reader.h"

enum { CALLS = 100000, KERNEL_CALLS = 400, OPS = 1000, EVENTS = 2000 };
enum { BARE, WELDED, KERNEL, NCOPY };
static const char *const copy_name[NCOPY] = { "bare", "welded", "kernel" };

struct row {
	const char *title, *prog, *where; /* function row_PROG */
	bool ops;                         /* each call is OPS operations */
	bool event;                       /* each call is a record in a ring */
	struct series ns[NCOPY];
};
static struct row rows[] = {
	{ .title = "empty", .prog = "empty" },
	{ .title = "read arguments", .prog = "args" },
	{ .title = "array counter", .prog = "array" },
	{ .title = "array, no atomic", .prog = "plain" },
	{ .title = "hash counter", .prog = "hash" },
	{ .title = "array, 2nd thread", .prog = "array", .where = "thread" },
	{ .title = "ring event", .prog = "ring", .event = true },
	{ .title = "ring event, 2 thr.", .prog = "ring", .event = true,
	  .where = "two" },
	{ .title = "perf event", .prog = "perf", .event = true },
	{ .title = "return", .prog = "return" },
	{ .title = "entry and return", .prog = "both" },
	{ .title = "return, late", .prog = "tail" },
	{ .title = "usdt, 3 arguments", .prog = "usdt" },
	{ .title = "array lookup", .prog = "array_lookup", .ops = true },
	{ .title = "array update", .prog = "array_update", .ops = true },
	{ .title = "hash update", .prog = "hash_update", .ops = true },
	{ .title = "hash lookup", .prog = "hash_lookup", .ops = true },
	{ .title = "hash delete, not there", .prog = "hash_delete", .ops = true },
	{ .title = "hash insert + delete", .prog = "hash_new", .ops = true },
	{ .title = "lru hash update", .prog = "lru_update", .ops = true },
	{ .title = "lru hash lookup", .prog = "lru_lookup", .ops = true },
	{ .title = "percpu array lookup", .prog = "cpu_array", .ops = true },
	{ .title = "percpu array update", .prog = "cpu_array_put", .ops = true },
	{ .title = "percpu hash update", .prog = "cpu_hash_put", .ops = true },
	{ .title = "percpu hash lookup", .prog = "cpu_hash", .ops = true },
	{ .title = "hash lookup, 2 thr.", .prog = "hash_lookup", .ops = true,
	  .where = "two" },
	{ .title = "percpu array up., 2 thr.", .prog = "cpu_array_put",
	  .ops = true, .where = "two" },
	{ .title = "read, known", .prog = "read_known", .ops = true },
	{ .title = "read, heap", .prog = "read_heap", .ops = true },
};
enum { NROWS = sizeof(rows) / sizeof(*rows) };

struct copy {
	const char *path; /* NULL: there is no such copy */
	pid_t pid;
	FILE *to, *from;
	uint64_t calls[NROWS];
};
struct hits {
	struct weld *w;
	struct copy copy[NCOPY];
	struct kernel *kernel;
	const char *region;
	struct reader reader;  /* once there is a region */
	uint64_t events[NCOPY]; /* that were taken out of rings */
	struct err *e;
};

extern char **environ;

static int copy_start(struct copy *c, struct err *e)
{
	char *argv[] = { (char *)c->path, NULL };
	posix_spawn_file_actions_t fa;
	int in[2], out[2], bad;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return fail(e, NULL, NOWHERE, "pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in[0], 0);
	posix_spawn_file_actions_adddup2(&fa, out[1], 1);
	bad = posix_spawn(&c->pid, c->path, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(in[0]);
	close(out[1]);
	c->to = fdopen(in[1], "w");
	c->from = fdopen(out[0], "r");
	return bad ? fail(e, c->path, NOWHERE, "%s", strerror(bad)) : 0;
}

static int copy_end(struct copy *c, struct err *e)
{
	int status;

	fclose(c->to);
	fclose(c->from);
	if (waitpid(c->pid, &status, 0) < 0 || status)
		return fail(e, c->path, NOWHERE, "did not end well");
	return 0;
}

static int calls_at_once(const struct row *r, int which)
{
	if (r->ops)
		return which == KERNEL ? 1 : CALLS / OPS;
	return which == KERNEL ? KERNEL_CALLS : r->event ? EVENTS : CALLS;
}

static int row_measure(struct copy *c, struct row *r, int which, struct err *e)
{
	unsigned long calls;
	double ns;

	fprintf(c->to, "%s %d %s\n", r->prog, calls_at_once(r, which),
		r->where ? r->where : "");
	fflush(c->to);
	if (fscanf(c->from, "%lf %lu", &ns, &calls) != 2)
		return fail(e, c->path, NOWHERE, "does not answer");
	c->calls[r - rows] += calls;
	series_add(&r->ns[which], ns);
	return 0;
}

static int ring_drain(struct hits *h, uint32_t map)
{
	struct reader_record record;
	enum reader_ring what;

	for (;;) {
		if (reader_ring_next(&h->reader, map, &record, &what, h->e))
			return -1;
		if (what == RING_EMPTY)
			return 0;
		if (what == RING_WAIT)
			return fail(h->e, h->region, NOWHERE,
				    "a record is not complete");
		h->events[WELDED] += what == RING_RECORD;
		reader_ring_done(&h->reader, map, &record);
	}
}

/* Make room for the next events, and count these. */
static int drain(struct hits *h, int which)
{
	struct weld *w = h->w;
	size_t n = 0;

	if (which == KERNEL) {
		if (kernel_drain(w, h->kernel, &n, h->e))
			return -1;
		h->events[KERNEL] += n;
	}
	if (which != WELDED)
		return 0;
	if (!h->reader.base && reader_open(&w->arena, h->region, READER_WRITE,
					   &h->reader, h->e))
		return -1;
	for (uint32_t m = 0; m < w->set.nmap; m++)
		if (ring_is(w->set.map[m].type) && ring_drain(h, m))
			return -1;
	return 0;
}

static int rounds_run(struct hits *h, size_t rounds)
{
	for (size_t i = 0; i < rounds; i++)
		for (struct row *r = rows; r < rows + NROWS; r++)
			for (int k = 0; k < NCOPY; k++)
				if (h->copy[k].path &&
				    (row_measure(&h->copy[k], r, k, h->e) ||
				     (r->event && drain(h, k))))
					return -1;
	return 0;
}

/* Calls of a program, over all rows that use it. */
static uint64_t calls_of(const struct copy *c, const char *prog)
{
	uint64_t n = 0;

	for (int i = 0; i < NROWS; i++)
		n += strcmp(rows[i].prog, prog) ? 0 : c->calls[i];
	return n;
}

static int must_be(struct hits *h, int which, const char *what,
		   const char *prog, uint64_t n)
{
	uint64_t calls = calls_of(&h->copy[which], prog);

	if (n == calls)
		return 0;
	return fail(h->e, h->copy[which].path, NOWHERE,
		    "%s of %s says %llu, but there were %llu calls", what, prog,
		    (unsigned long long)n, (unsigned long long)calls);
}

static uint64_t map_sum(const struct snap_map *map)
{
	size_t size = map->key_size + map->value_size;
	uint64_t n = 0, one;

	for (size_t i = 0; i < map->nelem; i++) {
		memcpy(&one, map->elem + i * size + map->key_size,
		       sizeof(one));
		n += one;
	}
	return n;
}

/* The arguments of the last call of the USDT row. */
static int seen_check(struct hits *h, int which, const struct snap_map *map)
{
	uint64_t last = (which == KERNEL ? KERNEL_CALLS : CALLS) - 1;
	uint64_t want[] = { last, 1, 2 };

	if (!memcmp(map->elem + map->key_size, want, sizeof(want)))
		return 0;
	return fail(h->e, h->copy[which].path, NOWHERE,
		    "usdt has seen other arguments");
}

/* ops.bpf.c: each program of the rows in turn. */
static int done_check(struct hits *h, int which, const struct snap_map *map)
{
	const uint8_t *done = map->elem + map->key_size;
	uint64_t n;

	for (int i = 0; i < NROWS; i++) {
		if (!rows[i].ops || rows[i].where)
			continue;
		memcpy(&n, done, sizeof(n));
		done += sizeof(n);
		if (must_be(h, which, "the program", rows[i].prog, n))
			return -1;
	}
	return 0;
}

/* The maps that rows.bpf.c fills, whichever side they come from. */
static int maps_check(struct hits *h, int which, const struct snapshot *s)
{
	for (uint32_t m = 0; m < h->w->set.nmap; m++) {
		const struct bpf_map_def *d = &h->w->set.map[m];
		const struct snap_map *map = &s->map[m];
		int bad = 0;

		if (!strcmp(d->name, "count"))
			bad = must_be(h, which, "the map", "array",
				      map_sum(map));
		else if (!strcmp(d->name, "sum"))
			bad = must_be(h, which, "the map", "plain",
				      map_sum(map));
		else if (!strcmp(d->name, "table"))
			bad = must_be(h, which, "the map", "hash",
				      map_sum(map));
		else if (d->data == DATA_BSS && d->object == 0)
			bad = seen_check(h, which, map);
		else if (d->data == DATA_BSS)
			bad = done_check(h, which, map);
		if (bad)
			return -1;
	}
	return 0;
}

/* Every event has arrived. */
static int events_check(struct hits *h, int which)
{
	uint64_t calls = calls_of(&h->copy[which], "ring") +
			 calls_of(&h->copy[which], "perf");

	if (h->events[which] == calls)
		return 0;
	return fail(h->e, h->copy[which].path, NOWHERE,
		    "%llu events came, but there were %llu calls",
		    (unsigned long long)h->events[which],
		    (unsigned long long)calls);
}

static int probes_check(struct hits *h)
{
	struct reader r;
	int bad = 0;

	if (reader_open(&h->w->arena, h->region, READER_READ, &r, h->e))
		return -1;
	for (size_t i = 0; i < h->w->links.nlink && !bad; i++) {
		const char *func = h->w->links.link[i].func->name;

		bad = must_be(h, WELDED, "the probe", func + strlen("row_"),
			      reader_probe(&r, h->w->probe_of[i]).hits);
	}
	reader_close(&r);
	return bad;
}

static int counts_check(struct hits *h)
{
	struct arena *a = &h->w->arena;
	struct snapshot s;

	if (probes_check(h) || events_check(h, WELDED) || welded_snapshot(a, h->w, h->region, &s, h->e) ||
	    maps_check(h, WELDED, &s))
		return -1;
	if (!h->kernel)
		return 0;
	if (events_check(h, KERNEL) ||
	    kernel_snapshot(a, h->w, h->kernel, &s, h->e))
		return -1;
	return maps_check(h, KERNEL, &s);
}

static void row_report(struct json *j, const struct row *r)
{
	static struct series diff;
	struct stats s[NCOPY], cost, kernel;

	json_object(j);
	json_str_at(j, "row", r->title);
	for (int k = 0; k < NCOPY; k++) {
		if (!r->ns[k].n)
			continue;
		s[k] = series_stats(&r->ns[k]);
		stats_report(j, copy_name[k], s[k]);
	}
	series_differences(&r->ns[WELDED], &r->ns[BARE], &diff);
	cost = series_stats(&diff);
	stats_report(j, "cost", cost);
	fprintf(stderr, "%-22s %6.2f %6.2f  %6.2f %6.2f  %6.2f  %5.2f..%-5.2f",
		r->title, s[BARE].min, s[BARE].median, s[WELDED].min,
		s[WELDED].median, cost.median, cost.p25, cost.p75);
	if (r->ns[KERNEL].n) {
		series_differences(&r->ns[KERNEL], &r->ns[BARE], &diff);
		kernel = series_stats(&diff);
		stats_report(j, "kernel_cost", kernel);
		number_report(j, "ratio", kernel.median / cost.median);
		fprintf(stderr, " %6.0f %5.0fx", kernel.median,
			kernel.median / cost.median);
	}
	fputc('\n', stderr);
	json_end(j);
}

static void rows_report(struct json *j, const char *key, const char *title,
			bool ops, bool kernel)
{
	fprintf(stderr,
		"%-18s   bare           welded           cost%s\n"
		"                      min median     min median  median"
		"   p25..p75 %s\n",
		title, kernel ? "          kernel" : "",
		kernel ? "   cost ratio" : "");
	json_key(j, key);
	json_array(j);
	for (int i = 0; i < NROWS; i++)
		if (rows[i].ops == ops)
			row_report(j, &rows[i]);
	json_end(j);
}

static void report(struct json *j, bool kernel)
{
	rows_report(j, "hits_ns", "a hit, in ns", false, kernel);
	rows_report(j, "ops_1000_ns", "1,000 operations", true, kernel);
}

static int copies_make(struct hits *h, const char *dir)
{
	struct weld *w = h->w;
	const char *why;

	for (int k = 0; k < NCOPY; k++) {
		h->copy[k].path =
			arena_printf(&w->arena, "%s/%s", dir, copy_name[k]);
		if (k == WELDED ? emit_write(&w->arena, &w->img, &w->room,
					     &w->edits, h->copy[k].path, h->e)
				: emit_file(h->copy[k].path, w->img.file, 0755,
					    NULL, h->e))
			return -1;
	}
	h->region = arena_printf(&w->arena, "%s/region", dir);
	setenv("BPFWELD_REGION", h->region, 1);
	if (kernel_usable(&why))
		return kernel_attach(&w->arena, w, h->copy[KERNEL].path,
				     &h->kernel, h->e);
	fprintf(stderr, "no kernel column: %s\n", why);
	h->copy[KERNEL].path = NULL;
	return 0;
}

/* Everything on the CPU where we are; the old mask through *old. */
static void stay_here(cpu_set_t *old)
{
	cpu_set_t one;

	sched_getaffinity(0, sizeof(*old), old);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static int measure(struct hits *h, size_t rounds)
{
	int bad = 0;

	for (int k = 0; k < NCOPY; k++)
		if (h->copy[k].path && copy_start(&h->copy[k], h->e))
			return -1;
	bad = rounds_run(h, rounds);
	for (int k = 0; k < NCOPY; k++)
		if (h->copy[k].path && copy_end(&h->copy[k], h->e))
			bad = -1;
	return bad ? bad : counts_check(h);
}

int hits_bench(struct weld *w, const char *dir, size_t rounds, struct json *j,
	       struct err *e)
{
	struct hits h = { .w = w, .e = e };
	cpu_set_t old;
	int bad;

	stay_here(&old);
	bad = copies_make(&h, dir) || measure(&h, rounds);
	if (!bad)
		report(j, h.kernel);
	reader_close(&h.reader);
	if (h.kernel)
		kernel_detach(h.kernel);
	sched_setaffinity(0, sizeof(old), &old);
	return bad ? -1 : 0;
}
