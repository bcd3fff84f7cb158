/* SPDX-License-Identifier: MIT */
/* series.c - numbers of one kind, and what is said of them. */
#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "bench/bench.h"

void series_add(struct series *s, double v)
{
	assert(s->n < ROUNDS_MAX);
	s->v[s->n++] = v;
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return a < b ? -1 : a > b;
}

struct stats series_stats(const struct series *s)
{
	static struct series t;

	assert(s->n);
	t = *s;
	qsort(t.v, t.n, sizeof(*t.v), by_value);
	return (struct stats){ t.v[0], t.v[t.n / 4], t.v[t.n / 2],
			       t.v[t.n * 3 / 4] };
}

void series_differences(const struct series *x, const struct series *y,
			struct series *out)
{
	assert(x->n == y->n);
	out->n = 0;
	for (size_t i = 0; i < x->n; i++)
		series_add(out, x->v[i] - y->v[i]);
}

/* More digits than four would be noise. */
void number_report(struct json *j, const char *key, double v)
{
	json_key(j, key);
	json_double(j, (double)(int64_t)(v * 1e4 + (v < 0 ? -.5 : .5)) / 1e4);
}

void stats_report(struct json *j, const char *key, struct stats s)
{
	json_key(j, key);
	json_object(j);
	number_report(j, "min", s.min);
	number_report(j, "p25", s.p25);
	number_report(j, "median", s.median);
	number_report(j, "p75", s.p75);
	json_end(j);
}

double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
