/* SPDX-License-Identifier: MIT */
/* How control leaves a function, and whether one can tell: by jumps where the
 * frame description follows the stack, and into its own next part.  Where the
 * stack is counted, it is as this program's frame descriptions say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "elf/unwind.h"
#include "rewriter/site/targets.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

#define TEXT UINT64_C(0x1000)

enum { PART = 0x10, OTHER = 0x20, SIZE = 0x30 };

#define B(s) { (const uint8_t *)s, sizeof(s) - 1 }
/* Rows: 0x40 + n goes on by n bytes, 0x0e sets the distance to the CFA. */

// clang-format off
static const struct {
	const char *name;
	struct bytes code, part, rows; /* the code but for nops */
	size_t ntail;
	const char *why;               /* a piece of it */
	bool bare;                     /* without a frame description */
} want[] = {
	{ "push", B("\x50\x58\xe9\x19\0\0\0"), B("\xc3"),
	  B("\x41\x0e\x10\x41\x0e\x08"), 1, NULL, false },
	{ "push memory", B("\xff\x37\x58\xe9\x18\0\0\0"), B("\xc3"),
	  B("\x42\x0e\x10\x41\x0e\x08"), 1, NULL, false },
	/* counted, where the description says nothing or wrong */
	{ "not followed", B("\xff\x37\x58\xe9\x18\0\0\0"), B("\xc3"),
	  B(""), 1, NULL, false },
	{ "followed wrongly",
	  B("\xff\x37\x58\x48\x83\xe4\xf0\xe9\x14\0\0\0"), B("\xc3"),
	  B("\x42\x0e\x18\x41\x0e\x10\x44\x0e\x08"), 1, "does not follow",
	  false },
	{ "moved", B("\x50\x48\x89\xdc\xe9\x17\0\0\0"), B("\xc3"),
	  B("\x41\x0e\x10\x43\x0e\x08"), 1, NULL, false },
	{ "moved, not followed", B("\x50\x48\x89\xdc\x58\xe9\x16\0\0\0"),
	  B("\xc3"), B("\x41\x0e\x10\x44\x0e\x08"), 1, "does not follow",
	  false },
	{ "into its part", B("\x74\x0e"), B("\xc3"), B(""), 0, NULL, false },
	{ "out of its part", B("\x74\x0e\xc3"), B("\x90"), B(""), 0,
	  "runs on", false },
	{ "ret at a height", B("\x50\xc3"), B("\xc3"),
	  B("\x41\x0e\x10"), 0, "a ret that", false },
	{ "ret, described wrongly", B("\x50\x58\xc3"), B("\xc3"),
	  B("\x41\x0e\x10"), 0, NULL, false },
	/* in the form that is safe from Spectre: gcc describes it so */
	{ "return by a thunk",
	  B("\xe8\x02\0\0\0\xeb\xfe\x48\x8d\x64\x24\x08\xc3"), B("\xc3"),
	  B("\x47\x0e\x10"), 0, NULL, false },
	{ "jump by a thunk",
	  B("\xe8\x02\0\0\0\xeb\xfe\x48\x89\x04\x24\xc3"), B("\xc3"),
	  B("\x47\x0e\x10"), 0, "a ret that", false },
	/* counted only */
	{ "bare", B("\x50\x58\xe9\x19\0\0\0"), B("\xc3"), B(""), 1, NULL,
	  true },
	{ "bare, pushes memory", B("\xff\x37\x58\xe9\x18\0\0\0"), B("\xc3"),
	  B(""), 1, NULL, true },
	{ "bare, leave", B("\x55\x48\x89\xe5\x50\xc9\xe9\x15\0\0\0"),
	  B("\xc3"), B(""), 1, NULL, true },
	{ "bare, lea",
	  B("\x55\x48\x89\xe5\x48\x8d\x65\0\x5d\xe9\x12\0\0\0"),
	  B("\xc3"), B(""), 1, NULL, true },
	{ "bare, rbp lost", B("\x55\x48\x89\xe5\x31\xed\xc9\xe9\x14\0\0\0"),
	  B("\xc3"), B(""), 0, "no frame description", true },
	{ "bare, aligned", B("\x48\x83\xe4\xf0\xe9\x17\0\0\0"), B("\xc3"),
	  B(""), 0, "no frame description", true },
	{ "bare, paths differ", B("\x74\x01\x50\xe9\x18\0\0\0"), B("\xc3"),
	  B(""), 0, "no frame description", true },
	{ "bare, higher", B("\x50\xe9\x1a\0\0\0"), B("\xc3"), B(""), 0,
	  "shares code", true },
	{ "bare, switch", B("\x50\xff\xe0"), B("\xc3"), B(""), 0, NULL,
	  true },
	{ "bare, through memory", B("\xff\x27"), B("\xc3"), B(""), 1, NULL,
	  true },
};
// clang-format on

