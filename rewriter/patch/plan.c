/* SPDX-License-Identifier: MIT */
/* plan.c - decide for each probed address how five bytes are found there for
 * a jump.
 *
 *   site:  push %rbp           --> jmp trampoline     (5 bytes)
 *          mov %rsp, %rbp                               int3 over the rest
 *          sub $32, %rsp
 *   next:  ...
 *
 * The window is as many whole instructions from the site on as it takes to
 * make five bytes (window.c).  When execution does not go on that far, dead
 * padding behind it may be used up.  Where all that fails, two bytes are enough
 * to jump to five bytes nearby (hop.c); that comes last, because then it is
 * known what the other patches leave.
 *
 * An endbr64 has to stay where indirect branches look for it: the patch
 * stands behind it.  A branch to behind the endbr64 would then run programs
 * that belong to the endbr64, so there must be none.
 */
#include <assert.h>
#include <string.h>

#include "rewriter/patch/window.h"

/* Whole instructions from p->at on are in p; does the tactic take them?  It
 * sets the bytes to be replaced. */
static bool nop_run(const struct planner *pl, struct patch *p)
{
	(void)pl;
	for (unsigned i = 0; i < p->ninsn; i++)
		if (!p->insn[i].nop)
			return false;
	p->len = window_len(p);
	return p->len >= JUMP_SIZE;
}

static bool one_insn(const struct planner *pl, struct patch *p)
{
	(void)pl;
	p->len = window_len(p);
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
	return insn_ends_flow(&p->insn[p->ninsn - 1]) &&
	       p->at + JUMP_SIZE <= func_limit(pl->s, p->func) &&
	       dead_padding(pl->s->img, p->at + window_len(p),
			    p->at + JUMP_SIZE);
}

// clang-format off
static const struct {
	const char *name;
	bool (*takes)(const struct planner *pl, struct patch *p);
} tactics[] = { /* in this order */
	[TACTIC_NONE]    = { "none", NULL },
	[TACTIC_NOP_RUN] = { "nops", nop_run },
	[TACTIC_INSN]    = { "instruction", one_insn },
	[TACTIC_WINDOW]  = { "window", window },
	[TACTIC_PADDING] = { "padding", padding },
	[TACTIC_HOP]     = { "hop", NULL }, /* not in this row */
	[TACTIC_HOST]    = { "host", NULL },
};
// clang-format on
enum {
	NTACTIC = sizeof(tactics) / sizeof(*tactics),
	LAST_TRIED = TACTIC_PADDING,
};

const char *tactic_name(uint8_t tactic)
{
	assert(tactic < NTACTIC);
	return tactics[tactic].name;
}

/* Skip an endbr64 at the site, if nothing enters behind it. */
static const char *endbr_skip(const struct planner *pl, struct patch *p)
{
	const struct image *img = pl->s->img;
	const uint8_t *b = image_at(img, p->site, 4);
	enum target_why why;
	uint64_t where;
	struct insn in;

	p->at = p->site;
	if (!b || !insn_decode(b, 4, p->site, &in) || !in.endbr)
		return NULL;
	p->at += in.len;
	why = target_in(pl->s, p->at - 1, p->at + 1, &where);
	if (why == TARGET_NONE || why == TARGET_CALLSITE)
		return NULL;
	return WHY(pl, "jump target at 0x%llx behind the endbr64 (%s)",
		   HEX(p->at), target_why_name(why));
}

static const char *tactic_choose(const struct planner *pl, struct patch *p)
{
	const char *why = window_read(pl, p, JUMP_SIZE);

	if (why)
		return why;
	for (uint8_t t = TACTIC_NONE + 1; t <= LAST_TRIED; t++)
		if (tactics[t].takes(pl, p)) {
			p->tactic = t;
			return window_prove(pl, p);
		}
	return WHY(pl, "the code ends at 0x%llx and no padding follows",
		   HEX(p->at + window_len(p)));
}

