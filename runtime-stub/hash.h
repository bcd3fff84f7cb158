/* SPDX-License-Identifier: MIT */
/* hash.h - where a key of a HASH map belongs, and the parts of a link word
 * (layout.h).  The stub and the readers must agree on every bit of it.
 */
#ifndef BPFWELD_HASH_H
#define BPFWELD_HASH_H

#include <stdbool.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/layout.h"
#include "runtime-stub/mem.h"

#define LINK_END UINT32_C(0x80000000)
#define LINK_MARK (UINT64_C(1) << 32)
#define LINK_REPLACED (UINT64_C(1) << 33)
#define LINK_TAG (UINT64_C(1) << 34)

/* Does the list end at this word? */
static inline bool link_ends(uint64_t word)
{
	return (uint32_t)word == 0 || ((uint32_t)word & LINK_END);
}

/* What `word` becomes when it is made to point to `low`. */
static inline uint64_t link_to(uint64_t word, uint32_t low)
{
	return ((word & ~(LINK_TAG - 1)) + LINK_TAG) | low;
}

static inline uint32_t hash_round8(uint32_t n)
{
	return (n + 7) & ~7u;
}

/* Does a value stand beside its element's state (layout.h)? */
static inline bool hash_beside(uint32_t type, uint32_t value_size)
{
	return value_size <= 8 && !map_is_percpu(type) &&
	       type != BPF_MAP_TYPE_STACK_TRACE;
}

/* region_map.key_at */
static inline uint32_t hash_key_at(uint32_t type, uint32_t value_size)
{
	return sizeof(struct hash_elem) +
	       (hash_beside(type, value_size) ? 8 : 0);
}

/* From an element to its value. */
static inline uint32_t hash_value_at(const struct region_map *m)
{
	return m->key_at > sizeof(struct hash_elem)
		       ? sizeof(struct hash_elem)
		       : sizeof(struct hash_elem) + hash_round8(m->key_size);
}

/* `size`: bytes behind the key and the value that others want. */
static inline uint32_t hash_stride(uint32_t type, uint32_t key_size,
				   uint32_t value_size, uint32_t size)
{
	uint32_t n = sizeof(struct hash_elem) + hash_round8(key_size) + size;

	if (!map_is_percpu(type))
		n += hash_round8(value_size);
	return hash_beside(type, value_size) ? (n + 15) & ~15u : n;
}

/* From a map's data to a bucket, and to the elements, whose states are at
 * multiples of 16. */
static inline uint64_t hash_bucket(uint32_t bucket)
{
	return sizeof(struct hash_head) + UINT64_C(8) * bucket;
}

static inline uint64_t hash_pool(uint32_t buckets)
{
	return hash_bucket(buckets) | 8;
}

/* Multiply to 128 bits and fold: every bit of both reaches every bit of the
 * result.  (Not __int128: gcc would align the stack for it.) */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	uint64_t high;

	__asm__("mulq %2" : "+a"(a), "=d"(high) : "rm"(b) : "cc");
	return a ^ high;
}

#define HASH_C1 UINT64_C(0x9e3779b97f4a7c15)
#define HASH_C2 UINT64_C(0xd6e8feb86659fd93)

static inline uint64_t hash_word(const void *key, uint32_t size)
{
	const uint64_t c1 = HASH_C1, c2 = HASH_C2;
	const uint8_t *p = key;
	uint64_t h;

	if (size == 8)
		return hash_mix(load64(p) ^ c1, c2);
	if (size == 4)
		return hash_mix(load32(p) ^ c1, c2);
	if (size == 16)
		return hash_mix(hash_mix(load64(p) ^ c1, c2) ^ load64(p + 8),
				c1);
	for (h = c1 ^ size; size >= 8; size -= 8, p += 8)
		h = hash_mix(h ^ load64(p), c2);
	return hash_mix(h ^ load_part(p, size), c2);
}

/* A key's bucket is hash_key() & (buckets - 1). */
static inline uint32_t hash_key(const void *key, uint32_t size)
{
	return (uint32_t)hash_word(key, size);
}

#endif
