/* SPDX-License-Identifier: MIT */
/* world.c - see world.h.  It stands where a welded file's region and helpers
 * stand; tests/bpf/engine.c runs programs in it. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "rewriter/code/helper.h"
#include "runtime-stub/callback.h"
#include "runtime-stub/hash.h"
#include "runtime-stub/tail.h"
#include "runtime-stub/task.h"
#include "tests/bpf/engine.h"

enum {
	REGION_SIZE = 1 << 18,
	INFO_SIZE = 1 << 13,
	CPUS = 1,
	PROBES = 8
};

static const uint64_t frozen[4] = { 0x1122334455667788, 3, 40, 0xff };
static const uint8_t zeroes[64];

// clang-format off
static struct bpf_map_def defs[WORLD_MAPS] = {
	/*            type                       key value entries */
#define MAP(name_, type_, k, v, n, ...)                                        \
	[name_] = { .name = #name_, .type = BPF_MAP_TYPE_##type_,              \
		    .key_size = k, .value_size = v, .max_entries = n,          \
		    __VA_ARGS__ },
	MAP(COUNTS,  ARRAY,         4,  8,    4)
	MAP(WIDE,    ARRAY,         4, 48,    3)
	MAP(TABLE,   HASH,          8, 24,    8)
	MAP(RECENT,  LRU_HASH,      4, 16,    4)
	MAP(EACH,    PERCPU_ARRAY,  4, 20,    2)
	MAP(EACH_OF, PERCPU_HASH,   4, 16,    4)
	MAP(RING,    RINGBUF,       0,  0, 4096)
	MAP(LINE,    QUEUE,         0, 12,    4)
	MAP(PREFIX,  LPM_TRIE,      8,  8,    4, .flags = BPF_F_NO_PREALLOC)
	MAP(BSS,     ARRAY,         4, 64,    1, .data = DATA_BSS,
	    .initial = { zeroes, sizeof(zeroes) })
	MAP(FROZEN,  ARRAY,         4, 32,    1, .data = DATA_RODATA,
	    .flags = BPF_F_RDONLY_PROG,
	    .initial = { (const uint8_t *)frozen, sizeof(frozen) })
};
// clang-format on

static struct bpf_object_file object = { .path = "made.bpf.o", .name = "made" };
static struct bpf_set set = {
	.object = &object, .nobject = 1, .map = defs, .nmap = WORLD_MAPS
};
static struct region region;
static uint8_t *first; /* the region as it is at the start */

uint8_t weld_region[REGION_SIZE] __attribute__((aligned(4096)));
bool region_is_private(void)
{
	return false;
}

uint64_t weld_own[512] __attribute__((aligned(4096)));
/* The maps stand behind it. */
extern uint8_t info_and_maps[INFO_SIZE] __asm__("weld_info");
uint8_t info_and_maps[INFO_SIZE] __attribute__((aligned(16)));

static void initial_bytes(void)
{
	const struct weld_info *w = &weld_info;
	const struct init_record *r = (const void *)(info_and_maps + w->init);

	for (uint32_t i = 0; i < w->init_count; i++)
		memcpy(weld_region + r[i].to, info_and_maps + r[i].from,
		       r[i].len);
	for (int m = COUNTS; m <= WIDE; m++)
		for (uint64_t i = 0; i < region.map[m].size; i++)
			weld_region[region.map[m].data + i] = (uint8_t)(i * 7);
	/* Others have written there. */
	memset(weld_region + region.map[FROZEN].data, 0xa5,
	       region.map[FROZEN].size);
}

uint64_t world_map(int m)
{
	return (uint64_t)(info_and_maps + region.info_maps) +
	       (uint64_t)m * sizeof(struct region_map);
}

uint64_t world_data(int m)
{
	const struct region_map *map = &region.map[m];

	return map->frozen ? (uint64_t)info_and_maps + map->frozen
			   : (uint64_t)weld_region + map->data;
}

