/* SPDX-License-Identifier: MIT */
/* guard.c - guards are put into programs, and what names an instruction names it
 * still: jumps over, into and backward, lddw, calls, pointers, sub, line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/guard.h"
#include "rewriter/bpf/object.h"

#include <cmocka.h> /* last: it has a macro fail() */

// clang-format off
#define I(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s),        \
			   .off = (o), .imm = (i) }
#define MOV(d, i)        I(0xb7, d, 0, 0, i)
#define MOVX(d, s)       I(0xbf, d, s, 0, 0)
#define JEQ(d, i, o)     I(0x15, d, 0, o, i)
#define JA(o)            I(0x05, 0, 0, o, 0)
#define GOTOL(i)         I(0x06, 0, 0, 0, i)
#define CALL(i)          I(0x85, 0, 0, 0, i)
#define SUB(i)           I(0x85, 0, 1, 0, i)
#define EXIT             I(0x95, 0, 0, 0, 0)
#define LDDW(d, s, lo)   I(0x18, d, s, 0, lo), I(0, 0, 0, 0, 0)
#define RANGE(r, max)    I(0x86, r, 1, 0, max)
#define LOOP             I(0x86, 0, 2, 0, 64)
#define RUN              I(0x86, 0, 3, 0, 0)
// clang-format on

enum { MAX = 20 };
static const struct {
	const char *what;
	struct bpf_insn was[MAX], is[MAX];
	struct guard guard[3];
	uint32_t sub; /* where the second subprogram began, or 0 */
} cases[] = {
	{ "jumps over",
	  { JEQ(1, 0, 1), MOV(0, 1), EXIT },
	  { JEQ(1, 0, 2), RANGE(2, 5), MOV(0, 1), EXIT },
	  { { 1, RANGE(2, 5) } }, 0 },
	{ "jumps into",
	  { JEQ(1, 0, 1), MOV(0, 1), EXIT },
	  { JEQ(1, 0, 1), MOV(0, 1), RANGE(0, 5), EXIT },
	  { { 2, RANGE(0, 5) } }, 0 },
	{ "backward, to it and over it",
	  { MOV(0, 9), MOV(1, 0), JEQ(0, 1, -2), JEQ(0, 2, -4), EXIT },
	  { MOV(0, 9), LOOP, MOV(1, 0), JEQ(0, 1, -3), JEQ(0, 2, -5), EXIT },
	  { { 1, LOOP } }, 0 },
	{ "at the beginning, which is jumped to",
	  { MOV(0, 9), JEQ(0, 1, -2), EXIT },
	  { RANGE(1, 3), MOV(0, 9), JEQ(0, 1, -3), EXIT },
	  { { 0, RANGE(1, 3) } }, 0 },
	{ "two of one instruction, and another",
	  { MOV(0, 9), JA(0), MOV(2, 0), EXIT },
	  { MOV(0, 9), JA(0), RANGE(1, 3), LOOP, MOV(2, 0), RUN, EXIT },
	  { { 2, RANGE(1, 3) }, { 2, LOOP }, { 3, RUN } }, 0 },
	{ "jumps of 32 bits",
	  { GOTOL(1), EXIT, MOV(0, 0), GOTOL(-3) },
	  { GOTOL(2), LOOP, EXIT, MOV(0, 0), GOTOL(-4) },
	  { { 1, LOOP } }, 0 },
	{ "beside an lddw",
	  { JEQ(1, 0, 2), LDDW(0, 0, 7), JEQ(1, 0, -3), EXIT },
	  { JEQ(1, 0, 3), LOOP, LDDW(0, 0, 7), LOOP, JEQ(1, 0, -5), EXIT },
	  { { 1, LOOP }, { 3, LOOP } }, 0 },
	{ "the second half of an lddw is no instruction",
	  { I(0x18, 0, 0, 0, 1), I(0, 0, 0, 0, 5), EXIT },
	  { RANGE(1, 1), I(0x18, 0, 0, 0, 1), I(0, 0, 0, 0, 5), EXIT },
	  { { 0, RANGE(1, 1) } }, 0 },
	{ "calls over, and the guard of a subprogram's first",
	  { SUB(1), EXIT, MOV(0, 0), EXIT },
	  { SUB(2), LOOP, EXIT, RANGE(1, 3), MOV(0, 0), EXIT },
	  { { 1, LOOP }, { 2, RANGE(1, 3) } }, 2 },
	{ "pointers to subprograms",
	  { LDDW(2, BPF_PSEUDO_FUNC, 4), MOV(0, 0), EXIT, MOV(0, 0), EXIT },
	  { LDDW(2, BPF_PSEUDO_FUNC, 5), LOOP, MOV(0, 0), EXIT, RANGE(1, 3),
	    MOV(0, 0), EXIT },
	  { { 2, LOOP }, { 4, RANGE(1, 3) } }, 4 },
	{ "what jumps behind a call does not meet GUARD_RUN",
	  { JEQ(1, 0, 1), SUB(2), MOV(0, 0), EXIT, MOV(0, 0), EXIT },
	  { JEQ(1, 0, 2), SUB(4), RUN, LOOP, MOV(0, 0), EXIT, MOV(0, 0), EXIT },
	  { { 2, RUN }, { 2, LOOP } }, 4 },
};

