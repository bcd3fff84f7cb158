/* SPDX-License-Identifier: MIT */
/* Ranges of numbers: no number is lost by an instruction or a branch.
 *
 * A pool of ranges around all the places where something wraps or changes its
 * sign, every pair of them, every operation, all members that are among the
 * numbers near these places.  Then chance, RANGE_ROUNDS times (or argv[1]).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "rewriter/verify/range.h"
#include "tests/unit/range_ops.h"

enum {
	MEMBERS = 12,
	POOL = 700,
	NUMBERS = 400
};

// clang-format off
static const uint64_t places[] = {
	0, 1ull << 31, 1ull << 32, 3ull << 31, 1ull << 63,
	-(1ull << 31), -(1ull << 32), 0x00ff00ff00ff00ff,
};
// clang-format on
static struct {
	struct range r;
	uint64_t member[MEMBERS];
	unsigned members;
} pool[POOL];
static unsigned pooled;
static uint64_t numbers[NUMBERS];
static unsigned numbered;

/* What the instruction does, in plain C: 128 bits, so that nothing overflows.
 */
static __int128 number(uint64_t v, bool wide, bool sign)
{
	if (wide)
		return sign ? (__int128)(int64_t)v : (__int128)v;
	return sign ? (__int128)(int32_t)v : (__int128)(uint32_t)v;
}

static uint64_t run(const struct op *o, bool wide, uint64_t a, uint64_t b)
{
	bool sign = o->off == 1 || o->op == BPF_ARSH;
	__int128 x = number(a, wide, sign), y = number(b, wide, sign);
	unsigned by = b & (wide ? 63 : 31);
	uint64_t v = 0;

	switch (o->op) {
	case BPF_ADD:
		v = x + y;
		break;
	case BPF_SUB:
		v = x - y;
		break;
	case BPF_MUL:
		v = a * b;
		break;
	case BPF_AND:
		v = a & b;
		break;
	case BPF_OR:
		v = a | b;
		break;
	case BPF_XOR:
		v = a ^ b;
		break;
	case BPF_LSH:
		v = a << by;
		break;
	case BPF_RSH:
	case BPF_ARSH:
		v = x >> by;
		break;
	case BPF_DIV:
		v = y ? x / y : 0;
		break;
	case BPF_MOD:
		v = y ? x % y : x;
		break;
	case BPF_NEG:
		v = -a;
		break;
	case BPF_MOV:
		v = o->off == 8    ? (uint64_t)(int8_t)b
		    : o->off == 16 ? (uint64_t)(int16_t)b
		    : o->off == 32 ? (uint64_t)(int32_t)b
				   : b;
		break;
	}
	return wide ? v : (uint32_t)v;
}

static bool jumps_if(uint8_t op, bool wide, uint64_t a, uint64_t b)
{
	bool sign = op >= BPF_JSGT && op != BPF_JLT && op != BPF_JLE;
	__int128 x = number(a, wide, sign), y = number(b, wide, sign);

	switch (op) {
	case BPF_JEQ:
		return x == y;
	case BPF_JNE:
		return x != y;
	case BPF_JSET:
		return (x & y) != 0;
	case BPF_JGT:
	case BPF_JSGT:
		return x > y;
	case BPF_JGE:
	case BPF_JSGE:
		return x >= y;
	case BPF_JLT:
	case BPF_JSLT:
		return x < y;
	default:
		return x <= y;
	}
}

/* The pool. */

static void number_add(uint64_t v)
{
	for (unsigned i = 0; i < numbered; i++)
		if (numbers[i] == v)
			return;
	assert_true(numbered < NUMBERS);
	numbers[numbered++] = v;
}

/* In the order of `numbers` small distances come first; a long list of members
 * is thinned evenly, but keeps the ends of the range. */
