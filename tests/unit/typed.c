/* SPDX-License-Identifier: MIT */
/* Values print as their C types say; what people write becomes bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <bpf/btf.h>

#include "runtime-stub/reader/typed.h"

#include <cmocka.h> /* last: it has a macro fail() */

static struct btf *btf;
static int t_char, t_int, t_u64, t_u8, t_bool, t_float, t_double, t_i128;
static int t_text, t_ints, t_enum, t_ptr, t_struct, t_alias, t_section;

/* What the struct below is in BTF. */
struct sample {
	char comm[8];
	int id : 3;
	unsigned char low : 5;
	struct {
		uint8_t inner;
	};
	uint16_t gap;
	int32_t state; /* enum */
	void *p;
	int32_t v[2];
	union {
		int32_t i;
		float f;
	} u;
};

static void members(void)
{
	int unnamed = btf__add_struct(btf, NULL, 1), both;

	btf__add_field(btf, "inner", t_u8, 0, 0);
	both = btf__add_union(btf, NULL, 4);
	btf__add_field(btf, "i", t_int, 0, 0);
	btf__add_field(btf, "f", t_float, 0, 0);
	t_struct = btf__add_struct(btf, "sample", sizeof(struct sample));
	btf__add_field(btf, "comm", t_text, 0, 0);
	btf__add_field(btf, "id", t_int, 64, 3);
	btf__add_field(btf, "low", t_u8, 67, 5);
	btf__add_field(btf, NULL, unnamed, 72, 0);
	btf__add_field(btf, "state", t_enum, 96, 0);
	btf__add_field(btf, "p", t_ptr, 128, 0);
	btf__add_field(btf, "v", t_ints, 192, 0);
	btf__add_field(btf, "u", both, 256, 0);
}

static int setup(void **state)
{
	int var;

	(void)state;
	btf = btf__new_empty();
	t_char = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
	t_int = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	t_u64 = btf__add_int(btf, "unsigned long", 8, 0);
	t_u8 = btf__add_int(btf, "unsigned char", 1, 0);
	t_bool = btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL);
	t_i128 = btf__add_int(btf, "__int128", 16, BTF_INT_SIGNED);
	t_float = btf__add_float(btf, "float", 4);
	t_double = btf__add_float(btf, "double", 8);
	t_text = btf__add_array(btf, t_int, t_char, 8);
	t_ints = btf__add_array(btf, t_int, t_int, 2);
	t_enum = btf__add_enum(btf, "state", 4);
	btf__add_enum_value(btf, "IDLE", 0);
	btf__add_enum_value(btf, "BUSY", 5);
	btf__add_enum_value(btf, "GONE", -1);
	t_ptr = btf__add_ptr(btf, 0);
	members();
	t_alias = btf__add_typedef(
		btf, "alias",
		btf__add_const(btf, btf__add_volatile(btf, t_int)));
	var = btf__add_var(btf, "hits", BTF_VAR_GLOBAL_ALLOCATED, t_u64);
	t_section = btf__add_datasec(btf, ".bss", 16);
	btf__add_datasec_var_info(btf, var, 8, 8);
	return t_section < 0;
}

static int teardown(void **state)
{
	(void)state;
	btf__free(btf);
	return 0;
}

static void assert_json(int type, const void *value, size_t size,
			const char *want)
{
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);
	struct json j = json_to(to, false);
	uint8_t *exact = malloc(size ? size : 1); /* ASan sees its end */

	memcpy(exact, value, size);
	typed_json(&j, btf, (uint32_t)type, (struct bytes){ exact, size });
	fclose(to);
	assert_string_equal(text, want);
	free(text);
	free(exact);
}