static uint32_t length(const struct bpf_insn *insn)
{
	uint32_t n = 0;

	while (n < MAX && (insn[n].code || (n && is_lddw(&insn[n - 1]))))
		n++;
	return n;
}

static struct bpf_prog program(struct arena *a, const struct bpf_insn *insn,
			       uint32_t second)
{
	struct bpf_prog p = { .name = "t", .insn = (struct bpf_insn *)insn,
			      .ninsn = length(insn), .nsub = 1 + !!second };

	p.sub = arena_alloc(a, 2 * sizeof(*p.sub));
	p.sub[1] = second;
	return p;
}

static void same(const char *what, const struct bpf_prog *p,
		 const struct bpf_insn *want)
{
	if (p->ninsn != length(want) ||
	    memcmp(p->insn, want, p->ninsn * sizeof(*want)))
		print_error("%s\n", what);
	assert_int_equal(p->ninsn, length(want));
	assert_memory_equal(p->insn, want, p->ninsn * sizeof(*want));
}

static void inserts(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		struct arena a = { 0 };
		struct bpf_prog p = program(&a, cases[k].was, cases[k].sub);
		struct bpf_insn before[MAX];
		uint32_t n = 0;
		struct err e;

		memcpy(before, cases[k].was, sizeof(before));
		while (n < 3 && cases[k].guard[n].insn.code)
			n++;
		assert_int_equal(guard_insert_all(&a, &p, cases[k].guard, n,
						  &e), 0);
		same(cases[k].what, &p, cases[k].is);
		assert_memory_equal(before, cases[k].was, sizeof(before));
		assert_true(p.guarded);
		assert_int_equal(check_shape(&p, "x", &e), 0);
		arena_free(&a);
	}
}

static void subs_and_lines_follow(void **state)
{
	static const struct bpf_insn insn[] = { SUB(2), MOV(0, 0), EXIT,
						MOV(0, 0), EXIT };
	struct bpf_line line[] = { { .insn = 0, .line = 1 },
				   { .insn = 1, .line = 2 },
				   { .insn = 3, .line = 3 } };
	const struct guard guard[] = { { 1, RUN }, { 1, LOOP },
				       { 3, RANGE(1, 3) } };
	struct arena a = { 0 };
	struct bpf_prog p = { .name = "t", .insn = (struct bpf_insn *)insn,
			      .ninsn = 5, .nsub = 2, .line = line, .nline = 3 };
	struct err e;

	(void)state;
	p.sub = (uint32_t[]){ 0, 3 };
	assert_int_equal(guard_insert_all(&a, &p, guard, 3, &e), 0);
	assert_int_equal(p.sub[0], 0);
	assert_int_equal(p.sub[1], 5);
	/* GUARD_RUN is its call's, the loop's guard the next line's. */
	assert_int_equal(p.line[1].insn, 2);
	assert_int_equal(p.line[2].insn, 5);
	assert_int_equal(line[1].insn, 1);
	arena_free(&a);
}

/* One after the other gives the same as all at once. */
static void one_by_one(void **state)
{
	static const struct bpf_insn was[MAX] = { MOV(0, 9), MOV(1, 0),
						  JEQ(0, 1, -2), EXIT };
	static const struct bpf_insn is[MAX] = { RANGE(1, 1), MOV(0, 9), LOOP,
						 MOV(1, 0), JEQ(0, 1, -3),
						 EXIT };
	struct arena a = { 0 };
	struct bpf_prog p = program(&a, was, 0);
	struct err e;

	(void)state;
	assert_int_equal(guard_insert(&a, &p, 1, guard_loop(), &e), 0);
	assert_int_equal(guard_insert(&a, &p, 0, guard_range(1, 1), &e), 0);
	same("one by one", &p, is);
	assert_int_equal(guard_count(&p), 2);
	arena_free(&a);
}

