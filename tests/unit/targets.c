/* SPDX-License-Identifier: MIT */
/* The window proof sees every way into the middle of code that compilers
 * make.  A fixture marks such places (a label in section .marks that names
 * its own address, in a section that is not loaded, so that no relocation
 * gives it away), is built in many ways, and no mark may be missed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rewriter/site/targets.h"

#include <cmocka.h>

static const char c_source[] =
	"#define MARK asm volatile(\".pushsection .marks,\\\"\\\",@progbits\\n\""
	"  \".quad 1f\\n.popsection\\n1:\" ::: \"memory\");\n"
	"#define X volatile int\n"
	"__attribute__((noinline)) void cases(int n, X *p) {\n"
	"  switch (n) {\n"
	"  case 0: MARK *p = 7; break;\n"
	"  case 1: MARK *p += 1; break;\n"
	"  case 2: MARK *p ^= 9; break;\n"
	"  case 3: MARK p[1] = 2; break;\n"
	"  case 4: MARK p[2] -= 5; break;\n"
	"  case 5: MARK *p = *p * 3; break;\n"
	"  case 6: MARK p[3] = *p; break;\n"
	"  case 7: MARK p[1] = p[2]; break;\n"
	"  }\n"
	"}\n"
	"__attribute__((noinline)) int run(const unsigned char *pc) {\n"
	"  static const void *const t[] = { &&inc, &&dec, &&dbl, &&end };\n"
	"  X a = 0;\n"
	"  goto *t[*pc++];\n"
	"inc: MARK a++; goto *t[*pc++];\n"
	"dec: MARK a--; goto *t[*pc++];\n"
	"dbl: MARK a *= 2; goto *t[*pc++];\n"
	"end: MARK return a;\n"
	"}\n"
	"__attribute__((noinline)) int rel(const unsigned char *pc) {\n"
	"  static const int t[] = { &&inc - &&inc, &&dec - &&inc,\n"
	"                           &&dbl - &&inc, &&end - &&inc };\n"
	"  X a = 0;\n"
	"  goto *(&&inc + t[*pc++]);\n"
	"inc: MARK a++; goto *(&&inc + t[*pc++]);\n"
	"dec: MARK a--; goto *(&&inc + t[*pc++]);\n"
	"dbl: MARK a *= 2; goto *(&&inc + t[*pc++]);\n"
	"end: MARK return a;\n"
	"}\n"
	/* Loops whose head is the second instruction, one with `loop`; a jump
	 * over a lock prefix; data in a function, code behind it. */
	"asm(\".text\\n.globl spin\\n.type spin,@function\\nspin:\\n\"\n"
	"  \".cfi_startproc\\nxor %ecx,%ecx\\n\"\n"
	"  \".pushsection .marks,\\\"\\\",@progbits\\n.quad 1f\\n\"\n"
	"  \".quad 2f\\n.quad 3f\\n.quad 4f\\n.quad 5f\\n.popsection\\n\"\n"
	"  \"1: inc %ecx\\ncmp $9,%ecx\\njb 1b\\nmov $9,%ecx\\n\"\n"
	"  \"2: inc %eax\\nloop 2b\\nmov %rsp,%rdx\\njz 3f\\n.byte 0xf0\\n\"\n"
	"  \"3: incl (%rdx)\\njmp 4f\\n.byte 0x48,0xb8\\n\"\n"
	"  \"4: inc %eax\\ntest %eax,%eax\\njz 5f\\nnop\\nnop\\nnop\\nnop\\n\"\n"
	"  \"5: ret\\n.cfi_endproc\\n.size spin,.-spin\\n\");\n"
	"void spin(void);\n"
	"int main(int argc, char **argv) {\n"
	"  X v[4] = { 0 };\n"
	"  static const unsigned char pc[] = { 0, 2, 1, 3 };\n"
	"  for (int i = 0; i < 8; i++) cases(argc + i, v);\n"
	"  spin();\n"
	"  return run(pc) + rel(pc) + v[0] * 0;\n"
	"}\n";

