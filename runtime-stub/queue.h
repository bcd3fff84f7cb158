/* SPDX-License-Identifier: MIT */
/* queue.h - the parts of QUEUE and STACK maps (layout.h) that the stub and the
 * readers must agree on. */
#ifndef BPFWELD_QUEUE_H
#define BPFWELD_QUEUE_H

#include "runtime-stub/layout.h"

static inline uint32_t queue_begin(struct ring_pair now)
{
	return (uint32_t)now.a;
}

static inline uint32_t queue_end(struct ring_pair now)
{
	return (uint32_t)(now.a >> 32);
}

static inline uint32_t queue_length(struct ring_pair now)
{
	return queue_end(now) - queue_begin(now);
}

static inline uint64_t queue_pool(uint32_t slots)
{
	return sizeof(struct queue_head) + UINT64_C(8) * slots;
}

#endif
