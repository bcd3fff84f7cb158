/* SPDX-License-Identifier: MIT */
/* spare.c - where a short jump may hop on. */
#include <stdlib.h>
#include <string.h>

#include "rewriter/patch/spare.h"

enum {
	BACK = 128,  /* how far a short jump reaches from its end: */
	AHEAD = 127,
	ROOMY = 2 * JUMP_SIZE,
};

/* --- what is taken ------------------------------------------------------ */

static struct taken *taken_at(const struct spare *r, uint64_t lo)
{
	for (size_t i = 0; i < r->ntaken; i++)
		if (lo >= r->taken[i].lo && lo < r->taken[i].hi)
			return &r->taken[i];
	return NULL;
}

bool spare_is_free(const struct spare *r, uint64_t lo, uint64_t hi)
{
	const struct taken *t = taken_at(r, lo);

	if (!t || hi > t->hi)
		return false;
	for (uint64_t i = lo - t->lo; i < hi - t->lo; i++)
		if (t->bit[i / 8] >> i % 8 & 1)
			return false;
	return true;
}

static void flip(struct spare *r, uint64_t addr)
{
	struct taken *t = taken_at(r, addr);

	t->bit[(addr - t->lo) / 8] ^= (uint8_t)(1 << (addr - t->lo) % 8);
}

void spare_take(struct spare *r, uint64_t lo, uint64_t hi)
{
	for (uint64_t i = lo; i < hi; i++) {
		if (!spare_is_free(r, i, i + 1))
			continue;
		flip(r, i);
		r->byte = arena_push(r->pl->a, r->byte, r->nbyte,
				     sizeof(*r->byte));
		r->byte[r->nbyte++] = i;
	}
}

void spare_try(struct spare *r)
{
	r->npatch = r->pl->out->npatch;
	r->nbyte = r->nlent = 0;
}

void spare_undo(struct spare *r)
{
	struct plan *o = r->pl->out;

	o->npatch = r->npatch;
	while (r->nbyte)
		flip(r, r->byte[--r->nbyte]);
	while (r->nlent) {
		const struct lent *l = &r->lent[--r->nlent];

		o->patch[l->patch] = l->was;
	}
}

void spare_begin(struct spare *r, const struct planner *pl)
{
	const struct image *img = pl->s->img;
	const struct plan *o = pl->out;

	*r = (struct spare){ .pl = pl, .nold = o->npatch };
	r->taken = arena_alloc(pl->a, (img->nseg + 1) * sizeof(*r->taken));
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type != PT_LOAD || !(s->flags & PF_X) || !s->filesz)
			continue;
		r->taken[r->ntaken++] = (struct taken){
			s->vaddr, s->vaddr + s->filesz,
			arena_alloc(pl->a, s->filesz / 8 + 1)
		};
	}
	for (size_t i = 0; i < o->npatch; i++) {
		const struct patch *p = &o->patch[i];

		spare_take(r, p->at, p->at + p->len);
		if (p->hop)
			spare_take(r, p->hop, p->hop + JUMP_SIZE);
	}
	spare_try(r);
}

void spare_patch(struct spare *r, const struct patch *p)
{
	struct plan *o = r->pl->out;

	o->patch = arena_push(r->pl->a, o->patch, o->npatch, sizeof(*p));
	o->patch[o->npatch++] = *p;
	spare_take(r, p->at, p->at + p->len);
}

static int by_address(const void *x, const void *y)
{
	const struct patch *p = x, *q = y;

	return (p->at > q->at) - (p->at < q->at);
}

void spare_end(struct spare *r)
{
	struct plan *o = r->pl->out;

	if (o->npatch > r->nold)
		qsort(o->patch, o->npatch, sizeof(*o->patch), by_address);
}

/* The first of the old patches that ends behind addr. */
static size_t old_from(const struct spare *r, uint64_t addr)
{
	const struct patch *v = r->pl->out->patch;
	size_t lo = 0, hi = r->nold;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].at + v[mid].len <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool holds(const struct patch *p, uint64_t addr)
{
	return addr >= p->at && addr < p->at + p->len;
}

struct patch *spare_holding(const struct spare *r, uint64_t addr)
{
	struct plan *o = r->pl->out;
	size_t i = old_from(r, addr);

	if (spare_is_free(r, addr, addr + 1))
		return NULL;
	if (i < r->nold && holds(&o->patch[i], addr))
		return &o->patch[i];
	for (i = o->npatch; i-- > r->nold;)
		if (holds(&o->patch[i], addr))
			return &o->patch[i];
	return NULL;
}

bool spare_joins(const struct spare *r, const struct stuck *v)
{
	struct patch *p = spare_holding(r, v->p.at);

	if (!p || window_index(p, v->p.at) < 0)
		return false;
	points_add(r->pl, p, v->first, v->n);
	trace_note(r->pl, p->tactic, p->at, NULL);
	return true;
}

