/* SPDX-License-Identifier: MIT */
/* range_alu.c - what an ALU instruction makes of ranges.
 *
 * Known bits and spans are calculated independently and settled at the end.
 * Where the low half of a result depends on the low halves alone (add to xor),
 * it is also calculated in 32 bits: that is the whole of a 32-bit instruction.
 */
#include <assert.h>

#include <linux/bpf.h>

#include "rewriter/verify/range.h"
#include "rewriter/verify/spans.h"

/* Spans: `out` grows by what the operation makes of one span with another. */

static void span_add(struct spans *out, unsigned width, struct span a,
		     struct span b)
{
	spans_add_arc(out, width, a.lo + b.lo, a.hi - a.lo + (b.hi - b.lo));
}

static void span_sub(struct spans *out, unsigned width, struct span a,
		     struct span b)
{
	spans_add_arc(out, width, a.lo - b.hi, a.hi - a.lo + (b.hi - b.lo));
}

static __int128 as_signed(unsigned width, uint64_t v)
{
	return v & sign_bit(width) ? (__int128)v - ones(width) - 1 : v;
}

static void span_mul(struct spans *out, unsigned width, struct span a,
		     struct span b)
{
	__int128 al = as_signed(width, a.lo), ah = as_signed(width, a.hi);
	__int128 bl = as_signed(width, b.lo), bh = as_signed(width, b.hi);
	__int128 lo = (bl < 0 ? ah : al) * (al < 0 ? bh : bl);
	__int128 hi = (bl < 0 ? al : ah) * (al < 0 ? bl : bh);

	spans_add_arc(out, width, lo,
		      hi - lo > ones(width) ? ones(width) : hi - lo);
}

/* The bits in which numbers of one span differ, and all below. */
static uint64_t varying(struct span a, struct span b)
{
	uint64_t bits = (a.lo ^ a.hi) | (b.lo ^ b.hi);

	return bits ? UINT64_MAX >> __builtin_clzll(bits) : 0;
}

static uint64_t highest(uint64_t bits)
{
	return UINT64_C(1) << (63 - __builtin_clzll(bits));
}

/* Raised to have a bit, with nothing below. */
static uint64_t with(uint64_t v, uint64_t bit)
{
	return (v | bit) & -bit;
}

/* Lowered to lose a bit that it has, for all below. */
static uint64_t without(uint64_t v, uint64_t bit)
{
	return (v - bit) | (bit - 1);
}

/* The least x | y: one may be raised to a bit that the other has anyway; the
 * highest such bit is worth the most. */
static uint64_t or_min(struct span a, struct span b)
{
	uint64_t rest = (a.lo ^ b.lo) & varying(a, b), bit;

	for (; rest; rest &= ~bit) {
		bit = highest(rest);
		if (b.lo & bit && with(a.lo, bit) <= a.hi)
			return with(a.lo, bit) | b.lo;
		if (a.lo & bit && with(b.lo, bit) <= b.hi)
			return a.lo | with(b.lo, bit);
	}
	return a.lo | b.lo;
}

/* The greatest: of a bit that both have, one may be given away. */
static uint64_t or_max(struct span a, struct span b)
{
	uint64_t rest = a.hi & b.hi & varying(a, b), bit;

	for (; rest; rest &= ~bit) {
		bit = highest(rest);
		if (without(a.hi, bit) >= a.lo)
			return without(a.hi, bit) | b.hi;
		if (without(b.hi, bit) >= b.lo)
			return a.hi | without(b.hi, bit);
	}
	return a.hi | b.hi;
}

static struct span inverse(struct span s)
{
	return (struct span){ ~s.hi, ~s.lo };
}

static void span_and(struct spans *out, unsigned width, struct span a,
		     struct span b)
{
	a = inverse(a);
	b = inverse(b);
	spans_add(out, width, ~or_max(a, b), ~or_min(a, b));
}

static void span_or(struct spans *out, unsigned width, struct span a,
		    struct span b)
{
	spans_add(out, width, or_min(a, b), or_max(a, b));
}

/* As for "or", but every bit of the result counts: it goes on. */
static uint64_t xor_min(struct span a, struct span b)
{
	uint64_t rest = varying(a, b), bit;

	while ((rest &= a.lo ^ b.lo)) {
		bit = highest(rest);
		if (b.lo & bit && with(a.lo, bit) <= a.hi)
			a.lo = with(a.lo, bit);
		else if (a.lo & bit && with(b.lo, bit) <= b.hi)
			b.lo = with(b.lo, bit);
		rest = bit - 1;
	}
	return a.lo ^ b.lo;
}

