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
 * slot, whoever pushed it: so the slots of all others are right.  A slot says
 * at which version it was written, and is written once for each.
 *
 * The pool has no list, so that nobody can be killed between two places.  Each
 * element's state says by itself whether it may be taken, which is one CAS:
 *
 *     0 -----> in hand -----------------> ready
 *              whose it is                at which version of the pair, and
 *                                         where, it is to be put into the map
 *
 *   0         free
 *   in hand   its owner's, who writes the value; if he is dead, anybody's
 *   ready     in the map: nobody's.  Else, if the pair has another version now:
 *             free.  For then it was in the map and is not any more, or who was
 *             to put it there is dead, or his cmpxchg16b will fail and he
 * learns from the state if it is his still
 *
 * So a pop gives nothing back, and killed anywhere, a process leaves a map that
 * is whole.  Where to look for one that is free is only a guess.
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

/* ASKS: how many owners are asked after, for one push.  There are not so many
 * but in a map that others have written over. */
enum {
	STEPS = 1 << 20,
	TRIES = 64,
	ASKS = 256
};

struct queue {
	const struct region_map *m;
	struct queue_head *head;
	uint64_t *slot;
	uint8_t *pool;
	uint32_t elems;
};

static struct queue queue_of(const struct region_map *m)
{
	uint8_t *data = weld_region + m->data;
	struct queue_head *h = (struct queue_head *)data;

	return (struct queue){
		.m = m,
		.head = h,
		.slot = (uint64_t *)(h + 1),
		.pool = data + queue_pool(m->buckets),
		.elems = m->max_entries + QUEUE_SPARE,
	};
}

