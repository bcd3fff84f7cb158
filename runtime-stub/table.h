/* SPDX-License-Identifier: MIT */
/* table.h - one bucket of a hash, for hash.c and hash_each.c (layout.h). */
#ifndef BPFWELD_TABLE_H
#define BPFWELD_TABLE_H

#include "runtime-stub/pool.h"
#include "runtime-stub/stub.h"

/* Steps after which a walk gives up.  No list is longer than the pool, and who
 * has to begin again is seldom unlucky twice; but the region may have been
 * overwritten by others, and a list that bites its tail is not to cost more than
 * some ten microseconds. */
enum {
	STEPS_SPARE = 1 << 14
};
static inline uint32_t table_steps(const struct region_map *m)
{
	uint64_t steps = 2 * (uint64_t)m->max_entries + STEPS_SPARE;

	return steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX;
}

struct table {
	const struct region_map *m;
	struct hash_head *head;
	uint64_t *bucket; /* the one where the key belongs */
	uint8_t *pool;
	uint32_t key_size, stride, elems;
	uint32_t key_at, value_at; /* from an element */
	uint32_t end; /* low half of this bucket's end words */
	uint32_t steps;
};

static inline struct table table_in(const struct region_map *m, uint32_t b)
{
	uint8_t *data = weld_region + m->data;

	return (struct table){
		.m = m,
		.head = (struct hash_head *)data,
		.bucket = (uint64_t *)(data + sizeof(struct hash_head)) + b,
		.pool = data + hash_pool(m->buckets),
		.key_size = m->key_size,
		.stride = m->stride,
		.elems = m->max_entries + HASH_SPARE,
		.key_at = m->key_at,
		.value_at = hash_value_at(m),
		.end = LINK_END | b,
		.steps = table_steps(m),
	};
}

/* The element a word leads to; NULL if it cannot be (overwritten by others)
 * or the walk has become too long. */
static inline struct hash_elem *elem_of(struct table *t, uint64_t word)
{
	uint32_t i = (uint32_t)word - 1;

	if (i >= t->elems || t->steps == 0)
		return NULL;
	t->steps--;
	return (struct hash_elem *)(t->pool + (uint64_t)i * t->stride);
}

static inline uint32_t low_of(const struct table *t, const struct hash_elem *e)
{
	return (uint32_t)(((const uint8_t *)e - t->pool) / t->stride) + 1;
}

static inline uint8_t *key_of(const struct table *t, struct hash_elem *e)
{
	return (uint8_t *)e + t->key_at;
}

static inline uint8_t *value_of(const struct table *t, struct hash_elem *e)
{
	return (uint8_t *)e + t->value_at;
}

#endif
