/* SPDX-License-Identifier: MIT */
/* range.h - what is known of a number in a register.
 *
 * Five descriptions of the same 64 bits, each of which the number satisfies:
 * known bits (kernel/bpf/tnum.c's pair of value and mask), and bounds as
 * unsigned and signed, of 64 and of the low 32 bits.  Each learns from the
 * others (range_settle()); none is ever wider than it has to be to be right.
 *
 * Every function here is right for all numbers: if x is in a and y in b, then
 * the result of the instruction is in the result.  tests/unit/range.c tries
 * that by counting through all small numbers.  Nothing here knows of programs.
 */
#ifndef BPFWELD_VERIFY_RANGE_H
#define BPFWELD_VERIFY_RANGE_H

#include <stdbool.h>
#include <stdint.h>

struct tnum {
	uint64_t value, mask; /* a bit of mask: unknown; value has 0 there */
};
struct range {
	struct tnum bits;
	uint64_t umin, umax;
	int64_t smin, smax;
	uint32_t umin32, umax32;
	int32_t smin32, smax32;
};

struct range range_any(void);
struct range range_const(uint64_t v);
struct range range_unsigned(uint64_t min, uint64_t max);
struct range range_signed(int64_t min, int64_t max);
/* What a load of `bytes` gives: zero- or sign-extended. */
struct range range_load(unsigned bytes, bool sign);

static inline bool range_is_const(const struct range *r)
{
	return !r->bits.mask;
}
/* After a change of some fields: the others learn from it.  false: there is no
 * such number (then *r is as it was). */
bool range_settle(struct range *r);
bool range_equal(const struct range *a, const struct range *b);
/* Is every number of `a` in `b`? As far as the descriptions show. */
bool range_within(const struct range *a, const struct range *b);
bool range_has(const struct range *r, uint64_t v);
/* Every number of either is in it. */
struct range range_join(const struct range *a, const struct range *b);

/* One ALU instruction: BPF_OP(code), on 64 or 32 bits (zero-extended result).
 * `off` as in the instruction: 1 makes div and mod signed; of mov, the bits
 * that are sign-extended.  b is the operand (of BPF_NEG: ignored).  BPF_END is
 * range_swap(). */
struct range range_alu(uint8_t op, bool wide, int16_t off,
		       const struct range *a, const struct range *b);
/* BPF_END: swapped if `swap`, then cut to `bits`. */
struct range range_swap(bool swap, int bits, const struct range *a);

/* Which way can a conditional jump go?  BPF_OP(code) of BPF_JEQ .. BPF_JSET,
 * comparing 64 or the low 32 bits.  1: always taken, 0: never, -1: either. */
int range_taken(uint8_t op, bool wide, const struct range *a,
		const struct range *b);
/* Behind the jump, on the side `taken`: a and b get narrower.  false: they
 * contradict each other, so this side is never run. */
bool range_refine(uint8_t op, bool wide, bool taken, struct range *a,
		  struct range *b);

#endif
