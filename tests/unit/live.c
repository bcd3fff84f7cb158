/* SPDX-License-Identifier: MIT */
/* Liveness at a site: what a probe must preserve there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "rewriter/site/site.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

#define TEXT UINT64_C(0x1000)
#define ALL ALL_REGS
#define A REG_BIT(RAX)
#define C REG_BIT(RCX)
#define D REG_BIT(RDX)
#define R11_ REG_BIT(R11)

// clang-format off
static const struct {
	const char *text;
	const char *code; uint8_t len;
	uint32_t dead; /* registers not live at the start */
	bool flags;
} rows[] = {
#define ROW(text, code, ...) { text, code, sizeof(code) - 1, __VA_ARGS__ }
	ROW("ret", "\xc3", 0, false),
	ROW("mov $0,%eax; ret", "\xb8\0\0\0\0\xc3", A, false),
	ROW("xor %eax,%eax; ret", "\x31\xc0\xc3", A, false),
	ROW("mov %al,%cl; mov $0,%eax; ret",
	    "\x88\xc1\xb8\0\0\0\0\xc3", 0, false),
	ROW("jz +0; ret", "\x74\0\xc3", 0, true),
	ROW("test %eax,%eax; jz +0; ret", "\x85\xc0\x74\0\xc3", 0, false),
	ROW("inc %ecx; jc +0; ret", "\xff\xc1\x72\0\xc3", 0, true),
	ROW("call *%rdx; xor %eax,%eax; ret", "\xff\xd2\x31\xc0\xc3", 0,
	    false),
	ROW("call out; adc $0,%eax; ret", "\xe8\0\1\0\0\x83\xd0\0\xc3", 0,
	    false),
	ROW("call 1f; 1: adc $0,%eax; ret", "\xe8\0\0\0\0\x83\xd0\0\xc3", 0,
	    true),
	ROW("xor %ecx,%ecx; call *%rdx", "\x31\xc9\xff\xd2", C, false),
	ROW("jmp *%rax", "\xff\xe0", 0, true),
	ROW("xor %ecx,%ecx; jmp *%rax", "\x31\xc9\xff\xe0", C, false),
	ROW("jmp out of the function", "\xe9\0\1\0\0", 0, true),
	ROW("syscall", "\x0f\x05", 0, true),
	ROW("ud2", "\x0f\x0b", 0, true),
	ROW("no instruction", "\x06", 0, true),
	ROW("the end", "\x90", 0, true),
	/* A register is dead only if all paths write it. */
	ROW("jrcxz 1f; mov $1,%eax; mov $1,%edx; ret; 1: mov $2,%eax; ret",
	    "\xe3\x0b\xb8\1\0\0\0\xba\1\0\0\0\xc3\xb8\2\0\0\0\xc3", A, false),
	/* A loop reads what it wrote itself only. */
	ROW("mov $9,%ecx; 1: mov %ecx,%eax; dec %ecx; cmp $0,%ecx; jnz 1b; ret",
	    "\xb9\x09\0\0\0\x89\xc8\xff\xc9\x83\xf9\0\x75\xf7\xc3", A | C,
	    false),
	/* The second time round rax is read. */
	ROW("1: mov %ecx,%r11d; test %ecx,%ecx; jz 2f; mov %eax,%ecx; jmp 1b;"
	    "2: xor %eax,%eax; ret",
	    "\x41\x89\xcb\x85\xc9\x74\x04\x89\xc1\xeb\xf5\x31\xc0\xc3",
	    R11_, false),
	/* A loop that never ends needs only what it reads. */
	ROW("1: jmp 1b", "\xeb\xfe", ALL & ~REG_BIT(RSP), false),
	ROW("cmovz %rcx,%rax; ret", "\x48\x0f\x44\xc1\xc3", 0, true),
};
// clang-format on

static struct live live(const char *code, size_t len, uint64_t at)
{
	struct arena a = { 0 };
	struct segment seg = { .type = PT_LOAD,
			       .flags = PF_R | PF_X,
			       .vaddr = TEXT,
			       .filesz = len,
			       .memsz = len };
	struct symbol sym = {
		.name = "f", .addr = TEXT, .size = len, .type = STT_FUNC
	};
	struct image img = { .path = "made",
			     .type = ET_DYN,
			     .file = { (const uint8_t *)code, len },
			     .seg = &seg,
			     .nseg = 1,
			     .sym = &sym,
			     .nsym = 1 };
	struct sites s;
	struct live l;
	struct err e;

	assert_int_equal(sites_find(&a, &img, &s, &e), 0);
	l = live_at(&s, s.func, TEXT + at);
	arena_free(&a);
	return l;
}

static void snippets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct live l = live(rows[i].code, rows[i].len, 0);

		print_message("%s\n", rows[i].text);
		assert_int_equal(l.regs, ALL & ~rows[i].dead);
		assert_int_equal(l.flags, rows[i].flags);
	}
}

static void from_the_middle(void **state)
{
	/* xor %eax,%eax; mov %eax,%ecx; ret: from the mov on rax is live */
	struct live l = live("\x31\xc0\x89\xc1\xc3", 5, 2);

	(void)state;
	assert_int_equal(l.regs, ALL & ~C);
	assert_false(l.flags);
}

/* Longer than the walk's patience: then everything is live. */
static void too_long(void **state)
{
	static char code[600];

	(void)state;
	memset(code, 0x90, sizeof(code));
	memcpy(code + sizeof(code) - 3, "\x31\xc0\xc3", 3);
	assert_int_equal(live(code, sizeof(code), 0).regs, ALL);
	assert_true(live(code, sizeof(code), 0).flags);
	assert_int_equal(live(code, sizeof(code), 500).regs, ALL & ~A);
}

/* A chain of more branches than the walk can hold. */
static void too_many_blocks(void **state)
{
	static char code[2 * 100 + 3];

	(void)state;
	for (int i = 0; i < 100; i++)
		memcpy(code + 2 * i, "\x74\x00", 2);
	memcpy(code + 200, "\x31\xc0\xc3", 3);
	assert_int_equal(live(code, sizeof(code), 0).regs, ALL);
	assert_true(live(code, sizeof(code), 0).flags);
}

/* A jump into a fragment stays inside, one to another function leaves. */
static void into_a_fragment(void **state)
{
	/* f: jmp +0; g: xor %eax,%eax; ret */
	static const char code[] = "\xeb\0\x31\xc0\xc3";
	struct segment seg = { .type = PT_LOAD,
			       .flags = PF_R | PF_X,
			       .vaddr = TEXT,
			       .filesz = 5,
			       .memsz = 5 };
	struct symbol sym[] = {
		{ .name = "f", .addr = TEXT, .size = 2, .type = STT_FUNC },
		{ .name = "g", .addr = TEXT + 2, .size = 3, .type = STT_FUNC },
	};
	struct image img = { .path = "made",
			     .type = ET_DYN,
			     .file = { (const uint8_t *)code, 5 },
			     .seg = &seg,
			     .nseg = 1,
			     .sym = sym,
			     .nsym = 2 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct arena a = { 0 };
		struct sites s;
		struct err e;

		assert_int_equal(sites_find(&a, &img, &s, &e), 0);
		assert_int_equal(live_at(&s, s.func, TEXT).regs,
				 i ? ALL & ~A : ALL);
		arena_free(&a);
		sym[1].name = "f.cold";
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snippets),
		cmocka_unit_test(from_the_middle),
		cmocka_unit_test(too_long),
		cmocka_unit_test(too_many_blocks),
		cmocka_unit_test(into_a_fragment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
