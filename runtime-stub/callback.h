/* SPDX-License-Identifier: MIT */
/* callback.h - helpers that call a program back.
 *
 * The helper for compiled programs calls a subprogram's function form; the VM
 * has the same loops call its interpreter.  What differs is the callback_fn.
 * Arguments and results: kernel/bpf/bpf_iter.c, bpf_loop().
 */
#ifndef BPFWELD_CALLBACK_H
#define BPFWELD_CALLBACK_H

#include <linux/errno.h>

#include "runtime-stub/abi.h"

/* Runs the subprogram that `self` stands for with r1 to r4; r5 is 0. */
typedef uint64_t callback_fn(const void *self, uint64_t r1, uint64_t r2,
			     uint64_t r3, uint64_t r4);

enum {
	LOOPS_MAX = 8 << 20
}; /* BPF_MAX_LOOPS */

/* bpf_loop(): how many times the callback ran. */
static inline __attribute__((always_inline)) uint64_t
loop_run(uint64_t times, uint64_t flags, uint64_t ctx, callback_fn *call,
	 const void *self)
{
	uint32_t n = (uint32_t)times, i;

	if (flags)
		return (uint64_t)-EINVAL;
	if (n > LOOPS_MAX)
		return (uint64_t)-E2BIG;
	for (i = 0; i < n; i++)
		if (call(self, i, ctx, 0, 0))
			return i + 1;
	return i;
}

#pragma GCC visibility push(hidden)
/* each.c: bpf_for_each_map_elem(); hash_each.c: the same of a hash. */
uint64_t map_each(const struct region_map *m, uint64_t flags, uint64_t ctx,
		  callback_fn *call, const void *self, struct run *run);
/* user_ring.c: bpf_user_ringbuf_drain() */
uint64_t user_ring_drain(const struct region_map *m, uint64_t flags,
			 uint64_t ctx, callback_fn *call, const void *self);
uint64_t hash_each(const struct region_map *m, uint64_t ctx, callback_fn *call,
		   const void *self, struct run *run);
#pragma GCC visibility pop

#endif
