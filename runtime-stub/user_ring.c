/* SPDX-License-Identifier: MIT */
/* user_ring.c - bpf_user_ringbuf_drain(): samples from outside (layout.h).
 *
 * One run drains a ring at a time; for another it is -EBUSY.  The word that
 * says so names the thread, so that whoever comes next can tell that it is dead
 * and take the ring over.  Two cannot meet all the same: a sample is passed by
 * changing `consumer` from where it begins, which only one of them can.
 *
 *   killed before that   the next one sees the sample again
 *   killed behind it     it has been drained
 *
 * Results and checks of what the producer wrote are the kernel's
 * (kernel/bpf/ringbuf.c, bpf_user_ringbuf_drain(), __bpf_user_ringbuf_peek()).
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/futex.h>

#include "runtime-stub/callback.h"
#include "runtime-stub/dynptr.h"
#include "runtime-stub/ring.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum {
	SAMPLES_MAX = 128 << 10
}; /* BPF_MAX_USER_RINGBUF_SAMPLES */
#define FLAGS ((uint64_t)(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))

struct user_ring {
	struct user_ring_head *head;
	uint8_t *data;
	uint64_t size;
};
struct sample {
	uint8_t *data;
	uint32_t len;
	uint64_t at, end; /* positions */
};

/* How many of our process are in here. */
static uint32_t inside;

static struct user_ring user_ring_of(const struct region_map *m)
{
	uint8_t *base = weld_region + m->data;

	return (struct user_ring){
		.head = (struct user_ring_head *)base,
		.data = base + sizeof(struct user_ring_head),
		.size = m->stride,
	};
}

/* Will who has the ring never give it back?  We are not it when nobody else of
 * our process is inside: then our thread's number is from before an exec. */
static bool is_left(uint64_t drainer, uint64_t us)
{
	if (drainer == us)
		return __atomic_load_n(&inside, __ATOMIC_ACQUIRE) == 1;
	return own_is_dead(drainer, us);
}

static bool claim(struct user_ring_head *h, uint64_t us)
{
	uint64_t was = __atomic_load_n(&h->drainer, __ATOMIC_ACQUIRE);

	return (!was || is_left(was, us)) &&
	       __atomic_compare_exchange_n(&h->drainer, &was, us, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void give_back(struct user_ring_head *h, uint64_t us)
{
	__atomic_compare_exchange_n(&h->drainer, &us, 0, false,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static void pass(struct user_ring_head *h, const struct sample *s)
{
	uint64_t at = s->at;

	__atomic_compare_exchange_n(&h->consumer, &at, s->end, false,
				    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* -ENODATA: there is none, or it is being written; -EAGAIN: it was passed. */
static long peek(const struct user_ring *r, struct sample *s)
{
	uint64_t end = __atomic_load_n(&r->head->producer, __ATOMIC_ACQUIRE);
	uint64_t at = __atomic_load_n(&r->head->consumer, __ATOMIC_ACQUIRE);
	uint8_t *header = r->data + (at & (r->size - 1) & ~UINT64_C(7));
	uint32_t word, len;
	uint64_t takes;

	if (end % 8)
		return -EINVAL;
	if (at >= end)
		return -ENODATA;
	word = __atomic_load_n((uint32_t *)header, __ATOMIC_ACQUIRE);
	len = word & ~((uint32_t)RING_BUSY | RING_DISCARD);
	takes = ring_takes(len);
	if (takes > end - at)
		return -EINVAL;
	if (takes > r->size || len > DYNPTR_MAX)
		return -E2BIG;
	*s = (struct sample){ header + RING_HEADER, len, at, at + takes };
	if (word & RING_DISCARD) {
		pass(r->head, s);
		return -EAGAIN;
	}
	return word & (uint32_t)RING_BUSY ? -ENODATA : 0;
}

static void wake(struct user_ring_head *h)
{
	if (__atomic_load_n(&h->waiting, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&h->waiting, 0, __ATOMIC_RELAXED))
		sys3(__NR_futex, (long)&h->waiting, FUTEX_WAKE, 1);
}

/* How many samples the callback saw, or an error; *seen: discarded ones too. */
static long drain(const struct user_ring *r, uint64_t ctx, callback_fn *call,
		  const void *self, uint32_t *seen)
{
	uint32_t discarded = 0;
	uint64_t stop = 0;

	for (*seen = 0; *seen < SAMPLES_MAX && !stop; ++*seen) {
		struct dynptr p = { 0 };
		struct sample s;
		long bad = peek(r, &s);

		if (bad == -ENODATA)
			break;
		if (bad == -EAGAIN) {
			discarded++;
			continue;
		}
		if (bad)
			return bad;
		p.data = (uint64_t)s.data;
		p.size = s.len;
		stop = call(self, (uint64_t)&p, ctx, 0, 0);
		pass(r->head, &s);
	}
	return *seen - discarded;
}

uint64_t user_ring_drain(const struct region_map *m, uint64_t flags,
			 uint64_t ctx, callback_fn *call, const void *self)
{
	struct user_ring r = user_ring_of(m);
	uint64_t us = (own_self() & ~(uint64_t)UINT32_MAX) |
		      (uint32_t)sys0(__NR_gettid);
	uint32_t seen = 0;
	long ret = -EBUSY;

	if (flags & ~FLAGS || m->type != BPF_MAP_TYPE_USER_RINGBUF)
		return (uint64_t)-EINVAL;
	__atomic_fetch_add(&inside, 1, __ATOMIC_ACQ_REL);
	if (claim(r.head, us)) {
		ret = drain(&r, ctx, call, self, &seen);
		give_back(r.head, us);
		if (flags & BPF_RB_FORCE_WAKEUP ||
		    (!(flags & BPF_RB_NO_WAKEUP) && seen))
			wake(r.head);
	}
	__atomic_fetch_sub(&inside, 1, __ATOMIC_ACQ_REL);
	return (uint64_t)ret;
}
