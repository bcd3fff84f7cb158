/* SPDX-License-Identifier: MIT */
/* Functions out of FDEs and symbols: names, sizes, fragments, limits,
 * boundaries and padding, on an image made by hand and on a real program with
 * and without its symbols.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rewriter/site/site.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

#define TEXT UINT64_C(0x1000)

/* Offsets into the hand-made text segment. */
enum {
	PLT = 0x00,  /* FDE only, in section .plt */
	BOTH = 0x20, /* FDE and three names; padding behind it */
	NAMELESS = 0x40,
	NESTED = 0x46,     /* a second entry inside NAMELESS, size 0 */
	COLD = 0x50,       /* a fragment by its FDE */
	NAMED_COLD = 0x60, /* a fragment by its name */
	ENDLESS = 0x70,    /* a symbol of size 0 and no FDE */
	LABEL = 0x7a,
	RESTORER = 0x80, /* a signal frame */
	SIZE = 0xa0,
};

static uint8_t file[SIZE];
static struct segment seg = {
	.type = PT_LOAD,
	.flags = PF_R | PF_X,
	.vaddr = TEXT,
	.filesz = SIZE,
	.memsz = SIZE,
};
static struct section sec[] = {
	{ .name = "" },
	{ .name = ".plt",
	  .flags = SHF_ALLOC | SHF_EXECINSTR,
	  .addr = TEXT,
	  .size = 0x20 },
	{ .name = ".text",
	  .flags = SHF_ALLOC | SHF_EXECINSTR,
	  .addr = TEXT + 0x20,
	  .size = 0x78 },
};
// clang-format off
static struct symbol sym[] = {
	/* name            version    addr               size  type        bind */
	{ "alias",         NULL,      TEXT + BOTH,       3,    STT_FUNC,   STB_LOCAL, SYM_SYMTAB, false },
	{ "__str",         "V_1",     TEXT + BOTH,       3,    STT_FUNC,   STB_GLOBAL, SYM_DYNSYM, false },
	{ "strong",        "V_2",     TEXT + BOTH,       3,    STT_FUNC,   STB_GLOBAL, SYM_DYNSYM, false },
	{ "weak",          NULL,      TEXT + BOTH,       3,    STT_FUNC,   STB_WEAK,  SYM_DYNSYM, false },
	{ "nested",        NULL,      TEXT + NESTED,     0,    STT_FUNC,   STB_GLOBAL, SYM_SYMTAB, false },
	{ "f.cold",        NULL,      TEXT + NAMED_COLD, 0,    STT_FUNC,   STB_LOCAL, SYM_SYMTAB, false },
	{ "endless",       NULL,      TEXT + ENDLESS,    0,    STT_FUNC,   STB_GLOBAL, SYM_SYMTAB, false },
	{ "label",         NULL,      TEXT + LABEL,      0,    STT_NOTYPE, STB_LOCAL, SYM_SYMTAB, false },
};
static struct fde fde[] = {
	{ .start = TEXT + PLT,        .size = 0x20 },
	{ .start = TEXT + BOTH,       .size = 0x10 },
	{ .start = TEXT + NAMELESS,   .size = 0x0c },
	{ .start = TEXT + COLD,       .size = 0x08, .fragment = true },
	{ .start = TEXT + NAMED_COLD, .size = 0x08 },
	{ .start = TEXT + RESTORER,   .size = 0x0a, .signal_frame = true },
};
// clang-format on
static struct image img = {
	.path = "made",
	.type = ET_DYN,
	.file = { file, SIZE },
	.seg = &seg,
	.nseg = 1,
	.sec = sec,
	.nsec = 3,
	.sym = sym,
	.nsym = sizeof(sym) / sizeof(*sym),
	.fde = fde,
	.nfde = sizeof(fde) / sizeof(*fde),
};
static struct arena arena;
static struct sites sites;

