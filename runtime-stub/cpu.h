/* SPDX-License-Identifier: MIT */
/* cpu.h - which maps have a value for each CPU (layout.h). */
#ifndef BPFWELD_CPU_H
#define BPFWELD_CPU_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "runtime-stub/layout.h"

static inline bool map_is_percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/* How many values such a map has for one CPU: a hash's are numbered as its
 * elements are. */
static inline uint64_t map_values(const struct region_map *m)
{
	return m->type == BPF_MAP_TYPE_PERCPU_ARRAY
		       ? m->max_entries
		       : (uint64_t)m->max_entries + HASH_SPARE;
}

#endif
