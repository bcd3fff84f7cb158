/* SPDX-License-Identifier: MIT */
/* plan.c - find a place for each jump to a trampoline.
 *
 *   site:  instruction(s)          site:  jmp tramp  (e9 rel32)
 *          of 5 bytes or more  ->         int3 fill
 *   next:  ...                     next:  ...
 *
 * Wants come in the order of their addresses.  One whose instruction stands in
 * the window of the last patch joins that.  For another one
 *   - the window begins at the site: as many whole instructions from there on
 *     as it takes to make five bytes; when execution does not go on that far,
 *     dead padding behind them may be used up;
 *   - or the last patch's window is made longer, up to the site;
 *   - or it begins earlier in the same straight code.
 * Where all that fails, two bytes are enough to jump to five bytes nearby
 * (hop.c); and what leads into a window can be led along (edge.c).  These come
 * last, because then it is known what the others leave.  And on request, one
 * byte is enough for a trap (trap.c).
 *
 * A return probe that cannot be had at all ways out of its function is tried
 * another way, and then everything is placed again (wants.c).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/patch/frame.h"
#include "rewriter/patch/window.h"

/* Whole instructions from p->at on are in p; does the tactic take them?  It
 * sets the bytes to be replaced. */
static bool nop_run(const struct planner *pl, struct patch *p)
{
	(void)pl;
	p->len = window_len(p);
	for (unsigned i = 0; i < p->ninsn; i++)
		if (!p->insn[i].nop)
			return false;
	return p->len >= JUMP_SIZE;
}

static bool one_insn(const struct planner *pl, struct patch *p)
{
	(void)pl;
	p->len = p->insn[0].len;
	return p->ninsn == 1 && p->len >= JUMP_SIZE;
}

static bool window(const struct planner *pl, struct patch *p)
{
	(void)pl;
	p->len = window_len(p);
	return p->len >= JUMP_SIZE;
}

static bool padding(const struct planner *pl, struct patch *p)
{
	p->len = JUMP_SIZE;
	return p->at + JUMP_SIZE <= func_limit(pl->s, p->func) &&
	       dead_padding(pl->s->img, p->at + window_len(p),
			    p->at + JUMP_SIZE);
}

// clang-format off
static const struct {
	const char *name;
	bool (*takes)(const struct planner *pl, struct patch *p);
	const char *not; /* what it is when it does not */
} tactics[TACTIC_COUNT] = {
	/* order of preference: first that fits */
	[TACTIC_NONE]    = { "none", NULL, NULL },
	[TACTIC_NOP_RUN] = { "nops", nop_run,
			     "the first five bytes are not all nops" },
	[TACTIC_INSN]    = { "instruction", one_insn,
			     "the instruction is shorter than five bytes" },
	[TACTIC_WINDOW]  = { "window", window,
			     "the code does not go on for five bytes" },
	[TACTIC_PADDING] = { "padding", padding,
			     "no padding follows that nothing falls into" },
	[TACTIC_EARLIER] = { "earlier", NULL, NULL }, /* not in this row */
	[TACTIC_HOP]     = { "hop", NULL, NULL },
	[TACTIC_EDGE]    = { "edge", NULL, NULL },
	[TACTIC_TRAP]    = { "trap", NULL, NULL },
	[TACTIC_HOST]    = { "host", NULL, NULL },
};
// clang-format on
enum { LAST_TRIED = TACTIC_PADDING };

const char *tactic_name(uint8_t tactic)
{
	assert(tactic < TACTIC_COUNT);
	return tactics[tactic].name;
}

/* Most come in order. */
static void point_insert(const struct planner *pl, struct patch *p,
			 const struct point *x)
{
	size_t i = p->npoint;

	p->point = arena_push(pl->a, p->point, p->npoint, sizeof(*p->point));
	for (p->npoint++; i && p->point[i - 1].before > x->before; i--)
		p->point[i] = p->point[i - 1];
	p->point[i] = *x;
}

