/* SPDX-License-Identifier: MIT */
/* guard.h - put guard instructions (runtime-stub/guard.h) into a program.
 *
 * In:   a program that passed check_shape().
 * Out:  the same program with guards in it, `guarded`; its instructions, sub
 *       and line are new arrays, so that copies which share the old ones stay
 *       as they are.
 * Then: jumps, calls, pointers to subprograms, sub and line name what they
 *       named; check_shape() accepts it.
 *
 *     guard_insert_all() or guard_insert(), as often as wanted,
 *     then guard_runs()
 */
#ifndef BPFWELD_BPF_GUARD_H
#define BPFWELD_BPF_GUARD_H

#include "rewriter/bpf/bpf.h"
#include "runtime-stub/guard.h"

struct guard {
	uint32_t before;      /* number of an instruction, as it is now */
	struct bpf_insn insn; /* guard_range(), guard_loop() */
};

/* `guard` is sorted by `before`; guards of one instruction stand in their order.
 * What leads to that instruction leads to the first of them, and they have its
 * source line.  An error: a conditional jump would have to be too long; the
 * program is as it was. */
int guard_insert_all(struct arena *a, struct bpf_prog *p,
		     const struct guard *guard, uint32_t n, struct err *e);
/* One guard before instruction `before`, which is the next one then. */
int guard_insert(struct arena *a, struct bpf_prog *p, uint32_t before,
		 struct bpf_insn insn, struct err *e);

/* GUARD_RUN behind each call of a subprogram that has a guard or calls one that
 * has, and behind each helper whose callback does, but where one stands already.
 * What jumps behind the call does not meet it.  (With helpers, the callback is a
 * constant; bpf_check() has seen to that.) */
int guard_runs(struct arena *a, const struct bpf_set *set, struct bpf_prog *p,
	       struct err *e);

/* How many guards are in the program. */
uint32_t guard_count(const struct bpf_prog *p);
/* May a run of the program, or of one that it goes on to by tail calls, fail? */
bool guard_may_fail(const struct bpf_set *set, uint32_t prog);

#endif
