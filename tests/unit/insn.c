/* SPDX-License-Identifier: MIT */
/* Decoding: lengths and flow, what must be fixed up when an instruction moves,
 * and what each one reads and writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "rewriter/site/insn.h"

#include <cmocka.h>

#define LEN(s) (sizeof(s) - 1)
#define CODE(s) (const uint8_t *)(s), LEN(s)
#define BASE UINT64_C(0x401000)

// clang-format off
static const struct {
	const char *text;
	const char *code; uint8_t len;
	uint8_t flow, rel_off, rel_size, rip_off;
	int64_t target; /* from BASE */
} flows[] = {
#define ROW(text, code, ...) { text, code, LEN(code), __VA_ARGS__ }
	/*                           flow           rel      rip target */
	ROW("push %rbp",  "\x55",            FLOW_NEXT,     0, 0, 0, 0),
	ROW("jz",         "\x74\xfe",        FLOW_JCC,      1, 1, 0, 0),
	ROW("jnz rel32",  "\x0f\x85\0\1\0\0", FLOW_JCC,     2, 4, 0, 0x106),
	ROW("bnd jz",     "\xf2\x74\x10",    FLOW_JCC,      2, 1, 0, 0x13),
	ROW("jmp",        "\xeb\x7f",        FLOW_JMP,      1, 1, 0, 0x81),
	ROW("jmp rel32",  "\xe9\xfb\xff\xff\xff", FLOW_JMP, 1, 4, 0, 0),
	ROW("call",       "\xe8\0\0\0\0",    FLOW_CALL,     1, 4, 0, 5),
	ROW("loop",       "\xe2\x80",        FLOW_LOOP,     1, 1, 0, -126),
	ROW("loope",      "\xe1\0",          FLOW_LOOP,     1, 1, 0, 2),
	ROW("jrcxz",      "\xe3\2",          FLOW_LOOP,     1, 1, 0, 4),
	ROW("jecxz",      "\x67\xe3\2",      FLOW_LOOP,     2, 1, 0, 5),
	ROW("xbegin",     "\xc7\xf8\1\0\0\0", FLOW_LOOP,    2, 4, 0, 7),
	ROW("call *%rax", "\xff\xd0",        FLOW_CALL_IND, 0, 0, 0, 0),
	ROW("call *mem",  "\xff\x15\1\0\0\0", FLOW_CALL_IND, 0, 0, 2, 7),
	ROW("notrack jmp *%rax", "\x3e\xff\xe0", FLOW_JMP_IND, 0, 0, 0, 0),
	ROW("ret",        "\xc3",            FLOW_RET,      0, 0, 0, 0),
	ROW("rep ret",    "\xf3\xc3",        FLOW_RET,      0, 0, 0, 0),
	ROW("ret $8",     "\xc2\x08\0",      FLOW_RET,      0, 0, 0, 0),
	ROW("ud2",        "\x0f\x0b",        FLOW_STOP,     0, 0, 0, 0),
	ROW("hlt",        "\xf4",            FLOW_STOP,     0, 0, 0, 0),
	ROW("int3",       "\xcc",            FLOW_TRAP,     0, 0, 0, 0),
	ROW("syscall",    "\x0f\x05",        FLOW_SYSCALL,  0, 0, 0, 0),
	ROW("int $0x80",  "\xcd\x80",        FLOW_SYSCALL,  0, 0, 0, 0),
	ROW("lea (%rip)", "\x48\x8d\x05\x10\0\0\0", FLOW_NEXT, 0, 0, 3, 0x17),
	ROW("cmpl $1, -8(%rip)", "\x83\x3d\xf8\xff\xff\xff\1",
	    FLOW_NEXT, 0, 0, 2, -1),
	ROW("vmovaps (%rip), %zmm0", "\x62\xf1\x7c\x48\x28\x05\0\1\0\0",
	    FLOW_NEXT, 0, 0, 6, 0x10a),
	ROW("mov 8(%rbp), %rax", "\x48\x8b\x45\x08", FLOW_NEXT, 0, 0, 0, 0),
	ROW("mov %fs:0x28, %rax", "\x64\x48\x8b\x04\x25\x28\0\0\0",
	    FLOW_NEXT, 0, 0, 0, 0),
};
// clang-format on