static void leaves(void **state)
{
	static const char cie[] = "\x0c\x07\x08\x90\x01"; /* rsp+8, ra at -8 */
	static uint8_t code[SIZE];
	struct segment seg = { .type = PT_LOAD, .flags = PF_R | PF_X,
			       .vaddr = TEXT, .filesz = SIZE, .memsz = SIZE };

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		struct bytes common = { (const uint8_t *)cie, 5 };
		struct fde fde[] = {
			{ .start = TEXT, .size = PART, .cie_insns = common,
			  .insns = want[i].rows, .code_align = 1, .data_align = -8,
			  .ra_reg = 16 },
			{ .start = TEXT + PART, .size = OTHER - PART,
			  .fragment = true, .cie_insns = common,
			  .code_align = 1, .data_align = -8, .ra_reg = 16 },
			{ .start = TEXT + OTHER, .size = SIZE - OTHER,
			  .cie_insns = common, .code_align = 1,
			  .data_align = -8, .ra_reg = 16 },
		};
		struct symbol f = { .name = "f", .addr = TEXT, .size = PART,
				    .type = STT_FUNC };
		struct image img = { .path = "made", .type = ET_DYN,
				     .file = { code, SIZE }, .seg = &seg,
				     .nseg = 1, .fde = fde + want[i].bare,
				     .nfde = 3 - want[i].bare, .sym = &f,
				     .nsym = 1 };
		struct arena a = { 0 };
		struct sites s;
		struct body b;
		struct err e;

		memset(code, 0x90, SIZE);
		memcpy(code, want[i].code.p, want[i].code.n);
		memcpy(code + PART, want[i].part.p, want[i].part.n);
		code[SIZE - 1] = 0xc3;
		assert_int_equal(sites_find(&a, &img, &s, &e), 0);
		body_find(&s, func_at(&s, TEXT), &b);
		if (!b.why != !want[i].why ||
		    (b.why && !strstr(b.why, want[i].why)))
			fail_msg("%s: %s", want[i].name, b.why ? b.why : "-");
		if (b.ntail != want[i].ntail)
			fail_msg("%s: %zu jumps", want[i].name, b.ntail);
		arena_free(&a);
	}
}

/* Does it leave f by a ret or a direct jump? */
static bool leaves_by(const struct insn *in, const struct func *f)
{
	return in->flow == FLOW_RET ||
	       (in->flow == FLOW_JMP && in->target - f->addr >= f->size);
}

static void counted_as_described(void **state)
{
	struct arena a = { 0 };
	struct image img;
	struct sites s;
	struct insn in;
	struct err e;
	size_t known = 0, all = 0;

	(void)state;
	assert_int_equal(image_read(&a, "/proc/self/exe", &img, &e), 0);
	assert_int_equal(sites_find(&a, &img, &s, &e), 0);
	for (size_t i = 0; i < s.nfunc; i++) {
		const struct func *f = &s.func[i];
		const struct fde *fde = image_fde(&img, f->addr);

		if (f->fragment || !fde || fde->start != f->addr ||
		    fde->size != f->size)
			continue;
		for (uint64_t at = f->addr; at < f->addr + f->size;
		     at += in.len) {
			int32_t got = stack_height(&s, f, at);

			assert_true(insn_decode(image_at(&img, at, 1), 15, at,
						&in));
			all += leaves_by(&in, f);
			if (!leaves_by(&in, f) || got == UNWIND_UNKNOWN)
				continue;
			known++;
			if (got != unwind_height(fde, at))
				fail_msg("%s+0x%llx: %d", f->name,
					 (unsigned long long)(at - f->addr),
					 got);
		}
	}
	print_message("%zu of %zu ways out\n", known, all);
	assert_true(all > 100 && known > all * 3 / 4);
	image_close(&img);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves),
		cmocka_unit_test(counted_as_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
