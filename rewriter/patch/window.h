/* SPDX-License-Identifier: MIT */
/* window.h - what tactics are made of (private to patch/). */
#ifndef BPFWELD_WINDOW_H
#define BPFWELD_WINDOW_H

#include "rewriter/patch/displace.h"

enum { JUMP_SIZE = 5, SHORT_JUMP_SIZE = 2 };

struct planner {
	struct arena *a;
	const struct sites *s;
	const struct links *links;
	struct plan *out;
	struct err *e;
};

#define WHY(pl, ...) arena_printf((pl)->a, "not weldable: " __VA_ARGS__)
#define HEX(v) ((unsigned long long)(v))

/* Whole instructions from p->at on, until they are `want` bytes or execution
 * does not go on behind the last.  NULL, or why there are none. */
const char *window_read(const struct planner *pl, struct patch *p,
			unsigned want);
uint8_t window_len(const struct patch *p);
/* Does nothing lead into p's bytes, but to their first?  NULL, or what does. */
const char *window_prove(const struct planner *pl, const struct patch *p);
/* Padding from `from` on, as far as `to`: dead if it is not fallen into. */
bool dead_padding(const struct image *img, uint64_t from, uint64_t to);

/* A site that has got no place for a jump. */
struct stuck {
	struct patch p;
	const char *why;
};
/* hop.c: give places to those that two bytes are enough for.  They leave the
 * list; plan.patch stays sorted. */
void hops_place(const struct planner *pl, struct stuck *v, size_t *n);

#endif