static void flow_and_fixups(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
		struct insn in;

		print_message("%s\n", flows[i].text);
		assert_true(insn_decode((const uint8_t *)flows[i].code,
					flows[i].len, BASE, &in));
		assert_int_equal(in.len, flows[i].len);
		assert_int_equal(in.flow, flows[i].flow);
		assert_int_equal(in.rel_off, flows[i].rel_off);
		assert_int_equal(in.rel_size, flows[i].rel_size);
		assert_int_equal(in.rip_off, flows[i].rip_off);
		if (in.rel_off || in.rip_off)
			assert_int_equal(in.target,
					 BASE + (uint64_t)flows[i].target);
	}
}

// clang-format off
static const struct {
	const char *text;
	const char *code; uint8_t len;
	bool nop, endbr, prefixed;
} kinds[] = {
	/*                            nop    endbr  prefixed */
	ROW("nop",       "\x90",                  true,  false, false),
	ROW("xchg ax",   "\x66\x90",              true,  false, false),
	ROW("xchg r8",   "\x49\x90",              false, false, false),
	ROW("nopl",      "\x0f\x1f\x44\0\0",      true,  false, false),
	ROW("cs nopw",   "\x66\x2e\x0f\x1f\x84\0\0\0\0\0", true, false, true),
	ROW("pause",     "\xf3\x90",              false, false, false),
	ROW("endbr64",   "\xf3\x0f\x1e\xfa",      false, true,  false),
	ROW("lock inc",  "\xf0\xff\x00",          false, false, true),
	ROW("rep movsb", "\xf3\xa4",              false, false, true),
	ROW("rep ret",   "\xf3\xc3",              false, false, true),
	ROW("movss",     "\xf3\x0f\x10\xc1",      false, false, false),
	ROW("mov fs",    "\x64\x8b\x00",          false, false, true),
};
// clang-format on

static void kinds_of_instruction(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct insn in;

		print_message("%s\n", kinds[i].text);
		assert_true(insn_decode((const uint8_t *)kinds[i].code,
					kinds[i].len, BASE, &in));
		assert_int_equal(in.len, kinds[i].len);
		assert_int_equal(in.nop, kinds[i].nop);
		assert_int_equal(in.endbr, kinds[i].endbr);
		assert_int_equal(in.prefixed, kinds[i].prefixed);
	}
}

static void invalid_and_truncated(void **state)
{
	struct insn in;
	struct effects fx;

	(void)state;
	assert_false(insn_decode(CODE("\x06"), BASE, &in)); /* push %es */
	assert_false(insn_decode(CODE("\xe8\0\0\0"), BASE, &in));
	assert_false(insn_decode(CODE(""), BASE, &in));
	assert_false(insn_effects(CODE("\x48"), &fx));
}

#define A REG_BIT(RAX)
#define C REG_BIT(RCX)
#define D REG_BIT(RDX)
#define B REG_BIT(RBX)
#define SP REG_BIT(RSP)
#define SI REG_BIT(RSI)
#define DI REG_BIT(RDI)

