/* SPDX-License-Identifier: MIT */
/* refs.h - maps whose values are programs or maps.
 *
 * A value is the number of one, plus 1; 0 is none.  Programs are numbered as in
 * the manifest, maps as in the region.
 */
#ifndef BPFWELD_REFS_H
#define BPFWELD_REFS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool map_has_progs(uint32_t type)
{
	return type == BPF_MAP_TYPE_PROG_ARRAY;
}

static inline bool map_has_maps(uint32_t type)
{
	return type == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
	       type == BPF_MAP_TYPE_HASH_OF_MAPS;
}

static inline bool map_has_refs(uint32_t type)
{
	return map_has_progs(type) || map_has_maps(type);
}

#endif