/* A jump that would have to go 32,768 ahead. */
static void far(uint8_t code, struct arena *a, struct bpf_prog *p)
{
	enum { N = 32769 };

	*p = (struct bpf_prog){ .name = "far", .ninsn = N + 1, .nsub = 1 };
	p->insn = arena_alloc(a, (N + 1) * sizeof(*p->insn));
	p->sub = arena_alloc(a, sizeof(*p->sub));
	for (uint32_t i = 1; i < N; i++)
		p->insn[i] = (struct bpf_insn)MOV(0, 0);
	p->insn[0] = (struct bpf_insn){ .code = code, .off = INT16_MAX };
	p->insn[N] = (struct bpf_insn)EXIT;
}

static void too_far(void **state)
{
	struct arena a = { 0 };
	struct bpf_prog p;
	struct err e;

	(void)state;
	far(BPF_JMP | BPF_JEQ, &a, &p);
	assert_int_equal(guard_insert(&a, &p, 1, guard_loop(), &e), -1);
	assert_non_null(strstr(e.what, "'far' is too long to have guards"));
	assert_false(p.guarded);
	assert_int_equal(p.ninsn, 32770);
	far(BPF_JMP | BPF_JA, &a, &p);
	assert_int_equal(guard_insert(&a, &p, 1, guard_loop(), &e), 0);
	assert_int_equal(p.insn[0].code, BPF_JMP32 | BPF_JA);
	assert_int_equal(p.insn[0].imm, 32768);
	arena_free(&a);
}

/* main calls 1, which calls 2, which has a guard; 3 has none. */
static void runs_stand_behind_calls(void **state)
{
	static const struct bpf_insn was[MAX] = {
		SUB(4), SUB(8), MOV(0, 0), JEQ(0, 0, -2), EXIT,
		SUB(1), EXIT, RANGE(1, 5), MOV(0, 0), EXIT,
		MOV(0, 0), EXIT
	};
	static const struct bpf_insn is[MAX] = {
		SUB(5), RUN, SUB(9), MOV(0, 0), JEQ(0, 0, -2), EXIT,
		SUB(2), RUN, EXIT, RANGE(1, 5), MOV(0, 0), EXIT,
		MOV(0, 0), EXIT
	};
	struct arena a = { 0 };
	struct bpf_prog p = program(&a, was, 0);
	struct err e;

	(void)state;
	p.sub = (uint32_t[]){ 0, 5, 7, 10 };
	p.nsub = 4;
	p.guarded = true;
	assert_int_equal(guard_runs(&a, NULL, &p, &e), 0);
	same("runs", &p, is);
	assert_int_equal(check_shape(&p, "x", &e), 0);
	assert_int_equal(guard_runs(&a, NULL, &p, &e), 0); /* they are there */
	same("runs again", &p, is);
	arena_free(&a);
}

/* Of two callbacks, one has a guard. */
static void runs_stand_behind_callbacks(void **state)
{
	static const struct bpf_insn was[MAX] = {
		LDDW(2, BPF_PSEUDO_FUNC, 9), CALL(BPF_FUNC_loop),
		LDDW(2, BPF_PSEUDO_FUNC, 12), CALL(BPF_FUNC_for_each_map_elem),
		CALL(5), MOV(0, 0), EXIT,
		LOOP, MOV(0, 0), EXIT, MOV(0, 0), EXIT
	};
	static const struct bpf_insn is[MAX] = {
		LDDW(2, BPF_PSEUDO_FUNC, 10), CALL(BPF_FUNC_loop), RUN,
		LDDW(2, BPF_PSEUDO_FUNC, 13), CALL(BPF_FUNC_for_each_map_elem),
		CALL(5), MOV(0, 0), EXIT,
		LOOP, MOV(0, 0), EXIT, MOV(0, 0), EXIT
	};
	struct arena a = { 0 };
	struct bpf_prog p = program(&a, was, 0);
	struct err e;

	(void)state;
	p.sub = (uint32_t[]){ 0, 9, 12 };
	p.nsub = 3;
	assert_int_equal(guard_runs(&a, NULL, &p, &e), 0);
	same("callbacks", &p, is);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inserts),
		cmocka_unit_test(subs_and_lines_follow),
		cmocka_unit_test(one_by_one),
		cmocka_unit_test(too_far),
		cmocka_unit_test(runs_stand_behind_calls),
		cmocka_unit_test(runs_stand_behind_callbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
