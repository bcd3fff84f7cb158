/* SPDX-License-Identifier: MIT */
/* ends.c - does every run of a program end?
 *
 * The walk leaves a graph: kept states, and the ways from one to the next that
 * it knows, those included by which a path ended at a state that covered it.  A
 * run without end goes round in it for ever.  It may not, where each time round
 * uses up some of a *limit* that is not renewed on the way:
 *
 *   the budget          of a run; a guard of a loop uses it up
 *   a helper's calls    of a callback; a new call of the helper renews them
 *   an iterator's rest  iter_num_new() renews it
 *
 * So: of all states that can reach each other (a strongly connected component),
 * ways that use up a limit that none of them renews are not taken for ever; the
 * others are left, and the question is asked again.  If there is no such limit,
 * and still a way round, it has no end that can be proved.
 *
 *     head -> call bpf_loop -> callback -> call bpf_loop -> head
 *                  renews                     uses up
 *
 * is such a way; without the way to `head`, there is none.
 */
#include "rewriter/verify/verifier.h"

#include <stdlib.h>
#include <string.h>

enum {
	LIMITS = 64
};

struct way {
	uint32_t from, to;
	uint64_t used, renewed; /* limits, a bit each */
	bool gone;
};

struct ends {
	uint32_t *insn; /* of each state */
	uint32_t nnode, node_room;
	struct way *way;
	uint32_t nway, way_room;
	uint16_t iter[LIMITS]; /* frame and slot of limits above FRAMES */
	uint32_t niter;
};

/* --- what the walk tells ----------------------------------------------- */

static void *more(void *p, uint32_t n, uint32_t *room, size_t size)
{
	if (n < *room)
		return p;
	*room = *room ? 2 * *room : 256;
	p = realloc(p, *room * size);
	if (!p)
		abort();
	return p;
}

struct ends *ends_new(void)
{
	struct ends *e = calloc(1, sizeof(*e));

	if (!e)
		abort();
	ends_state(e, 0); /* where all begins */
	return e;
}

void ends_free(struct ends *e)
{
	free(e->insn);
	free(e->way);
	free(e);
}

uint32_t ends_state(struct ends *e, uint32_t insn)
{
	e->insn = more(e->insn, e->nnode, &e->node_room, sizeof(*e->insn));
	e->insn[e->nnode] = insn;
	return e->nnode++;
}

void ends_way(struct ends *e, uint32_t from, uint32_t to, uint64_t used,
	      uint64_t renewed)
{
	e->way = more(e->way, e->nway, &e->way_room, sizeof(*e->way));
	e->way[e->nway++] = (struct way){ from, to, used, renewed, false };
}

uint64_t limit_budget(void)
{
	return 1;
}

uint64_t limit_helper(uint32_t frame)
{
	return UINT64_C(2) << frame;
}

/* Of more than there is room for, nothing is said. */
uint64_t limit_iter(struct ends *e, uint32_t frame, uint32_t slot)
{
	uint16_t what = (uint16_t)(frame * SLOTS + slot);
	uint32_t i = 0;

	while (i < e->niter && e->iter[i] != what)
		i++;
	if (i == LIMITS - 1 - FRAMES)
		return 0;
	if (i == e->niter)
		e->iter[e->niter++] = what;
	return UINT64_C(2) << (FRAMES + i);
}

/* --- components -------------------------------------------------------- */

/* Tarjan's algorithm, without recursion. */
struct find {
	const struct ends *e;
	uint32_t *first, *at; /* ways from a node: [first[n], first[n + 1]) of
				 `sorted`; the next that is looked at */
	uint32_t *sorted;
	uint32_t *low, *seen; /* 0: not seen */
	uint32_t *of;         /* the node's component; 0: none yet */
	uint32_t *stack, nstack, *path, npath, time;
};

static uint32_t *numbers(uint32_t n)
{
	uint32_t *p = calloc(n, sizeof(*p));

	if (!p)
		abort();
	return p;
}

static void sort_ways(struct find *f)
{
	const struct ends *e = f->e;

	for (uint32_t i = 0; i < e->nway; i++)
		f->first[e->way[i].from + 1]++;
	for (uint32_t n = 0; n < e->nnode; n++)
		f->first[n + 1] += f->first[n];
	memcpy(f->at, f->first, e->nnode * sizeof(*f->at));
	for (uint32_t i = 0; i < e->nway; i++)
		f->sorted[f->at[e->way[i].from]++] = i;
}

