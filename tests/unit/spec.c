/* SPDX-License-Identifier: MIT */
/* Both grammars of probe places: SEC() and -p. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rewriter/bind.h"
#include "rewriter/names.h"

#include <cmocka.h> /* last: it has a macro fail() */

static const char *text(const char *s)
{
	return s ? s : "-";
}

// clang-format off
static const struct {
	const char *sec;
	const char *binary, *func, *version;
	uint64_t offset;
	bool glob;
} secs[] = {
	/* SEC()                       binary            func     version  +OFF   glob */
	{ "uprobe/app:main",           "app",            "main",  NULL,    0,     false },
	{ "uprobe.s/app:main",         "app",            "main",  NULL,    0,     false },
	{ "uprobe//bin/app:main",      "/bin/app",       "main",  NULL,    0,     false },
	{ "uprobe//proc/self/exe:f",   "/proc/self/exe", "f",     NULL,    0,     false },
	{ "uprobe/:f",                 "",               "f",     NULL,    0,     false },
	{ "uprobe/app:f+4",            "app",            "f",     NULL,    4,     false },
	{ "uprobe/app:f+0x10",         "app",            "f",     NULL,    16,    false },
	{ "uprobe/app:f+010",          "app",            "f",     NULL,    8,     false },
	{ "uprobe/app:a+b+4",          "app",            "a+b",   NULL,    4,     false },
	{ "uprobe/app:a+b",            "app",            "a+b",   NULL,    0,     false },
	{ "uprobe/app:f+4x",           "app",            "f+4x",  NULL,    0,     false },
	{ "uprobe/libc.so.6:f@GLIBC_2.2.5", "libc.so.6", "f",     "GLIBC_2.2.5", 0, false },
	{ "uprobe/libc.so.6:f@@V_1+2", "libc.so.6",      "f",     "V_1",   2,     false },
	{ "uprobe/app:a:b",            "app",            "a:b",   NULL,    0,     false },
	{ "uprobe.multi/app:f*",       "app",            "f*",    NULL,    0,     true },
	{ "uprobe.multi.s/app:?x",     "app",            "?x",    NULL,    0,     true },
	{ "uprobe.multi/app:m.F[...]", "app",            "m.F[...]", NULL, 0,     false },
	{ "uprobe.multi/app:f",        "app",            "f",     NULL,    0,     false },
	{ "usdt/app:p:n",              "app",            "p:n",   NULL,    0,     false },
	{ "usdt.s//bin/app:p:n__x",    "/bin/app",       "p:n__x", NULL,   0,     false },
	{ "usdt/libc.so.6:p:n*",       "libc.so.6",      "p:n*",  NULL,    0,     true },
	{ "uprobe/app:m.(*T).f+4",     "app",            "m.(*T).f", NULL, 4,     true },
};

static const struct {
	const char *sec, *want;
	enum err_kind kind;
} bad_secs[] = {
	{ "uprobe/main",             "not TYPE/BINARY:FUNCTION", ERR_FAILED },
	{ "uprobe/app:",             "not TYPE/BINARY:FUNCTION", ERR_FAILED },
	{ "uretprobe/app:f+4",       "a return probe takes no offset", ERR_FAILED },
	{ "uprobe.session/app",      "not TYPE/BINARY:FUNCTION", ERR_FAILED },
	{ "usdt/app:p",              "not usdt/BINARY:PROVIDER:NAME", ERR_FAILED },
	{ "usdt/app:p:",             "not usdt/BINARY:PROVIDER:NAME", ERR_FAILED },
	{ "usdt/app::n",             "not usdt/BINARY:PROVIDER:NAME", ERR_FAILED },
	{ "usdt/app:p:n:x",          "not usdt/BINARY:PROVIDER:NAME", ERR_FAILED },
	{ "usdt.multi/app:p:n",      "no meaning",               ERR_UNSUPPORTED },
	{ "tp/syscalls/sys_enter_x", "not supported yet",        ERR_UNSUPPORTED },
	{ "tracepoint/a/b",          "not supported yet",        ERR_UNSUPPORTED },
	{ "raw_tp/sys_enter",        "not supported yet; these are: uprobe, ", ERR_UNSUPPORTED },
	{ "kprobe/do_x",             "SEC(\"kprobe/do_x\") has no meaning in user space; these have: uprobe, uprobe.multi, "
				     "uretprobe, uretprobe.multi, uprobe.session, usdt", ERR_UNSUPPORTED },
	{ "xdp",                     "no meaning",               ERR_UNSUPPORTED },
	{ "uprobes/app:f",           "no meaning",               ERR_UNSUPPORTED },
};

