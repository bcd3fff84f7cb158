/* SPDX-License-Identifier: MIT */
/* The manifest survives packing and parsing; hostile bytes are errors. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "elf/deflate.h"
#include "runtime-stub/reader/manifest.h"
#include "runtime-stub/reader/section.h"

#include <cmocka.h> /* last: it has a macro fail() */

#define BYTES(s)                                                               \
	(struct bytes)                                                         \
	{                                                                      \
		(const uint8_t *)(s), sizeof(s) - 1                            \
	}

static struct saved saved[] = { { 4, { (const uint8_t *)"abc", 3 } },
				{ 60, { (const uint8_t *)"z", 1 } } };
static struct manifest_object object[] = {
	{ "count",
	  "/tmp/count.bpf.o",
	  { (const uint8_t *)"\x7f\0E", 3 },
	  { (const uint8_t *)"BTF", 3 } },
	{ "other", "other.o", { (const uint8_t *)"", 0 }, { NULL, 0 } },
};
static struct manifest_map map[] = {
	{ { .name = "hits", .type = 2, .key_size = 4, .data = 4096 },
	  "hits",
	  1,
	  7,
	  8,
	  0 },
};
static struct manifest_probe probe[] = {
	{ "count", "uprobe", "main", 0x1139, 4, -4, 0x1131, 0x9000, 2,
	  "window" },
	{ "last", "uretprobe", "", 0x2010, 16, 0x10, 0x1fe4, 0x9100, 1,
	  "insn" },
};
static const struct manifest sample = {
	.tool = "bpfweld 0.1",
	.target = "/bin/true",
	.engine = "native",
	.fault = "syscall",
	.fault_why = "it imports sigaction",
	.weld_id = { 1, 2, 3, [15] = 0xff },
	.original_size = 61,
	.original_hash = { 9 },
	.region_size = 8192,
	.saved = saved,
	.nsaved = 2,
	.object = object,
	.nobject = 2,
	.map = map,
	.nmap = 1,
	.probe = probe,
	.nprobe = 2,
};

/* A smallest ELF file with one named section: ELF header, 3 section headers,
 * names, content. */
static struct bytes one_section(struct arena *a, const char *name,
				struct bytes content)
{
	size_t names = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Shdr);
	size_t at = align_up(names + 1 + strlen(name) + 1, 8);
	uint8_t *p = arena_alloc(a, at + content.n);
	Elf64_Ehdr eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
				       ELFDATA2LSB, EV_CURRENT },
			  .e_machine = EM_X86_64,
			  .e_shoff = sizeof(eh),
			  .e_shentsize = sizeof(Elf64_Shdr),
			  .e_shnum = 3,
			  .e_shstrndx = 1 };
	Elf64_Shdr sh[3] = {
		[1] = { .sh_type = SHT_STRTAB,
			.sh_offset = names,
			.sh_size = at - names },
		[2] = { .sh_type = SHT_NOTE,
			.sh_name = 1,
			.sh_offset = at,
			.sh_size = content.n },
	};

	memcpy(p, &eh, sizeof(eh));
	memcpy(p + sizeof(eh), sh, sizeof(sh));
	strcpy((char *)p + names + 1, name);
	if (content.n)
		memcpy(p + at, content.p, content.n);
	return (struct bytes){ p, at + content.n };
}

