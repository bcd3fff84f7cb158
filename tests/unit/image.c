/* SPDX-License-Identifier: MIT */
/* image.c - ELF files of all kinds read as what they are, damaged ones refused
 * without a crash.
 *
 * The fixtures are this very program, the C library, and small files that the
 * compiler makes on the spot (where there is none, those tests are skipped).
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "elf/dynamic.h"
#include "elf/emit.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct arena arena;
static struct image self;
static struct err err;
static char dir[] = "/tmp/bpfweld-image.XXXXXX";

/* A code pointer in data, through a relocation of any kind. */
__attribute__((noinline)) static int pointed_at(void)
{
	return 7;
}
int (*volatile pointer)(void) = pointed_at;
char in_bss[4096];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	if (!image_read(&arena, "/proc/self/exe", &self, &err))
		return 0;
	err_print(stderr, &err);
	return -1;
}

static int sh(const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	int n = snprintf(cmd, sizeof(cmd), "exec >/dev/null 2>&1; cd %s && ",
			 dir);

	va_start(ap, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	return system(cmd);
}

static int teardown(void **state)
{
	(void)state;
	sh("rm -rf %s", dir);
	image_close(&self);
	arena_free(&arena);
	return 0;
}

static const struct symbol *symbol(const struct image *img, const char *name)
{
	for (size_t i = 0; i < img->nsym; i++)
		if (!strcmp(img->sym[i].name, name))
			return &img->sym[i];
	return NULL;
}

static void reads_this_program(void **state)
{
	const struct symbol *s = symbol(&self, "main");

	(void)state;
	assert_false(self.dso);
	assert_true(self.dynamic);
	assert_null(self.soname);
	assert_non_null(self.interp);
	assert_int_equal(self.mode & 0500, 0500);
	assert_non_null(s);
	assert_int_equal(s->type, STT_FUNC);
	assert_int_equal(s->bind, STB_GLOBAL);
	assert_true(image_is_code(&self, s->addr));
	assert_true(image_is_code(&self, self.entry));
	assert_non_null(image_section(&self, ".text"));
	assert_null(image_section(&self, ".no-such-section"));
	for (size_t i = 1; i < self.nsym; i++)
		assert_true(self.sym[i - 1].addr <= self.sym[i].addr);
}

static void knows_what_is_in_the_file(void **state)
{
	uint64_t data = symbol(&self, "pointer")->addr;
	uint64_t bss = symbol(&self, "in_bss")->addr;
	uint64_t room = image_room(&self, data);

	(void)state;
	assert_false(image_is_code(&self, data));
	assert_true(room >= 8);
	assert_non_null(image_at(&self, data, room));
	assert_null(image_at(&self, data, room + 1));
	assert_null(image_at(&self, data, UINT64_MAX));
	assert_null(image_at(&self, bss, 1));
	assert_int_equal(image_room(&self, bss), 0);
	assert_int_equal(image_offset(&self, bss), UINT64_MAX);
	assert_ptr_equal(image_at(&self, data, 1),
			 self.file.p + image_offset(&self, data));
}

static bool is_codeptr(const struct image *img, const char *name)
{
	const struct symbol *s = symbol(img, name);

	return s &&
	       addr_between(img->codeptr, img->ncodeptr, s->addr, s->addr + 1);
}

static void finds_code_pointers(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(is_codeptr(&self, "pointed_at"));
	assert_true(is_codeptr(&self, "_start"));
	assert_false(is_codeptr(&self, "sh")); /* it is only called */
	for (size_t i = 0; i < self.ncodeptr; i++) {
		assert_true(image_is_code(&self, self.codeptr[i]));
		assert_true(!i || self.codeptr[i - 1] < self.codeptr[i]);
	}
	assert_true(dynamic_get(&self, DT_STRTAB, &v));
	assert_non_null(image_at(&self, v, 1));
	assert_false(dynamic_get(&self, DT_SONAME, &v));
}

static void searches_addresses(void **state)
{
	static const uint64_t v[] = { 10, 20, 30 };

	(void)state;
	assert_true(addr_between(v, 3, 10, 11));
	assert_true(addr_between(v, 3, 11, 21));
	assert_true(addr_between(v, 3, 0, 100));
	assert_false(addr_between(v, 3, 11, 20));
	assert_false(addr_between(v, 3, 31, 100));
	assert_false(addr_between(v, 3, 20, 20));
	assert_false(addr_between(NULL, 0, 0, 100));
}

static void reads_the_c_library(void **state)
{
	size_t ver = 0, hidden = 0;
	struct image img;
	Dl_info info;

	(void)state;
	if (!dladdr((void *)abort, &info) ||
	    !strstr(info.dli_fname, "libc.so.6"))
		skip();
	assert_int_equal(image_read(&arena, info.dli_fname, &img, &err), 0);
	assert_true(img.dso); /* though it has an interpreter */
	assert_string_equal(img.soname, "libc.so.6");
	for (size_t i = 0; i < img.nsym; i++) {
		const struct symbol *s = &img.sym[i];

		if (s->from != SYM_DYNSYM || strcmp(s->name, "memcpy"))
			continue;
		ver++;
		hidden += s->hidden_version;
		if (s->hidden_version) {
			assert_string_equal(s->version, "GLIBC_2.2.5");
			continue;
		}
		assert_string_equal(s->version, "GLIBC_2.14");
		assert_int_equal(s->type, STT_GNU_IFUNC);
	}
	assert_int_equal(ver, 2);
	assert_int_equal(hidden, 1);
	assert_true(img.nfde > 3000);
	assert_true(img.nlanding > 0);
	image_close(&img);
}

static const char source[] =
	"#include <stdlib.h>\n"
	"static int used(int x) { return x * 3; }\n"
	"int (*const volatile table[])(int) = { used, abs };\n"
	"__attribute__((visibility(\"default\")))\n"
	"int work(int x) { return table[x & 1](x); }\n"
	"#ifdef MAIN\n"
	"int main(int c, char **v) { (void)v; return work(c); }\n"
	"#endif\n"
	"#ifdef VERSIONS\n"
	"int old(void) { return 1; }\n"
	"int new(void) { return 2; }\n"
	"__asm__(\".symver old,ver@V1\\n.symver new,ver@@V2\");\n"
	"#endif\n";

/* Make $dir/name from `source`; its path in memory of its own. */
static char *make(const char *name, const char *flags)
{
	char *path = arena_printf(&arena, "%s/%s", dir, name);
	FILE *f = fopen(arena_printf(&arena, "%s/x.c", dir), "w");

	assert_non_null(f);
	fputs(source, f);
	fclose(f);
	if (sh("cc --version"))
		skip();
	if (sh("echo 'V1 {}; V2 { global: work; ver; local: *; } V1;' >x.map;"
	       "cc -O1 x.c -o %s %s",
	       name, flags))
		fail_msg("cannot compile with %s", flags);
	return path;
}

static void read_ok(const char *path, struct image *img)
{
	if (image_read(&arena, path, img, &err)) {
		err_print(stderr, &err);
		fail_msg("%s", path);
	}
}

static void reads_every_kind(void **state)
{
	static const struct {
		const char *name, *flags;
		uint16_t type;
		bool dso, dynamic, interp;
	} kind[] = {
		{ "pie", "-DMAIN -fPIE -pie", ET_DYN, false, true, true },
		{ "fixed", "-DMAIN -no-pie", ET_EXEC, false, true, true },
		{ "old", "-DMAIN -no-pie -Wl,-z,noseparate-code", ET_EXEC,
		  false, true, true },
		{ "static", "-DMAIN -static", ET_EXEC, false, false, false },
		{ "static-pie", "-DMAIN -static-pie", ET_DYN, false, true,
		  false },
		{ "relr", "-DMAIN -Wl,-z,pack-relative-relocs", ET_DYN, false,
		  true, true },
		{ "relr-one",
		  "-shared -fPIC -nostdlib -Wl,-z,pack-relative-relocs", ET_DYN,
		  true, true, false },
		{ "shared", "-shared -fPIC -Wl,-soname,so.1", ET_DYN, true,
		  true, false },
		{ "runnable",
		  "-shared -fPIC -Wl,-soname,so.1 "
		  "-Wl,-dynamic-linker,/lib64/ld-linux-x86-64.so.2",
		  ET_DYN, true, true, false },
	};
	struct image img;

	(void)state;
	for (size_t i = 0; i < COUNT(kind); i++) {
		read_ok(make(kind[i].name, kind[i].flags), &img);
		assert_int_equal(img.type, kind[i].type);
		assert_int_equal(img.dso, kind[i].dso);
		assert_int_equal(img.dynamic, kind[i].dynamic);
		if (kind[i].interp)
			assert_non_null(img.interp);
		assert_non_null(symbol(&img, "work"));
		assert_true(is_codeptr(&img, "used"));
		assert_non_null(image_fde(&img, symbol(&img, "work")->addr));
		image_close(&img);
	}
}

static void parse_bare(const struct image *img, struct image *bare)
{
	uint8_t *p = arena_dup(&arena, img->file.p, img->file.n);
	struct bytes file = { p, img->file.n };

	memset(p + offsetof(Elf64_Ehdr, e_shoff), 0, 8);
	assert_false(image_parse(&arena, "bare", file, bare, &err));
}

/* .dynsym and its versions without section headers: what the hash table and
 * PT_DYNAMIC say is enough. */
static void finds_dynsym_without_sections(void **state)
{
	static const char *const hash[] = { "gnu", "sysv", "both" };
	const char *flags;
	struct image img, bare;

	(void)state;
	/* Here the last symbol of the table is one of those wanted. */
	read_ok(make("so", "-shared -fPIC -s -Wl,--hash-style=gnu"), &img);
	parse_bare(&img, &bare);
	assert_int_equal(img.nsym, 2);
	assert_int_equal(bare.nsym, 2);
	image_close(&img);
	for (size_t i = 0; i < COUNT(hash); i++) {
		flags = arena_printf(&arena,
				     "-DVERSIONS -shared -fPIC -s -Wl,"
				     "--version-script=x.map,--hash-style=%s",
				     hash[i]);
		read_ok(make("so", flags), &img);
		parse_bare(&img, &bare);
		assert_int_equal(bare.nsym, img.nsym);
		assert_int_equal(img.nsym, 3);
		for (size_t k = 0; k < 3; k++) {
			const struct symbol *s = &bare.sym[k];

			assert_string_equal(s->name, img.sym[k].name);
			assert_string_equal(s->version, img.sym[k].version);
			if (strcmp(s->name, "ver"))
				continue;
			assert_int_equal(s->hidden_version,
					 !strcmp(s->version, "V1"));
		}
		image_close(&img);
	}
}

/* In .symtab the linker writes name@VER and name@@VER. */
static void splits_versions_from_names(void **state)
{
	const char *path;
	struct image img;
	size_t found = 0;

	(void)state;
	path = make("so", "-DVERSIONS -shared -fPIC "
			  "-Wl,--version-script=x.map");
	read_ok(path, &img);
	for (size_t i = 0; i < img.nsym; i++) {
		assert_null(strchr(img.sym[i].name, '@'));
		found += !strcmp(img.sym[i].name, "ver");
	}
	/* Not four: .symtab's two repeat .dynsym's two. */
	assert_int_equal(found, 2);
	image_close(&img);
}

static const struct symbol *debug_symbol(const char *path)
{
	static struct symbol copy;
	const struct symbol *s;
	struct image img;

	read_ok(path, &img);
	s = symbol(&img, "used");
	if (s)
		copy = *s;
	image_close(&img);
	return s ? &copy : NULL;
}

static void takes_names_from_debug_file(void **state)
{
	static const char *const id[] = { "none", "sha1" };

	(void)state;
	for (size_t i = 0; i < COUNT(id); i++) {
		const char *flags =
			arena_printf(&arena, "-DMAIN -Wl,--build-id=%s", id[i]);
		const char *x = make("x", flags);

		if (sh("objcopy --only-keep-debug x x.debug && strip x && "
		       "objcopy --add-gnu-debuglink=x.debug x"))
			skip();
		assert_non_null(debug_symbol(x));
		assert_int_equal(debug_symbol(x)->from, SYM_DEBUG);
		assert_string_equal(debug_symbol(x)->name, "used");
		sh("mkdir -p .debug && mv x.debug .debug/");
		assert_non_null(debug_symbol(x));
		/* Another program's file is of no use. */
		flags = arena_printf(&arena, "%s -O0", flags);
		make("x.debug", flags);
		sh("mv x.debug .debug/x.debug");
		assert_null(debug_symbol(x));
		sh("rm -rf .debug");
	}
}

/* --- Refusals ------------------------------------------------------------ */

/* this program with `n` bytes at `off` replaced by `with` */
static int parse_with(uint64_t off, const void *with, size_t n, uint64_t size)
{
	uint8_t *p = malloc(size);
	struct arena a = { 0 };
	struct image img;
	int ret;

	memcpy(p, self.file.p, size);
	if (n)
		memcpy(p + off, with, n);
	ret = image_parse(&a, "x", (struct bytes){ p, size }, &img, &err);
	arena_free(&a);
	free(p);
	return ret;
}

static void refuses(uint64_t off, const void *with, size_t n,
		    enum err_kind kind, const char *what)
{
	if (parse_with(off, with, n, self.file.n) != -1)
		fail_msg("taken, but: %s", what);
	if (!strstr(err.what, what))
		fail_msg("\"%s\" does not say \"%s\"", err.what, what);
	assert_int_equal(err.kind, kind);
}

static void refuses_file(const char *path, enum err_kind kind, const char *what)
{
	struct image img;

	assert_int_equal(image_read(&arena, path, &img, &err), -1);
	assert_int_equal(err.kind, kind);
	assert_non_null(strstr(err.what, what));
}

static uint64_t phdr_of(uint32_t type, size_t field)
{
	Elf64_Ehdr eh;
	size_t i = 0;

	memcpy(&eh, self.file.p, sizeof(eh));
	while (self.seg[i].type != type)
		i++;
	return eh.e_phoff + i * sizeof(Elf64_Phdr) + field;
}

#define EH(field) offsetof(Elf64_Ehdr, field)
#define PH(type, field) phdr_of(type, offsetof(Elf64_Phdr, field))

static void refuses_other_files(void **state)
{
	const struct section *text = image_section(&self, ".text");
	const uint8_t *name_at = (const uint8_t *)text->name;
	uint64_t name = (uint64_t)(name_at - self.file.p);
	uint64_t code = 0;

	(void)state;
	for (size_t i = 0; i < self.nseg; i++)
		if (self.seg[i].type == PT_LOAD && (self.seg[i].flags & PF_X))
			code = self.seg[i].off;
	refuses(0, "MZ", 2, ERR_UNSUPPORTED, "not an ELF");
	refuses(EI_CLASS, "\1", 1, ERR_UNSUPPORTED, "64-bit");
	refuses(EI_DATA, "\2", 1, ERR_UNSUPPORTED, "little-endian");
	refuses(EH(e_machine), "\xb7", 2, ERR_UNSUPPORTED, "machine 183");
	refuses(EH(e_type), "\1", 2, ERR_UNSUPPORTED, "relocatable");
	refuses(EH(e_type), "\4", 2, ERR_UNSUPPORTED, "core dump");
	refuses(code, WELD_MAGIC, 8, ERR_UNSUPPORTED, "already welded");
	refuses(name, "UPX0", 5, ERR_UNSUPPORTED, "packed by UPX");
	refuses_file("/", ERR_UNSUPPORTED, "not a regular file");
	refuses_file("/no/such", ERR_FAILED, "No such file");
}

static void refuses_welded_and_debug_files(void **state)
{
	const char *path = make("y", "-DMAIN");

	(void)state;
	if (sh("echo >n && objcopy --add-section .bpfweld.manifest=n y y.weld && "
	       "objcopy --only-keep-debug y y.debug"))
		skip();
	refuses_file(arena_printf(&arena, "%s.weld", path), ERR_UNSUPPORTED,
		     "already welded");
	refuses_file(arena_printf(&arena, "%s.debug", path), ERR_UNSUPPORTED,
		     "debug file");
}

static void rejects_nonsense(void **state)
{
	static const uint8_t far[8] = { 0, 0, 0, 0, 0, 0, 0, 0x7f };

	(void)state;
	refuses(EH(e_phoff), far, 8, ERR_FAILED, "program headers");
	refuses(EH(e_phnum), "\xff\xff", 2, ERR_FAILED, "65535");
	refuses(EH(e_phnum), "\0", 2, ERR_UNSUPPORTED, "no LOAD");
	refuses(EH(e_phentsize), "\7", 2, ERR_FAILED, "program headers");
	refuses(EH(e_shoff), far, 8, ERR_FAILED, "section headers");
	refuses(EH(e_shnum), "\xff\xfe", 2, ERR_FAILED, "section headers");
	refuses(PH(PT_LOAD, p_filesz), far, 8, ERR_FAILED, "past the file");
	refuses(PH(PT_LOAD, p_vaddr), far, 8, ERR_FAILED, "user memory");
	refuses(PH(PT_LOAD, p_memsz), "\0\0\0\0\1", 5, ERR_FAILED, "overlap");
	refuses(PH(PT_LOAD, p_vaddr), "\1", 1, ERR_FAILED, "page size");
	refuses(PH(PT_INTERP, p_offset), far, 8, ERR_FAILED, "PT_INTERP");
	refuses(PH(PT_DYNAMIC, p_vaddr), far, 8, ERR_FAILED, "PT_DYNAMIC");
}

/* What is loaded is gone: an error.  Only what is not loaded may be missing,
 * and then the section headers say so. */
static void rejects_truncated_files(void **state)
{
	size_t n = self.file.n, step;

	(void)state;
	for (size_t size = 0; size < n; size += step) {
		assert_int_equal(parse_with(0, NULL, 0, size), -1);
		step = size < 1024 ? 1 : size < 8192 ? 61 : 4099;
	}
	assert_int_equal(parse_with(0, NULL, 0, n - 1), -1);
	assert_int_equal(parse_with(0, NULL, 0, n), 0);
}

/* Every word of headers and dynamic section set to values that break naive
 * arithmetic: any verdict is right, a crash is not. */
static void survives_wild_numbers(void **state)
{
	static const uint64_t wild[] = {
		0, 1, 0x7fffffff, UINT64_MAX, UINT64_MAX - 7, 0x7fffffffffff,
	};
	const struct section *dyn = image_section(&self, ".dynamic");
	Elf64_Ehdr eh;

	(void)state;
	memcpy(&eh, self.file.p, sizeof(eh));
	for (size_t i = 0; i < COUNT(wild); i++) {
		uint64_t end = eh.e_phoff + self.nseg * sizeof(Elf64_Phdr);

		for (uint64_t off = 16; off < end; off += 4)
			parse_with(off, &wild[i], off % 8 ? 4 : 8, self.file.n);
		for (uint64_t off = 0; dyn && off < dyn->size; off += 8)
			parse_with(dyn->off + off, &wild[i], 8, self.file.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_this_program),
		cmocka_unit_test(knows_what_is_in_the_file),
		cmocka_unit_test(finds_code_pointers),
		cmocka_unit_test(searches_addresses),
		cmocka_unit_test(reads_the_c_library),
		cmocka_unit_test(reads_every_kind),
		cmocka_unit_test(finds_dynsym_without_sections),
		cmocka_unit_test(splits_versions_from_names),
		cmocka_unit_test(takes_names_from_debug_file),
		cmocka_unit_test(refuses_other_files),
		cmocka_unit_test(refuses_welded_and_debug_files),
		cmocka_unit_test(rejects_nonsense),
		cmocka_unit_test(rejects_truncated_files),
		cmocka_unit_test(survives_wild_numbers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
