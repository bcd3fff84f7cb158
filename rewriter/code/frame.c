/* SPDX-License-Identifier: MIT */
/* frame.c - what is read of a trampoline's frame. */
#include "rewriter/code/compile.h"
#include "rewriter/code/x86.h"

void frame_sp(struct code *c, int dst, const struct frame *fr)
{
	struct mem other = { .base = RSP, .disp = fr->other };
	struct mem sp = { .base = fr->other ? dst : RSP,
			  .disp = (int32_t)fr->sp };

	if (fr->other)
		x86_load(c, 8, false, dst, &other);
	if (!fr->other || fr->sp)
		x86_lea(c, dst, &sp);
}