static int setup(void **state)
{
	struct err e;

	(void)state;
	memset(file, 0x90, sizeof(file));
	return sites_find(&arena, &img, &sites, &e);
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void who_is_a_function(void **state)
{
	static const struct {
		uint64_t at, size;
		const char *name;
		bool fragment, named;
	} want[] = {
		{ BOTH, 0x10, "strong", false, true },
		{ NAMELESS, 0x0c, "fn_1040", false, false },
		{ NESTED, 0x06, "nested", false, true },
		{ COLD, 0x08, "fn_1050", true, false },
		{ NAMED_COLD, 0x08, "f.cold", true, true },
		{ ENDLESS, 0, "endless", false, true },
		{ RESTORER, 0x0a, "fn_1080", true, false },
	};

	(void)state;
	assert_int_equal(sites.nfunc, sizeof(want) / sizeof(*want));
	for (size_t i = 0; i < sites.nfunc; i++) {
		const struct func *f = &sites.func[i];

		assert_int_equal(f->addr, TEXT + want[i].at);
		assert_int_equal(f->size, want[i].size);
		assert_string_equal(f->name, want[i].name);
		assert_int_equal(f->fragment, want[i].fragment);
		assert_int_equal(f->named, want[i].named);
	}
	assert_int_equal(sites.func[0].nsym, 4);
	assert_string_equal(sites.func[0].version, "V_2");
}

static void at_and_around(void **state)
{
	const struct func *f = sites.func;

	(void)state;
	assert_ptr_equal(func_at(&sites, TEXT + BOTH), f);
	assert_null(func_at(&sites, TEXT + BOTH + 1));
	assert_null(func_at(&sites, TEXT + PLT));
	assert_ptr_equal(func_around(&sites, TEXT + BOTH + 15), f);
	assert_null(func_around(&sites, TEXT + BOTH + 16));
	assert_ptr_equal(func_around(&sites, TEXT + NESTED - 1), f + 1);
	assert_ptr_equal(func_around(&sites, TEXT + NESTED), f + 2);
	assert_ptr_equal(func_around(&sites, TEXT + ENDLESS + 9), f + 5);
	assert_null(func_around(&sites, TEXT + LABEL));
	assert_null(func_around(&sites, 0));
	assert_null(func_around(&sites, UINT64_MAX));
}

static void limits(void **state)
{
	const struct func *f = sites.func;

	(void)state;
	assert_int_equal(func_limit(&sites, &f[0]), TEXT + NAMELESS);
	assert_int_equal(func_limit(&sites, &f[1]), TEXT + COLD);
	assert_int_equal(func_limit(&sites, &f[5]), TEXT + LABEL);
	assert_int_equal(func_limit(&sites, &f[6]), TEXT + 0x98);
}

static void padding(void **state)
{
	uint64_t from = TEXT + BOTH + 0x10, to = TEXT + NAMELESS;

	(void)state;
	assert_true(code_is_padding(&sites, from, to));
	assert_true(code_is_padding(&sites, from, from));
	assert_false(code_is_padding(&sites, to, from));
	file[to - TEXT - 1] = 0xcc;
	assert_true(code_is_padding(&sites, from, to));
	file[to - TEXT - 1] = 0x0f; /* begins an instruction that goes on */
	assert_false(code_is_padding(&sites, from, to));
	file[to - TEXT - 1] = 0xc3;
	assert_false(code_is_padding(&sites, from, to));
	file[to - TEXT - 1] = 0x90;
	assert_false(code_is_padding(&sites, TEXT + SIZE - 1, TEXT + SIZE + 9));
}

static void boundaries(void **state)
{
	uint64_t before = 0, after = 0;

	(void)state;
	memcpy(file + BOTH + 1, "\x48\x89\xe5", 3);
	assert_int_equal(
		code_boundary(&sites, TEXT + BOTH + 9, &before, &after), 1);
	assert_int_equal(
		code_boundary(&sites, TEXT + BOTH + 2, &before, &after), 0);
	assert_int_equal(before, TEXT + BOTH + 1);
	assert_int_equal(after, TEXT + BOTH + 4);
	assert_int_equal(
		code_boundary(&sites, TEXT + BOTH + 4, &before, &after), 1);
	assert_int_equal(code_boundary(&sites, TEXT + BOTH, &before, &after),
			 1);
	assert_int_equal(
		code_boundary(&sites, TEXT + BOTH + 0x10, &before, &after), -1);
	file[NAMELESS + 1] = 0x06; /* nothing in 64-bit mode */
	assert_int_equal(
		code_boundary(&sites, TEXT + NAMELESS + 1, &before, &after), 1);
	assert_int_equal(
		code_boundary(&sites, TEXT + NAMELESS + 2, &before, &after),
		-1);
}

/* --- what lies behind a frame description --------------------------------- */

enum { BEHIND = 0x10, PART = 0x16, AFTER = 0x1a, DATA = 0x20, PADDED = 0x40 };

static uint8_t code[0x60];
static struct fde described[] = {
	{ .start = TEXT,          .size = BEHIND },
	{ .start = TEXT + PART,   .size = 4 },
	{ .start = TEXT + DATA,   .size = 8 },
	{ .start = TEXT + PADDED, .size = 8 },
};
static struct symbol sized[] = {
	{ .name = "clone", .addr = TEXT, .size = AFTER, .type = STT_FUNC },
	{ .name = "data", .addr = TEXT + DATA, .size = 0x18,
	  .type = STT_FUNC },
};
static uint64_t pads[] = { TEXT + PADDED + 1 };

static void behind_find(struct arena *a, struct image *at, struct sites *out)
{
	struct segment *g = arena_alloc(a, sizeof(*g));
	struct err e;

	*g = seg;
	g->filesz = g->memsz = sizeof(code);
	*at = (struct image){
		.path = "made", .type = ET_DYN, .file = { code, sizeof(code) },
		.seg = g, .nseg = 1, .nfde = 4, .fde = described,
		.sym = sized, .nsym = at->nsym, .landing = pads,
		.nlanding = at->nlanding,
	};
	assert_int_equal(sites_find(a, at, out, &e), 0);
}

static void behind_descriptions(void **state)
{
	struct arena a = { 0 };
	struct image at = { .nsym = 2, .nlanding = 1 };
	struct sites s;

	(void)state;
	memset(code, 0x90, sizeof(code));
	memcpy(code + BEHIND, "\x0f\x05\xc3\x31\xed\xc3", 6);
	code[PART + 3] = code[DATA + 7] = code[PADDED + 7] = 0xc3;
	memcpy(code + DATA + 8, "some text", 9);
	behind_find(&a, &at, &s);
	assert_int_equal(func_at(&s, TEXT)->size, PART);
	assert_true(func_at(&s, TEXT + PART)->fragment);
	assert_int_equal(func_at(&s, TEXT + DATA)->size, 8);
	assert_true(func_at(&s, TEXT + PADDED)->fragment);
	/* Stripped: to the first instruction that does not go on. */
	at.nsym = at.nlanding = 0;
	behind_find(&a, &at, &s);
	assert_int_equal(func_at(&s, TEXT)->size, BEHIND + 3);
	assert_false(func_at(&s, TEXT + PART)->fragment);
	assert_false(func_at(&s, TEXT + PADDED)->fragment);
	/* The text is code when a branch leads there, and a symbol covers it. */
	at.nsym = 2;
	memcpy(code + DATA, "\x75\x08", 2);
	behind_find(&a, &at, &s);
	assert_int_equal(func_at(&s, TEXT + DATA)->size, 0x18);
	/* Nothing follows a call that ends a function, nor a ret. */
	at.nsym = 0;
	memcpy(code + BEHIND - 5, "\xe8\0\0\0", 5);
	behind_find(&a, &at, &s);
	assert_int_equal(func_at(&s, TEXT)->size, BEHIND);
	arena_free(&a);
}

/* A program knows its functions with symbols and, as fn_HEX, without. */
static const char source[] =
	"__attribute__((noinline)) int twice(volatile int *p) { return *p * 2; }\n"
	"int main(int n, char **v) { return twice(&n) + (v == 0); }\n";

static void real_program(void **state)
{
	struct arena a = { 0 };
	struct image with, without;
	struct sites s, t;
	const struct func *f = NULL, *g;
	struct err e;
	char hex[32];
	char dir[] = "/tmp/bpfweld-func.XXXXXX", command[256], path[64];
	FILE *p;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
		 "gcc -O2 -xc - -o %s/a && strip %s/a -o %s/b", dir, dir, dir);
	p = popen(command, "w");
	assert_non_null(p);
	fputs(source, p);
	assert_int_equal(pclose(p), 0);
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(image_read(&a, path, &with, &e), 0);
	unlink(path);
	snprintf(path, sizeof(path), "%s/b", dir);
	assert_int_equal(image_read(&a, path, &without, &e), 0);
	unlink(path);
	rmdir(dir);
	assert_int_equal(sites_find(&a, &with, &s, &e), 0);
	assert_int_equal(sites_find(&a, &without, &t, &e), 0);
	for (size_t i = 0; i < s.nfunc; i++)
		if (!strcmp(s.func[i].name, "twice"))
			f = &s.func[i];
	assert_non_null(f);
	g = func_at(&t, f->addr);
	assert_non_null(g);
	assert_false(g->named);
	snprintf(hex, sizeof(hex), "fn_%llx", (unsigned long long)f->addr);
	assert_string_equal(g->name, hex);
	assert_int_equal(g->size, f->size);
	assert_true(f->size > 0);
	image_close(&with);
	image_close(&without);
	arena_free(&a);
}

