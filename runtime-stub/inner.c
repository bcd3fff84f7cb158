/* SPDX-License-Identifier: MIT */
/* inner.c - ARRAY_OF_MAPS and HASH_OF_MAPS: a value leads to a map
 * (kernel/bpf/map_in_map.c).
 *
 * Programs take what they get for a map like the one that their definition
 * shows, and the number is in memory that others can write to.  So the map
 * found must be like that one, as the kernel asks of what is put there.
 */
#include <linux/bpf.h>

#include "runtime-stub/stub.h"

static bool alike(const struct region_map *a, const struct region_map *b)
{
	return a->type == b->type && a->key_size == b->key_size &&
	       a->value_size == b->value_size && a->flags == b->flags;
}

const struct region_map *inner_map(const struct region_map *m,
				   const uint32_t *value)
{
	const uint8_t *info = (const uint8_t *)&weld_info;
	const struct region_map *map = (const void *)(info + weld_info.map);
	uint32_t n = value ? __atomic_load_n(value, __ATOMIC_RELAXED) : 0;

	if (n == 0 || n > weld_info.map_count || m->like == 0 ||
	    !alike(&map[n - 1], &map[m->like - 1]))
		return NULL;
	return &map[n - 1];
}
