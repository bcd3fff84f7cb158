/* SPDX-License-Identifier: MIT */
/* lines.c - rows of a line-number program that are moved out of patches, byte
 * by byte, and those that cannot be.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "elf/lines.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

/* Special opcodes as gcc's and clang's headers have them: line_base -5,
 * line_range 14, opcode_base 13. */
#define SPECIAL(pc, line) (uint8_t)((line) + 5 + 14 * (pc) + 13)
#define SET_ADDRESS(a)                                                         \
	0, 9, 2, (uint8_t)(a), (uint8_t)((a) >> 8), 0, 0, 0, 0, 0, 0
#define END 0, 1, 1
enum { ADVANCE_PC = 2, CONST_ADD_PC = 8, FIXED_ADVANCE_PC = 9 };

enum { HEAD = 28, AT = 16 }; /* bytes of header; offset of the section */

struct fixture {
	struct arena a;
	struct image img;
	struct section sec[2];
	uint8_t file[AT + 512];
	size_t n;
	struct raw_edit *edit;
	size_t nedit;
};

/* One unit of version 4. */
static void unit(struct fixture *f, const uint8_t *prog, size_t n)
{
	static const uint8_t rest[] = { 1,  1, 1, 0xfb, 14, 13, 0, 1, 1,
					1,  1, 0, 0,    0,  1,  0, 0, 1 };
	uint8_t *p = f->file + AT + f->n;
	uint32_t length = (uint32_t)(HEAD - 4 + n), header = sizeof(rest);

	memcpy(p, &length, 4);
	p[4] = 4;
	memcpy(p + 6, &header, 4);
	memcpy(p + 10, rest, sizeof(rest));
	memcpy(p + HEAD, prog, n);
	f->n += HEAD + n;
}

static void move(struct fixture *f, const struct line_range *r, size_t n)
{
	f->sec[1] = (struct section){ .name = ".debug_line",
				      .type = SHT_PROGBITS,
				      .off = AT,
				      .size = f->n };
	f->img.file = (struct bytes){ f->file, sizeof(f->file) };
	f->img.sec = f->sec;
	f->img.nsec = 2;
	lines_move(&f->a, &f->img, r, n, &f->edit, &f->nedit);
	for (size_t i = 0; i < f->nedit; i++)
		memcpy(f->file + f->edit[i].off, f->edit[i].bytes,
		       f->edit[i].len);
}

/* `prog` with patches at [0x1003, 0x1008) and [0x1100, 0x1110) must become
 * `want`, and the same in a second unit behind it. */
static void check(const uint8_t *prog, const uint8_t *want, size_t n)
{
	static const struct line_range r[] = { { 0x1003, 0x1008 },
					       { 0x1100, 0x1110 } };
	struct fixture f = { .n = 0 };

	unit(&f, prog, n);
	unit(&f, prog, n);
	move(&f, r, 2);
	assert_memory_equal(f.file + AT + HEAD, want, n);
	assert_memory_equal(f.file + AT + 2 * HEAD + n, want, n);
	arena_free(&f.a);
}
#define CHECK(prog, want) check(prog, want, sizeof(want))

static void rows_move_to_the_start(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), SPECIAL(3, 1),
		SPECIAL(2, 1), SPECIAL(1, 1), SPECIAL(7, -2), END
	};
	static const uint8_t want[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), SPECIAL(3, 1),
		SPECIAL(0, 1), SPECIAL(0, 1), SPECIAL(10, -2), END
	};

	(void)state;
	CHECK(prog, want);
}

/* 0x1102 and 0x110f; longer advances keep their bytes. */
static void every_kind_of_advance(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1),
		ADVANCE_PC, 0x82, 2, SPECIAL(0, 1),
		FIXED_ADVANCE_PC, 13, 0, 1,
		FIXED_ADVANCE_PC, 13, 0, 1,
		CONST_ADD_PC, SPECIAL(2, 0), END
	};
	static const uint8_t want[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1),
		ADVANCE_PC, 0x80, 2, SPECIAL(0, 1),
		FIXED_ADVANCE_PC, 0, 0, 1,
		FIXED_ADVANCE_PC, 28, 0, 1,
		CONST_ADD_PC, SPECIAL(2, 0), END
	};

	(void)state;
	CHECK(prog, want);
}

static void padded_leb(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), ADVANCE_PC, 0x85, 0,
		SPECIAL(0, 1), SPECIAL(4, 1), END
	};
	static const uint8_t want[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), ADVANCE_PC, 0x83, 0,
		SPECIAL(0, 1), SPECIAL(6, 1), END
	};

	(void)state;
	CHECK(prog, want);
}

/* The next row cannot make up for one that moves back, but for one that moves
 * on. */
static void rows_move_to_the_end(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), SPECIAL(4, 1),
		SPECIAL(1, 1), SPECIAL(16, 6), END
	};
	static const uint8_t want[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), SPECIAL(8, 1),
		SPECIAL(0, 1), SPECIAL(13, 6), END
	};

	(void)state;
	CHECK(prog, want);
}

/* Neither: they stay, and the next patch is served as ever. */
static void no_room_no_change(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x0ff5), SPECIAL(0, 1), SPECIAL(16, 6),
		SPECIAL(16, 6), CONST_ADD_PC, SPECIAL(0, 1),
		FIXED_ADVANCE_PC, 0xda, 0, 1, SPECIAL(8, 1), ADVANCE_PC, 1,
		END
	};
	static const uint8_t want[] = {
		SET_ADDRESS(0x0ff5), SPECIAL(0, 1), SPECIAL(16, 6),
		SPECIAL(16, 6), CONST_ADD_PC, SPECIAL(0, 1),
		FIXED_ADVANCE_PC, 0xda, 0, 1, SPECIAL(0, 1), ADVANCE_PC, 9,
		END
	};

	(void)state;
	CHECK(prog, want);
}

static void first_row_stays(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x1005), SPECIAL(0, 1), SPECIAL(4, 1), END,
		SET_ADDRESS(0x1000), SPECIAL(4, 1), END
	};

	(void)state;
	check(prog, prog, sizeof(prog));
}

/* The end of a sequence is no place to stop at. */
static void an_end_stays(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), SPECIAL(4, 1),
		ADVANCE_PC, 2, END
	};
	static const uint8_t want[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), SPECIAL(3, 1),
		ADVANCE_PC, 3, END
	};

	(void)state;
	CHECK(prog, want);
}

/* Every prefix of a table, and every byte of it spoilt, is survived. */
static void hostile(void **state)
{
	static const uint8_t prog[] = {
		SET_ADDRESS(0x1000), SPECIAL(0, 1), SPECIAL(4, 1),
		ADVANCE_PC, 0x80, 1, 1, FIXED_ADVANCE_PC, 9, 0, 1,
		CONST_ADD_PC, 1, END
	};
	static const struct line_range r[] = { { 0x1003, 0x1008 } };

	(void)state;
	for (size_t cut = 0; cut < HEAD + sizeof(prog); cut++)
		for (int spoil = 0; spoil < 3; spoil++) {
			struct fixture f = { .n = 0 };

			unit(&f, prog, sizeof(prog));
			if (spoil)
				f.file[AT + cut] = spoil == 1 ? 0xff : 0;
			else
				f.n = cut;
			move(&f, r, 1);
			arena_free(&f.a);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_move_to_the_start),
		cmocka_unit_test(every_kind_of_advance),
		cmocka_unit_test(padded_leb),
		cmocka_unit_test(rows_move_to_the_end),
		cmocka_unit_test(no_room_no_change),
		cmocka_unit_test(first_row_stays),
		cmocka_unit_test(an_end_stays),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
