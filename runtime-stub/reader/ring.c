/* SPDX-License-Identifier: MIT */
/* ring.c - take records out of a RINGBUF map, while others write (layout.h).
 *
 * A record is ours to read when its slot says that it is committed.  One that
 * is only reserved belongs to a process; when that is dead, nobody will end it,
 * and it is passed over.  Whether it is dead its pid tells only in the same pid
 * namespace; in another one the reader waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime-stub/reader/elems.h"
#include "runtime-stub/ring.h"

enum { RETRIES = 64 }; /* then it is waited for */

struct ring {
	struct ring_head *head;
	struct ring_pair *slot;
	const uint8_t *data;
	uint64_t size;
	uint32_t slots;
};

static struct ring ring_of(const struct reader *r, uint32_t map)
{
	const struct region_map *m = &r->map[map];
	uint8_t *base = r->base + m->data;

	return (struct ring){
		.head = (struct ring_head *)base,
		.slot = (struct ring_pair *)(base + sizeof(struct ring_head)),
		.data = base + ring_data(m->buckets),
		.size = m->stride,
		.slots = m->buckets,
	};
}

static int damaged(const struct reader *r, uint32_t map, struct err *e)
{
	return fail(e, r->path, NOWHERE, "damaged region: ring %s",
		    r->map[map].name);
}

/* The namespace that pids in a map are of, as far as it is known: that of the
 * region's owner, or what all who have a pinned map say. */
static uint32_t namespace_of(const struct reader *r, uint32_t map)
{
	const struct region_header *h = (const void *)r->base;
	const struct pin_header *p =
		(const void *)(r->base + r->map[map].data - PIN_HEADER);

	if (r->map[map].pinned)
		return __atomic_load_n(&p->pid_space, __ATOMIC_ACQUIRE);
	return (uint32_t)(__atomic_load_n(&h->owner, __ATOMIC_ACQUIRE) >> 32);
}

static bool is_dead(const struct reader *r, uint32_t map, uint32_t pid)
{
	struct stat st;

	return pid && stat("/proc/self/ns/pid", &st) == 0 &&
	       namespace_of(r, map) == (uint32_t)st.st_ino &&
	       kill((pid_t)pid, 0) && errno == ESRCH;
}

static uint32_t length_of(const struct ring *g, uint64_t position)
{
	uint32_t flags = (uint32_t)RING_BUSY | (uint32_t)RING_DISCARD;

	return __atomic_load_n((const uint32_t *)(g->data + position % g->size),
			       __ATOMIC_RELAXED) & ~flags;
}

/* The next record's slot; where it has none yet, what will be there. */
static bool slot_of(const struct ring *g, struct ring_pair head,
		    struct ring_pair *s)
{
	struct ring_pair tail = ring_load(&g->head->tail);

	*s = ring_load(&g->slot[head.b % g->slots]);
	if (ring_number(s->a) == head.b + 1) {
		/* Its owner writes whose it is, then where it ends: between
		 * the two that is an older record's end. */
		if ((int64_t)((s->b & ~(uint64_t)RING_STATES) - head.a) <= 0)
			s->b = (head.a + ring_takes(length_of(g, head.a))) |
			       RING_RESERVED;
		return true;
	}
	/* It was added after we looked, and more behind it? */
	if (ring_number(tail.b) != head.b + 1)
		return false;
	*s = (struct ring_pair){ tail.b, tail.a | RING_RESERVED };
	return true;
}

/* The record at `head`.  *again: its writer has died and done something before. */
static int next(const struct reader *r, uint32_t map, struct ring_pair head,
		struct reader_record *out, enum reader_ring *what, bool *again,
		struct err *e)
{
	struct ring g = ring_of(r, map);
	struct ring_pair tail = ring_load(&g.head->tail), s, now;
	uint64_t at = head.a % g.size, room;
	const uint8_t *record = g.data + at;