static uint64_t xor_max(struct span a, struct span b)
{
	uint64_t rest = varying(a, b), bit;

	while ((rest &= a.hi & b.hi)) {
		bit = highest(rest);
		if (without(a.hi, bit) >= a.lo)
			a.hi = without(a.hi, bit);
		else if (without(b.hi, bit) >= b.lo)
			b.hi = without(b.hi, bit);
		rest = bit - 1;
	}
	return a.hi ^ b.hi;
}

static void span_xor(struct spans *out, unsigned width, struct span a,
		     struct span b)
{
	uint64_t v = varying(a, b), top = (a.lo ^ b.lo) & ~v;

	if ((~a.lo & a.hi & v) == v || (~b.lo & b.hi & v) == v)
		spans_add(out, width, top, top | v); /* one is all there is */
	else
		spans_add(out, width, xor_min(a, b), xor_max(a, b));
}

static struct span quotient(struct span a, struct span b)
{
	return (struct span){ a.lo / b.hi, a.hi / b.lo };
}

/* If the quotient is always the same, the remainder is a difference. */
static struct span rest_of(struct span a, struct span b)
{
	struct span q = quotient(a, b), less = { 0, b.hi - 1 };

	if (q.lo == q.hi)
		a = (struct span){ a.lo - q.lo * b.hi, a.hi - q.lo * b.lo };
	else
		a.lo = 0;
	return span_meet(a, less);
}

/* x / 0 = 0, x % 0 = x; then b is what is left of it.  false: nothing. */
static bool without_zero(struct spans *out, unsigned width, struct span zero,
			 struct span *b)
{
	if (!b->lo) {
		spans_add(out, width, zero.lo, zero.hi);
		b->lo = 1;
	}
	return b->hi != 0;
}

static void span_udiv(struct spans *out, unsigned width, struct span a,
		      struct span b)
{
	struct span zero = { 0, 0 };

	if (!without_zero(out, width, zero, &b))
		return;
	a = quotient(a, b);
	spans_add(out, width, a.lo, a.hi);
}

static void span_umod(struct spans *out, unsigned width, struct span a,
		      struct span b)
{
	if (!without_zero(out, width, a, &b))
		return;
	a = rest_of(a, b);
	spans_add(out, width, a.lo, a.hi);
}

/* Signed numbers are divided as magnitudes, up to 2^(width - 1). */
static struct span magnitude(unsigned width, struct span s)
{
	if (!(s.lo & sign_bit(width)))
		return s;
	return (struct span){ -s.hi & ones(width), -s.lo & ones(width) };
}

/* The least number divided by -1 is itself: its magnitude, as it wraps. */
static void add_magnitude(struct spans *out, unsigned width, struct span s,
			  bool negative)
{
	spans_add_arc(out, width, negative ? -s.hi : s.lo, s.hi - s.lo);
}

static void span_sdiv(struct spans *out, unsigned width, struct span a,
		      struct span b)
{
	struct span zero = { 0, 0 };
	bool negative = (a.lo ^ b.lo) & sign_bit(width);

	if (!without_zero(out, width, zero, &b))
		return;
	a = quotient(magnitude(width, a), magnitude(width, b));
	add_magnitude(out, width, a, negative);
}

static void span_smod(struct spans *out, unsigned width, struct span a,
		      struct span b)
{
	bool negative = a.lo & sign_bit(width);

	if (!without_zero(out, width, a, &b))
		return;
	a = rest_of(magnitude(width, a), magnitude(width, b));
	add_magnitude(out, width, a, negative);
}

typedef void span_op(struct spans *, unsigned, struct span, struct span);

static struct spans each(span_op *f, unsigned width, const struct spans *a,
			 const struct spans *b)
{
	struct spans out = NOTHING;

	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
			if (!span_empty(a->h[i]) && !span_empty(b->h[j]))
				f(&out, width, a->h[i], b->h[j]);
	return out;
}

/* A product of unsigned numbers that fits is at least that of the least. */
static struct spans each_mul(unsigned width, const struct spans *a,
			     const struct spans *b)
{
	struct spans out = each(span_mul, width, a, b), plain;
	uint64_t lo = spans_min(a) * spans_min(b), hi;

	if (__builtin_mul_overflow(spans_max(a), spans_max(b), &hi) ||
	    hi > ones(width))
		return out;
	plain = spans_of(width, lo, hi);
	return spans_meet(&out, &plain);
}

