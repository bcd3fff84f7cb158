/* SPDX-License-Identifier: MIT */
/* bench.h - the bench's parts.
 *
 *   bench.c   the run, and the order of the report
 *   series.c  numbers of one kind, and what is said of them
 *   hits.c    what a hit costs: bare, welded, kernel, in turns
 *   costs.c   what a weld costs: time, file, start-up, memory
 *
 * Others may use the machine meanwhile.  So everything is measured in many
 * short rounds, bare and welded side by side, and a cost is the median of the
 * rounds' differences; what is left of the noise is seen in the quartiles.
 */
#ifndef BPFWELD_BENCH_H
#define BPFWELD_BENCH_H

#include "elf/err.h"
#include "rewriter/weld.h"
#include "runtime-stub/reader/json.h"

enum { ROUNDS_MAX = 2000 };
struct series {
	double v[ROUNDS_MAX];
	size_t n;
};
struct stats {
	double min, p25, median, p75;
};
void series_add(struct series *s, double v);
struct stats series_stats(const struct series *s);
/* One by one: x - y. */
void series_differences(const struct series *x, const struct series *y,
			struct series *out);
void number_report(struct json *j, const char *key, double v);
/* "key": {"min": ..., "p25": ..., "median": ..., "p75": ...} */
void stats_report(struct json *j, const char *key, struct stats s);
double now_us(void);

/* `w` is planned, not written.  Files go to `dir`. */
int hits_bench(struct weld *w, const char *dir, size_t rounds, struct json *j,
	       struct err *e);

struct costs {
	const char *bpfweld, *bash, *object; /* the command, its arguments */
	const char *out, *region; /* what it writes, what that uses */
	size_t rounds;
};
int costs_bench(const struct costs *c, struct json *j, struct err *e);

#endif
