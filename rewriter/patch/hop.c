/* SPDX-License-Identifier: MIT */
/* hop.c - sites with room for a two-byte jump only: functions of two to four
 * bytes with no padding behind, loops whose head is the second instruction.
 *
 *   site:  jmp hop        2 bytes, reaches 127 bytes either way
 *   ...
 *   hop:   jmp trampoline 5 bytes that nobody else needs
 *
 * Where the site alone is too short, as a ret is, the two bytes begin before
 * it: `pop %rbp; ret`, `leave; ret` are in most functions.
 *
 * There are two kinds of such bytes: padding between functions; and the end of
 * a window of ten bytes or more, of a site that is patched anyway (its window
 * is made longer if need be), or of a host: code that is moved for nothing but
 * the room it leaves.
 *
 * While the hop is executed, the stack is as it was at the site.  In padding
 * unwinders are told so.  The code of a function is described already, and its
 * description must be right for the hop as well: both have to be in the same
 * state, as most small functions are from their start to their end.  Go's
 * runtime has tables of its own, which leave no padding, and say more
 * (site/go.c).
 */
#include <stdlib.h>
#include <string.h>

#include "rewriter/patch/window.h"

enum {
	BACK = 128 - SHORT_JUMP_SIZE, /* how far the short jump reaches */
	AHEAD = 127 + SHORT_JUMP_SIZE,
	ROOMY = 2 * JUMP_SIZE,
	BEFORE = 4, /* how many instructions earlier a site may begin */
	FAR = 1024, /* more than anything that belongs to one site spans */
};

struct range {
	uint64_t lo, hi;
};
/* What is added belongs to sites in rising order, so one need not look back
 * beyond what is FAR below. */
struct hops {
	const struct planner *pl;
	size_t nold;        /* patches that were there before, sorted */
	struct range *used; /* by what was added since */
	size_t nused;
};

static void use(struct hops *h, uint64_t lo, uint64_t hi)
{
	h->used = arena_push(h->pl->a, h->used, h->nused, sizeof(*h->used));
	h->used[h->nused++] = (struct range){ lo, hi };
}

/* The first of the old patches that ends behind addr. */
static size_t old_from(const struct hops *h, uint64_t addr)
{
	const struct patch *v = h->pl->out->patch;
	size_t lo = 0, hi = h->nold;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].at + v[mid].len <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_free(const struct hops *h, uint64_t lo, uint64_t hi)
{
	size_t i = old_from(h, lo);

	if (i < h->nold && h->pl->out->patch[i].at < hi)
		return false;
	for (i = h->nused; i-- > 0 && h->used[i].hi + FAR > lo;)
		if (lo < h->used[i].hi && h->used[i].lo < hi)
			return false;
	return true;
}

static bool reaches(const struct patch *p, uint64_t hop)
{
	return hop + BACK >= p->at && hop <= p->at + AHEAD;
}

/* Two bytes or more from p->at on, with the instruction at `site` in them: or
 * a lone ret and dead padding. */
static bool site_fits(const struct hops *h, struct patch *p, uint64_t site)
{
	const struct planner *pl = h->pl;
	unsigned want = (unsigned)(site - p->at) + 1;
	uint64_t end;

	want = want > SHORT_JUMP_SIZE ? want : SHORT_JUMP_SIZE;
	if (window_read(pl, p, want) || window_index(p, site) < 0)
		return false;
	p->len = window_len(p);
	p->tactic = TACTIC_HOP;
	end = p->at + SHORT_JUMP_SIZE;
	if (p->len < SHORT_JUMP_SIZE) {
		if (!insn_ends_flow(&p->insn[p->ninsn - 1]) ||
		    end > func_limit(pl->s, p->func) ||
		    !dead_padding(pl->s->img, p->at + p->len, end))
			return false;
		p->len = SHORT_JUMP_SIZE;
	}
	return is_free(h, p->at, p->at + p->len) && !window_prove(pl, p);
}

static bool in_padding(struct hops *h, struct patch *p)
{
	for (uint64_t at = p->at - BACK; at <= p->at + AHEAD; at++)
		if (is_free(h, at, at + JUMP_SIZE) &&
		    !go_holds(h->pl->s->img, at) &&
		    !go_holds(h->pl->s->img, at + JUMP_SIZE - 1) &&
		    (at >= p->at + p->len || at + JUMP_SIZE <= p->at) &&
		    code_is_dead(h->pl->s, at, at + JUMP_SIZE)) {
			use(h, at, at + JUMP_SIZE);
			p->hop = at;
			return true;
		}
	return false;
}

/* Would an unwinder take the hop for the site? */
static bool same_state(const struct hops *h, const struct patch *p,
		       uint64_t hop)
{
	const struct image *img = h->pl->s->img;
	const struct fde *there = image_fde(img, hop);
	const struct fde *here = image_fde(img, p->at);

	if (go_holds(img, hop))
		return go_same_state(h->pl->s, p->at, hop);
	if (!there)
		return true;
	if (!here && p->entry)
		return unwind_same(h->pl->a, there, hop, there, there->start);
	return here && unwind_same(h->pl->a, there, hop, here, p->at);
}

/* A window of ten bytes or more at host->at, and a hop in it.  One that is
 * there already keeps all its instructions: points stand before them. */
static bool host_fits(const struct hops *h, const struct patch *p,
		      struct patch *host, uint64_t *hop)
{
	uint8_t n = host->ninsn, was = window_len(host);

