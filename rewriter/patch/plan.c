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
 * make five bytes.  It may be replaced when
 *   - each of its instructions can be moved (displace.c);
 *   - nothing but falling in reaches its interior (target_in());
 *   - a call is the last of it, because the callee returns behind the call;
 *   - an instruction that never goes on is the last of it.  When that makes
 *     less than five bytes, dead padding behind it may be used up.
 * A window of one instruction has no interior that compiled code would enter;
 * yet glibc jumps over lock prefixes, so it is asked about branches.
 *
 * An endbr64 has to stay where indirect branches look for it: the patch
 * stands behind it.  A branch to behind the endbr64 would then run programs
 * that belong to the endbr64, so there must be none.
 */
#include <assert.h>
#include <string.h>

#include "rewriter/patch/displace.h"

enum { JUMP_SIZE = 5, INSN_MAX = 15 };

struct planner {
	struct arena *a;
	const struct sites *s;
	const struct links *links;
	struct plan *out;
	struct err *e;
};

static uint8_t window_len(const struct patch *p)
{
	uint8_t n = 0;

	for (unsigned i = 0; i < p->ninsn; i++)
		n += p->insn[i].len;
	return n;
}

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

/* Nops and int3 behind an instruction that never goes on: dead, inside a
 * function or behind it, unless something jumps there.  A nop may reach beyond
 * `to` (code_is_padding() would not have that): its rest is as dead. */
static bool dead_padding(const struct image *img, uint64_t from, uint64_t to)
{
	struct insn in;

	while (from < to) {
		uint64_t n = image_room(img, from);
		const uint8_t *b = image_at(img, from, 1);

		n = n < INSN_MAX ? n : INSN_MAX;
		if (!b || !insn_decode(b, n, from, &in))
			return false;
		if (!in.nop && *b != 0xcc)
			return false;
		from += in.len;
	}
	return true;
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
};
// clang-format on
enum { NTACTIC = sizeof(tactics) / sizeof(*tactics) };

const char *tactic_name(uint8_t tactic)
{
	assert(tactic < NTACTIC);
	return tactics[tactic].name;
}

#define WHY(pl, ...) arena_printf((pl)->a, "not weldable: " __VA_ARGS__)
#define HEX(v) ((unsigned long long)(v))

/* The end of what may be replaced: of the function, or what follows it. */
static uint64_t code_end(const struct planner *pl, const struct func *f)
{
	return f->size ? f->addr + f->size : func_limit(pl->s, f);
}

/* One more instruction into the window; NULL, or why not. */
static const char *window_grow(const struct planner *pl, struct patch *p,
			       uint64_t at)
{
	uint64_t end = code_end(pl, p->func), room;
	struct insn *in = &p->insn[p->ninsn];
	const struct insn *last = in - 1;
	const uint8_t *b = image_at(pl->s->img, at, 1);
	const char *why;

	if (at >= end || !b)
		return WHY(pl, "the function ends at 0x%llx", HEX(at));
	if (p->ninsn && (last->flow == FLOW_CALL ||
			 last->flow == FLOW_CALL_IND))
		return WHY(pl, "a call returns to 0x%llx inside the window",
			   HEX(at));
	room = image_room(pl->s->img, at);
	room = room < end - at ? room : end - at;
	if (!insn_decode(b, room < INSN_MAX ? room : INSN_MAX, at, in))
		return WHY(pl, "no valid instruction at 0x%llx", HEX(at));
	why = displace_refusal(b, in);
	if (why)
		return WHY(pl, "%s at 0x%llx cannot be moved", why, HEX(at));
	p->ninsn++;
	return NULL;
}

static const char *window_read(const struct planner *pl, struct patch *p)
{
	uint64_t at = p->at;
	const char *why = NULL;

	while (!why && at < p->at + JUMP_SIZE && p->ninsn < PATCH_INSNS) {
		why = window_grow(pl, p, at);
		if (why)
			break;
		at += p->insn[p->ninsn - 1].len;
		if (insn_ends_flow(&p->insn[p->ninsn - 1]))
			break;
	}
	return why;
}

/* Exception tables speak of calls by their return address, which stays the
 * original one; a boundary between call sites is nothing that is jumped to.
 * The interior of one instruction is entered by branches only; pointers and
 * stray bytes that seem to name it are accidents. */
static bool harmless(const struct patch *p, enum target_why why)
{
	if (why == TARGET_CALLSITE)
		return true;
	return p->ninsn == 1 && p->tactic != TACTIC_PADDING &&
	       (why == TARGET_MAYBE || why == TARGET_POINTER);
}

static const char *window_prove(const struct planner *pl,
				const struct patch *p)
{
	uint64_t lo = p->at, hi = p->at + p->len, where;
	enum target_why why;

	while ((why = target_in(pl->s, lo, hi, &where)) != TARGET_NONE) {
		if (!harmless(p, why))
			return WHY(pl, "jump target at 0x%llx inside the "
				       "window (%s)",
				   HEX(where), target_why_name(why));
		lo = where;
	}
	return NULL;
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
	const char *why = p->func->copied ? WHY(pl, "V8 runs a copy of %s",
						p->func->name)
					  : window_read(pl, p);

	if (why)
		return why;
	for (uint8_t t = TACTIC_NONE + 1; t < NTACTIC; t++)
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

/* All links on one address. */
static int group_plan(struct planner *pl, uint32_t link, uint32_t nlink)
{
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
	if (!why)
		why = tactic_choose(pl, &p);
	if (why) {
		group_refuse(pl, &p, why);
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
	size_t i, j;

	*out = (struct plan){ 0 };
	for (i = 0; i < links->nlink; i = j) {
		for (j = i + 1; j < links->nlink && l[j].addr == l[i].addr;)
			j++;
		if (group_plan(&pl, (uint32_t)i, (uint32_t)(j - i)))
			return -1;
	}
	return 0;
}
