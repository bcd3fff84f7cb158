/* SPDX-License-Identifier: MIT */
/* map.c - bpf_map_lookup_elem, _update_elem and _delete_elem.
 *
 * r1 is a struct region_map in the stub's read-only copy of the table (the
 * region's own copy is for readers: nothing here trusts the region's word on
 * sizes).  Results are the kernel's (kernel/bpf/arraymap.c, hashtab.c):
 *
 *                      ARRAY                    HASH
 *   lookup, no key     NULL                     NULL
 *   update, bad flags  -EINVAL                  -EINVAL
 *     no such index    -E2BIG                   full: -E2BIG
 *     NOEXIST          -EEXIST always           -EEXIST if there
 *     F_LOCK           -EINVAL (no spin lock)   -EINVAL at once
 *     EXIST            0                        -ENOENT if not
 *   delete             -EINVAL                  -ENOENT if not there
 *
 * Maps that programs may not write (.rodata) give -EPERM, others that are no
 * key and value (rings) NULL and -EINVAL; the kernel refuses such programs
 * when they are loaded.
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/ring.h"
#include "runtime-stub/stub.h"

static void *array_lookup(const struct region_map *m, uint32_t index)
{
	if (index >= m->max_entries)
		return NULL;
	return weld_region + m->data + (uint64_t)index * m->stride;
}

static long array_update(const struct region_map *m, uint32_t index,
			 const void *value, uint64_t flags)
{
	void *to = array_lookup(m, index);

	if ((flags & ~(uint64_t)BPF_F_LOCK) > BPF_EXIST)
		return -EINVAL;
	if (!to)
		return -E2BIG;
	if (flags & BPF_NOEXIST)
		return -EEXIST;
	if (flags & BPF_F_LOCK)
		return -EINVAL;
	mem_copy(to, value, m->value_size);
	return 0;
}

DEFINE_HELPER(map_lookup_elem)
{
	const struct region_map *m = (const void *)r1;

	if (m->type == BPF_MAP_TYPE_HASH)
		return (uint64_t)hash_lookup(m, (const void *)r2);
	if (m->type != BPF_MAP_TYPE_ARRAY)
		return 0;
	return (uint64_t)array_lookup(m, load32((const void *)r2));
}

DEFINE_HELPER(map_update_elem)
{
	const struct region_map *m = (const void *)r1;

	if (m->flags & BPF_F_RDONLY_PROG)
		return -EPERM;
	if (ring_is(m->type))
		return -EINVAL;
	if (m->type != BPF_MAP_TYPE_HASH)
		return (uint64_t)array_update(m, load32((const void *)r2),
					      (const void *)r3, r4);
	if (r4 > BPF_EXIST)
		return -EINVAL;
	return hash_update(m, (const void *)r2, (const void *)r3, r4);
}

DEFINE_HELPER(map_delete_elem)
{
	const struct region_map *m = (const void *)r1;

	if (m->flags & BPF_F_RDONLY_PROG)
		return -EPERM;
	if (m->type == BPF_MAP_TYPE_HASH)
		return hash_delete(m, (const void *)r2);
	return -EINVAL;
}
