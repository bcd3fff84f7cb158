/* SPDX-License-Identifier: MIT */
/* hosted.c - what a welded file has around its programs, for programs that run
 * in a test: a region with two arrays, frozen data behind weld_info, which is
 * not in the region, and helpers.
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "rewriter/code/known.h"
#include "runtime-stub/callback.h"
#include "runtime-stub/tail.h"

enum { MAPS = 3, WIDE_VALUE = 40, PAGE = 4096, COUNTS = 2048 };

#define FROZEN 0x1122334455667788, 3
static const uint64_t frozen[2] = { FROZEN };

static struct bpf_map_def defs[MAPS] = {
	{ .name = "counts",
	  .type = BPF_MAP_TYPE_ARRAY,
	  .key_size = 4,
	  .value_size = 8,
	  .max_entries = HOSTED_SLOTS },
	{ .name = "wide",
	  .type = BPF_MAP_TYPE_ARRAY,
	  .key_size = 4,
	  .value_size = WIDE_VALUE - 4,
	  .max_entries = HOSTED_SLOTS },
	{ .name = "x.rodata",
	  .type = BPF_MAP_TYPE_ARRAY,
	  .key_size = 4,
	  .value_size = sizeof(frozen),
	  .max_entries = 1,
	  .data = DATA_RODATA,
	  .initial = { (const uint8_t *)frozen, sizeof(frozen) } },
};
static const struct bpf_set set = { .map = defs, .nmap = MAPS };

uint8_t weld_region[PAGE] __attribute__((aligned(4096)));

/* The stub finds the maps behind weld_info, so here they stand behind it. */
extern const struct info_and_maps {
	struct weld_info info;
	struct region_map map[MAPS];
	uint64_t frozen[2];
} info_and_maps __asm__("weld_info");
const struct info_and_maps info_and_maps = {
	.info = { .range = PAGE, .map_count = MAPS, .counts = COUNTS,
		  .map = offsetof(struct info_and_maps, map) },
	.map = {
		{ .name = "counts", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
		  .value_size = 8, .max_entries = HOSTED_SLOTS, .stride = 8,
		  .data = 64 },
		{ .name = "wide", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
		  .value_size = WIDE_VALUE - 4, .max_entries = HOSTED_SLOTS,
		  .stride = WIDE_VALUE, .data = 256 },
		{ .name = "x.rodata", .type = BPF_MAP_TYPE_ARRAY,
		  .key_size = 4, .value_size = sizeof(frozen),
		  .max_entries = 1, .stride = sizeof(frozen), .data = 1024,
		  .frozen = offsetof(struct info_and_maps, frozen) },
	},
	.frozen = { FROZEN },
};

const struct bpf_set *hosted_set(void)
{
	return &set;
}

const struct region *hosted_region(void)
{
	static struct region region;
	static struct region_map map[MAPS];

	memcpy(map, info_and_maps.map, sizeof(map));
	region = (struct region){
		.size = PAGE,
		.counts = COUNTS,
		.map = map,
		.nmap = MAPS,
		.info_maps = offsetof(struct info_and_maps, map),
	};
	return &region;
}

void hosted_reset(void)
{
	for (int i = 0; i < PAGE; i++)
		weld_region[i] = (uint8_t)(i * 7);
}

struct region_count *hosted_count(uint32_t probe)
{
	return (struct region_count *)(weld_region + COUNTS) + probe;
}

uint64_t hosted_hash(void)
{
	uint64_t h = 0xcbf29ce484222325;

	for (int i = 0; i < PAGE; i++)
		h = (h ^ weld_region[i]) * 0x100000001b3;
	return h;
}

/* Output goes into the last half of 8 bytes and is a key that exists, mostly;
 * random.c gives no other buffers. */
static void write_output(uint32_t id, const uint64_t *r, uint64_t v)
{
	uint64_t out = (v % (HOSTED_SLOTS + 1)) << 32;

	if (helper_find(id)->arg[0] == ARG_MEM_OUT && r[1] == sizeof(out))
		memcpy((void *)r[0], &out, sizeof(out));
}

