/* SPDX-License-Identifier: MIT */
/* Where the parts of a region lie, and what weld_info says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "rewriter/verify/verify.h"
#include "rewriter/region.h"
#include "runtime-stub/hash.h"
/* Behind ours: it makes fail() a macro. */
#include <cmocka.h>

static const uint8_t id[16] = { 0xab, 1, 2, 3, 4, 5, 6, 7,
				8,    9, 1, 2, 3, 4, 5, 0xcd };
static uint8_t data[64] = { [10] = 7, [40] = 9 };

static struct bpf_map_def maps[] = {
	{ .name = "count", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
	  .value_size = 12, .max_entries = 3 },
	{ .name = "seen", .type = BPF_MAP_TYPE_HASH, .key_size = 12,
	  .value_size = 20, .max_entries = 1000 },
	{ .name = "x.data", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
	  .value_size = 64, .max_entries = 1, .data = DATA_DATA,
	  .initial = { data, sizeof(data) } },
};
static struct bpf_insn insns[] = {
	{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_trace_printk },
	{ .code = BPF_JMP | BPF_EXIT },
};

static const struct weld_info *info_of(const struct region *r)
{
	return (const void *)r->info.p;
}

static void parts_are_apart(void **state)
{
	struct bpf_set set = { .map = maps, .nmap = 3 };
	struct arena a = { 0 };
	struct region r;
	struct err e;

	(void)state;
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), 0);
	assert_true(r.gates >= sizeof(struct region_header));
	assert_true(r.maps >= r.gates + 5);
	assert_true(r.counts >= r.maps + 3 * sizeof(struct region_map));
	assert_true(r.trace >= r.counts + 5 * sizeof(struct region_count));
	assert_true(r.map[0].data >= r.trace + sizeof(struct region_trace));
	for (uint32_t i = 1; i < r.nmap; i++)
		assert_true(r.map[i].data >=
			    r.map[i - 1].data + r.map[i - 1].size);
	assert_true(r.size >= r.map[2].data + r.map[2].size);
	assert_int_equal(r.size % 4096, 0);
	assert_int_equal(r.counts % 64, 0);
	assert_int_equal(r.map[1].data % 4096, 0);
	assert_int_equal(r.map[0].stride, 16);
	assert_int_equal(r.map[0].size, 48);
	assert_int_equal(r.map[1].stride, 16 + 16 + 24);
	assert_int_equal(r.map[1].buckets, 1024);
	assert_int_equal(r.map[1].size,
			 sizeof(struct hash_head) + 8 * 1024 + 8 +
				 (1000 + HASH_SPARE) * 56);
	arena_free(&a);
}

static void info_tells_the_stub(void **state)
{
	struct bpf_set set = { .map = maps, .nmap = 3 };
	const struct init_record *rec;
	const struct weld_info *w;
	struct arena a = { 0 };
	struct region r;
	struct err e;

	(void)state;
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), 0);
	w = info_of(&r);
	assert_string_equal(w->weld_name, "ab0102030405060708090102030405cd");
	assert_memory_equal(w->weld_id, id, 16);
	assert_int_equal(w->region_size, r.size);
	assert_int_equal(w->map_count, 3);
	assert_int_equal(w->map, r.info_maps);
	assert_memory_equal(r.info.p + w->map, r.map, 3 * sizeof(*r.map));
	assert_int_equal(w->init_count, 1);
	rec = (const void *)(r.info.p + w->init);
	assert_int_equal(rec->to, r.map[2].data + 10);
	assert_int_equal(rec->len, 31);
	assert_memory_equal(r.info.p + rec->from, data + 10, 31);
	assert_true(rec->from + rec->len <= r.info.n);
	arena_free(&a);
}

