/* SPDX-License-Identifier: MIT */
/* ring.c - bpf_ringbuf_*, bpf_perf_event_output: rings of events without a lock
 * (layout.h has the format, and why nobody waits for a process that died).
 *
 * The order of a record's life:
 *     the tail's last record has its slot      help()
 *     the tail counts one record more, ours    here others may find it
 *     header, content
 *     the slot: whose it is
 *               position behind it and state   here it is complete
 * Who comes meanwhile gives the record a slot that says it is reserved, with what
 * the tail knows of it.  So its owner, who needs no lock to write it, finds
 * either an old slot or its own; and a record costs one locked instruction.
 * Results are the kernel's (kernel/bpf/ringbuf.c): no room is NULL or -EAGAIN;
 * so are records larger than the ring, and flags that there are not.  A perf
 * event array behaves as with a consumer on every CPU (kernel/trace/bpf_trace.c).
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/futex.h>

#include "runtime-stub/ring.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

#define RECORD_MAX (UINT32_MAX / 4)
/* Turns to stand back, at most, when another one was faster: two that try again at
 * once take the tail's cache line from each other, five times as long. */
enum { BACKOFF = 40 };
/* How often, at most: somebody may be writing over the tail all the time. */
enum { TRIES = 1 << 16 };

struct ring {
	struct ring_head *head;
	struct ring_pair *slot;
	uint8_t *data;
	uint64_t size;
	uint32_t slots;
};

static struct ring ring_of(const struct region_map *m)
{
	uint8_t *base = weld_region + m->data;

	return (struct ring){
		.head = (struct ring_head *)base,
		.slot = (struct ring_pair *)(base + sizeof(struct ring_head)),
		.data = base + ring_data(m->buckets),
		.size = m->stride,
		.slots = m->buckets,
	};
}

/* The last record of `tail` has its slot.  A slot that has been given to a later
 * one, or that its owner writes just now, is left alone. */
static void help(const struct ring *r, struct ring_pair tail)
{
	uint64_t n = ring_number(tail.b);
	struct ring_pair *s = &r->slot[(n - 1) & (r->slots - 1)], was;

	if (!n)
		return;
	was = ring_load(s);
	if (ring_number(was.a) < n)
		ring_swap(s, was, (struct ring_pair){
					  tail.b, tail.a | RING_RESERVED });
}

/* Room behind this tail?  `stale`: it was not the tail any more, so that the
 * reader may be beyond it. */
static bool has_room(const struct ring *r, struct ring_pair tail,
		     uint64_t takes, bool *stale)
{
	struct ring_pair head = ring_load(&r->head->head);

	*stale = __atomic_load_n(&r->head->tail.b, __ATOMIC_ACQUIRE) != tail.b;
	return tail.a + takes - head.a < r->size &&
	       ring_number(tail.b) - head.b < r->slots;
}

/* A record that is ours to write; NULL: none. */
struct record {
	uint8_t *header;
	struct ring_pair slot; /* what it will be, but for the state */
};

static struct record reserve(const struct ring *r, uint64_t len)
{
	uint64_t takes = ring_takes(len), n;
	struct ring_pair tail, next;
	/* Whose a record is: our process's, as it ends when that does. */
	uint32_t pid = (uint32_t)own_pid();
	struct record out = { 0 };
	bool room, stale;

	if (len > RECORD_MAX || takes > r->size)
		return out;
	for (uint32_t wait = 0, tries = 0;;
	     wait = wait < BACKOFF ? 2 * wait + 8 : wait, tries++) {
		for (uint32_t i = 0; i < wait; i++)
			__builtin_ia32_pause();
		tail = ring_load(&r->head->tail);
		help(r, tail);
		room = has_room(r, tail, takes, &stale);
		if (tries == TRIES || (!room && !stale)) {
			__atomic_fetch_add(&r->head->dropped, 1,
					   __ATOMIC_RELAXED);
			return out;
		}
		n = ring_number(tail.b);
		next = (struct ring_pair){ tail.a + takes,
					   ring_owned(n + 1, pid) };
		if (room && ring_swap(&r->head->tail, tail, next))
			break;
	}
	out.header = r->data + (tail.a & (r->size - 1));
	out.slot = (struct ring_pair){ next.b, next.a };
	*(uint32_t *)out.header = (uint32_t)len | (uint32_t)RING_BUSY;
	*(uint32_t *)(out.header + 4) = (uint32_t)n;
	return out;
}

/* The record that a sample is of, as reserve() gave it: it has not been read,
 * so it is less than a ring, and fewer records than there are numbers of 32 bits,
 * from the head. */
static struct record record_of(const struct ring *r, uint8_t *sample)
{
	uint8_t *header = sample - RING_HEADER;
	uint64_t at = (uint64_t)(header - r->data);
	uint64_t first = __atomic_load_n(&r->head->head.a, __ATOMIC_ACQUIRE);
	uint64_t n = __atomic_load_n(&r->head->head.b, __ATOMIC_ACQUIRE);
	uint32_t len = load32(header) & ~(uint32_t)RING_BUSY;

