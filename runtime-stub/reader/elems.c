/* SPDX-License-Identifier: MIT */
/* elems.c - the elements of maps, by type: a row each. */
#include <bpf/libbpf.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/reader/elems.h"
#include "runtime-stub/refs.h"
#include "runtime-stub/ring.h"

void shared_copy(uint8_t *to, const uint8_t *from, size_t n)
{
	for (; n >= 8; n -= 8, to += 8, from += 8) {
		uint64_t v = shared_word(from);

		memcpy(to, &v, 8);
	}
	for (; n; n--)
		*to++ = __atomic_load_n(from++, __ATOMIC_ACQUIRE);
}

void walk_add(struct walk *w, const uint8_t *key, const uint8_t *value)
{
	w->elem = arena_push(w->a, w->elem, w->nelem, sizeof(*w->elem));
	w->elem[w->nelem++] = (struct reader_elem){ key, value };
}

const uint8_t *walk_percpu(const struct walk *w, uint64_t index)
{
	const struct region_header *h = &w->r->head;
	const struct region_map *m = w->map;
	size_t size = reader_value_size(w->r, m);
	size_t one = align_up(m->value_size, 8);
	uint8_t *all = arena_alloc(w->a, size);

	for (uint32_t c = 0; c < h->cpu_count; c++)
		shared_copy(all + c * one,
			    w->r->base + m->values + c * h->cpu_stride +
				    index * m->value_stride,
			    m->value_size);
	return all;
}

/* --- Arrays. */

static bool array_fits(const struct region_header *h,
		       const struct region_map *m)
{
	(void)h;
	return m->key_size == 4 && m->stride && m->stride % 8 == 0 &&
	       m->stride >= m->value_size &&
	       (uint64_t)m->max_entries * m->stride <= m->size;
}

static bool percpu_array_fits(const struct region_header *h,
			      const struct region_map *m)
{
	(void)h;
	return m->key_size == 4;
}

static uint64_t full(const struct reader *r, const struct region_map *m)
{
	(void)r;
	return m->max_entries;
}

static const uint8_t *array_value(const struct walk *w, uint32_t index)
{
	const struct region_map *m = w->map;
	uint8_t *to;

	if (map_is_percpu(m->type))
		return walk_percpu(w, index);
	to = arena_alloc(w->a, m->value_size);
	shared_copy(to, w->r->base + m->data + (uint64_t)index * m->stride,
		    m->value_size);
	return to;
}

static bool refers_to_none(const uint8_t *value)
{
	static const uint8_t none[4];

	return !memcmp(value, none, sizeof(none));
}

static bool refs_fit(const struct region_header *h, const struct region_map *m)
{
	return m->value_size == 4 && array_fits(h, m);
}

static uint64_t refs_count(const struct reader *r, const struct region_map *m)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < m->max_entries; i++)
		n += !refers_to_none(r->base + m->data + i * m->stride);
	return n;
}

static int array_walk(struct walk *w, struct err *e)
{
	uint32_t i = 0, to = w->map->max_entries;

	(void)e;
	if (w->want) {
		memcpy(&i, w->want, sizeof(i));
		to = i < to ? i + 1 : i;
	}
	for (; i < to; i++) {
		const uint8_t *value = array_value(w, i);

		if (map_has_refs(w->map->type) && refers_to_none(value))
			continue;
		walk_add(w, arena_dup(w->a, &i, sizeof(i)), value);
	}
	return 0;
}

static int array_next(struct walk *w, const uint8_t *after, struct err *e)
{
	uint32_t i = 0;

	(void)e;
	if (after)
		memcpy(&i, after, sizeof(i));
	/* (Not an index: the first one, too.) */
	i = after && i < w->map->max_entries ? i + 1 : 0;
	if (i < w->map->max_entries)
		walk_add(w, arena_dup(w->a, &i, sizeof(i)), NULL);
	return 0;
}

/* --- Rings (ring.c reads them). */

