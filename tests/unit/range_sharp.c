/* SPDX-License-Identifier: MIT */
/* How sharp ranges are: what the kernel's own tests expect of its verifier, or,
 * where there is less to know than it believes, that. */
#include <string.h>

#include "rewriter/verify/range.h"
#include "tests/unit/range_ops.h"

/* A range, as little as it takes to name it. */
enum kind {
	U, /* unsigned, x to y */
	S, /* signed, x to y */
	L, /* U in the low half, anything above */
	Z, /* S in the low half, zero above */
	B, /* known bits: x, unknown: y */
};
struct arg {
	enum kind kind;
	uint64_t x, y;
	uint64_t unknown; /* if any: in addition, its bits below are 0 */
};
#define C(v)                                                                   \
	{                                                                      \
		U, v, v, 0                                                     \
	}
#define ANY                                                                    \
	{                                                                      \
		U, 0, -1, 0                                                    \
	}
#define MIN64 (1ull << 63)
#define MIN32 (1ull << 31)

static struct range range_of_arg(const struct arg *a)
{
	struct range r = range_any();

	switch (a->kind) {
	case U:
		r.umin = a->x;
		r.umax = a->y;
		break;
	case S:
		r.smin = a->x;
		r.smax = a->y;
		break;
	case L:
		r.umin32 = a->x;
		r.umax32 = a->y;
		break;
	case Z:
		r.umax = UINT32_MAX;
		r.smin32 = a->x;
		r.smax32 = a->y;
		break;
	case B:
		r.bits = (struct tnum){ a->x, a->y };
		break;
	}
	if (a->unknown)
		r.bits = (struct tnum){ 0, a->unknown };
	assert_true(range_settle(&r));
	return r;
}

