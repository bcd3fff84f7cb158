/* SPDX-License-Identifier: MIT */
/* diff: what is equal, what is masked, and what is a difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "rewriter/diff/diff.h"

#include <cmocka.h> /* last: it has a macro fail() */

/* A map of these, by uint32_t. */
struct value {
	uint64_t count, time;
	uint32_t hist[4];
};
enum {
	ELEMS = 8,
	RUNS = 4
}; /* kernel, twins, welded last */

struct elem {
	uint32_t key;
	struct value value;
} __attribute__((packed));

static struct arena arena;
static struct btf *btf;
static struct bpf_map_def map = { .name = "m",
				  .type = BPF_MAP_TYPE_HASH,
				  .key_size = sizeof(uint32_t),
				  .value_size = sizeof(struct value) };
static struct bpf_object_file object = { .name = "o" };
static struct weld weld_of_map;
static uint32_t text_type; /* the same bytes as { u64 count; char text[24]; } */
static bool text;          /* compare_only() is to look at texts so */

static int setup(void **state)
{
	int u32, u64, hist, ch, chars;

	(void)state;
	btf = btf__new_empty();
	u32 = btf__add_int(btf, "u32", 4, 0);
	u64 = btf__add_int(btf, "u64", 8, 0);
	hist = btf__add_array(btf, u32, u32, 4);
	map.btf_key = (uint32_t)u32;
	map.btf_value =
		(uint32_t)btf__add_struct(btf, "value", sizeof(struct value));
	btf__add_field(btf, "count", u64, 0, 0);
	btf__add_field(btf, "time", u64, 64, 0);
	btf__add_field(btf, "hist", hist, 128, 0);
	ch = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
	chars = btf__add_array(btf, u32, ch, 24);
	text_type =
		(uint32_t)btf__add_struct(btf, "named", sizeof(struct value));
	btf__add_field(btf, "count", u64, 0, 0);
	btf__add_field(btf, "text", chars, 64, 0);
	object.btf = btf;
	weld_of_map.set.object = &object;
	weld_of_map.set.nobject = 1;
	weld_of_map.set.map = &map;
	weld_of_map.set.nmap = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	btf__free(btf);
	return 0;
}

/* One map's elements in each run; the last one is the welded run. */
struct runs {
	struct elem elem[RUNS][ELEMS];
	size_t nelem[RUNS];
	int status[RUNS];
	const char *output[RUNS];
};

static struct verdict compare_only(struct runs *r, size_t nkernel,
				   const char *ignore)
{
	static struct snap_map maps[RUNS];
	static struct snapshot snap[RUNS];
	struct snapshot *run[RUNS];
	struct verdict v;

	for (size_t i = 0; i < RUNS; i++) {
		maps[i] =
			(struct snap_map){ 4, sizeof(struct value),
					   (uint8_t *)r->elem[i], r->nelem[i] };
		snap[i] = (struct snapshot){ .map = &maps[i],
					     .nmap = 1,
					     .status = r->status[i] };
		snap[i].output = r->output[i] ? r->output[i] : "/dev/null";
		run[i] = &snap[i];
	}
	struct diff_options opt = { .ignore = &ignore,
				    .nignore = ignore != NULL,
				    .text = text };

	snapshots_compare(&arena, &weld_of_map, run, nkernel, &snap[RUNS - 1],
			  &opt, &v);
	return v;
}

static struct verdict compare(struct runs *r)
{
	return compare_only(r, RUNS - 1, NULL);
}

static void add(struct runs *r, size_t run, uint32_t key, uint64_t count,
		uint64_t time)
{
	r->elem[run][r->nelem[run]++] =
		(struct elem){ key, { .count = count, .time = time } };
}

static void add_all(struct runs *r, uint32_t key, uint64_t count)
{
	for (size_t i = 0; i < RUNS; i++)
		add(r, i, key, count, 0);
}

static void verdict_is(struct verdict v, size_t equal, size_t masked,
		       size_t different)
{
	assert_int_equal(v.equal, equal);
	assert_int_equal(v.masked, masked);
	assert_int_equal(v.different, different);
	assert_int_equal(v.ndiff, different);
	assert_int_equal(v.open, 0);
}

/* --- by key. */

static void equal_runs(void **state)
{
	struct runs r = { 0 };

	(void)state;
	add_all(&r, 7, 1);
	add_all(&r, 3, 2);
	verdict_is(compare(&r), 6, 0, 0);
	verdict_is(compare_only(&r, 2, NULL), 6, 0, 0);
}

