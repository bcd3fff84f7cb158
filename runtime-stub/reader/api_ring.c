/* SPDX-License-Identifier: MIT */
/* api_ring.c - <bpfweld/reader.h>: consumers of rings, in the shapes of
 * libbpf's ring_buffer and perf_buffer.
 *
 * A callback gets a copy: what is in the region can change under its hands, and
 * a record that was checked twice must be the same both times.
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "runtime-stub/reader/api.h"
#include "runtime-stub/ring.h"

enum {
	SLICE = 100
}; /* ms that a record may come late (reader.h) */

struct source {
	struct bpfweld_map *map;
	bpfweld_sample_fn sample;
	bpfweld_perf_sample_fn perf_sample;
	bpfweld_perf_lost_fn perf_lost;
	void *ctx;
};

struct bpfweld_ring {
	struct source *source;
	struct reader_ring_ref *ref; /* the same */
	size_t n;
	uint8_t *copy;
	size_t room;
	int cpus;
};

struct bpfweld_perf {
	struct bpfweld_ring ring;
};

/* --- Who consumes. */

static int claim(struct bpfweld_map *map, uint32_t type)
{
	struct bpfweld *w = map->w;
	const char *name = api_about(map)->name;
	bool ours;

	if (api_shape(map)->type != type)
		return api_fail(EINVAL, "map %s is no %s", name,
				type == BPF_MAP_TYPE_RINGBUF
					? "ring buffer"
					: "perf event array");
	if (!w->r.writes)
		return api_fail(EPERM, "%s was opened to be read only",
				w->r.path);
	pthread_mutex_lock(&w->lock);
	ours = !map->consumed && reader_ring_lock(&w->r, map->index);
	map->consumed |= ours;
	pthread_mutex_unlock(&w->lock);
	return ours ? 0
		    : api_fail(EBUSY, "somebody else reads ring %s already",
			       name);
}

static void release(struct bpfweld_map *map)
{
	struct bpfweld *w = map->w;

	pthread_mutex_lock(&w->lock);
	reader_ring_unlock(&w->r, map->index);
	map->consumed = false;
	pthread_mutex_unlock(&w->lock);
}

static int add(struct bpfweld_ring *ring, const struct source *s, uint32_t type)
{
	struct source *source;
	struct reader_ring_ref *ref;
	int bad;

	source = realloc(ring->source, (ring->n + 1) * sizeof(*source));
	ring->source = source ? source : ring->source;
	ref = realloc(ring->ref, (ring->n + 1) * sizeof(*ref));
	ring->ref = ref ? ref : ring->ref;
	if (!source || !ref)
		return api_fail(ENOMEM, "out of memory");
	bad = claim(s->map, type);
	if (bad)
		return bad;
	source[ring->n] = *s;
	ref[ring->n] = (struct reader_ring_ref){ &s->map->w->r, s->map->index };
	ring->n++;
	return 0;
}

static void ring_end(struct bpfweld_ring *ring)
{
	for (size_t i = 0; i < ring->n; i++)
		release(ring->source[i].map);
	free(ring->source);
	free(ring->ref);
	free(ring->copy);
}

/* --- Consuming. */

static int copy_make(struct bpfweld_ring *ring, const struct reader_record *r)
{
	uint8_t *larger;

	if (ring->room < r->len || !ring->copy) {
		larger = realloc(ring->copy, r->len + 64);
		if (!larger)
			return api_fail(ENOMEM, "out of memory");
		ring->copy = larger;
		ring->room = r->len + 64;
	}
	memcpy(ring->copy, r->data, r->len);
	return 0;
}

static int hand_over(const struct bpfweld_ring *ring, const struct source *s,
		     const struct reader_record *r)
{
	if (s->sample)
		return s->sample(s->ctx, ring->copy, r->len);
	s->perf_sample(s->ctx, r->cpu < (uint32_t)ring->cpus ? (int)r->cpu : 0,
		       ring->copy, r->len);
	return 0;
}

/* What is in one ring now: that is no more than it has slots. */
static int consume_one(struct bpfweld_ring *ring, size_t i)
{
	const struct source *s = &ring->source[i];
	const struct reader *r = ring->ref[i].r;
	uint32_t map = ring->ref[i].map, most = r->map[map].buckets;
	struct reader_record record;
	enum reader_ring what;
	struct err e;
	int n = 0, ret;

	while (most-- && n < INT_MAX) {
		if (reader_ring_next(r, map, &record, &what, &e))
			return api_err(EIO, &e);
		if (what == RING_EMPTY || what == RING_WAIT)
			break;
		ret = what == RING_RECORD ? copy_make(ring, &record) : 0;
		if (ret)
			return ret;
		if (what == RING_RECORD)
			ret = hand_over(ring, s, &record);
		reader_ring_done(r, map, &record);
		if (ret < 0)
			return ret;
		n += what == RING_RECORD;
	}
	return n;
}

