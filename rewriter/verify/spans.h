/* SPDX-License-Identifier: MIT */
/* spans.h - a range as arithmetic sees it; private to range*.c and tnum.c.
 *
 * A pair of unsigned and signed bounds says no more and no less than this: the
 * numbers without the sign bit lie in one span, those with it in another.
 *
 *     unsigned  0 ............ 7f..f | 80..0 ............ ff..f
 *                  [h[0]]            |           [h[1]]
 *
 * Inside a span nothing wraps and nothing changes its sign, so an operation on
 * two spans is a matter of their corners.  What it gives is collected as arcs
 * (spans on the circle of 2^width numbers) into a new pair.
 */
#ifndef BPFWELD_VERIFY_SPANS_H
#define BPFWELD_VERIFY_SPANS_H

#include "rewriter/verify/range.h"

struct span {
	uint64_t lo,
		hi; /* empty: exactly EMPTY, so that hulls are min and max */
};
struct spans {
	struct span h[2]; /* without and with the sign bit */
};
struct num {
	struct tnum bits;
	struct spans wide, low; /* of 64 bits, and of the low 32 */
};

#define EMPTY ((struct span){ UINT64_MAX, 0 })
#define NOTHING ((struct spans){ { EMPTY, EMPTY } })
#define BITS_ANY ((struct tnum){ 0, UINT64_MAX })

struct num num_of(const struct range *r);
struct range range_of(const struct num *n);
struct num num_any(void);
struct num num_const(uint64_t v);
/* Each description learns from the others; false: together they say nothing
 * can be in it. */
bool num_settle(struct num *n);
/* Settled and as a range.  What contradicts itself is not reachable: any. */
struct range num_range(struct num *n);

/* The known bits of a result. */
struct tnum tnum_add(struct tnum a, struct tnum b);
struct tnum tnum_sub(struct tnum a, struct tnum b);
struct tnum tnum_mul(struct tnum a, struct tnum b);
struct tnum tnum_and(struct tnum a, struct tnum b);
struct tnum tnum_or(struct tnum a, struct tnum b);
struct tnum tnum_xor(struct tnum a, struct tnum b);

static inline uint64_t ones(unsigned width)
{
	return UINT64_MAX >> (64 - width);
}

static inline uint64_t sign_bit(unsigned width)
{
	return UINT64_C(1) << (width - 1);
}

static inline bool span_empty(struct span s)
{
	return s.lo > s.hi;
}

static inline bool spans_empty(const struct spans *s)
{
	return span_empty(s->h[0]) && span_empty(s->h[1]);
}

static inline struct span span_meet(struct span a, struct span b)
{
	struct span s = { a.lo > b.lo ? a.lo : b.lo,
			  a.hi < b.hi ? a.hi : b.hi };

	return span_empty(s) ? EMPTY : s;
}

static inline struct span span_hull(struct span a, struct span b)
{
	return (struct span){ a.lo < b.lo ? a.lo : b.lo,
			      a.hi > b.hi ? a.hi : b.hi };
}

static inline struct spans spans_meet(const struct spans *a,
				      const struct spans *b)
{
	return (struct spans){ { span_meet(a->h[0], b->h[0]),
				 span_meet(a->h[1], b->h[1]) } };
}

static inline uint64_t spans_min(const struct spans *s)
{
	return s->h[0].lo < s->h[1].lo ? s->h[0].lo : s->h[1].lo;
}

static inline uint64_t spans_max(const struct spans *s)
{
	return s->h[0].hi > s->h[1].hi ? s->h[0].hi : s->h[1].hi;
}

static inline struct spans spans_any(unsigned width)
{
	uint64_t sign = sign_bit(width);

	return (struct spans){ { { 0, sign - 1 }, { sign, ones(width) } } };
}

/* The numbers of a span that does not wrap. */
static inline struct spans spans_of(unsigned width, uint64_t lo, uint64_t hi)
{
	struct spans any = spans_any(width);
	struct span s = { lo, hi };

	return (struct spans){ { span_meet(s, any.h[0]),
				 span_meet(s, any.h[1]) } };
}

static inline void spans_add(struct spans *s, unsigned width, uint64_t lo,
			     uint64_t hi)
{
	struct spans more = spans_of(width, lo, hi);

	s->h[0] = span_hull(s->h[0], more.h[0]);
	s->h[1] = span_hull(s->h[1], more.h[1]);
}

/* `more` + 1 numbers from `lo` on, around the circle. */
static inline void spans_add_arc(struct spans *s, unsigned width, uint64_t lo,
				 uint64_t more)
{
	uint64_t hi = (lo + more) & ones(width);

	lo &= ones(width);
	if (more >= ones(width)) {
		*s = spans_any(width);
	} else if (lo <= hi) {
		spans_add(s, width, lo, hi);
	} else {
		spans_add(s, width, lo, ones(width));
		spans_add(s, width, 0, hi);
	}
}

static inline struct tnum bits_const(uint64_t v)
{
	return (struct tnum){ v, 0 };
}

static inline struct tnum bits_low(struct tnum t, unsigned width)
{
	return (struct tnum){ t.value & ones(width), t.mask & ones(width) };
}

/* Every number of either. */
static inline struct tnum bits_join(struct tnum a, struct tnum b)
{
	uint64_t mask = a.mask | b.mask | (a.value ^ b.value);

	return (struct tnum){ a.value & ~mask, mask };
}

/* The numbers of both; false: there is none. */
static inline bool bits_meet(struct tnum *a, struct tnum b)
{
	if ((a->value ^ b.value) & ~(a->mask | b.mask))
		return false;
	a->mask &= b.mask;
	a->value = (a->value | b.value) & ~a->mask;
	return true;
}

/* What all numbers of a span that is not empty have in common. */
static inline struct tnum bits_span(struct span s)
{
	uint64_t mask =
		s.lo == s.hi ? 0 : UINT64_MAX >> __builtin_clzll(s.lo ^ s.hi);

	return (struct tnum){ s.lo & ~mask, mask };
}

#endif
