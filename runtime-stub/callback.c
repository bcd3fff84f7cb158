/* SPDX-License-Identifier: MIT */
/* callback.c - helpers that call a compiled subprogram back: r2 is the address
 * of its function form. */
#include "runtime-stub/callback.h"
#include "runtime-stub/stub.h"

typedef uint64_t subprogram(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4,
			    uint64_t r5, struct run *run);
struct code {
	subprogram *sub;
	struct run *run;
};

static uint64_t call_code(const void *self, uint64_t r1, uint64_t r2,
			  uint64_t r3, uint64_t r4)
{
	const struct code *c = self;

	return c->sub(r1, r2, r3, r4, 0, c->run);
}

DEFINE_HELPER(loop)
{
	const struct code c = { (subprogram *)r2, run };

	return loop_run(r1, r4, r3, call_code, &c);
}

DEFINE_HELPER(user_ringbuf_drain)
{
	const struct code c = { (subprogram *)r2, run };

	return user_ring_drain((const void *)r1, r4, r3, call_code, &c);
}

DEFINE_HELPER(for_each_map_elem)
{
	const struct code c = { (subprogram *)r2, run };

	return map_each((const void *)r1, r4, r3, call_code, &c, run);
}