	if (window_read(h->pl, host, was > ROOMY ? was : ROOMY) ||
	    host->ninsn < n)
		return false;
	host->len = window_len(host);
	if (host->len < ROOMY || window_prove(h->pl, host))
		return false;
	for (*hop = host->at + JUMP_SIZE;
	     *hop + JUMP_SIZE <= host->at + host->len; ++*hop)
		if (reaches(p, *hop) && same_state(h, p, *hop))
			return true;
	return false;
}

/* A patch that there is already, made longer where it is too short. */
static bool in_patch(struct hops *h, struct patch *p)
{
	size_t i = old_from(h, p->at - BACK - ROOMY);
	struct patch *v = h->pl->out->patch;

	for (; i < h->nold && v[i].at <= p->at + AHEAD; i++) {
		struct patch q = v[i];
		uint64_t end = v[i].at + v[i].len, hop;

		if (q.lends || q.func->found || q.tactic == TACTIC_PADDING ||
		    !host_fits(h, p, &q, &hop))
			continue;
		if (q.at + q.len > end && !is_free(h, end, q.at + q.len))
			continue;
		q.lends = true;
		v[i] = q;
		p->hop = hop;
		return true;
	}
	return false;
}

static void patch_add(struct hops *h, const struct patch *p)
{
	struct plan *o = h->pl->out;

	o->patch = arena_push(h->pl->a, o->patch, o->npatch, sizeof(*p));
	o->patch[o->npatch++] = *p;
	use(h, p->at, p->at + p->len);
}

static bool at_host(struct hops *h, struct patch *p, uint64_t at)
{
	const struct sites *s = h->pl->s;
	const struct func *f = func_around(s, at);
	uint64_t before, after, hop;
	struct patch host;

	if (!f || f->copied || f->found)
		return false;
	host = patch_at(h->pl, at);
	host.tactic = TACTIC_HOST;
	host.lends = true;
	if (code_boundary(s, at, &before, &after) != 1 ||
	    !host_fits(h, p, &host, &hop) ||
	    !is_free(h, at, at + host.len))
		return false;
	p->hop = hop;
	patch_add(h, &host);
	return true;
}

static bool in_host(struct hops *h, struct patch *p)
{
	uint64_t site_end = p->at + p->len;

	for (uint64_t at = p->at - BACK - JUMP_SIZE; at <= p->at + AHEAD; at++)
		if ((at >= site_end || at + ROOMY <= p->at) &&
		    at_host(h, p, at))
			return true;
	return false;
}

static int by_address(const void *x, const void *y)
{
	const struct patch *p = x, *q = y;

	return (p->at > q->at) - (p->at < q->at);
}

/* Another want at an instruction of a window that was added for one. */
static bool joins(const struct hops *h, const struct stuck *v)
{
	struct plan *o = h->pl->out;

	for (size_t i = o->npatch; i-- > h->nold &&
				  o->patch[i].at + FAR > v->p.at;)
		if (window_index(&o->patch[i], v->p.at) >= 0) {
			points_add(h->pl, &o->patch[i], v->first, v->n);
			trace_note(h->pl, o->patch[i].tactic, o->patch[i].at,
				   NULL);
			return true;
		}
	return false;
}

/* Why there is no hop from p->at, for who asks. */
static void hop_explain(const struct hops *h, struct patch *p, uint64_t site)
{
	const struct planner *pl = h->pl;
	const struct reason *why;
	bool fits;

	if (!trace_on(pl))
		return;
	fits = site_fits(h, p, site);
	why = window_read(pl, p, SHORT_JUMP_SIZE);
	if (!why && !fits)
		why = window_prove(pl, p);
	if (!why && window_len(p) < SHORT_JUMP_SIZE && !fits)
		why = WHY(pl, REASON_ROOM, "there is one byte only");
	if (!why && !fits)
		why = WHY(pl, REASON_SHAPE,
			  "no two bytes can be had from there to the site");
	if (!why)
		why = WHY(pl, REASON_HOP,
			  "no five bytes within reach of a two-byte jump can "
			  "be had");
	trace_note(pl, TACTIC_HOP, p->at, why);
}

static bool hop_from(struct hops *h, struct patch *p, uint64_t site)
{
	if (site_fits(h, p, site) &&
	    (in_padding(h, p) || in_patch(h, p) || in_host(h, p))) {
		trace_note(h->pl, TACTIC_HOP, p->at, NULL);
		return true;
	}
	hop_explain(h, p, site);
	return false;
}

/* From the site, or from instructions before it. */
static bool hop_find(struct hops *h, uint64_t site, struct patch *p)
{
	uint64_t from[BEFORE];
	size_t n = code_before(h->pl->s, site, from, BEFORE);

	*p = patch_at(h->pl, site);
	if (hop_from(h, p, site))
		return true;
	for (size_t i = 0; i < n; i++) {
		*p = patch_at(h->pl, from[i]);
		if (hop_from(h, p, site))
			return true;
	}
	return false;
}

void hops_place(const struct planner *pl, struct stuck *v, size_t *n)
{
	struct hops h = { .pl = pl, .nold = pl->out->npatch };
	struct plan *o = pl->out;
	size_t left = 0;

	for (size_t i = 0; i < *n; i++) {
		struct patch p;

		trace_begin(pl, v[i].first, v[i].n);
		if (joins(&h, &v[i]))
			continue;
		if (hop_find(&h, v[i].p.at, &p)) {
			points_add(pl, &p, v[i].first, v[i].n);
			patch_add(&h, &p);
		} else {
			v[left++] = v[i];
		}
	}
	*n = left;
	if (o->npatch > h.nold)
		qsort(o->patch, o->npatch, sizeof(*o->patch), by_address);
}
