/* SPDX-License-Identifier: MIT */
/* live.c - what a probe may clobber: registers and flags that are written
 * before they are read, on every path from the site.
 *
 * A walk over the paths from `at`; each step carries what the path has
 * written so far.  A register read before that is live.  An address is
 * visited again only with less written than before, so loops end.
 *
 *   where a path ends               registers   flags
 *   call, ret                       all live    dead: the ABI keeps no flags
 *                                               over calls and returns
 *   call into the function itself   all live    live: made by hand
 *   jump out of the function,       all live    live
 *     indirect jump, system call,
 *     ud2/hlt/int3, undecodable,
 *     end of the function, or a
 *     walk that takes too long
 *
 * All registers at calls and returns, not only those that the ABI keeps: gcc
 * -fipa-ra lets a caller rely on what it knows its callee leaves alone, and
 * assembly passes arguments anywhere.  Compiled Go is different: a call of
 * other compiled Go and a return read neither r12, r13 nor r15, nor is anything in
 * them at an entry or behind its check of the stack; only its runtime's
 * assembly keeps registers (write barriers).  A jump to a fragment (.cold) of a
 * function stays inside.  The stack pointer is always live.
 */
#include "rewriter/site/targets.h"

enum {
	FLAGS = 1 << NREG, /* beside the REG_BITs */
	EVERYTHING = ALL_REGS | FLAGS,
	MAX_INSNS = 256,
	MAX_BLOCKS = 64,
	LONGEST = 15,
};

struct block {
	uint64_t at;
	uint32_t written; /* on every path that came here */
	bool pending;
};
struct walk {
	const struct sites *s;
	const struct func *f;
	struct block block[MAX_BLOCKS];
	size_t nblock;
	unsigned insns;
	uint32_t live;
};

enum { GO_SCRATCH = REG_BIT(R12) | REG_BIT(R13) | REG_BIT(R15) };

static void block_add(struct walk *w, uint64_t at, uint32_t written)
{
	const struct func *g;
	size_t i;

	if (at == w->f->addr && go_is_callable(w->s, w->f))
		written |= GO_SCRATCH;
	if (at - w->f->addr >= func_end(w->s, w->f) - w->f->addr) {
		g = func_around(w->s, at);
		if (!g || !g->fragment) {
			w->live |= EVERYTHING & ~written;
			return;
		}
	}
	for (i = 0; i < w->nblock && w->block[i].at != at; i++)
		;
	if (i == MAX_BLOCKS) {
		w->live |= EVERYTHING & ~written;
		return;
	}
	if (i == w->nblock)
		w->block[w->nblock++] = (struct block){ at, written, true };
	else if (w->block[i].written & ~written) {
		w->block[i].written &= written;
		w->block[i].pending = true;
	}
}

/* Inside the function, but not its entry? */
static bool own(const struct walk *w, uint64_t at)
{
	return at > w->f->addr && at < func_end(w->s, w->f);
}

/* Of the assembly that compiled Go calls, what does not come back, or to the
 * function's entry. */
static bool keeps_nothing(const struct func *f)
{
	return is_compiled_go(f) ||
	       (f && f->go && (!strncmp(f->name, "runtime.morestack", 17) ||
			       !strncmp(f->name, "runtime.panic", 13)));
}

/* What a call or a return of this function reads. */
static uint32_t read_outside(const struct walk *w, const struct insn *in)
{
	if (own(w, in->target) && in->flow == FLOW_CALL)
		return EVERYTHING;
	if (in->flow == FLOW_RET && go_is_callable(w->s, w->f))
		return ALL_REGS & ~GO_SCRATCH;
	if (!is_compiled_go(w->f) ||
	    (in->flow == FLOW_CALL &&
	     !keeps_nothing(func_at(w->s, in->target))))
		return ALL_REGS;
	return ALL_REGS & ~GO_SCRATCH;
}

/* One instruction.  True: the path goes on behind it. */
static bool step(struct walk *w, const struct insn *in,
		 const struct effects *fx, uint32_t *written)
{
	uint32_t before = *written;

	w->live |= fx->reads & ~before;
	if (fx->reads_flags)
		w->live |= FLAGS & ~before;
	*written |= fx->writes | (fx->writes_flags ? FLAGS : 0);
	switch (in->flow) {
	case FLOW_NEXT:
		return true;
	case FLOW_JCC:
	case FLOW_LOOP:
		block_add(w, in->target, *written);
		return true;
	case FLOW_JMP:
		block_add(w, in->target, *written);
		return false;
	case FLOW_CALL:
	case FLOW_CALL_IND:
	case FLOW_RET:
		w->live |= read_outside(w, in) & ~before;
		return false;
	default:
		w->live |= EVERYTHING & ~before;
		return false;
	}
}

/* Nothing more can be learnt on a path where all is written or live. */
static bool done(const struct walk *w, uint32_t written)
{
	return ((w->live | written) & EVERYTHING) == EVERYTHING;
}

static void block_walk(struct walk *w, struct block b)
{
	struct span *sp = span_of(w->s->targets, b.at);
	const struct func *f = func_around(w->s, b.at);
	uint64_t at = b.at, end = f && sp ? func_end(w->s, f) : at;
	struct effects fx;
	struct insn in;

	while (!done(w, b.written)) {
		const uint8_t *p;
		uint64_t room;

		if (at >= end || w->insns++ >= MAX_INSNS)
			break;
		p = sp->p + (at - sp->lo);
		room = sp->hi - at < LONGEST ? sp->hi - at : LONGEST;
		if (!insn_decode(p, room, at, &in) ||
		    !insn_effects(p, in.len, &fx))
			break;
		at += in.len;
		if (!step(w, &in, &fx, &b.written))
			return;
	}
	w->live |= EVERYTHING & ~b.written;
}

struct live live_at(const struct sites *s, const struct func *f, uint64_t at)
{
	struct walk w = { .s = s, .f = f, .live = REG_BIT(RSP) };
	bool again = true;

	block_add(&w, at, 0);
	while (again) {
		again = false;
		for (size_t i = 0; i < w.nblock; i++) {
			if (!w.block[i].pending)
				continue;
			w.block[i].pending = false;
			again = true;
			block_walk(&w, w.block[i]);
		}
	}
	if (s->go_once && is_compiled_go(f) && at == go_once(s, f))
		w.live &= ~(uint32_t)GO_SCRATCH;
	return (struct live){ w.live & ALL_REGS, (w.live & FLAGS) != 0 };
}
