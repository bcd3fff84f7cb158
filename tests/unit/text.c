/* SPDX-License-Identifier: MIT */
/* text - what strangers wrote does not command a terminal, as a line or as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "elf/err.h"
#include "elf/text.h"
#include "runtime-stub/reader/json.h"

#include <cmocka.h> /* last: it has a macro fail() */

// clang-format off
static const struct {
	const char *text, *line, *json;
} cases[] = {
	{ "",                   "",                         "" },
	{ "main",               "main",                     "main" },
	{ "tab\there",          "tab\there",                "tab\\there" },
	{ "\x1b[31mred",        "\\x1b[31mred",             "\\u001b[31mred" },
	{ "two\nlines\r",       "two\\nlines\\x0d",         "two\\nlines\\r" },
	{ "\a\b\x7f",           "\\x07\\x08\\x7f",          "\\u0007\\b\\u007f" },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f",       "gr\xc3\xbc\xc3\x9f" },
	{ "\xf0\x9f\x90\x9d",   "\xf0\x9f\x90\x9d",         "\xf0\x9f\x90\x9d" },
	/* C1, as UTF-8 and as a byte */
	{ "\xc2\x9b" "1m",      "\\xc2\\x9b" "1m",          "\\u009b1m" },
	{ "\x9b" "1m",          "\\x9b" "1m",               "\\u009b1m" },
	{ "\xc2\xa0",           "\xc2\xa0",                 "\xc2\xa0" },
	/* from right to left */
	{ "a\xe2\x80\xae" "b",  "a\\xe2\\x80\\xaeb",        "a\\u202eb" },
	{ "\xe2\x81\xa6",       "\\xe2\\x81\\xa6",          "\\u2066" },
	/* no UTF-8: overlong, a surrogate, cut off, beyond the end */
	{ "\xc0\xaf",           "\\xc0\\xaf",               "\\u00c0\\u00af" },
	{ "\xed\xa0\x80",       "\\xed\\xa0\\x80",          "\\u00ed\\u00a0\\u0080" },
	{ "\xe2\x80",           "\\xe2\\x80",               "\\u00e2\\u0080" },
	{ "\xf4\x90\x80\x80",   "\\xf4\\x90\\x80\\x80",     "\\u00f4\\u0090\\u0080\\u0080" },
};
// clang-format on


static char *text;
static size_t size;

static FILE *out(void)
{
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	return to;
}

static void is(FILE *to, const char *want)
{
	fclose(to);
	assert_string_equal(text, want);
	free(text);
}

static void lines(void **state)
{
	char want[80];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		FILE *to = out();

		say_to(to, "%s:%d\n", cases[i].text, 7);
		snprintf(want, sizeof(want), "%s:7\n", cases[i].line);
		is(to, want);
	}
}

static void json(void **state)
{
	char want[80];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		FILE *to = out();
		struct json j = json_to(to, false);

		json_string(&j, cases[i].text);
		snprintf(want, sizeof(want), "\"%s\"", cases[i].json);
		is(to, want);
	}
}

/* Line feeds of the format are line feeds, an argument's never. */
static void ends(void **state)
{
	FILE *to = out();

	(void)state;
	say_to(to, "\n%s\n", "\n");
	say_to(to, "%s", "\n");
	say_to(to, "\n");
	is(to, "\n\\n\n\\n\n");
}

static void errors(void **state)
{
	struct err e;
	FILE *to = out();

	(void)state;
	refuse(&e, "a\x1b", 16, "no function 'f\n'");
	err_print(to, &e);
	refuse(&e, "", NOWHERE, "empty");
	err_print(to, &e);
	misuse(&e, "no");
	err_print(to, &e);
	is(to, "bpfweld: a\\x1b:0x10: no function 'f\\n'\n"
	       "bpfweld: '': empty\n"
	       "bpfweld: no\n");
}

/* What is too long keeps its ends: what is wrong stands behind the name. */
static void long_error(void **state)
{
	char name[1000];
	struct err e;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (size_t n = 0; n < sizeof(name); n++) {
		misuse(&e, "--engine=%s: native or vm", name + n);
		assert_true(strlen(e.what) < sizeof(e.what));
		assert_memory_equal(e.what, "--engine=", 9);
		assert_string_equal(e.what + strlen(e.what) - 14,
				    ": native or vm");
		assert_int_equal(strstr(e.what, "x ... x") != NULL,
				 strlen(name + n) + 23 >= sizeof(e.what));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(json),
		cmocka_unit_test(ends),
		cmocka_unit_test(errors),
		cmocka_unit_test(long_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