static void members_of(const struct range *r, uint64_t *member, unsigned *n)
{
	uint64_t all[NUMBERS + 4];
	unsigned found = 0;

	for (unsigned i = 0; i < numbered; i++)
		if (range_has(r, numbers[i]))
			all[found++] = numbers[i];
	*n = found < MEMBERS ? found : MEMBERS;
	for (unsigned i = 0; i < *n; i++)
		member[i] = all[i * found / *n];
	if (*n == MEMBERS) {
		if (range_has(r, r->umin))
			member[0] = r->umin;
		if (range_has(r, r->umax))
			member[1] = r->umax;
	}
}

static void pool_add(struct range r)
{
	for (unsigned i = 0; i < pooled; i++)
		if (range_equal(&pool[i].r, &r))
			return;
	assert_true(pooled < POOL);
	pool[pooled].r = r;
	members_of(&r, pool[pooled].member, &pool[pooled].members);
	if (pool[pooled].members)
		pooled++;
}

/* All that are in the fields stay in, and nothing else comes in. */
static bool settled(struct range *r)
{
	struct range s = *r;
	bool possible = range_settle(&s);

	for (unsigned i = 0; i < numbered; i++) {
		if (range_has(r, numbers[i]) !=
		    (possible && range_has(&s, numbers[i]))) {
			print("fields", r);
			print("settled", &s);
			fail_msg("%#lx", numbers[i]);
		}
	}
	*r = s;
	return possible;
}

static struct range fields(struct tnum bits, uint64_t umin, uint64_t umax,
			   int64_t smin, int64_t smax)
{
	struct range r = range_any();

	r.bits = bits;
	r.umin = umin;
	r.umax = umax;
	r.smin = smin;
	r.smax = smax;
	return r;
}

/* Bits around a place: three unknown, all 27 ways, above one to three others.
 */
static void pool_bits(uint64_t place, unsigned at)
{
	for (unsigned way = 0; way < 27; way++) {
		struct range r = range_any();
		struct tnum t = { place & ~(7ull << at), 0 };

		for (unsigned i = 0, w = way; i < 3; i++, w /= 3) {
			t.value |= (uint64_t)(w % 3 == 1) << (at + i);
			t.mask |= (uint64_t)(w % 3 == 2) << (at + i);
		}
		r.bits = t;
		if (settled(&r))
			pool_add(r);
	}
}

static void pool_spans(uint64_t place)
{
	static const int8_t ends[][2] = { { 0, 0 },  { -1, 1 }, { -3, -1 },
					  { 0, 4 },  { -2, 0 }, { 1, 3 },
					  { -4, 3 }, { 2, 2 } };

	for (unsigned i = 0; i < COUNT(ends); i++) {
		uint64_t lo = place + ends[i][0], hi = place + ends[i][1];
		struct range r;

		pool_add(lo <= hi ? range_unsigned(lo, hi)
				  : range_signed(lo, hi));
		r = range_any();
		if ((uint32_t)lo <= (uint32_t)hi) {
			r.umin32 = lo;
			r.umax32 = hi;
		} else {
			r.smin32 = lo;
			r.smax32 = hi;
		}
		if (settled(&r))
			pool_add(r);
	}
}

/* From one place to another, unsigned and signed, all and every fourth. */
static void pool_long(uint64_t from, uint64_t to)
{
	for (int low = 0; low < 2; low++) {
		struct tnum t = { low, low ? ~3ull : ~0ull };
		struct range r = fields(t, 0, -1, INT64_MIN, INT64_MAX);

		r.umin = from;
		r.umax = to;
		if (from <= to && settled(&r))
			pool_add(r);
		r = fields(t, 0, -1, from, to);
		if ((int64_t)from <= (int64_t)to && settled(&r))
			pool_add(r);
	}
}

