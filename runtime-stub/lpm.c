/* SPDX-License-Identifier: MIT */
/* lpm.c - LPM_TRIE: a hash of prefixes, and how many there are of each length.
 *
 * The longest prefix of a key is found by asking for each length that occurs,
 * longest first; a table of prefixes has few lengths.  A prefix is kept with the
 * bits behind it zeroed.  Everything about threads and dying is the hash's; a
 * count goes up before its prefix is there and down after it is gone, so one
 * that is too high costs a step and nothing else.
 *
 * Results are the kernel's (kernel/bpf/lpm_trie.c).
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/hash.h"
#include "runtime-stub/stub.h"

enum { DATA_MAX = 256, RETRIES = 1 << 10 };
struct prefix {
	uint32_t bits;
	uint8_t data[DATA_MAX];
} __attribute__((aligned(8)));

static uint32_t bits_max(const struct region_map *m)
{
	return 8 * (m->key_size - (uint32_t)sizeof(uint32_t));
}

static uint64_t *count_of(const struct region_map *m, uint32_t bits)
{
	uint64_t *end = (uint64_t *)(weld_region + m->data + m->size);

	return end - bits_max(m) - 1 + bits;
}

/* Make p a prefix of so many bits, which it has at least. */
static void cut(struct prefix *p, uint32_t bits, uint32_t size)
{
	uint32_t at = bits / 8;

	p->bits = bits;
	if (bits % 8)
		p->data[at++] &= (uint8_t)(0xff00 >> bits % 8);
	mem_zero(p->data + at, size - at);
}

/* False: no prefix is so long. */
static bool prefix_of(struct prefix *p, const struct region_map *m,
		      const void *key)
{
	uint32_t size = m->key_size - (uint32_t)sizeof(uint32_t);
	uint32_t bits = load32_once(key); /* which others may write to */

	if (bits > bits_max(m))
		return false;
	mem_copy(p->data, (const uint8_t *)key + sizeof(uint32_t), size);
	cut(p, bits, size);
	return true;
}

void *lpm_lookup(const struct region_map *m, const void *key)
{
	uint32_t size = m->key_size - (uint32_t)sizeof(uint32_t);
	struct prefix p;
	void *value;

	if (!prefix_of(&p, m, key))
		return NULL;
	for (uint32_t bits = p.bits + 1; bits-- > 0;) {
		if (!__atomic_load_n(count_of(m, bits), __ATOMIC_ACQUIRE))
			continue;
		cut(&p, bits, size);
		value = hash_lookup(m, &p);
		if (value)
			return value;
	}
	return NULL;
}

static long insert(const struct region_map *m, const struct prefix *p,
		   const void *value)
{
	uint64_t *count = count_of(m, p->bits);
	long ret;

	__atomic_fetch_add(count, 1, __ATOMIC_ACQ_REL);
	ret = hash_update(m, p, value, BPF_NOEXIST);
	if (ret)
		__atomic_fetch_sub(count, 1, __ATOMIC_ACQ_REL);
	return ret == -E2BIG ? -ENOSPC : ret;
}

long lpm_update(const struct region_map *m, const void *key, const void *value,
		uint64_t flags)
{
	struct prefix p;
	long ret = -EBUSY;

	if (flags > BPF_EXIST || !prefix_of(&p, m, key))
		return -EINVAL;
	if (flags == BPF_EXIST)
		return hash_update(m, &p, value, BPF_EXIST);
	for (int i = 0; i < RETRIES; i++) {
		ret = insert(m, &p, value);
		if (ret != -EEXIST || flags == BPF_NOEXIST)
			return ret;
		ret = hash_update(m, &p, value, BPF_EXIST);
		if (ret != -ENOENT)
			return ret;
	}
	return ret;
}

long lpm_delete(const struct region_map *m, const void *key)
{
	struct prefix p;
	long ret;

	if (!prefix_of(&p, m, key))
		return -EINVAL;
	ret = hash_delete(m, &p);
	if (!ret)
		__atomic_fetch_sub(count_of(m, p.bits), 1, __ATOMIC_ACQ_REL);
	return ret;
}