static void group_refuse(struct planner *pl, const struct patch *p,
			 const char *why)
{
	struct plan *o = pl->out;

	for (uint32_t k = 0; k < p->nlink; k++) {
		o->refusal = arena_push(pl->a, o->refusal, o->nrefusal,
					sizeof(*o->refusal));
		o->refusal[o->nrefusal++] =
			(struct refusal){ .link = p->link + k, .why = why };
	}
}

/* Did a glob bring in one of the sites?  Then it may be left out. */
static bool by_glob(const struct planner *pl, const struct patch *p)
{
	for (uint32_t k = 0; k < p->nlink; k++)
		if (!pl->links->link[p->link + k].glob)
			return false;
	return true;
}

static int overlap(struct planner *pl, const struct patch *first,
		   const struct patch *p)
{
	if (!by_glob(pl, p) && !by_glob(pl, first)) {
		fail(pl->e, pl->s->img->path, p->site,
		     "too close to the probe at 0x%llx, whose patch reaches to "
		     "0x%llx",
		     HEX(first->site), HEX(first->at + first->len));
		pl->e->kind = ERR_NOT_PLACED;
		return -1;
	}
	group_refuse(pl, p,
		     WHY(pl, "the patch for 0x%llx reaches to 0x%llx",
			 HEX(first->site), HEX(first->at + first->len)));
	return 0;
}

/* What is decided at last. */
struct groups {
	struct planner *pl;
	struct stuck *stuck;
	size_t nstuck;
};

static void group_stuck(struct groups *g, const struct patch *p,
			const char *why)
{
	g->stuck = arena_push(g->pl->a, g->stuck, g->nstuck, sizeof(*g->stuck));
	g->stuck[g->nstuck++] = (struct stuck){ *p, why };
}

/* All links on one address. */
static int group_plan(struct groups *g, uint32_t link, uint32_t nlink)
{
	struct planner *pl = g->pl;
	const struct link *l = &pl->links->link[link];
	struct patch p = { .site = l->addr, .func = l->func,
			   .link = link, .nlink = nlink };
	struct plan *o = pl->out;
	struct patch *last = o->npatch ? &o->patch[o->npatch - 1] : NULL;
	const char *why = endbr_skip(pl, &p);

	/* Behind an endbr64 that is probed as well: one patch serves both, and
	 * the endbr64's programs run first. */
	if (last && last->at == p.at) {
		last->nlink += nlink;
		return 0;
	}
	if (last && p.at < last->at + last->len)
		return overlap(pl, last, &p);
	if (!why && p.func->copied)
		why = WHY(pl, "V8 runs a copy of %s", p.func->name);
	if (why) {
		group_refuse(pl, &p, why);
		return 0;
	}
	why = tactic_choose(pl, &p);
	if (why) {
		group_stuck(g, &p, why);
		return 0;
	}
	p.live = live_at(pl->s, p.func, p.at);
	o->patch = arena_push(pl->a, o->patch, o->npatch, sizeof(*o->patch));
	o->patch[o->npatch++] = p;
	return 0;
}

int plan_make(struct arena *a, const struct sites *s,
	      const struct links *links, struct plan *out, struct err *e)
{
	struct planner pl = { a, s, links, out, e };
	const struct link *l = links->link;
	struct groups g = { .pl = &pl };
	size_t i, j;

	*out = (struct plan){ 0 };
	for (i = 0; i < links->nlink; i = j) {
		for (j = i + 1; j < links->nlink && l[j].addr == l[i].addr;)
			j++;
		if (group_plan(&g, (uint32_t)i, (uint32_t)(j - i)))
			return -1;
	}
	hops_place(&pl, g.stuck, &g.nstuck);
	for (i = 0; i < g.nstuck; i++)
		group_refuse(&pl, &g.stuck[i].p, g.stuck[i].why);
	return 0;
}