static void a_difference_has_key_and_field(void **state)
{
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	add_all(&r, 7, 1);
	add_all(&r, 3, 2);
	r.elem[RUNS - 1][1].value.count = 9; /* of key 3 */
	v = compare(&r);
	verdict_is(v, 5, 0, 1);
	assert_int_equal(v.diff[0].kind, DIFF_FIELD);
	assert_string_equal(v.diff[0].field->name, "count");
	assert_int_equal(((const struct elem *)v.diff[0].kernel)->key, 3);
	assert_int_equal(((const struct elem *)v.diff[0].kernel)->value.count,
			 2);
	assert_int_equal(((const struct elem *)v.diff[0].welded)->value.count,
			 9);
}

static void texts_end_at_their_nul(void **state)
{
	uint32_t type = map.btf_value;
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	map.btf_value = text_type;
	add_all(&r, 7, 1);
	for (size_t i = 0; i < RUNS; i++) {
		char *s = (char *)&r.elem[i][0].value.time;

		strcpy(s, "abc");
		s[5] = i == RUNS - 1 ? 'x' : 'y';
	}
	v = compare(&r);
	verdict_is(v, 1, 0, 1);
	assert_true(v.diff[0].field->text);
	text = true;
	verdict_is(compare(&r), 2, 0, 0);
	((char *)&r.elem[RUNS - 1][0].value.time)[2] = 'd';
	verdict_is(compare(&r), 1, 0, 1);
	text = false;
	map.btf_value = type;
}

static void what_varies_is_masked(void **state)
{
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	for (uint64_t i = 0; i < RUNS; i++)
		add(&r, i, 1, 5, 1000 + i);
	v = compare(&r);
	verdict_is(v, 2, 1, 0);
	assert_int_equal(v.nmask, 1);
	assert_string_equal(v.mask[0].field, "time");
}

/* The original's addresses are others than the twins'. */
static void layout_must_be_the_twins(void **state)
{
	struct runs r = { 0 };

	(void)state;
	add_all(&r, 1, 0x2000);
	r.elem[0][0].value.count = 0x1000;
	verdict_is(compare(&r), 3, 0, 0);
	r.elem[RUNS - 1][0].value.count = 0x3000;
	verdict_is(compare(&r), 2, 0, 1);
}

/* A histogram of times: the kernel's probes are slower, so the welded run has
 * other slots, which all kernel runs agree to be empty. */
static void an_array_is_masked_as_a_whole(void **state)
{
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	add_all(&r, 1, 1);
	for (uint32_t i = 0; i < RUNS - 1; i++)
		r.elem[i][0].value.hist[3] = 10 + i;
	r.elem[RUNS - 1][0].value.hist[0] = 11;
	verdict_is(compare(&r), 2, 1, 0);

	for (uint32_t i = 0; i < RUNS; i++)
		r.elem[i][0].value.hist[3] = 10;
	v = compare(&r);
	verdict_is(v, 2, 0, 1);
	assert_int_equal(v.diff[0].index, 0);
	r.elem[RUNS - 1][0].value.hist[0] = 0;
	r.elem[RUNS - 1][0].value.hist[2] = 1;
	assert_int_equal(compare(&r).diff[0].index, 2);
}

static void missing_and_extra_elements(void **state)
{
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	add_all(&r, 1, 1);
	for (size_t i = 0; i < RUNS - 1; i++)
		add(&r, i, 2, 2, 0);
	add(&r, RUNS - 1, 3, 3, 0);
	v = compare(&r);
	verdict_is(v, 3, 0, 2);
	assert_int_equal(v.diff[0].kind, DIFF_ELEMENT);
	assert_int_equal(((const struct elem *)v.diff[0].kernel)->key, 2);
	assert_null(v.diff[0].welded);
	assert_null(v.diff[1].kernel);
	assert_int_equal(((const struct elem *)v.diff[1].welded)->key, 3);
}

/* After two kernel runs nothing is decided but equality. */
static void two_runs_leave_it_open(void **state)
{
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	add_all(&r, 1, 1);
	r.elem[RUNS - 1][0].value.count = 2;
	v = compare_only(&r, 2, NULL);
	assert_int_equal(v.open, 1);
	assert_int_equal(v.different + v.masked, 0);
	add(&r, RUNS - 1, 9, 1, 1);
	assert_int_equal(compare_only(&r, 2, NULL).open, 2);
	r.status[RUNS - 1] = 1;
	assert_int_equal(compare_only(&r, 2, NULL).open, 3);
}

