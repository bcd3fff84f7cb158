/* SPDX-License-Identifier: MIT */
/* .note.stapsdt: what it says, and whatever is wrong with it is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "elf/buf.h"
#include "elf/note.h"

#include <cmocka.h> /* last: it has a macro fail() */

enum { CODE = 0x1000, BASE = 0x3000 };

static struct arena arena;

/* 4 KiB of code at CODE, notes behind it. */
static struct image image_of(struct arena *a, struct bytes notes,
			     uint64_t base)
{
	struct buf file = { .a = a };
	struct image img = { .path = "x" };

	buf_room(&file, CODE);
	buf_put(&file, notes.p, notes.n);
	img.file = (struct bytes){ file.p, file.n };
	img.nseg = 1;
	img.seg = arena_alloc(a, sizeof(*img.seg));
	img.seg[0] = (struct segment){ .type = PT_LOAD, .flags = PF_R | PF_X,
				       .vaddr = CODE, .filesz = CODE,
				       .memsz = CODE };
	img.nsec = 3;
	img.sec = arena_alloc(a, 3 * sizeof(*img.sec));
	img.sec[1] = (struct section){ .name = ".note.stapsdt",
				       .type = SHT_NOTE, .off = CODE,
				       .size = notes.n };
	img.sec[2] = (struct section){ .name = ".stapsdt.base",
				       .type = SHT_PROGBITS, .addr = base };
	return img;
}

static void note_head(struct buf *b, uint32_t namesz, uint32_t descsz,
		      uint32_t type, const char *name)
{
	buf_u32(b, namesz);
	buf_u32(b, descsz);
	buf_u32(b, type);
	buf_put(b, name, 8);
}

static void note(struct buf *b, uint64_t loc, uint64_t base, uint64_t sema,
		 const char *strings, size_t n)
{
	note_head(b, 8, (uint32_t)(24 + n), 3, "stapsdt");
	buf_u64(b, loc);
	buf_u64(b, base);
	buf_u64(b, sema);
	buf_put(b, strings, n);
	buf_align(b, 4);
}
#define STRINGS(s) s, sizeof(s)

static int read_all(const struct buf *b, uint64_t base, struct sdt_note **v,
		    size_t *n, struct err *e)
{
	struct bytes notes = { b->p, b->n };
	struct image img = image_of(&arena, notes, base);

	return sdt_notes_read(&arena, &img, v, n, e);
}

static void reads_notes(void **state)
{
	struct buf b = { .a = &arena };
	struct sdt_note *v;
	struct err e;
	size_t n;

	(void)state;
	note(&b, CODE + 1, BASE, 0, STRINGS("libx\0start\0008@%rdx 4@$1"));
	note_head(&b, 8, 4, 1, "whoever");
	buf_u32(&b, 0);
	note(&b, CODE + 2, BASE, 0x4000, STRINGS("p\0end\0"));
	assert_int_equal(read_all(&b, BASE, &v, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].provider, "libx");
	assert_string_equal(v[0].name, "start");
	assert_string_equal(v[0].args, "8@%rdx 4@$1");
	assert_int_equal(v[0].addr, CODE + 1);
	assert_int_equal(v[0].sema, 0);
	assert_int_equal(v[0].at, CODE + 20);
	assert_string_equal(v[1].name, "end");
	assert_string_equal(v[1].args, "");
	assert_int_equal(v[1].sema, 0x4000);
}

/* Code and .stapsdt.base were moved together; the semaphore is left alone, as
 * libbpf leaves it. */
static void follows_the_base(void **state)
{
	struct buf b = { .a = &arena };
	struct sdt_note *v;
	struct err e;
	size_t n;

	(void)state;
	note(&b, 0x101, BASE - CODE, 0x4000, STRINGS("p\0n\0"));
	note(&b, CODE + 5, 0, 0, STRINGS("p\0n\0"));
	assert_int_equal(read_all(&b, BASE, &v, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].addr, CODE + 0x101);
	assert_int_equal(v[0].sema, 0x4000);
	assert_int_equal(v[1].addr, CODE + 5);
}

