/* SPDX-License-Identifier: MIT */
/* shape.c - how each type of map lies in the region (layout.h), a row a type.
 *
 * What a definition may say is what the kernel lets through: the type's
 * *_map_alloc_check() in kernel/bpf/.
 */
#include <bpf/libbpf.h>

#include "rewriter/region.h"
#include "runtime-stub/hash.h"
#include "runtime-stub/queue.h"
#include "runtime-stub/refs.h"
#include "runtime-stub/ring.h"
#include "runtime-stub/walk.h"

enum {
	PAGE = 4096,
	PERF_RING = 256 << 10,
	PERCPU_VALUE_MAX = 32 << 10, /* PCPU_MIN_UNIT_SIZE */
	/* BPF_F_* that say something about access or memory only. */
	ACCESS = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG |
		 BPF_F_WRONLY_PROG,
	MEMORY = BPF_F_NUMA_NODE,
};

static int wrong(const struct bpf_map_def *def, struct err *e, const char *what)
{
	return fail(e, def->name, NOWHERE, "%s", what);
}

/* It may be that the program that loads the object always says it. */
static int missing(const struct bpf_map_def *def, struct err *e,
		   const char *without, const char *size)
{
	return fail(e, def->name, NOWHERE,
		    "a map %s: %s is missing; --set %s.%s=N gives it", without,
		    size, def->name, size);
}

static int has_sizes(const struct bpf_map_def *def, struct err *e)
{
	if (!def->max_entries)
		return missing(def, e, "with no entries", "max_entries");
	if (!def->value_size)
		return missing(def, e, "without values", "value_size");
	return 0;
}