// clang-format off
static const struct {
	const char *text;
	const char *code; uint8_t len;
	uint32_t reads, writes;
	bool reads_flags, writes_flags;
} effects[] = {
	/*                                          reads     writes  flags */
	ROW("mov %rax, %rbx",  "\x48\x89\xc3",      A,        B,      0, 0),
	ROW("mov %eax, %ebx",  "\x89\xc3",          A,        B,      0, 0),
	ROW("mov %ax, %bx",    "\x66\x89\xc3",      A | B,    B,      0, 0),
	ROW("mov %ah, %bl",    "\x88\xe3",          A | B,    B,      0, 0),
	ROW("mov (%rax,%rcx), %edx", "\x8b\x14\x08", A | C,   D,      0, 0),
	ROW("mov %edx, (%rax)", "\x89\x10",         A | D,    0,      0, 0),
	ROW("lea 8(%r9), %r8", "\x4d\x8d\x41\x08",  REG_BIT(R9), REG_BIT(R8),
	    0, 0),
	ROW("xor %eax, %eax",  "\x31\xc0",          0,        A,      0, 1),
	ROW("sub %rcx, %rcx",  "\x48\x29\xc9",      0,        C,      0, 1),
	ROW("xor %al, %al",    "\x30\xc0",          A,        A,      0, 1),
	ROW("xor %ecx, %eax",  "\x31\xc8",          A | C,    A,      0, 1),
	ROW("sbb %eax, %eax",  "\x19\xc0",          A,        A,      1, 1),
	ROW("cmovz %rcx, %rax", "\x48\x0f\x44\xc1", A | C,    A,      1, 0),
	ROW("setz %al",        "\x0f\x94\xc0",      A,        A,      1, 0),
	ROW("cmp %rcx, %rax",  "\x48\x39\xc8",      A | C,    0,      0, 1),
	ROW("inc %eax",        "\xff\xc0",          A,        A,      0, 0),
	ROW("add $1, %eax",    "\x83\xc0\x01",      A,        A,      0, 1),
	ROW("shl $4, %eax",    "\xc1\xe0\x04",      A,        A,      0, 1),
	ROW("shl $32, %eax",   "\xc1\xe0\x20",      A,        A,      0, 0),
	ROW("shl $32, %rax",   "\x48\xc1\xe0\x20",  A,        A,      0, 1),
	ROW("shl %eax",        "\xd1\xe0",          A,        A,      0, 1),
	ROW("shl %cl, %eax",   "\xd3\xe0",          A | C,    A,      0, 0),
	ROW("bsf %ecx, %eax",  "\x0f\xbc\xc1",      A | C,    A,      0, 0),
	ROW("rdsspq %rax",     "\xf3\x48\x0f\x1e\xc8", A, A,   0, 0),
	ROW("lsl %cx, %eax",   "\x0f\x03\xc1",      A | C,    A,      0, 0),
	ROW("push %rbx",       "\x53",              B | SP,   SP,     0, 0),
	ROW("div %rcx",        "\x48\xf7\xf1",      A | C | D, A | D, 0, 0),
	ROW("mul %rcx",        "\x48\xf7\xe1",      A | C,    A | D,  0, 0),
	ROW("cqo",             "\x48\x99",          A,        D,      0, 0),
	ROW("rep movsb",       "\xf3\xa4",          C | SI | DI, C | SI | DI,
	    0, 0),
	/* The decoder does not tell that cmps moves its pointers: a write
	 * that is not told of kills nothing, which is safe. */
	ROW("repz cmpsb",      "\xf3\xa6",          C | SI | DI, C,
	    1, 0),
	ROW("lock cmpxchg %rcx, (%rdx)", "\xf0\x48\x0f\xb1\x0a",
	    A | C | D, A, 0, 1),
	ROW("cpuid",           "\x0f\xa2",          A | C,    A | B | C | D,
	    0, 0),
	ROW("nopl (%rax,%rax)", "\x0f\x1f\x44\0\0", 0,        0,      0, 0),
	ROW("movups %xmm0, (%rdi)", "\x0f\x11\x07", DI,       0,      0, 0),
	ROW("jz",              "\x74\0",            0,        0,      1, 0),
};
// clang-format on

static void registers_and_flags(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		struct effects fx;

		print_message("%s\n", effects[i].text);
		assert_true(insn_effects((const uint8_t *)effects[i].code,
					 effects[i].len, &fx));
		assert_int_equal(fx.reads, effects[i].reads);
		assert_int_equal(fx.writes, effects[i].writes);
		assert_int_equal(fx.reads_flags, effects[i].reads_flags);
		assert_int_equal(fx.writes_flags, effects[i].writes_flags);
	}
}

static void text(void **state)
{
	char buf[64];

	(void)state;
	insn_print(CODE("\x48\x89\xe5"), BASE, buf, sizeof(buf));
	assert_string_equal(buf, "mov %rsp, %rbp");
	insn_print(CODE("\x06"), BASE, buf, sizeof(buf));
	assert_string_equal(buf, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow_and_fixups),
		cmocka_unit_test(kinds_of_instruction),
		cmocka_unit_test(invalid_and_truncated),
		cmocka_unit_test(registers_and_flags),
		cmocka_unit_test(text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