static void scalars(void **state)
{
	(void)state;
	assert_json(t_int, "\xff\xff\xff\xff", 4, "-1");
	assert_json(t_u64, "\xff\xff\xff\xff\xff\xff\xff\xff", 8,
		    "18446744073709551615");
	assert_json(t_char, "\x80", 1, "-128");
	assert_json(t_u8, "\x80", 1, "128");
	assert_json(t_bool, "\2", 1, "true");
	assert_json(t_bool, "\0", 1, "false");
	assert_json(t_alias, "\7\0\0\0", 4, "7");
	assert_json(t_enum, "\5\0\0\0", 4, "\"BUSY\"");
	assert_json(t_enum, "\xff\xff\xff\xff", 4, "\"GONE\"");
	assert_json(t_enum, "\6\0\0\0", 4, "6");
	assert_json(t_ptr, "\x10\0\0\0\xff\x7f\0\0", 8, "\"0x7fff00000010\"");
	assert_json(t_float, &(float){ 1.5 }, 4, "1.5");
	assert_json(t_double, &(double){ -0.25 }, 8, "-0.25");
	assert_json(t_double, &(double){ 1.0 / 0.0 }, 8, "\"inf\"");
	assert_json(t_i128, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80", 16,
		    "\"0x80000000000000000000000000000001\"");
}

static void text(void **state)
{
	(void)state;
	assert_json(t_text, "bash\0x\0\0", 8, "\"bash\"");
	assert_json(t_text, "12345678", 8, "\"12345678\"");
	assert_json(t_text, "\"\\\n\x01\xff\xc3\xa4\0", 8,
		    "\"\\\"\\\\\\n\\u0001\\u00ff\xc3\xa4\"");
}

static void structs(void **state)
{
	struct sample s = { .comm = "sh",
			    .id = -2,
			    .low = 17,
			    .inner = 9,
			    .state = 5,
			    .p = (void *)0xabc,
			    .v = { -1, 2 },
			    .u = { .f = 1 } };

	(void)state;
	assert_json(t_struct, &s, sizeof(s),
		    "{\"comm\":\"sh\",\"id\":-2,\"low\":17,\"inner\":9,"
		    "\"state\":\"BUSY\",\"p\":\"0xabc\",\"v\":[-1,2],"
		    "\"u\":{\"i\":1065353216,\"f\":1}}");
	/* A value that is too short for its type shows nothing. */
	assert_json(t_struct, &s, sizeof(s) - 1, "null");
}

static void sections(void **state)
{
	static const uint64_t words[] = { 0, 42 };

	(void)state;
	assert_json(t_section, words, 16, "{\".bss\":[{\"hits\":42}]}");
	assert_json(t_section, words, 8, "null");
	assert_json(0, words, 8, "null");
	assert_json(100000, words, 8, "null");
}

static void pretty(void **state)
{
	char *out = NULL;
	size_t n;
	FILE *to = open_memstream(&out, &n);
	struct json j = json_to(to, true);

	(void)state;
	json_array(&j);
	for (int i = 0; i < 2; i++) {
		json_object(&j);
		json_u64_at(&j, "key", i);
		json_key(&j, "value");
		typed_json(
			&j, btf, t_ints,
			(struct bytes){ (const uint8_t *)"\1\0\0\0\2\0\0", 8 });
		json_end(&j);
	}
	json_end(&j);
	json_done(&j);
	fclose(to);
	assert_string_equal(out, "[{\n        \"key\": 0,\n"
				 "        \"value\": [1,2]\n    },{\n"
				 "        \"key\": 1,\n"
				 "        \"value\": [1,2]\n    }\n]\n");
	free(out);
}

/* Types that contain themselves: typedefs, arrays, structs, sections. */
static void endless_types(void **state)
{
	struct btf *loop = btf__new_empty(), *keep = btf;
	static const uint8_t zero[64];

	(void)state;
	btf = loop;
	btf__add_typedef(loop, "a", 2);
	btf__add_typedef(loop, "b", 1);
	btf__add_array(loop, 3, 3, 2);
	btf__add_struct(loop, "s", 8);
	btf__add_field(loop, "x", 4, 0, 0);
	btf__add_field(loop, NULL, 4, 0, 0);
	btf__add_field(loop, "y", 4, 0, 0);
	btf__add_datasec(loop, "d", 8);
	btf__add_datasec_var_info(loop, 5, 0, 8);
	assert_json(5, zero, 8, "{\"d\":[{\"d\":null}]}");
	assert_json(1, zero, 8, "null");
	assert_json(3, zero, 8, "[]");
	{
		char *out = NULL;
		size_t n;
		FILE *to = open_memstream(&out, &n);
		struct json j = json_to(to, false);

		typed_json(&j, loop, 4, (struct bytes){ zero, 8 });
		fclose(to);
		assert_in_range(n, 1, 1 << 22);
		free(out);
	}
	btf = keep;
	btf__free(loop);
}

