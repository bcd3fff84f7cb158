/* SPDX-License-Identifier: MIT */
/* hostile.h - what hostile_target.c has to be probed, and what others do to its
 * region: words are changed, anywhere in it.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

// clang-format off
/* One function each; hostile.bpf.c has a program for it. */
#define OPS(OP)                                                                \
	OP(array) OP(array_key) OP(cpus) OP(hash4) OP(hash8) OP(hash12)        \
	OP(percpu_hash) OP(lru) OP(lru_percpu) OP(lpm) OP(lpm_key) OP(queue)   \
	OP(stack) OP(ring) OP(reserve) OP(dynptr) OP(perf) OP(drain)           \
	OP(bloom) OP(chains) OP(tail) OP(inner) OP(each) OP(print) OP(format)  \
	OP(string) OP(table) OP(pinned) OP(session)
// clang-format on

#ifndef __bpf__
#include <string.h>

#include "runtime-stub/layout.h"

/* Where it is worth while: parts of the region, all alike likely. */
struct hostile_part {
	uint64_t at, size;
};
struct hostile {
	uint8_t *base;
	struct hostile_part part[128];
	uint32_t parts;
};

/* If it is one: the region may be damaged already. */
static inline void hostile_part_add(struct hostile *t, uint64_t size,
				    uint64_t at, uint64_t n)
{
	if (t->parts < sizeof(t->part) / sizeof(*t->part) && n >= 8 &&
	    at <= size && n <= size - at)
		t->part[t->parts++] = (struct hostile_part){ at, n };
}

/* Look at a region, or at a pinned map's file. */
static inline struct hostile hostile_at(uint8_t *base, uint64_t size)
{
	const struct region_header *h = (const void *)base;
	struct hostile t = { base, { { 0, size } }, 1 };

	if (size < sizeof(*h) || h->magic != REGION_MAGIC)
		return t;
	hostile_part_add(&t, size, 0, h->counts);
	hostile_part_add(&t, size, h->cpus,
			 (uint64_t)h->cpu_count * sizeof(struct region_cpu));
	for (uint64_t i = 0; i < h->map_count; i++) {
		const struct region_map *m =
			(const struct region_map *)(base + h->maps) + i;

		if (h->maps > size || (i + 1) * sizeof(*m) > size - h->maps)
			break;
		if (m->pinned)
			continue;
		hostile_part_add(&t, size, m->data, m->size);
		if (m->size > 256) /* heads, the first links */
			hostile_part_add(&t, size, m->data, 256);
	}
	return t;
}

static inline uint32_t hostile_pick(uint64_t *seed, uint32_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((*seed >> 33) % n);
}

/* Change one word, or one bit of it.  Returns which. */
static inline volatile uint64_t *hostile_change(const struct hostile *t,
						uint64_t *seed)
{
	// clang-format off
	static const uint64_t words[] = {
		0, 1, 2, 0x1f, 0x20, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
		0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffff8,
		0xffffffff, 0x100000001, 0x1ffffffff, 0x7fffffffffffffff,
		0x8000000000000000, 0xfffffffffffffff8, 0xffffffffffffffff,
	};
	// clang-format on
	enum { WORDS = sizeof(words) / sizeof(*words) };
	const struct hostile_part *p = &t->part[hostile_pick(seed, t->parts)];
	volatile uint64_t *v = (volatile uint64_t *)(t->base + p->at);
	uint32_t n = (uint32_t)(p->size / 8);
	volatile uint64_t *at = v + hostile_pick(seed, n);
	volatile uint64_t *from = v + hostile_pick(seed, n);

	switch (hostile_pick(seed, 8)) {
	case 0: /* a bit */
		*at ^= UINT64_C(1) << hostile_pick(seed, 64);
		break;
	case 1: /* near to what it was */
		*at += hostile_pick(seed, 5) - UINT64_C(2);
		break;
	case 2: /* another one's word */
		*at = *from;
		break;
	case 3: /* a number of something, with or without a tag */
		*at = (*at & ~UINT64_C(0xffffffff)) +
		      hostile_pick(seed, hostile_pick(seed, 2) ? 40 : 300);
		break;
	case 4: /* half of it */
		((volatile uint32_t *)at)[hostile_pick(seed, 2)] =
			(uint32_t)words[hostile_pick(seed, WORDS)];
		break;
	case 5:
		*at = *seed;
		break;
	default:
		*at = words[hostile_pick(seed, WORDS)];
	}
	return at;
}
#endif
#endif
