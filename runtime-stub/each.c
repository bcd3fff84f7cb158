/* SPDX-License-Identifier: MIT */
/* each.c - bpf_for_each_map_elem(), as kernel/bpf/arraymap.c and hashtab.c do
 * it: the callback gets map, key, value and ctx; the result is how many
 * elements it saw, the one it stopped at included.
 *
 * It may delete and replace elements.  An element is shown once, also when it
 * is replaced before or after that; those that the callback adds may be.
 */
#include <linux/bpf.h>

#include "runtime-stub/callback.h"
#include "runtime-stub/stub.h"

static uint64_t array_each(const struct region_map *m, uint64_t ctx,
			   callback_fn *call, const void *self, struct run *run)
{
	bool percpu = m->type == BPF_MAP_TYPE_PERCPU_ARRAY;
	uint32_t key, i;
	void *value;

	for (i = 0; i < m->max_entries; i++) {
		key = i;
		value = percpu ? cpu_value(m, i, run) : array_lookup(m, &key);
		if (!value)
			return i;
		if (call(self, (uint64_t)m, (uint64_t)&key, (uint64_t)value,
			 ctx))
			return i + 1;
	}
	return i;
}

uint64_t map_each(const struct region_map *m, uint64_t flags, uint64_t ctx,
		  callback_fn *call, const void *self, struct run *run)
{
	if (flags)
		return (uint64_t)-EINVAL;
	switch (m->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return array_each(m, ctx, call, self, run);
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return hash_each(m, ctx, call, self, run);
	}
	return (uint64_t)-EINVAL;
}
