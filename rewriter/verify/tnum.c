/* SPDX-License-Identifier: MIT */
/* tnum.c - arithmetic with numbers of which some bits are known. */
#include "rewriter/verify/spans.h"

/* A bit of a sum is known where both its bits are, and the carry into it is the
 * same for the least and the greatest sum. */
struct tnum tnum_add(struct tnum a, struct tnum b)
{
	uint64_t least = a.value + b.value;
	uint64_t greatest = least + a.mask + b.mask;
	uint64_t mask = (least ^ greatest) | a.mask | b.mask;

	return (struct tnum){ least & ~mask, mask };
}

struct tnum tnum_sub(struct tnum a, struct tnum b)
{
	uint64_t v = a.value - b.value;
	uint64_t mask = ((v + a.mask) ^ (v - b.mask)) | a.mask | b.mask;

	return (struct tnum){ v & ~mask, mask };
}

/* Long multiplication: where a bit of `a` is unknown, b is added or not.  Ends
 * when nothing that is still to come can change what is known. */
static struct tnum bits_mul_long(struct tnum a, struct tnum b)
{
	struct tnum sum = { 0, 0 };

	for (uint64_t rest = a.value | a.mask; rest; rest &= rest - 1) {
		int i = __builtin_ctzll(rest);
		struct tnum part = { b.value << i, b.mask << i };
		struct tnum more = tnum_add(sum, part);

		sum = a.mask >> i & 1 ? bits_join(sum, more) : more;
		if (sum.mask >> i == UINT64_MAX >> i)
			break;
	}
	return sum;
}

/* The same with the values multiplied at once, the rest as masks only. */
static struct tnum bits_mul_masks(struct tnum a, struct tnum b)
{
	struct tnum sum = { 0, 0 };

	for (uint64_t rest = a.value | a.mask; rest; rest &= rest - 1) {
		int i = __builtin_ctzll(rest);
		uint64_t may = b.mask | (a.mask >> i & 1 ? b.value : 0);

		sum = tnum_add(sum, (struct tnum){ 0, may << i });
		if (sum.mask >> i == UINT64_MAX >> i)
			break;
	}
	return tnum_add(bits_const(a.value * b.value), sum);
}

/* Any multiple of a power of two? */
static bool bits_free(struct tnum t)
{
	return !t.value && !(t.mask + (t.mask & -t.mask));
}

static uint64_t lowest(uint64_t bits)
{
	return bits & -bits;
}

/* Times anything, that is free again.  Else, no way is always the best one. */
struct tnum tnum_mul(struct tnum a, struct tnum b)
{
	struct tnum product;

	if (bits_free(a) || bits_free(b)) {
		uint64_t end =
			lowest(a.value | a.mask) * lowest(b.value | b.mask);

		return (struct tnum){ 0, -end };
	}
	product = bits_mul_long(a, b);
	bits_meet(&product, bits_mul_long(b, a));
	bits_meet(&product, bits_mul_masks(a, b));
	bits_meet(&product, bits_mul_masks(b, a));
	return product;
}

struct tnum tnum_and(struct tnum a, struct tnum b)
{
	uint64_t value = a.value & b.value;

	return (struct tnum){ value, (a.value | a.mask) & (b.value | b.mask) &
					     ~value };
}

struct tnum tnum_or(struct tnum a, struct tnum b)
{
	uint64_t value = a.value | b.value;

	return (struct tnum){ value, (a.mask | b.mask) & ~value };
}

struct tnum tnum_xor(struct tnum a, struct tnum b)
{
	uint64_t mask = a.mask | b.mask;

	return (struct tnum){ (a.value ^ b.value) & ~mask, mask };
}
