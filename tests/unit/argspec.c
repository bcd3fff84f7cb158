/* SPDX-License-Identifier: MIT */
/* USDT argument strings: every form of operand that compilers write, and what
 * cannot be understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rewriter/usdt/argspec.h"
#include "runtime-stub/abi.h"

#include <cmocka.h> /* last: it has a macro fail() */

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define W(r) offsetof(struct hit, r) / 8
enum { NO = WORD_NONE };

static struct arena arena;

static struct symbol symbols[] = {
	{ .name = "gi", .addr = 0x4010, .bind = STB_LOCAL },
	{ .name = "CheckpointStats", .addr = 0x5000, .bind = STB_GLOBAL },
	{ .name = "twice", .addr = 0x5100, .bind = STB_LOCAL },
	{ .name = "twice", .addr = 0x5200, .bind = STB_LOCAL },
	{ .name = "both", .addr = 0x5300, .bind = STB_LOCAL },
	{ .name = "both", .addr = 0x5400, .bind = STB_GLOBAL },
	{ .name = "counter.0", .addr = 0x5500, .bind = STB_LOCAL },
};
/* 0x24 bytes, aligned to 16: the thread pointer is 0x30 behind the start. */
static struct symbol thread_locals[] = {
	{ .name = "tl", .addr = 0x8, .bind = STB_GLOBAL },
};
static struct segment segments[] = {
	{ .type = PT_LOAD, .vaddr = 0, .memsz = 0x8000 },
	{ .type = PT_TLS, .vaddr = 0x3000, .memsz = 0x24, .align = 16 },
};
static struct image image = {
	.type = ET_DYN,
	.sym = symbols,
	.nsym = COUNT(symbols),
	.tls = thread_locals,
	.ntls = COUNT(thread_locals),
	.seg = segments,
	.nseg = COUNT(segments),
};