static void initial_elements(void)
{
	static const int keyed[] = { TABLE, RECENT, EACH_OF };
	struct run run = { 0 };
	uint64_t value[4] = { 5, 6, 7, 8 };

	for (uint64_t k = 0; k < 3; k++)
		for (size_t j = 0; j < sizeof(keyed) / sizeof(*keyed); j++)
			helper_map_update_elem(world_map(keyed[j]),
					       (uint64_t)&k, (uint64_t)value, 0,
					       0, &run);
	helper_map_push_elem(world_map(LINE), (uint64_t)value, 0, 0, 0, &run);
	run_end(&run);
}

static void build(void)
{
	static struct arena a;
	static const uint8_t id[16];
	struct err e;

	if (first)
		return;
	if (region_plan(&a, &set, PROBES, CPUS, id, &region, &e)) {
		err_print(stderr, &e);
		abort();
	}
	if (region.size > REGION_SIZE || region.info.n > INFO_SIZE)
		abort();
	memcpy(info_and_maps, region.info.p, region.info.n);
	initial_bytes();
	initial_elements();
	first = arena_dup(&a, weld_region, region.size);
}

static uint64_t calls; /* since the reset */

void world_reset(void)
{
	build();
	memcpy(weld_region, first, region.size);
	calls = 0;
}

/* A hash's keys and values, list by list: the engines may have them in other
 * elements. */
static void keep_hash(uint8_t *to, const struct region_map *m)
{
	const uint8_t *data = weld_region + m->data, *e;
	const uint64_t *bucket = (const uint64_t *)(data + hash_bucket(0));
	uint64_t at = 0, word;

	memset(to + m->data, 0, m->size);
	for (uint32_t b = 0; b < m->buckets; b++)
		for (word = bucket[b]; !link_ends(word);
		     word = ((const struct hash_elem *)e)->next) {
			e = data + hash_pool(m->buckets) +
			    ((uint32_t)word - 1) * (uint64_t)m->stride;
			memcpy(to + m->data + at, e + m->key_at, m->key_size);
			at += m->key_size;
			memcpy(to + m->data + at, e + hash_value_at(m),
			       m->value_size);
			at += m->value_size;
		}
}

void world_keep(uint8_t *to)
{
	memcpy(to, weld_region, region.size);
	memset(to + region.counts, 0, PROBES * sizeof(struct region_count));
	for (int m = 0; m < WORLD_MAPS; m++)
		if (region.map[m].type == BPF_MAP_TYPE_HASH)
			keep_hash(to, &region.map[m]);
}

struct bpf_set *world_set(void)
{
	build();
	return &set;
}

const struct region *world_region(void)
{
	build();
	return &region;
}

/* --- what is where ----------------------------------------------------- */

int world_map_at(uint64_t addr)
{
	uint64_t off = addr - world_map(0);

	if (addr < world_map(0) || off % sizeof(struct region_map) ||
	    off / sizeof(struct region_map) >= WORLD_MAPS)
		return -1;
	return (int)(off / sizeof(struct region_map));
}

bool world_elements(const struct region_map *m, uint64_t *start,
		    uint64_t *stride)
{
	*start = world_data((int)(m - region.map)) - (uint64_t)weld_region;
	*stride = m->stride;
	switch (m->type) {
	case BPF_MAP_TYPE_ARRAY:
		return true;
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
		*start += hash_pool(m->buckets) + hash_value_at(m);
		return true;
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
		*start = m->values;
		*stride = m->value_stride;
		return true;
	}
	return false;
}

static bool in_map(const struct region_map *m, uint64_t off, uint64_t size)
{
	bool array = m->type == BPF_MAP_TYPE_ARRAY ||
		     m->type == BPF_MAP_TYPE_PERCPU_ARRAY;
	uint64_t n = m->max_entries + (array ? 0 : HASH_SPARE);
	uint64_t start, stride, in;

	if (!world_elements(m, &start, &stride) || off < start ||
	    (off - start) / stride >= n)
		return false;
	in = (off - start) % stride;
	return in <= m->value_size && size <= m->value_size - in;
}