/* Whole, with its zeroes, in one piece that others' bytes stand behind. */
static void what_is_frozen_is_in_the_file(void **state)
{
	struct bpf_map_def m[4] = { maps[2], maps[2], maps[0], maps[2] };
	struct bpf_set set = { .map = m, .nmap = 4 };
	static const uint8_t none[12];
	const struct init_record *rec;
	const struct weld_info *w;
	struct arena a = { 0 };
	struct region r;
	struct err e;

	(void)state;
	m[1].data = DATA_RODATA;
	m[3].data = DATA_KCONFIG;
	m[3].value_size = sizeof(none);
	m[3].initial = (struct bytes){ none, sizeof(none) };
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), 0);
	w = info_of(&r);
	rec = (const void *)(r.info.p + w->init);
	assert_int_equal(w->frozen % 8, 0);
	assert_int_equal(w->frozen_size, 64 + 16);
	assert_int_equal(r.map[0].frozen, 0);
	assert_int_equal(r.map[1].frozen, w->frozen);
	assert_int_equal(r.map[2].frozen, 0);
	assert_int_equal(r.map[3].frozen, w->frozen + 64);
	assert_memory_equal(r.info.p + w->map, r.map, 4 * sizeof(*r.map));
	assert_memory_equal(r.info.p + r.map[1].frozen, data, 64);
	assert_memory_equal(r.info.p + r.map[3].frozen, none, 12);
	/* The region begins with the same bytes, which are there once. */
	assert_int_equal(w->init_count, 2);
	assert_true(rec[0].from >= w->frozen + w->frozen_size);
	assert_int_equal(rec[1].to, r.map[1].data + 10);
	assert_int_equal(rec[1].from, r.map[1].frozen + 10);
	assert_int_equal(rec[1].len, 31);
	assert_int_equal(r.info.n, w->frozen + w->frozen_size + 31);
	arena_free(&a);
}

static void pinned_maps_lie_behind(void **state)
{
	struct bpf_map_def m[4] = { maps[0], maps[1], maps[2], maps[1] };
	struct bpf_set set = { .map = m, .nmap = 4 };
	const struct weld_info *w;
	const struct weld_pin *pin;
	struct arena a = { 0 };
	struct region r;
	struct err e;

	(void)state;
	m[0].pinned = m[1].pinned = m[3].pinned = true;
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), 0);
	w = info_of(&r);
	assert_int_equal(r.size % 4096, 0);
	assert_int_equal(r.pin_words, r.size);
	assert_int_equal(r.map[0].data, r.size + 4096 + PIN_HEADER);
	assert_int_equal(r.map[1].data, r.map[0].data + 4096 + PIN_HEADER);
	assert_int_equal(r.range, r.map[1].data - PIN_HEADER +
					  pin_size(&r.map[1]));
	assert_true(r.map[2].data + r.map[2].size <= r.size);
	/* One name, one map. */
	assert_memory_equal(&r.map[3], &r.map[1], sizeof(r.map[3]));
	assert_int_equal(w->pin_count, 2);
	assert_int_equal(w->region_size, r.size);
	assert_int_equal(w->range, r.range);
	pin = (const void *)(r.info.p + w->pin);
	assert_int_equal(pin[1].map, 1);
	assert_string_equal(pin[1].file, "pin-seen");
	m[3].max_entries++;
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), -1);
	assert_string_equal(e.what, "is pinned in two objects, which define it "
				    "differently");
	m[3].name = "a/b";
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), -1);
	m[3] = (struct bpf_map_def){ .name = "p", .key_size = 4,
				     .type = BPF_MAP_TYPE_PERCPU_ARRAY,
				     .value_size = 8, .max_entries = 1,
				     .pinned = true };
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	m[3].type = BPF_MAP_TYPE_PROG_ARRAY;
	m[3].value_size = 4;
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	m[3].type = BPF_MAP_TYPE_ARRAY;
	m[3].max_entries = 1 << 29;
	assert_int_equal(region_plan(&a, &set, 5, 4, id, &r, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	arena_free(&a);
}

static void the_ring_is_there_when_printed_to(void **state)
{
	struct bpf_prog prog = { .insn = insns, .ninsn = 2 };
	struct bpf_set set = { .map = maps, .nmap = 1 };
	struct arena a = { 0 };
	struct region r;
	struct err e;

	(void)state;
	assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), 0);
	assert_int_equal(info_of(&r)->trace_size, sizeof(struct region_trace));
	assert_true(r.size <= 128 << 10);
	set.prog = &prog;
	set.nprog = 1;
	for (int i = 0; i < 2; i++) {
		insns[0].imm = i ? BPF_FUNC_trace_vprintk
				 : BPF_FUNC_trace_printk;
		assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), 0);
		assert_int_equal(
			info_of(&r)->trace_size,
			sizeof(struct region_trace) +
				TRACE_SLOTS *
					sizeof(struct region_trace_record));
	}
	arena_free(&a);
}

