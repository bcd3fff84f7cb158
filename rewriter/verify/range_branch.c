/* SPDX-License-Identifier: MIT */
/* range_branch.c - what a conditional jump knows of its operands, and tells.
 *
 * A 32-bit comparison is one of the low spans; num_settle() tells the rest.
 * Every order is made "less" of unsigned numbers: signed ones keep their order
 * when the sign bit is flipped, which exchanges the two spans.
 */
#include <linux/bpf.h>

#include "rewriter/verify/range.h"
#include "rewriter/verify/spans.h"

/* The comparisons as: a < b or b < a, or that negated. */
// clang-format off
static const struct order { bool order, sign, negate, swap; } orders[16] = {
	[BPF_JLT  >> 4] = { true, false, false, false },
	[BPF_JGT  >> 4] = { true, false, false, true },
	[BPF_JGE  >> 4] = { true, false, true,  false },
	[BPF_JLE  >> 4] = { true, false, true,  true },
	[BPF_JSLT >> 4] = { true, true,  false, false },
	[BPF_JSGT >> 4] = { true, true,  false, true },
	[BPF_JSGE >> 4] = { true, true,  true,  false },
	[BPF_JSLE >> 4] = { true, true,  true,  true },
};
// clang-format on

static struct spans *side(struct num *n, bool wide)
{
	return wide ? &n->wide : &n->low;
}

static void flip(struct spans *s, unsigned width)
{
	struct span h = s->h[0];

	s->h[0] = s->h[1];
	s->h[1] = h;
	for (int i = 0; i < 2; i++) {
		if (span_empty(s->h[i]))
			continue;
		s->h[i].lo ^= sign_bit(width);
		s->h[i].hi ^= sign_bit(width);
	}
}

/* 1: a < b, 0: never, -1: maybe. */
static int taken_less(const struct spans *a, const struct spans *b)
{
	if (spans_max(a) < spans_min(b))
		return 1;
	return spans_min(a) >= spans_max(b) ? 0 : -1;
}

/* The low half, as the number that a 32-bit comparison looks at. */
static void cut(struct num *n)
{
	n->bits = bits_low(n->bits, 32);
	n->wide = n->low;
	for (int i = 0; i < 2; i++)
		n->wide.h[0] = span_hull(n->wide.h[0], n->low.h[i]);
	n->wide.h[1] = EMPTY;
}

/* What is in both; false: nothing. */
static bool meet(struct num *a, const struct num *b)
{
	if (!bits_meet(&a->bits, b->bits))
		return false;
	a->wide = spans_meet(&a->wide, &b->wide);
	a->low = spans_meet(&a->low, &b->low);
	return num_settle(a);
}

/* 1: equal, 0: never, -1: maybe. */
static int taken_equal(struct num *a, const struct num *b)
{
	if (!a->bits.mask && !b->bits.mask)
		return a->bits.value == b->bits.value;
	return meet(a, b) ? -1 : 0;
}

static int taken_set(const struct range *a, const struct range *b, bool wide)
{
	struct range both = range_alu(BPF_AND, wide, 0, a, b);

	if (!both.umax)
		return 0;
	return both.umin ? 1 : -1;
}

static int opposite(int taken, bool negate)
{
	return taken < 0 ? taken : taken ^ negate;
}

int range_taken(uint8_t op, bool wide, const struct range *a,
		const struct range *b)
{
	struct order o = orders[op >> 4];
	struct num x, y;

	if (op == BPF_JSET)
		return taken_set(a, b, wide);
	x = num_of(a);
	y = num_of(b);
	if (o.order) {
		struct spans *s = side(&x, wide), *t = side(&y, wide);

		if (o.sign) {
			flip(s, wide ? 64 : 32);
			flip(t, wide ? 64 : 32);
		}
		return opposite(o.swap ? taken_less(t, s) : taken_less(s, t),
				o.negate);
	}
	if (!wide) {
		cut(&x);
		cut(&y);
	}
	return opposite(taken_equal(&x, &y), op == BPF_JNE);
}

static void clamp(struct spans *s, uint64_t lo, uint64_t hi)
{
	struct span in = { lo, hi };

	s->h[0] = span_meet(s->h[0], in);
	s->h[1] = span_meet(s->h[1], in);
}

