/* SPDX-License-Identifier: MIT */
/* table.c - walk a hash table of a region, while others change it.
 *
 * Walking a hash that others change (layout.h has the format).  The anchor is
 * the last link that is not marked and led us here, at first the bucket.  An
 * element counts when, in this order,
 *
 *     its state, next and key were read
 *     the anchor is as it was         else it may be in another list by now
 *     next has no mark                else it is deleted: pass over it
 *     the value was read
 *     the state is as it was          else it was freed and reused meanwhile
 *
 * On "else it may" the walk drops what it has of this bucket and starts it
 * again.  The steps of all this are paid from one purse, and neither a list nor
 * all of them can be longer than the pool, so a damaged table ends as an error.
 */
#include "runtime-stub/cpu.h"
#include "runtime-stub/hash.h"
#include "runtime-stub/reader/elems.h"

enum {
	RETRIES = 1024, /* of one bucket; then what was found is taken */
	STEPS = 1 << 24,
};

/* An element's bytes, but what is behind its value. */
static uint64_t elem_size(const struct region_map *m)
{
	return sizeof(struct hash_elem) + align_up(m->key_size, 8) +
	       (map_is_percpu(m->type) ? 0 : align_up(m->value_size, 8));
}

/* Elements in the pool. */
static uint64_t pool_size(const struct region_map *m)
{
	return (uint64_t)m->max_entries + HASH_SPARE;
}

bool table_fits(const struct region_header *h, const struct region_map *m)
{
	uint64_t pool = hash_pool(m->buckets);

	(void)h;
	return m->key_at == hash_key_at(m->type, m->value_size) &&
	       m->buckets && (m->buckets & (m->buckets - 1)) == 0 &&
	       pool_size(m) < LINK_END && m->stride % 8 == 0 &&
	       m->stride >= elem_size(m) && pool <= m->size &&
	       pool_size(m) * m->stride <= m->size - pool;
}

bool lru_fits(const struct region_header *h, const struct region_map *m)
{
	/* The last word says that it was looked up. */
	return table_fits(h, m) && m->stride >= elem_size(m) + 8;
}

/* What stands still meanwhile is counted right. */
static uint64_t bucket_count(const struct reader *r, const struct region_map *m,
			     uint32_t bucket)
{
	const uint8_t *data = r->base + m->data;
	const uint8_t *pool = data + hash_pool(m->buckets);
	const uint64_t *link = (const uint64_t *)(data + hash_bucket(bucket));
	uint64_t word = shared_word(link), steps = pool_size(m), n = 0;

	while (!link_ends(word) && (uint32_t)word <= pool_size(m) && steps--) {
		link = (const uint64_t *)(pool +
					  ((uint32_t)word - 1) * (uint64_t)m->stride);
		word = shared_word(link);
		n += !(word & LINK_MARK);
	}
	return n;
}

uint64_t table_count(const struct reader *r, const struct region_map *m)
{
	uint64_t n = 0;

	for (uint32_t b = 0; b < m->buckets; b++)
		n += bucket_count(r, m, b);
	return n;
}

enum walked {
	WHOLE,
	AGAIN,
	DAMAGED
};

static const uint8_t *value_of(const struct walk *w, const struct hash_elem *p,
			       uint64_t index)
{
	const struct region_map *m = w->map;
	uint8_t *to;

	if (w->keys)
		return NULL;
	if (map_is_percpu(m->type))
		return walk_percpu(w, index);
	to = arena_alloc(w->a, m->value_size);
	shared_copy(to, (const uint8_t *)p + hash_value_at(m), m->value_size);
	return to;
}

/* Add an element whose key is in w->key.  False: it was freed meanwhile. */
static bool elem_take(struct walk *w, const struct hash_elem *p, uint64_t index,
		      uint64_t state)
{
	const uint8_t *key, *value;

	if (!(state & 1))
		return false;
	if (w->want && memcmp(w->key, w->want, w->map->key_size) != 0)
		return true;
	key = arena_dup(w->a, w->key, w->map->key_size);
	value = value_of(w, p, index);
	if (shared_word(&p->state) != state)
		return false;
	walk_add(w, key, value);
	return true;
}

static enum walked bucket_once(struct walk *w, uint32_t bucket)
{
	const uint8_t *data = w->r->base + w->map->data;
	const uint8_t *pool = data + hash_pool(w->map->buckets);
	const uint64_t *link = (const uint64_t *)(data + hash_bucket(bucket));
	uint64_t anchor = shared_word(link), word = anchor, n = 0;

