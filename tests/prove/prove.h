/* SPDX-License-Identifier: MIT */
/* prove.h - one program made, verified, and run in every way.
 *
 * What the verifier accepts
 *   touches nothing but its objects        judge.h
 *   holds in its registers what the verifier said it may hold   watch.h
 *   gives the same result, and leaves the same maps, in all engines
 */
#ifndef BPFWELD_PROVE_PROVE_H
#define BPFWELD_PROVE_PROVE_H

#include <stdbool.h>

#include "make.h"

struct tally {
	uint64_t made, shapeless, refused, accepted, guarded, charged;
	uint64_t ran, failed, too_long, by_chance;
	uint64_t processed, most_processed;
};

extern bool prove_loud; /* print each program and its verdict */

/* 0: as it should be; 1: it is not, and why was printed. */
int prove(struct dice *d, struct tally *t);

#endif