static uint64_t power_of_two64(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static void ring_size(struct region_map *m, uint32_t bytes)
{
	m->stride = bytes;
	if (m->type == BPF_MAP_TYPE_USER_RINGBUF) {
		m->size = user_ring_size(bytes);
		return;
	}
	m->buckets = ring_slots(bytes);
	m->size = ring_data(m->buckets) + 2 * (uint64_t)bytes;
}

/* kernel/bpf/ringbuf.c, ringbuf_map_alloc() */
static int ring_shape(const struct bpf_map_def *def, struct region_map *m,
		      struct err *e)
{
	uint32_t n = def->max_entries;

	if (def->key_size || def->value_size)
		return wrong(def, e, "a ring buffer has no keys and values");
	if (!n)
		return missing(def, e, "with no room", "max_entries");
	if (n % PAGE || (n & (n - 1)))
		return fail(e, def->name, NOWHERE,
			    "a ring buffer's size is a power of two of whole "
			    "pages, not %u", n);
	if (n > REGION_MAX / 4)
		return refuse(e, def->name, NOWHERE,
			      "the ring is larger than a region may have "
			      "(256 MiB)");
	ring_size(m, n);
	return 0;
}

/* One ring for all CPUs; its size is the consumer's choice in the kernel. */
static int perf_shape(const struct bpf_map_def *def, struct region_map *m,
		      struct err *e)
{
	if (def->key_size != 4 || def->value_size != 4)
		return wrong(def, e,
			     "keys and values of a perf event array have 4 "
			     "bytes");
	ring_size(m, PERF_RING);
	return 0;
}

/* What holds for all maps that have keys and values. */
static int has_elements(const struct bpf_map_def *def, struct err *e)
{
	if (!def->key_size)
		return wrong(def, e, "a map without keys");
	if (has_sizes(def, e))
		return -1;
	if (def->max_entries > REGION_MAX || def->key_size > REGION_MAX ||
	    def->value_size > REGION_MAX)
		return refuse(e, def->name, NOWHERE,
			      "the map is larger than a region may be (1 GiB)");
	return 0;
}

static int has_index(const struct bpf_map_def *def, struct err *e)
{
	if (has_elements(def, e))
		return -1;
	if (def->key_size != 4)
		return fail(e, def->name, NOWHERE,
			    "an array's key has 4 bytes, not %u",
			    def->key_size);
	return 0;
}

static int array_shape(const struct bpf_map_def *def, struct region_map *m,
		       struct err *e)
{
	if (has_index(def, e))
		return -1;
	m->stride = (uint32_t)align_up(def->value_size, 8);
	m->size = (uint64_t)def->max_entries * m->stride;
	return 0;
}

static int percpu_values(const struct bpf_map_def *def, struct region_map *m,
			 struct err *e)
{
	if (def->value_size > PERCPU_VALUE_MAX)
		return wrong(def, e,
			     "a value for each CPU has 32 KiB at most");
	m->value_stride = (uint32_t)align_up(def->value_size, 8);
	return 0;
}

static int percpu_array_shape(const struct bpf_map_def *def,
			      struct region_map *m, struct err *e)
{
	return has_index(def, e) || percpu_values(def, m, e) ? -1 : 0;
}

/* The word behind an element's value that LRU_* needs. */
static uint32_t elem_used(const struct bpf_map_def *def)
{
	return def->type == BPF_MAP_TYPE_LRU_HASH ||
			       def->type == BPF_MAP_TYPE_LRU_PERCPU_HASH
		       ? 8
		       : 0;
}

static int hash_shape(const struct bpf_map_def *def, struct region_map *m,
		      struct err *e)
{
	uint64_t n = def->max_entries;

	if (has_elements(def, e))
		return -1;
	if (map_is_percpu(def->type) && percpu_values(def, m, e))
		return -1;
	m->key_at = hash_key_at(def->type, def->value_size);
	m->stride = hash_stride(def->type, def->key_size, def->value_size,
				elem_used(def));
	m->buckets = power_of_two(def->max_entries);
	m->size = hash_pool(m->buckets) + (n + HASH_SPARE) * m->stride;
	return 0;
}

/* kernel/bpf/lpm_trie.c, trie_alloc() */
static int lpm_shape(const struct bpf_map_def *def, struct region_map *m,
		     struct err *e)
{
	enum { BITS = sizeof(uint32_t), DATA_MAX = 256 };

	if (!(def->flags & BPF_F_NO_PREALLOC))
		return wrong(def, e, "an LPM trie has the flag "
				     "BPF_F_NO_PREALLOC");
	if (def->key_size <= BITS || def->key_size > BITS + DATA_MAX)
		return fail(e, def->name, NOWHERE,
			    "an LPM trie's key has 5 to 260 bytes, not %u",
			    def->key_size);
	if (hash_shape(def, m, e))
		return -1;
	m->size += 8 * (8 * (uint64_t)(def->key_size - BITS) + 1);
	return 0;
}

/* kernel/bpf/queue_stack_maps.c, queue_stack_map_alloc_check() */
static int queue_shape(const struct bpf_map_def *def, struct region_map *m,
		       struct err *e)
{
	uint64_t n = def->max_entries;

	if (def->key_size)
		return wrong(def, e, "a queue or stack has no keys");
	if (has_sizes(def, e))
		return -1;
	if (n > REGION_MAX || def->value_size > REGION_MAX)
		return refuse(e, def->name, NOWHERE,
			      "the map is larger than a region may be (1 GiB)");
	m->stride = 8 + hash_round8(def->value_size);
	m->buckets = power_of_two(def->max_entries);
	m->size = queue_pool(m->buckets) + (n + QUEUE_SPARE) * m->stride;
	return 0;
}

/* kernel/bpf/bloom_filter.c, bloom_map_alloc(): for the fewest wrong answers,
 * 7/5 of a bit (about 1 / ln 2) for each hash of each value. */
static int bloom_shape(const struct bpf_map_def *def, struct region_map *m,
		       struct err *e)
{
	enum { HASHES = 5, HASHES_MAX = 15 };
	const uint64_t most = UINT64_C(1) << 31;
	uint64_t bits;

	if (def->key_size)
		return wrong(def, e, "a bloom filter has no keys");
	if (has_sizes(def, e))
		return -1;
	if (def->extra > HASHES_MAX)
		return wrong(def, e,
			     "a bloom filter has 15 hash functions at most "
			     "(map_extra)");
	m->hashes = def->extra ? (uint32_t)def->extra : HASHES;
	bits = (uint64_t)def->max_entries * m->hashes / 5 * 7;
	if (bits > most)
		bits = 2 * most;
	m->size = bits <= 64 ? 8 : power_of_two64(bits) / 8;
	return 0;
}

/* kernel/bpf/arraymap.c, fd_array_map_alloc_check() */
static int refs_shape(const struct bpf_map_def *def, struct region_map *m,
		      struct err *e)
{
	if (def->value_size != 4)
		return wrong(def, e,
			     "values of a map of maps or programs have 4 bytes");
	if (def->nslot && map_has_maps(def->type))
		m->like = def->slot[0].to + 1;
	return def->type == BPF_MAP_TYPE_HASH_OF_MAPS
		       ? hash_shape(def, m, e)
		       : array_shape(def, m, e);
}

/* Elements as in a HASH, with the chain's hash and length for a key. */
static int stack_shape(const struct bpf_map_def *def, struct region_map *m,
		       struct err *e)
{
	uint32_t each = def->flags & BPF_F_STACK_BUILD_ID
				? sizeof(struct bpf_stack_build_id)
				: 8;

	if (has_elements(def, e))
		return -1;
	if (def->key_size != 4)
		return fail(e, def->name, NOWHERE,
			    "a stack trace map's key has 4 bytes, not %u",
			    def->key_size);
	if (def->value_size % each || def->value_size / each > MAX_STACK)
		return fail(e, def->name, NOWHERE,
			    "a stack trace map's value is %u times %u bytes at "
			    "most, not %u", MAX_STACK, each, def->value_size);
	m->stride = hash_stride(def->type, 8, def->value_size, 0);
	m->buckets = power_of_two(def->max_entries);
	m->size = hash_pool(m->buckets) +
		  ((uint64_t)def->max_entries + HASH_SPARE) * m->stride;
	return 0;
}

static const struct shape {
	uint32_t type, flags; /* that it may have */
	int (*of)(const struct bpf_map_def *def, struct region_map *m,
		  struct err *e);
} shapes[] = {
	{ BPF_MAP_TYPE_ARRAY,
	  ACCESS | MEMORY | BPF_F_MMAPABLE | BPF_F_INNER_MAP, array_shape },
	{ BPF_MAP_TYPE_PROG_ARRAY, BPF_F_RDONLY | BPF_F_WRONLY | MEMORY,
	  refs_shape },
	{ BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_F_RDONLY | BPF_F_WRONLY | MEMORY,
	  refs_shape },
	{ BPF_MAP_TYPE_HASH_OF_MAPS,
	  BPF_F_RDONLY | BPF_F_WRONLY | MEMORY | BPF_F_NO_PREALLOC, refs_shape },
	{ BPF_MAP_TYPE_PERCPU_ARRAY, ACCESS, percpu_array_shape },
	{ BPF_MAP_TYPE_HASH,
	  ACCESS | MEMORY | BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED, hash_shape },
	{ BPF_MAP_TYPE_PERCPU_HASH,
	  ACCESS | BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED, hash_shape },
	{ BPF_MAP_TYPE_LRU_HASH,
	  ACCESS | MEMORY | BPF_F_NO_COMMON_LRU | BPF_F_ZERO_SEED, hash_shape },
	{ BPF_MAP_TYPE_LRU_PERCPU_HASH,
	  ACCESS | BPF_F_NO_COMMON_LRU | BPF_F_ZERO_SEED, hash_shape },
	{ BPF_MAP_TYPE_LPM_TRIE, ACCESS | MEMORY | BPF_F_NO_PREALLOC,
	  lpm_shape },
	{ BPF_MAP_TYPE_QUEUE, ACCESS | MEMORY, queue_shape },
	{ BPF_MAP_TYPE_STACK, ACCESS | MEMORY, queue_shape },
	{ BPF_MAP_TYPE_BLOOM_FILTER, ACCESS | MEMORY | BPF_F_ZERO_SEED,
	  bloom_shape },
	{ BPF_MAP_TYPE_STACK_TRACE,
	  BPF_F_RDONLY | BPF_F_WRONLY | MEMORY | BPF_F_STACK_BUILD_ID,
	  stack_shape },
	{ BPF_MAP_TYPE_RINGBUF, MEMORY, ring_shape },
	{ BPF_MAP_TYPE_USER_RINGBUF, MEMORY, ring_shape },
	{ BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	  BPF_F_RDONLY | BPF_F_WRONLY | MEMORY | BPF_F_PRESERVE_ELEMS,
	  perf_shape },
};

/* Two flags that no map may have both.  (Of those that have NO_COMMON_LRU,
 * nodes of memory would be one for each CPU.) */
static const uint32_t apart[] = {
	BPF_F_RDONLY | BPF_F_WRONLY,
	BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG,
	BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE,
};

static const struct shape *shape_of(uint32_t type)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		if (shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

/* libbpf's name, or, where it is too new for libbpf, the number. */
static const char *type_name(uint32_t type, char number[16])
{
	const char *s = libbpf_bpf_map_type_str((enum bpf_map_type)type);

	snprintf(number, 16, "%u", type);
	return s ? s : number;
}

bool map_type_known(uint32_t type)
{
	return shape_of(type);
}

int map_shape(const struct bpf_map_def *def, struct region_map *m,
	      struct err *e)
{
	const struct shape *s = shape_of(def->type);
	char number[16];

	snprintf(m->name, sizeof(m->name), "%s", def->name);
	m->type = def->type;
	m->key_size = def->key_size;
	m->value_size = def->value_size;
	m->max_entries = def->max_entries;
	m->flags = def->flags;
	if (def->absent) {
		if (s) /* or readers would look for what such a map has */
			m->type = BPF_MAP_TYPE_UNSPEC;
		return 0;
	}
	if (!s)
		return refuse(e, def->name, NOWHERE,
			      "maps of type %s are not supported",
			      type_name(def->type, number));
	if (def->flags & ~s->flags)
		return fail(e, def->name, NOWHERE,
			    "a map of this type has no flags 0x%x",
			    def->flags & ~s->flags);
	for (size_t i = 0; i < sizeof(apart) / sizeof(*apart); i++)
		if ((def->flags & apart[i]) == apart[i])
			return fail(e, def->name, NOWHERE,
				    "flags 0x%x exclude each other", apart[i]);
	if (def->extra && def->type != BPF_MAP_TYPE_BLOOM_FILTER)
		return wrong(def, e, "a map of this type has no map_extra");
	if (s->of(def, m, e))
		return -1;
	if (m->size > REGION_MAX)
		return refuse(e, def->name, NOWHERE,
			      "the map is larger than a region may be (1 GiB)");
	return 0;
}