static void perf_tell(struct bpfweld_ring *ring)
{
	for (size_t i = 0; i < ring->n; i++) {
		const struct source *s = &ring->source[i];
		uint64_t n;

		if (!s->perf_lost)
			continue;
		n = reader_ring_lost(ring->ref[i].r, ring->ref[i].map);
		if (!n)
			continue;
		s->perf_lost(s->ctx, -1, n);
		reader_ring_told(ring->ref[i].r, ring->ref[i].map, n);
	}
}

static int consume(struct bpfweld_ring *ring)
{
	int sum = 0, n;

	for (size_t i = 0; i < ring->n; i++) {
		n = consume_one(ring, i);
		if (n < 0)
			return n;
		sum = sum > INT_MAX - n ? INT_MAX : sum + n;
	}
	perf_tell(ring);
	return sum;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int poll_all(struct bpfweld_ring *ring, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms, left;
	int n;

	for (;;) {
		n = consume(ring);
		left = timeout_ms < 0 ? SLICE : end - now_ms();
		if (n || left <= 0)
			return n;
		if (reader_rings_sleep(ring->ref, ring->n,
				       left < SLICE ? (unsigned)left : SLICE))
			return api_fail(EINTR, "a signal came");
	}
}

/* --- RINGBUF. */

int bpfweld_ring_add(struct bpfweld_ring *ring, struct bpfweld_map *map,
		     bpfweld_sample_fn sample_cb, void *ctx)
{
	if (!ring || !map || !sample_cb)
		return api_fail(EINVAL, !ring  ? "no ring"
					: !map ? "no map"
					       : "no callback");
	return add(
		ring,
		&(struct source){ .map = map, .sample = sample_cb, .ctx = ctx },
		BPF_MAP_TYPE_RINGBUF);
}

struct bpfweld_ring *bpfweld_ring_new(struct bpfweld_map *map,
				      bpfweld_sample_fn sample_cb, void *ctx)
{
	struct bpfweld_ring *ring = calloc(1, sizeof(*ring));
	int bad;

	if (!ring) {
		api_fail(ENOMEM, "out of memory");
		return NULL;
	}
	bad = bpfweld_ring_add(ring, map, sample_cb, ctx);
	if (!bad)
		return ring;
	bpfweld_ring_free(ring);
	errno = -bad;
	return NULL;
}

int bpfweld_ring_poll(struct bpfweld_ring *ring, int timeout_ms)
{
	return ring ? poll_all(ring, timeout_ms) : api_fail(EINVAL, "no ring");
}

int bpfweld_ring_consume(struct bpfweld_ring *ring)
{
	return ring ? consume(ring) : api_fail(EINVAL, "no ring");
}

uint64_t bpfweld_ring_lost(struct bpfweld_ring *ring)
{
	uint64_t sum = 0, n;

	for (size_t i = 0; ring && i < ring->n; i++) {
		n = reader_ring_lost(ring->ref[i].r, ring->ref[i].map);
		reader_ring_told(ring->ref[i].r, ring->ref[i].map, n);
		sum += n;
	}
	return sum;
}

void bpfweld_ring_free(struct bpfweld_ring *ring)
{
	if (!ring)
		return;
	ring_end(ring);
	free(ring);
}

/* --- PERF_EVENT_ARRAY. */

struct bpfweld_perf *bpfweld_perf_new(struct bpfweld_map *map,
				      bpfweld_perf_sample_fn sample_cb,
				      bpfweld_perf_lost_fn lost_cb, void *ctx)
{
	struct bpfweld_perf *perf;
	int bad;

	if (!map || !sample_cb) {
		api_fail(EINVAL, map ? "no callback" : "no map");
		return NULL;
	}
	perf = calloc(1, sizeof(*perf));
	if (!perf) {
		api_fail(ENOMEM, "out of memory");
		return NULL;
	}
	perf->ring.cpus = get_nprocs_conf();
	bad = add(&perf->ring,
		  &(struct source){ .map = map,
				    .perf_sample = sample_cb,
				    .perf_lost = lost_cb,
				    .ctx = ctx },
		  BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	if (!bad)
		return perf;
	bpfweld_perf_free(perf);
	errno = -bad;
	return NULL;
}

int bpfweld_perf_poll(struct bpfweld_perf *perf, int timeout_ms)
{
	return perf ? poll_all(&perf->ring, timeout_ms)
		    : api_fail(EINVAL, "no buffer");
}

int bpfweld_perf_consume(struct bpfweld_perf *perf)
{
	return perf ? consume(&perf->ring) : api_fail(EINVAL, "no buffer");
}

void bpfweld_perf_free(struct bpfweld_perf *perf)
{
	if (!perf)
		return;
	ring_end(&perf->ring);
	free(perf);
}