static const char cxx_source[] =
	"#include <stdexcept>\n"
	"#include <string>\n"
	"struct guard { ~guard(); int *p; };\n"
	"__attribute__((noinline)) guard::~guard() { ++*p; }\n"
	"__attribute__((noinline)) int work(int x, int *p) {\n"
	"  guard g{p};\n"
	"  try { if (x > 2) throw std::runtime_error(\"big\");\n"
	"        return std::stoi(std::string(x, '1')); }\n"
	"  catch (const std::runtime_error &e) { return e.what()[0]; }\n"
	"}\n"
	"int main(int argc, char **) { int n = 0; return work(argc, &n); }\n";

struct loaded {
	struct arena a;
	struct image img;
	struct sites s;
};

static bool build(const char *compiler, const char *lang, const char *source,
		  const char *path)
{
	char command[512];
	FILE *p;

	snprintf(command, sizeof(command), "%s -w -x%s - -o %s", compiler, lang,
		 path);
	p = popen(command, "w");
	assert_non_null(p);
	fputs(source, p);
	return pclose(p) == 0;
}

static void load(struct loaded *l, const char *path)
{
	struct err e;

	*l = (struct loaded){ 0 };
	if (image_read(&l->a, path, &l->img, &e) ||
	    sites_find(&l->a, &l->img, &l->s, &e)) {
		err_print(stderr, &e);
		fail_msg("%s", path);
	}
}

static void unload(struct loaded *l)
{
	image_close(&l->img);
	arena_free(&l->a);
}

static enum target_why why(const struct loaded *l, uint64_t at)
{
	uint64_t where;
	enum target_why y = target_in(&l->s, at - 1, at + 1, &where);

	if (y)
		assert_int_equal(where, at);
	return y;
}

