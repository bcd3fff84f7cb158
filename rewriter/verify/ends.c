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
#include "rewriter/verify/ends.h"

#include <stdlib.h>
#include <string.h>

enum {
	LIMITS = 64
};

/* --- what the walk tells ----------------------------------------------- */

static void *more(void *p, uint32_t n, uint32_t *room, size_t size)
{
	if (n < *room)
		return p;
	*room = *room ? 2 * *room : 256;
	p = realloc(p, *room * size);
	if (!p)
		arena_full(NULL);
	return p;
}

void *ends_room(size_t n, size_t size)
{
	void *p = calloc(n + 1, size);

	if (!p)
		arena_full(NULL);
	return p;
}

struct ends *ends_new(void)
{
	struct ends *e = ends_room(1, sizeof(*e));

	ends_state(e, 0); /* where all begins */
	return e;
}

void ends_free(struct ends *e)
{
	struct round *r;

	while ((r = e->last)) {
		e->last = r->before;
		free(r->of);
		free(r->order);
		free(r->turns);
		free(r);
	}
	free(e->first);
	free(e->sorted);
	free(e->node);
	free(e->way);
	free(e);
}

uint32_t ends_state(struct ends *e, uint32_t insn)
{
	e->node = more(e->node, e->nnode, &e->node_room, sizeof(*e->node));
	e->node[e->nnode] = (struct node){ insn, 0 };
	return e->nnode++;
}

void ends_way(struct ends *e, uint32_t from, uint32_t to, const struct state *s)
{
	e->way = more(e->way, e->nway, &e->way_room, sizeof(*e->way));
	e->way[e->nway++] = (struct way){ .from = from,
					  .to = to,
					  .used = s->used,
					  .renewed = s->renewed,
					  .steps = s->steps,
					  .most = s->most,
					  .site = s->site };
}

void ends_tail(struct ends *e, uint32_t from, uint64_t steps)
{
	if (e->node[from].tail < steps)
		e->node[from].tail = steps;
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
	uint32_t *at;         /* of a node's ways, the next to be looked at */
	uint32_t *low, *seen; /* 0: not seen */
	uint32_t *of;         /* the node's component; 0: none yet */
	uint32_t *order, norder;
	uint32_t *stack, nstack, *path, npath, time;
};

static uint32_t *numbers(uint32_t n)
{
	return ends_room(n, sizeof(uint32_t));
}

static void sort_ways(struct ends *e, uint32_t *at)
{
	e->first = numbers(e->nnode + 1);
	e->sorted = numbers(e->nway);
	for (uint32_t i = 0; i < e->nway; i++)
		e->first[e->way[i].from + 1]++;
	for (uint32_t n = 0; n < e->nnode; n++)
		e->first[n + 1] += e->first[n];
	memcpy(at, e->first, e->nnode * sizeof(*at));
	for (uint32_t i = 0; i < e->nway; i++)
		e->sorted[at[e->way[i].from]++] = i;
}

static void find_new(struct find *f, struct ends *e)
{
	f->e = e;
	f->at = numbers(e->nnode);
	f->low = numbers(e->nnode);
	f->seen = numbers(e->nnode);
	f->stack = numbers(e->nnode);
	f->path = numbers(e->nnode);
	sort_ways(e, f->at);
}

static void find_free(struct find *f)
{
	free(f->at);
	free(f->low);
	free(f->seen);
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
		f->order[f->norder++] = m;
	} while (m != n);
}

/* One step from the end of the path. */
static void look(struct find *f)
{
	uint32_t n = f->path[f->npath - 1];
	const struct way *w;

	if (f->at[n] == f->e->first[n + 1]) {
		leave(f);
		return;
	}
	w = &f->e->way[f->e->sorted[f->at[n]++]];
	if (w->gone)
		return;
	if (!f->seen[w->to])
		enter(f, w->to);
	else if (!f->of[w->to])
		lower(f, n, f->seen[w->to]);
}

static void find_components(struct find *f, struct ends *e)
{
	struct round *r = ends_room(1, sizeof(*r));

	r->of = f->of = numbers(e->nnode);
	r->order = f->order = numbers(e->nnode);
	r->turns = ends_room(e->nnode, sizeof(*r->turns));
	r->before = e->last;
	e->last = r;
	e->nround++;
	memcpy(f->at, e->first, e->nnode * sizeof(*f->at));
	memset(f->seen, 0, e->nnode * sizeof(*f->seen));
	f->time = f->norder = 0;
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
static uint32_t collect(struct ends *e, struct use *use)
{
	const uint32_t *of = e->last->of;
	uint32_t left = 0;

	memset(use, 0, (e->nnode + 1) * sizeof(*use));
	for (uint32_t i = 0; i < e->nway; i++) {
		struct way *w = &e->way[i];
		struct use *u = &use[of[w->from]];

		if (!w->gone && of[w->from] != of[w->to])
			w->gone = e->nround;
		if (w->gone)
			continue;
		if (!u->insn || e->node[w->to].insn < u->insn - 1)
			u->insn = e->node[w->to].insn + 1;
		u->used |= w->used;
		u->renewed |= w->renewed;
		left++;
	}
	return left;
}

/* A way that is not taken for ever: so often, as all that are good for it. */
static void not_for_ever(struct ends *e, struct way *w, uint64_t good)
{
	uint64_t *turns = &e->last->turns[e->last->of[w->from]];
	uint64_t n = w->most * (uint64_t)__builtin_popcountll(good);

	w->gone = e->nround;
	w->good = true;
	if (*turns < n)
		*turns = n;
}

/* Ways that are not taken for ever; NO_INSN, or where there is no such way. */
static uint32_t thin(struct ends *e, const struct use *use)
{
	for (uint32_t i = 0; i < e->nway; i++) {
		struct way *w = &e->way[i];
		const struct use *u = &use[e->last->of[w->from]];
		uint64_t good = u->used & ~u->renewed;

		if (w->gone)
			continue;
		if (!good)
			return u->insn - 1;
		if (w->used & good)
			not_for_ever(e, w, good);
	}
	return NO_INSN;
}

uint32_t ends_not(struct ends *e)
{
	struct use *use = ends_room(e->nnode, sizeof(*use));
	uint32_t bad = NO_INSN;
	struct find f = { 0 };

	find_new(&f, e);
	do
		find_components(&f, e);
	while (collect(e, use) && (bad = thin(e, use)) == NO_INSN);
	find_free(&f);
	free(use);
	return bad;
}
