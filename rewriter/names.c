/* SPDX-License-Identifier: MIT */
/* names.c - globs and near misses. */
#include <string.h>

#include "rewriter/names.h"

enum {
	NEAR = 3,
	LONGEST = 64
};

bool name_matches(const char *name, const char *glob)
{
	const char *star = NULL, *again = NULL;

	while (*name) {
		if (*glob == '*') {
			star = glob++;
			again = name;
		} else if (*glob == '?' || *glob == *name) {
			glob++;
			name++;
		} else if (star) { /* let the last star take one more */
			glob = star + 1;
			name = ++again;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return !*glob;
}

/* Edit distance of two short strings; anything over LONGEST is far. */
static unsigned distance(const char *x, const char *y)
{
	size_t n = strlen(x), m = strlen(y), i, k;
	unsigned row[LONGEST + 1];

	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (k = 0; k <= m; k++)
		row[k] = k;
	for (i = 1; i <= n; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (k = 1; k <= m; k++) {
			unsigned best = diagonal + (x[i - 1] != y[k - 1]);

			diagonal = row[k];
			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			row[k] = best;
		}
	}
	return row[m];
}

const char *names_closest(struct arena *a, const char *want,
			  const char *const *name, size_t n)
{
	unsigned limit = strlen(want) / 3 + 1;
	unsigned far[NEAR] = { limit + 1, limit + 1, limit + 1 };
	const char *best[NEAR] = { NULL }, *text;
	size_t i, k;

	for (i = 0; i < n; i++) {
		unsigned d = distance(want, name[i]);

		for (k = 0; k < NEAR && best[k]; k++)
			if (!strcmp(best[k], name[i]))
				break;
		if (k < NEAR && best[k])
			continue; /* the same name of another object */
		for (k = NEAR; k > 0 && d < far[k - 1]; k--)
			if (k < NEAR) {
				far[k] = far[k - 1];
				best[k] = best[k - 1];
			}
		if (k < NEAR && d < far[k]) {
			far[k] = d;
			best[k] = name[i];
		}
	}
	if (!best[0])
		return "";
	text = arena_printf(a, " (did you mean %s", best[0]);
	for (k = 1; k < NEAR && best[k]; k++)
		text = arena_printf(a, "%s%s%s", text,
				    k + 1 < NEAR && best[k + 1] ? ", " : " or ",
				    best[k]);
	return arena_printf(a, "%s?)", text);
}