static char dir[] = "/tmp/bpfweld-targets.XXXXXX";
static char program[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(program, sizeof(program), "%s/t", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(program);
	return rmdir(dir);
}

static void no_mark_is_missed(const char *compiler)
{
	struct loaded l;
	const struct section *marks;
	size_t n;

	print_message("%s\n", compiler);
	if (!build(compiler, "c", c_source, program)) {
		print_message("skipped: it does not build here\n");
		return;
	}
	load(&l, program);
	marks = image_section(&l.img, ".marks");
	assert_non_null(marks);
	n = marks->size / sizeof(uint64_t);
	assert_true(n >= 8 + 4 + 4 + 5);
	for (size_t i = 0; i < n; i++) {
		uint64_t at;

		memcpy(&at, l.img.file.p + marks->off + i * sizeof(at),
		       sizeof(at));
		if (why(&l, at) == TARGET_NONE)
			fail_msg("%s: nothing known of 0x%llx", compiler,
				 (unsigned long long)at);
	}
	unload(&l);
}

static void c_programs(void **state)
{
	static const char *const compiler[] = {
		"gcc -O2",
		"gcc -O2 -s -fcf-protection=none -Wl,-z,noseparate-code",
		"gcc -Os -no-pie -s",
		"gcc -O2 -static-pie -s",
		"clang -O2 -s",
		"clang -O2 -no-pie -s",
		"clang -Os -fuse-ld=lld -s",
		"musl-gcc -O2 -static -s",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(compiler) / sizeof(*compiler); i++)
		no_mark_is_missed(compiler[i]);
}

static void landing_pads(void **state)
{
	struct loaded l;
	uint64_t where;
	const struct func *f;

	(void)state;
	if (!build("g++ -O2 -s -fcf-protection=none", "c++", cxx_source,
		   program))
		skip();
	load(&l, program);
	assert_true(l.img.nlanding >= 3);
	for (size_t i = 0; i < l.img.nlanding; i++) {
		uint64_t at = l.img.landing[i];

		assert_int_not_equal(why(&l, at), TARGET_NONE);
		f = func_around(&l.s, at);
		assert_non_null(f);
		assert_int_equal(code_boundary(&l.s, at, &where, &where), 1);
	}
	assert_true(l.img.ncallsite >= 3);
	for (size_t i = 0; i < l.img.ncallsite; i++)
		assert_int_not_equal(why(&l, l.img.callsite[i]), TARGET_NONE);
	unload(&l);
}

/* One function in memory, to see each reason by itself. */
struct tiny {
	struct arena a;
	struct segment seg[2];
	struct symbol sym[2];
	struct image img;
	struct sites s;
	uint8_t code[64], data[64];
};
#define TEXT UINT64_C(0x1000)
#define DATA UINT64_C(0x2000)

static void tiny_make(struct tiny *t, const char *code, size_t len,
		      uint64_t size)
{
	struct err e;
	static uint8_t file[128];

	memset(file, 0, sizeof(file));
	memcpy(file, code, len);
	memcpy(file + 64, t->data, sizeof(t->data));
	t->a = (struct arena){ 0 };
	t->seg[0] = (struct segment){ .type = PT_LOAD,
				      .flags = PF_R | PF_X,
				      .vaddr = TEXT,
				      .filesz = len,
				      .memsz = len };
	t->seg[1] = (struct segment){ .type = PT_LOAD,
				      .flags = PF_R,
				      .off = 64,
				      .vaddr = DATA,
				      .filesz = 64,
				      .memsz = 64 };
	t->sym[0] = (struct symbol){ .name = "f",
				     .addr = TEXT,
				     .size = size,
				     .type = STT_FUNC,
				     .bind = STB_GLOBAL };
	t->img = (struct image){ .path = "tiny",
				 .type = ET_DYN,
				 .file = { file, sizeof(file) },
				 .seg = t->seg,
				 .nseg = 2,
				 .sym = t->sym,
				 .nsym = 1 };
	assert_int_equal(sites_find(&t->a, &t->img, &t->s, &e), 0);
}

#define MAKE(t, code, size) tiny_make(t, code, sizeof(code) - 1, size)

static void expect(struct tiny *t, uint64_t lo, uint64_t hi,
		   enum target_why want, uint64_t at)
{
	uint64_t where = 0;
	enum target_why y = target_in(&t->s, TEXT + lo, TEXT + hi, &where);

	assert_string_equal(target_why_name(y), target_why_name(want));
	if (want)
		assert_int_equal(where, TEXT + at);
	arena_free(&t->a);
}

static void reasons(void **state)
{
	struct tiny t = { 0 };
	int32_t rel = -(int32_t)(DATA - TEXT) + 2;

	(void)state;
	/* push %rbp; mov %rsp,%rbp; jmp .-3; the window holds the mov */
	MAKE(&t, "\x55\x48\x89\xe5\xeb\xfb", 6);
	expect(&t, 0, 4, TARGET_BRANCH, 1);
	/* the other branches: loop, jz rel32, call, jmp rel32, xbegin */
	MAKE(&t, "\x55\x48\x89\xe5\xe2\xfb", 6);
	expect(&t, 0, 4, TARGET_BRANCH, 1);
	MAKE(&t, "\x55\x48\x89\xe5\x0f\x84\xf7\xff\xff\xff", 10);
	expect(&t, 0, 4, TARGET_BRANCH, 1);
	MAKE(&t, "\x55\x48\x89\xe5\xe8\xf8\xff\xff\xff", 9);
	expect(&t, 0, 4, TARGET_BRANCH, 1);
	MAKE(&t, "\x55\x48\x89\xe5\xe9\xf8\xff\xff\xff", 9);
	expect(&t, 0, 4, TARGET_BRANCH, 1);
	MAKE(&t, "\x55\x48\x89\xe5\xc7\xf8\xf7\xff\xff\xff", 10);
	expect(&t, 0, 4, TARGET_BRANCH, 1);
	/* both ends are outside */
	MAKE(&t, "\x55\x48\x89\xe5\xeb\xfb", 6);
	expect(&t, 1, 4, TARGET_NONE, 0);
	/* mov $0x00fbeb00,%eax holds a jump that no decoding meets ... */
	MAKE(&t, "\x55\x90\xb8\0\xeb\xfc\0\xc3", 8);
	expect(&t, 0, 4, TARGET_NONE, 0);
	/* ... but nobody can be sure where no function is */
	MAKE(&t, "\x55\x90\xb8\0\xeb\xfb\0\xc3", 2);
	expect(&t, 0, 4, TARGET_MAYBE, 1);
	/* unless known code leads there and the flow is followed: push; nop;
	 * jmp .+3; nop | mov $0x00f8eb00,%eax; ret */
	MAKE(&t, "\x55\x90\xeb\x01\x90\xb8\0\xeb\xf8\0\xc3", 5);
	expect(&t, 0, 4, TARGET_NONE, 0);
	/* what follows its end stays unknown */
	MAKE(&t, "\x55\x90\xeb\x01\x90\xb8\0\0\0\0\xc3\xeb\xf4", 5);
	expect(&t, 0, 4, TARGET_MAYBE, 1);
	/* a symbol without a size: the same */
	MAKE(&t, "\x55\x90\xb8\0\xeb\xfb\0\xc3", 0);
	expect(&t, 0, 4, TARGET_NONE, 0);
	MAKE(&t, "\x55\x90\xb8\0\0\0\0\xc3\xeb\xf7", 0);
	expect(&t, 0, 4, TARGET_MAYBE, 1);
	/* nor in one that does not decode */
	MAKE(&t, "\x55\x90\xb8\0\xeb\xfb\0\x06", 8);
	expect(&t, 0, 4, TARGET_MAYBE, 1);
	/* lea -7(%rip): an address of code */
	MAKE(&t, "\x55\x48\x8d\x05\xf9\xff\xff\xff\xc3", 9);
	expect(&t, 0, 8, TARGET_POINTER, 1);
	/* call; the next instruction is returned to */
	MAKE(&t, "\x55\xff\xd0\x5d\xc3", 5);
	expect(&t, 0, 5, TARGET_RETURN, 3);
	/* bytes that look like one inside mov $imm32 */
	MAKE(&t, "\xb8\0\0\xff\xd0\xc3\xc3", 7);
	expect(&t, 0, 7, TARGET_NONE, 0);
	MAKE(&t, "\x55\xf3\x0f\x1e\xfa\xc3", 6);
	expect(&t, 0, 5, TARGET_ENDBR, 1);
	/* lea DATA(%rip), a table whose second entry leads to +2 */
	memcpy(t.data + 4, &rel, 4);
	rel -= 2;
	memcpy(t.data, &rel, 4);
	MAKE(&t, "\x55\x89\xc8\x48\x8d\x05\xf6\x0f\0\0\xc3", 11);
	expect(&t, 0, 3, TARGET_TABLE, 2);
}

static void a_symbol_inside(void **state)
{
	struct tiny t = { 0 };

	(void)state;
	MAKE(&t, "\x55\x90\x90\x90\x90\xc3", 6);
	t.sym[1] = (struct symbol){ .name = "label",
				    .addr = TEXT + 2,
				    .type = STT_NOTYPE };
	t.img.nsym = 2;
	expect(&t, 0, 5, TARGET_SYMBOL, 2);
}

static void immediates_of_et_exec(void **state)
{
	struct tiny t = { 0 };
	struct err e;
	/* mov $TEXT+1,%eax in code; the same bytes as displacement of a
	 * RIP-relative load are no address */
	static const char mov[] = "\x55\x90\xb8\x01\x10\0\0\xc3";
	static const char load_[] = "\x55\x90\x8b\x05\x01\x10\0\0\xc3";

	(void)state;
	MAKE(&t, mov, 8);
	t.img.type = ET_EXEC;
	expect(&t, 0, 2, TARGET_POINTER, 1);
	MAKE(&t, load_, 9);
	t.img.type = ET_EXEC;
	assert_int_equal(sites_find(&t.a, &t.img, &t.s, &e), 0);
	expect(&t, 0, 2, TARGET_NONE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reasons),
		cmocka_unit_test(a_symbol_inside),
		cmocka_unit_test(immediates_of_et_exec),
		cmocka_unit_test(c_programs),
		cmocka_unit_test(landing_pads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
