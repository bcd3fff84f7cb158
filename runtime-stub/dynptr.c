/* SPDX-License-Identifier: MIT */
/* dynptr.c - memory whose size is known when the program runs only.
 *
 * A program's struct bpf_dynptr leads to part of a map's value or to a record
 * of a ring.  Nothing else can be behind one here: the kernel's others are
 * packets and files.  Results are the kernel's (kernel/bpf/helpers.c,
 * bpf_dynptr_*(); ringbuf.c, bpf_ringbuf_*_dynptr()): what cannot be had leaves
 * a dynptr that leads nowhere, which reads and writes refuse with -EINVAL.
 *
 * Offsets and lengths have 32 bits; the upper half of a register is not looked
 * at.
 */
#include <linux/errno.h>

#include "runtime-stub/dynptr.h"
#include "runtime-stub/stub.h"

static long lead(uint64_t to, uint64_t data, uint32_t size, long result)
{
	struct dynptr *p = (struct dynptr *)to;

	*p = (struct dynptr){ 0 };
	if (result)
		return result;
	p->data = data;
	p->size = size;
	return 0;
}

/* Source and destination may be parts of one value. */
static void move(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if ((uint64_t)to - (uint64_t)from >= n) {
		mem_copy(to, from, n);
		return;
	}
	while (n--)
		((volatile uint8_t *)to)[n] = from[n];
}

DEFINE_HELPER(dynptr_from_mem)
{
	long bad = r2 > DYNPTR_MAX ? -E2BIG : r3 ? -EINVAL : 0;

	return (uint64_t)lead(r4, r1, (uint32_t)r2, bad);
}

DEFINE_HELPER(ringbuf_reserve_dynptr)
{
	uint32_t size = (uint32_t)r2;
	uint64_t record;

	if (r3 || size > DYNPTR_MAX)
		return (uint64_t)lead(r4, 0, 0, r3 ? -EINVAL : -E2BIG);
	record = helper_ringbuf_reserve(r1, size, 0, 0, 0, run);
	return (uint64_t)lead(r4, record, size, record ? 0 : -EINVAL);
}

/* Where the record begins, wherever the dynptr has been moved to. */
static uint64_t take_record(uint64_t from)
{
	struct dynptr *p = (struct dynptr *)from;
	uint64_t record = p->data;

	*p = (struct dynptr){ 0 };
	return record;
}

DEFINE_HELPER(ringbuf_submit_dynptr)
{
	uint64_t record = take_record(r1);

	if (record)
		helper_ringbuf_submit(record, r2, 0, 0, 0, run);
	return 0;
}

DEFINE_HELPER(ringbuf_discard_dynptr)
{
	uint64_t record = take_record(r1);

	if (record)
		helper_ringbuf_discard(record, r2, 0, 0, 0, run);
	return 0;
}

DEFINE_HELPER(dynptr_read)
{
	const struct dynptr *p = (const struct dynptr *)r3;
	uint32_t n = (uint32_t)r2, offset = (uint32_t)r4;

	if (!p->data || r5)
		return (uint64_t)-EINVAL;
	if (!dynptr_has(p, offset, n))
		return (uint64_t)-E2BIG;
	move((uint8_t *)r1, (const uint8_t *)(p->data + p->offset + offset), n);
	return 0;
}

DEFINE_HELPER(dynptr_write)
{
	const struct dynptr *p = (const struct dynptr *)r1;
	uint32_t offset = (uint32_t)r2, n = (uint32_t)r4;

	if (!p->data)
		return (uint64_t)-EINVAL;
	if (!dynptr_has(p, offset, n))
		return (uint64_t)-E2BIG;
	if (r5)
		return (uint64_t)-EINVAL;
	move((uint8_t *)(p->data + p->offset + offset), (const uint8_t *)r3, n);
	return 0;
}

/* `len` bytes from `offset` on, or NULL. */
static uint64_t part(uint64_t of, uint64_t offset, uint64_t len)
{
	const struct dynptr *p = (const struct dynptr *)of;

	if (!p->data || !dynptr_has(p, (uint32_t)offset, (uint32_t)len))
		return 0;
	return p->data + p->offset + (uint32_t)offset;
}

DEFINE_HELPER(dynptr_data)
{
	return part(r1, r2, r3);
}

/* --- Functions of the kernel (rewriter/bpf/kfunc.c). */

DEFINE_HELPER(dynptr_adjust)
{
	struct dynptr *p = (struct dynptr *)r1;
	uint32_t start = (uint32_t)r2, end = (uint32_t)r3;

	if (!p->data || start > end)
		return (uint64_t)-EINVAL;
	if (end > p->size)
		return (uint64_t)-ERANGE;
	p->offset += start;
	p->size = end - start;
	return 0;
}

DEFINE_HELPER(dynptr_is_null)
{
	return !((const struct dynptr *)r1)->data;
}

/* There are none that are. */
DEFINE_HELPER(dynptr_is_rdonly)
{
	return 0;
}

DEFINE_HELPER(dynptr_size)
{
	const struct dynptr *p = (const struct dynptr *)r1;

	return p->data ? p->size : (uint32_t)-EINVAL;
}

DEFINE_HELPER(dynptr_clone)
{
	const struct dynptr *p = (const struct dynptr *)r1;

	*(struct dynptr *)r2 = *p;
	return p->data ? 0 : (uint64_t)-EINVAL;
}

/* All memory is in one piece: the buffer in r3 is not needed.  (The kernel lets
 * no tracing program have bpf_dynptr_slice_rdwr().) */
DEFINE_HELPER(dynptr_slice)
{
	return part(r1, r2, r4);
}

/* Why bytes cannot be had; 0: none were asked for. */
static long missing(uint64_t of, uint64_t offset, uint64_t len)
{
	return dynptr_has((const struct dynptr *)of, (uint32_t)offset,
			  (uint32_t)len)
		       ? 0
		       : -E2BIG;
}

DEFINE_HELPER(dynptr_copy)
{
	uint64_t to = part(r1, r2, r5), from = part(r3, r4, r5);
	long bad;

	if (from && !to)
		return helper_dynptr_write(r1, r2, from, r5, 0, run);
	if (to && !from)
		return helper_dynptr_read(to, r5, r3, r4, 0, run);
	bad = missing(r1, r2, r5);
	if (!bad)
		bad = missing(r3, r4, r5);
	if (to)
		move((uint8_t *)to, (const uint8_t *)from, (uint32_t)r5);
	return (uint64_t)bad;
}

DEFINE_HELPER(dynptr_memset)
{
	uint8_t *to = (uint8_t *)part(r1, r2, r3);

	for (uint32_t n = to ? (uint32_t)r3 : 0; n--;)
		((volatile uint8_t *)to)[n] = (uint8_t)r4;
	return (uint64_t)missing(r1, r2, r3);
}
