/* SPDX-License-Identifier: MIT */
/* bloom.c - BLOOM_FILTER: bits, of which each value that was added has some
 * (layout.h).
 *
 * Bits are set one by one, by an atomic or, and never cleared: whoever is killed
 * in between has set some of a value's bits, which nobody can tell from those of
 * other values.  Results and bits are the kernel's for a map with
 * BPF_F_ZERO_SEED (kernel/bpf/bloom_filter.c); without it, the kernel's seed is
 * random, and ours is 0 all the same.
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/jhash.h"
#include "runtime-stub/stub.h"

struct bit {
	uint64_t *word, mask;
};

static struct bit bit_of(const struct region_map *m, const void *value,
			 uint32_t index)
{
	uint64_t *words = (uint64_t *)(weld_region + m->data);
	uint64_t bit = jhash(value, m->value_size, index) & (m->size * 8 - 1);

	return (struct bit){ words + bit / 64, UINT64_C(1) << bit % 64 };
}

static bool is_set(struct bit b)
{
	return __atomic_load_n(b.word, __ATOMIC_RELAXED) & b.mask;
}

long bloom_add(const struct region_map *m, const void *value, uint64_t flags)
{
	if (flags != BPF_ANY)
		return -EINVAL;
	for (uint32_t i = 0; i < m->hashes; i++) {
		struct bit b = bit_of(m, value, i);

		if (!is_set(b))
			__atomic_fetch_or(b.word, b.mask, __ATOMIC_RELAXED);
	}
	return 0;
}

long bloom_test(const struct region_map *m, const void *value)
{
	for (uint32_t i = 0; i < m->hashes; i++)
		if (!is_set(bit_of(m, value, i)))
			return -ENOENT;
	return 0;
}
