/* SPDX-License-Identifier: MIT */
/* window.c - the instructions that a patch replaces, and why that is safe.
 *
 * A window is whole instructions from one address on.  It may be replaced when
 *   - each of its instructions can be moved (displace.c);
 *   - nothing but falling in reaches its interior (target_in());
 *   - a call is the last of it, because the callee returns behind the call;
 *   - an instruction that never goes on is the last of it.
 * It may reach beyond what is said to be the function's end, because it is
 * read only as far as execution goes on: musl's _init has a size of one byte.
 *
 * A window of one instruction has no interior that compiled code would enter;
 * yet glibc jumps over lock prefixes, so it is asked about branches.
 */
#include <string.h>

#include "rewriter/patch/window.h"

enum { INSN_MAX = 15 };

/* Does a function begin here, or right behind the endbr64 it begins with? */
static bool at_entry(const struct planner *pl, const struct func *f,
		     uint64_t at)
{
	const uint8_t *b = image_at(pl->s->img, f->addr, 4);

	return !f->fragment &&
	       (at == f->addr || (at == f->addr + 4 && b &&
				  !memcmp(b, "\xf3\x0f\x1e\xfa", 4)));
}

struct patch patch_at(const struct planner *pl, uint64_t at)
{
	struct patch p = { .at = at, .func = func_around(pl->s, at) };

	p.entry = at_entry(pl, p.func, at);
	return p;
}

int window_index(const struct patch *p, uint64_t at)
{
	for (int i = 0; i < p->ninsn; i++)
		if (p->insn[i].at == at)
			return i;
	return -1;
}

uint8_t window_len(const struct patch *p)
{
	uint8_t n = 0;

	for (unsigned i = 0; i < p->ninsn; i++)
		n += p->insn[i].len;
	return n;
}

/* Nops and int3 behind an instruction that never goes on: dead, inside a
 * function or behind it, unless something jumps there.  A nop may reach beyond
 * `to` (code_is_padding() would not have that): its rest is as dead. */
bool dead_padding(const struct image *img, uint64_t from, uint64_t to)
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

/* One more instruction into the window; NULL, or why not. */
static const struct reason *window_grow(const struct planner *pl,
					struct patch *p, uint64_t at)
{
	uint64_t end = func_limit(pl->s, p->func), room;
	struct insn *in = &p->insn[p->ninsn];
	const struct insn *last = in - 1;
	const uint8_t *b = image_at(pl->s->img, at, 1);
	const char *fixed;

	if (at >= end || !b)
		return WHY(pl, REASON_END, "the function ends at 0x%llx", HEX(at));
	if (p->ninsn && (last->flow == FLOW_CALL ||
			 last->flow == FLOW_CALL_IND))
		return WHY(pl, REASON_CALL,
			   "a call returns to 0x%llx inside the window",
			   HEX(at));
	room = image_room(pl->s->img, at);
	room = room < end - at ? room : end - at;
	if (!insn_decode(b, room < INSN_MAX ? room : INSN_MAX, at, in))
		return WHY(pl, REASON_DECODE, "no valid instruction at 0x%llx",
			   HEX(at));
	fixed = displace_refusal(b, in);
	if (!fixed)
		fixed = go_insn_refusal(pl->s, p->func, p->insn, p->ninsn);
	if (fixed)
		return WHY(pl, REASON_MOVE, "%s at 0x%llx cannot be moved",
			   fixed, HEX(at));
	p->ninsn++;
	return NULL;
}

const struct reason *window_read(const struct planner *pl, struct patch *p,
				 unsigned want)
{
	uint64_t at = p->at;
	const struct reason *why = NULL;

	p->ninsn = 0;
	while (!why && at < p->at + want && p->ninsn < PATCH_INSNS) {
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
 * stray bytes that seem to name it are accidents.  So are pointers into Go's
 * check of the stack, which its assembler puts before all that can be jumped
 * to. */
static bool harmless(const struct planner *pl, const struct patch *p,
		     enum target_why why, uint64_t where)
{
	if (why == TARGET_CALLSITE)
		return true;
	if (why == TARGET_POINTER && p->func->go &&
	    where < go_once(pl->s, p->func))
		return true;
	return p->ninsn == 1 && p->len == p->insn[0].len &&
	       (why == TARGET_MAYBE || why == TARGET_POINTER);
}

const struct reason *window_prove(const struct planner *pl,
				  const struct patch *p)
{
	uint64_t lo = p->at, hi = p->at + p->len, where;
	enum target_why why;

	while ((why = target_in(pl->s, lo, hi, &where)) != TARGET_NONE) {
		if (!harmless(pl, p, why, where))
			return WHY(pl, REASON_TARGET + why,
				   "jump target at 0x%llx inside the window "
				   "(%s)",
				   HEX(where), target_why_name(why));
		lo = where;
	}
	return NULL;
}