/* Bytes as bloom_map_alloc() (kernel/bpf/bloom_filter.c) reckons them. */
static void filters_have_the_kernels_size(void **state)
{
	static const struct {
		uint32_t entries, hashes, bytes;
	} filters[] = {
		{ 1, 1, 8 }, { 9, 5, 8 }, { 10, 5, 16 }, { 1000, 0, 1024 },
		{ 1 << 20, 15, 4 << 20 }, { 1 << 30, 1, 256 << 20 },
		{ UINT32_MAX, 15, 512 << 20 },
	};
	struct region_map m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
		const struct bpf_map_def d = {
			.name = "filter", .type = BPF_MAP_TYPE_BLOOM_FILTER,
			.value_size = 8, .max_entries = filters[i].entries,
			.extra = filters[i].hashes,
		};

		memset(&m, 0, sizeof(m));
		assert_int_equal(map_shape(&d, &m, &e), 0);
		assert_int_equal(m.size, filters[i].bytes);
	}
}

static void bad_maps_are_refused(void **state)
{
	static const struct {
		struct bpf_map_def map;
		enum err_kind kind;
	} bad[] = {
		{ { .type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4,
		    .value_size = 4, .max_entries = 4096 },
		  ERR_UNSUPPORTED },
		{ { .type = BPF_MAP_TYPE_STACK_TRACE, .key_size = 4,
		    .value_size = 128 * 8, .max_entries = 16 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_STACK_TRACE, .key_size = 4,
		    .value_size = 40, .max_entries = 16,
		    .flags = BPF_F_STACK_BUILD_ID }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_STACK_TRACE, .key_size = 8,
		    .value_size = 8, .max_entries = 16 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_QUEUE, .key_size = 4,
		    .value_size = 4, .max_entries = 4096 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_BLOOM_FILTER, .key_size = 4,
		    .value_size = 4, .max_entries = 16 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_BLOOM_FILTER, .value_size = 4,
		    .max_entries = 16, .extra = 16 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_QUEUE, .value_size = 4,
		    .max_entries = 16, .extra = 1 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_LPM_TRIE, .key_size = 8,
		    .value_size = 4, .max_entries = 16 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_PERCPU_ARRAY, .key_size = 4,
		    .value_size = 40000, .max_entries = 16 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_PERCPU_HASH, .key_size = 4,
		    .value_size = 32768, .max_entries = 8192 },
		  ERR_UNSUPPORTED },
		{ { .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
		    .max_entries = 1, .flags = BPF_F_NO_PREALLOC },
		  ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_RINGBUF, .key_size = 4,
		    .max_entries = 4096 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_RINGBUF, .max_entries = 0 },
		  ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_RINGBUF, .max_entries = 12288 },
		  ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_RINGBUF, .max_entries = 2048 },
		  ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_RINGBUF, .max_entries = 1 << 29 },
		  ERR_UNSUPPORTED },
		{ { .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
		    .value_size = 4096, .max_entries = 1 << 20 },
		  ERR_UNSUPPORTED },
		{ { .type = BPF_MAP_TYPE_HASH, .key_size = 8,
		    .value_size = 8, .max_entries = UINT32_MAX },
		  ERR_UNSUPPORTED },
		{ { .type = BPF_MAP_TYPE_ARRAY, .key_size = 8,
		    .value_size = 8, .max_entries = 1 }, ERR_FAILED },
		{ { .type = BPF_MAP_TYPE_HASH, .key_size = 8,
		    .value_size = 8, .max_entries = 0 }, ERR_FAILED },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct bpf_map_def m = bad[i].map;
		struct bpf_set set = { .map = &m, .nmap = 1 };
		struct region r;
		struct err e;

		m.name = "bad";
		assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), -1);
		assert_int_equal(e.kind, bad[i].kind);
		assert_string_equal(e.file, "bad");
	}
	arena_free(&a);
}