	*again = false;
	*what = RING_EMPTY;
	if (pin_check(r, map, e))
		return -1;
	if (ring_number(tail.b) == head.b)
		return 0;
	*what = RING_WAIT;
	if (!slot_of(&g, head, &s))
		return 0; /* and look again */
	room = (s.b & ~(uint64_t)RING_STATES) - head.a;
	*out = (struct reader_record){ .number = head.b, .end = head.a + room };
	if (at % 8 || room < RING_HEADER || room > g.size || room % 8)
		return damaged(r, map, e);
	switch (s.b & RING_STATES) {
	case RING_RESERVED:
		if (!is_dead(r, map, ring_owner(s.a)))
			return 0;
		/* What it did between our look and its death counts. */
		*again = !slot_of(&g, head, &now) || now.b != s.b;
		if (!*again)
			*what = RING_SKIPPED;
		return 0;
	case RING_DISCARDED:
		*what = RING_SKIPPED;
		return 0;
	}
	out->len = __atomic_load_n((const uint32_t *)record, __ATOMIC_RELAXED);
	if (ring_takes(out->len) != room)
		return damaged(r, map, e);
	out->data = record + RING_HEADER;
	if (r->map[map].type == BPF_MAP_TYPE_PERF_EVENT_ARRAY) {
		if (out->len < sizeof(out->cpu))
			return damaged(r, map, e);
		out->len -= sizeof(out->cpu);
		memcpy(&out->cpu, out->data + out->len, sizeof(out->cpu));
	}
	*what = RING_RECORD;
	return 0;
}

int reader_ring_after(const struct reader *r, uint32_t map,
		      const struct reader_record *last,
		      struct reader_record *out, enum reader_ring *what,
		      struct err *e)
{
	struct ring_pair head;
	bool again = true;

	if (last)
		head = (struct ring_pair){ last->end, last->number + 1 };
	else
		head = ring_load(&ring_of(r, map).head->head);
	for (int i = 0; again && i < RETRIES; i++)
		if (next(r, map, head, out, what, &again, e))
			return -1;
	return 0;
}

int reader_ring_next(const struct reader *r, uint32_t map,
		     struct reader_record *out, enum reader_ring *what,
		     struct err *e)
{
	return reader_ring_after(r, map, NULL, out, what, e);
}

void reader_ring_done(const struct reader *r, uint32_t map,
		      const struct reader_record *record)
{
	struct ring g = ring_of(r, map);
	struct ring_pair was = ring_load(&g.head->head);

	ring_swap(&g.head->head, was,
		  (struct ring_pair){ record->end, record->number + 1 });
}

/* Would we wait for it? */
static bool is_idle(const struct reader_ring_ref *ring)
{
	struct reader_record record;
	enum reader_ring what;
	struct err e;

	__atomic_store_n(&ring_of(ring->r, ring->map).head->waiting, 1,
			 __ATOMIC_SEQ_CST);
	return reader_ring_next(ring->r, ring->map, &record, &what, &e) == 0 &&
	       (what == RING_EMPTY || what == RING_WAIT);
}

static long sleep_at_one(const struct reader_ring_ref *ring, unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	return syscall(SYS_futex, &ring_of(ring->r, ring->map).head->waiting,
		       FUTEX_WAIT, 1, &t);
}

static long sleep_at_all(const struct reader_ring_ref *ring, size_t n,
			 unsigned ms)
{
	struct futex_waitv v[FUTEX_WAITV_MAX] = { 0 };
	struct timespec t;

	for (size_t i = 0; i < n; i++)
		v[i] = (struct futex_waitv){
			.val = 1,
			.uaddr = (uint64_t)&ring_of(ring[i].r, ring[i].map)
					 .head->waiting,
			.flags = FUTEX_32,
		};
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms % 1000 * 1000000L;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return syscall(SYS_futex_waitv, v, n, 0, &t, CLOCK_MONOTONIC);
}

int reader_rings_sleep(const struct reader_ring_ref *ring, size_t n,
		       unsigned ms)
{
	long ret;

	for (size_t i = 0; i < n; i++)
		if (!is_idle(&ring[i]))
			return 0;
	if (n == 1)
		ret = sleep_at_one(ring, ms);
	else
		ret = sleep_at_all(
			ring, n < FUTEX_WAITV_MAX ? n : FUTEX_WAITV_MAX, ms);
	/* Before Linux 5.16: not for long. */
	if (ret < 0 && (errno == ENOSYS || errno == EPERM))
		ret = usleep(1000 * (ms < 10 ? ms : 10));
	return ret < 0 && errno == EINTR ? -EINTR : 0;
}

uint64_t reader_ring_lost(const struct reader *r, uint32_t map)
{
	const struct ring_head *h = ring_of(r, map).head;

	return __atomic_load_n(&h->dropped, __ATOMIC_RELAXED) - h->told;
}

