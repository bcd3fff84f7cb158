/* SPDX-License-Identifier: MIT */
/* bind_links: names, versions, globs and offsets to addresses.  The target is
 * hand-made except for its code, which is decoded like any other:
 *
 *   0x1000  strong          0x1030  glibc_f@V_1 (old), weak_w
 *   0x1010  twin (static)   0x1040  glibc_f@@V_2, strong's alias "other"
 *   0x1020  twin (static)   0x1050  fn_1050 (no symbol), 0x1060 strong.cold
 *   0x1060  copy@V_1 (old)  0x1070  chosen (IFUNC), copy@@V_2 (IFUNC)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/bind.h"

#include <cmocka.h> /* last: it has a macro fail() */

enum {
	BASE = 0x1000,
	SIZE = 0x90
};

#define SYM(n, v, at, t, b, from_, hidden)                                     \
	{                                                                      \
		.name = n, .version = v, .addr = at, .size = 16, .type = t,    \
		.bind = b, .from = from_, .hidden_version = hidden             \
	}

// clang-format off
static struct symbol symbols[] = {
	SYM("strong",  NULL,  0x1000, STT_FUNC, STB_GLOBAL, SYM_SYMTAB, false),
	SYM("twin",    NULL,  0x1010, STT_FUNC, STB_LOCAL,  SYM_SYMTAB, false),
	SYM("twin",    NULL,  0x1020, STT_FUNC, STB_LOCAL,  SYM_SYMTAB, false),
	SYM("glibc_f", "V_1", 0x1030, STT_FUNC, STB_GLOBAL, SYM_DYNSYM, true),
	SYM("weak_w",  NULL,  0x1030, STT_FUNC, STB_WEAK,   SYM_SYMTAB, false),
	SYM("glibc_f", "V_2", 0x1040, STT_FUNC, STB_GLOBAL, SYM_DYNSYM, false),
	SYM("other",   NULL,  0x1040, STT_FUNC, STB_GLOBAL, SYM_SYMTAB, false),
	SYM("strong.cold", NULL, 0x1060, STT_FUNC, STB_LOCAL, SYM_SYMTAB, false),
	SYM("copy",    "V_1", 0x1060, STT_FUNC, STB_GLOBAL, SYM_DYNSYM, true),
	SYM("chosen",  NULL,  0x1070, STT_GNU_IFUNC, STB_GLOBAL, SYM_DYNSYM, false),
	SYM("copy",    "V_2", 0x1070, STT_GNU_IFUNC, STB_GLOBAL, SYM_DYNSYM, false),
	SYM("m.(*T).f", NULL, 0x1080, STT_FUNC, STB_LOCAL, SYM_GO, false),
};
#define FUNC(a, n, v, first, count, part, known)                           \
	{ .addr = a, .size = 16, .name = n, .version = v, .sym = first,    \
	  .nsym = count, .fragment = part, .named = known }
static struct func funcs[] = {
	FUNC(0x1000, "strong", NULL, 0, 1, false, true),
	FUNC(0x1010, "twin", NULL, 1, 1, false, true),
	FUNC(0x1020, "twin", NULL, 2, 1, false, true),
	FUNC(0x1030, "glibc_f", "V_1", 3, 2, false, true),
	FUNC(0x1040, "glibc_f", "V_2", 5, 2, false, true),
	FUNC(0x1050, "fn_1050", NULL, 7, 0, false, false),
	FUNC(0x1060, "strong.cold", NULL, 7, 2, true, true),
	FUNC(0x1070, "chosen", NULL, 9, 2, false, true),
	FUNC(0x1080, "m.(*T).f", NULL, 11, 1, false, true),
};
// clang-format on

static struct image image = {
	.path = "/opt/libapp-1.2.so",
	.soname = "libapp.so.1",
	.sym = symbols,
	.nsym = sizeof(symbols) / sizeof(*symbols),
};
static struct sites sites = {
	.img = &image,
	.func = funcs,
	.nfunc = sizeof(funcs) / sizeof(*funcs),
};
static struct bpf_object_file file = { .path = "x.bpf.o", .name = "x" };
static struct arena arena;
static struct links links;
static struct err err;

