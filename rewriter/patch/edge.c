/* SPDX-License-Identifier: MIT */
/* edge.c - windows that are jumped into, by jumps that can be led along.
 *
 *          je  epilogue                     je  hop, or the trampoline
 *          ...                              ...
 *          add $8, %rsp                     jmp trampoline
 *   epilogue:                       ->      int3
 *          pop %rbx                  hop:   jmp copy of `pop %rbx`
 *          ret                              int3
 *
 * A lone ret that is jumped to has no window: the instruction before it is
 * another way to it.  But when all that leads into a window are direct jumps,
 * and all of those are known, they can lead to the instruction's copy in the
 * trampoline instead:
 *
 *   it is displaced itself    its copy does
 *   it has 32 bits            they are changed
 *   it has 8 bits             they lead to five spare bytes: in the window
 *                             itself, or near (spare.c)
 *
 *   or else                   they are displaced, if there is a window for them
 *
 * Where execution does not fall into the first instruction either, as behind a
 * jmp, that one's jumps are led along too, and then no byte of the window needs
 * to change, however few they are.
 *
 * A jump that is changed must be one for sure, and so must the window be code:
 * nothing else of the program is written to.  Nothing but jumps may lead there, or be displaced: a
 * call's return address, a table or a pointer cannot be led along.  Not in Go
 * code, whose functions have padding and whose tables would have to agree.
 */
#include <stdlib.h>
#include <string.h>

#include "rewriter/patch/spare.h"

enum {
	BEFORE = 8,     /* how many instructions earlier a window may begin */
	EDGES_MAX = 200, /* into one window */
};

struct edging {
	const struct planner *pl;
	struct spare spare;
	struct branch *branch; /* to all that is asked about */
	size_t nbranch;
};

/* What is tried: a window, the jumps into it. */
struct attempted {
	struct patch p;
	uint8_t was; /* bytes of the patch that it is made from, if any */
	uint64_t inner[PATCH_INSNS]; /* where they lead; rising */
	size_t ninner;
	struct edge edge[EDGES_MAX]; /* those that are changed */
	size_t nedge;
};

/* --- what is asked about ------------------------------------------------ */

static void ask(const struct planner *pl, uint64_t lo, uint64_t hi,
		uint64_t **v, size_t *n)
{
	enum target_why why;
	uint64_t where;

	while ((why = target_in(pl->s, lo, hi, &where)) != TARGET_NONE) {
		if (why == TARGET_BRANCH) {
			*v = arena_push(pl->a, *v, *n, sizeof(**v));
			(*v)[(*n)++] = where;
		}
		lo = where;
	}
}

static int by_value(const void *x, const void *y)
{
	const uint64_t *p = x, *q = y;

	return (*p > *q) - (*p < *q);
}

/* All jumps to near the stuck ones. */
static void branches_find(struct edging *g, const struct stuck *v, size_t n)
{
	const struct planner *pl = g->pl;
	uint64_t *to = NULL, from[BEFORE];
	size_t nto = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t at = v[i].p.at;
		uint64_t room = image_room(pl->s->img, at);
		size_t k = code_before(pl->s, at, from, BEFORE);

		if (!v[i].p.func->go)
			ask(pl, k ? from[k - 1] : at,
			    at + (room < PATCH_INSNS ? room : PATCH_INSNS),
			    &to, &nto);
	}
	if (nto)
		qsort(to, nto, sizeof(*to), by_value);
	g->branch = branches_to(pl->a, pl->s, to, nto, &g->nbranch);
}

