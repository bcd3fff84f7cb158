/* SPDX-License-Identifier: MIT */
/* wants.c - what the links want to happen, and at which instructions.
 *
 *   link                      wants
 *   an address is reached     its programs, before the instruction
 *   nobody runs (WHEN_NOP5)   a nop of five bytes, before the instruction
 *   a function returns        its programs, before each ret; and at each jump
 *                             out of it a pad for the return address (late.c)
 *     ... when not all of these can be placed, or a ret does not tell whose
 *     call it ends: a pad for the return address, where it is entered
 *
 * Where a program may return in a function's place (bpf_override_return), none of
 * its rets tells of that: its return probes exchange at the entry, too.
 *
 * An endbr64 has to stay where indirect branches look for it: the patch stands
 * behind it.  A branch to behind the endbr64 would then run programs that it
 * does not run under the kernel, so there must be none.
 *
 * Where the processor compares return addresses (a shadow stack) or Go's
 * runtime reads them, none is exchanged, nor where exceptions could not find
 * their way through a pad: without a table of frame descriptions a static
 * program's unwinder knows only those that it was linked with.  Jumps out of a
 * function are not watched there, and are counted as such.
 */
#include <stdlib.h>
#include <string.h>

#include "rewriter/patch/window.h"

static const struct link *link_of(const struct planner *pl,
				  const struct group *g)
{
	return &pl->links->link[g->link];
}

static void group_out(struct group *g, const struct reason *why)
{
	g->mode = MODE_OUT;
	g->why = why;
}

static bool may_exchange(const struct planner *pl)
{
	const struct image *img = pl->s->img;

	return !img->shadow_stack && !img->go &&
	       (pl->s->frame_table || !img->ncallsite);
}

bool group_has_way(const struct planner *pl, const struct group *g)
{
	return g->mode == MODE_SITES && g->when == WHEN_RETURNED &&
	       may_exchange(pl);
}

bool group_fall_back(const struct planner *pl, struct group *g,
		     const struct reason *why)
{
	if (group_has_way(pl, g)) {
		g->mode = MODE_ENTRY;
		g->instead = why;
		return true;
	}
	group_out(g, why);
	return false;
}

/* May a program at the function's entry return in its place? */
static bool is_overridden(const struct planner *pl, const struct link *l)
{
	const struct link *first = pl->links->link;
	const struct link *end = first + pl->links->nlink, *x;

	for (x = l; x > first && x[-1].addr == l->addr; x--)
		;
	for (; x < end && x->addr == l->addr; x++)
		if (x->overrides)
			return true;
	return false;
}

/* A return from the entry passes no ret of the function. */
static void group_body(const struct planner *pl, struct group *g)
{
	g->body = arena_alloc(pl->a, sizeof(*g->body));
	body_find(pl->s, link_of(pl, g)->func, g->body);
	if (g->body->uncalled) {
		group_out(g, WHY(pl, REASON_RETURNS, "%s", g->body->why));
		return;
	}
	if (g->when == WHEN_REACHED)
		return;
	if (g->body->why)
		group_fall_back(pl, g, WHY(pl, REASON_RETURNS, "%s",
					   g->body->why));
	else if (is_overridden(pl, link_of(pl, g)))
		group_fall_back(pl, g, WHY(pl, REASON_RETURNS,
					   "a program may return for it"));
}

/* Why none of the group can be placed; NULL: nothing is known so far. */
static const struct reason *group_refusal(const struct planner *pl,
				 const struct link *l)
{
	const char *why = go_func_refusal(l->func);

	if (l->func->copied)
		return WHY(pl, REASON_COPIED, "V8 runs a copy of %s",
			   l->func->name);
	if (why)
		return WHY(pl, REASON_GO, "Go's %s: %s", l->func->name, why);
	if (l->session && l->func->go)
		return WHY(pl, REASON_GO,
			   "a goroutine's stack may move between a session's "
			   "entry and its return");
	return NULL;
}

/* Do two links of one function run at once? */
static bool same_group(const struct link *x, const struct link *y)
{
	return x->addr == y->addr && x->when == y->when &&
	       (!x->func->go || !x->session == !y->session);
}

void groups_make(struct planner *pl)
{
	const struct link *l = pl->links->link;
	size_t n = pl->links->nlink, i, j;
	const struct reason *why;

	pl->group = arena_alloc(pl->a, (n + 1) * sizeof(*pl->group));
	for (i = 0; i < n; i = j) {
		struct group *g = &pl->group[pl->ngroup++];

		for (j = i + 1; j < n && same_group(&l[i], &l[j]);)
			j++;
		*g = (struct group){ .link = (uint32_t)i,
				     .nlink = (uint32_t)(j - i),
				     .when = l[i].when, .late = NO_LATE };
		why = group_refusal(pl, &l[i]);
		if (why)
			group_out(g, why);
		else if (g->when == WHEN_RETURNED ||
			 (g->when == WHEN_REACHED && is_overridden(pl, &l[i])))
			group_body(pl, g);
	}
}