/* Operations whose low half needs only low halves. */
// clang-format off
static const struct {
	struct tnum (*bits)(struct tnum, struct tnum);
	span_op *spans;
} plain[16] = {
	[BPF_ADD >> 4] = { tnum_add, span_add },
	[BPF_SUB >> 4] = { tnum_sub, span_sub },
	[BPF_MUL >> 4] = { tnum_mul, span_mul },
	[BPF_AND >> 4] = { tnum_and, span_and },
	[BPF_OR  >> 4] = { tnum_or,  span_or },
	[BPF_XOR >> 4] = { tnum_xor, span_xor },
};
// clang-format on

static struct spans plain_spans(uint8_t op, unsigned width,
				const struct spans *a, const struct spans *b)
{
	if (op == BPF_MUL)
		return each_mul(width, a, b);
	return each(plain[op >> 4].spans, width, a, b);
}

static struct range zero_extended(struct num *n)
{
	n->bits = bits_low(n->bits, 32);
	n->wide = spans_of(64, 0, UINT32_MAX);
	return num_range(n);
}

static struct range alu_plain(uint8_t op, bool wide, const struct num *a,
			      const struct num *b)
{
	struct num out;

	assert(plain[op >> 4].bits);
	out.bits = plain[op >> 4].bits(a->bits, b->bits);
	out.low = plain_spans(op, 32, &a->low, &b->low);
	if (!wide)
		return zero_extended(&out);
	out.wide = plain_spans(op, 64, &a->wide, &b->wide);
	return num_range(&out);
}

/* Shifts. */

static struct spans spans_shift(uint8_t op, unsigned width,
				const struct spans *s, unsigned by)
{
	struct spans out = NOTHING;

	for (int i = 0; i < 2; i++) {
		uint64_t lo = s->h[i].lo, hi = s->h[i].hi, more = hi - lo;
		uint64_t up = ~ones(width);

		if (span_empty(s->h[i]))
			continue;
		if (op == BPF_LSH)
			spans_add_arc(&out, width, lo << by,
				      more > ones(width) >> by ? ones(width)
							       : more << by);
		else if (op == BPF_ARSH && i)
			spans_add(&out, width,
				  ((int64_t)(lo | up) >> by) & ones(width),
				  ((int64_t)(hi | up) >> by) & ones(width));
		else
			spans_add(&out, width, lo >> by, hi >> by);
	}
	return out;
}

static struct tnum bits_shift(uint8_t op, unsigned width, struct tnum t,
			      unsigned by)
{
	unsigned up = 64 - width;

	t = bits_low(t, width);
	if (op == BPF_LSH)
		t = (struct tnum){ t.value << by, t.mask << by };
	else if (op == BPF_RSH)
		t = (struct tnum){ t.value >> by, t.mask >> by };
	else
		t = (struct tnum){ (int64_t)(t.value << up) >> up >> by,
				   (int64_t)(t.mask << up) >> up >> by };
	return bits_low(t, width);
}

static struct num shift_by(uint8_t op, bool wide, const struct num *a,
			   unsigned by)
{
	struct num out = num_any();

	out.bits = bits_shift(op, wide ? 64 : 32, a->bits, by);
	if (!wide || (op == BPF_LSH && by < 32))
		out.low = spans_shift(op, 32, &a->low, by);
	if (wide)
		out.wide = spans_shift(op, 64, &a->wide, by);
	if (wide && op == BPF_LSH && by >= 32) { /* only the low half stays */
		struct spans low = spans_shift(op, 64, &a->low, by);

		out.wide = spans_meet(&out.wide, &low);
		out.low = spans_of(32, 0, 0);
	}
	return out;
}

static void num_join(struct num *a, const struct num *b)
{
	a->bits = bits_join(a->bits, b->bits);
	for (int i = 0; i < 2; i++) {
		a->wide.h[i] = span_hull(a->wide.h[i], b->wide.h[i]);
		a->low.h[i] = span_hull(a->low.h[i], b->low.h[i]);
	}
}

/* By every number of bits that there may be; only the low bits of b count. */
static struct range alu_shift(uint8_t op, bool wide, const struct num *a,
			      const struct num *b)
{
	const struct spans *s = wide ? &b->wide : &b->low;
	unsigned last = wide ? 63 : 31, lo = 0, hi = last;
	struct num out, one;
	bool any = false;

	if (spans_max(s) <= last) {
		lo = spans_min(s);
		hi = spans_max(s);
	}
	for (unsigned by = lo; by <= hi; by++) {
		if ((by ^ b->bits.value) & ~b->bits.mask & last)
			continue;
		one = shift_by(op, wide, a, by);
		if (any)
			num_join(&out, &one);
		else
			out = one;
		any = true;
	}
	if (!any)
		out = num_any();
	return wide ? num_range(&out) : zero_extended(&out);
}