static bool same(struct bytes a, struct bytes b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static void assert_sample(const struct manifest *m)
{
	assert_string_equal(m->tool, sample.tool);
	assert_string_equal(m->target, sample.target);
	assert_string_equal(m->engine, sample.engine);
	assert_string_equal(m->fault, sample.fault);
	assert_string_equal(m->fault_why, sample.fault_why);
	assert_memory_equal(m->weld_id, sample.weld_id, 16);
	assert_memory_equal(m->original_hash, sample.original_hash, 16);
	assert_int_equal(m->original_size, sample.original_size);
	assert_int_equal(m->region_size, sample.region_size);
	assert_int_equal(m->nsaved, 2);
	assert_int_equal(m->saved[1].off, 60);
	assert_true(same(m->saved[0].bytes, saved[0].bytes));
	assert_int_equal(m->nobject, 2);
	assert_string_equal(m->object[0].path, "/tmp/count.bpf.o");
	assert_true(same(m->object[0].bytes, object[0].bytes));
	assert_true(same(m->object[0].btf, object[0].btf));
	assert_int_equal(m->object[1].bytes.n, 0);
	assert_int_equal(m->nmap, 1);
	assert_memory_equal(&m->map[0].map, &map[0].map, sizeof(map[0].map));
	assert_int_equal(m->map[0].btf_value, 8);
	assert_int_equal(m->nprobe, 2);
	assert_int_equal(m->probe[0].patch_len, 2);
	assert_int_equal(m->probe[0].patch, -4);
	assert_string_equal(m->probe[0].tactic, "window");
	assert_string_equal(m->probe[1].func, "fn_2000");
	assert_true(same(manifest_original(m, &m->probe[0]), BYTES("ab")));
	assert_true(same(manifest_original(m, &m->probe[1]), BYTES("z")));
}

static void round_trip(void **state)
{
	struct arena a = { 0 };
	struct bytes one = manifest_pack(&a, &sample);
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(manifest_parse(&a, "x", one, &m, &e), 0);
	assert_sample(&m);
	/* What was parsed packs to the same bytes, but for the name made. */
	m.probe[1].func = "";
	assert_true(same(one, manifest_pack(&a, &m)));
	arena_free(&a);
}

static void specs(void **state)
{
	struct arena a = { 0 };

	(void)state;
	assert_string_equal(manifest_spec(&a, &probe[0]), "uprobe:main+0x4");
	assert_string_equal(manifest_spec(&a, &probe[1]), "uretprobe:+0x10");
	probe[1].kind = "usdt:a:b";
	assert_string_equal(manifest_spec(&a, &probe[1]), "usdt:a:b");
	arena_free(&a);
}

static void unknown_tags_are_skipped(void **state)
{
	static const uint32_t extra[] = { 0x7777, 3, 0x00636261, 0 };
	struct arena a = { 0 };
	struct bytes one = manifest_pack(&a, &sample);
	uint8_t *p = arena_alloc(&a, one.n + sizeof(extra));
	struct manifest m;
	struct err e;

	(void)state;
	memcpy(p, extra, sizeof(extra));
	memcpy(p + sizeof(extra), one.p, one.n);
	one = (struct bytes){ p, one.n + sizeof(extra) };
	assert_int_equal(manifest_parse(&a, "x", one, &m, &e), 0);
	assert_sample(&m);
	arena_free(&a);
}

/* Exactly sized, so that ASan sees a read past the end. */
static int parse_exact(struct bytes b)
{
	struct arena a = { 0 };
	uint8_t *p = malloc(b.n ? b.n : 1);
	struct manifest m;
	struct err e;
	int ret;

	memcpy(p, b.p, b.n);
	ret = manifest_parse(&a, "x", (struct bytes){ p, b.n }, &m, &e);
	free(p);
	arena_free(&a);
	return ret;
}

static void hostile_bytes(void **state)
{
	struct arena a = { 0 };
	struct bytes one = manifest_pack(&a, &sample);
	uint8_t *p = arena_dup(&a, one.p, one.n);
	size_t whole = 0;

	(void)state;
	/* Cut anywhere, it lacks what it must have. */
	for (size_t n = 0; n < one.n; n++)
		whole += parse_exact((struct bytes){ one.p, n }) == 0;
	assert_int_equal(whole, 0);
	/* A damaged byte may go unnoticed, but never crashes. */
	for (size_t i = 0; i < one.n; i++)
		for (int k = 0; k < 3; k++) {
			p[i] = (uint8_t)(one.p[i] ^ (k == 0   ? 1
						     : k == 1 ? 0x80
							      : 0xff));
			parse_exact((struct bytes){ p, one.n });
			p[i] = one.p[i];
		}
	arena_free(&a);
}

static void wrong_size_is_named(void **state)
{
	static const uint32_t record[] = { 0x04, 8, 1, 2 };
	struct arena a = { 0 };
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(manifest_parse(&a, "x",
					(struct bytes){ (const uint8_t *)record,
							sizeof(record) },
					&m, &e),
			 -1);
	assert_non_null(strstr(e.what, "wrong size of weld_id"));
	arena_free(&a);
}

static void saved_outside_is_refused(void **state)
{
	struct manifest bad = sample, m;
	struct saved outside[] = { { 59, { (const uint8_t *)"abc", 3 } } };
	struct saved overlap[] = { { 8, { (const uint8_t *)"abc", 3 } },
				   { 10, { (const uint8_t *)"a", 1 } } };
	struct arena a = { 0 };
	struct err e;

	(void)state;
	bad.saved = outside;
	bad.nsaved = 1;
	assert_int_equal(
		manifest_parse(&a, "x", manifest_pack(&a, &bad), &m, &e), -1);
	assert_non_null(strstr(e.what, "outside the original"));
	bad.saved = overlap;
	bad.nsaved = 2;
	assert_int_equal(
		manifest_parse(&a, "x", manifest_pack(&a, &bad), &m, &e), -1);
	arena_free(&a);
}

static void write_temp(char *path, struct bytes b)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), b.n);
	close(fd);
}