static bool ring_fits(const struct region_header *h, const struct region_map *m)
{
	(void)h;
	return m->data % 64 == 0 && m->stride &&
	       (m->stride & (m->stride - 1)) == 0 && m->buckets &&
	       (m->buckets & (m->buckets - 1)) == 0 &&
	       ring_data(m->buckets) + 2 * (uint64_t)m->stride <= m->size;
}

static uint64_t ring_pending(const struct reader *r, const struct region_map *m)
{
	const struct ring_head *h = (const void *)(r->base + m->data);

	return ring_number(ring_load(&h->tail).b) - ring_load(&h->head).b;
}

/* --- Filters: nobody can say what is in one.  Adding to one takes as long as it
 * has bits for a value and a value has bytes: within the kernel's bounds. */

enum { HASHES_MAX = 15, VALUE_MAX = 4 << 20 };

static bool bloom_fits(const struct region_header *h,
		       const struct region_map *m)
{
	(void)h;
	return m->key_size == 0 && m->size >= 8 && m->hashes <= HASHES_MAX &&
	       m->value_size <= VALUE_MAX &&
	       (m->size & (m->size - 1)) == 0;
}

static uint64_t unknown(const struct reader *r, const struct region_map *m)
{
	(void)r, (void)m;
	return 0;
}

/* From key to key where a walk is all that there is. */
static int any_next(struct walk *w, const uint8_t *after, struct err *e);

static const struct kind {
	uint32_t type;
	bool (*fits)(const struct region_header *h, const struct region_map *m);
	uint64_t (*count)(const struct reader *r, const struct region_map *m);
	int (*walk)(struct walk *w, struct err *e); /* NULL: it has no elements */
	int (*next)(struct walk *w, const uint8_t *after, struct err *e);
} kinds[] = {
	// clang-format off
	{ BPF_MAP_TYPE_ARRAY,        array_fits, full, array_walk, array_next },
	{ BPF_MAP_TYPE_PROG_ARRAY,   refs_fit, refs_count, array_walk, array_next },
	{ BPF_MAP_TYPE_ARRAY_OF_MAPS, refs_fit, refs_count, array_walk, array_next },
	{ BPF_MAP_TYPE_HASH_OF_MAPS, table_fits, table_count, table_walk, table_next },
	{ BPF_MAP_TYPE_PERCPU_ARRAY, percpu_array_fits, full, array_walk, array_next },
	{ BPF_MAP_TYPE_HASH,         table_fits, table_count, table_walk, table_next },
	{ BPF_MAP_TYPE_PERCPU_HASH,  table_fits, table_count, table_walk, table_next },
	{ BPF_MAP_TYPE_LRU_HASH,     lru_fits, table_count, table_walk, table_next },
	{ BPF_MAP_TYPE_LRU_PERCPU_HASH, lru_fits, table_count, table_walk, table_next },
	{ BPF_MAP_TYPE_LPM_TRIE,     lpm_fits, table_count, lpm_walk, table_next },
	{ BPF_MAP_TYPE_QUEUE,        queue_fits, queue_count, queue_walk, NULL },
	{ BPF_MAP_TYPE_STACK,        queue_fits, queue_count, queue_walk, NULL },
	{ BPF_MAP_TYPE_STACK_TRACE,  stacks_fit, table_count, stacks_walk, any_next },
	{ BPF_MAP_TYPE_BLOOM_FILTER, bloom_fits, unknown, NULL, NULL },
	{ BPF_MAP_TYPE_RINGBUF,      ring_fits, ring_pending, NULL, NULL },
	{ BPF_MAP_TYPE_USER_RINGBUF, user_ring_fits, user_ring_count, NULL, NULL },
	{ BPF_MAP_TYPE_PERF_EVENT_ARRAY, ring_fits, ring_pending, NULL, NULL },
	// clang-format on
};

static const struct kind *kind_of(const struct region_map *m)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].type == m->type)
			return &kinds[i];
	return NULL;
}

/* The last of all values of the last CPU.  No two values lie in one place, so all
 * of them together are no more than the region. */