/* Where the patch of a site may begin: behind an endbr64, if nothing enters
 * there.  NULL, or why it may not. */
static const struct reason *site_begin(const struct planner *pl, uint64_t site,
				       uint64_t *at)
{
	uint64_t room = image_room(pl->s->img, site), where;
	const uint8_t *b = image_at(pl->s->img, site, 1);
	enum target_why why;
	struct insn in;

	*at = site;
	if (!b || !insn_decode(b, room < 15 ? room : 15, site, &in) ||
	    !in.endbr)
		return NULL;
	*at = site + in.len;
	why = target_in(pl->s, *at - 1, *at + 1, &where);
	if (why == TARGET_NONE || why == TARGET_CALLSITE)
		return NULL;
	return WHY(pl, REASON_ENDBR,
		   "jump target at 0x%llx behind the endbr64 (%s)", HEX(where), target_why_name(why));
}

static bool may_override(const struct planner *pl, const struct group *g)
{
	for (uint32_t k = 0; k < g->nlink; k++)
		if (link_of(pl, g)[k].overrides)
			return true;
	return false;
}

static void want_add(struct planner *pl, struct group *g, uint64_t at,
		     enum point_kind kind, uint64_t site)
{
	pl->want = arena_push(pl->a, pl->want, pl->nwant, sizeof(*pl->want));
	pl->want[pl->nwant++] = (struct want){
		.at = at,
		.group = (uint32_t)(g - pl->group),
		.point = { .kind = (uint8_t)kind, .site = site,
			   .link = g->link, .nlink = g->nlink,
			   .late = g->late,
			   .overrides = kind == POINT_REACHED &&
					may_override(pl, g) },
	};
}

static void want_site(struct planner *pl, struct group *g,
		      enum point_kind kind)
{
	uint64_t site = link_of(pl, g)->addr, at;
	const struct reason *why = site_begin(pl, site, &at);

	if (pl->s->go_once && site == link_of(pl, g)->func->addr)
		at = go_once(pl->s, link_of(pl, g)->func);
	if (why)
		group_out(g, why);
	else
		want_add(pl, g, at, kind, site);
}

static void late_add(struct planner *pl, struct group *g)
{
	struct plan *o = pl->out;

	o->late = arena_push(pl->a, o->late, o->nlate, sizeof(*o->late));
	g->late = (uint32_t)o->nlate;
	o->late[o->nlate++] = (struct late){ .body = g->body, .link = g->link,
					     .nlink = g->nlink };
}

static void want_exits(struct planner *pl, struct group *g)
{
	bool tails = g->body->ntail && may_exchange(pl);

	g->untold = tails ? 0 : g->body->ntail;
	if (tails)
		late_add(pl, g);
	for (size_t i = 0; i < g->body->nexit; i++) {
		const struct exit *x = &g->body->exit[i];

		if (x->kind == EXIT_RET)
			want_add(pl, g, x->at, POINT_RETURN, x->at);
		else if (tails)
			want_add(pl, g, x->at, POINT_LEFT, x->at);
	}
}

static void group_wants(struct planner *pl, struct group *g)
{
	g->late = NO_LATE;
	g->untold = 0;
	if (g->mode == MODE_OUT)
		return;
	if (g->when == WHEN_REACHED) {
		want_site(pl, g, POINT_REACHED);
	} else if (g->when == WHEN_NOP5) {
		want_site(pl, g, POINT_NOP5);
	} else if (g->mode == MODE_ENTRY) {
		late_add(pl, g);
		want_site(pl, g, POINT_ENTERED);
	} else {
		want_exits(pl, g);
	}
}

static int by_place(const void *x, const void *y)
{
	const struct want *p = x, *q = y;

	if (p->at != q->at)
		return p->at < q->at ? -1 : 1;
	if (p->point.kind != q->point.kind)
		return p->point.kind - q->point.kind;
	return (p->point.link > q->point.link) -
	       (p->point.link < q->point.link);
}

void wants_make(struct planner *pl)
{
	pl->nwant = 0;
	pl->out->nlate = 0;
	for (size_t i = 0; i < pl->ngroup; i++)
		group_wants(pl, &pl->group[i]);
	if (pl->nwant)
		qsort(pl->want, pl->nwant, sizeof(*pl->want), by_place);
}