static void find_new(struct find *f, const struct ends *e)
{
	f->e = e;
	f->first = numbers(e->nnode + 1);
	f->at = numbers(e->nnode);
	f->sorted = numbers(e->nway);
	f->low = numbers(e->nnode);
	f->seen = numbers(e->nnode);
	f->of = numbers(e->nnode);
	f->stack = numbers(e->nnode);
	f->path = numbers(e->nnode);
	sort_ways(f);
}

static void find_free(struct find *f)
{
	free(f->first);
	free(f->at);
	free(f->sorted);
	free(f->low);
	free(f->seen);
	free(f->of);
	free(f->stack);
	free(f->path);
}

static void enter(struct find *f, uint32_t n)
{
	f->low[n] = f->seen[n] = ++f->time;
	f->path[f->npath++] = f->stack[f->nstack++] = n;
}

static void lower(struct find *f, uint32_t n, uint32_t low)
{
	if (low < f->low[n])
		f->low[n] = low;
}

static void leave(struct find *f)
{
	uint32_t n = f->path[--f->npath], m;

	if (f->npath)
		lower(f, f->path[f->npath - 1], f->low[n]);
	if (f->low[n] != f->seen[n])
		return;
	do {
		m = f->stack[--f->nstack];
		f->of[m] = f->seen[n];
	} while (m != n);
}

/* One step from the end of the path. */
static void look(struct find *f)
{
	uint32_t n = f->path[f->npath - 1];
	const struct way *w;

	if (f->at[n] == f->first[n + 1]) {
		leave(f);
		return;
	}
	w = &f->e->way[f->sorted[f->at[n]++]];
	if (w->gone)
		return;
	if (!f->seen[w->to])
		enter(f, w->to);
	else if (!f->of[w->to])
		lower(f, n, f->seen[w->to]);
}

static void find_components(struct find *f)
{
	const struct ends *e = f->e;

	memcpy(f->at, f->first, e->nnode * sizeof(*f->at));
	memset(f->seen, 0, e->nnode * sizeof(*f->seen));
	memset(f->of, 0, e->nnode * sizeof(*f->of));
	f->time = 0;
	for (uint32_t n = 0; n < e->nnode; n++) {
		if (!f->seen[n])
			enter(f, n);
		while (f->npath)
			look(f);
	}
}

/* --- the question ------------------------------------------------------ */

struct use {
	uint64_t used, renewed;
	uint32_t insn; /* the least */
};

/* What becomes of the limits in each component; how many ways are left. */
static uint32_t collect(struct ends *e, const struct find *f, struct use *use)
{
	uint32_t left = 0;

	memset(use, 0, (e->nnode + 1) * sizeof(*use));
	for (uint32_t i = 0; i < e->nway; i++) {
		struct way *w = &e->way[i];
		struct use *u = &use[f->of[w->from]];

		w->gone |= f->of[w->from] != f->of[w->to];
		if (w->gone)
			continue;
		if (!u->insn || e->insn[w->to] < u->insn - 1)
			u->insn = e->insn[w->to] + 1;
		u->used |= w->used;
		u->renewed |= w->renewed;
		left++;
	}
	return left;
}

/* Ways that are not taken for ever; NO_INSN, or where there is no such way. */
static uint32_t thin(struct ends *e, const struct find *f,
		     const struct use *use)
{
	for (uint32_t i = 0; i < e->nway; i++) {
		struct way *w = &e->way[i];
		const struct use *u = &use[f->of[w->from]];
		uint64_t good = u->used & ~u->renewed;

		if (w->gone)
			continue;
		if (!good)
			return u->insn - 1;
		w->gone = w->used & good;
	}
	return NO_INSN;
}

uint32_t ends_not(struct ends *e)
{
	struct use *use = calloc(e->nnode + 1, sizeof(*use));
	uint32_t bad = NO_INSN;
	struct find f = { 0 };

	if (!use)
		abort();
	find_new(&f, e);
	do
		find_components(&f);
	while (collect(e, &f, use) && (bad = thin(e, &f, use)) == NO_INSN);
	find_free(&f);
	free(use);
	return bad;
}