static const struct {
	const char *spec;
	const char *binary, *func, *version;
	uint64_t addr, offset, cookie;
	bool glob;
} specs[] = {
	/* -p                         binary  func     version  addr      +OFF  cookie glob */
	{ "uprobe:main",              NULL,   "main",  NULL,    0,        0,    0,     false },
	{ "u:main",                   NULL,   "main",  NULL,    0,        0,    0,     false },
	{ "uprobe:main+0x10",         NULL,   "main",  NULL,    0,        16,   0,     false },
	{ "uprobe:f@V_1",             NULL,   "f",     "V_1",   0,        0,    0,     false },
	{ "uprobe:0x401000",          NULL,   NULL,    NULL,    0x401000, 0,    0,     false },
	{ "uprobe:app:main",          "app",  "main",  NULL,    0,        0,    0,     false },
	{ "uprobe:/bin/app:f+1",      "/bin/app", "f", NULL,    0,        1,    0,     false },
	{ "uprobe:ns::f",             NULL,   "ns::f", NULL,    0,        0,    0,     false },
	{ "uprobe:app:ns::c::f+1",    "app",  "ns::c::f", NULL, 0,        1,    0,     false },
	{ "uprobe:f*",                NULL,   "f*",    NULL,    0,        0,    0,     true },
	{ "uprobe:m.(*T).f+4",        NULL,   "m.(*T).f", NULL, 0,        4,    0,     true },
	{ "uprobe:f[0-9]",            NULL,   "f[0-9]", NULL,  0,        0,    0,     true },
	{ "usdt:p:n[ab]",             NULL,   "p:n[ab]", NULL, 0,        0,    0,     true },
	{ "uprobe:f,cookie=7",        NULL,   "f",     NULL,    0,        0,    7,     false },
	{ "uprobe:0x10,cookie=0xff",  NULL,   NULL,    NULL,    0x10,     0,    255,   false },
	{ "uprobe:0xyz",              NULL,   "0xyz",  NULL,    0,        0,    0,     false },
	{ "usdt:p:n",                 NULL,   "p:n",   NULL,    0,        0,    0,     false },
	{ "U:p:n,cookie=7",           NULL,   "p:n",   NULL,    0,        0,    7,     false },
	{ "usdt:/bin/app:p:n",        "/bin/app", "p:n", NULL,  0,        0,    0,     false },
	{ "usdt:p?:*",                NULL,   "p?:*",  NULL,    0,        0,    0,     true },
};

static const struct {
	const char *spec, *want;
	enum err_kind kind;
} bad_specs[] = {
	{ "main",              "is not a probe",        ERR_USAGE },
	{ ":main",             "is not a probe",        ERR_USAGE },
	{ "uprobe:",           "names no function",     ERR_USAGE },
	{ "kprobe:f",          "unknown kind of probe 'kprobe'; there are: uprobe, uretprobe, usdt", ERR_USAGE },
	{ "uprobe.session:f",  "there are: uprobe, uretprobe, usdt (what is behind a dot", ERR_USAGE },
	{ "tracepoint:a:b",    "is not supported yet; there are: uprobe, uretprobe, usdt", ERR_UNSUPPORTED },
	{ "uprobe:f,cookie=x", "is not a cookie",       ERR_USAGE },
	{ "uretprobe:f+4",     "takes no offset",       ERR_USAGE },
	{ "usdt:n",            "is not usdt:PROVIDER:NAME", ERR_USAGE },
	{ "usdt:p:",           "is not usdt:PROVIDER:NAME", ERR_USAGE },
	{ "usdt::n",           "is not usdt:PROVIDER:NAME", ERR_USAGE },
};