// clang-format off
static const struct {
	const char *op;
	bool wide;
	struct arg a, b, result;
} sharp[] = {
	/* op wide  a                  b           result */
	{ "+", 1, { S, -1, 1, 0 },     C(1),       { U, 0, 2, 0 } },
	{ "+", 1, { U, -3, -1, 0 },    C(3),       { U, 0, 2, 0 } },
	{ "+", 1, { U, 0, -1u, 0 },    { U, 0, -1u, 0 },
						   { U, 0, 0x1fffffffe, 0 } },
	{ "+", 1, { L, 0, 9, 0 },      C(5),       { L, 5, 14, 0 } },
	{ "+", 0, { Z, -1, 1, 0 },     C(1),       { U, 0, 2, 0 } },
	{ "+", 1, { U, 0, -8, -8 },    C(8),       { U, 0, -1, -8 } },
	{ "-", 1, { U, 0, 255, 0 },    { U, 0, 255, 0 },
						   { S, -255, 255, 0 } },
	{ "-", 1, ANY,                 ANY,        ANY },
	{ "neg", 1, { U, 1, 5, 0 },    ANY,        { S, -5, -1, 0 } },
	{ "neg", 0, { Z, -5, -1, 0 },  ANY,        { U, 1, 5, 0 } },
	{ "*", 1, { B, 0, 15, 0 },     { B, 0, 255, 0 },
						   { U, 0, 3825, 0 } },
	{ "*", 1, { S, -3, 2, 0 },     { S, -5, 7, 0 },
						   { S, -21, 15, 0 } },
	{ "*", 1, { U, 0, 9, 0 },      C(8),       { U, 0, 72, 0x78 } },
	{ "*", 0, { Z, -3, -2, 0 },    { U, 4, 5, 0 },
						   { Z, -15, -8, 0 } },
	{ "&", 1, ANY,                 C(255),     { U, 0, 255, 0 } },
	{ "&", 1, ANY,                 C(-8ull),   { B, 0, -8, 0 } },
	{ "&", 1, { U, 0x100, 0x120, 0 }, C(255),  { U, 0, 0x20, 0 } },
	{ "&", 1, { U, 3, 5, 0 },      { U, 6, 7, 0 },
						   { U, 2, 5, 0 } },
	{ "|", 1, { B, 0, 0x1a0, 0 },  { B, 0, 0xaf, 0 },
						   { B, 0, 0x1af, 0 } },
	{ "|", 1, { S, -4, -2, 0 },    ANY,        { S, -4, -1, 0 } },
	{ "^", 1, { B, 0, 0x1a0, 0 },  { B, 0, 0xaf, 0 },
						   { B, 0, 0x1af, 0 } },
	{ "^", 1, { U, 8, 9, 0 },      { U, 1, 2, 0 },
						   { U, 8, 11, 0 } },
	{ "<<", 1, { U, 1, 3, 0 },     C(4),       { U, 16, 48, 0x30 } },
	{ "<<", 1, { U, 1, 3, 0 },     { U, 0, 2, 0 },
						   { U, 1, 12, 0 } },
	{ "<<", 1, { Z, -5, 3, 0 },    C(32),
		   { S, -5ull << 32, 3ull << 32, -1ull << 32 } },
	{ "<<", 1, { U, 1, 3, 0 },     C(66),      { U, 4, 12, 0xc } },
	{ ">>", 1, ANY,                C(60),      { U, 0, 15, 0 } },
	{ ">>", 1, ANY,                { U, 60, 63, 0 },
						   { U, 0, 15, 0 } },
	{ ">>", 0, ANY,                C(28),      { U, 0, 15, 0 } },
	{ "s>>", 1, { S, -5ull << 32, 3ull << 32, 0 }, C(32),
						   { S, -5, 3, 0 } },
	{ "s>>", 1, ANY,               C(63),      { S, -1, 0, 0 } },
	{ "s>>", 0, ANY,               C(31),      { Z, -1, 0, 0 } },
	{ "/", 1, { B, 1, 8, 0 },      C(3),       { U, 0, 3, 0 } },
	{ "/", 0, { B, 1, 8, 0 },      C(3),       { U, 0, 3, 0 } },
	{ "/", 1, { B, 1, 8, 0 },      C(0),       C(0) },
	{ "/", 1, ANY,                 C(16),      { U, 0, -1ull >> 4, 0 } },
	{ "/", 1, { U, 100, 200, 0 },  { U, 0, 9, 0 },
						   { U, 0, 200, 0 } },
	{ "/", 1, { U, 100, 200, 0 },  { U, 5, 10, 0 },
						   { U, 10, 40, 0 } },
	{ "s/", 1, { S, 8, 10, 0 },    C(3),       { U, 2, 3, 0 } },
	{ "s/", 1, { S, -10, -8, 0 },  C(3),       { S, -3, -2, 0 } },
	{ "s/", 1, { S, -8, 10, 0 },   C(3),       { S, -2, 3, 0 } },
	{ "s/", 1, { S, 8, 10, 0 },    C(-3ull),   { S, -3, -2, 0 } },
	{ "s/", 1, { S, -10, -8, 0 },  C(-3ull),   { U, 2, 3, 0 } },
	{ "s/", 1, { S, -8, 10, 0 },   C(-3ull),   { S, -3, 2, 0 } },
	{ "s/", 0, { Z, -10, -8, 0 },  C(3),       { Z, -3, -2, 0 } },
	{ "s/", 0, { Z, -8, 10, 0 },   C(-3ull),   { Z, -3, 2, 0 } },
	{ "s/", 1, C(MIN64),           C(-1ull),   C(MIN64) },
	{ "s/", 0, C(MIN32),           C(-1ull),   C(MIN32) },
	{ "s/", 1, { S, MIN64, MIN64 + 10, 0 }, C(-1ull),
						   { U, MIN64 - 10, MIN64, 0 } },
	{ "%", 1, { B, 1, 8, 0 },      C(3),       { U, 0, 2, 0 } },
	{ "%", 1, { B, 1, 8, 0 },      C(10),      { B, 1, 8, 0 } },
	{ "%", 0, { B, 1, 8, 0 },      C(0),       { B, 1, 8, 0 } },
	{ "%", 1, ANY,                 C(64),      { U, 0, 63, 0 } },
	{ "%", 1, { U, 23, 27, 0 },    C(10),      { U, 3, 7, 0 } },
	{ "%", 1, ANY,                 { U, 1, 10, 0 },
						   { U, 0, 9, 0 } },
	{ "%", 1, { B, 0, -8ull, 0 },  C(24),      { U, 0, 16, 0x18 } },
	{ "s%", 1, { S, 8, 10, 0 },    C(-3ull),   { U, 0, 2, 0 } },
	{ "s%", 1, { S, -10, -8, 0 },  C(3),       { S, -2, 0, 0 } },
	{ "s%", 1, { S, -8, 10, 0 },   C(3),       { S, -2, 2, 0 } },
	{ "s%", 1, { S, -8, 10, 0 },   C(-11ull),  { S, -8, 10, 0 } },
	{ "s%", 0, { Z, -8, 10, 0 },   C(11),      { Z, -8, 10, 0 } },
	{ "s%", 0, { Z, -8, 10, 0 },   C(0),       { Z, -8, 10, 0 } },
	{ "s%", 1, { S, MIN64, MIN64 + 10, 0 }, C(-1ull), C(0) },
	{ "mov", 0, ANY,               { S, -3, 3, 0 },
						   { Z, -3, 3, 0 } },
	{ "mov s8", 1, ANY,            { U, 250, 255, 0 },
						   { S, -6, -1, 0 } },
	{ "mov s8", 1, ANY,            ANY,        { S, -128, 127, 0 } },
	{ "mov s16", 0, ANY,           ANY,        { Z, -32768, 32767, 0 } },
	{ "mov s32", 1, ANY,           { Z, -5, 3, 0 },
						   { S, -5, 3, 0 } },
};