// clang-format off
static const struct {
	const char *text;
	struct operand want;
} forms[] = {
	/* a register: all sizes, all names */
	{ "8@%rdx",       { .kind = OPERAND_REG, .size = 8, .base = W(dx), .index = NO } },
	{ "-8@%rdi",      { .kind = OPERAND_REG, .size = 8, .is_signed = true, .base = W(di), .index = NO } },
	{ "-4@%eax",      { .kind = OPERAND_REG, .size = 4, .is_signed = true, .base = W(ax), .index = NO } },
	{ "2@%cx",        { .kind = OPERAND_REG, .size = 2, .base = W(cx), .index = NO } },
	{ "1@%bpl",       { .kind = OPERAND_REG, .size = 1, .base = W(bp), .index = NO } },
	{ "-1@%sil",      { .kind = OPERAND_REG, .size = 1, .is_signed = true, .base = W(si), .index = NO } },
	{ "4@%r9d",       { .kind = OPERAND_REG, .size = 4, .base = W(r9), .index = NO } },
	{ "2@%r15w",      { .kind = OPERAND_REG, .size = 2, .base = W(r15), .index = NO } },
	{ "1@%r8b",       { .kind = OPERAND_REG, .size = 1, .base = W(r8), .index = NO } },
	{ "8@%rsp",       { .kind = OPERAND_REG, .size = 8, .base = W(sp), .index = NO } },
	{ "8@%rip",       { .kind = OPERAND_REG, .size = 8, .base = W(ip), .index = NO } },
	{ "1@%ah",        { .kind = OPERAND_REG, .size = 1, .high = true, .base = W(ax), .index = NO } },
	{ "-1@%bh",       { .kind = OPERAND_REG, .size = 1, .is_signed = true, .high = true, .base = W(bx), .index = NO } },
	{ "%rbx",         { .kind = OPERAND_REG, .size = 8, .base = W(bx), .index = NO } },
	/* floating: bits as they are */
	{ "8f@%rcx",      { .kind = OPERAND_REG, .size = 8, .is_float = true, .base = W(cx), .index = NO } },
	{ "4f@%edx",      { .kind = OPERAND_REG, .size = 4, .is_float = true, .base = W(dx), .index = NO } },
	{ "4f@-12(%rbp)", { .kind = OPERAND_MEMORY, .size = 4, .is_float = true, .base = W(bp), .index = NO, .disp = -12 } },
	/* constants */
	{ "8@$5",         { .kind = OPERAND_CONST, .size = 8, .base = NO, .index = NO, .disp = 5 } },
	{ "-4@$-9",       { .kind = OPERAND_CONST, .size = 4, .is_signed = true, .base = NO, .index = NO, .disp = -9 } },
	{ "8@$0x7fffffffffffffff", { .kind = OPERAND_CONST, .size = 8, .base = NO, .index = NO, .disp = INT64_MAX } },
	{ "8@$18446744073709551615", { .kind = OPERAND_CONST, .size = 8, .base = NO, .index = NO, .disp = -1 } },
	{ "8@$gi+4",      { .kind = OPERAND_ADDRESS, .size = 8, .in_image = true, .base = NO, .index = NO, .disp = 0x4014 } },
	/* memory by registers */
	{ "8@-80(%rbx)",  { .kind = OPERAND_MEMORY, .size = 8, .base = W(bx), .index = NO, .disp = -80 } },
	{ "-4@-1204(%rbp)", { .kind = OPERAND_MEMORY, .size = 4, .is_signed = true, .base = W(bp), .index = NO, .disp = -1204 } },
	{ "4@(%rax)",     { .kind = OPERAND_MEMORY, .size = 4, .base = W(ax), .index = NO } },
	{ "8@0x10(%r12)", { .kind = OPERAND_MEMORY, .size = 8, .base = W(r12), .index = NO, .disp = 16 } },
	{ "8@16+8(%rsp)", { .kind = OPERAND_MEMORY, .size = 8, .base = W(sp), .index = NO, .disp = 24 } },
	{ "8@(%rax,%rcx)", { .kind = OPERAND_MEMORY, .size = 8, .base = W(ax), .index = W(cx) } },
	{ "8@(%rax,%rcx,8)", { .kind = OPERAND_MEMORY, .size = 8, .base = W(ax), .index = W(cx), .shift = 3 } },
	{ "1@-2(%rsi,%rdi)", { .kind = OPERAND_MEMORY, .size = 1, .base = W(si), .index = W(di), .disp = -2 } },
	{ "2@4(%r10,%r11,2)", { .kind = OPERAND_MEMORY, .size = 2, .base = W(r10), .index = W(r11), .shift = 1, .disp = 4 } },
	{ "8@24(,%rdx,4)", { .kind = OPERAND_MEMORY, .size = 8, .base = NO, .index = W(dx), .shift = 2, .disp = 24 } },
	{ "4@4096",       { .kind = OPERAND_MEMORY, .size = 4, .base = NO, .index = NO, .disp = 4096 } },
	/* by a symbol */
	{ "-4@gi(%rip)",  { .kind = OPERAND_MEMORY, .size = 4, .is_signed = true, .in_image = true, .base = NO, .index = NO, .disp = 0x4010 } },
	{ "-4@44+CheckpointStats(%rip)", { .kind = OPERAND_MEMORY, .size = 4, .is_signed = true, .in_image = true, .base = NO, .index = NO, .disp = 0x502c } },
	{ "8@CheckpointStats+8(%rip)", { .kind = OPERAND_MEMORY, .size = 8, .in_image = true, .base = NO, .index = NO, .disp = 0x5008 } },
	{ "8@CheckpointStats-8(%rip)", { .kind = OPERAND_MEMORY, .size = 8, .in_image = true, .base = NO, .index = NO, .disp = 0x4ff8 } },
	{ "1@counter.0(%rip)", { .kind = OPERAND_MEMORY, .size = 1, .in_image = true, .base = NO, .index = NO, .disp = 0x5500 } },
	{ "8@both(%rip)", { .kind = OPERAND_MEMORY, .size = 8, .in_image = true, .base = NO, .index = NO, .disp = 0x5400 } },
	{ "4@gi(,%rax,4)", { .kind = OPERAND_MEMORY, .size = 4, .in_image = true, .base = NO, .index = W(ax), .shift = 2, .disp = 0x4010 } },
	{ "4@gi",         { .kind = OPERAND_MEMORY, .size = 4, .in_image = true, .base = NO, .index = NO, .disp = 0x4010 } },
	/* what libbpf makes of it: relative to the probe */
	{ "4@8(%rip)",    { .kind = OPERAND_MEMORY, .size = 4, .base = W(ip), .index = NO, .disp = 8 } },
	/* thread-local */
	{ "-4@%fs:tl@tpoff", { .kind = OPERAND_MEMORY, .size = 4, .is_signed = true, .fs = true, .base = NO, .index = NO, .disp = -0x28 } },
	{ "8@%fs:tl@tpoff+8", { .kind = OPERAND_MEMORY, .size = 8, .fs = true, .base = NO, .index = NO, .disp = -0x20 } },
	{ "8@%fs:-8",     { .kind = OPERAND_MEMORY, .size = 8, .fs = true, .base = NO, .index = NO, .disp = -8 } },
	{ "8@%fs:0",      { .kind = OPERAND_MEMORY, .size = 8, .fs = true, .base = NO, .index = NO } },
	{ "8@%fs:(%rax)", { .kind = OPERAND_MEMORY, .size = 8, .fs = true, .base = W(ax), .index = NO } },
	{ "8@%fs:tl@tpoff(%rax)", { .kind = OPERAND_MEMORY, .size = 8, .fs = true, .base = W(ax), .index = NO, .disp = -0x28 } },
	{ "8@$tl@tpoff",  { .kind = OPERAND_CONST, .size = 8, .base = NO, .index = NO, .disp = -0x28 } },
};

