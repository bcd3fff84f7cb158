/* SPDX-License-Identifier: MIT */
/* bpf_check: one wrong instruction each, and the words that say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rewriter/bpf/object.h"

#include <cmocka.h> /* last: it has a macro fail() */

// clang-format off
#define I(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s),        \
			   .off = (o), .imm = (i) }
#define MOV(d, i)        I(0xb7, d, 0, 0, i)
#define MOVX(d, s)       I(0xbf, d, s, 0, 0)
#define ADD(d, i)        I(0x07, d, 0, 0, i)
#define ADDX(d, s)       I(0x0f, d, s, 0, 0)
#define LDX(d, s, o)     I(0x79, d, s, o, 0)
#define STX(d, s, o)     I(0x7b, d, s, o, 0)
#define JEQ(d, i, o)     I(0x15, d, 0, o, i)
#define JA(o)            I(0x05, 0, 0, o, 0)
#define CALL(i)          I(0x85, 0, 0, 0, i)
#define EXIT             I(0x95, 0, 0, 0, 0)
#define LDDW(d, s, lo)   I(0x18, d, s, 0, lo), I(0, 0, 0, 0, 0)
#define END              EXIT

static const struct {
	const char *want; /* NULL: accepted */
	struct bpf_insn insn[8];
	int n;
} cases[] = {
	{ NULL, { MOV(0, 0), EXIT }, 2 },
	{ NULL, { LDX(0, 1, 160), EXIT }, 2 },
	{ NULL, { MOVX(6, 1), ADD(6, 8), LDX(0, 6, 8), EXIT }, 4 },
	{ NULL, { MOV(0, 0), JEQ(0, 0, -2), EXIT }, 3 },  /* back edge */
	{ "is empty", { EXIT }, 0 },
	{ "unknown opcode", { I(0xff, 0, 0, 0, 0), END }, 2 },
	{ "unknown opcode", { I(0x86, 0, 2, 0, 0), END }, 2 }, /* a guard */
	{ "unknown register", { I(0xb7, 11, 0, 0, 0), END }, 2 },
	{ "r10 is read only", { MOV(10, 0), END }, 2 },
	{ "r10 is read only", { LDX(10, 1, 0), END }, 2 },
	{ "reserved field", { I(0xb7, 0, 1, 0, 0), END }, 2 },
	{ "reserved field", { I(0x0f, 0, 1, 0, 7), END }, 2 },
	{ "reserved field", { I(0x95, 0, 0, 0, 1) }, 1 },
	{ "division by zero", { I(0x37, 0, 0, 0, 0), END }, 2 },
	{ "shift by more", { I(0x67, 0, 0, 0, 64), END }, 2 },
	{ "shift by more", { I(0x64, 0, 0, 0, 32), END }, 2 },
	{ "byte swap", { I(0xdc, 0, 0, 0, 24), END }, 2 },
	{ "unknown atomic", { I(0xdb, 10, 1, -8, 0x70), END }, 2 },
	{ "packet access", { I(0x20, 0, 0, 0, 0), END }, 2 },
	{ "half an lddw", { I(0x18, 0, 0, 0, 0) }, 1 },
	{ "reserved field", { I(0x18, 0, 0, 0, 0), MOV(0, 0), END }, 3 },
	{ "middle of an lddw", { JEQ(1, 0, 1), LDDW(0, 0, 1), END }, 4 },
	{ "jump out of", { JEQ(1, 0, 5), END }, 2 },
	{ "jump out of", { JEQ(1, 0, -2), END }, 2 },
	{ "neither exit nor jump", { EXIT, MOV(0, 0) }, 2 },
	{ "unreachable insn 1", { JA(1), MOV(0, 0), EXIT }, 3 },
	{ "call of no function", { I(0x85, 0, 1, 0, 0), END }, 2 },
	{ "kernel functions", { I(0x85, 0, 2, 0, 0), END }, 2 },
	{ "through a register", { I(0x8d, 0, 0, 0, 0), END }, 2 },
	{ "helper bpf_task_pt_regs#175: there is no kernel task",
	  { CALL(175), END }, 2 },
	{ "helper bpf_timer_init#169: needs timers", { CALL(169), END }, 2 },
	{ "helper bpf_spin_lock#93: the kernel has no", { CALL(93), END }, 2 },
	{ "helper bpf_redirect#23: not for tracing", { CALL(23), END }, 2 },
	{ "helper bpf_cgrp_storage_get#210: needs", { CALL(210), END }, 2 },
	{ "helper bpf_copy_from_user#148: it may sleep",
	  { CALL(148), END }, 2 },
	{ "unknown helper #255", { CALL(255), END }, 2 },
	{ "whom bpf_loop calls back is not known", { CALL(181), END }, 2 },
	{ "unknown helper #99999", { CALL(99999), END }, 2 },
	{ "invalid bpf_context access off=168 size=8",
	  { LDX(0, 1, 168), END }, 2 },
	{ "invalid bpf_context access off=-8 size=8",
	  { LDX(0, 1, -8), END }, 2 },
	{ "invalid bpf_context access off=4 size=8",
	  { LDX(0, 1, 4), END }, 2 },
	{ "write to ctx", { MOVX(2, 1), STX(2, 3, 0), END }, 3 },
	{ "invalid write to stack R10 off=-520 size=8: the stack is from -512 to 0", { STX(10, 1, -520), END }, 2 },
	{ "invalid write to stack R10 off=0 size=8", { STX(10, 1, 0), END }, 2 },
	{ "invalid write to stack R10 off=-4 size=8", { STX(10, 1, -4), END }, 2 },
};