static int pool_fill(void **state)
{
	static const uint8_t at[] = { 0, 30, 31, 61 };

	(void)state;
	for (int d = 0; d < 6; d++)
		for (unsigned i = 0; i < COUNT(places); i++) {
			number_add(places[i] + d);
			number_add(places[i] - d);
		}
	for (int i = 0; i < 64; i += 5) {
		number_add(1ull << i);
		number_add((1ull << i) - 1);
		number_add(-1ull << i);
		number_add(0x123456789abcdef0 >> i);
	}
	for (int b = 0; b < 8; b++)
		for (unsigned i = 0; i < COUNT(at); i++) {
			number_add((uint64_t)b << at[i]);
			number_add(~((uint64_t)b << at[i]));
		}
	pool_add(range_any());
	for (unsigned i = 0; i < COUNT(places); i++) {
		pool_spans(places[i]);
		for (unsigned j = 0; j < COUNT(places); j++)
			pool_long(places[i] + 1, places[j] + 2);
	}
	for (unsigned i = 0; i < COUNT(at); i++) {
		pool_bits(0, at[i]);
		if (i % 2)
			pool_bits(-1, at[i]);
	}
	for (unsigned i = 1; i <= 8; i *= 2) {
		pool_add(range_load(i, false));
		pool_add(range_load(i, true));
	}
	return 0;
}

/* Checks. */

static void check_alu(const struct op *o, bool wide, const struct range *a,
		      const struct range *b, const struct range *r, uint64_t x,
		      uint64_t y)
{
	uint64_t v = run(o, wide, x, y);

	if (range_has(r, v))
		return;
	print("a", a);
	print("b", b);
	print("result", r);
	fail_msg("%#lx %s%s %#lx = %#lx", x, o->name, wide ? "" : "32", y, v);
}

/* What is said of a jump, and of both sides behind it. */
struct jump {
	const struct op *o;
	bool wide;
	struct range a, b;
	int says;
	bool possible[2];
	struct range a_after[2], b_after[2];
};

static struct jump jump_of(const struct op *o, bool wide, const struct range *a,
			   const struct range *b)
{
	struct jump j = { .o = o, .wide = wide, .a = *a, .b = *b };

	j.says = range_taken(o->op, wide, a, b);
	for (int taken = 0; taken < 2; taken++) {
		j.a_after[taken] = *a;
		j.b_after[taken] = *b;
		j.possible[taken] =
			range_refine(o->op, wide, taken, &j.a_after[taken],
				     &j.b_after[taken]);
	}
	return j;
}

static void check_jump(const struct jump *j, uint64_t x, uint64_t y)
{
	bool taken = jumps_if(j->o->op, j->wide, x, y);

	if ((j->says < 0 || j->says == taken) && j->possible[taken] &&
	    range_has(&j->a_after[taken], x) &&
	    range_has(&j->b_after[taken], y))
		return;
	print("a", &j->a);
	print("b", &j->b);
	print("a after", &j->a_after[taken]);
	print("b after", &j->b_after[taken]);
	fail_msg("%#lx %s%s %#lx: taken %d, says %d, possible %d", x,
		 j->o->name, j->wide ? "" : "32", y, taken, j->says,
		 j->possible[taken]);
}

static void pair_alu(const struct op *o, bool wide, unsigned i, unsigned j)
{
	struct range *a = &pool[i].r, *b = &pool[j].r;
	struct range r = range_alu(o->op, wide, o->off, a, b);

	for (unsigned x = 0; x < pool[i].members; x++)
		for (unsigned y = 0; y < pool[j].members; y++)
			check_alu(o, wide, a, b, &r, pool[i].member[x],
				  pool[j].member[y]);
}

static void pair_jump(const struct op *o, bool wide, unsigned i, unsigned j)
{
	struct jump jump = jump_of(o, wide, &pool[i].r, &pool[j].r);

	for (unsigned x = 0; x < pool[i].members; x++)
		for (unsigned y = 0; y < pool[j].members; y++)
			check_jump(&jump, pool[i].member[x], pool[j].member[y]);
}

static void every_pair_calculates(void **state)
{
	(void)state;
	for (unsigned k = 0; k < COUNT(alu) * 2; k++)
		for (unsigned i = 0; i < pooled; i++)
			for (unsigned j = 0; j < pooled; j++)
				pair_alu(&alu[k / 2], k % 2, i, j);
}

static void every_pair_jumps(void **state)
{
	(void)state;
	for (unsigned k = 0; k < COUNT(jumps) * 2; k++)
		for (unsigned i = 0; i < pooled; i++)
			for (unsigned j = 0; j < pooled; j++)
				pair_jump(&jumps[k / 2], k % 2, i, j);
}

