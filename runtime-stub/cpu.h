/* SPDX-License-Identifier: MIT */
/* cpu.h - which maps have a value for each CPU (layout.h). */
#ifndef BPFWELD_CPU_H
#define BPFWELD_CPU_H

#include <linux/bpf.h>
#include <stdbool.h>

static inline bool map_is_percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

#endif