/* Points of want[first .. first+n), all of one instruction of the patch. */
void points_add(const struct planner *pl, struct patch *p, size_t first,
		size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		struct point x = pl->want[i].point;

		x.before = (uint8_t)window_index(p, pl->want[i].at);
		x.live = live_at(pl->s, func_around(pl->s, pl->want[i].at),
				 pl->want[i].at);
		/* Assembly may tell its caller something by a flag. */
		x.live.flags |= x.kind == POINT_RETURN;
		point_insert(pl, p, &x);
	}
}

static const struct reason *here(const struct planner *pl, struct patch *p)
{
	const struct reason *why = window_read(pl, p, JUMP_SIZE);

	if (why) {
		trace_note(pl, TACTIC_WINDOW, p->at, why);
		return why;
	}
	for (uint8_t t = TACTIC_NONE + 1; t <= LAST_TRIED; t++) {
		if (tactics[t].takes(pl, p)) {
			p->tactic = t;
			why = window_prove(pl, p);
			trace_note(pl, t, p->at, why);
			return why;
		}
		if (trace_on(pl))
			trace_note(pl, t, p->at,
				   WHY(pl, REASON_SHAPE, "%s",
				       tactics[t].not));
	}
	return WHY(pl, REASON_ROOM,
		   "the code ends after %u bytes and no padding follows",
		   window_len(p));
}

/* A window from p->at on that has the whole instruction at `to` in it; NULL,
 * or why there is none. */
static const struct reason *reaches(const struct planner *pl, struct patch *p, uint64_t to)
{
	unsigned want = (unsigned)(to - p->at) + 1;
	const struct reason *why;

	want = want > JUMP_SIZE ? want : JUMP_SIZE;
	why = window_read(pl, p, want);
	if (why)
		return why;
	if (window_index(p, to) < 0)
		return WHY(pl, REASON_SHAPE,
			   "the code from 0x%llx on does not lead there",
			   HEX(p->at));
	if (!window(pl, p) && !padding(pl, p))
		return WHY(pl, REASON_ROOM,
			   "the code ends after %u bytes and no padding "
			   "follows",
			   window_len(p));
	return window_prove(pl, p);
}

/* The last patch, made longer. */
static bool lengthen(const struct planner *pl, uint64_t to)
{
	struct plan *o = pl->out;
	struct patch *last = o->npatch ? &o->patch[o->npatch - 1] : NULL, p;

	const struct reason *why;

	if (!last || last->tactic == TACTIC_PADDING ||
	    to - last->at > PATCH_INSNS * 8)
		return false;
	p = *last;
	why = reaches(pl, &p, to);
	trace_note(pl, TACTIC_WINDOW, p.at, why);
	if (why)
		return false;
	if (p.tactic < TACTIC_WINDOW)
		p.tactic = TACTIC_WINDOW;
	*last = p;
	return true;
}

enum { BEFORE = 8 };

/* A window that begins before the site, and not in the last patch. */
static bool earlier(const struct planner *pl, struct patch *p, uint64_t to)
{
	const struct plan *o = pl->out;
	const struct patch *last = o->npatch ? &o->patch[o->npatch - 1] : NULL;
	uint64_t from[BEFORE];
	size_t n = code_before(pl->s, to, from, BEFORE);
	const struct reason *why;

	for (size_t i = 0; i < n; i++) {
		if (last && from[i] < last->at + last->len)
			return false;
		*p = patch_at(pl, from[i]);
		why = reaches(pl, p, to);
		trace_note(pl, TACTIC_EARLIER, from[i], why);
		if (why)
			continue;
		p->tactic = TACTIC_EARLIER;
		return true;
	}
	return false;
}

struct placing {
	struct planner *pl;
	struct stuck *stuck;
	size_t nstuck;
	bool again; /* a group is tried another way */
};

/* The same, said of another place than the one that was asked about. */
static const struct reason *said_of(const struct planner *pl,
				    const struct reason *why, uint64_t at)
{
	struct reason *r = arena_alloc(pl->a, sizeof(*r));

	r->code = why->code;
	r->text = arena_printf(pl->a, "at 0x%llx %s", HEX(at), why->text);
	return r;
}