/* Stack depth: what a checked program uses below r10. */
static const struct {
	uint32_t want;
	struct bpf_insn insn[8];
	int n;
} stacks[] = {
	{ 0,   { MOV(0, 0), EXIT }, 2 },
	{ 8,   { I(0x62, 10, 0, -4, 1), EXIT }, 2 },
	{ 24,  { MOVX(2, 10), ADD(2, -24), CALL(5), EXIT }, 4 },
	/* an unknown index */
	{ 512, { MOVX(2, 10), ADD(2, -24), ADDX(2, 1), EXIT }, 4 },
	/* a pointer that sinks in a loop */
	{ 512, { MOVX(2, 10), ADD(2, -8), STX(2, 1, 0), JEQ(1, 0, -3),
		 EXIT }, 5 },
	/* a pointer that rises in a loop */
	{ 64,  { MOVX(2, 10), ADD(2, -64), I(0x7a, 2, 0, 0, 1), ADD(2, 8),
		 JEQ(1, 0, -3), EXIT }, 6 },
	/* a pointer that goes through memory */
	{ 512, { MOVX(2, 10), ADD(2, -8), STX(10, 2, -8), EXIT }, 4 },
};
// clang-format on

static void verdicts(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bpf_prog p = {
			.name = "p",
			.insn = (struct bpf_insn *)cases[i].insn,
			.ninsn = cases[i].n,
		};
		struct err e = { .what = "" };
		int ret;

		ret = bpf_check(&p, "x", &e);
		if (ret != (cases[i].want ? -1 : 0) ||
		    (ret && !strstr(e.what, cases[i].want)))
			fail_msg("case %zu: got '%s', not '%s'", i, e.what,
				 cases[i].want ? cases[i].want : "");
	}
}

