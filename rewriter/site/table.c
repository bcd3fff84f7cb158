/* SPDX-License-Identifier: MIT */
/* table.c - jump tables and code addresses that position-independent code
 * makes with lea.
 *
 *	lea  table(%rip), %rdx        48 8d 15 disp32
 *	movslq (%rdx,%rax,4), %rax    32-bit entries, relative to the table
 *	add  %rdx, %rax
 *	jmp  *%rax
 *
 * Every byte position that could be such a lea counts.  What it names may be
 * code (a pointer is made: its target is marked) or a table: 32-bit words are
 * read as entries until one leaves executable memory.  Tables of 64-bit words
 * need nothing here: relocations name their entries, or they are among the
 * words of an ET_EXEC (image.codeptr).
 *
 * Tables stand in a row, and what follows one would be read with the wrong
 * base, marking addresses all over.  Behind the next lea'd address a table
 * therefore ends with the first entry that leads neither into the function of
 * its lea nor into a fragment: a compiler's switch never does.
 *
 * Computed goto with differences of labels has a base in code:
 *	lea  base(%rip), %rdx
 *	lea  table(%rip), %rcx
 * so where a function takes an address of its own, the tables it names are
 * read relative to that, too, for targets inside the function.
 */
#include <stdlib.h>

#include "rewriter/site/targets.h"

enum {
	MAX_STEPS = 1 << 25
}; /* of all tables together: hostile input */

struct lea {
	uint64_t at, to;
	const struct func *f; /* around it, or NULL */
};
struct leas {
	const struct sites *s;
	struct lea *v; /* sorted by `to`, then `at` */
	size_t n;
	uint64_t steps;
};

static void leas_in(struct leas *l, struct arena *a, const struct span *in)
{
	const uint8_t *p = in->p, *end = p + (in->hi - in->lo), *q = p + 1;
	const struct image *img = l->s->img;

	for (; end - p > 6 && q < end - 5; q++) {
		uint64_t at, to;
		int32_t rel;

		q = memchr(q, 0x8d, (size_t)(end - 5 - q));
		if (!q)
			break;
		if ((q[-1] & 0xf8) != 0x48 || (q[1] & 0xc7) != 0x05)
			continue;
		memcpy(&rel, q + 2, sizeof(rel));
		at = in->lo + (uint64_t)(q - 1 - p);
		to = at + 7 + (uint64_t)rel;
		if (!image_room(img, to))
			continue;
		l->v = arena_push(a, l->v, l->n, sizeof(*l->v));
		l->v[l->n++] = (struct lea){ at, to, NULL };
	}
}

static int by_target(const void *x, const void *y)
{
	const struct lea *p = x, *q = y;

	if (p->to != q->to)
		return p->to < q->to ? -1 : 1;
	return p->at < q->at ? -1 : p->at > q->at;
}

static int by_place(const void *x, const void *y)
{
	const struct lea *p = x, *q = y;

	return p->at < q->at ? -1 : p->at > q->at;
}

static bool inside(const struct sites *s, const struct func *f, uint64_t addr)
{
	return f && addr >= f->addr && addr < func_end(s, f);
}

/* May a table named by these leas jump to addr, although its entry stands
 * where something else seems to begin? */
static bool plausible(struct leas *l, const struct lea *v, size_t n,
		      uint64_t addr)
{
	const struct func *g;

	for (size_t i = 0; i < n; i++, l->steps++)
		if (!v[i].f || inside(l->s, v[i].f, addr))
			return true;
	g = func_around(l->s, addr);
	return !g || g->fragment;
}

/* Read the table that leas v[0..n) name; `next` is where another begins. */
static void table_read(struct leas *l, const struct lea *v, size_t n,
		       uint64_t next)
{
	const struct targets *t = l->s->targets;
	uint64_t room = image_room(l->s->img, v->to);
	const uint8_t *p = image_at(l->s->img, v->to, room);
	int32_t rel;

	for (uint64_t i = 0; p && room - i >= 4; i += 4) {
		uint64_t to;
		struct span *sp;

		memcpy(&rel, p + i, sizeof(rel));
		to = v->to + (uint64_t)rel;
		sp = span_of(t, to);
		if (!sp || l->steps++ > MAX_STEPS)
			return;
		if (v->to + i >= next && !plausible(l, v, n, to))
			return;
		sp->mark[to - sp->lo] |= MARK_TABLE;
	}
}

/* The same, with entries relative to `base` in f, for targets in f. */
static void table_read_from(struct leas *l, uint64_t table, uint64_t base,
			    const struct func *f)
{
	uint64_t room = image_room(l->s->img, table);
	const uint8_t *p = image_at(l->s->img, table, room);
	int32_t rel;

	for (uint64_t i = 0; p && room - i >= 4; i += 4) {
		memcpy(&rel, p + i, sizeof(rel));
		if (l->steps++ > MAX_STEPS ||
		    !inside(l->s, f, base + (uint64_t)rel))
			return;
		mark_addr(l->s->targets, base + (uint64_t)rel, MARK_TABLE);
	}
}

static void tables_by_target(struct leas *l)
{
	const struct targets *t = l->s->targets;

	for (size_t i = 0, end; i < l->n; i = end) {
		for (end = i + 1; end < l->n && l->v[end].to == l->v[i].to;)
			end++;
		mark_addr(t, l->v[i].to, MARK_POINTER);
		table_read(l, &l->v[i], end - i,
			   end < l->n ? l->v[end].to : UINT64_MAX);
	}
}

/* All leas v[0..n) stand in f: those that name code of f are bases. */
static void bases_in(struct leas *l, const struct lea *v, size_t n,
		     const struct func *f)
{
	for (size_t b = 0; b < n; b++) {
		if (!inside(l->s, f, v[b].to))
			continue;
		for (size_t i = 0; i < n && l->steps++ < MAX_STEPS; i++)
			table_read_from(l, v[i].to, v[b].to, f);
	}
}

static void tables_by_base(struct leas *l)
{
	for (size_t i = 0, end; i < l->n; i = end) {
		for (end = i + 1; end < l->n && l->v[end].f == l->v[i].f;)
			end++;
		if (l->v[i].f)
			bases_in(l, &l->v[i], end - i, l->v[i].f);
	}
}

void targets_tables(const struct sites *s)
{
	struct targets *t = s->targets;
	struct leas l = { .s = s };

	for (size_t i = 0; i < t->nspan; i++)
		leas_in(&l, t->a, &t->span[i]);
	if (!l.n)
		return;
	for (size_t i = 0; i < l.n; i++)
		l.v[i].f = func_around(s, l.v[i].at);
	qsort(l.v, l.n, sizeof(*l.v), by_place);
	tables_by_base(&l);
	qsort(l.v, l.n, sizeof(*l.v), by_target);
	tables_by_target(&l);
	t->gave_up = l.steps > MAX_STEPS;
}