static void every_pair_joins(void **state)
{
	(void)state;
	for (unsigned i = 0; i < pooled; i++)
		for (unsigned j = 0; j < pooled; j++) {
			struct range r = range_join(&pool[i].r, &pool[j].r);

			assert_true(range_within(&pool[i].r, &r));
			assert_true(range_within(&pool[j].r, &r));
			assert_true(settled(&r));
		}
}

static uint64_t swapped(bool swap, int bits, uint64_t v)
{
	uint64_t r = 0;

	for (int i = 0; i < bits; i += 8)
		r |= (v >> i & 255) << (swap ? bits - 8 - i : i);
	return r;
}

static void every_one_swaps(void **state)
{
	(void)state;
	for (unsigned i = 0; i < pooled; i++)
		for (int k = 0; k < 6; k++) {
			int bits = 16 << k / 2;
			struct range r = range_swap(k % 2, bits, &pool[i].r);

			for (unsigned x = 0; x < pool[i].members; x++)
				assert_true(range_has(
					&r, swapped(k % 2, bits,
						    pool[i].member[x])));
		}
}

/* Chance. */

static uint64_t seed = 88172645463325252;

static uint64_t chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

static uint64_t any_number(void)
{
	uint64_t v = chance(), how = chance();

	switch (how >> 60) {
	case 0 ... 4:
		return numbers[v % numbered];
	case 5 ... 7:
		return places[v % COUNT(places)] + (int8_t)(how >> 8);
	case 8 ... 10:
		return v >> (how & 63);
	case 11 ... 12:
		return -(v >> (how & 63));
	case 13:
		return v & chance() & chance();
	default:
		return v;
	}
}

/* Some range that has v, by what a program would do to find it. */
static struct range any_range_with(uint64_t v)
{
	struct range r = range_any(), c = range_const(v);

	for (int i = chance() % 5; i; i--) {
		uint64_t u = any_number(), w = u & any_number() & any_number();
		struct range s = range_const(u);
		const struct op *o = &jumps[chance() % COUNT(jumps)];
		bool wide = chance() & 1;

		if (chance() % 4) {
			assert_true(range_refine(o->op, wide,
						 jumps_if(o->op, wide, v, u),
						 &r, &s));
			continue;
		}
		s = range_any();
		s.bits = (struct tnum){ v & ~w, w };
		assert_true(range_settle(&s));
		assert_true(range_refine(BPF_JEQ, wide, true, &r, &s));
	}
	if (chance() % 8 == 0) {
		struct range s = range_const(any_number());

		r = range_join(&r, &s);
	}
	if (chance() % 8 == 0)
		r = c;
	assert_true(range_has(&r, v));
	return r;
}

static void chance_loses_nothing(void **state)
{
	unsigned long rounds = *(unsigned long *)*state;

	for (unsigned long i = 0; i < rounds; i++) {
		uint64_t x = any_number(), y = any_number();
		struct range a = any_range_with(x), b = any_range_with(y), r;
		const struct op *o = &alu[chance() % COUNT(alu)];
		bool wide = chance() & 1;
		struct jump j;

		if (range_has(&a, y) && chance() % 4 == 0)
			b = range_const(x);
		if (!range_has(&b, y))
			y = x;
		r = range_alu(o->op, wide, o->off, &a, &b);
		check_alu(o, wide, &a, &b, &r, x, y);
		j = jump_of(&jumps[chance() % COUNT(jumps)], wide, &a, &b);
		check_jump(&j, x, y);
	}
}

int main(int argc, char **argv)
{
	const char *given = argc > 1 ? argv[1] : getenv("RANGE_ROUNDS");
	unsigned long rounds = given ? strtoul(given, NULL, 0) : 500000;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_calculates),
		cmocka_unit_test(every_pair_jumps),
		cmocka_unit_test(every_pair_joins),
		cmocka_unit_test(every_one_swaps),
		cmocka_unit_test_prestate(chance_loses_nothing, &rounds),
	};

	return cmocka_run_group_tests(tests, pool_fill, NULL);
}
