/* SPDX-License-Identifier: MIT */
/* elems.h - the elements of each type of map, for reader.c; private to the
 * reader. */
#ifndef BPFWELD_ELEMS_H
#define BPFWELD_ELEMS_H

#include "runtime-stub/reader/reader.h"

/* Does [off, off+len) lie in the region, at this alignment? */
static inline bool region_has(const struct region_header *h, uint64_t off,
			      uint64_t len, uint64_t align)
{
	return off % align == 0 && off <= h->size && len <= h->size - off;
}

/* pins.c: map the files of pinned maps behind the region. */
int pins_open(struct arena *a, struct reader *r, enum reader_access access,
	      uint32_t owner, struct err *e);
bool pin_fits(const struct region_header *h, const struct region_map *m);
/* Of several objects' maps that are one, the first. */
uint32_t pin_first(const struct reader *r, uint32_t map);
/* An error, if the map is not what its file holds. */
int pin_check(const struct reader *r, uint32_t map, struct err *e);
/* True of maps that are not pinned, too. */
bool pin_is_there(const struct reader *r, uint32_t map);
/* Are the files still those at their paths?  (Or none.) */
bool pins_are_current(const struct reader *r);

/* elems.c: is all that a walk will touch inside? */
bool reader_fits(const struct region_header *h, const struct region_map *m);

static inline uint64_t shared_word(const void *p)
{
	return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}
/* From shared memory, 8-aligned at `from`, in whole words while there are. */
void shared_copy(uint8_t *to, const uint8_t *from, size_t n);

/* A walk over a map, or to one element of it. */
struct walk {
	struct arena *a;
	const struct reader *r;
	const struct region_map *map;
	const uint8_t *want; /* only the element with this key; or NULL */
	bool keys;           /* and no values */
	uint8_t *key;        /* of the element that is looked at */
	struct reader_elem *elem;
	size_t nelem;
	uint64_t steps;      /* that it may yet take */
};
void walk_add(struct walk *w, const uint8_t *key, const uint8_t *value);
/* The values at `index` of all CPUs, as reader.h wants them. */
const uint8_t *walk_percpu(const struct walk *w, uint64_t index);

/* table.c: HASH and its like. */
bool table_fits(const struct region_header *h, const struct region_map *m);
uint64_t table_count(const struct reader *r, const struct region_map *m);
int table_walk(struct walk *w, struct err *e);
/* w->elem[0] becomes the one behind key `after`; none: it was the last. */
int table_next(struct walk *w, const uint8_t *after, struct err *e);
bool lru_fits(const struct region_header *h, const struct region_map *m);
/* LPM_TRIE is a HASH; only looking up is different. */
bool lpm_fits(const struct region_header *h, const struct region_map *m);
int lpm_walk(struct walk *w, struct err *e);

/* queue.c: QUEUE and STACK, in the order in which they come out.  Their elements
 * have no key. */
bool queue_fits(const struct region_header *h, const struct region_map *m);
uint64_t queue_count(const struct reader *r, const struct region_map *m);
int queue_walk(struct walk *w, struct err *e);

/* stacks.c: STACK_TRACE. */
bool stacks_fit(const struct region_header *h, const struct region_map *m);
int stacks_walk(struct walk *w, struct err *e);

/* feed.c: USER_RINGBUF. */
bool user_ring_fits(const struct region_header *h, const struct region_map *m);
uint64_t user_ring_count(const struct reader *r, const struct region_map *m);

#endif