static const struct {
	const char *op;
	bool wide, taken;
	struct arg a, b, a_after, b_after;
} behind[] = {
	/* op wide taken  a           b                a after           b */
	{ "==", 1, 1, ANY,            { S, -2, 2, 0 }, { S, -2, 2, 0 },
		      { S, -2, 2, 0 } },
	{ "==", 0, 1, ANY,            C(7),            { L, 7, 7, 0 }, C(7) },
	{ "!=", 1, 1, { U, 0, 7, 0 }, C(0),            { U, 1, 7, 0 }, C(0) },
	{ "!=", 1, 1, { S, -7, 0, 0 }, C(0),           { S, -7, -1, 0 }, C(0) },
	{ "==", 1, 0, { B, 0, 8, 0 }, C(8),            C(0), C(8) },
	{ "<", 1, 1,  ANY,            { U, 0, 10, 0 }, { U, 0, 9, 0 },
		      { U, 1, 10, 0 } },
	{ "<", 1, 0,  ANY,            C(10),           { U, 10, -1, 0 }, C(10) },
	{ ">", 1, 1,  { U, 0, 10, 0 }, ANY,            { U, 1, 10, 0 },
		      { U, 0, 9, 0 } },
	{ "<=", 0, 1, ANY,            C(10),           { L, 0, 10, 0 }, C(10) },
	{ ">=", 1, 1, { U, 0, 10, 0 }, C(10),          C(10), C(10) },
	{ "s<", 1, 1, ANY,            C(10),           { S, MIN64, 9, 0 },
		      C(10) },
	{ "s>=", 1, 1, ANY,           C(0),            { U, 0, -1ull >> 1, 0 },
		      C(0) },
	{ "s>", 1, 0, { S, -5, 5, 0 }, { S, -9, 2, 0 }, { S, -5, 2, 0 },
		      { S, -5, 2, 0 } },
	{ "s<=", 0, 1, { Z, -9, 9, 0 }, C(-3ull),      { Z, -9, -3, 0 },
		      C(-3ull) },
	{ ">", 1, 0,  { S, -128, 127, 0 }, C(-256ull), { U, 0, 127, 0 },
		      C(-256ull) },
	{ "&", 1, 1,  ANY,            C(8),            { B, 8, ~8ull, 0 }, C(8) },
	{ "&", 1, 1,  ANY,            C(12),           { U, 4, -1, 0 }, C(12) },
	{ "&", 1, 0,  ANY,            C(7),            { B, 0, ~7ull, 0 }, C(7) },
	{ "&", 0, 0,  ANY,            C(-8ull),        { L, 0, 7, 0 },
		      C(-8ull) },
};

static const struct {
	const char *op;
	bool wide;
	int taken;
	struct arg a, b;
} decided[] = {
	{ "<",  1, 1,  { U, 0, 5, 0 },  { U, 6, 9, 0 } },
	{ "<",  1, -1, { U, 0, 6, 0 },  { U, 6, 9, 0 } },
	{ ">=", 1, 0,  { U, 0, 5, 0 },  { U, 6, 9, 0 } },
	{ "<=", 1, 1,  { U, 0, 6, 0 },  { U, 6, 9, 0 } },
	{ "s<", 1, 1,  { S, -5, -1, 0 }, { U, 0, 9, 0 } },
	{ "s>", 0, 1,  { L, 5, 6, 0 },  { Z, -2, 4, 0 } },
	{ ">",  0, 1,  { S, -5, -1, 0 }, C(7) },
	{ "==", 1, 1,  C(7),            C(7) },
	{ "==", 1, 0,  { B, 0, -8, 0 }, C(7) },
	{ "!=", 1, 1,  { S, -9, -7, 0 }, { S, -6, 7, 0 } },
	{ "==", 1, 0,  { U, 8, 9, 0 },  { B, 6, -8, 0 } },
	{ "!=", 0, 1,  { L, 1, 9, 0 },  C(1ull << 32) },
	{ "==", 0, 1,  C(1),            C(1ull << 32 | 1) },
	{ "&",  1, 1,  { B, 4, ~4ull, 0 }, C(6) },
	{ "&",  1, 0,  { B, 0, -8, 0 }, C(7) },
	{ "&",  1, 1,  { U, 3, 5, 0 },  C(7) },
	{ "&",  0, 0,  { L, 0, 7, 0 },  C(-8ull) },
};
// clang-format on