static const struct {
	const char *name, *glob;
	bool match;
} globs[] = {
	{ "main", "main", true },   { "main", "m*", true },
	{ "main", "*", true },      { "main", "*n", true },
	{ "main", "m??n", true },   { "main", "m?n", false },
	{ "main", "*a*", true },    { "main", "*b*", false },
	{ "aab", "*ab", true },     { "abab", "a*b", true },
	{ "", "*", true },          { "", "?", false },
	{ "main", "", false },      { "main", "mai", false },
};

/* The meaning of [] and \ is that of the kernel's lib/glob.c; for libbpf they
 * are characters like others. */
static const struct {
	const char *name, *glob;
	bool match, plain;
} classes[] = {
	/* name        glob             match  plain */
	{ "f1",        "f[0-9]",        true,  false },
	{ "fa",        "f[0-9]",        false, false },
	{ "fa",        "f[!0-9]",       true,  false },
	{ "f1",        "f[!0-9]",       false, false },
	{ "f",         "f[!0-9]",       false, false },
	{ "f",         "f[0-9]",        false, false },
	{ "fb",        "f[abc]",        true,  false },
	{ "fd",        "f[abc]",        false, false },
	{ "fx",        "f[a-cx-z]",     true,  false },
	{ "f-",        "f[a-]",         true,  false },
	{ "f-",        "f[-a]",         true,  false },
	{ "f]",        "f[]]",          true,  false },
	{ "fa",        "f[]a]",         true,  false },
	{ "f]",        "f[!]]",         false, false },
	{ "fa",        "f[!]]",         true,  false },
	{ "f!",        "f[a!]",         true,  false },
	{ "f^",        "f[^a]",         true,  false }, /* ! alone inverts */
	{ "f*",        "f[*]",          true,  false },
	{ "fa",        "f[*]",          false, false },
	{ "fb",        "f[c-a]",        false, false }, /* of nothing */
	{ "f\xe9",     "f[\x80-\xff]",  true,  false },
	{ "do_read",   "do_[rw]*",      true,  false },
	{ "do_write",  "do_[rw]*",      true,  false },
	{ "do_open",   "do_[rw]*",      false, false },
	{ "a1b22c",    "*[0-9][0-9]c",  true,  false }, /* * takes more */
	{ "a1b2c",     "*[0-9][0-9]c",  false, false },
	/* Nothing closes it. */
	{ "f[",        "f[",            true,  true },
	{ "f[0-9",     "f[0-9",         true,  true },
	{ "f1",        "f[0-9",         false, false },
	{ "f[]x",      "f[]?",          true,  true },
	{ "f[]",       "f[]",           true,  true },
	{ "f[!]",      "f[!]",          true,  true },
	{ "f[a-",      "f[a-",          true,  true },
	/* A name matches itself. */
	{ "m.F[...]",  "m.F[...]",      true,  true },
	{ "m.F.",      "m.F[...]",      true,  false },
	{ "m.F[...].g", "m.F[...]*",    false, true },
	{ "m.F[...].g", "m.F\\[...]*",  true,  false },
	{ "m.(*T).f",  "m.(*T).f",      true,  true },
	{ "a*b",       "a\\*b",         true,  false },
	{ "axb",       "a\\*b",         false, false },
	{ "a\\xb",     "a\\*b",         false, true },
};
// clang-format on

static struct arena arena;

static int done(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void sections(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(secs) / sizeof(*secs); i++) {
		struct err e = { .what = "" };
		struct spec s;
		bool has;

		if (spec_parse_sec(&arena, secs[i].sec, &s, &has, &e))
			fail_msg("%s: %s", secs[i].sec, e.what);
		assert_true(has);
		assert_string_equal(s.binary, secs[i].binary);
		assert_string_equal(s.func, secs[i].func);
		assert_string_equal(text(s.version), text(secs[i].version));
		assert_int_equal(s.offset, secs[i].offset);
		assert_int_equal(s.glob, secs[i].glob);
	}
}