static void from_raw_btf(void **state)
{
	uint32_t n;
	const void *raw = btf__raw_data(btf, &n);
	struct btf *got = typed_open((struct bytes){ raw, n });

	(void)state;
	assert_non_null(got);
	assert_int_equal(btf__type_cnt(got), btf__type_cnt(btf));
	typed_close(got);
	for (uint32_t cut = 0; cut < n; cut++)
		typed_close(typed_open((struct bytes){ raw, cut }));
	assert_null(typed_open((struct bytes){ NULL, 0 }));
}

static void assert_parse(int type, size_t size, const char *words,
			 const void *want)
{
	struct arena a = { 0 };
	char *copy = arena_strdup(&a, words), *word[16];
	const uint8_t *got = NULL;
	struct err e;
	int n = 0, ret;

	for (char *s = strtok(copy, " "); s; s = strtok(NULL, " "))
		word[n++] = s;
	ret = typed_parse(&a, btf, (uint32_t)type, size, word, n, &got, &e);
	assert_int_equal(ret, want ? 0 : -1);
	if (want)
		assert_memory_equal(got, want, size);
	else
		assert_int_equal(e.kind, ERR_USAGE);
	arena_free(&a);
}

static void parsing(void **state)
{
	(void)state;
	assert_parse(t_int, 4, "-2", "\xfe\xff\xff\xff");
	assert_parse(t_int, 4, "0x10", "\x10\0\0\0");
	assert_parse(t_int, 4, "2147483647", "\xff\xff\xff\x7f");
	assert_parse(t_int, 4, "2147483648", NULL);
	assert_parse(t_int, 4, "-2147483648", "\0\0\0\x80");
	assert_parse(t_int, 4, "-2147483649", NULL);
	assert_parse(t_u8, 1, "255", "\xff");
	assert_parse(t_u8, 1, "256", NULL);
	assert_parse(t_u8, 1, "-1", NULL);
	assert_parse(t_u64, 8, "18446744073709551615",
		     "\xff\xff\xff\xff\xff\xff\xff\xff");
	assert_parse(t_u64, 8, "18446744073709551616", NULL);
	assert_parse(t_int, 4, "5x", NULL);
	assert_parse(t_int, 4, "", NULL);
	assert_parse(t_enum, 4, "BUSY", "\5\0\0\0");
	assert_parse(t_enum, 4, "GONE", "\xff\xff\xff\xff");
	assert_parse(t_enum, 4, "LOST", NULL);
	assert_parse(t_bool, 1, "true", "\1");
	assert_parse(t_text, 8, "sh", "sh\0\0\0\0\0\0");
	assert_parse(t_text, 8, "123456789", NULL);
	assert_parse(t_text, 8, "hex", "hex\0\0\0\0\0");
	assert_parse(t_struct, 4, "1", NULL);
	assert_parse(t_struct, 2, "hex 01 ff", "\x01\xff");
	assert_parse(t_struct, 2, "hex 01", NULL);
	assert_parse(t_struct, 2, "hex 01 100", NULL);
	assert_parse(t_struct, 2, "hex 01 -1", NULL);
	assert_parse(0, 4, "7", "\7\0\0\0"); /* no types: unsigned */
	assert_parse(0, 3, "7", NULL);
}

/* Why a path leads to no field. */
static void fieldless(void **state)
{
	static const struct {
		const char *path, *why;
	} v[] = {
		{ "nothing", "there is no member nothing in it" },
		{ "v[2]", "v has 2 elements" },
		{ "v[18446744073709551616]", "v has 2 elements" },
		{ "v[1", "[1 is no index of v" },
		{ "v[-1]", "[-1] is no index of v" },
		{ "v[]", "[] is no index of v" },
		{ "v[0].x", "v[0] is no struct" },
		{ "v[0][1]", "v[0] is no array" },
		{ "[0]", "it is no array" },
		{ "u.none", "there is no member none in u" },
		{ "u..i", "there is no member  in u" },
		{ "p.x", "p is no struct" },
		{ "", " has no bytes" },
	};
	struct arena a = { 0 };
	struct typed_field f;

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		assert_false(typed_field(btf, (uint32_t)t_struct,
					 sizeof(struct sample), v[i].path, &f));
		assert_string_equal(typed_no_field(&a, btf, (uint32_t)t_struct,
						   sizeof(struct sample),
						   v[i].path, "it"),
				    v[i].why);
	}
	assert_string_equal(typed_no_field(&a, btf, (uint32_t)t_section, 8, "x",
					   "all"),
			    "there is no variable x in all");
	assert_string_equal(typed_no_field(&a, NULL, 0, 8, "x", "all"),
			    "the type of all is not known");
	arena_free(&a);
}

