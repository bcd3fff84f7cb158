/* SPDX-License-Identifier: MIT */
/* map.c - bpf_map_*: to each type of map its functions (maps.def).
 *
 * r1 is a struct region_map in the stub's read-only copy of the table (the
 * region's own copy is for readers: nothing here trusts the region's word on
 * sizes).  Results are the kernel's (kernel/bpf/arraymap.c, hashtab.c, ...):
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
 * Maps that programs may not write (.rodata) give -EPERM, others that have no
 * such operation (a ring's lookup) NULL and -EINVAL; the kernel refuses such
 * programs when they are loaded.
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/stub.h"

DEFINE_HELPER(map_lookup_elem)
{
	const struct region_map *m = (const void *)r1;
	const void *key = (const void *)r2;

	switch (m->type) {
#define KEYED(type, lookup, update, delete)                                    \
	case BPF_MAP_TYPE_##type:                                              \
		return (uint64_t)lookup;
#include "runtime-stub/maps.def"
	}
	return 0;
}

DEFINE_HELPER(map_update_elem)
{
	const struct region_map *m = (const void *)r1;
	const void *key = (const void *)r2, *value = (const void *)r3;
	uint64_t flags = r4;

	if (m->flags & BPF_F_RDONLY_PROG)
		return -EPERM;
	switch (m->type) {
#define KEYED(type, lookup, update, delete)                                    \
	case BPF_MAP_TYPE_##type:                                              \
		return (uint64_t)update;
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

DEFINE_HELPER(map_delete_elem)
{
	const struct region_map *m = (const void *)r1;
	const void *key UNUSED = (const void *)r2;

	if (m->flags & BPF_F_RDONLY_PROG)
		return -EPERM;
	switch (m->type) {
#define KEYED(type, lookup, update, delete)                                    \
	case BPF_MAP_TYPE_##type:                                              \
		return (uint64_t)delete;
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

DEFINE_HELPER(map_push_elem)
{
	const struct region_map *m = (const void *)r1;
	const void *value = (const void *)r2;
	uint64_t flags = r3;

	switch (m->type) {
#define QUEUED(type, push, pop, peek)                                          \
	case BPF_MAP_TYPE_##type:                                              \
		return (uint64_t)push;
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

DEFINE_HELPER(map_pop_elem)
{
	const struct region_map *m = (const void *)r1;
	void *to = (void *)r2;

	switch (m->type) {
#define QUEUED(type, push, pop, peek)                                          \
	case BPF_MAP_TYPE_##type:                                              \
		return (uint64_t)pop;
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

DEFINE_HELPER(map_peek_elem)
{
	const struct region_map *m = (const void *)r1;
	void *to = (void *)r2;

	switch (m->type) {
#define QUEUED(type, push, pop, peek)                                          \
	case BPF_MAP_TYPE_##type:                                              \
		return (uint64_t)peek;
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

/* Another CPU's value, exact or not (kernel/bpf/arraymap.c, hashtab.c). */
DEFINE_HELPER(map_lookup_percpu_elem)
{
	const struct region_map *m = (const void *)r1;
	uint64_t mine;

	if (!map_is_percpu(m->type) || r3 >= weld_info.cpu_count)
		return 0;
	mine = helper_map_lookup_elem(r1, r2, 0, 0, 0, run);
	if (!mine)
		return 0;
	return mine - run->area + r3 * weld_info.cpu_stride;
}