/* --- cold parts that have no frame ---------------------------------------- */

/* At 0x10 what the function at 0 leads to; what else does, at 6 and in
 * another function (0x28), decides. */
static void cold_parts(void **state)
{
	static const struct {
		const char *name, code[8], other[8];
		uint16_t type;
		bool pointer, fragment;
	} want[] = {
		{ "jcc",     "\x0f\x84\x0a\0\0\0\xc3", "\xc3", ET_DYN, false, true },
		{ "itself",  "\xc3", "\xc3", ET_DYN, false, false },
		{ "jmp",     "\xe9\x0b\0\0\0\x90\xc3", "\xc3", ET_DYN, false, false },
		{ "pointer", "\x0f\x84\x0a\0\0\0\xc3", "\xc3", ET_DYN, true, false },
		{ "call",    "\x0f\x84\x0a\0\0\0\xc3", "\xe8\xe3\xff\xff\xff", ET_DYN, false, false },
		{ "tail",    "\x0f\x84\x0a\0\0\0\xc3", "\xe9\xe3\xff\xff\xff", ET_DYN, false, false },
		{ "lea",     "\x0f\x84\x0a\0\0\0\xc3", "\x48\x8d\x05\xe1\xff\xff\xff", ET_DYN, false, false },
		{ "word",    "\x0f\x84\x0a\0\0\0\xc3", "\xbf\x10\x10\0\0", ET_EXEC, false, false },
		{ "no word", "\x0f\x84\x0a\0\0\0\xc3", "\xbf\x10\x10\0\0", ET_DYN, false, true },
		{ "operand", "\xb8\x0f\x84\x09\0\0\0\xc3", "\xc3", ET_DYN, false, false },
	};
	struct fde parts[] = { { .start = TEXT, .size = 0x10 },
			       { .start = TEXT + 0x10, .size = 0x18 },
			       { .start = TEXT + 0x28, .size = 0x18 } };
	uint64_t ptr = TEXT + 0x10;
	struct segment g = seg;
	struct sites s;
	struct err e;

	(void)state;
	g.filesz = g.memsz = 0x40;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		struct arena a = { 0 };
		struct image at = { .path = "made", .type = want[i].type,
				    .file = { code, 0x40 }, .seg = &g,
				    .nseg = 1, .fde = parts, .nfde = 3,
				    .codeptr = &ptr,
				    .ncodeptr = want[i].pointer };

		memset(code, 0x90, sizeof(code));
		memcpy(code, want[i].code, 8);
		memcpy(code + 0x28, want[i].other, 7);
		/* a loop to its own start does not make it one */
		memcpy(code + 0x20, "\x0f\x85\xea\xff\xff\xff", 6);
		code[0x27] = 0xc3;
		assert_int_equal(sites_find(&a, &at, &s, &e), 0);
		if (func_at(&s, ptr)->fragment != want[i].fragment)
			fail_msg("%s", want[i].name);
		arena_free(&a);
	}
}

