/* SPDX-License-Identifier: MIT */
/* unwind_read.c - frame descriptions and exception tables of this very
 * program: those that unwind_read.S spells out, and the same with the file
 * damaged.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "elf/image.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

static struct arena arena;
static struct image self;
static struct err err;

static uint64_t addr(const char *name)
{
	for (size_t i = 0; i < self.nsym; i++)
		if (!strcmp(self.sym[i].name, name))
			return self.sym[i].addr;
	fail_msg("no symbol %s", name);
	return 0;
}

static const struct fde *fde_at(const struct image *img, const char *name)
{
	const struct fde *f = image_fde(img, addr(name));

	return f && f->start == addr(name) ? f : NULL;
}

static bool has(const uint64_t *v, size_t n, const char *name)
{
	return addr_between(v, n, addr(name), addr(name) + 1);
}

static int setup(void **state)
{
	(void)state;
	if (!image_read(&arena, "/proc/self/exe", &self, &err))
		return 0;
	err_print(stderr, &err);
	return -1;
}

static int teardown(void **state)
{
	(void)state;
	image_close(&self);
	arena_free(&arena);
	return 0;
}

static void tells_entries_from_fragments(void **state)
{
	static const struct {
		const char *name;
		uint64_t size;
		bool fragment, signal_frame;
	} want[] = {
		{ "fx_entry", 3, false, false },
		{ "fx_cold", 1, true, false },
		{ "fx_cold_register", 1, true, false },
		{ "fx_cold_saved", 1, true, false },
		{ "fx_outermost", 1, false, false },
		{ "fx_signal", 1, false, true },
		{ "main", 0, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		const struct fde *f = fde_at(&self, want[i].name);

		assert_non_null(f);
		if (want[i].size)
			assert_int_equal(f->size, want[i].size);
		assert_int_equal(f->fragment, want[i].fragment);
		assert_int_equal(f->signal_frame, want[i].signal_frame);
		assert_int_equal(f->data_align, -8);
		assert_int_equal(f->ra_reg, 16);
		assert_int_equal(f->ptr_enc, 0x1b);
		/* CIE: def_cfa %rsp+8, %rip at -8 */
		assert_memory_equal(f->cie_insns.p, "\x0c\x07\x08\x90\x01", 5);
	}
	assert_int_equal(fde_at(&self, "fx_cold")->insns.p[0], 0x0e);
}

static void is_sorted_without_overlap(void **state)
{
	uint64_t end = 0;

	(void)state;
	for (size_t i = 0; i < self.nfde; i++) {
		const struct fde *f = &self.fde[i];

		assert_true(f->start >= end);
		assert_true(f->size > 0);
		assert_non_null(image_at(&self, f->start, f->size));
		assert_ptr_equal(image_fde(&self, f->start), f);
		assert_ptr_equal(image_fde(&self, f->start + f->size - 1), f);
		end = f->start + f->size;
	}
	assert_null(image_fde(&self, end));
}

static void finds_landing_pads(void **state)
{
	static const char *const boundary[] = {
		"fx_quiet",   "fx_gap",   "fx_try",
		"fx_try_end", "fx_try_4", "fx_try_4_end",
	};
	const struct image *s = &self;

	(void)state;
	assert_true(has(s->landing, s->nlanding, "fx_pad"));
	assert_true(has(s->landing, s->nlanding, "fx_pad_4"));
	for (size_t i = 0; i < sizeof(boundary) / sizeof(*boundary); i++)
		assert_true(has(s->callsite, s->ncallsite, boundary[i]));
	/* Two records that touch and say the same are one. */
	assert_false(has(s->callsite, s->ncallsite, "fx_quiet_middle"));
	assert_false(has(s->callsite, s->ncallsite, "fx_pad"));
	assert_true(fde_at(s, "fx_throws")->lsda);
	assert_int_equal(fde_at(s, "fx_entry")->lsda, 0);
}

