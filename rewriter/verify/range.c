/* SPDX-License-Identifier: MIT */
/* range.c - how the descriptions of one number learn from each other.
 *
 * The ends of every span are moved inwards until they are numbers that the
 * known bits allow, and whose low half the 32-bit spans allow; the spans of 64
 * bits narrow those of 32; what the numbers of all spans have in common is
 * known bits.  Repeated until nothing changes, which is nearly always at once.
 */
#include "rewriter/verify/range.h"

#include <string.h>

#include "rewriter/verify/spans.h"

enum {
	ROUNDS = 6, /* a round always narrows; to stop early is only less sharp
		     */
};

/* Signed bounds as numbers of this width: below zero, they bound the numbers
 * with the sign bit, else the others; and what lies behind them is out. */
static struct spans spans_from(unsigned width, uint64_t umin, uint64_t umax,
			       uint64_t smin, uint64_t smax)
{
	uint64_t sign = sign_bit(width);
	bool below = smin & sign, above = !(smax & sign);
	struct spans s = NOTHING;

	if (above && umin < sign)
		s.h[0] = span_meet((struct span){ below ? 0 : smin, smax },
				   (struct span){ umin, umax });
	if (below && umax >= sign)
		s.h[1] = span_meet(
			(struct span){ smin, above ? ones(width) : smax },
			(struct span){ umin, umax });
	return s;
}

static uint64_t signed_min(const struct spans *s)
{
	return s->h[span_empty(s->h[1]) ? 0 : 1].lo;
}

static uint64_t signed_max(const struct spans *s)
{
	return s->h[span_empty(s->h[0]) ? 1 : 0].hi;
}

struct num num_of(const struct range *r)
{
	return (struct num){
		.bits = r->bits,
		.wide = spans_from(64, r->umin, r->umax, r->smin, r->smax),
		.low = spans_from(32, r->umin32, r->umax32, (uint32_t)r->smin32,
				  (uint32_t)r->smax32),
	};
}

struct range range_of(const struct num *n)
{
	return (struct range){
		.bits = n->bits,
		.umin = spans_min(&n->wide),
		.umax = spans_max(&n->wide),
		.smin = signed_min(&n->wide),
		.smax = signed_max(&n->wide),
		.umin32 = spans_min(&n->low),
		.umax32 = spans_max(&n->low),
		.smin32 = signed_min(&n->low),
		.smax32 = signed_max(&n->low),
	};
}

struct num num_any(void)
{
	return (struct num){ BITS_ANY, spans_any(64), spans_any(32) };
}

struct num num_const(uint64_t v)
{
	return (struct num){
		.bits = bits_const(v),
		.wide = spans_of(64, v, v),
		.low = spans_of(32, (uint32_t)v, (uint32_t)v),
	};
}

/* The least number >= x with these bits; false: there is none.  `top` is the
 * highest bit in which x is wrong.  If it must be 1, what is below may be as
 * low as can be.  If it must be 0, x has to grow above it: in the lowest free
 * bit that is still 0. */
static bool bits_ceil(struct tnum t, uint64_t *x)
{
	uint64_t wrong = (*x ^ t.value) & ~t.mask;
	uint64_t below, free, top;

	if (!wrong)
		return true;
	top = UINT64_C(1) << (63 - __builtin_clzll(wrong));
	below = top | (top - 1);
	if (!(t.value & top)) {
		free = t.mask & ~*x & ~below;
		if (!free)
			return false;
		top = free & -free;
		below = top | (top - 1);
	}
	*x = (*x & ~below) | (t.value & below) | top;
	return true;
}

static bool bits_floor(struct tnum t, uint64_t *x)
{
	struct tnum inverse = { ~t.value & ~t.mask, t.mask };
	uint64_t y = ~*x;
	bool any = bits_ceil(inverse, &y);

	*x = ~y;
	return any;
}

/* The ends of a span become numbers with these bits.  true: they were not. */
static bool fit_bits(struct spans *s, struct tnum t)
{
	bool moved = false;

	for (int i = 0; i < 2; i++) {
		struct span *p = &s->h[i];

		if (span_empty(*p) ||
		    !(((p->lo ^ t.value) | (p->hi ^ t.value)) & ~t.mask))
			continue;
		if (!bits_ceil(t, &p->lo) || !bits_floor(t, &p->hi) ||
		    span_empty(*p))
			*p = EMPTY;
		moved = true;
	}
	return moved;
}

/* The least number >= *x whose low half is in `low`. */
static bool low_ceil(const struct spans *low, uint64_t *x)
{
	uint64_t part = (uint32_t)*x, high = *x - part;

	for (int i = 0; i < 2; i++) {
		struct span p = low->h[i];

		if (part > p.hi || span_empty(p))
			continue;
		*x = high | (part > p.lo ? part : p.lo);
		return true;
	}
	*x = (high + (UINT64_C(1) << 32)) | spans_min(low);
	return *x > high;
}

static bool low_floor(const struct spans *low, uint64_t *x)
{
	uint64_t part = (uint32_t)*x, high = *x - part;

	for (int i = 1; i >= 0; i--) {
		struct span p = low->h[i];

		if (part < p.lo || span_empty(p))
			continue;
		*x = high | (part < p.hi ? part : p.hi);
		return true;
	}
	*x = (high - (UINT64_C(1) << 32)) | spans_max(low);
	return high != 0;
}

static bool fit_low(struct spans *wide, const struct spans *low)
{
	bool moved = false;

	for (int i = 0; i < 2; i++) {
		struct span *p = &wide->h[i], was = *p;

		if (span_empty(*p))
			continue;
		if (!low_ceil(low, &p->lo) || !low_floor(low, &p->hi) ||
		    span_empty(*p))
			*p = EMPTY;
		moved |= p->lo != was.lo || p->hi != was.hi;
	}
	return moved;
}