	while (!link_ends(word)) {
		uint64_t index = (uint32_t)word - 1, state;
		const struct hash_elem *p;

		if (index >= pool_size(w->map) || n++ > pool_size(w->map) ||
		    w->nelem > pool_size(w->map) || w->steps-- == 0)
			return DAMAGED;
		p = (const struct hash_elem *)(pool + index * w->map->stride);
		state = shared_word(&p->state);
		word = shared_word(&p->next);
		shared_copy(w->key, (const uint8_t *)p + w->map->key_at,
			    w->map->key_size);
		if (shared_word(link) != anchor)
			return AGAIN;
		if (word & LINK_MARK)
			continue;
		if (!elem_take(w, p, index, state))
			return AGAIN;
		link = &p->next;
		anchor = word;
	}
	return shared_word(link) == anchor ? WHOLE : AGAIN;
}

static bool bucket_walk(struct walk *w, uint32_t bucket)
{
	size_t before = w->nelem;
	enum walked walked;

	for (int i = 0; i < RETRIES; i++) {
		w->nelem = before;
		walked = bucket_once(w, bucket);
		if (walked != AGAIN)
			return walked == WHOLE;
	}
	return true;
}

static uint32_t bucket_of(const struct walk *w, const uint8_t *key)
{
	return hash_key(key, w->map->key_size) & (w->map->buckets - 1);
}

static void begin(struct walk *w)
{
	if (w->key)
		return;
	w->key = arena_alloc(w->a, w->map->key_size);
	w->steps = STEPS + 64 * (pool_size(w->map) + w->map->buckets);
}

static int damaged(const struct walk *w, struct err *e)
{
	return fail(e, w->r->path, NOWHERE,
		    "damaged region: map %s is not a hash table", w->map->name);
}

int table_walk(struct walk *w, struct err *e)
{
	uint32_t from = 0, to = w->map->buckets;

	begin(w);
	if (w->want) {
		from = bucket_of(w, w->want);
		to = from + 1;
	}
	for (uint32_t b = from; b < to; b++)
		if (!bucket_walk(w, b))
			return damaged(w, e);
	return 0;
}

/* Keep the element behind this key only.  False: the key is not there. */
static bool behind(struct walk *w, const uint8_t *key)
{
	for (size_t i = 0; i < w->nelem; i++) {
		if (memcmp(w->elem[i].key, key, w->map->key_size) != 0)
			continue;
		w->nelem -= i + 1;
		memmove(w->elem, w->elem + i + 1, w->nelem * sizeof(*w->elem));
		return true;
	}
	return false;
}

int table_next(struct walk *w, const uint8_t *after, struct err *e)
{
	uint32_t b = after ? bucket_of(w, after) : 0;

	begin(w);
	for (; b < w->map->buckets; b++, after = NULL) {
		w->nelem = 0;
		if (!bucket_walk(w, b))
			return damaged(w, e);
		if (after && !behind(w, after))
			return table_next(w, NULL, e);
		if (w->nelem)
			break;
	}
	return 0;
}

/* --- LPM_TRIE (runtime-stub/lpm.c). */

enum {
	BITS = sizeof(uint32_t), /* bytes of the length, in front of the data */
	DATA_MAX = 256
};

static uint32_t bits_max(const struct region_map *m)
{
	return 8 * (m->key_size - BITS);
}

bool lpm_fits(const struct region_header *h, const struct region_map *m)
{
	/* Behind the pool, a word for each length. */
	return m->key_size > BITS && m->key_size <= BITS + DATA_MAX &&
	       table_fits(h, m) && m->size % 8 == 0 &&
	       (bits_max(m) + 1) * UINT64_C(8) <=
		       m->size - hash_pool(m->buckets) -
			       pool_size(m) * m->stride;
}

int lpm_walk(struct walk *w, struct err *e)
{
	uint8_t key[BITS + DATA_MAX];
	uint32_t bits;

	if (!w->want)
		return table_walk(w, e);
	memcpy(key, w->want, w->map->key_size);
	memcpy(&bits, key, BITS);
	if (bits > bits_max(w->map))
		return 0;
	w->want = key;
	/* Cut behind its bits, then bit by bit. */
	for (uint32_t i = bits_max(w->map); i-- > 0;) {
		if (i < bits) {
			memcpy(key, &(uint32_t){ i + 1 }, BITS);
			if (table_walk(w, e))
				return -1;
			if (w->nelem)
				return 0;
		}
		key[BITS + i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	}
	memcpy(key, &(uint32_t){ 0 }, BITS);
	return table_walk(w, e);
}