/* In a program that we have put guards into. */
static void guards(void **state)
{
	static const struct {
		const char *want;
		struct bpf_insn guard;
	} guard[] = {
		{ NULL, I(0x86, 3, 1, 0, -1) },
		{ NULL, I(0x86, 0, 2, 0, 64) },
		{ NULL, I(0x86, 0, 4, 0, 1 << 29) },
		{ NULL, I(0x86, 0, 3, 0, 0) },
		{ "guard of an unknown kind", I(0x86, 0, 0, 0, 0) },
		{ "guard of an unknown kind", I(0x86, 0, 5, 0, 0) },
		{ "guard of no weight", I(0x86, 0, 2, 0, 0) },
		{ "guard of no weight", I(0x86, 0, 4, 0, -1) },
		{ "guard of no weight", I(0x86, 0, 4, 0, (1 << 29) + 1) },
		{ "guard of r10", I(0x86, 10, 1, 0, 0) },
		{ "reserved field", I(0x86, 3, 1, 1, 0) },
		{ "reserved field", I(0x86, 1, 2, 0, 64) },
		{ "reserved field", I(0x86, 0, 3, 0, 1) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(guard) / sizeof(*guard); i++) {
		struct bpf_insn insn[] = { guard[i].guard, EXIT };
		struct bpf_prog p = { .name = "p", .insn = insn, .ninsn = 2,
				      .guarded = true };
		struct err e = { .what = "" };
		int ret = bpf_check(&p, "x", &e);

		if (ret != (guard[i].want ? -1 : 0) ||
		    (ret && !strstr(e.what, guard[i].want)))
			fail_msg("guard %zu: got '%s'", i, e.what);
	}
}

static void depth(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		struct bpf_prog p = {
			.name = "p",
			.insn = (struct bpf_insn *)stacks[i].insn,
			.ninsn = stacks[i].n,
		};
		uint32_t got = check_stack(&p);

		if (got != stacks[i].want)
			fail_msg("case %zu: %u, not %u", i, got,
				 stacks[i].want);
	}
}

/* n functions, each calling the next one, the last one `last`. */
static int check_chain(uint32_t n, int32_t last, struct err *e)
{
	struct bpf_insn insn[32];
	uint32_t sub[16];
	struct bpf_prog p = { .name = "p", .insn = insn, .ninsn = 2 * n,
			      .sub = sub, .nsub = n };

	for (uint32_t k = 0; k < n; k++) {
		sub[k] = 2 * k;
		insn[2 * k] = (struct bpf_insn)I(0x85, 0, 1, 0, 1);
		insn[2 * k + 1] = (struct bpf_insn)EXIT;
	}
	insn[2 * n - 2] = last < 0 ? (struct bpf_insn)MOV(0, 0)
				   : (struct bpf_insn)I(0x85, 0, 1, 0,
							2 * last -
								(2 * (int)n - 1));
	return bpf_check(&p, "x", e);
}

static void nesting(void **state)
{
	struct err e = { .what = "" };

	(void)state;
	assert_int_equal(check_chain(8, -1, &e), 0);
	assert_int_equal(check_chain(9, -1, &e), -1);
	assert_non_null(strstr(e.what, "too deep"));
	assert_int_equal(check_chain(3, 1, &e), -1); /* recursion */
	assert_non_null(strstr(e.what, "too deep"));
	assert_int_equal(check_chain(2, 1, &e), -1);
}

/* n functions, each with a pointer to the next one, the last one to `last`. */
static int check_pointers(uint32_t n, uint32_t last, struct err *e)
{
	const struct bpf_insn pointer[] = { LDDW(2, BPF_PSEUDO_FUNC, 0),
					    CALL(181), EXIT };
	enum { SIZE = sizeof(pointer) / sizeof(*pointer) };
	struct bpf_insn insn[16 * SIZE];
	uint32_t sub[16];
	struct bpf_prog p = { .name = "p", .insn = insn, .ninsn = SIZE * n,
			      .sub = sub, .nsub = n };

	for (uint32_t k = 0; k < n; k++) {
		sub[k] = SIZE * k;
		memcpy(&insn[sub[k]], pointer, sizeof(pointer));
		insn[sub[k]].imm = (int32_t)(SIZE * (k + 1 < n ? k + 1 : last));
	}
	if (last >= n)
		insn[sub[n - 1]].src_reg = insn[sub[n - 1]].imm = 0;
	insn[sub[n - 1] + 2].imm = last >= n ? 5 : 181;
	return bpf_check(&p, "x", e);
}

static void callbacks(void **state)
{
	struct err e = { .what = "" };

	(void)state;
	assert_int_equal(check_pointers(8, 99, &e), 0);
	assert_int_equal(check_pointers(9, 99, &e), -1);
	assert_non_null(strstr(e.what, "too deep"));
	assert_int_equal(check_pointers(3, 1, &e), -1); /* recursion */
	assert_non_null(strstr(e.what, "too deep"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(nesting),
		cmocka_unit_test(callbacks),
		cmocka_unit_test(guards),
		cmocka_unit_test(depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