/* want[first .. first+n) cannot be placed. */
static void give_up(struct placing *g, size_t first, size_t n,
		    const struct reason *why)
{
	for (size_t i = first; i < first + n; i++) {
		const struct want *w = &g->pl->want[i];
		struct group *x = &g->pl->group[w->group];

		if (x->mode == MODE_OUT ||
		    (x->mode == MODE_ENTRY && w->point.kind != POINT_ENTERED))
			continue; /* another of its wants has failed before */
		group_fall_back(g->pl, x,
				x->when == WHEN_RETURNED &&
						x->mode == MODE_SITES
					? said_of(g->pl, why, w->at)
					: why);
		/* Even when there is no other way: parts may be placed. */
		g->again |= x->when == WHEN_RETURNED;
	}
}

static void patch_add(const struct planner *pl, struct patch *p, size_t first,
		      size_t n)
{
	struct plan *o = pl->out;

	points_add(pl, p, first, n);
	o->patch = arena_push(pl->a, o->patch, o->npatch, sizeof(*o->patch));
	o->patch[o->npatch++] = *p;
}

/* Go's programs run on stacks of their own. */
static bool can_switch(const struct planner *pl, uint64_t at)
{
	struct live live = live_at(pl->s, func_around(pl->s, at), at);

	return switch_can(ALL_REGS & ~live.regs);
}

/* want[first .. first+n) have their instruction in a patch's bytes. */
static void join(struct placing *g, struct patch *to, size_t first, size_t n)
{
	const struct planner *pl = g->pl;
	const struct reason *why = NULL;

	if (window_index(to, pl->want[first].at) < 0)
		why = WHY(pl, REASON_PATCHED, "inside the patch at 0x%llx",
			  HEX(to->at));
	trace_note(pl, to->tactic, to->at, why);
	if (why)
		give_up(g, first, n, why);
	else
		points_add(pl, to, first, n);
}

/* want[first .. first+n) of one instruction. */
static void place(struct placing *g, size_t first, size_t n)
{
	struct planner *pl = g->pl;
	struct plan *o = pl->out;
	struct patch *last = o->npatch ? &o->patch[o->npatch - 1] : NULL;
	uint64_t at = pl->want[first].at;
	struct patch p = patch_at(pl, at);
	const struct reason *why;

	trace_begin(pl, first, n);
	if (p.func->go && !can_switch(pl, at)) {
		give_up(g, first, n,
			WHY(pl, REASON_STACK,
			    "no registers are free to get to another stack "
			    "by"));
		return;
	}
	if (last && at < last->at + last->len) {
		join(g, last, first, n);
		return;
	}
	why = here(pl, &p);
	if (!why || earlier(pl, &p, at)) {
		patch_add(pl, &p, first, n);
	} else if (lengthen(pl, at)) {
		points_add(pl, &o->patch[o->npatch - 1], first, n);
	} else {
		g->stuck = arena_push(pl->a, g->stuck, g->nstuck,
				      sizeof(*g->stuck));
		g->stuck[g->nstuck++] = (struct stuck){ patch_at(pl, at),
							first, n, why };
	}
}

/* True when something has to be tried another way. */
static bool place_all(struct planner *pl)
{
	struct placing g = { .pl = pl };
	size_t i, j;

	pl->out->npatch = pl->out->ninner = pl->out->nedge = 0;
	pl->out->nattempt = 0;
	wants_make(pl);
	for (i = 0; i < pl->nwant; i = j) {
		for (j = i + 1;
		     j < pl->nwant && pl->want[j].at == pl->want[i].at;)
			j++;
		place(&g, i, j - i);
	}
	hops_place(pl, g.stuck, &g.nstuck);
	edges_place(pl, g.stuck, &g.nstuck);
	traps_place(pl, g.stuck, &g.nstuck);
	for (i = 0; i < g.nstuck; i++)
		give_up(&g, g.stuck[i].first, g.stuck[i].n, g.stuck[i].why);
	return g.again;
}

