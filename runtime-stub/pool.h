/* SPDX-License-Identifier: MIT */
/* pool.h - elements of one size that are taken and given back, without a lock.
 *
 * Whose first word is a link word (hash.h): free elements are a stack whose top
 * is tagged, so that one that was taken and came back meanwhile is not mistaken
 * for what it was.  Zero bytes are a pool of which nothing was taken yet.  Who
 * is killed with an element in hand has it for ever: that is what spares are for.
 */
#ifndef BPFWELD_POOL_H
#define BPFWELD_POOL_H

#include "runtime-stub/hash.h"

static inline uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void store(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline bool swap(uint64_t *p, uint64_t was, uint64_t v)
{
	return __atomic_compare_exchange_n(p, &was, v, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

struct pool {
	uint64_t *free;  /* link word: top of the stack */
	uint64_t *taken; /* elements ever taken from the fresh end */
	uint8_t *elem;
	uint32_t stride, elems;
};
/* Others may be writing over the region all the time.  An element that cannot be
 * given back is lost. */
enum { POOL_STEPS = 1 << 16 };

/* Element number `low` - 1. */
static inline uint64_t *pool_at(const struct pool *p, uint32_t low)
{
	return (uint64_t *)(p->elem + (uint64_t)(low - 1) * p->stride);
}

static inline void pool_give(const struct pool *p, uint32_t low)
{
	uint64_t *e = pool_at(p, low), top;

	for (int i = 0; i < POOL_STEPS; i++) {
		top = load(p->free);
		store(e, link_to(load(e), (uint32_t)top));
		if (swap(p->free, top, link_to(top, low)))
			break;
	}
}

/* The number + 1 of an element that is now ours; 0: there is none. */
static inline uint32_t pool_take(const struct pool *p)
{
	uint32_t low;
	uint64_t top, n;

	for (int i = 0; i < POOL_STEPS; i++) {
		top = load(p->free);
		low = (uint32_t)top;
		if (!low)
			break;
		if (low > p->elems)
			return 0;
		n = load(pool_at(p, low));
		if (swap(p->free, top, link_to(top, (uint32_t)n)))
			return low;
	}
	if (load(p->taken) >= p->elems)
		return 0;
	n = __atomic_fetch_add(p->taken, 1, __ATOMIC_RELAXED);
	return n < p->elems ? (uint32_t)n + 1 : 0;
}

#endif
