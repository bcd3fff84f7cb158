/* SPDX-License-Identifier: MIT */
/* tail.h - bpf_tail_call(), in two steps.
 *
 * weld_tail() says where the program goes on: at a program's function form, or
 * at its first instruction for the VM.  The caller gives up its own frame and
 * goes there with `ctx` for r1, so that a chain of programs needs the stack of
 * one; what it returns goes to whoever called the one that was left.
 */
#ifndef BPFWELD_TAIL_H
#define BPFWELD_TAIL_H

#include "runtime-stub/abi.h"

struct tail {
	uint64_t to; /* 0: nowhere, the program goes on behind the call */
	uint64_t ctx;
};

#pragma GCC visibility push(hidden)
struct tail weld_tail(uint64_t ctx, const struct region_map *m, uint64_t index);
#pragma GCC visibility pop

#endif