static int by_link(const void *x, const void *y)
{
	const struct place *p = x, *q = y;

	if (p->link != q->link)
		return p->link < q->link ? -1 : 1;
	if (p->patch != q->patch)
		return p->patch < q->patch ? -1 : 1;
	return p->point < q->point ? -1 : p->point > q->point;
}

static void places_list(const struct planner *pl)
{
	struct plan *o = pl->out;

	for (uint32_t i = 0; i < o->npatch; i++)
		for (uint32_t k = 0; k < o->patch[i].npoint; k++) {
			o->place = arena_push(pl->a, o->place, o->nplace,
					      sizeof(*o->place));
			o->place[o->nplace++] = (struct place){
				o->patch[i].point[k].link, i, k
			};
		}
	if (o->nplace)
		qsort(o->place, o->nplace, sizeof(*o->place), by_link);
}

static void results_list(const struct planner *pl)
{
	struct plan *o = pl->out;
	size_t n = pl->links->nlink;

	o->why = arena_alloc(pl->a, (n + 1) * sizeof(*o->why));
	o->code = arena_alloc(pl->a, (n + 1) * sizeof(*o->code));
	o->instead = arena_alloc(pl->a, (n + 1) * sizeof(*o->instead));
	o->head = arena_alloc(pl->a, (n + 1) * sizeof(*o->head));
	o->untold = arena_alloc(pl->a, (n + 1) * sizeof(*o->untold));
	o->refusal = arena_alloc(pl->a, (n + 1) * sizeof(*o->refusal));
	for (size_t i = 0; i < pl->ngroup; i++) {
		const struct group *g = &pl->group[i];
		const char *text = NULL;

		if (g->mode == MODE_OUT)
			text = arena_printf(pl->a, "not weldable: %s",
					    g->why->text);
		for (uint32_t k = g->link; k < g->link + g->nlink; k++) {
			o->head[k] = g->link;
			o->untold[k] = g->untold;
			o->instead[k] = g->instead;
			if (g->mode != MODE_OUT)
				continue;
			o->why[k] = text;
			o->code[k] = g->why->code;
			o->refusal[o->nrefusal++] = (struct refusal){ k, text };
		}
	}
	places_list(pl);
}

/* What everything behind this stage relies on. */
static void plan_check(const struct plan *o)
{
	for (size_t i = 0; i < o->npatch; i++) {
		const struct patch *p = &o->patch[i];

		assert(p->ninsn && (window_len(p) <= p->len ||
				    p->tactic == TACTIC_TRAP));
		assert(i == 0 || p[-1].at + p[-1].len <= p->at);
		for (size_t k = 0; k < p->npoint; k++) {
			assert(p->point[k].before < p->ninsn);
			assert(k == 0 ||
			       p->point[k - 1].before <= p->point[k].before);
		}
	}
}

static int plan_for(struct planner *pl)
{
	*pl->out = (struct plan){ 0 };
	groups_make(pl);
	while (place_all(pl))
		;
	plan_check(pl->out);
	results_list(pl);
	return 0;
}

int plan_make(struct arena *a, const struct sites *s,
	      const struct links *links, struct plan *out, struct err *e)
{
	struct planner pl = { .a = a, .s = s, .links = links, .out = out };

	(void)e;
	return plan_for(&pl);
}

int plan_trace(struct arena *a, const struct sites *s,
	       const struct links *links, uint64_t site, struct plan *out,
	       struct err *e)
{
	struct trace trace = { .site = site };
	struct planner pl = { .a = a, .s = s, .links = links, .out = out,
			      .trace = &trace };

	(void)e;
	return plan_for(&pl);
}

size_t plan_places(const struct plan *p, uint32_t link, size_t *first)
{
	size_t lo = 0, hi = p->nplace, n = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->place[mid].link < p->head[link])
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo + n < p->nplace && p->place[lo + n].link == p->head[link])
		n++;
	*first = lo;
	return n;
}