static void leaves_out_discarded_code(void **state)
{
	struct buf b = { .a = &arena };
	struct sdt_note *v;
	struct err e;
	size_t n;

	(void)state;
	note(&b, 0, BASE, 0, STRINGS("p\0n\0"));
	note(&b, 0x44, BASE, 0, STRINGS("p\0n\0"));
	note(&b, UINT64_MAX, BASE, 0, STRINGS("p\0n\0"));
	assert_int_equal(read_all(&b, BASE, &v, &n, &e), 0);
	assert_int_equal(n, 0);
}

static void is_refused(const struct buf *b, const char *what)
{
	struct sdt_note *v;
	struct err e = { 0 };
	size_t n;

	assert_int_equal(read_all(b, BASE, &v, &n, &e), -1);
	assert_string_equal(e.what, what);
}

static void refuses_damage(void **state)
{
	static const char cut[] =
		".note.stapsdt: a probe's description is cut off";
	struct buf b = { .a = &arena };

	(void)state;
	note(&b, CODE, BASE, 0, "p\0n\0", 3);
	is_refused(&b, cut);
	b = (struct buf){ .a = &arena };
	note(&b, CODE, BASE, 0, "p\0n", 3);
	is_refused(&b, cut);
	b = (struct buf){ .a = &arena };
	note(&b, CODE, BASE, 0, "p", 1);
	is_refused(&b, cut);
	b = (struct buf){ .a = &arena };
	note(&b, CODE, BASE, 0, "", 0);
	is_refused(&b, cut);
	b = (struct buf){ .a = &arena };
	note(&b, CODE, BASE, 0, STRINGS("\0n\0"));
	is_refused(&b, ".note.stapsdt: a probe without a name");
	b = (struct buf){ .a = &arena };
	note_head(&b, 8, 0xfffffff0, 3, "stapsdt");
	is_refused(&b, ".note.stapsdt: a note is cut off");
	b = (struct buf){ .a = &arena };
	note_head(&b, 0xffffffff, 8, 3, "stapsdt");
	is_refused(&b, ".note.stapsdt: a note is cut off");
	b = (struct buf){ .a = &arena };
	buf_u32(&b, 8);
	is_refused(&b, ".note.stapsdt: a note is cut off");
}

/* Whatever bytes are changed: no crash (the sanitizers would tell). */
static void survives_noise(void **state)
{
	struct buf b = { .a = &arena };
	unsigned seed = 1;

	(void)state;
	note(&b, CODE + 1, BASE, 0, STRINGS("libx\0start\0008@%rdx"));
	note(&b, CODE + 2, BASE, 0x4000, STRINGS("p\0end\0"));
	for (int i = 0; i < 10000; i++) {
		struct arena own = { 0 };
		uint8_t *p = malloc(b.n);
		struct bytes cut = { p, (size_t)rand_r(&seed) % (b.n + 1) };
		struct image img;
		struct sdt_note *v;
		struct err e;
		size_t n;

		memcpy(p, b.p, b.n);
		for (int k = rand_r(&seed) % 4; k >= 0; k--)
			p[(size_t)rand_r(&seed) % b.n] = (uint8_t)rand_r(&seed);
		img = image_of(&own, cut, BASE);
		if (!sdt_notes_read(&own, &img, &v, &n, &e))
			for (size_t k = 0; k < n; k++)
				assert_true(v[k].addr - CODE < CODE);
		arena_free(&own);
		free(p);
	}
}

static int done(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_notes),
		cmocka_unit_test(follows_the_base),
		cmocka_unit_test(leaves_out_discarded_code),
		cmocka_unit_test(refuses_damage),
		cmocka_unit_test(survives_noise),
	};

	return cmocka_run_group_tests(tests, NULL, done);
}