static const struct op *op_named(const struct op *o, const char *name)
{
	while (strcmp(o->name, name))
		o++;
	return o;
}

static void same(const char *name, size_t row, const struct range *r,
		 const struct arg *expect)
{
	struct range e = range_of_arg(expect);

	if (range_equal(r, &e))
		return;
	print("is", r);
	print("should be", &e);
	fail_msg("%s, row %zu", name, row);
}

static void results_are_sharp(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sharp); i++) {
		const struct op *o = op_named(alu, sharp[i].op);
		struct range a = range_of_arg(&sharp[i].a);
		struct range b = range_of_arg(&sharp[i].b), r;

		r = range_alu(o->op, sharp[i].wide, o->off, &a, &b);
		same(o->name, i, &r, &sharp[i].result);
	}
}

static void branches_are_sharp(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(behind); i++) {
		const struct op *o = op_named(jumps, behind[i].op);
		struct range a = range_of_arg(&behind[i].a);
		struct range b = range_of_arg(&behind[i].b);

		assert_true(range_refine(o->op, behind[i].wide, behind[i].taken,
					 &a, &b));
		same(o->name, i, &a, &behind[i].a_after);
		same(o->name, i, &b, &behind[i].b_after);
	}
}

static void decisions_are_sharp(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(decided); i++) {
		const struct op *o = op_named(jumps, decided[i].op);
		struct range a = range_of_arg(&decided[i].a);
		struct range b = range_of_arg(&decided[i].b);
		int taken = range_taken(o->op, decided[i].wide, &a, &b);

		if (taken != decided[i].taken)
			fail_msg("%s, row %zu: %d", o->name, i, taken);
		if (taken >= 0)
			assert_false(range_refine(o->op, decided[i].wide,
						  !taken, &a, &b));
	}
}

/* Known by the unsigned bounds only: as signed numbers these are far apart. */
static void large_products_are_sharp(void **state)
{
	struct range a = range_unsigned(MIN64, MIN64 + MIN64 / 2);
	struct range b = range_unsigned(0, 1);
	struct range r = range_alu(BPF_MUL, true, 0, &a, &b);

	(void)state;
	assert_int_equal(r.umax, MIN64 + MIN64 / 2);
	assert_int_equal(r.smax, 0);
}

/* Each of the descriptions has numbers, but no number is in two of them. */
static void contradictions_are_seen(void **state)
{
	static const struct arg arg[][2] = {
		{ { U, 0, 3, 0 }, { L, 5, 9, 0 } },
		{ { U, -4, -1, 0 }, { L, 5, 9, 0 } },
		{ { U, 4, 9, 0 }, { S, -1, 3, 0 } },
		{ { U, 9, 11, 0 }, { B, 0, -8, 0 } },
		{ { S, -7, -1, 0 }, { B, 0, -8, 0 } },
		{ { L, 1, 3, 0 }, { B, 4, -8, 0 } },
		{ { Z, -3, -1, 0 }, { S, -9, 9, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(arg); i++) {
		struct range a = range_of_arg(&arg[i][0]);
		struct range b = range_of_arg(&arg[i][1]);

		assert_int_equal(range_taken(BPF_JEQ, true, &a, &b), 0);
		assert_false(range_refine(BPF_JEQ, true, true, &a, &b));
	}
}

/* The numbers below 4 are not among those whose low half is at least 5. */
static void one_sign_is_excluded(void **state)
{
	struct range r = range_any();

	(void)state;
	r.smax = 3;
	r.umin32 = 5;
	assert_true(range_settle(&r));
	assert_int_equal(r.smax, -1);
	assert_int_equal(r.umin, MIN64 + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_are_sharp),
		cmocka_unit_test(branches_are_sharp),
		cmocka_unit_test(decisions_are_sharp),
		cmocka_unit_test(large_products_are_sharp),
		cmocka_unit_test(contradictions_are_seen),
		cmocka_unit_test(one_sign_is_excluded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
