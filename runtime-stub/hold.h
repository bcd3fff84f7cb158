/* SPDX-License-Identifier: MIT */
/* hold.h - who changes a hash has a holder of it: what it has in its hands, so
 * that nothing is lost when it is killed (layout.h, hold.c).
 *
 * An element's state is a generation and what the element is:
 */
#ifndef BPFWELD_HOLD_H
#define BPFWELD_HOLD_H

#include "runtime-stub/table.h"

enum {
	STATE_IN = 1,     /* in the map, or about to be */
	STATE_SPARE = 2,  /* not in it, and none of the max_entries */
	STATE_QUEUED = 4, /* not in it, in a stack of free ones or about to be */
	STATE_NEXT = 8,   /* the next generation */
};
#define HOLD_NONE LINK_END /* hash_holder.spare: it has none */

static inline uint64_t state_next(uint64_t state, uint64_t is)
{
	return (state | (STATE_NEXT - 1)) + 1 + is;
}

static inline void mention(uint32_t *where, uint32_t low)
{
	__atomic_store_n(where, low, __ATOMIC_RELEASE);
}

static inline struct hash_elem *hold_elem(const struct table *t, uint32_t low)
{
	return (struct hash_elem *)(t->pool + (uint64_t)(low - 1) * t->stride);
}

#pragma GCC visibility push(hidden)
/* NULL: all are taken, by the living. */
struct hash_holder *hold_claim_any(const struct table *t);
/* One of the max_entries, which `held` mentions then; 0: all are in the map. */
uint32_t hold_take(const struct table *t, struct hash_holder *h);
/* Its spare one, or 0. */
uint32_t hold_spare(const struct table *t, struct hash_holder *h);
/* Into the stack of its kind; it is mentioned, and nowhere else. */
void hold_give(const struct table *t, uint32_t low);
#pragma GCC visibility pop

#ifndef hold_first /* where to look for a holder: threads differ */
static inline uint32_t hold_first(void)
{
	uint64_t frame = (uint64_t)__builtin_frame_address(0) >> 12;

	return (uint32_t)frame * 0x9e3779b1u >> 27;
}
#endif

static inline struct hash_holder *hold_claim(const struct table *t)
{
	struct hash_holder *h = &t->head->holder[hold_first()];

	if (!load(&h->owner) && swap(&h->owner, 0, own_writer()))
		return h;
	return hold_claim_any(t);
}

static inline void hold_release(struct hash_holder *h)
{
	store(&h->owner, 0);
}

#endif
