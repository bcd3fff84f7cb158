/* SPDX-License-Identifier: MIT */
/* live.h - what live.c and care.c share; private to the two.
 *
 * Both go backwards over a program until nothing changes, and both follow
 * registers by a bit each and the stack of a function by halves of slots.
 */
#ifndef BPFWELD_VERIFY_LIVE_H
#define BPFWELD_VERIFY_LIVE_H

#include "rewriter/code/helper.h"
#include "rewriter/verify/verifier.h"

enum {
	ARGS = 0x3e, /* r1..r5 */
	CLOBBERED = ARGS | 1,
	HALF = 4,
	HALVES = STACK / HALF,
	DYNPTR_SIZE = 16,
};

struct halves { /* [k]: r10 - HALF * (k + 1) */
	uint64_t word[HALVES / 64];
};

/* What one instruction does to the frame of its function: what it may read,
 * what it has wholly written, what it may have written to. */
struct effect {
	struct halves reads, kills, touches;
};

struct live {
	uint16_t *regs;      /* before each instruction */
	struct halves *slot; /* the same */
	struct effect *effect;
	bool *escapes;       /* of each function: others see its frame */
	uint16_t *care;
	struct halves *care_slot;
};

uint32_t live_sub(const struct bpf_prog *p, uint32_t i);
/* Where an instruction goes: how many. */
uint32_t live_follow(const struct bpf_insn *insn, uint32_t i, uint32_t next[2]);
/* `one` for each instruction, from the last to the first, until none changes. */
void live_settle(const struct bpf_prog *p, bool (*one)(void *arg, uint32_t i),
		 void *arg);

#endif