static size_t branch_from(const struct edging *g, uint64_t to)
{
	size_t lo = 0, hi = g->nbranch;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (g->branch[mid].to < to)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* --- the proof ---------------------------------------------------------- */

static const struct reason *cannot(const struct planner *pl,
				   const struct branch *b)
{
	return WHY(pl, REASON_TARGET + TARGET_BRANCH,
		   "the jump at 0x%llx into the window cannot be led along",
		   HEX(b->in.at));
}

static bool is_jump(const struct branch *b)
{
	return b->in.flow == FLOW_JMP || b->in.flow == FLOW_JCC ||
	       (b->in.flow == FLOW_LOOP && b->in.rel_size == 1);
}

/* One jump into the window. */
static const struct reason *edge_prove(const struct edging *g,
				       struct attempted *t,
				       const struct branch *b)
{
	const struct func *f = func_around(g->pl->s, b->in.at);
	const struct patch *in = spare_holding(&g->spare, b->in.at);
	uint64_t end = b->in.at + b->in.len;

	if (!b->sure || !is_jump(b) || !f || f->go || f->copied)
		return cannot(g->pl, b);
	if (window_index(&t->p, b->in.at) >= 0 ||
	    (in && window_index(in, b->in.at) >= 0))
		return NULL; /* it is displaced */
	if (!spare_is_free(&g->spare, b->in.at, end) ||
	    (b->in.at < t->p.at + t->p.len && t->p.at < end) ||
	    t->nedge == EDGES_MAX)
		return cannot(g->pl, b);
	t->edge[t->nedge++] = (struct edge){
		.at = b->in.at, .len = b->in.len, .rel_off = b->in.rel_off,
		.rel_size = b->in.rel_size, .to = b->to,
	};
	return NULL;
}

/* All jumps to one instruction of the window. */
static const struct reason *inner_prove(const struct edging *g,
					struct attempted *t, uint64_t at)
{
	enum target_why why = target_besides(g->pl->s, at);
	const struct reason *no = NULL;
	size_t i = branch_from(g, at);

	if (why != TARGET_NONE && why != TARGET_CALLSITE)
		return WHY(g->pl, REASON_TARGET + why,
			   "jump target at 0x%llx inside the window (%s)",
			   HEX(at), target_why_name(why));
	if (window_index(&t->p, at) < 0 || t->ninner == PATCH_INSNS ||
	    i == g->nbranch || g->branch[i].to != at)
		return WHY(g->pl, REASON_TARGET + TARGET_BRANCH,
			   "jump target at 0x%llx inside the window (branch)",
			   HEX(at));
	t->inner[t->ninner++] = at;
	for (; !no && i < g->nbranch && g->branch[i].to == at; i++)
		no = edge_prove(g, t, &g->branch[i]);
	return no;
}

static const struct reason *edges_prove(const struct edging *g,
					struct attempted *t)
{
	uint64_t lo = t->p.at, hi = t->p.at + t->p.len, where;
	const struct reason *no = NULL;
	enum target_why why;

	t->ninner = t->nedge = 0;
	if (t->p.bare)
		no = inner_prove(g, t, lo);
	while (!no && (why = target_in(g->pl->s, lo, hi, &where))) {
		if (why == TARGET_BRANCH)
			no = inner_prove(g, t, where);
		else if (why != TARGET_CALLSITE)
			no = WHY(g->pl, REASON_TARGET + why,
				 "jump target at 0x%llx inside the window (%s)",
				 HEX(where), target_why_name(why));
		lo = where;
	}
	return no;
}

/* --- five bytes for those of 8 bits ------------------------------------- */

static bool is_slot(const struct attempted *t, uint64_t at)
{
	if (at < t->p.at + JUMP_SIZE ||
	    at + JUMP_SIZE > t->p.at + t->p.len)
		return false;
	for (size_t i = 0; i < t->nedge; i++) {
		uint64_t hop = t->edge[i].hop;

		if (hop && at < hop + JUMP_SIZE && hop < at + JUMP_SIZE)
			return false;
	}
	return true;
}

static bool is_own(const struct attempted *t, uint64_t hop)
{
	return hop >= t->p.at && hop < t->p.at + t->p.len;
}

/* In the window itself, behind its jump. */
static uint64_t in_window(const struct edging *g, const struct attempted *t,
			  const struct short_jump *j)
{
	if (t->p.lends)
		return 0;
	for (uint64_t at = t->p.at + JUMP_SIZE;
	     at + JUMP_SIZE <= t->p.at + t->p.len; at++)
		if (is_slot(t, at) && short_jump_reaches(j, at) &&
		    short_jump_state(&g->spare, j, at))
			return at;
	return 0;
}

/* One that another jump to the same instruction has already. */
static uint64_t shared_hop(const struct attempted *t, const struct edge *e,
			   const struct short_jump *j)
{
	for (const struct edge *x = t->edge; x < e; x++)
		if (x->to == e->to && x->hop &&
		    short_jump_reaches(j, x->hop))
			return x->hop;
	return 0;
}

static bool hop_for(struct edging *g, const struct attempted *t, struct edge *e)
{
	struct short_jump j = { .lo = t->p.at, .hi = t->p.at + t->p.len,
				.end = e->at + e->len, .pc = e->to };

	e->hop = shared_hop(t, e, &j);
	if (!e->hop)
		e->hop = in_window(g, t, &j);
	if (!e->hop)
		e->hop = spare_find(&g->spare, &j);
	return e->hop != 0;
}

/* A window for the jump, whose own bytes are taken already. */
static bool displaced(struct edging *g, const struct edge *e)
{
	struct patch p = patch_at(g->pl, e->at);

	if (p.func->found || window_read(g->pl, &p, JUMP_SIZE))
		return false;
	p.len = window_len(&p);
	p.tactic = TACTIC_HOST;
	if (p.len < JUMP_SIZE || window_prove(g->pl, &p) ||
	    !spare_is_free(&g->spare, e->at + e->len, p.at + p.len))
		return false;
	spare_patch(&g->spare, &p);
	return true;
}

/* The window's own bytes and the jumps' are taken, then spare ones are looked
 * for; all is given back if there are not enough. */
static const struct reason *hops_find(struct edging *g, struct attempted *t)
{
	struct spare *r = &g->spare;

	spare_try(r);
	spare_take(r, t->p.at, t->p.at + t->p.len);
	for (size_t i = 0; i < t->nedge; i++)
		spare_take(r, t->edge[i].at, t->edge[i].at + t->edge[i].len);
	for (size_t i = 0; i < t->nedge; i++) {
		struct edge *e = &t->edge[i];

		e->displaced = false;
		if (e->rel_size > 1 || hop_for(g, t, e))
			continue;
		e->displaced = displaced(g, e);
		if (e->displaced)
			continue;
		spare_undo(r);
		return WHY(g->pl, REASON_HOP,
			   "no five bytes within reach of the jump at 0x%llx "
			   "can be had",
			   HEX(e->at));
	}
	return NULL;
}

/* --- the window --------------------------------------------------------- */

/* Whole instructions from t->p.at on with the one at `site` in them. */
static const struct reason *read(const struct edging *g, struct attempted *t,
				 uint64_t site, unsigned more)
{
	const struct planner *pl = g->pl;
	unsigned want = (unsigned)(site - t->p.at) + 1;
	const struct reason *why;

	if (!t->p.bare)
		want = (want > JUMP_SIZE ? want : JUMP_SIZE) + more;
	why = window_read(pl, &t->p, want);
	if (why)
		return why;
	t->p.len = window_len(&t->p);
	if (window_index(&t->p, site) < 0 ||
	    (t->p.len < JUMP_SIZE && !t->p.bare))
		return WHY(pl, REASON_ROOM, "the code ends after %u bytes",
			   t->p.len);
	if (!spare_is_free(&g->spare, t->p.at + t->was, t->p.at + t->p.len))
		return WHY(pl, REASON_PATCHED, "another patch is in the way");
	return NULL;
}

static void accept(struct edging *g, struct attempted *t)
{
	struct plan *o = g->pl->out;

	t->p.tactic = TACTIC_EDGE;
	t->p.entered = true;
	for (size_t i = 0; i < t->nedge; i++)
		t->p.lends |= is_own(t, t->edge[i].hop);
	for (size_t i = 0; i < t->ninner; i++) {
		o->inner = arena_push(g->pl->a, o->inner, o->ninner,
				      sizeof(*o->inner));
		o->inner[o->ninner++] = t->inner[i];
	}
	for (size_t i = 0; i < t->nedge; i++) {
		if (t->edge[i].displaced)
			continue;
		o->edge = arena_push(g->pl->a, o->edge, o->nedge,
				     sizeof(*o->edge));
		o->edge[o->nedge++] = t->edge[i];
	}
}

/* With what stands behind the site too, when its room is needed. */
static bool window_from(struct edging *g, struct attempted *t, uint64_t site)
{
	const struct reason *why = NULL;

	for (unsigned more = 0; more <= JUMP_SIZE; more += JUMP_SIZE) {
		why = read(g, t, site, more);
		if (!why)
			why = edges_prove(g, t);
		if (!why)
			why = hops_find(g, t);
		trace_note(g->pl, TACTIC_EDGE, t->p.at, why);
		if (!why)
			return true;
	}
	return false;
}

/* The patch before the site, made longer.  Meanwhile it lends nothing. */
static bool lengthened(struct edging *g, uint64_t from, struct stuck *v)
{
	struct patch *p = spare_holding(&g->spare, from);
	struct attempted t = { .p = *p, .was = p->len };

	if (p->hop || p->tactic == TACTIC_PADDING || p->entered)
		return false;
	p->entered = true;
	if (!window_from(g, &t, v->p.at)) {
		spare_holding(&g->spare, from)->entered = false;
		return false;
	}
	accept(g, &t);
	points_add(g->pl, &t.p, v->first, v->n);
	*spare_holding(&g->spare, from) = t.p;
	return true;
}

static bool window_made(struct edging *g, uint64_t from, bool bare,
			struct stuck *v)
{
	struct attempted t = { .p = patch_at(g->pl, from) };

	t.p.bare = bare;
	if (!code_is_sure(g->pl->s, from) || !window_from(g, &t, v->p.at))
		return false;
	accept(g, &t);
	points_add(g->pl, &t.p, v->first, v->n);
	spare_patch(&g->spare, &t.p);
	return true;
}

/* Is nothing fallen into behind the instruction? */
static bool ends_flow(const struct planner *pl, uint64_t at)
{
	struct patch p = patch_at(pl, at);

	return !window_read(pl, &p, 1) && insn_ends_flow(&p.insn[0]) &&
	       p.insn[0].flow != FLOW_STOP;
}

static bool is_nop(const struct planner *pl, uint64_t at)
{
	struct patch p = patch_at(pl, at);

	return !window_read(pl, &p, 1) && p.insn[0].nop;
}

/* Behind from[i], which ends the flow, and perhaps dead nops. */
static bool bare_made(struct edging *g, const uint64_t *from, size_t i,
		      struct stuck *v)
{
	uint64_t end = from[i], at, where;

	for (;; i--) {
		at = i ? from[i - 1] : v->p.at;
		if (window_made(g, at, true, v))
			return true;
		if (!i || !is_nop(g->pl, at) ||
		    target_in(g->pl->s, end, at + 1, &where) != TARGET_NONE)
			return false;
	}
}

static bool edge_find(struct edging *g, struct stuck *v)
{
	uint64_t from[BEFORE];
	size_t n = code_before(g->pl->s, v->p.at, from, BEFORE);

	if (v->p.func->go || v->p.func->copied)
		return false;
	if (window_made(g, v->p.at, false, v))
		return true;
	for (size_t i = 0; i < n; i++) {
		if (ends_flow(g->pl, from[i]))
			return bare_made(g, from, i, v);
		if (spare_holding(&g->spare, from[i])
			    ? lengthened(g, from[i], v)
			    : window_made(g, from[i], false, v))
			return true;
		if (!is_nop(g->pl, from[i]) &&
		    spare_holding(&g->spare, from[i]))
			return false;
	}
	return false;
}

void edges_place(const struct planner *pl, struct stuck *v, size_t *n)
{
	struct edging g = { .pl = pl };
	struct plan *o = pl->out;
	size_t left = 0;

	if (!*n)
		return;
	spare_begin(&g.spare, pl);
	branches_find(&g, v, *n);
	for (size_t i = 0; i < *n; i++) {
		trace_begin(pl, v[i].first, v[i].n);
		if (!spare_joins(&g.spare, &v[i]) && !edge_find(&g, &v[i]))
			v[left++] = v[i];
	}
	*n = left;
	spare_end(&g.spare);
	if (o->ninner)
		qsort(o->inner, o->ninner, sizeof(*o->inner), by_value);
}
