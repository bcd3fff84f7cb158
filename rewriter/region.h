/* SPDX-License-Identifier: MIT */
/* region.h - lay out the shared region of one weld.
 *
 * In:   maps and the number of probes (links that will be placed).
 * Out:  where each map's data, each gate and each counter lies, and the bytes
 *       of struct weld_info with all that follows it (abi.h).
 * Then: the layout is final; the programs may be compiled against it.
 */
#ifndef BPFWELD_REGION_H
#define BPFWELD_REGION_H

#include "rewriter/bpf/bpf.h"
#include "runtime-stub/abi.h"
#include "runtime-stub/cpu.h"

struct region {
	uint64_t size;          /* of the file */
	uint64_t range;         /* with pinned maps' files behind it */
	uint64_t gates, maps, counts, trace, cpus; /* region offsets */
	uint64_t cpu_stride;
	uint32_t cpu_count;     /* 0: no map has values for each CPU */
	uint32_t loads;         /* region offset, or 0 */
	uint32_t nprobe;
	struct region_map *map; /* nmap of them, same order as bpf_set.map */
	uint32_t nmap;
	struct weld_pin *pin;   /* maps that have a file of their own */
	uint32_t npin;
	uint64_t pin_words;     /* see struct weld_info */
	struct bytes info;      /* struct weld_info and its tail, to stand in RX
				   at 16-byte alignment */
	uint64_t info_maps;     /* offset of struct region_map[] in info */
	uint64_t info_progs;    /* of int32_t[]: where each program is, from
				   info; the welder fills it in */
};

/* `cpus`: for how many CPUs values are kept, where maps have them for each.
 * Refuses map types that are not supported, and a region over 1 GiB. */
#define REGION_MAX (UINT64_C(1) << 30)
enum { REGION_CPUS = 32 };
int region_plan(struct arena *a, const struct bpf_set *set, uint32_t nprobe,
		uint32_t cpus, const uint8_t weld_id[16], struct region *out,
		struct err *e);

/* --- pins.c: places for pinned maps behind the region, whose size is known.
 * Refuses those that cannot be shared by several welds. */
int pins_place(struct arena *a, const struct bpf_set *set, struct region *r,
	       struct err *e);

/* --- shape.c: how a map lies in the region, but for where.  Sizes, flags and
 * numbers of entries are held against what the kernel takes. */
bool map_type_known(uint32_t type);
int map_shape(const struct bpf_map_def *def, struct region_map *m,
	      struct err *e);

/* --- spare.c: what cannot be had is no fault in a map that nothing uses which
 * is bound, and no map of maps begins with: such maps are marked `absent`. */
struct facts;
void maps_spare(struct bpf_set *set, const struct facts *facts);

/* --- refs.c: what a map of programs or maps begins with. */
struct bytes refs_initial(struct arena *a, const struct bpf_map_def *d,
			  const struct region_map *m);

#endif