	first += (at - first) & (r->size - 1);
	n += load32(header + 4) - (uint32_t)n;
	return (struct record){
		.header = header,
		.slot = { ring_owned(n + 1, (uint32_t)own_pid()), first + ring_takes(len) },
	};
}

/* (A reader that falls asleep just now may be overlooked: there is no barrier
 * between the record and this, which would cost as much as the record.  It does
 * not sleep for long.) */
static void wake(struct ring_head *h, uint64_t flags)
{
	if (flags & BPF_RB_NO_WAKEUP)
		return;
	if (!__atomic_load_n(&h->waiting, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&h->waiting, 0, __ATOMIC_RELAXED);
	sys3(__NR_futex, (long)&h->waiting, FUTEX_WAKE, 1);
}

static void commit(const struct ring *r, const struct record *record,
		   uint64_t flags, enum ring_state state)
{
	uint32_t len = load32(record->header);
	struct ring_pair *s =
		&r->slot[load32(record->header + 4) & (r->slots - 1)];

	if (!(len & (uint32_t)RING_BUSY))
		return; /* not ours to end */
	len &= ~(uint32_t)RING_BUSY;
	*(uint32_t *)record->header =
		len | (state == RING_DISCARDED ? (uint32_t)RING_DISCARD : 0);
	/* Last what lets it be read: until then nobody else gets the slot. */
	__atomic_store_n(&s->a, record->slot.a, __ATOMIC_RELEASE);
	__atomic_store_n(&s->b, record->slot.b | state, __ATOMIC_RELEASE);
	wake(r->head, flags);
}

/* The ring that a sample is in. */
static bool ring_around(const uint8_t *sample, struct ring *out)
{
	const uint8_t *info = (const uint8_t *)&weld_info;
	const struct region_map *map = (const void *)(info + weld_info.map);

	for (uint32_t i = 0; i < weld_info.map_count; i++) {
		if (map[i].type != BPF_MAP_TYPE_RINGBUF)
			continue;
		*out = ring_of(&map[i]);
		if (sample - RING_HEADER >= out->data &&
		    sample - RING_HEADER < out->data + out->size)
			return true;
	}
	return false;
}

static void end(uint64_t sample, uint64_t flags, enum ring_state state)
{
	struct record record;
	struct ring r;

	if (!ring_around((uint8_t *)sample, &r))
		return;
	record = record_of(&r, (uint8_t *)sample);
	commit(&r, &record, flags, state);
}

DEFINE_HELPER(ringbuf_output)
{
	struct ring r = ring_of((const void *)r1);
	struct record to;

	if (r4 & ~(uint64_t)(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))
		return -EINVAL;
	to = reserve(&r, r3);
	if (!to.header)
		return -EAGAIN;
	mem_copy(to.header + RING_HEADER, (const void *)r2, r3);
	commit(&r, &to, r4, RING_COMMITTED);
	return 0;
}

DEFINE_HELPER(ringbuf_reserve)
{
	struct ring r = ring_of((const void *)r1);
	struct record to;

	if (r3)
		return 0;
	to = reserve(&r, r2);
	return to.header ? (uint64_t)(to.header + RING_HEADER) : 0;
}

DEFINE_HELPER(ringbuf_submit)
{
	end(r1, r2, RING_COMMITTED);
	return 0;
}

DEFINE_HELPER(ringbuf_discard)
{
	end(r1, r2, RING_DISCARDED);
	return 0;
}

DEFINE_HELPER(ringbuf_query)
{
	struct ring r = ring_of((const void *)r1);
	struct ring_pair head = ring_load(&r.head->head);
	struct ring_pair tail = ring_load(&r.head->tail);

	switch (r2) {
	case BPF_RB_AVAIL_DATA:
		return tail.a - head.a;
	case BPF_RB_RING_SIZE:
		return r.size;
	case BPF_RB_CONS_POS:
		return head.a;
	case BPF_RB_PROD_POS:
		return tail.a;
	}
	return 0;
}

/* The index is of a CPU, and there is no other's event to write to. */
DEFINE_HELPER(perf_event_output)
{
	const struct region_map *m = (const void *)r2;
	struct ring r = ring_of(m);
	uint32_t index = (uint32_t)r3, cpu = cpu_here();
	uint64_t len = r5 <= RECORD_MAX ? r5 + sizeof(cpu) : r5;
	struct record to;

	if (r3 & ~(uint64_t)BPF_F_INDEX_MASK)
		return -EINVAL;
	if (index != (uint32_t)BPF_F_CURRENT_CPU) {
		if (m->max_entries && index >= m->max_entries)
			return -E2BIG;
		if (index != cpu)
			return -EOPNOTSUPP;
	}
	to = reserve(&r, len);
	if (!to.header)
		return -ENOSPC;
	mem_copy(to.header + RING_HEADER, (const void *)r4, r5);
	mem_copy(to.header + RING_HEADER + r5, &cpu, sizeof(cpu));
	commit(&r, &to, 0, RING_COMMITTED);
	return 0;
}