/* The functions' instructions are 4 bytes long each: enough for bind. */
int code_boundary(const struct sites *s, uint64_t at, uint64_t *before,
		  uint64_t *after)
{
	(void)s;
	*before = at & ~3ull;
	*after = *before + 4;
	return at % 4 == 0;
}
const struct func *func_at(const struct sites *s, uint64_t addr)
{
	const struct func *f = func_around(s, addr);

	return f && f->addr == addr ? f : NULL;
}
const struct func *func_around(const struct sites *s, uint64_t addr)
{
	return addr >= BASE && addr < BASE + SIZE ? &s->func[(addr - BASE) / 16]
						  : NULL;
}

static int bind(const char *sec, const char *const *opt, uint32_t nopt)
{
	struct bpf_prog p = { .name = "p", .section = sec };
	struct bpf_set set = {
		.object = &file,
		.nobject = 1,
		.prog = &p,
		.nprog = 1,
	};

	arena_free(&arena);
	memset(&err, 0, sizeof(err));
	return bind_links(&arena, &sites, &set, opt, nopt, &links, &err);
}

static int bind_opt(const char *opt)
{
	return bind("uprobe", &opt, 1);
}

static void goes_to(const char *opt, uint64_t addr)
{
	if (bind_opt(opt))
		fail_msg("%s: %s", opt, err.what);
	assert_int_equal(links.nlink, 1);
	assert_int_equal(links.link[0].addr, addr);
	assert_int_equal(links.link[0].offset, addr - links.link[0].func->addr);
}

static void fails(const char *opt, const char *text)
{
	assert_int_equal(bind_opt(opt), -1);
	if (!strstr(err.what, text))
		fail_msg("'%s' is not in '%s'", text, err.what);
}

static void names(void **state)
{
	(void)state;
	goes_to("p=uprobe:strong", 0x1000);
	goes_to("p=uprobe:strong+8", 0x1008);
	goes_to("p=uprobe:other", 0x1040);
	goes_to("p=uprobe:weak_w", 0x1030);
	goes_to("p=uprobe:fn_1050", 0x1050);
	goes_to("p=uprobe:strong.cold", 0x1060);
	goes_to("p=uprobe:0x1014", 0x1014);
	goes_to("p=uprobe:m.(*T).f", 0x1080);
	goes_to("p=uprobe:m.(*T).f+8", 0x1088);
	goes_to("p=uprobe:m.(?T).f", 0x1080);
	fails("p=uprobe:m.(?T).f+8", "a pattern takes no offset");
	goes_to("p=uprobe:glibc_f@V_1", 0x1030);
	goes_to("p=uprobe:glibc_f@@V_2", 0x1040);
	goes_to("p=uprobe:glibc_f", 0x1040); /* the default version */
	goes_to("p=uprobe:copy@V_1", 0x1060);
	goes_to("p=uprobe:libapp.so.1:strong", 0x1000);
}

static void faults(void **state)
{
	(void)state;
	fails("p=uprobe:strnog", "no function 'strnog' (did you mean strong?)");
	fails("p=uprobe:twin", "ambiguous: 0x1010, 0x1020");
	fails("p=uprobe:chosen", "is an IFUNC");
	fails("p=uprobe:copy", "'copy' is an IFUNC: probe the function it "
			       "chooses ('copy@V_1' is another one)");
	fails("p=uprobe:copy@V_2", "'copy' is an IFUNC");
	fails("p=uprobe:glibc_f@V_3", "no function 'glibc_f@V_3'");
	fails("p=uprobe:strong+5", "nearest are 0x1004 and 0x1008");
	fails("p=uprobe:strong+16", "past the end of 'strong'");
	fails("p=uprobe:ns::foo(int)", "no function 'ns::foo(int)': names are "
				       "the linker's, see bpfweld list "
				       "/opt/libapp-1.2.so '*foo*'");
	fails("p=uprobe:libapp.so.1:ns::foo", "no function 'ns::foo': names");
	fails("p=uprobe:*::foo", "no function matches '*::foo': names");
	fails("p=uprobe:0x5000", "no function is known at this address");
	fails("p=uprobe:zz*", "no function matches 'zz*'");
	fails("q=uprobe:strong", "no program 'q' (did you mean p?)");
	fails("p", "not PROGRAM=PROBE");
	fails("p=uprobe:libz.so:strong", "'libz.so' is not the target");
	assert_int_equal(err.kind, ERR_USAGE);
}