/* A library without descriptions, of which only run() keeps its name.  `text`
 * is what a lea names in code: it decodes, and ends with a ret. */
static const char hidden[] =
	"#define N __attribute__((noinline, noclone)) static\n"
	"volatile int v; void (*volatile hook)(void); int puts(const char *);\n"
	"N int leaf(int x) { return v * x; }\n"
	"N int even(int); N int odd(int x) { v++; return x ? even(x - 1) + 1 : 0; }\n"
	"N int even(int x) { v--; return x ? odd(x - 1) : 1; }\n"
	"N long cases(int x) { switch (x) {\n"
	"  case 0: v = 3; break; case 1: v += 9; break; case 2: puts(\"2\"); break;\n"
	"  case 3: v = leaf(x); break; case 4: v ^= 4; break;\n"
	"  case 5: asm volatile(\"syscall\" : : \"a\"(39) : \"rcx\", \"r11\", \"memory\");\n"
	"  } return v; }\n"
	"N void named(void) { puts(\"named\"); v = 1; }\n"
	"asm(\".text\\n.type text,@function\\ntext: .ascii \\\"PQRST\\\"\\n\"\n"
	"    \"xor %eax,%eax\\nret\\n.size text,.-text\");\n"
	"extern const char text[] __attribute__((visibility(\"hidden\")));\n"
	"int run(int x) { hook = named; return cases(x) + odd(x) + text[x]; }\n";