static const struct {
	const char *text, *why;
} bad[] = {
	{ "8@%xmm0",         "%xmm0 is not in pt_regs" },
	{ "8@%",             "% is not in pt_regs" },
	{ "3@%rax",          "a size that no register has" },
	{ "16@%rax",         "a size that no register has" },
	{ "8@",              "not an operand" },
	{ "8@$",             "not an operand" },
	{ "8@%gs:8",         "%gs is not in pt_regs" },
	{ "8@.LC0(%rip)",    "no symbol .LC0" },
	{ "8@twice(%rip)",   "no symbol twice" },
	{ "8@gi+both(%rip)", "more than one symbol" },
	{ "8@-gi(%rip)",     "more than one symbol" },
	{ "8@gi@GOTPCREL(%rip)", "a symbol's address in a table" },
	{ "8@tl@tpoff(%rip)", "a thread-local symbol needs %fs" },
	{ "8@%fs:gi",        "a thread-local symbol needs %fs" },
	{ "8@%fs:gone@tpoff", "no thread-local symbol gone" },
	{ "8@(%rax",         "no closing bracket" },
	{ "8@(%ah)",         "%ah is not in pt_regs" },
	{ "8@(%rax,%rcx,3)", "a scale that does not exist" },
	{ "8@()",            "not a register" },
	{ "8@8(%rax)x",      "something follows the operand" },
	{ "8@%rax,1",        "something follows the operand" },
	{ "8@$99999999999999999999", "a number out of range" },
};
// clang-format on

static int done(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct operand one(const char *text)
{
	struct argspec s;

	assert_int_equal(argspec_parse(&arena, &image, text, &s), 0);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.arg[0].text, text);
	return s.arg[0];
}

static void every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct operand want = forms[i].want, got = one(forms[i].text);

		want.text = got.text;
		if (got.why || memcmp(&got, &want, sizeof(got)))
			print_error("%s: %s\n", forms[i].text,
				    got.why ? got.why : "other fields");
		assert_null(got.why);
		assert_memory_equal(&got, &want, sizeof(got));
	}
}

static void what_cannot_be_had(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct operand got = one(bad[i].text);

		if (got.kind != OPERAND_NONE)
			print_error("%s\n", bad[i].text);
		assert_int_equal(got.kind, OPERAND_NONE);
		assert_string_equal(got.why, bad[i].why);
	}
}

/* A program that is not moved needs no load address. */
static void symbols_of_a_program_that_stays(void **state)
{
	struct operand o;

	(void)state;
	image.type = ET_EXEC;
	o = one("8@$gi");
	assert_int_equal(o.kind, OPERAND_CONST);
	assert_int_equal(o.disp, 0x4010);
	o = one("8@gi(%rip)");
	assert_false(o.in_image);
	assert_int_equal(o.disp, 0x4010);
	image.type = ET_DYN;
}

/* Its block's distance is known to the loader only. */
static void no_thread_offset_in_a_library(void **state)
{
	(void)state;
	image.dso = true;
	assert_int_equal(one("8@%fs:tl@tpoff").kind, OPERAND_NONE);
	image.dso = false;
}

static void several(void **state)
{
	struct argspec s;

	(void)state;
	assert_int_equal(argspec_parse(&arena, &image,
				       " 8@%rdx\t-4@$-9  8@%xmm1 1@%al ", &s),
			 0);
	assert_int_equal(s.n, 4);
	assert_int_equal(s.arg[0].kind, OPERAND_REG);
	assert_int_equal(s.arg[1].disp, -9);
	assert_int_equal(s.arg[2].kind, OPERAND_NONE);
	assert_int_equal(s.arg[3].size, 1);
	assert_int_equal(argspec_parse(&arena, &image, "", &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(
		argspec_parse(&arena, &image,
			      "%rax %rax %rax %rax %rax %rax %rax %rax %rax "
			      "%rax %rax %rax", &s), 0);
	assert_int_equal(s.n, ARGS_MAX);
	assert_int_equal(
		argspec_parse(&arena, &image,
			      "%rax %rax %rax %rax %rax %rax %rax %rax %rax "
			      "%rax %rax %rax %rax", &s), -1);
}

static void constants_have_a_size(void **state)
{
	struct operand o;

	(void)state;
	o = one("1@$300");
	assert_int_equal(operand_const(&o), 300 & 0xff);
	o = one("-1@$255");
	assert_int_equal(operand_const(&o), -1);
	o = one("4@$-9");
	assert_int_equal(operand_const(&o), 0xfffffff7);
	o = one("-8@$-9");
	assert_int_equal(operand_const(&o), -9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form),
		cmocka_unit_test(what_cannot_be_had),
		cmocka_unit_test(symbols_of_a_program_that_stays),
		cmocka_unit_test(no_thread_offset_in_a_library),
		cmocka_unit_test(several),
		cmocka_unit_test(constants_have_a_size),
	};

	return cmocka_run_group_tests(tests, NULL, done);
}
