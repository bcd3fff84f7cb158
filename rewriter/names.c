/* SPDX-License-Identifier: MIT */
/* names.c - globs and near misses. */
#include <string.h>

#include "rewriter/names.h"

enum {
	NEAR = 3,
	LONGEST = 64
};

/* What is behind a class's '[': does c match it?  Returns what is behind its
 * ']', or NULL: there is none.  A ']' that comes first is one of its own. */
static const char *class_end(const char *p, unsigned char c, bool *matches)
{
	bool inverted = *p == '!', found = false;

	p += inverted;
	do {
		unsigned char from = (unsigned char)*p, to = from;

		if (!from)
			return NULL;
		p++;
		if (p[0] == '-' && p[1] != ']') {
			to = (unsigned char)p[1];
			if (!to)
				return NULL;
			p += 2;
		}
		found |= from <= c && c <= to;
	} while (*p != ']');
	*matches = found != inverted;
	return p + 1;
}

/* The glob behind what c matches; NULL: it does not. */
static const char *one_matches(const char *glob, char c, bool classes)
{
	const char *end;
	bool matches;

	if (*glob == '?')
		return glob + 1;
	if (*glob == '[' && classes) {
		end = class_end(glob + 1, (unsigned char)c, &matches);
		if (end)
			return matches ? end : NULL;
	}
	if (*glob == '\\' && classes)
		glob++;
	return *glob == c ? glob + 1 : NULL;
}

static bool matches(const char *name, const char *glob, bool classes)
{
	const char *star = NULL, *again = NULL, *next;

	while (*name) {
		if (*glob == '*') {
			star = glob++;
			again = name;
		} else if ((next = one_matches(glob, *name, classes))) {
			glob = next;
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

bool name_matches(const char *name, const char *glob)
{
	return !strcmp(name, glob) || matches(name, glob, true);
}

bool name_matches_plain(const char *name, const char *glob)
{
	return matches(name, glob, false);
}

bool is_glob(const char *s)
{
	return strpbrk(s, "*?[");
}

bool is_glob_plain(const char *s)
{
	return strpbrk(s, "*?");
}

/* Edit distance of two short strings, where two letters that have changed their
 * places are one edit; anything over LONGEST is far. */
static unsigned distance(const char *x, const char *y)
{
	size_t n = strlen(x), m = strlen(y), i, k;
	unsigned rows[3][LONGEST + 1];

	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (k = 0; k <= m; k++)
		rows[0][k] = k;
	for (i = 1; i <= n; i++) {
		const unsigned *before = rows[(i + 1) % 3];
		const unsigned *last = rows[(i - 1) % 3];
		unsigned *row = rows[i % 3];

		row[0] = i;
		for (k = 1; k <= m; k++) {
			row[k] = last[k - 1] + (x[i - 1] != y[k - 1]);
			if (last[k] + 1 < row[k])
				row[k] = last[k] + 1;
			if (row[k - 1] + 1 < row[k])
				row[k] = row[k - 1] + 1;
			if (i > 1 && k > 1 && x[i - 1] == y[k - 2] &&
			    x[i - 2] == y[k - 1] && before[k - 2] + 1 < row[k])
				row[k] = before[k - 2] + 1;
		}
	}
	return rows[n % 3][m];
}

/* One slip, or fewer than half of the letters of the shorter one. */
static bool is_near(unsigned d, const char *x, const char *y)
{
	size_t n = strlen(x), m = strlen(y);

	return d <= 1 || 2 * d < (n < m ? n : m);
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

		if (!is_near(d, want, name[i]))
			continue;
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
