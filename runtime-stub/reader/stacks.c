/* SPDX-License-Identifier: MIT */
/* stacks.c - the chains of a STACK_TRACE map, while others change it.
 *
 * A bucket leads to one element at most (layout.h).  It counts if the bucket's
 * word is the same after its length and state were read, and the state still
 * when the chain was; else the bucket is read again.
 */
#include <linux/bpf.h>

#include "runtime-stub/hash.h"
#include "runtime-stub/reader/elems.h"

enum {
	RETRIES = 1024
}; /* of one bucket; then it counts as empty */

static uint32_t each_of(const struct region_map *m)
{
	return m->flags & BPF_F_STACK_BUILD_ID
		       ? sizeof(struct bpf_stack_build_id)
		       : 8;
}

static uint64_t pool_size(const struct region_map *m)
{
	return (uint64_t)m->max_entries + HASH_SPARE;
}

bool stacks_fit(const struct region_header *h, const struct region_map *m)
{
	uint64_t pool = hash_pool(m->buckets);

	(void)h;
	return m->key_size == 4 && m->buckets &&
	       (m->buckets & (m->buckets - 1)) == 0 && m->stride % 8 == 0 &&
	       m->value_size % 8 == 0 &&
	       m->stride >= sizeof(struct stack_elem) + m->value_size &&
	       pool <= m->size && pool_size(m) * m->stride <= m->size - pool;
}

enum seen {
	EMPTY,
	CHAIN,
	CHANGED,
	DAMAGED
};

/* Copy the chain in a bucket to `to`, zeroes behind it. */
static enum seen bucket_once(const struct walk *w, uint32_t id, uint8_t *to)
{
	const struct region_map *m = w->map;
	const uint8_t *data = w->r->base + m->data;
	const uint64_t *link = (const void *)(data + hash_bucket(id));
	uint64_t word = shared_word(link), index = (uint32_t)word - 1;
	uint64_t state, key, size;
	const struct stack_elem *p;

	if (link_ends(word))
		return EMPTY;
	if (index >= pool_size(m))
		return DAMAGED;
	p = (const void *)(data + hash_pool(m->buckets) + index * m->stride);
	state = shared_word(&p->state);
	key = shared_word(&p->hash);
	if (shared_word(link) != word)
		return CHANGED;
	size = (key >> 32) * each_of(m);
	if (size > m->value_size)
		return DAMAGED;
	memset(to, 0, m->value_size);
	shared_copy(to, p->chain, size);
	return shared_word(&p->state) == state ? CHAIN : CHANGED;
}

int stacks_walk(struct walk *w, struct err *e)
{
	const struct region_map *m = w->map;
	uint32_t id = 0, to = m->buckets;
	uint8_t *value = NULL;
	enum seen seen;

	if (w->want) {
		memcpy(&id, w->want, sizeof(id));
		to = id < to ? id + 1 : id;
	}
	for (; id < to; id++) {
		if (!value)
			value = arena_alloc(w->a, m->value_size);
		seen = CHANGED;
		for (int i = 0; i < RETRIES && seen == CHANGED; i++)
			seen = bucket_once(w, id, value);
		if (seen == DAMAGED)
			return fail(e, w->r->path, NOWHERE,
				    "damaged region: map %s holds no call "
				    "chains",
				    m->name);
		if (seen != CHAIN)
			continue;
		walk_add(w, arena_dup(w->a, &id, sizeof(id)), value);
		value = NULL;
	}
	return 0;
}
