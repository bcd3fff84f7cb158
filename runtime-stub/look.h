/* SPDX-License-Identifier: MIT */
/* look.h - find a key in a hash, writing nothing (hash.c has the protocol).
 *
 * A walker may stand on an element that is freed and reused elsewhere.  So it
 * makes sure, after reading one, that the link it came by still leads there
 * (Michael, High Performance Dynamic Lock-Free Hash Tables, SPAA 2002).
 */
#ifndef BPFWELD_LOOK_H
#define BPFWELD_LOOK_H

#include "runtime-stub/table.h"

static inline struct table table_of(const struct region_map *m, const void *key,
				    uint32_t key_size)
{
	uint32_t b = hash_key(key, key_size) & (m->buckets - 1);
	struct table t = table_in(m, b);

	t.key_size = key_size; /* which may be a constant */
	return t;
}

static inline bool key_is(const struct table *t, struct hash_elem *e,
			  const void *key)
{
	const uint8_t *have = key_of(t, e);

	if (t->key_size == 8)
		return load64(have) == load64(key);
	if (t->key_size == 4)
		return load32(have) == load32(key);
	return mem_equal(have, key, t->key_size);
}

enum { NO_ANSWER = -1 }; /* the table is damaged, or changes all the time */

struct seen { /* an element that was found */
	struct hash_elem *elem;
	uint64_t state;
};

/* The number + 1 of the element with this key, or 0. */
static inline __attribute__((always_inline)) uint32_t
walk_of(struct table t, const void *key, struct seen *seen)
{
	struct hash_elem *e;
	uint64_t *link, anchor, word, next, state;

again:
	link = t.bucket;
	anchor = word = load(link);
	while (!link_ends(word)) {
		e = elem_of(&t, word);
		if (!e)
			return (uint32_t)NO_ANSWER;
		state = load(&e->state);
		next = load(&e->next);
		if (load(link) != anchor)
			goto again;
		/* As long as the anchor holds, what marked elements lead to
		 * cannot have been taken out before them. */
		if (!(next & LINK_MARK)) {
			if (key_is(&t, e, key) && load(&e->state) == state) {
				*seen = (struct seen){ e, state };
				return (uint32_t)word;
			}
			link = &e->next;
			anchor = next;
		}
		word = next;
	}
	if (load(link) == anchor)
		return 0;
	if (t.steps--)
		goto again;
	return (uint32_t)NO_ANSWER;
}

static __attribute__((noinline)) uint32_t walk(const struct region_map *m,
					       const void *key)
{
	uint32_t size = m->key_size, low;
	struct seen seen;

	low = size == 4	  ? walk_of(table_of(m, key, 4), key, &seen)
	      : size == 8 ? walk_of(table_of(m, key, 8), key, &seen)
			  : walk_of(table_of(m, key, size), key, &seen);
	return low == (uint32_t)NO_ANSWER ? 0 : low;
}

/* The same in a hurry, for each common key size: nothing but this loop, whose
 * registers need not be saved.  Whatever is unusual (an element that is being
 * deleted, a link that has changed) is for walk().  rewriter/code/hash.c makes
 * programs do the first step by themselves. */
static inline __attribute__((always_inline)) uint32_t
look(const struct table *t, const void *key, struct seen *seen)
{
	uint64_t *link = t->bucket, anchor = load(link), next;

	for (uint32_t left = t->elems; left; left--) {
		uint32_t i = (uint32_t)anchor - 1;
		struct hash_elem *e;

		if (i >= t->elems)
			break;
		e = (struct hash_elem *)(t->pool + (uint64_t)i * t->stride);
		*seen = (struct seen){ e, load(&e->state) };
		next = load(&e->next);
		if (load(link) != anchor || next & LINK_MARK)
			break;
		if (key_is(t, e, key))
			return load(&e->state) == seen->state
				       ? i + 1
				       : (uint32_t)NO_ANSWER;
		link = &e->next;
		anchor = next;
	}
	return link_ends(anchor) && load(link) == anchor ? 0
							 : (uint32_t)NO_ANSWER;
}

static inline __attribute__((always_inline)) uint32_t
seek(const struct region_map *m, const void *key, uint32_t key_size)
{
	struct table t = table_of(m, key, key_size);
	struct seen seen;
	uint32_t low = look(&t, key, &seen);

	return low == (uint32_t)NO_ANSWER ? walk(m, key) : low;
}

static inline __attribute__((always_inline)) uint32_t
seek_any(const struct region_map *m, const void *key)
{
	switch (m->key_size) {
	case 4:
		return seek(m, key, 4);
	case 8:
		return seek(m, key, 8);
	}
	return walk(m, key);
}

#endif
