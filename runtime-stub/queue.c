/* SPDX-License-Identifier: MIT */
/* queue.c - QUEUE and STACK: numbers of elements, in a ring (layout.h).
 *
 * What is in the map at an instant is said by one pair: where it begins and
 * ends, a version, and the last element.  An operation makes the next pair, and
 * one cmpxchg16b later it has happened:
 *
 *   push   write an element of the pool, which nobody sees yet; then the pair
 *          names it as the last
 *   pop    copy the value; then the pair is without it.  That it was the same
 *          until then is what the version says
 *
 * Before anybody changes the pair, the last element's number is put into its
 * slot, whoever pushed it: so the slots of all others are right.  A slot says at
 * which version it was written, and is written once for each.  Killed anywhere,
 * a process leaves a map that is whole, and an element less in the pool at most.
 *
 * Results are the kernel's (kernel/bpf/queue_stack_maps.c).
 * tests/unit/queue_model.c tries all schedules of two threads.
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/pool.h"
#include "runtime-stub/queue.h"
#include "runtime-stub/ring.h"
#include "runtime-stub/stub.h"

enum { STEPS = 1 << 20 };

struct queue {
	const struct region_map *m;
	struct queue_head *head;
	uint64_t *slot;
	struct pool pool;
};

static struct queue queue_of(const struct region_map *m)
{
	uint8_t *data = weld_region + m->data;
	struct queue_head *h = (struct queue_head *)data;

	return (struct queue){
		.m = m,
		.head = h,
		.slot = (uint64_t *)(h + 1),
		.pool = { &h->free, &h->taken, data + queue_pool(m->buckets),
			  m->stride, m->max_entries + QUEUE_SPARE },
	};
}

static uint64_t *slot_at(const struct queue *q, uint32_t position)
{
	return &q->slot[position & (q->m->buckets - 1)];
}

/* The last element has its slot. */
static void help(const struct queue *q, struct ring_pair now)
{
	uint64_t *slot = slot_at(q, queue_end(now) - 1), was = load(slot);

	if ((uint32_t)now.b && was != now.b && load(&q->head->now.b) == now.b)
		swap(slot, was, now.b);
}

/* The number + 1 of the element at a position. */
static uint32_t at(const struct queue *q, struct ring_pair now, uint32_t pos)
{
	return (uint32_t)(pos == queue_end(now) - 1 ? now.b
						    : load(slot_at(q, pos)));
}

static bool change(const struct queue *q, struct ring_pair now, uint32_t begin,
		   uint32_t end, uint32_t last)
{
	uint64_t version = (now.b >> 32) + 1;

	help(q, now);
	return ring_swap(&q->head->now, now,
			 (struct ring_pair){ (uint64_t)end << 32 | begin,
					     version << 32 | last });
}

long queue_push(const struct region_map *m, const void *value, uint64_t flags)
{
	struct queue q = queue_of(m);
	uint32_t low, oldest;
	struct ring_pair now;

	if (flags & BPF_NOEXIST || flags > BPF_EXIST)
		return -EINVAL;
	low = pool_take(&q.pool);
	if (!low)
		return -E2BIG;
	mem_copy(pool_at(&q.pool, low) + 1, value, m->value_size);
	for (int i = 0; i < STEPS; i++) {
		bool full;

		now = ring_load(&q.head->now);
		full = queue_length(now) >= m->max_entries;
		if (full && flags != BPF_EXIST)
			break;
		oldest = full ? at(&q, now, queue_begin(now)) : 0;
		if (!change(&q, now, queue_begin(now) + full,
			    queue_end(now) + 1, low))
			continue;
		if (oldest && oldest <= q.pool.elems)
			pool_give(&q.pool, oldest);
		return 0;
	}
	pool_give(&q.pool, low);
	return -E2BIG;
}

/* What comes out next; 0: nothing. */
static uint32_t next(const struct queue *q, struct ring_pair now)
{
	uint32_t low;

	if (!queue_length(now))
		return 0;
	low = at(q, now, q->m->type == BPF_MAP_TYPE_STACK ? queue_end(now) - 1
							  : queue_begin(now));
	return low <= q->pool.elems ? low : 0;
}

static bool take_out(const struct queue *q, struct ring_pair now)
{
	uint32_t begin = queue_begin(now), end = queue_end(now);

	if (q->m->type != BPF_MAP_TYPE_STACK)
		begin++;
	else
		end--;
	return change(q, now, begin, end,
		      begin == end ? 0 : at(q, now, end - 1));
}

static long read_next(const struct region_map *m, void *value, bool take)
{
	struct queue q = queue_of(m);
	struct ring_pair now;
	uint32_t low;

	for (int i = 0; i < STEPS; i++) {
		now = ring_load(&q.head->now);
		low = next(&q, now);
		if (!low)
			break;
		mem_copy(value, pool_at(&q.pool, low) + 1, m->value_size);
		if (!take && load(&q.head->now.b) == now.b)
			return 0;
		if (take && take_out(&q, now)) {
			pool_give(&q.pool, low);
			return 0;
		}
	}
	mem_zero(value, m->value_size);
	return -ENOENT;
}

long queue_pop(const struct region_map *m, void *value)
{
	return read_next(m, value, true);
}

long queue_peek(const struct region_map *m, void *value)
{
	return read_next(m, value, false);
}