static void ignored_fields(void **state)
{
	struct runs r = { 0 };

	(void)state;
	add_all(&r, 1, 1);
	r.elem[RUNS - 1][0].value.count = 2;
	r.elem[RUNS - 1][0].value.hist[1] = 2;
	verdict_is(compare_only(&r, 3, "m.count"), 1, 1, 1);
	verdict_is(compare_only(&r, 3, "m.*"), 0, 3, 0);
	verdict_is(compare_only(&r, 3, "m"), 0, 3, 0);
	/* An element that only one side has is part of the map, not of a field. */
	add(&r, RUNS - 1, 9, 1, 1);
	verdict_is(compare_only(&r, 3, "m"), 0, 3, 0);
	assert_true(compare_only(&r, 3, "m.*").different > 0);
}

/* --- keys that vary. */

/* Threads' ids: other ones in every run, the same counts behind them. */
static void varying_keys_go_by_value(void **state)
{
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	for (uint32_t i = 0; i < RUNS; i++) {
		add(&r, i, 100 + 10 * i, i % 2 ? 5 : 8, i);
		add(&r, i, 101 + 10 * i, i % 2 ? 8 : 5, i + 70);
		add(&r, i, 1, 3, 0); /* one that is always there */
	}
	v = compare(&r);
	verdict_is(v, 3 + 2 + 2, 2, 0); /* key 1; count, hist; time */

	r.elem[RUNS - 1][0].value.count = 6;
	v = compare(&r);
	verdict_is(v, 3 + 1 + 2, 2, 1);
	assert_string_equal(v.diff[0].field->name, "count");
}

static void a_varying_key_too_many(void **state)
{
	struct runs r = { 0 };
	struct verdict v;

	(void)state;
	for (uint32_t i = 0; i < RUNS; i++)
		add(&r, i, 100 + i, 5, 0);
	add(&r, RUNS - 1, 200, 5, 0);
	v = compare(&r);
	assert_int_equal(v.ndiff, 1);
	assert_int_equal(v.diff[0].kind, DIFF_COUNT);
	assert_int_equal(v.diff[0].number[0], 1);
	assert_int_equal(v.diff[0].number[1], 2);
}

static void even_the_number_varies(void **state)
{
	struct runs r = { 0 };

	(void)state;
	add(&r, 1, 1, 1, 1);
	add(&r, RUNS - 1, 5, 1, 1);
	verdict_is(compare(&r), 0, 3, 0);
}

/* --- the command. */

static void status_and_output(void **state)
{
	struct runs r = { 0 };
	struct verdict v;
	char a[] = "/tmp/unit-diff.XXXXXX", b[] = "/tmp/unit-diff.XXXXXX";
	int fa = mkstemp(a), fb = mkstemp(b);

	(void)state;
	assert_int_equal(dprintf(fa, "one\ntwo\nthree"), 13);
	assert_int_equal(dprintf(fb, "one\ntwo\nfour\n"), 13);
	for (size_t i = 0; i < RUNS; i++)
		r.output[i] = a;
	verdict_is(compare(&r), 0, 0, 0);
	r.output[RUNS - 1] = b;
	r.status[RUNS - 1] = 139;
	v = compare(&r);
	verdict_is(v, 0, 0, 2);
	assert_int_equal(v.diff[0].kind, DIFF_STATUS);
	assert_int_equal(v.diff[0].number[1], 139);
	assert_int_equal(v.diff[1].kind, DIFF_OUTPUT);
	assert_int_equal(v.diff[1].number[0], 3);
	assert_string_equal(v.diff[1].text[0], "three");
	assert_string_equal(v.diff[1].text[1], "four");
	r.output[2] = "/dev/null"; /* varies under the kernel */
	r.status[2] = 1;
	v = compare(&r);
	verdict_is(v, 0, 0, 0);
	assert_true(v.output_varies);
	close(fa);
	close(fb);
	unlink(a);
	unlink(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_runs),
		cmocka_unit_test(a_difference_has_key_and_field),
		cmocka_unit_test(texts_end_at_their_nul),
		cmocka_unit_test(what_varies_is_masked),
		cmocka_unit_test(layout_must_be_the_twins),
		cmocka_unit_test(an_array_is_masked_as_a_whole),
		cmocka_unit_test(missing_and_extra_elements),
		cmocka_unit_test(two_runs_leave_it_open),
		cmocka_unit_test(ignored_fields),
		cmocka_unit_test(varying_keys_go_by_value),
		cmocka_unit_test(a_varying_key_too_many),
		cmocka_unit_test(even_the_number_varies),
		cmocka_unit_test(status_and_output),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