/* Element number `low` - 1: its state, then its value. */
static uint64_t *elem_at(const struct queue *q, uint32_t low)
{
	return (uint64_t *)(q->pool + (uint64_t)(low - 1) * q->m->stride);
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

/* The pair as it is. */
static inline void look(const struct queue *q, struct ring_pair *now)
{
	if (load(&q->head->now.b) != now->b)
		*now = ring_load(&q->head->now);
}

/* What an element's state is that is to be put behind the last. */
static uint64_t ready(struct ring_pair now)
{
	return (now.b >> 32) << 32 | QUEUE_READY |
	       (queue_end(now) & (QUEUE_READY - 1));
}

/* Is it in the map?  (If its slot is another one's by now, it is not.) */
static bool is_in(const struct queue *q, struct ring_pair now, uint32_t low,
		  uint64_t state)
{
	uint32_t from_begin =
		((uint32_t)state - queue_begin(now)) & (QUEUE_READY - 1);

	return from_begin < queue_length(now) &&
	       at(q, now, queue_begin(now) + from_begin) == low;
}

/* May it be taken?  `now` is not older than the state. */
static bool is_free(const struct queue *q, struct ring_pair now, uint32_t low,
		    uint64_t state)
{
	if (!state)
		return true;
	return state & QUEUE_READY && state >> 32 != now.b >> 32 &&
	       !is_in(q, now, low, state);
}

static bool claim(const struct queue *q, struct ring_pair *now, uint32_t low,
		  uint64_t us)
{
	uint64_t *e = elem_at(q, low), state = load(e);

	look(q, now);
	return is_free(q, *now, low, state) && swap(e, state, us);
}

static bool is_left(uint64_t owner, uint64_t us, uint32_t *asks)
{
	if (owner >> 32 != us >> 32 || !*asks)
		return false;
	--*asks;
	return own_is_dead(owner, us);
}

/* None is plainly free.  Also take what the dead have in hand, or anybody is
 * about to put into the map: he will fail. */
static bool wrest(const struct queue *q, struct ring_pair *now, uint32_t low,
		  uint64_t us, uint32_t *asks)
{
	uint64_t *e = elem_at(q, low), state = load(e);

	look(q, now);
	if (state && !(state & QUEUE_READY))
		return is_left(state, us, asks) && swap(e, state, us);
	if (state && state >> 32 == now->b >> 32 &&
	    !is_in(q, *now, low, state)) {
		change(q, *now, queue_begin(*now), queue_end(*now),
		       (uint32_t)now->b);
		look(q, now);
	}
	return is_free(q, *now, low, state) && swap(e, state, us);
}

static uint32_t seek(const struct queue *q, struct ring_pair *now, uint64_t us,
		     bool last)
{
	uint32_t low = (uint32_t)load(&q->head->hand), asks = ASKS;

	for (uint32_t i = 0; i < q->elems; i++) {
		low = low < q->elems ? low + 1 : 1;
		if (last ? !wrest(q, now, low, us, &asks)
			 : !claim(q, now, low, us))
			continue;
		store(&q->head->hand, low);
		return low;
	}
	return 0;
}

/* The number + 1 of an element that is now ours; 0: there is none.  Likely to
 * be free are the last one that was popped; of a stack, that which was last
 * where the next one goes; and the one behind that which was found last. */
static uint32_t take(const struct queue *q, struct ring_pair *now)
{
	uint32_t low = (uint32_t)load(&q->head->free);
	uint64_t us = own_self();

	if (low - 1 < q->elems) {
		store(&q->head->free, 0);
		if (claim(q, now, low, us))
			return low;
	}
	if (q->m->type == BPF_MAP_TYPE_STACK) {
		low = (uint32_t)load(slot_at(q, queue_end(*now)));
		if (low - 1 < q->elems && claim(q, now, low, us))
			return low;
	}
	low = seek(q, now, us, false);
	return low ? low : seek(q, now, us, true);
}

static bool is_full(const struct queue *q, struct ring_pair now)
{
	return queue_length(now) >= q->m->max_entries;
}

/* Our element, which is written, into the map.  -EAGAIN: it is not ours any
 * more. */
static long put(const struct queue *q, struct ring_pair *now, uint32_t low,
		uint64_t flags)
{
	uint64_t *e = elem_at(q, low), was = 0;
	uint32_t oldest;
	bool full;

	for (int i = 0; i < STEPS; i++) {
		look(q, now);
		full = is_full(q, *now);
		if (full && flags != BPF_EXIST)
			break;
		if (!was)
			store(e, ready(*now));
		else if (!swap(e, was, ready(*now)))
			return -EAGAIN;
		was = ready(*now);
		oldest = full ? at(q, *now, queue_begin(*now)) : 0;
		if (!change(q, *now, queue_begin(*now) + full,
			    queue_end(*now) + 1, low))
			continue;
		if (full)
			store(&q->head->free, oldest);
		return 0;
	}
	if (!was)
		store(e, 0);
	else
		swap(e, was, 0);
	return -E2BIG;
}

long queue_push(const struct region_map *m, const void *value, uint64_t flags)
{
	struct queue q = queue_of(m);
	struct ring_pair now = ring_load(&q.head->now);
	long ret = -EAGAIN;
	uint32_t low;

	if (flags & BPF_NOEXIST || flags > BPF_EXIST)
		return -EINVAL;
	for (int i = 0; i < TRIES && ret == -EAGAIN; i++) {
		if (is_full(&q, now) && flags != BPF_EXIST)
			return -E2BIG;
		low = take(&q, &now);
		if (!low)
			return -E2BIG;
		mem_copy(elem_at(&q, low) + 1, value, m->value_size);
		ret = put(&q, &now, low, flags);
	}
	return ret == -EAGAIN ? -E2BIG : ret;
}

/* What comes out next; 0: nothing. */
static uint32_t next(const struct queue *q, struct ring_pair now)
{
	uint32_t low;

	if (!queue_length(now))
		return 0;
	low = at(q, now,
		 q->m->type == BPF_MAP_TYPE_STACK ? queue_end(now) - 1
						  : queue_begin(now));
	return low <= q->elems ? low : 0;
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
		mem_copy(value, elem_at(&q, low) + 1, m->value_size);
		if (!take && load(&q.head->now.b) == now.b)
			return 0;
		if (take && take_out(&q, now)) {
			store(&q.head->free, low);
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