/* A map of an unknown type is no fault when nothing that runs refers to it. */
static void unused_maps_are_let_through(void **state)
{
	struct bpf_map_def m = { .name = "groups",
				 .type = BPF_MAP_TYPE_CGROUP_ARRAY,
				 .key_size = 4,
				 .value_size = 4,
				 .max_entries = 1 };
	struct bpf_insn insn[] = {
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .src_reg = BPF_PSEUDO_MAP_FD },
		{ 0 },
	};
	struct bpf_prog p = { .insn = insn, .ninsn = 2 };
	struct bpf_set set = { .map = &m, .nmap = 1, .prog = &p, .nprog = 1 };
	struct facts facts = { .size = 1 };
	struct arena a = { 0 };
	struct region r;
	struct err e;

	(void)state;
	maps_spare(&set, &facts);
	assert_false(m.absent);
	assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), -1);
	assert_string_equal(e.what,
			    "maps of type cgroup_array are not supported");
	m.type = 4711;
	assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), -1);
	assert_string_equal(e.what, "maps of type 4711 are not supported");
	facts.size = 0; /* nothing is bound */
	maps_spare(&set, &facts);
	assert_true(m.absent);
	assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), 0);
	assert_int_equal(r.map[0].size, 0);
	facts.size = 1;
	p.ninsn = 0; /* or refers to another one */
	maps_spare(&set, &facts);
	assert_true(m.absent);
	m.type = BPF_MAP_TYPE_ARRAY;
	m.absent = false;
	maps_spare(&set, &facts);
	assert_false(m.absent);
	arena_free(&a);
}

/* Nor is one of a known type that can be none; it has its place in the table
 * and nothing else.  What a map of maps begins with is used. */
static void unused_maps_may_be_wrong(void **state)
{
	struct bpf_slot slot = { .to = 0 };
	struct bpf_map_def m[] = {
		{ .name = "wrong",
		  .type = BPF_MAP_TYPE_PERCPU_ARRAY,
		  .key_size = 8,
		  .value_size = 4,
		  .max_entries = 1,
		  .pinned = true },
		{ .name = "outer",
		  .type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
		  .key_size = 4,
		  .value_size = 4,
		  .max_entries = 1,
		  .slot = &slot,
		  .nslot = 1 },
	};
	struct bpf_insn insn[] = {
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .src_reg = BPF_PSEUDO_MAP_FD },
		{ 0 },
	};
	struct bpf_prog p = { .insn = insn, .ninsn = 2 };
	struct bpf_set set = { .map = m, .nmap = 2, .prog = &p, .nprog = 1 };
	struct facts facts = { .size = 1 };
	struct arena a = { 0 };
	struct region r;
	struct err e;

	(void)state;
	maps_spare(&set, &facts); /* the program has it */
	assert_false(m[0].absent);
	facts.size = 0; /* the map has it */
	maps_spare(&set, &facts);
	assert_false(m[0].absent);
	assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), -1);
	assert_string_equal(e.file, "wrong");
	m[1].nslot = 0;
	maps_spare(&set, &facts);
	assert_true(m[0].absent);
	assert_false(m[1].absent);
	assert_int_equal(region_plan(&a, &set, 1, 4, id, &r, &e), 0);
	assert_int_equal(r.map[0].type, BPF_MAP_TYPE_UNSPEC);
	assert_int_equal(r.map[0].key_size, 8);
	assert_int_equal(r.map[0].size, 0);
	assert_int_equal(r.cpu_count, 0);
	assert_int_equal(r.npin, 0);
	assert_int_equal(r.map[1].type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_apart),
		cmocka_unit_test(info_tells_the_stub),
		cmocka_unit_test(what_is_frozen_is_in_the_file),
		cmocka_unit_test(pinned_maps_lie_behind),
		cmocka_unit_test(the_ring_is_there_when_printed_to),
		cmocka_unit_test(filters_have_the_kernels_size),
		cmocka_unit_test(bad_maps_are_refused),
		cmocka_unit_test(unused_maps_are_let_through),
		cmocka_unit_test(unused_maps_may_be_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