static void refused(void **state)
{
	static char *const few[] = { "hex", "01" },
			   *const odd[] = { "hex", "zz", "x=1" };
	struct arena a = { 0 };
	const uint8_t *got;
	struct err e;

	(void)state;
	assert_int_equal(typed_parse(&a, btf, 0, 3, few, 2, &got, &e), -1);
	assert_string_equal(e.what, "1 byte given, 3 wanted");
	/* that one is no byte says more than how many there are */
	assert_int_equal(typed_parse(&a, btf, 0, 3, odd, 3, &got, &e), -1);
	assert_string_equal(e.what, "'zz' is not a byte in hex");
	arena_free(&a);
}

static int order(int type, size_t size, const char *a, const char *b)
{
	int c = typed_compare(btf, (uint32_t)type, (const uint8_t *)a,
			      (const uint8_t *)b, size);

	return (c > 0) - (c < 0);
}

static void comparing(void **state)
{
	(void)state;
	assert_int_equal(order(t_int, 4, "\xff\xff\xff\xff", "\1\0\0\0"), -1);
	assert_int_equal(order(t_int, 4, "\0\1\0\0", "\2\0\0\0"), 1);
	assert_int_equal(order(t_u8, 1, "\xff", "\1"), 1);
	assert_int_equal(order(t_text, 8, "ab\0\0\0\0\0", "b\0\0\0\0\0\0"), -1);
	assert_int_equal(order(t_text, 8, "ab\0\0\0\0\0", "ab\0\0\0\0\0"), 0);
}

/* A struct that a person writes, laid out as C does it. */
static void declared(void **state)
{
	static const struct {
		uint8_t c;
		uint64_t n;
		char s[3];
		uint16_t h[2];
		uint32_t id;
	} v = { 1, 2, "ab", { 3, 4 }, 5 };
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "", "--type is empty" },
		{ "struct ", "--type is empty" },
		{ "u32", NULL }, /* the name of a struct, that may not exist */
		{ "u32 a[", "not 'TYPE NAME" },
		{ "u32 a[0]", "not 'TYPE NAME" },
		{ "u32 a[2]x", "not 'TYPE NAME" },
		{ "u32;", "not 'TYPE NAME" },
		{ ";", "has no member" },
		{ "what is;", "no type 'what'" },
	};
	struct arena a = { 0 };
	const char *name;
	struct err e;

	(void)state;
	assert_int_equal(typed_named(&a, btf, "struct pair", &name, &e), 0);
	assert_string_equal(name, "pair");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int ret = typed_named(&a, btf, bad[i].text, &name, &e);

		assert_int_equal(ret, bad[i].error ? -1 : 0);
		if (ret && !strstr(e.what, bad[i].error))
			fail_msg("%s: %s", bad[i].text, e.what);
	}
	assert_int_equal(typed_named(&a, btf,
				     "unsigned char c; __u64 n; "
				     "char s[3]; u16 h[2] ; int id;",
				     &name, &e),
			 0);
	assert_int_equal(typed_struct(btf, NULL, sizeof(v)),
			 typed_struct(btf, name, 0));
	assert_json((int)typed_struct(btf, name, 0), &v, sizeof(v),
		    "{\"c\":1,\"n\":2,\"s\":\"ab\",\"h\":[3,4],\"id\":5}");
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars),      cmocka_unit_test(text),
		cmocka_unit_test(structs),      cmocka_unit_test(sections),
		cmocka_unit_test(pretty),       cmocka_unit_test(endless_types),
		cmocka_unit_test(from_raw_btf), cmocka_unit_test(parsing),
		cmocka_unit_test(fieldless),    cmocka_unit_test(refused),
		cmocka_unit_test(comparing),    cmocka_unit_test(declared),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
