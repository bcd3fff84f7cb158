/* SPDX-License-Identifier: MIT */
/* refs.c - the bytes that a map of programs or maps begins with. */
#include "runtime-stub/refs.h"
#include "rewriter/region.h"
#include "runtime-stub/hash.h"

static void array_fill(const struct bpf_map_def *d, const struct region_map *m,
		       uint8_t *p)
{
	for (uint32_t i = 0; i < d->nslot; i++) {
		uint32_t value = d->slot[i].to + 1;

		memcpy(p + (uint64_t)d->slot[i].key * m->stride, &value,
		       sizeof(value));
	}
}

/* A table as layout.h has it, as if each element had been put in front of its
 * bucket. */
static void hash_fill(const struct bpf_map_def *d, const struct region_map *m,
		      uint8_t *p)
{
	struct hash_head *head = (struct hash_head *)p;
	uint64_t *bucket = (uint64_t *)(head + 1);
	uint8_t *pool = p + hash_pool(m->buckets);

	head->taken = d->nslot;
	for (uint32_t i = 0; i < d->nslot; i++) {
		struct hash_elem *e =
			(struct hash_elem *)(pool + (uint64_t)i * m->stride);
		uint32_t key = d->slot[i].key, value = d->slot[i].to + 1;
		uint32_t b = hash_key(&key, sizeof(key)) & (m->buckets - 1);

		e->next = link_ends(bucket[b]) ? LINK_END | b
					       : (uint32_t)bucket[b];
		e->state = 1;
		memcpy((uint8_t *)e + m->key_at, &key, sizeof(key));
		memcpy((uint8_t *)e + hash_value_at(m), &value, sizeof(value));
		bucket[b] = i + 1;
	}
}

struct bytes refs_initial(struct arena *a, const struct bpf_map_def *d,
			  const struct region_map *m)
{
	uint8_t *p;

	if (!d->nslot)
		return (struct bytes){ 0 };
	p = arena_alloc(a, m->size);
	if (m->type == BPF_MAP_TYPE_HASH_OF_MAPS)
		hash_fill(d, m, p);
	else
		array_fill(d, m, p);
	return (struct bytes){ p, m->size };
}
