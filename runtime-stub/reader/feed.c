/* SPDX-License-Identifier: MIT */
/* feed.c - write samples for programs to drain: USER_RINGBUF maps (layout.h).
 *
 * A producer that dies loses its lock, and leaves at most one sample busy, or
 * more if it has begun more.  Nobody will end them: the next producer discards
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime-stub/reader/elems.h"
#include "runtime-stub/ring.h"

#define BUSY ((uint32_t)RING_BUSY)
#define FLAGS (BUSY | (uint32_t)RING_DISCARD)

bool user_ring_fits(const struct region_header *h, const struct region_map *m)
{
	(void)h;
	return m->data % 64 == 0 && m->stride &&
	       (m->stride & (m->stride - 1)) == 0 &&
	       user_ring_size(m->stride) <= m->size;
}

static struct user_ring_head *head_of(const struct reader *r,
				      const struct region_map *m)
{
	return (struct user_ring_head *)(r->base + m->data);
}

/* The first word of the sample at a position. */
static uint32_t *sample_at(const struct reader *r, const struct region_map *m,
			   uint64_t at)
{
	uint8_t *data = (uint8_t *)(head_of(r, m) + 1);

	return (uint32_t *)(data + (at & (m->stride - 1) & ~UINT64_C(7)));
}

/* Each sample from *at on, until there is none, or none that could be. */
static uint32_t *next_sample(const struct reader *r, const struct region_map *m,
			     uint64_t *at, uint64_t end)
{
	uint32_t *sample = sample_at(r, m, *at), len;

	if (*at >= end || end - *at > m->stride)
		return NULL;
	len = __atomic_load_n(sample, __ATOMIC_ACQUIRE) & ~FLAGS;
	if (ring_takes(len) > end - *at)
		return NULL;
	*at += ring_takes(len);
	return sample;
}

uint64_t user_ring_count(const struct reader *r, const struct region_map *m)
{
	struct user_ring_head *h = head_of(r, m);
	uint64_t at = __atomic_load_n(&h->consumer, __ATOMIC_ACQUIRE), n = 0;
	uint64_t end = __atomic_load_n(&h->producer, __ATOMIC_ACQUIRE);

	while (next_sample(r, m, &at, end))
		n++;
	return n;
}

/* What others have begun, they will not end. */
static void recover(const struct reader *r, const struct region_map *m)
{
	struct user_ring_head *h = head_of(r, m);
	uint64_t at = __atomic_load_n(&h->consumer, __ATOMIC_ACQUIRE);
	uint64_t end = __atomic_load_n(&h->producer, __ATOMIC_ACQUIRE);
	uint32_t *sample, word;

	while ((sample = next_sample(r, m, &at, end))) {
		word = __atomic_load_n(sample, __ATOMIC_ACQUIRE);
		if (word & BUSY)
			__atomic_store_n(sample, (word & ~BUSY) | RING_DISCARD,
					 __ATOMIC_RELEASE);
	}
	/* Behind something that cannot be, nobody would ever get on. */
	if (at != end)
		__atomic_store_n(&h->producer, at, __ATOMIC_RELEASE);
}

int reader_feed_open(const struct reader *r, uint32_t map,
		     struct reader_feed *out, struct err *e)
{
	const struct region_map *m = &r->map[map];
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)m->data,
			      .l_len = 1 };

	*out = (struct reader_feed){ .r = r, .map = map, .fd = -1 };
	if (m->type != BPF_MAP_TYPE_USER_RINGBUF)
		return fail(e, r->path, NOWHERE,
			    "map %s is no user ring buffer", m->name);
	out->fd = open(r->path, O_RDWR | O_CLOEXEC);
	if (out->fd < 0)
		return fail(e, r->path, NOWHERE, "%s", strerror(errno));
	if (fcntl(out->fd, F_OFD_SETLK, &lock)) {
		reader_feed_close(out);
		return fail(e, r->path, NOWHERE, "another process writes to %s",
			    m->name);
	}
	recover(r, m);
	return 0;
}

void reader_feed_close(struct reader_feed *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

void *reader_feed_reserve(const struct reader_feed *f, uint32_t len,
			  bool *never)
{
	const struct region_map *m = &f->r->map[f->map];
	struct user_ring_head *h = head_of(f->r, m);
	uint64_t from = __atomic_load_n(&h->consumer, __ATOMIC_ACQUIRE);
	uint64_t at = __atomic_load_n(&h->producer, __ATOMIC_RELAXED);
	uint64_t takes = ring_takes(len);
	uint32_t *sample = sample_at(f->r, m, at);

	*never = len >= 1 << 24 || takes > m->stride;
	if (*never || at - from + takes > m->stride)
		return NULL;
	sample[1] = 0;
	__atomic_store_n(sample, len | BUSY, __ATOMIC_RELAXED);
	__atomic_store_n(&h->producer, at + takes, __ATOMIC_RELEASE);
	return sample + 2;
}

static void end(void *data, uint32_t flags)
{
	uint32_t *sample = (uint32_t *)data - 2;
	uint32_t len = __atomic_load_n(sample, __ATOMIC_RELAXED) & ~FLAGS;

	__atomic_store_n(sample, len | flags, __ATOMIC_RELEASE);
}

void reader_feed_submit(void *sample)
{
	end(sample, 0);
}

void reader_feed_discard(void *sample)
{
	end(sample, RING_DISCARD);
}

void reader_feed_sleep(const struct reader_feed *f, unsigned ms)
{
	const struct region_map *m = &f->r->map[f->map];
	struct user_ring_head *h = head_of(f->r, m);
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	uint64_t from = __atomic_load_n(&h->consumer, __ATOMIC_ACQUIRE);

	__atomic_store_n(&h->waiting, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&h->consumer, __ATOMIC_SEQ_CST) == from)
		syscall(SYS_futex, &h->waiting, FUTEX_WAIT, 1, &t);
}