bool world_value(uint64_t addr, uint64_t size, bool write)
{
	uint64_t off = addr - (uint64_t)weld_region;

	if (in_map(&region.map[FROZEN], off, size))
		return !write;
	if (addr < (uint64_t)weld_region || off > region.size ||
	    size > region.size - off)
		return false;
	for (int m = 0; m < WORLD_MAPS; m++)
		if (in_map(&region.map[m], off, size))
			return true;
	return false;
}

/* --- helpers: the stub's where it was linked in, else these -------------- */

/* A number that depends on the helper and on how many calls there have been;
 * for memory that it fills, too. */
static uint64_t mixed(uint32_t id, const uint64_t *r)
{
	const struct helper *h = helper_find(id);
	uint64_t v = (id + 256 * ++calls) * UINT64_C(0x9e3779b97f4a7c15);

	v ^= v >> 29;
	if (h->arg[0] == ARG_MEM_OUT)
		for (uint64_t i = 0; i < (uint32_t)r[1]; i++)
			((uint8_t *)r[0])[i] = (uint8_t)(v >> i % 32);
	if (id == BPF_FUNC_get_smp_processor_id)
		return v & 3;
	return calls % 3 ? v : v & 0x3f;
}

/* What each kind of result may be; of LENGTH, what was filled. */
#define RESULT_SCALAR(v, size) (v)
#define RESULT_VOID(v, size) (v)
#define RESULT_TASK(v, size) (TASK_BASE | ((v) & 0xffff) << TASK_SHIFT)
#define RESULT_ERRNO(v, size) ((v)&1 ? 0 : (uint64_t) - ((v)&0xff))
#define RESULT_LENGTH(v, size)                                                 \
	((v)&1 ? (v) % ((size) + 1) : (uint64_t) - ((v)&0xff))
#define RESULT_VALUE_OR_NULL(v, size) ((void)(v), UINT64_C(0))
#define RESULT_MEM_OR_NULL RESULT_VALUE_OR_NULL
#define RESULT_NUMBER_OR_NULL RESULT_VALUE_OR_NULL
#define RESULT_RECORD_OR_NULL RESULT_VALUE_OR_NULL

#define HELPER(id, name, result, ...)                                          \
	__attribute__((weak))                                                  \
	uint64_t helper_##name(uint64_t r1, uint64_t r2, uint64_t r3,          \
			       uint64_t r4, uint64_t r5, struct run *run)      \
	{                                                                      \
		uint64_t r[] = { r1, r2, r3, r4, r5 };                         \
		uint64_t v = mixed(id, r);                                     \
                                                                               \
		(void)run;                                                     \
		return RESULT_##result(v, (uint32_t)r2);                       \
	}
#include "runtime-stub/helpers.def"

uint64_t world_call(uint32_t id, const uint64_t *r, struct run *run)
{
	switch (id) {
#define HELPER(id, name, ...)                                                  \
	case id:                                                               \
		return helper_##name(r[1], r[2], r[3], r[4], r[5], run);
#include "runtime-stub/helpers.def"
	}
	return 0;
}

/* Tasks have parents, but not for ever. */
uint64_t task_load(uint64_t addr, uint32_t n)
{
	uint32_t at = ((uint32_t)addr & (TASK_LEADS - 1)) - TASK_FIELDS;
	uint64_t tid = (addr ^ TASK_BASE) >> TASK_SHIFT;

	if (!task_is(addr))
		return 0;
	if (n == 8 && (at == offsetof(struct task, real_parent) ||
		       at == offsetof(struct task, group_leader)))
		return tid / 16 ? TASK_BASE | tid / 16 << TASK_SHIFT : 0;
	return (addr * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - 8 * n);
}

uint64_t weld_run_signals(struct run *run, uint64_t r0)
{
	(void)run;
	return r0;
}

struct tail weld_tail(uint64_t ctx, const struct region_map *m, uint64_t index)
{
	(void)ctx, (void)m, (void)index;
	return (struct tail){ 0, 0 };
}

/* --- for tests/bpf/engine.c ---------------------------------------------- */

const struct bpf_set *hosted_set(void)
{
	return world_set();
}

const struct region *hosted_region(void)
{
	return world_region();
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
