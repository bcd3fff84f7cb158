/* SPDX-License-Identifier: MIT */
/* place.h - where a run has its ctx, its frames and its functions: elsewhere in
 * each way, in high bits and in low ones, as they are in each engine.
 */
#ifndef BPFWELD_PROVE_PLACE_H
#define BPFWELD_PROVE_PLACE_H

#include "judge.h"
#include "runtime-stub/abi.h"

enum {
	PLACES = 64
};
struct place {
	struct hit *ctx;
	uint8_t *frame[JUDGE_FRAMES]; /* the lower end of each one's stack */
	uint8_t fill;                 /* what was there */
	uint32_t below;  /* helpers have their frames so many bytes lower */
	uint64_t code;   /* a function is here + 8 * its first insn */
	uint64_t ip, sp; /* what ctx says */
};
const struct place *place_of(uint32_t way);

#endif