void reader_ring_told(const struct reader *r, uint32_t map, uint64_t lost)
{
	ring_of(r, map).head->told += lost;
}

/* The file that we have mapped, if it is still there. */
static int file_open(const char *path, uint64_t dev, uint64_t ino)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		return fd;
	close(fd);
	return -1;
}

static bool lock(int fd, uint64_t at, short type)
{
	struct flock l = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)at,
		.l_len = 1,
	};

	return fd >= 0 && fcntl(fd, F_OFD_SETLK, &l) == 0;
}

static bool region_lock(struct reader *r, uint64_t at, short type)
{
	if (r->fd < 0 && type == F_WRLCK)
		r->fd = file_open(r->path, r->dev, r->ino);
	return lock(r->fd, at, type);
}

/* In whose file a ring is, and where: a byte of its data is locked. */
static bool ring_set_lock(struct reader *r, uint32_t map, short type)
{
	struct reader_pin *p =
		r->map[map].pinned ? &r->pin[pin_first(r, map)] : NULL;

	if (!p)
		return region_lock(r, r->map[map].data, type);
	if (p->fd < 0 && type == F_WRLCK)
		p->fd = file_open(p->path, p->dev, p->ino);
	return lock(p->fd, PIN_HEADER, type);
}

bool reader_ring_lock(struct reader *r, uint32_t map)
{
	return ring_set_lock(r, map, F_WRLCK);
}

void reader_ring_unlock(struct reader *r, uint32_t map)
{
	ring_set_lock(r, map, F_UNLCK);
}

/* --- trace_printk ------------------------------------------------------- */

/* Where its records are and how many; NULL: they do not fit. */
static struct region_trace *lines_of(const struct reader *r, uint64_t *slots)
{
	const struct region_header *h = &r->head;
	struct region_trace *t;
	uint64_t size = h->trace_size;

	if (size < sizeof(*t) || !region_has(h, h->trace, size, 8))
		return NULL;
	t = (void *)(r->base + h->trace);
	*slots = __atomic_load_n(&t->slots, __ATOMIC_RELAXED);
	return *slots && *slots <= (size - sizeof(*t)) / sizeof(t->record[0])
		       ? t
		       : NULL;
}

bool reader_prints(const struct reader *r)
{
	uint64_t slots;

	return lines_of(r, &slots) != NULL;
}

bool reader_line(const struct reader *r, uint64_t *next,
		 struct region_trace_record *out, uint64_t *missed)
{
	const struct region_trace_record *rec;
	const struct region_trace *t;
	uint64_t slots, end;

	t = lines_of(r, &slots);
	if (!t)
		return false;
	for (;; ++*next, ++*missed) {
		end = __atomic_load_n(&t->next, __ATOMIC_ACQUIRE);
		if (*next >= end)
			return false;
		if (end - *next > slots) {
			*missed += end - slots - *next;
			*next = end - slots;
		}
		rec = &t->record[*next % slots];
		if (__atomic_load_n(&rec->seq, __ATOMIC_ACQUIRE) < *next + 1)
			return false; /* being written */
		memcpy(out, rec, sizeof(*out));
		if (out->seq == *next + 1 &&
		    __atomic_load_n(&rec->seq, __ATOMIC_ACQUIRE) == out->seq)
			break; /* else it was overwritten */
	}
	out->len = out->len < TRACE_TEXT ? out->len : TRACE_TEXT;
	++*next;
	return true;
}

bool reader_lines_lock(struct reader *r)
{
	return region_lock(r, r->head.trace, F_WRLCK);
}

uint64_t reader_lines_end(const struct reader *r)
{
	uint64_t slots;
	const struct region_trace *t = lines_of(r, &slots);

	return t ? __atomic_load_n(&t->next, __ATOMIC_ACQUIRE) : 0;
}

uint64_t reader_lines_begin(const struct reader *r)
{
	uint64_t slots, read = 0;
	const struct region_trace *t = lines_of(r, &slots);

	if (t)
		read = __atomic_load_n(&t->read, __ATOMIC_RELAXED);
	return read <= reader_lines_end(r) ? read : 0; /* scribbled over */
}

void reader_lines_done(const struct reader *r, uint64_t next)
{
	uint64_t slots;
	struct region_trace *t = lines_of(r, &slots);

	if (t)
		__atomic_store_n(&t->read, next, __ATOMIC_RELAXED);
}
