/* SPDX-License-Identifier: MIT */
/* What seems to lead inside an instruction is an accident where decoding is in
 * step, and counts where it may not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "rewriter/site/site.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

#define TEXT UINT64_C(0x401000)
#define DATA UINT64_C(0x402000)

enum {
	F = 0x00, /* a function, 32 bytes, described */
	G = 0x20, /* another one, of 16 */
	STRAY = 0x30, /* bytes that nothing covers */
	SIZE = 0x40,
	TABLE = SIZE, /* words in another segment */
	ALL = TABLE + 0x20,
};

enum { NO_FDE = 1, LABEL = 2 };

/* What may be wrong with F. */
struct kind {
	const char *name;
	const char *code; /* of F, up to a ret */
	size_t n;
	uint64_t at;      /* what seems to be led to, as an offset */
	enum target_why why;
	unsigned odd;     /* NO_FDE, LABEL: a symbol at 3 */
};

static struct made {
	struct arena a;
	struct image img;
	struct sites s;
	uint8_t file[ALL];
	struct segment seg[2];
	struct fde fde[2];
	struct symbol sym[2];
	uint64_t ptr[1];
} m;

static void make(const struct kind *k)
{
	arena_free(&m.a);
	m = (struct made){ 0 };
	memset(m.file, 0x90, SIZE);
	memcpy(m.file + F, k->code, k->n);
	m.file[G - 1] = m.file[STRAY - 1] = 0xc3;
	m.seg[0] = (struct segment){ .type = PT_LOAD, .flags = PF_R | PF_X,
				     .vaddr = TEXT, .filesz = SIZE,
				     .memsz = SIZE };
	m.seg[1] = (struct segment){ .type = PT_LOAD, .flags = PF_R,
				     .off = TABLE, .vaddr = DATA,
				     .filesz = ALL - TABLE,
				     .memsz = ALL - TABLE };
	m.fde[0] = (struct fde){ .start = TEXT + F, .size = G - F };
	m.fde[1] = (struct fde){ .start = TEXT + G, .size = STRAY - G };
	m.sym[0] = (struct symbol){ .name = "f", .addr = TEXT + F,
				    .size = G - F, .type = STT_FUNC };
	m.sym[1] = (struct symbol){ .name = "label", .addr = TEXT + 3,
				    .type = STT_NOTYPE };
	m.img = (struct image){ .path = "made", .type = ET_DYN,
				.file = { m.file, ALL }, .seg = m.seg,
				.nseg = 2, .fde = m.fde + (k->odd & NO_FDE),
				.nfde = 2 - (k->odd & NO_FDE), .sym = m.sym,
				.nsym = 1 + (k->odd & LABEL) / LABEL, .codeptr = m.ptr };
}

static enum target_why why(uint64_t at)
{
	uint64_t where = 0;
	struct err e;
	enum target_why y;

	assert_int_equal(sites_find(&m.a, &m.img, &m.s, &e), 0);
	y = target_in(&m.s, at - 1, at + 1, &where);
	if (y)
		assert_int_equal(where, at);
	return y;
}

/* mov $imm32, %eax at 0; %ecx at 5; a jump at 10 */
#define MOVES "\xb8\1\2\3\4\xb9\1\2\3\4"

// clang-format off
static const struct kind kinds[] = {
	/* name               code                        n   at  why, odd */
	{ "inside",           MOVES,                      10, 7,  TARGET_NONE, 0 },
	{ "between two",      MOVES,                      10, 5,  TARGET_POINTER, 0 },
	{ "not described",    MOVES,                      10, 7,  TARGET_POINTER, NO_FDE },
	{ "label inside",     MOVES,                      10, 7,  TARGET_POINTER, LABEL },
	{ "does not decode",  MOVES "\x06",               11, 7,  TARGET_POINTER, 0 },
	/* over a lock prefix: to 12 */
	{ "entered inside",   MOVES "\x74\1\xf0\xff\2",   15, 7,  TARGET_POINTER, 0 },
	/* over what may be data: nothing leads to 12 */
	{ "data behind jmp",  MOVES "\xeb\5\xb8\1\2\3\4", 17, 7,  TARGET_POINTER, 0 },
	/* ... now jz at 10 leads there */
	{ "code behind jmp",  MOVES "\x74\2\xeb\5\xb8\1\2\3\4", 19, 7, TARGET_NONE, 0 },
	{ "padding inside",   MOVES "\xeb\2\x66\x90",     14, 7,  TARGET_NONE, 0 },
};
// clang-format on

