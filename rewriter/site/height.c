/* SPDX-License-Identifier: MIT */
/* height.c - how far the stack pointer is from where it was before the call,
 * in code that no frame description covers: 8 where the return address is on
 * top, as unwind_height() has it.
 *
 * The flow is followed from the function's entry; what is counted are pushes,
 * pops, constants added, and a frame pointer that keeps an earlier value.
 * Calls leave the pointer as it was; one into the function itself also leads
 * there, with its return address on the stack.  (A ret in the form that is safe
 * from Spectre: call 1f; [...]; 1: lea 8(%rsp), %rsp; ret.)  Where paths
 * disagree, or something else is done to it, nothing is known; nor is it where
 * no path was seen to lead.
 */
#include "elf/unwind.h"
#include "rewriter/site/targets.h"

enum { LONGEST = 15, UNSEEN = 0, UNKNOWN = -1, HIGHEST = 1 << 20 };

struct height { /* before the instruction at this byte */
	int32_t sp, fp; /* of rsp and of rbp */
};
struct heights {
	struct arena *a;
	const struct span *in;
	uint64_t lo, hi;
	struct height *v;
	uint64_t *todo;
	size_t ntodo;
};

static void reached(struct heights *w, uint64_t at, struct height h)
{
	struct height *old;

	if (at < w->lo || at >= w->hi)
		return;
	old = &w->v[at - w->lo];
	if (old->sp != UNSEEN) {
		h.sp = h.sp == old->sp ? h.sp : UNKNOWN;
		h.fp = h.fp == old->fp ? h.fp : UNKNOWN;
		if (h.sp == old->sp && h.fp == old->fp)
			return;
	}
	*old = h;
	w->todo = arena_push(w->a, w->todo, w->ntodo, sizeof(*w->todo));
	w->todo[w->ntodo++] = at;
}

static bool is(const uint8_t *p, const struct insn *in, const char *bytes,
	       size_t n)
{
	return in->len >= n && !memcmp(p, bytes, n);
}

/* lea DISP(%rbp or %rsp), %rsp: where its displacement stands, or 0. */
static unsigned lea_sp(const uint8_t *p, const struct insn *in, bool *of_fp)
{
	*of_fp = is(p, in, "\x48\x8d\x65", 3) || is(p, in, "\x48\x8d\xa5", 3);
	if (*of_fp)
		return 3;
	return is(p, in, "\x48\x8d\x64\x24", 4) ||
			       is(p, in, "\x48\x8d\xa4\x24", 4)
		       ? 4
		       : 0;
}

/* push mem, of which insn_stack() does not speak. */
static bool pushes_memory(const uint8_t *p, const struct insn *in)
{
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);

	return p[op] == 0xff && (p[op + 1] >> 3 & 7) == 6 &&
	       !insn_has_prefix(p, op, 0x66);
}

/* rsp behind an instruction that writes it. */
static int32_t moved(const uint8_t *p, const struct insn *in, struct height h,
		     uint32_t writes)
{
	int32_t by = 0;
	bool of_fp;
	unsigned disp = lea_sp(p, in, &of_fp);

	if (insn_stack(p, in, &by) != STACK_OTHER)
		return h.sp > 0 ? h.sp + by : UNKNOWN;
	if (pushes_memory(p, in))
		return h.sp > 0 ? h.sp + 8 : UNKNOWN;
	if (is(p, in, "\xc9", 1)) /* leave */
		return h.fp > 0 ? h.fp - 8 : UNKNOWN;
	if (is(p, in, "\x48\x89\xec", 3) || is(p, in, "\x48\x8b\xe5", 3))
		return h.fp;
	if (disp) {
		by = of_fp ? h.fp : h.sp;
		return by > 0 ? by - insn_imm(p + disp,
					      in->len - disp == 1 ? 1 : 4)
			      : UNKNOWN;
	}
	return writes & REG_BIT(RSP) ? UNKNOWN : h.sp;
}

static struct height behind(const uint8_t *p, const struct insn *in,
			    struct height h)
{
	struct effects fx = { 0 };
	struct height now = h;

	if (in->flow == FLOW_CALL || in->flow == FLOW_CALL_IND)
		return h;
	if (!insn_effects(p, in->len, &fx))
		fx.writes = ALL_REGS;
	now.sp = moved(p, in, h, fx.writes);
	if (is(p, in, "\x48\x89\xe5", 3) || is(p, in, "\x48\x8b\xec", 3))
		now.fp = h.sp;
	else if (fx.writes & REG_BIT(RBP))
		now.fp = UNKNOWN;
	if (now.sp <= 0 || now.sp > HIGHEST)
		now.sp = UNKNOWN;
	return now;
}

static struct height pushed(struct height h)
{
	return (struct height){ h.sp > 0 ? h.sp + 8 : UNKNOWN, h.fp };
}

static void step(struct heights *w, uint64_t at)
{
	const uint8_t *p = w->in->p + (at - w->in->lo);
	struct height h = w->v[at - w->lo];
	struct insn in;

	if (!insn_decode(p, w->hi - at < LONGEST ? w->hi - at : LONGEST, at,
			 &in))
		return;
	h = behind(p, &in, h);
	if (in.flow == FLOW_JMP || in.flow == FLOW_JCC ||
	    in.flow == FLOW_LOOP)
		reached(w, in.target, h);
	if (in.flow == FLOW_CALL && in.target != w->lo)
		reached(w, in.target, pushed(h));
	if (in.flow != FLOW_JMP && in.flow != FLOW_JMP_IND &&
	    in.flow != FLOW_RET && in.flow != FLOW_STOP)
		reached(w, at + in.len, h);
}

/* All of f's, in targets.height. */
static void heights_find(struct heights *w, struct targets *t,
			 const struct func *f)
{
	size_t n = w->hi - w->lo;

	if (n > t->height_room) {
		t->height_room = 2 * n;
		t->height = arena_alloc(t->a, t->height_room * sizeof(*w->v));
	}
	memset(t->height, 0, n * sizeof(*w->v));
	t->height_of = f;
	w->v = t->height;
	reached(w, w->lo, (struct height){ 8, UNKNOWN });
	while (w->ntodo)
		step(w, w->todo[--w->ntodo]);
}

int32_t stack_height(const struct sites *s, const struct func *f, uint64_t at)
{
	struct targets *t = s->targets;
	struct heights w = { .a = t->a, .in = span_of(t, f->addr),
			     .lo = f->addr, .hi = func_end(s, f) };

	if (!w.in || w.hi > w.in->hi || at < w.lo || at >= w.hi)
		return UNWIND_UNKNOWN;
	if (t->height_of != f)
		heights_find(&w, t, f);
	return t->height[at - w.lo].sp > 0 ? t->height[at - w.lo].sp
					   : UNWIND_UNKNOWN;
}