static void check_hidden(const struct sites *with, const struct sites *without,
			 const char *name, bool entry)
{
	const struct func *f = NULL, *g;

	for (size_t i = 0; i < with->nfunc; i++)
		if (!strcmp(with->func[i].name, name))
			f = &with->func[i];
	assert_non_null(f);
	g = func_at(without, f->addr);
	if (!g || g->size != f->size || g->fragment == entry)
		fail_msg("%s: %s, %llu bytes, not %llu", name,
			 !g ? "not found" : g->fragment ? "fragment" : "entry",
			 g ? (unsigned long long)g->size : 0,
			 (unsigned long long)f->size);
}

/* What gcc makes of a source, and the same stripped. */
static void read_stripped(struct arena *a, const char *flags,
			  const char *source, struct image *with,
			  struct image *without)
{
	char dir[] = "/tmp/bpfweld-func.XXXXXX", command[256], path[64];
	struct err e;
	FILE *p;

	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
		 "gcc -w -O2 %s - -o %s/a && strip %s/a -o %s/b", flags, dir,
		 dir, dir);
	p = popen(command, "w");
	assert_non_null(p);
	fputs(source, p);
	assert_int_equal(pclose(p), 0);
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(image_read(a, path, with, &e), 0);
	unlink(path);
	snprintf(path, sizeof(path), "%s/b", dir);
	assert_int_equal(image_read(a, path, without, &e), 0);
	unlink(path);
	rmdir(dir);
}

static void found_by_calls(void **state)
{
	static const char *const called[] = { "leaf", "odd", "even", "cases" };
	struct arena a = { 0 };
	struct image with, without;
	struct sites s, t;
	struct err e;

	(void)state;
	read_stripped(&a, "-fno-asynchronous-unwind-tables -shared -fPIC "
			  "-fcf-protection=none -xc", hidden, &with, &without);
	assert_int_equal(sites_find(&a, &with, &s, &e), 0);
	assert_int_equal(sites_find(&a, &without, &t, &e), 0);
	for (size_t i = 0; i < sizeof(called) / sizeof(*called); i++)
		check_hidden(&s, &t, called[i], true);
	check_hidden(&s, &t, "named", false);
	for (size_t i = 0; i < s.nfunc; i++)
		if (!strcmp(s.func[i].name, "text"))
			assert_null(func_around(&t, s.func[i].addr));
	image_close(&with);
	image_close(&without);
	arena_free(&a);
}

/* Nothing is known but where it begins.  `second` only a pointer names, and it
 * calls nobody but `inner`, which makes a system call; `loner` calls nobody, so
 * it could be data; `wild` calls what is no code; the word that leads into
 * `astray` leads into an instruction. */
