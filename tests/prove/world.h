/* SPDX-License-Identifier: MIT */
/* world.h - what programs under test have around them: maps of several types in
 * a region, the stub's own code for them, and helpers that say the same each
 * time.
 */
#ifndef BPFWELD_PROVE_WORLD_H
#define BPFWELD_PROVE_WORLD_H

#include <stdbool.h>

#include "rewriter/region.h"

enum world_map {
	COUNTS,  /* ARRAY, 8 bytes */
	WIDE,    /* ARRAY, 48 bytes */
	TABLE,   /* HASH, keys of 8, values of 24 bytes */
	RECENT,  /* LRU_HASH, keys of 4, values of 16 bytes */
	EACH,    /* PERCPU_ARRAY, 20 bytes */
	EACH_OF, /* PERCPU_HASH, keys of 4, values of 16 bytes */
	RING,    /* RINGBUF */
	LINE,    /* QUEUE, 12 bytes */
	PREFIX,  /* LPM_TRIE, keys of 8, values of 8 bytes */
	BSS,     /* 64 bytes */
	FROZEN,  /* .rodata, 32 bytes */
	WORLD_MAPS
};

struct bpf_set *world_set(void);
const struct region *world_region(void);
void world_reset(void);       /* as it was at the start */
void world_keep(uint8_t *to); /* what is in it, world_region()->size bytes */
extern uint8_t weld_region[];

uint64_t world_map(int m);  /* what a program has for it */
uint64_t world_data(int m); /* ... for its values, of a data section */
uint64_t world_call(uint32_t helper, const uint64_t *r, struct run *run);

/* Which map this is, or -1. */
int world_map_at(uint64_t addr);
/* May [addr, addr + size) be touched as part of one value of a map? */
bool world_value(uint64_t addr, uint64_t size, bool write);
/* Where, from the region on, a map's values begin, and how far they are apart; false:
 * it has none. */
bool world_elements(const struct region_map *m, uint64_t *start,
		    uint64_t *stride);

#endif
