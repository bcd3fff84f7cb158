/* SPDX-License-Identifier: MIT */
/* change.h - a program with something in it changed, by chance.
 *
 * In:   a linked program, and where chance begins.
 * Out:  the same with one to three changes: a register, an offset, a number, an
 *       operation, a target is another one; an instruction is gone, is there
 *       twice, or has changed places with the next.
 * Then: its instructions, sub and line are its own.  References to maps and
 *       calls of subprograms lead where they led.  Nothing else is promised.
 */
#ifndef BPFWELD_TESTS_CHANGE_H
#define BPFWELD_TESTS_CHANGE_H

#include "rewriter/bpf/bpf.h"

struct chance {
	uint64_t state;
};
struct chance chance_of(uint64_t seed);
uint32_t chance_below(struct chance *c, uint32_t n);

void change(struct arena *a, struct chance *c, const struct bpf_set *set,
	    struct bpf_prog *p);

#endif
