/* SPDX-License-Identifier: MIT */
/* guard.h - the guard instruction: what the rewriter puts into a program where
 * it could not prove that the program is right.
 *
 *     code      GUARD, which neither the kernel nor RFC 9669 has, and which no
 *               object may contain
 *     src_reg   GUARD_RANGE  dst_reg = r, imm = max (u32): if ((u64)r > max)
 *                            the run fails
 *               GUARD_LOOP   an iteration of a loop whose end is not proved:
 *                            of what a run has (GUARD_LEFT), imm is used up;
 *                            where there was not so much, the run fails.
 *                            GUARD_WEIGHT, or more: there are at most
 *                            GUARD_BUDGET iterations
 *               GUARD_TURN   the same, of a loop that ends, but perhaps not
 *                            soon: a turn of it takes at most imm times
 *                            GUARD_UNIT instructions
 *               GUARD_RUN    behind each call of a subprogram, and of a helper
 *                            that calls one back, in which the run may fail: if
 *                            it did, return at once
 *
 * All other fields are 0; r is not r10.  No register changes.
 *
 * "The run fails": nothing of this hit's program is executed any more.  A
 * subprogram or callback returns 1, so that bpf_loop(), bpf_for_each_map_elem()
 * and bpf_user_ringbuf_drain() stop; GUARD_RUN makes its callers return, too.
 * The program's result is 0, and the probe's region_count.failed goes up.  Where
 * a tail call was taken, it is the program it led to that ends, with a budget of
 * its own.  What the program did before stays done.
 *
 * What is known of a run is one number, run.left in abi.h: how much it may still
 * use up; negative when the run has failed.
 */
#ifndef BPFWELD_GUARD_H
#define BPFWELD_GUARD_H

#include <linux/bpf.h>
#include <stdbool.h>

enum {
	GUARD = BPF_JMP32 | BPF_CALL,
	GUARD_RANGE = 1,
	GUARD_LOOP = 2,
	GUARD_RUN = 3,
	GUARD_TURN = 4,
	GUARD_BUDGET = 8 << 20, /* BPF_MAX_LOOPS */
	GUARD_WEIGHT = 64,
	GUARD_LEFT = GUARD_BUDGET * GUARD_WEIGHT,
	GUARD_UNIT = 8, /* so a run has 4,294,967,296 instructions */
};

static inline bool is_guard(const struct bpf_insn *i)
{
	return i->code == GUARD;
}
static inline bool is_guard_of(const struct bpf_insn *i, int kind)
{
	return is_guard(i) && i->src_reg == kind;
}
static inline struct bpf_insn guard_range(int reg, uint32_t max)
{
	return (struct bpf_insn){ .code = GUARD, .src_reg = GUARD_RANGE,
				  .dst_reg = (uint8_t)reg & 15,
				  .imm = (int32_t)max };
}
static inline struct bpf_insn guard_loop(void)
{
	return (struct bpf_insn){ .code = GUARD, .src_reg = GUARD_LOOP,
				  .imm = GUARD_WEIGHT };
}
static inline struct bpf_insn guard_turn(int32_t weight)
{
	return (struct bpf_insn){ .code = GUARD, .src_reg = GUARD_TURN,
				  .imm = weight };
}
static inline struct bpf_insn guard_run(void)
{
	return (struct bpf_insn){ .code = GUARD, .src_reg = GUARD_RUN };
}

#endif
