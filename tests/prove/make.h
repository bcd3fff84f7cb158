/* SPDX-License-Identifier: MIT */
/* make.h - programs for the verifier, made of what decisions say.
 *
 * Decisions are bytes, a fuzzer's input, or random numbers.  A program is made
 * by someone who keeps in mind what each register holds, so that many are
 * right; but makes mistakes now and then: a bound off by one, a missing test
 * for NULL, a register that holds something else on one of two paths.
 */
#ifndef BPFWELD_PROVE_MAKE_H
#define BPFWELD_PROVE_MAKE_H

#include "rewriter/bpf/bpf.h"

struct dice {
	const uint8_t *byte; /* what is left of the input, or NULL */
	size_t nbyte;
	uint64_t seed; /* of random numbers, when there are no bytes */
};
uint32_t dice_below(struct dice *d, uint32_t n);
uint64_t dice_word(struct dice *d);

enum {
	MADE_MAX = 900,
	MADE_SUBS = 4
};
struct made {
	struct bpf_insn insn[MADE_MAX];
	uint32_t sub[MADE_SUBS];
	struct bpf_prog prog;
};
void make_program(struct dice *d, struct made *out);

#endif
