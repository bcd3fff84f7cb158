/* SPDX-License-Identifier: MIT */
/* longest.c - how long may a run take, and what does one turn of a loop?
 *
 * Nothing that the walk has looked at is run twice without a way round, and
 * that every way round has an end is what ends.c has proved: of a component,
 * in each round, ways are taken out that are taken `turns` times at most.  So
 * what is done in a component are turns + 1 pieces; each is a path through what
 * is left of it in the next round, and its last way may be one of those:
 *
 *     longest(component) = (turns + 1) * the longest path through it
 *
 * where what is a component in the next round again is met once on the path,
 * and counts with its own longest(): from the last round, whose components are
 * single nodes, to the first.
 *
 * A guard that counts turns has to count for each what it takes.  That is the
 * same without "turns + 1": each turn of a loop in it is counted there, and
 * only the first begins without.
 */
#include "rewriter/verify/ends.h"

#include <stdlib.h>

struct measure {
	const struct ends *e;
	uint64_t *cost; /* of each component of the round */
	uint64_t *best; /* the longest path that begins there */
	uint64_t *turn; /* NULL: all turns are multiplied; else by instruction,
			   what one takes ... */
	const bool *held; /* ... but for those that begin here */
};

static uint64_t sum(uint64_t a, uint64_t b)
{
	return __builtin_add_overflow(a, b, &a) ? UINT64_MAX : a;
}

static uint64_t product(uint64_t a, uint64_t b)
{
	return __builtin_mul_overflow(a, b, &a) ? UINT64_MAX : a;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* From a node to an end of the piece, or on to other components, which have
 * been looked at. */
static uint64_t onwards(const struct measure *m, const struct round *r,
			uint32_t no, uint32_t n)
{
	const struct ends *e = m->e;
	uint64_t most = no == e->nround ? e->node[n].tail : 0;

	for (uint32_t i = e->first[n]; i < e->first[n + 1]; i++) {
		const struct way *w = &e->way[e->sorted[i]];

		if (w->gone == no && !w->good)
			most = larger(most,
				      sum(w->steps, m->best[r->of[w->to]]));
		else if (w->gone == no - 1 && w->good)
			most = larger(most, w->steps);
	}
	return most;
}

static void find_best(const struct measure *m, const struct round *r,
		      uint32_t no)
{
	for (uint32_t i = 0, k; i < m->e->nnode; i = k) {
		uint32_t c = r->of[r->order[i]];
		uint64_t most = 0;

		for (k = i; k < m->e->nnode && r->of[r->order[k]] == c; k++)
			most = larger(most, onwards(m, r, no, r->order[k]));
		m->best[c] = sum(m->cost[c], most);
	}
}

static uint32_t site(const struct ends *e, const struct way *w)
{
	return w->site == NO_INSN ? e->node[w->from].insn : w->site;
}

/* Components with turns that no guard can count, in `best`. */
static void find_held(const struct measure *m, const struct round *outer,
		      uint32_t no)
{
	const struct ends *e = m->e;

	for (uint32_t c = 0; c <= e->nnode; c++)
		m->best[c] = !m->turn;
	for (uint32_t i = 0; m->turn && i < e->nway; i++)
		if (e->way[i].gone == no && e->way[i].good)
			m->best[outer->of[e->way[i].from]] |=
				m->held[site(e, &e->way[i])];
}

/* What a turn takes is told to where it is counted. */
static void tell(const struct measure *m, const struct round *outer,
		 uint32_t no)
{
	const struct ends *e = m->e;

	for (uint32_t i = 0; m->turn && i < e->nway; i++) {
		const struct way *w = &e->way[i];
		uint32_t c = outer->of[w->from], at = site(e, w);

		if (w->gone == no && w->good && !m->best[c])
			m->turn[at] = larger(m->turn[at], m->cost[c]);
	}
}

/* From the components of a round to those around them. */
static void go_out(const struct measure *m, const struct round *r,
		   const struct round *outer, uint32_t no)
{
	const struct ends *e = m->e;

	for (uint32_t c = 0; c <= e->nnode; c++)
		m->cost[c] = 0;
	for (uint32_t n = 0; n < e->nnode; n++)
		m->cost[outer->of[n]] =
			larger(m->cost[outer->of[n]], m->best[r->of[n]]);
	find_held(m, outer, no);
	tell(m, outer, no);
	for (uint32_t c = 0; c <= e->nnode; c++)
		if (m->best[c])
			m->cost[c] =
				product(m->cost[c], sum(outer->turns[c], 1));
}

static uint64_t measure(const struct ends *e, uint64_t *turn, const bool *held)
{
	struct measure m = { e, ends_room(e->nnode, sizeof(*m.cost)),
			     ends_room(e->nnode, sizeof(*m.best)), turn, held };
	const struct round *r = e->last;
	uint64_t longest;

	for (uint32_t no = e->nround;; no--, r = r->before) {
		find_best(&m, r, no);
		if (!r->before)
			break;
		go_out(&m, r, r->before, no - 1);
	}
	longest = m.best[r->of[0]];
	free(m.cost);
	free(m.best);
	return longest;
}

uint64_t ends_longest(const struct ends *e)
{
	return measure(e, NULL, NULL);
}

uint64_t ends_turns(const struct ends *e, uint64_t *turn, const bool *held)
{
	return measure(e, turn, held);
}