static const char bare[] =
	".macro func name\n.balign 16, 0xcc\n.type \\name, @function\n\\name:\n"
	".endm\n.macro end name\n.size \\name, . - \\name\n.endm\n"
	".globl _start\n.text\n"
	"func _start\ncall work\nmov $60, %eax\ncall last\nhlt\nend _start\n"
	"func work\nmov chosen@GOTPCREL(%rip), %rax\ncall *%rax\nret\nend work\n"
	"func second\npush %rax\ncall inner\npop %rax\nret\nend second\n"
	"func inner\nmov $39, %eax\nsyscall\nret\nend inner\n"
	"func first\nlea 1(%rdi), %eax\nret\nend first\n"
	"func chosen\nxor %eax, %eax\nret\nend chosen\n"
	".type chosen, @gnu_indirect_function\n"
	"func loner\nmov %edi, %eax\nret\nend loner\n"
	"func wild\ncall . + 0x1000000\nret\nend wild\n"
	"func astray\nmov $0x90909090, %eax\ncall inner\nret\nend astray\n"
	"func last\nsyscall\nend last\n"
	".data\n.quad second, loner, wild, astray + 1\n"
	".section .init_array, \"aw\", @init_array\n.quad 0, first, -1\n";

static void found_from_the_start(void **state)
{
	static const char *const entries[] = { "_start", "work",   "inner",
					       "first",  "chosen", "last" };
	static const char *const unknown[] = { "loner", "wild",
						  "astray" };
	static const char *const flags[] = { "", "-Wl,-z,noseparate-code" };

	(void)state;
	for (size_t k = 0; k < sizeof(flags) / sizeof(*flags); k++) {
		struct arena a = { 0 };
		struct image with, without;
		struct sites s, t;
		struct err e;
		char all[96];

		snprintf(all, sizeof(all), "-nostdlib -static %s -xassembler",
			 flags[k]);
		read_stripped(&a, all, bare, &with, &without);
		assert_int_equal(without.nsym + without.nfde, 0);
		assert_int_equal(sites_find(&a, &with, &s, &e), 0);
		assert_int_equal(sites_find(&a, &without, &t, &e), 0);
		for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
			check_hidden(&s, &t, entries[i], true);
		check_hidden(&s, &t, "second", false);
		for (size_t i = 0; i < s.nfunc; i++)
			for (size_t j = 0; j < 3; j++)
				if (!strcmp(s.func[i].name, unknown[j]))
					assert_null(func_around(
						&t, s.func[i].addr + 1));
		image_close(&with);
		image_close(&without);
		arena_free(&a);
	}
}

/* This program, without descriptions and with one symbol in four: what calls
 * lead to are functions, and no code that is found is out of step. */
static void found_in_this_program(void **state)
{
	struct arena a = { 0 };
	struct image whole, part;
	struct sites s, t;
	uint64_t before, after;
	struct insn in;
	struct err e;
	size_t n = 0;

	(void)state;
	assert_int_equal(image_read(&a, "/proc/self/exe", &whole, &e), 0);
	part = whole;
	part.nfde = part.nsym = 0;
	part.sym = arena_alloc(&a, whole.nsym * sizeof(*part.sym));
	for (size_t i = 0; i < whole.nsym; i++)
		if (whole.sym[i].type == STT_FUNC && whole.sym[i].size &&
		    whole.sym[i].addr / 16 % 4 == 0)
			part.sym[part.nsym++] = whole.sym[i];
	assert_int_equal(sites_find(&a, &whole, &s, &e), 0);
	assert_int_equal(sites_find(&a, &part, &t, &e), 0);
	for (size_t i = 0; i < t.nfunc; i++) {
		const struct func *f = &t.func[i];

		if (f->named)
			continue;
		n++;
		if (!f->fragment && func_around(&s, f->addr) &&
		    !func_at(&s, f->addr))
			fail_msg("%s is no function", f->name);
		for (uint64_t at = f->addr; at < f->addr + f->size;
		     at += in.len) {
			assert_true(insn_decode(image_at(&part, at, 1), 15, at,
						&in));
			if (!in.nop && code_boundary(&s, at, &before,
						     &after) == 0)
				fail_msg("0x%llx in %s is out of step",
					 (unsigned long long)at, f->name);
		}
	}
	assert_true(n > 50);
	image_close(&whole);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_a_function),
		cmocka_unit_test(at_and_around),
		cmocka_unit_test(limits),
		cmocka_unit_test(padding),
		cmocka_unit_test(boundaries),
		cmocka_unit_test(behind_descriptions),
		cmocka_unit_test(cold_parts),
		cmocka_unit_test(real_program),
		cmocka_unit_test(found_by_calls),
		cmocka_unit_test(found_from_the_start),
		cmocka_unit_test(found_in_this_program),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