/* A copy of the file that may be written to. */
static uint8_t *copy(struct bytes *file)
{
	uint8_t *p = arena_dup(&arena, self.file.p, self.file.n);

	*file = (struct bytes){ p, self.file.n };
	return p;
}

static void needs_no_section_headers(void **state)
{
	struct bytes file;
	uint8_t *p = copy(&file);
	struct image img;

	(void)state;
	memset(p + offsetof(Elf64_Ehdr, e_shoff), 0, 8);
	assert_int_equal(image_parse(&arena, "x", file, &img, &err), 0);
	assert_int_equal(img.nsec, 0);
	assert_int_equal(img.nfde, self.nfde);
	for (size_t i = 0; i < img.nfde; i++) {
		assert_int_equal(img.fde[i].start, self.fde[i].start);
		assert_int_equal(img.fde[i].at, self.fde[i].at);
	}
	assert_int_equal(img.nlanding, self.nlanding);
	assert_int_equal(img.ncallsite, self.ncallsite);
}

static void rejects(uint64_t vaddr, uint32_t word, const char *what)
{
	struct bytes file;
	uint8_t *p = copy(&file);
	struct image img;

	memcpy(p + image_offset(&self, vaddr), &word, sizeof(word));
	assert_int_equal(image_parse(&arena, "x", file, &img, &err), -1);
	assert_int_equal(err.kind, ERR_FAILED);
	assert_true(err.at < file.n);
	if (!strstr(err.what, what))
		fail_msg("\"%s\" does not say \"%s\"", err.what, what);
}

static void rejects_damage(void **state)
{
	uint64_t at = fde_at(&self, "fx_throws")->at;
	uint64_t lsda = fde_at(&self, "fx_throws")->lsda;

	(void)state;
	rejects(at, 0x7fffffff, "cut short");
	rejects(at, 3, "cut short");
	rejects(at + 4, 0x13, "no CIE");
	rejects(at + 16, 0xffffff7f, "malformed FDE");
	rejects(lsda, 0xffffffff, "exception table");
	rejects(lsda, 0x7f01ffff, "exception table");
	rejects(lsda, 0x0d05ffff, "exception table");
	rejects(lsda + 4, 0x7f7f7f7f, "exception table");
}

/* A CIE of a kind we do not know takes its functions out, nothing else. */
static void leaves_out_unknown_cies(void **state)
{
	const struct fde *f = fde_at(&self, "fx_signal");
	uint64_t cie = f->at + 4;
	struct bytes file;
	uint8_t *p = copy(&file);
	struct image img;
	uint32_t delta;

	(void)state;
	memcpy(&delta, image_at(&self, f->at + 4, 4), 4);
	cie -= delta;
	assert_string_equal((char *)image_at(&self, cie + 9, 4), "zRS");
	p[image_offset(&self, cie) + 11] = '?';
	assert_int_equal(image_parse(&arena, "x", file, &img, &err), 0);
	assert_null(fde_at(&img, "fx_signal"));
	assert_non_null(fde_at(&img, "fx_entry"));
}

static void leaves_out_sizeless_fdes(void **state)
{
	uint64_t at = fde_at(&self, "fx_outermost")->at;
	struct bytes file;
	uint8_t *p = copy(&file);
	struct image img;

	(void)state;
	memset(p + image_offset(&self, at + 12), 0, 4);
	assert_int_equal(image_parse(&arena, "x", file, &img, &err), 0);
	assert_int_equal(img.nfde, self.nfde - 1);
	assert_null(image_fde(&img, addr("fx_outermost")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_entries_from_fragments),
		cmocka_unit_test(is_sorted_without_overlap),
		cmocka_unit_test(finds_landing_pads),
		cmocka_unit_test(needs_no_section_headers),
		cmocka_unit_test(rejects_damage),
		cmocka_unit_test(leaves_out_unknown_cies),
		cmocka_unit_test(leaves_out_sizeless_fdes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