static void globs(void **state)
{
	static const uint64_t want[] = { 0x1010, 0x1020 };
	size_t i;

	(void)state;
	assert_int_equal(bind_opt("p=uprobe:tw*"), 0);
	assert_int_equal(links.nlink, 2);
	for (i = 0; i < 2; i++)
		assert_int_equal(links.link[i].addr, want[i]);
	/* all but the fragment and the IFUNC; every address once */
	assert_int_equal(bind_opt("p=uprobe:*"), 0);
	assert_int_equal(links.nlink, 7);
	goes_to("p=uprobe:ot*r", 0x1040); /* an alias */
	goes_to("p=uprobe:fn_*", 0x1050);
	assert_int_equal(bind_opt("p=uprobe:[a-t]w[!a-h]n"), 0);
	assert_int_equal(links.nlink, 2);
	goes_to("p=uprobe:o[s-u]*", 0x1040);
	fails("p=uprobe:o[a-s]*", "no function matches 'o[a-s]*'");
	goes_to("p=uprobe:m.(\\*T).[f]", 0x1080);
	/* an object's are libbpf's */
	assert_int_equal(bind("uprobe.multi/libapp.so.1:o[s-u]*", NULL, 0), -1);
}

static void options_add_up(void **state)
{
	const char *opt[] = { "p=uprobe:strong,cookie=1",
			      "p=uprobe:0x1000,cookie=2",
			      "p=uprobe:other,cookie=3" };

	(void)state;
	assert_int_equal(bind("uprobe", opt, 3), 0);
	assert_int_equal(links.nlink, 3);
	/* on one address, the last attached runs first */
	assert_int_equal(links.link[0].cookie, 2);
	assert_int_equal(links.link[1].cookie, 1);
	assert_int_equal(links.link[2].cookie, 3);
	assert_int_equal(links.link[2].addr, 0x1040);
}