/* Of `low`, what is the low half of a number in `s`.  Around the end of the 32
 * bits that is all but a gap. */
static void cut_low(const struct spans *low, struct span s, struct spans *out)
{
	uint64_t lo = (uint32_t)s.lo, hi = (uint32_t)s.hi;

	for (int i = 0; i < 2; i++) {
		struct span p = low->h[i];

		if (s.hi - s.lo >= UINT32_MAX)
			;
		else if (lo <= hi)
			p = span_meet(p, (struct span){ lo, hi });
		else
			p = span_hull(
				span_meet(p, (struct span){ 0, hi }),
				span_meet(p, (struct span){ lo, UINT32_MAX }));
		out->h[i] = span_hull(out->h[i], p);
	}
}

static void narrow_low(struct num *n)
{
	struct spans low = NOTHING;

	for (int i = 0; i < 2; i++)
		if (!span_empty(n->wide.h[i]))
			cut_low(&n->low, n->wide.h[i], &low);
	n->low = low;
}

static struct tnum bits_spans(const struct spans *s)
{
	if (span_empty(s->h[0]))
		return bits_span(s->h[1]);
	if (span_empty(s->h[1]))
		return bits_span(s->h[0]);
	return bits_join(bits_span(s->h[0]), bits_span(s->h[1]));
}

static bool learn_bits(struct num *n)
{
	struct tnum low = bits_spans(&n->low);

	low.mask |= UINT64_MAX << 32;
	return bits_meet(&n->bits, bits_spans(&n->wide)) &&
	       bits_meet(&n->bits, low);
}

/* Of a number that is known, only whether it may be. */
static bool settle_const(struct num *n)
{
	uint64_t v = n->bits.value;
	struct num c = num_const(v);
	int i = v >> 63, j = v >> 31 & 1;
	bool in = v >= n->wide.h[i].lo && v <= n->wide.h[i].hi &&
		  (uint32_t)v >= n->low.h[j].lo &&
		  (uint32_t)v <= n->low.h[j].hi;

	*n = c;
	return in;
}

/* What bits learn from spans moves no end of these, so one round is enough
 * where only spans are known. */
bool num_settle(struct num *n)
{
	for (int i = 0; i < ROUNDS; i++) {
		bool moved;

		if (!n->bits.mask)
			return settle_const(n);
		narrow_low(n);
		if (spans_empty(&n->low))
			return false;
		moved = fit_low(&n->wide, &n->low);
		if (spans_empty(&n->wide) || !learn_bits(n))
			return false;
		moved |= fit_bits(&n->wide, n->bits);
		moved |= fit_bits(&n->low, bits_low(n->bits, 32));
		if (!moved)
			return true;
	}
	return !spans_empty(&n->wide) && !spans_empty(&n->low);
}

struct range num_range(struct num *n)
{
	return num_settle(n) ? range_of(n) : range_any();
}

bool range_settle(struct range *r)
{
	struct num n = num_of(r);

	if (!num_settle(&n))
		return false;
	*r = range_of(&n);
	return true;
}

struct range range_any(void)
{
	return (struct range){
		.bits = BITS_ANY,
		.umax = UINT64_MAX,
		.smin = INT64_MIN,
		.smax = INT64_MAX,
		.umax32 = UINT32_MAX,
		.smin32 = INT32_MIN,
		.smax32 = INT32_MAX,
	};
}

struct range range_const(uint64_t v)
{
	return (struct range){ { v, 0 }, v, v, v, v, v, v, v, v };
}

struct range range_unsigned(uint64_t min, uint64_t max)
{
	struct num n = num_any();

	n.wide = spans_of(64, min, max);
	return num_range(&n);
}

struct range range_signed(int64_t min, int64_t max)
{
	struct num n = num_any();

	n.wide = spans_from(64, 0, UINT64_MAX, min, max);
	return num_range(&n);
}

struct range range_load(unsigned bytes, bool sign)
{
	uint64_t half = sign_bit(8 * bytes);

	return sign ? range_signed(-half, half - 1)
		    : range_unsigned(0, ones(8 * bytes));
}

bool range_equal(const struct range *a, const struct range *b)
{
	_Static_assert(sizeof(*a) == 64, "no padding");
	return !memcmp(a, b, sizeof(*a));
}

bool range_within(const struct range *a, const struct range *b)
{
	return !(a->bits.mask & ~b->bits.mask) &&
	       (a->bits.value & ~b->bits.mask) == b->bits.value &&
	       a->umin >= b->umin && a->umax <= b->umax && a->smin >= b->smin &&
	       a->smax <= b->smax && a->umin32 >= b->umin32 &&
	       a->umax32 <= b->umax32 && a->smin32 >= b->smin32 &&
	       a->smax32 <= b->smax32;
}

bool range_has(const struct range *r, uint64_t v)
{
	struct range c = range_const(v);

	return range_within(&c, r);
}

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The ends stay numbers of one or the other, so there is nothing to settle. */
struct range range_join(const struct range *a, const struct range *b)
{
	return (struct range){
		.bits = bits_join(a->bits, b->bits),
		.umin = MIN(a->umin, b->umin),
		.umax = MAX(a->umax, b->umax),
		.smin = MIN(a->smin, b->smin),
		.smax = MAX(a->smax, b->smax),
		.umin32 = MIN(a->umin32, b->umin32),
		.umax32 = MAX(a->umax32, b->umax32),
		.smin32 = MIN(a->smin32, b->smin32),
		.smax32 = MAX(a->smax32, b->smax32),
	};
}
