/* SPDX-License-Identifier: MIT */
/* array.c - ARRAY and PERCPU_ARRAY (kernel/bpf/arraymap.c): values one behind
 * the other, of PERCPU_ARRAY once for each CPU.
 *
 * A key may lie in a map, where others write: it is read once, so that what was
 * checked is what is used. */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/stub.h"

/* What all arrays say of an update; 0: go on.  BPF_F_LOCK is a flag here, which
 * comes last: there is no lock in the value. */
static long refused(const struct region_map *m, uint32_t index, uint64_t flags)
{
	uint64_t lock = flags & BPF_F_LOCK;

	if (flags - lock > BPF_EXIST)
		return -EINVAL;
	if (index >= m->max_entries)
		return -E2BIG;
	if (flags - lock == BPF_NOEXIST)
		return -EEXIST;
	return lock ? -EINVAL : 0;
}

static uint8_t *value_at(const struct region_map *m, uint32_t index)
{
	return weld_region + m->data + (uint64_t)index * m->stride;
}

void *array_lookup(const struct region_map *m, const void *key)
{
	uint32_t index = load32_once(key);

	return index < m->max_entries ? value_at(m, index) : NULL;
}

long array_update(const struct region_map *m, const void *key,
		  const void *value, uint64_t flags)
{
	uint32_t index = load32_once(key);
	long bad = refused(m, index, flags);

	if (bad)
		return bad;
	mem_copy(value_at(m, index), value, m->value_size);
	return 0;
}

void *percpu_array_lookup(const struct region_map *m, const void *key,
			  struct run *run)
{
	uint32_t index = load32_once(key);

	if (index >= m->max_entries)
		return NULL;
	return cpu_value(m, index, run);
}

long percpu_array_update(const struct region_map *m, const void *key,
			 const void *value, uint64_t flags, struct run *run)
{
	uint32_t index = load32_once(key);
	long bad = refused(m, index, flags);

	if (bad)
		return bad;
	return cpu_put(m, index, value, run) ? 0 : -EBUSY;
}