static void section_binary(void **state)
{
	static const char *const ours[] = {
		"uprobe//opt/libapp-1.2.so:strong",
		"uprobe/libapp-1.2.so:strong",
		"uprobe/libapp.so.1:strong",
		"uprobe//usr/lib/libapp.so.1:strong",
		"uprobe//proc/self/exe:strong",
		"uprobe/:strong",
		"uprobe.multi/libapp.so.1:str?ng",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (bind(ours[i], NULL, 0) || links.link[0].addr != 0x1000)
			fail_msg("%s: %s", ours[i], err.what);
	assert_int_equal(bind("uprobe/libapp.so.1:m.(*T).f+8", NULL, 0), 0);
	assert_int_equal(links.link[0].addr, 0x1088);
	assert_int_equal(bind("uprobe/libapp.so.1:stron*", NULL, 0), -1);
	assert_non_null(strstr(err.what, "only uprobe.multi and -p take a"));
	assert_int_equal(bind("uprobe/libc.so.6:strong", NULL, 0), -1);
	assert_int_equal(links.nskipped, 1);
	assert_non_null(strstr(err.what, "'p' is for libc.so.6"));
}

static void sections(void **state)
{
	const char *opt = "p=uprobe:other";

	(void)state;
	assert_int_equal(bind("uprobe", NULL, 0), -1);
	assert_non_null(strstr(err.what, "add -p p=uprobe:FUNCTION"));
	assert_int_equal(bind("uretprobe/libapp.so.1:strong", NULL, 0), 0);
	assert_int_equal(links.link[0].when, WHEN_RETURNED);
	assert_int_equal(bind("usdt/libapp.so.1:a:b", NULL, 0), -1);
	assert_non_null(strstr(err.what, "no USDT probe 'a:b'"));
	assert_int_equal(bind("tp/syscalls/sys_enter_read", NULL, 0), -1);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_string_equal(err.file, "x.bpf.o");
	assert_non_null(strstr(err.what, "; -p p=none leaves it out"));
	/* an option replaces the SEC() */
	assert_int_equal(bind("uprobe/libapp.so.1:strong", &opt, 1), 0);
	assert_int_equal(links.nlink, 1);
	assert_int_equal(links.link[0].addr, 0x1040);
	assert_int_equal(bind("tp/syscalls/sys_enter_read", &opt, 1), -1);
	assert_non_null(strstr(err.what, "cannot run on a uprobe"));
}

/* SEC()s that name nothing here: what to say instead. */
static void homeless(void **state)
{
	static const struct {
		const char *sec, *add;
	} v[] = {
		{ "uretprobe", "add -p p=uretprobe:FUNCTION (" },
		{ "uretprobe.s", "add -p p=uretprobe:FUNCTION (" },
		{ "uretprobe/readline", "add -p p=uretprobe:readline (" },
		{ "uprobe/readline", "add -p p=uprobe:readline (" },
		{ "kprobe/handle_entry", "add -p p=uprobe:FUNCTION (" },
		{ "kretprobe/handle_return", "add -p p=uretprobe:FUNCTION (" },
		{ "usdt", "add -p p=usdt:PROVIDER:NAME (" },
		{ "uprobe.session", "add -p p=uprobe:FUNCTION (" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		assert_int_equal(bind(v[i].sec, NULL, 0), -1);
		if (err.kind != ERR_USAGE ||
		    !strstr(err.what, "1 program has no target: ") ||
		    !strstr(err.what, v[i].add))
			fail_msg("%s: %s", v[i].sec, err.what);
	}
	/* the kernel's functions are another matter */
	assert_int_equal(bind("kretprobe/do_exit", NULL, 0), -1);
	assert_non_null(strstr(err.what,
			       "target: SEC(\"kretprobe/do_exit\") names a "
			       "function of the kernel, and those are not "
			       "probed; add -p p=uretprobe:FUNCTION ("));
	assert_int_equal(bind("kprobe", NULL, 0), -1);
	assert_null(strstr(err.what, "kernel"));
	assert_int_equal(bind("uprobe//bin/bash", NULL, 0), -1);
	assert_non_null(strstr(err.what, "is not TYPE/BINARY:FUNCTION"));
}

static void left_out(void **state)
{
	struct bpf_prog p[] = { { .name = "a", .section = "kprobe/x" },
				{ .name = "b", .section = "usdt" },
				{ .name = "c", .section = "uprobe" },
				{ .name = "d", .section = "tp/x/y" } };
	struct bpf_set set = {
		.object = &file, .nobject = 1, .prog = p, .nprog = 3
	};
	const char *opt[] = { "a=none", "c=uprobe:strong", "d=none" };
	const char **without;
	uint32_t n;

	(void)state;
	arena_free(&arena);
	without = bind_without(&arena, opt, 3, &n);
	assert_int_equal(n, 2);
	assert_string_equal(without[0], "a");
	assert_string_equal(without[1], "d");
	/* all that lack a target are named at once */
	assert_int_equal(
		bind_links(&arena, &sites, &set, NULL, 0, &links, &err), -1);
	assert_non_null(strstr(err.what,
			       "3 programs have no target: SEC(\"kprobe/x\") "
			       "names a function of the kernel, and those are "
			       "not probed; add "
			       "-p a=uprobe:FUNCTION -p b=usdt:PROVIDER:NAME "
			       "-p c=uprobe:FUNCTION (PROG=none"));
	opt[2] = "b=none";
	assert_int_equal(bind_links(&arena, &sites, &set, opt, 3, &links, &err),
			 0);
	assert_int_equal(links.nlink, 1);
	assert_int_equal(links.link[0].prog, 2);
	/* whatever its SEC() is; but it must be there */
	set.nprog = 4;
	opt[2] = "d=none";
	p[1].optional = true;
	assert_int_equal(bind_links(&arena, &sites, &set, opt, 3, &links, &err),
			 0);
	opt[2] = "e=none";
	assert_int_equal(bind_links(&arena, &sites, &set, opt, 3, &links, &err),
			 -1);
	assert_non_null(strstr(err.what, "no program 'e'"));
	opt[2] = "c=none";
	assert_int_equal(bind_links(&arena, &sites, &set, opt, 3, &links, &err),
			 -1);
	assert_non_null(
		strstr(err.what, "-p c=none: but there is -p c=uprobe:strong"));
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
		cmocka_unit_test(names),
		cmocka_unit_test(faults),
		cmocka_unit_test(globs),
		cmocka_unit_test(options_add_up),
		cmocka_unit_test(section_binary),
		cmocka_unit_test(sections),
		cmocka_unit_test(homeless),
		cmocka_unit_test(left_out),
	};

	return cmocka_run_group_tests(tests, NULL, done);
}
