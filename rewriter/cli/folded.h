/* SPDX-License-Identifier: MIT */
/* folded.h - call chains as lines for flame graphs: a STACK_TRACE map's, with
 * numbers from a map whose keys have chains' numbers.
 *
 *     comm;outer;...;inner COUNT
 *
 * The counts' key, or where that has none the value, is or has a stack id: an
 * integer of four or eight bytes whose name has "stack" in it ("kern" does not
 * count).  What is counted is the value, or its first integer that is not the
 * id; values for each CPU are added up.  comm is a string in the key, or the
 * target's name.
 */
#ifndef BPFWELD_FOLDED_H
#define BPFWELD_FOLDED_H

#include "rewriter/cli/maps.h"

/* `counts`: that map's name; NULL: each chain counts 1. */
int folded_print(struct maps *maps, uint32_t stacks, const char *counts,
		 struct err *e);

#endif
