/* SPDX-License-Identifier: MIT */
/* iter.c - bpf_iter_num_new(), _next() and _destroy(), which bpf_for() is made
 * of: results as of kernel/bpf/bpf_iter.c.
 *
 * The iterator is eight bytes of the program's stack: the number that it is at,
 * to which _next() returns a pointer, and the end.
 */
#include <linux/errno.h>

#include "runtime-stub/callback.h"
#include "runtime-stub/stub.h"

struct iter_num {
	int32_t at, end;
};

static void stop(struct iter_num *it)
{
	it->at = it->end = 0;
}

DEFINE_HELPER(iter_num_new)
{
	struct iter_num *it = (struct iter_num *)r1;
	int64_t start = (int32_t)r2, end = (int32_t)r3;

	stop(it);
	if (start > end)
		return (uint64_t)-EINVAL;
	if (end - start > LOOPS_MAX)
		return (uint64_t)-E2BIG;
	it->at = (int32_t)((uint32_t)start - 1);
	it->end = (int32_t)end;
	return 0;
}

DEFINE_HELPER(iter_num_next)
{
	struct iter_num *it = (struct iter_num *)r1;
	int32_t next = (int32_t)((uint32_t)it->at + 1);

	if (next >= it->end) {
		stop(it);
		return 0;
	}
	it->at = next;
	return (uint64_t)&it->at;
}

DEFINE_HELPER(iter_num_destroy)
{
	stop((struct iter_num *)r1);
	return 0;
}