static int read_temp(struct arena *a, struct bytes content, struct manifest *m,
		     struct bytes *whole, struct err *e)
{
	char path[] = "/tmp/bpfweld-unit.XXXXXX";
	int ret;

	write_temp(path, content);
	ret = manifest_read(a, path, m, whole, e);
	unlink(path);
	return ret;
}

static void from_a_file(void **state)
{
	struct arena a = { 0 };
	struct bytes packed = manifest_pack(&a, &sample), whole;
	struct bytes elf = one_section(&a, ".bpfweld.manifest",
				       deflate_bytes(&a, packed, 8));
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(read_temp(&a, elf, &m, &whole, &e), 0);
	assert_sample(&m);
	assert_true(same(whole, elf));
	assert_int_equal(read_temp(&a, elf, &m, NULL, &e), 0);
	arena_free(&a);
}

static void not_welded(void **state)
{
	struct arena a = { 0 };
	struct bytes elf = one_section(&a, ".text", BYTES("code"));
	struct manifest m;
	struct err e;

	(void)state;
	assert_int_equal(read_temp(&a, elf, &m, NULL, &e), -1);
	assert_string_equal(e.what, "not a welded file");
	assert_int_equal(read_temp(&a, BYTES("#!/bin/sh\n"), &m, NULL, &e), -1);
	assert_string_equal(e.what, "not a welded file");
	assert_int_equal(read_temp(&a, BYTES(""), &m, NULL, &e), -1);
	assert_string_equal(e.what, "not a welded file");
	assert_int_equal(manifest_read(&a, "/nonexistent", &m, NULL, &e), -1);
	elf = one_section(&a, ".bpfweld.manifest", BYTES("no such one"));
	assert_int_equal(read_temp(&a, elf, &m, NULL, &e), -1);
	arena_free(&a);
}

/* One byte changed: another manifest is not made of it. */
static void hostile_compression(void **state)
{
	struct arena a = { 0 };
	struct bytes raw = manifest_pack(&a, &sample), back;
	struct bytes one = deflate_bytes(&a, raw, 8);

	(void)state;
	assert_true(inflate_bytes(&a, one, &back) && same(raw, back));
	for (size_t i = 0; i < one.n; i++) {
		uint8_t *p = malloc(one.n);

		memcpy(p, one.p, one.n);
		p[i] ^= 0x55;
		if (inflate_bytes(&a, (struct bytes){ p, one.n }, &back))
			assert_true(same(raw, back));
		assert_false(inflate_bytes(&a, (struct bytes){ p, i }, &back));
		free(p);
	}
	arena_free(&a);
}

static void hostile_section_tables(void **state)
{
	struct arena a = { 0 };
	struct bytes elf = one_section(&a, ".text", BYTES("code"));

	(void)state;
	assert_int_equal(section_find(elf, ".text").n, 4);
	assert_int_equal(section_find(elf, ".tex").n, 0);
	for (size_t i = 0; i < elf.n; i++) {
		uint8_t *p = malloc(elf.n);

		memcpy(p, elf.p, elf.n);
		p[i] = 0xff;
		section_find((struct bytes){ p, elf.n }, ".text");
		section_find((struct bytes){ p, i }, ".text");
		free(p);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(specs),
		cmocka_unit_test(unknown_tags_are_skipped),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(wrong_size_is_named),
		cmocka_unit_test(saved_outside_is_refused),
		cmocka_unit_test(from_a_file),
		cmocka_unit_test(not_welded),
		cmocka_unit_test(hostile_compression),
		cmocka_unit_test(hostile_section_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
