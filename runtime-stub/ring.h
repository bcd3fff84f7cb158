/* SPDX-License-Identifier: MIT */
/* ring.h - the parts of a RINGBUF map (layout.h) that the stub and the readers
 * must agree on.
 */
#ifndef BPFWELD_RING_H
#define BPFWELD_RING_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "runtime-stub/layout.h"

static inline bool ring_is(uint32_t map_type)
{
	return map_type == BPF_MAP_TYPE_RINGBUF ||
	       map_type == BPF_MAP_TYPE_PERF_EVENT_ARRAY;
}

static inline uint64_t user_ring_size(uint32_t bytes)
{
	return sizeof(struct user_ring_head) + 2 * (uint64_t)bytes;
}

/* The least record has 16 bytes, if it has any in it. */
static inline uint32_t ring_slots(uint32_t size)
{
	return size / 16;
}

static inline uint64_t ring_data(uint32_t slots)
{
	return sizeof(struct ring_head) +
	       (uint64_t)slots * sizeof(struct ring_pair);
}

static inline uint64_t ring_owned(uint64_t number, uint32_t owner)
{
	return number << RING_OWNER | owner;
}

static inline uint64_t ring_number(uint64_t owned)
{
	return owned >> RING_OWNER;
}

static inline uint32_t ring_owner(uint64_t owned)
{
	return (uint32_t)owned & ((1 << RING_OWNER) - 1);
}

/* How much of the ring a record of `len` bytes takes. */
static inline uint64_t ring_takes(uint64_t len)
{
	return (len + RING_HEADER + 7) & ~UINT64_C(7);
}

/* `b` never has the same value twice while `a` changes.  (Somebody who writes
 * over it all the time makes us give up: whoever uses a pair bears that its halves
 * do not belong together.) */
enum { RING_TRIES = 1 << 16 };
static inline struct ring_pair ring_load(const struct ring_pair *p)
{
	struct ring_pair v;

	for (int i = 0; i < RING_TRIES; i++) {
		v.b = __atomic_load_n(&p->b, __ATOMIC_ACQUIRE);
		v.a = __atomic_load_n(&p->a, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&p->b, __ATOMIC_ACQUIRE) == v.b)
			break;
	}
	return v;
}

#ifndef ring_swap /* ring_model.c has its own */
static inline bool ring_swap(struct ring_pair *p, struct ring_pair was,
			     struct ring_pair v)
{
	bool done;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(done), "+m"(*p), "+a"(was.a), "+d"(was.b)
			 : "b"(v.a), "c"(v.b)
			 : "memory");
	return done;
}
#endif

#endif
