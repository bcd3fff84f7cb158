/* SPDX-License-Identifier: MIT */
/* spare.c - maps that are defined as none can be, and that nobody asks for.
 *
 * Of an object's programs some may be left out: what only those use need not be
 * something that we could have, nor that the kernel could.  Such a map keeps its
 * number, and a line in the region's table, but has no data.
 */
#include "rewriter/code/compile.h"
#include "rewriter/region.h"
#include "runtime-stub/refs.h"

/* All that is bound, or continued in, has facts of a size. */
static bool is_referred_to(const struct bpf_set *set, const struct facts *facts,
			   uint32_t map)
{
	for (uint32_t p = 0; p < set->nprog; p++)
		if (facts[p].size && bpf_refers(&set->prog[p], map))
			return true;
	return false;
}

static bool is_in_map(const struct bpf_set *set, uint32_t map)
{
	for (uint32_t i = 0; i < set->nmap; i++) {
		const struct bpf_map_def *m = &set->map[i];

		for (uint32_t k = 0; map_has_maps(m->type) && k < m->nslot; k++)
			if (m->slot[k].to == map)
				return true;
	}
	return false;
}

void maps_spare(struct bpf_set *set, const struct facts *facts)
{
	struct region_map unused;
	struct err why;

	for (uint32_t i = 0; i < set->nmap; i++) {
		struct bpf_map_def *m = &set->map[i];

		memset(&unused, 0, sizeof(unused));
		if (is_referred_to(set, facts, i) || is_in_map(set, i) ||
		    !map_shape(m, &unused, &why))
			continue;
		m->absent = true;
		m->pinned = false;
		m->nslot = 0;
		m->initial = (struct bytes){ 0 };
	}
}
