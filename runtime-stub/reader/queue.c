/* SPDX-License-Identifier: MIT */
/* queue.c - what is in a QUEUE or STACK, as of one instant where that can be
 * had while others change it. */
#include "runtime-stub/queue.h"
#include "runtime-stub/reader/elems.h"
#include "runtime-stub/ring.h"

enum { RETRIES = 64 };

bool queue_fits(const struct region_header *h, const struct region_map *m)
{
	uint64_t n = (uint64_t)m->max_entries + QUEUE_SPARE;
	uint64_t pool = queue_pool(m->buckets);

	(void)h;
	return m->key_size == 0 && m->data % 16 == 0 && m->buckets &&
	       (m->buckets & (m->buckets - 1)) == 0 &&
	       m->buckets >= m->max_entries && m->stride % 8 == 0 &&
	       m->stride >= 8 + (uint64_t)m->value_size && pool <= m->size &&
	       n * m->stride <= m->size - pool;
}

static const struct queue_head *head_of(const struct reader *r,
					const struct region_map *m)
{
	return (const struct queue_head *)(r->base + m->data);
}

uint64_t queue_count(const struct reader *r, const struct region_map *m)
{
	uint64_t n = queue_length(ring_load(&head_of(r, m)->now));

	return n <= m->max_entries ? n : 0;
}

/* The value at a position; NULL: its number cannot be. */
static const uint8_t *value_at(struct walk *w, struct ring_pair now,
			       uint32_t pos)
{
	const struct region_map *m = w->map;
	const struct queue_head *h = head_of(w->r, m);
	const uint64_t *slot = (const uint64_t *)(h + 1);
	uint32_t low = (uint32_t)now.b;
	uint8_t *to;

	if (pos != queue_end(now) - 1)
		low = (uint32_t)shared_word(&slot[pos & (m->buckets - 1)]);
	if (low - 1 >= m->max_entries + QUEUE_SPARE)
		return NULL;
	to = arena_alloc(w->a, m->value_size);
	shared_copy(to, (const uint8_t *)h + queue_pool(m->buckets) +
				(uint64_t)(low - 1) * m->stride + 8,
		    m->value_size);
	return to;
}

static bool walk_once(struct walk *w)
{
	const struct queue_head *h = head_of(w->r, w->map);
	struct ring_pair now = ring_load(&h->now);
	uint32_t n = queue_length(now);

	w->nelem = 0;
	for (uint32_t i = 0; i < n && n <= w->map->max_entries; i++) {
		bool newest = w->map->type == BPF_MAP_TYPE_STACK;
		const uint8_t *value =
			value_at(w, now, newest ? queue_end(now) - 1 - i
						: queue_begin(now) + i);

		if (value)
			walk_add(w, NULL, value);
	}
	return shared_word(&h->now.b) == now.b;
}

int queue_walk(struct walk *w, struct err *e)
{
	if (w->want)
		return fail(e, w->r->path, NOWHERE, "map %s has no keys",
			    w->map->name);
	for (int i = 0; i < RETRIES && !walk_once(w); i++)
		continue;
	return 0;
}