static bool values_fit(const struct region_header *h,
		       const struct region_map *m)
{
	uint64_t n = map_values(m), all;

	return h->cpu_count && m->value_stride && m->value_stride % 8 == 0 &&
	       m->value_stride >= m->value_size && h->cpu_stride % 8 == 0 &&
	       n <= h->size && h->cpu_stride <= h->size &&
	       h->cpu_stride >= n * m->value_stride &&
	       !__builtin_mul_overflow(h->cpu_count - 1, h->cpu_stride, &all) &&
	       !__builtin_add_overflow(all, n * m->value_stride, &all) &&
	       region_has(h, m->values, all, 8);
}

bool reader_fits(const struct region_header *h, const struct region_map *m)
{
	const struct kind *k = kind_of(m);

	if (m->pinned ? !pin_fits(h, m) : !region_has(h, m->data, m->size, 8))
		return false;
	return (!k || k->fits(h, m)) &&
	       (!map_is_percpu(m->type) || values_fit(h, m));
}

bool reader_can_walk(const struct region_map *m)
{
	const struct kind *k = kind_of(m);

	return k && k->walk;
}

uint64_t reader_count(const struct reader *r, uint32_t map)
{
	const struct kind *k = kind_of(&r->map[map]);

	return k ? k->count(r, &r->map[map]) : 0;
}

size_t reader_value_size(const struct reader *r, const struct region_map *m)
{
	return map_is_percpu(m->type)
		       ? align_up(m->value_size, 8) * r->head.cpu_count
		       : m->value_size;
}

static int any_next(struct walk *w, const uint8_t *after, struct err *e)
{
	size_t i = 0;

	if (kind_of(w->map)->walk(w, e))
		return -1;
	while (after && i < w->nelem &&
	       memcmp(w->elem[i].key, after, w->map->key_size) != 0)
		i++;
	i = after && i < w->nelem ? i + 1 : 0;
	w->elem += i;
	w->nelem -= i;
	return 0;
}

static int walk(struct walk *w, struct err *e)
{
	const struct kind *k = kind_of(w->map);

	const char *type =
		libbpf_bpf_map_type_str((enum bpf_map_type)w->map->type);

	if (k && k->walk)
		return k->walk(w, e);
	if (w->map->type == BPF_MAP_TYPE_UNSPEC)
		return refuse(e, w->r->path, NOWHERE,
			      "map %s has no elements: no program in the file "
			      "uses it", w->map->name);
	return refuse(e, w->r->path, NOWHERE,
		      "map %s is of type %s, which has no elements to read%s",
		      w->map->name, type ? type : "unknown",
		      ring_is(w->map->type) ? " (trace follows it)" : "");
}

int reader_elems(struct arena *a, const struct reader *r, uint32_t map,
		 struct reader_elem **elem, size_t *nelem, struct err *e)
{
	struct walk w = { .a = a, .r = r, .map = &r->map[map] };

	if (pin_check(r, map, e) || walk(&w, e))
		return -1;
	*elem = w.elem;
	*nelem = w.nelem;
	return 0;
}

int reader_lookup(struct arena *a, const struct reader *r, uint32_t map,
		  const uint8_t *key, const uint8_t **value, struct err *e)
{
	struct walk w = { .a = a, .r = r, .map = &r->map[map], .want = key };

	*value = NULL;
	if (pin_check(r, map, e) || walk(&w, e))
		return -1;
	if (w.nelem)
		*value = w.elem[0].value;
	return 0;
}

int reader_next_key(struct arena *a, const struct reader *r, uint32_t map,
		    const uint8_t *key, const uint8_t **next, struct err *e)
{
	struct walk w = { .a = a, .r = r, .map = &r->map[map], .keys = true };
	const struct kind *k = kind_of(w.map);

	*next = NULL;
	if (!k || !k->next)
		return refuse(e, r->path, NOWHERE, "map %s has no keys",
			      w.map->name);
	if (k->next(&w, key, e))
		return -1;
	if (w.nelem)
		*next = w.elem[0].key;
	return 0;
}