/* a < b, or a <= b. */
static bool refine_less(struct spans *a, struct spans *b, bool equal,
			unsigned width)
{
	uint64_t min = spans_min(a), max = spans_max(b);

	if (!equal && (max == 0 || min == ones(width)))
		return false;
	clamp(a, 0, max - !equal);
	clamp(b, min + !equal, ones(width));
	return !spans_empty(a) && !spans_empty(b);
}

static bool refine_order(struct order o, bool taken, unsigned width,
			 struct spans *a, struct spans *b)
{
	bool swap = o.swap, no = o.negate ^ !taken, possible;

	if (o.sign) {
		flip(a, width);
		flip(b, width);
	}
	if (no) /* b <= a */
		swap = !swap;
	possible = refine_less(swap ? b : a, swap ? a : b, no, width);
	if (o.sign) {
		flip(a, width);
		flip(b, width);
	}
	return possible;
}

/* Both are what they have in common; of 32 bits, the low halves are. */
static bool refine_equal(bool wide, struct num *a, struct num *b)
{
	struct tnum x = a->bits, y = b->bits;

	if (!wide) {
		x.mask |= ~ones(32);
		y.mask |= ~ones(32);
		x.value &= ones(32);
		y.value &= ones(32);
		a->low = b->low = spans_meet(&a->low, &b->low);
		return bits_meet(&a->bits, y) && bits_meet(&b->bits, x);
	}
	if (!meet(a, b))
		return false;
	*b = *a;
	return true;
}

/* An end that the other number is, is moved. */
static void drop(struct spans *s, uint64_t v)
{
	for (int i = 0; i < 2; i++) {
		struct span *p = &s->h[i];

		if (span_empty(*p))
			continue;
		if (p->lo == v && p->hi == v) {
			*p = EMPTY;
			continue;
		}
		p->lo += p->lo == v;
		p->hi -= p->hi == v;
	}
}

static void refine_unequal(struct spans *a, struct spans *b)
{
	struct spans was = *a;

	if (spans_min(b) == spans_max(b))
		drop(a, spans_min(b));
	if (spans_min(&was) == spans_max(&was))
		drop(b, spans_min(&was));
}

/* Some bit of `may` is set.  The number is at least the lowest of them; if it
 * is the only one, it is known. */
static bool refine_some(struct num *n, bool wide, uint64_t may)
{
	struct spans *s = side(n, wide);

	if (!may)
		return false;
	clamp(s, may & -may, UINT64_MAX);
	if (may & (may - 1))
		return true;
	return bits_meet(&n->bits, (struct tnum){ may, ~may });
}

static bool refine_set(bool wide, bool taken, struct num *a, struct num *b)
{
	struct tnum x = bits_low(a->bits, wide ? 64 : 32);
	struct tnum y = bits_low(b->bits, wide ? 64 : 32);
	uint64_t may = (x.value | x.mask) & (y.value | y.mask);

	if (taken)
		return refine_some(a, wide, may) && refine_some(b, wide, may);
	return bits_meet(&a->bits, (struct tnum){ 0, ~y.value }) &&
	       bits_meet(&b->bits, (struct tnum){ 0, ~x.value });
}

static bool refine(uint8_t op, bool wide, bool taken, struct num *a,
		   struct num *b)
{
	if (op == BPF_JSET)
		return refine_set(wide, taken, a, b);
	if (op != BPF_JEQ && op != BPF_JNE)
		return refine_order(orders[op >> 4], taken, wide ? 64 : 32,
				    side(a, wide), side(b, wide));
	if ((op == BPF_JEQ) == taken)
		return refine_equal(wide, a, b);
	refine_unequal(side(a, wide), side(b, wide));
	return true;
}

bool range_refine(uint8_t op, bool wide, bool taken, struct range *a,
		  struct range *b)
{
	struct num x = num_of(a), y = num_of(b);

	if (!refine(op, wide, taken, &x, &y) || !num_settle(&x) ||
	    !num_settle(&y))
		return false;
	*a = range_of(&x);
	*b = range_of(&y);
	return true;
}