/* --- five bytes --------------------------------------------------------- */

bool short_jump_reaches(const struct short_jump *j, uint64_t hop)
{
	return hop + BACK >= j->end && hop <= j->end + AHEAD;
}

static bool in_padding(struct spare *r, const struct short_jump *j,
		       uint64_t *hop)
{
	const struct sites *s = r->pl->s;

	for (uint64_t at = j->end - BACK; at <= j->end + AHEAD; at++)
		if (spare_is_free(r, at, at + JUMP_SIZE) &&
		    !go_holds(s->img, at) &&
		    !go_holds(s->img, at + JUMP_SIZE - 1) &&
		    (at >= j->hi || at + JUMP_SIZE <= j->lo) &&
		    code_is_dead(s, at, at + JUMP_SIZE)) {
			spare_take(r, at, at + JUMP_SIZE);
			*hop = at;
			return true;
		}
	return false;
}

bool short_jump_state(const struct spare *r, const struct short_jump *j,
		      uint64_t hop)
{
	const struct image *img = r->pl->s->img;
	const struct fde *there = image_fde(img, hop);
	const struct fde *here = image_fde(img, j->pc);

	if (go_holds(img, hop))
		return go_same_state(r->pl->s, j->pc, hop);
	if (!there)
		return true;
	if (!here && j->entry)
		return unwind_same(r->pl->a, there, hop, there, there->start);
	return here && unwind_same(r->pl->a, there, hop, here, j->pc);
}

/* A window of ten bytes or more at host->at, and a hop in it.  One that is
 * there already keeps all its instructions: points stand before them. */
static bool host_fits(const struct spare *r, const struct short_jump *j,
		      struct patch *host, uint64_t *hop)
{
	uint8_t n = host->ninsn, was = window_len(host);

	if (window_read(r->pl, host, was > ROOMY ? was : ROOMY) ||
	    host->ninsn < n)
		return false;
	host->len = window_len(host);
	if (host->len < ROOMY || window_prove(r->pl, host))
		return false;
	for (*hop = host->at + JUMP_SIZE;
	     *hop + JUMP_SIZE <= host->at + host->len; ++*hop)
		if (short_jump_reaches(j, *hop) && short_jump_state(r, j, *hop))
			return true;
	return false;
}

static void lend(struct spare *r, size_t i, struct patch *as)
{
	struct patch *p = &r->pl->out->patch[i];

	r->lent = arena_push(r->pl->a, r->lent, r->nlent, sizeof(*r->lent));
	r->lent[r->nlent++] = (struct lent){ i, *p };
	spare_take(r, as->at, as->at + as->len);
	as->lends = true;
	*p = *as;
}

/* A patch that there is already, made longer where it is too short. */
static bool in_patch(struct spare *r, const struct short_jump *j, uint64_t *hop)
{
	size_t i = old_from(r, j->end - BACK - ROOMY);
	struct patch *v = r->pl->out->patch;

	for (; i < r->nold && v[i].at <= j->end + AHEAD; i++) {
		struct patch q = v[i];
		uint64_t end = v[i].at + v[i].len;

		if (q.lends || q.entered || q.func->found ||
		    q.tactic == TACTIC_PADDING || !host_fits(r, j, &q, hop))
			continue;
		if (q.at + q.len > end && !spare_is_free(r, end, q.at + q.len))
			continue;
		lend(r, i, &q);
		return true;
	}
	return false;
}

static bool at_host(struct spare *r, const struct short_jump *j, uint64_t at,
		    uint64_t *hop)
{
	const struct sites *s = r->pl->s;
	const struct func *f = func_around(s, at);
	struct patch host;

	if (!f || f->copied || f->found)
		return false;
	host = patch_at(r->pl, at);
	host.tactic = TACTIC_HOST;
	host.lends = true;
	if (!host_fits(r, j, &host, hop) ||
	    !spare_is_free(r, at, at + host.len) || !code_is_sure(s, at))
		return false;
	spare_patch(r, &host);
	return true;
}

static bool in_host(struct spare *r, const struct short_jump *j, uint64_t *hop)
{
	for (uint64_t at = j->end - BACK - JUMP_SIZE; at <= j->end + AHEAD; at++)
		if ((at >= j->hi || at + ROOMY <= j->lo) &&
		    at_host(r, j, at, hop))
			return true;
	return false;
}

uint64_t spare_find(struct spare *r, const struct short_jump *j)
{
	uint64_t hop;

	return in_padding(r, j, &hop) || in_patch(r, j, &hop) ||
			       in_host(r, j, &hop)
		       ? hop
		       : 0;
}