static void no_target(void **state)
{
	struct spec s;
	struct err e;
	bool has = true;

	(void)state;
	assert_int_equal(spec_parse_sec(&arena, "uprobe", &s, &has, &e), 0);
	assert_false(has);
	assert_int_equal(spec_parse_sec(&arena, "uprobe.s", &s, &has, &e), 0);
	assert_true(spec_takes_regs("kprobe/x"));
	assert_true(spec_takes_regs("uretprobe.s"));
	assert_false(spec_takes_regs("tp/syscalls/x"));
}

static void bad_sections(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad_secs) / sizeof(*bad_secs); i++) {
		struct err e = { .what = "" };
		struct spec s;
		bool has;

		if (!spec_parse_sec(&arena, bad_secs[i].sec, &s, &has, &e))
			fail_msg("accepted: %s", bad_secs[i].sec);
		if (!strstr(e.what, bad_secs[i].want))
			fail_msg("%s: %s", bad_secs[i].sec, e.what);
		assert_int_equal(e.kind, bad_secs[i].kind);
	}
}

static void options(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
		struct err e = { .what = "" };
		struct spec s;

		if (spec_parse(&arena, specs[i].spec, &s, &e))
			fail_msg("%s: %s", specs[i].spec, e.what);
		assert_string_equal(text(s.binary), text(specs[i].binary));
		assert_string_equal(text(s.func), text(specs[i].func));
		assert_string_equal(text(s.version), text(specs[i].version));
		assert_int_equal(s.addr, specs[i].addr);
		assert_int_equal(s.offset, specs[i].offset);
		assert_int_equal(s.cookie, specs[i].cookie);
		assert_int_equal(s.glob, specs[i].glob);
		assert_int_equal(s.by_addr, specs[i].func == NULL);
	}
}

static void bad_options(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad_specs) / sizeof(*bad_specs); i++) {
		struct err e = { .what = "" };
		struct spec s;

		if (!spec_parse(&arena, bad_specs[i].spec, &s, &e))
			fail_msg("accepted: %s", bad_specs[i].spec);
		if (!strstr(e.what, bad_specs[i].want))
			fail_msg("%s: %s", bad_specs[i].spec, e.what);
		assert_int_equal(e.kind, bad_specs[i].kind);
	}
}

static void glob(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(globs) / sizeof(*globs); i++)
		if (name_matches(globs[i].name, globs[i].glob) !=
		    globs[i].match)
			fail_msg("'%s' and '%s'", globs[i].name, globs[i].glob);
	for (i = 0; i < sizeof(globs) / sizeof(*globs); i++)
		if (name_matches_plain(globs[i].name, globs[i].glob) !=
		    globs[i].match)
			fail_msg("'%s' and '%s'", globs[i].name, globs[i].glob);
}

static void glob_classes(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		if (name_matches(classes[i].name, classes[i].glob) !=
			    classes[i].match ||
		    name_matches_plain(classes[i].name, classes[i].glob) !=
			    classes[i].plain)
			fail_msg("'%s' and '%s'", classes[i].name,
				 classes[i].glob);
}

static void closest(void **state)
{
	static const char *const names[] = { "mian",  "main_loop", "maim",
					     "other", "maim",      "min" };
	static const char *const few[] = { "pe", "text", "events_ring" };

	(void)state;
	assert_string_equal(names_closest(&arena, "main", names, 6),
			    " (did you mean mian, maim or min?)");
	assert_string_equal(names_closest(&arena, "main", names, 2),
			    " (did you mean mian?)");
	assert_string_equal(names_closest(&arena, "zzzz", names, 6), "");
	/* half of the letters */
	assert_string_equal(names_closest(&arena, "nope", few, 3), "");
	assert_string_equal(names_closest(&arena, "tset", few, 3), "");
	assert_string_equal(names_closest(&arena, "pr", few, 3),
			    " (did you mean pe?)");
	assert_string_equal(names_closest(&arena, "evnts_rign", few, 3),
			    " (did you mean events_ring?)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sections, done),
		cmocka_unit_test_teardown(no_target, done),
		cmocka_unit_test_teardown(bad_sections, done),
		cmocka_unit_test_teardown(options, done),
		cmocka_unit_test_teardown(bad_options, done),
		cmocka_unit_test(glob),
		cmocka_unit_test(glob_classes),
		cmocka_unit_test_teardown(closest, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