static void pointers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const struct kind *k = &kinds[i];

		make(k);
		m.ptr[0] = TEXT + k->at;
		m.img.ncodeptr = 1;
		if (why(TEXT + k->at) != k->why)
			fail_msg("%s: %s", k->name,
				 target_why_name(why(TEXT + k->at)));
	}
}

/* Whether F is decoded in step can be asked before all else. */
static void sure_at_once(void **state)
{
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const struct kind *k = &kinds[i];
		bool in_step = k->why == TARGET_NONE || k->at == 5;

		make(k);
		assert_int_equal(sites_find(&m.a, &m.img, &m.s, &e), 0);
		if (code_is_sure(&m.s, TEXT + F) != in_step)
			fail_msg("%s: %d", k->name, !in_step);
	}
}

/* lea table(%rip), %rdx in F; the table's words lead into G. */
static void tables(void **state)
{
	struct kind k = { .code = "\x48\x8d\x15\xf9\x0f\0\0", .n = 7 };
	int32_t word = (int32_t)(TEXT + G - DATA) + 3;

	(void)state;
	for (int inside = 0; inside < 2; inside++) {
		make(&k);
		if (inside)
			memcpy(m.file + G, "\xb8\1\2\3\4", 5);
		memcpy(m.file + TABLE, &word, sizeof(word));
		assert_int_equal(why(TEXT + G + 3),
				 inside ? TARGET_NONE : TARGET_TABLE);
	}
}

/* G does not decode, but inside it a function starts: what follows the jump
 * there is that one's, and leads into F's mov whatever that may mean. */
static void function_inside(void **state)
{
	struct kind k = { .code = MOVES, .n = 10 };

	(void)state;
	for (int named = 0; named < 2; named++) {
		make(&k);
		memcpy(m.file + G, "\x06\xeb\2\xeb\xdf", 5);
		m.sym[1] = (struct symbol){ .name = "h", .addr = TEXT + G + 1,
					    .type = STT_FUNC };
		m.img.nsym = 1 + (size_t)named;
		assert_int_equal(why(TEXT + 4), named ? TARGET_BRANCH
						      : TARGET_NONE);
	}
}

/* Bytes behind G that nobody runs seem to branch into F. */
static void undecoded(void **state)
{
	(void)state;
	for (int inside = 0; inside < 2; inside++) {
		struct kind k = { .code = MOVES, .n = inside ? 10 : 0 };

		make(&k);
		memcpy(m.file + STRAY, "\x06\xeb\xd1", 3);
		assert_int_equal(why(TEXT + 4), inside ? TARGET_NONE
						       : TARGET_MAYBE);
	}
}

/* ... or to between its instructions; but not from where data stands. */
static void sections(void **state)
{
	struct section sec[] = {
		{ .name = "" },
		{ .name = ".text", .addr = TEXT, .size = STRAY },
		{ .name = ".rodata", .addr = TEXT + STRAY,
		  .size = SIZE - STRAY },
	};
	struct kind k = { .code = "", .n = 0 };

	(void)state;
	for (int data = 0; data < 2; data++) {
		make(&k);
		sec[1].flags = SHF_ALLOC | SHF_EXECINSTR;
		sec[2].flags = data ? SHF_ALLOC : SHF_ALLOC | SHF_EXECINSTR;
		m.img.sec = sec;
		m.img.nsec = 3;
		memcpy(m.file + STRAY, "\x06\xeb\xd1", 3);
		assert_int_equal(why(TEXT + 4), data ? TARGET_NONE
						     : TARGET_MAYBE);
	}
}

/* A call ends F.  Seven bytes behind it nothing is one, in the padding behind
 * a short function that follows; in other bytes it may be. */
static void behind_a_call(void **state)
{
	struct kind k = { .code = "\x90", .n = 1 };

	(void)state;
	for (int other = 0; other < 2; other++) {
		make(&k);
		memcpy(m.file + G - 2, "\xff\xd0\xc3", 3);
		m.file[STRAY - 1] = other ? 0x50 : 0x90;
		m.fde[1].size = 1;
		assert_int_equal(why(TEXT + G + 2),
				 other ? TARGET_RETURN : TARGET_NONE);
	}
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&m.a);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers),
		cmocka_unit_test(sure_at_once),
		cmocka_unit_test(tables),
		cmocka_unit_test(undecoded),
		cmocka_unit_test(function_inside),
		cmocka_unit_test(sections),
		cmocka_unit_test(behind_a_call),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
