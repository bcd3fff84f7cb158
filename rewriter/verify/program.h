/* SPDX-License-Identifier: MIT */
/* program.h - the verifier: is a program right, whatever it is called with?
 *
 * In:   a linked program that passed bpf_check().
 * Out:  it is accepted as it is; or accepted with guards put into it, where
 *       something could not be proved; or an error that says why not.
 * Then: whatever values registers and memory hold, a run of it ends, and touches
 *       nothing but its stack, ctx, the values of its maps and what helpers
 *       gave it; each helper gets what it demands; what was reserved is given
 *       back.
 * The rules are those of kernel/bpf/verifier.c for privileged programs.
 */
#ifndef BPFWELD_VERIFY_PROGRAM_H
#define BPFWELD_VERIFY_PROGRAM_H

#include <stdio.h>

#include "rewriter/bpf/bpf.h"

struct verified {
	uint64_t processed; /* instructions looked at, all times through */
	uint32_t guards;
	/* How many instructions a run takes at most (UINT64_MAX: or more); and
	 * how many, if what guards of loops and turns charge for is left out.
	 * (GUARD_RUNs are not counted.) */
	uint64_t longest, once;
};

/* `log`, if not NULL, gets every instruction on every path with what is known
 * before it. */
int verify_program(struct arena *a, const struct bpf_set *set,
		   struct bpf_prog *p, const char *file, FILE *log,
		   struct verified *out, struct err *e);

/* For tests: all numbers matter from the start.  That takes longer, and comes to
 * the same. */
extern bool verify_exactly;
/* Longer runs have their turns charged; tests may want that of others. */
extern uint64_t verify_longest;

#endif
