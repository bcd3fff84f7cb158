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

/* Of each type a function for each operation, which programs call where they
 * name the map; then the helper itself, for all others. */
#define OPERATION(type, name, result)                                          \
	uint64_t helper_##name##_##type(ARGUMENTS)                             \
	{                                                                      \
		const struct region_map *m = (const void *)r1;                 \
		const void *key UNUSED = (const void *)r2;                     \
		const void *value UNUSED = (const void *)r3;                   \
		uint64_t flags UNUSED = r4;                                    \
                                                                               \
		return (uint64_t)(result);                                     \
	}
#define WRITE(result) m->flags & BPF_F_RDONLY_PROG ? -EPERM : (result)
#define KEYED(type, lookup, update, delete)                                    \
	OPERATION(type, map_lookup_elem, lookup)                               \
	OPERATION(type, map_update_elem, WRITE(update))                        \
	OPERATION(type, map_delete_elem, WRITE(delete))
#include "runtime-stub/maps.def"

/* An update of the same meaning (rewriter/code/values.c says where). */
OPERATION(HASH, map_put_elem, WRITE(hash_put(m, key, value, flags)))

#define CASE(type, name)                                                       \
	case BPF_MAP_TYPE_##type:                                              \
		return helper_##name##_##type(r1, r2, r3, r4, r5, run);

DEFINE_HELPER(map_lookup_elem)
{
	switch (((const struct region_map *)r1)->type) {
#define KEYED(type, ...) CASE(type, map_lookup_elem)
#include "runtime-stub/maps.def"
	}
	return 0;
}

DEFINE_HELPER(map_update_elem)
{
	switch (((const struct region_map *)r1)->type) {
#define KEYED(type, ...) CASE(type, map_update_elem)
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

DEFINE_HELPER(map_delete_elem)
{
	switch (((const struct region_map *)r1)->type) {
#define KEYED(type, ...) CASE(type, map_delete_elem)
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

/* QUEUE and the like have other arguments. */
#define QUEUE_OPERATION(type, name, result)                                    \
	uint64_t helper_##name##_##type(ARGUMENTS)                             \
	{                                                                      \
		const struct region_map *m UNUSED = (const void *)r1;          \
		const void *value UNUSED = (const void *)r2;                   \
		void *to UNUSED = (void *)r2;                                  \
		uint64_t flags UNUSED = r3;                                    \
                                                                               \
		return (uint64_t)(result);                                     \
	}
#define QUEUED(type, push, pop, peek)                                          \
	QUEUE_OPERATION(type, map_push_elem, push)                             \
	QUEUE_OPERATION(type, map_pop_elem, pop)                               \
	QUEUE_OPERATION(type, map_peek_elem, peek)
#include "runtime-stub/maps.def"

DEFINE_HELPER(map_push_elem)
{
	switch (((const struct region_map *)r1)->type) {
#define QUEUED(type, ...) CASE(type, map_push_elem)
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

DEFINE_HELPER(map_pop_elem)
{
	switch (((const struct region_map *)r1)->type) {
#define QUEUED(type, ...) CASE(type, map_pop_elem)
#include "runtime-stub/maps.def"
	}
	return -EINVAL;
}

DEFINE_HELPER(map_peek_elem)
{
	switch (((const struct region_map *)r1)->type) {
#define QUEUED(type, ...) CASE(type, map_peek_elem)
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
