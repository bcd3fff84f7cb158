/* SPDX-License-Identifier: MIT */
/* jumble.h - random programs in which paths meet again and again.
 *
 * Much is kept on the stack in parts and in copies; what a register is depends
 * on another one's number; loops, callbacks and subprograms change it.  Most is
 * right, as a note is kept of what each register holds; now and then it is
 * taken for something else.  The same seed is the same program.
 */
#ifndef BPFWELD_TESTS_JUMBLE_H
#define BPFWELD_TESTS_JUMBLE_H

#include <linux/bpf.h>
#include <stdint.h>

enum {
	JUMBLE_MAX = 400,
	JUMBLE_SUBS = 4
};
/* Maps, by the numbers in lddw. */
enum jumble_map {
	JUMBLE_ARRAY, /* 4 values of 64 bytes */
	JUMBLE_HASH,  /* keys of 8, values of 64 bytes */
	JUMBLE_RING,
	JUMBLE_DATA, /* one value of 64 bytes */
	JUMBLE_MAPS
};
/* Iterators, by the numbers of ours. */
enum {
	JUMBLE_ITER_NEW = 252,
	JUMBLE_ITER_NEXT,
	JUMBLE_ITER_DESTROY
};
struct jumble {
	struct bpf_insn insn[JUMBLE_MAX];
	uint32_t ninsn;
	uint32_t sub[JUMBLE_SUBS]; /* first instructions of functions */
	uint32_t nsub;
};
void jumble(uint64_t seed, struct jumble *out);

#endif
