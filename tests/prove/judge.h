/* SPDX-License-Identifier: MIT */
/* judge.h - run a program with every step looked at.
 *
 * Registers are set before they are read.  Each byte it reads or writes, itself
 * or by a helper, has to be in an object that it may touch there: a frame, one
 * value of a map, a record that it has and has not given away, ctx.
 */
#ifndef BPFWELD_PROVE_JUDGE_H
#define BPFWELD_PROVE_JUDGE_H

#include <stdbool.h>

#include "rewriter/bpf/bpf.h"

enum {
	JUDGE_FRAMES = 8,
	JUDGE_STACK = 512,
	JUDGE_STEPS = 200000
};

struct judge_frame {
	uint64_t r[11];
	uint16_t regs;  /* which of them were set, a bit each */
	uint32_t call;  /* the call that made it; UINT32_MAX: the first */
	uint32_t left;  /* of bpf_loop(), here: rounds, with this one */
	uint8_t *stack; /* its lower end */
	uint8_t set[JUDGE_STACK];
};
struct judge_record {
	uint64_t addr, size;
	bool live;
};

struct place;
struct judge {
	const struct bpf_prog *p;
	const struct place *place; /* where things are, and what is in them */
	/* Called before each instruction; -1 stops the run. */
	int (*see)(struct judge *j, uint32_t i, void *arg);
	void *arg;

	uint32_t depth, steps;
	uint64_t used_up; /* of what the run has for its loops */
	struct judge_frame frame[JUDGE_FRAMES];
	struct judge_record record[256];
	uint32_t nrecord;
	uint64_t key, nkey; /* what for_each_map_elem() shows */
	uint64_t result;
	bool has_result; /* the function that returned last */
	bool failed;     /* a guard ended the run */
	bool too_long;
	bool by_chance;  /* stack bytes were read that it never set, or where a
			    helper has a key decided a jump */
	uint32_t at;     /* instruction of what is wrong */
	char wrong[240]; /* what it did that it may not; "": nothing */
};

void judge_run(struct judge *j);

/* judge_alu.c: an ALU instruction; is a jump taken?  v, of so many bits, with
 * its sign. */
void judge_alu(const struct bpf_insn *i, uint64_t *r);
bool judge_taken(const struct bpf_insn *i, const uint64_t *r);
uint64_t judge_sign(uint64_t v, unsigned bits);

#endif
