/* SPDX-License-Identifier: MIT */
/* tail.c - where a tail call leads (tail.h).
 *
 * As the kernel counts (emit_bpf_tail_call_indirect() in
 * arch/x86/net/bpf_jit_comp.c): 33 for each run of a program, its subprograms'
 * calls included, and only those that lead somewhere.
 *
 * A call in a subprogram leaves the frames of its callers where they are, and
 * the program it leads to may call subprograms again.  The kernel bounds that
 * by refusing programs with more than 256 bytes of stack there; here a call is
 * not taken when the run has used too much of the target's stack already, or
 * there is not enough left: a thread may have as little as 16 KiB.
 */
#include "runtime-stub/tail.h"
#include "runtime-stub/fault.h"
#include "runtime-stub/refs.h"
#include "runtime-stub/stub.h"

enum {
	TAILS_MAX = 33, /* MAX_TAIL_CALL_CNT */
	/* Bytes of stack: what a run may have used, what without a question,
	 * and what a program wants, with its subprograms and helpers. */
	STACK_MAX = 32 << 10,
	STACK_FREE = 4 << 10,
	STACK_ROOM = 8 << 10
};

static bool has_room(uint64_t frame, uint64_t used)
{
	return used <= STACK_FREE ||
	       (used <= STACK_MAX && can_read(frame - STACK_ROOM, 1));
}

struct tail weld_tail(uint64_t ctx, const struct region_map *m, uint64_t index)
{
	const uint8_t *info = (const uint8_t *)&weld_info;
	const int32_t *progs = (const int32_t *)(info + weld_info.progs);
	struct hit *hit = (struct hit *)ctx;
	uint64_t frame = (uint64_t)__builtin_frame_address(0);
	uint32_t i = (uint32_t)index, prog;

	if (!map_has_progs(m->type) || i >= m->max_entries ||
	    hit->tails >= TAILS_MAX || !has_room(frame, ctx - frame))
		return (struct tail){ 0, 0 };
	prog = __atomic_load_n((const uint32_t *)(weld_region + m->data +
						  (uint64_t)i * m->stride),
			       __ATOMIC_RELAXED);
	if (prog == 0 || prog > weld_info.prog_count || !progs[prog - 1])
		return (struct tail){ 0, 0 };
	hit->tails++;
	return (struct tail){ (uint64_t)(info + progs[prog - 1]), ctx };
}

/* Compiled programs and the VM call weld_tail(). */
DEFINE_HELPER(tail_call)
{
	return 0;
}