/* Division. */

/* What is below the factors of two that all divisors have, stays.  That is
 * everything if the divisor is 0, and x % 0 is x. */
static struct tnum bits_mod(struct tnum a, struct tnum b)
{
	uint64_t may = b.value | b.mask, stays = (may & -may) - 1;

	return (struct tnum){ a.value & stays, a.mask | ~stays };
}

/* Is every dividend less than every divisor, or the divisor 0? */
static bool too_small(unsigned width, bool sign, const struct spans *s,
		      const struct spans *d)
{
	for (int i = 0; i < 4; i++) {
		struct span a = s->h[i / 2], b = d->h[i % 2];

		if (span_empty(a) || span_empty(b) || !b.hi)
			continue;
		if (sign) {
			a = magnitude(width, a);
			b = magnitude(width, b);
		}
		if (a.hi >= (b.lo ? b.lo : 1))
			return false;
	}
	return true;
}

static struct range alu_div(uint8_t op, bool wide, bool sign,
			    const struct num *a, const struct num *b)
{
	static span_op *const f[2][2] = { { span_udiv, span_sdiv },
					  { span_umod, span_smod } };
	const struct spans *s = wide ? &a->wide : &a->low;
	const struct spans *d = wide ? &b->wide : &b->low;
	uint64_t lo = spans_min(d);
	struct num out = num_any(), by;

	if (span_empty(s->h[1]) && span_empty(d->h[1]))
		sign = false;
	if (!sign && lo == spans_max(d) && lo && !(lo & (lo - 1))) {
		by = num_const(op == BPF_DIV ? (uint64_t)__builtin_ctzll(lo)
					     : lo - 1);
		return op == BPF_DIV ? alu_shift(BPF_RSH, wide, a, &by)
				     : alu_plain(BPF_AND, wide, a, &by);
	}
	if (op == BPF_MOD && too_small(wide ? 64 : 32, sign, s, d)) {
		out = *a;
		return wide ? num_range(&out) : zero_extended(&out);
	}
	if (op == BPF_MOD)
		out.bits = bits_mod(a->bits, b->bits);
	*(wide ? &out.wide : &out.low) =
		each(f[op == BPF_MOD][sign], wide ? 64 : 32, s, d);
	return wide ? num_range(&out) : zero_extended(&out);
}

static struct range alu_mov(bool wide, unsigned from, struct num *n)
{
	if (from && from < 32) {
		n->bits = bits_shift(BPF_LSH, 32, n->bits, 32 - from);
		n->bits = bits_shift(BPF_ARSH, 32, n->bits, 32 - from);
		n->low = spans_shift(BPF_LSH, 32, &n->low, 32 - from);
		n->low = spans_shift(BPF_ARSH, 32, &n->low, 32 - from);
	}
	if (!wide)
		return zero_extended(n);
	if (from) {
		n->bits.value = (int32_t)n->bits.value;
		n->bits.mask = (int32_t)n->bits.mask;
		n->wide = n->low;
		if (!span_empty(n->wide.h[1])) {
			n->wide.h[1].lo |= ~ones(32);
			n->wide.h[1].hi |= ~ones(32);
		}
	}
	return num_range(n);
}

struct range range_alu(uint8_t op, bool wide, int16_t off,
		       const struct range *a, const struct range *b)
{
	struct num x = num_of(a), y = op == BPF_NEG ? num_const(0) : num_of(b);

	switch (op) {
	case BPF_MOV:
		return alu_mov(wide, off, &y);
	case BPF_NEG:
		return alu_plain(BPF_SUB, wide, &y, &x);
	case BPF_LSH:
	case BPF_RSH:
	case BPF_ARSH:
		return alu_shift(op, wide, &x, &y);
	case BPF_DIV:
	case BPF_MOD:
		return alu_div(op, wide, off == 1, &x, &y);
	default:
		return alu_plain(op, wide, &x, &y);
	}
}

struct range range_swap(bool swap, int bits, const struct range *a)
{
	struct num n = num_of(a), mask = num_const(ones(bits));

	if (!swap)
		return bits == 64 ? *a : alu_plain(BPF_AND, true, &n, &mask);
	n.bits.value = __builtin_bswap64(n.bits.value) >> (64 - bits);
	n.bits.mask = __builtin_bswap64(n.bits.mask) >> (64 - bits);
	n.wide = spans_any(64);
	n.low = spans_any(32);
	return num_range(&n);
}
