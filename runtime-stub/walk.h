/* SPDX-License-Identifier: MIT */
/* walk.h - the call chain of a hit, for helpers that want one (walk.c). */
#ifndef BPFWELD_WALK_H
#define BPFWELD_WALK_H

#include "runtime-stub/abi.h"
#include "runtime-stub/mem.h"

struct bpf_stack_build_id;

enum {
	MAX_STACK = 127
}; /* kernel.perf_event_max_stack, where it starts */

struct chain {
	any64 *to;           /* where the first address goes ... */
	uint32_t step;       /* ... and words from there to the next one */
	uint32_t skip, most; /* addresses left out; collected, with those */
	uint32_t found;
};

#pragma GCC visibility push(hidden)
uint32_t chain_most(uint32_t room, uint32_t skip);
/* found = most, or as many as there are. */
void chain_walk(struct chain *c, const struct hit *hit, struct run *run);
/* buildid.c: from n addresses, which stand in .ip, to build ids and offsets
 * where the file is known. */
void chain_build_ids(struct bpf_stack_build_id *at, uint32_t n);
/* returns.c: a return address, or where that leads to through pads. */
__attribute__((no_caller_saved_registers)) uint64_t weld_origin(uint64_t ret);
#pragma GCC visibility pop

#endif