static bool is_number(uint8_t arg)
{
	return arg == ARG_SCALAR || arg == ARG_ADDRESS || arg == ARG_NUMBER || arg == ARG_CONST ||
	       arg == ARG_VARARG || arg == ARG_SIZE || arg == ARG_SIZE0;
}

/* Any helper's result depends on its declared arguments and nothing else;
 * pointers differ from engine to engine, so they only count as one. */
static uint64_t mixed(uint32_t id, const uint64_t *r)
{
	const struct helper *h = helper_find(id);
	uint64_t v = id * UINT64_C(0x9e3779b97f4a7c15);

	for (int i = 0; i < 5; i++)
		if (is_number(h->arg[i]))
			v = (v ^ r[i]) * 0xff51afd7ed558ccd;
	write_output(id, r, v >> 33);
	return v;
}

static uint64_t looked_up(const uint64_t *r)
{
	const struct region_map *m = (const void *)r[0];
	uint32_t key;

	memcpy(&key, (const void *)r[1], sizeof(key));
	if (key >= m->max_entries)
		return 0;
	return (uint64_t)(weld_region + m->data + (uint64_t)key * m->stride);
}

/* --- helpers that call a compiled subprogram back (runtime-stub/callback.c) */

struct compiled {
	uint64_t (*sub)(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4,
			uint64_t r5, struct run *run);
	struct run *run;
};

static uint64_t call_code(const void *self, uint64_t r1, uint64_t r2,
			  uint64_t r3, uint64_t r4)
{
	const struct compiled *c = self;

	return c->sub(r1, r2, r3, r4, 0, c->run);
}

static uint64_t helped(uint32_t id, const uint64_t *r, struct run *run)
{
	struct compiled c = { .run = run };

	memcpy(&c.sub, &r[1], sizeof(c.sub));
	switch (id) {
	case HELPER_LOOKUP:
		return looked_up(r);
	case BPF_FUNC_loop:
		return loop_run(r[0], r[3], r[2], call_code, &c);
	case BPF_FUNC_for_each_map_elem:
		return map_each((const void *)r[0], r[3], r[2], call_code, &c,
				run);
	}
	return mixed(id, r);
}

#define HELPER(id, name, ...)                                                  \
	uint64_t helper_##name(uint64_t r1, uint64_t r2, uint64_t r3,          \
			       uint64_t r4, uint64_t r5, struct run *run)      \
	{                                                                      \
		uint64_t r[] = { r1, r2, r3, r4, r5 };                         \
                                                                               \
		return helped(id, r, run);                                     \
	}
#include "runtime-stub/helpers.def"

uint64_t task_load(uint64_t addr, uint32_t n)
{
	(void)addr, (void)n;
	return 0;
}

uint64_t weld_run_signals(struct run *run, uint64_t r0)
{
	(void)run;
	return r0;
}

/* Nobody here leaves, or drains. */
struct tail weld_tail(uint64_t ctx, const struct region_map *m, uint64_t index)
{
	(void)ctx, (void)m, (void)index;
	return (struct tail){ 0, 0 };
}

uint64_t user_ring_drain(const struct region_map *m, uint64_t flags,
			 uint64_t ctx, callback_fn *call, const void *self)
{
	(void)m, (void)flags, (void)ctx, (void)call, (void)self;
	return 0;
}

uint64_t map_each(const struct region_map *m, uint64_t flags, uint64_t ctx,
		  callback_fn *call, const void *self, struct run *run)
{
	uint32_t key;

	(void)flags, (void)run;
	for (key = 0; key < m->max_entries; key++)
		if (call(self, (uint64_t)m, (uint64_t)&key,
			 (uint64_t)(weld_region + m->data +
				    (uint64_t)key * m->stride),
			 ctx))
			return key + 1;
	return key;
}

uint64_t hosted_helper(uint32_t id)
{
	switch (id) {
#define HELPER(id, name, ...)                                                  \
	case id:                                                               \
		return (uint64_t)helper_##name;
#include "runtime-stub/helpers.def"
	}
	return 0;
}
