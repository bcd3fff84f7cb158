/* SPDX-License-Identifier: MIT */
/* returns.c - pads: return addresses that lead through the weld.
 *
 * A pad is a pair of return address and function (late.c in the rewriter has
 * the picture).  Pairs are kept in a table that only grows, with a hashed index
 * of open addressing:
 *
 *     pad[k]    written once, before index names it
 *     index[h]  0, or k + 1; changed once, by compare-and-swap
 *     used      pads that have been taken; one that lost a race stays unused
 *
 * So lookups need no lock, any thread or signal handler may be at it at once,
 * and one that is killed or interrupted leaves nothing half done.  A full table,
 * or a return address behind PAD_DEPTH pads, means that the return is missed.
 * (The kernel has the same limit, on all pending returns of a task together:
 * MAX_URETPROBE_DEPTH.)
 *
 * The table is the process's own: a forked child has a copy.
 */
#include "runtime-stub/stub.h"

/* Called with the target's values in all registers. */
#define KEEPS_ALL __attribute__((no_caller_saved_registers))

#pragma GCC visibility push(hidden)
KEEPS_ALL void returns_exchange(uint64_t *at, uint32_t late);
KEEPS_ALL void returns_exchange_to(uint64_t *at, uint32_t late, uint64_t to);
KEEPS_ALL uint64_t weld_origin(uint64_t ret);
#pragma GCC visibility pop

enum { NO_PAD = UINT32_MAX, TRIES = 64 };

static struct weld_pad *pad_at(uint32_t k)
{
	return (struct weld_pad *)weld_returns + k;
}

static uint32_t *index_at(uint32_t h)
{
	uint32_t n = weld_info.pad_count;

	return (uint32_t *)pad_at(n) + (h & (2 * n - 1));
}

static uint32_t *used(void)
{
	return (uint32_t *)pad_at(weld_info.pad_count) +
	       2 * weld_info.pad_count;
}

static uint64_t code_of(uint32_t k)
{
	return (uint64_t)&weld_info + (uint64_t)(int64_t)weld_info.pads +
	       (uint64_t)k * PAD_CODE;
}

/* The pad that this address is, or NO_PAD. */
static uint32_t pad_of(uint64_t ret)
{
	uint64_t off = ret - code_of(0);

	return off < (uint64_t)weld_info.pad_count * PAD_CODE
		       ? (uint32_t)(off / PAD_CODE)
		       : NO_PAD;
}

static uint32_t hash(uint64_t ret, uint32_t late)
{
	uint64_t v = (ret + (uint64_t)late * 0x85ebca6b) *
		     UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(v >> 40);
}

static bool is_pair(uint32_t k, uint64_t ret, uint32_t late)
{
	return pad_at(k)->ret == ret && pad_at(k)->late == late;
}

/* Take a pad for the pair, not yet in the index. */
static uint32_t pad_take(uint64_t ret, uint32_t late)
{
	uint32_t from = pad_of(ret), depth = 0, k;

	if (from != NO_PAD)
		depth = pad_at(from)->depth + 1;
	if (depth >= PAD_DEPTH ||
	    __atomic_load_n(used(), __ATOMIC_RELAXED) >= weld_info.pad_count)
		return NO_PAD;
	k = __atomic_fetch_add(used(), 1, __ATOMIC_RELAXED);
	if (k >= weld_info.pad_count)
		return NO_PAD;
	*pad_at(k) = (struct weld_pad){ ret, late, depth };
	return k;
}

/* Nobody has been seen to have it. */
KEEPS_ALL static __attribute__((noinline)) uint32_t pad_add(uint64_t ret,
							    uint32_t late)
{
	uint32_t h = hash(ret, late), mine = NO_PAD;

	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t *at = index_at(h + i), was = 0;

		if (!__atomic_load_n(at, __ATOMIC_ACQUIRE)) {
			if (mine == NO_PAD)
				mine = pad_take(ret, late);
			if (mine == NO_PAD)
				return NO_PAD;
			if (__atomic_compare_exchange_n(
				    at, &was, mine + 1, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
				return mine;
		}
		was = __atomic_load_n(at, __ATOMIC_ACQUIRE);
		if (is_pair(was - 1, ret, late))
			return was - 1;
	}
	return NO_PAD;
}

static uint32_t pad_find(uint64_t ret, uint32_t late)
{
	uint32_t h = hash(ret, late);

	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t k = __atomic_load_n(index_at(h + i), __ATOMIC_ACQUIRE);

		if (!k)
			break;
		if (is_pair(k - 1, ret, late))
			return k - 1;
	}
	return pad_add(ret, late);
}

static const struct weld_late *row_at(uint32_t late)
{
	return (const void *)((const uint8_t *)&weld_info + late);
}

/* These returns will not be seen. */
static void miss(uint32_t late)
{
	const struct weld_late *row = row_at(late);
	struct region_count *c = (void *)(weld_region + weld_info.counts);

	for (uint32_t i = 0; i < row->nprobe; i++)
		__atomic_fetch_add(&c[row->probe + i].misses, 1,
				   __ATOMIC_RELAXED);
}

KEEPS_ALL void returns_exchange(uint64_t *at, uint32_t late)
{
	uint32_t k;

	if (region_is_off())
		return;
	k = pad_find(*at, late);
	if (k == NO_PAD)
		miss(late);
	else
		*at = code_of(k);
}

KEEPS_ALL void returns_exchange_to(uint64_t *at, uint32_t late, uint64_t to)
{
	const struct weld_late *row = row_at(late);
	const struct weld_part *p = (const void *)row_at(row->part);
	uint64_t off = to - (uint64_t)&weld_info;

	for (uint32_t i = 0; i < row->nparts; i++)
		if (off - (uint64_t)(int64_t)p[i].lo < p[i].size)
			return;
	returns_exchange(at, late);
}

KEEPS_ALL uint64_t weld_origin(uint64_t ret)
{
	for (uint32_t k = pad_of(ret); k != NO_PAD; k = pad_of(ret))
		ret = pad_at(k)->ret;
	return ret;
}
