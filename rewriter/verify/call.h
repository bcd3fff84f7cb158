/* SPDX-License-Identifier: MIT */
/* call.h - one call of a helper while it is looked at; private to call.c,
 * args.c and cost.c.
 *
 * helpers.def names for each helper a class of result and a class for each
 * argument; here a class is a function.  Arguments are looked at in order and
 * leave what later ones, and the result, want to know.
 */
#ifndef BPFWELD_VERIFY_CALL_H
#define BPFWELD_VERIFY_CALL_H

#include "rewriter/verify/verifier.h"

/* Helpers of ours, by kfunc.c's numbers. */
enum {
	OURS_DYNPTR_CLONE = 247,
	OURS_DYNPTR_SLICE = 248,
	OURS_DYNPTR_COPY = 249,
	OURS_DYNPTR_MEMSET = 250,
	OURS_ITER_NEXT = 253,
};

struct call {
	struct verify *v;
	uint32_t id;
	const struct proto *p;
	const struct bpf_map_def *map; /* of MAP, RING */
	int access;                    /* to the memory whose size follows */
	uint64_t size;                 /* SIZE: at most; of the last one */
	uint64_t bytes;                /* ... and of all together */
	uint64_t constant;             /* CONST */
	uint32_t callee;               /* CALLBACK: its first insn */
	struct handle handle;          /* DYNPTR, ITER: the last one */
};

struct proto {
	const char *name; /* as the kernel's messages have it: "bpf_.." */
	void (*result)(struct call *c, struct reg *r0);
	int (*arg[5])(struct call *c, unsigned no);
};

/* format.c: is it a format, with arguments enough? */
bool format_fits(const char *format, uint64_t args);
/* How many of its arguments it takes for addresses and reads there; false: it is
 * no format. */
bool format_reads(const char *format, unsigned *n);

/* cost.c: how many instructions the call takes, at most; arguments have been
 * looked at.  Eight bytes that are copied count as one. */
uint64_t helper_steps(const struct call *c);

/* args.c: register `no` is an argument of this class. */
#define CLASS(name) int arg_##name(struct call *c, unsigned no)
CLASS(NONE);
CLASS(UNUSED);
CLASS(VARARG);
CLASS(SCALAR);
CLASS(ADDRESS);
CLASS(NUMBER);
CLASS(CONST);
CLASS(CTX);
CLASS(CTX_UNUSED);
CLASS(MAP);
CLASS(RING);
CLASS(KEY);
CLASS(VALUE);
CLASS(VALUE_OUT);
CLASS(MEM_IN);
CLASS(MEM_OUT);
CLASS(IN_OR_NULL);
CLASS(OUT_OR_NULL);
CLASS(MEM_KEPT);
CLASS(BUFFER);
CLASS(SIZE);
CLASS(SIZE0);
CLASS(LONG_OUT);
CLASS(STRING);
CLASS(RECORD);
CLASS(CALLBACK);
CLASS(FRAME_OR_NULL);
CLASS(DYNPTR);
CLASS(DYNPTR_OUT);
CLASS(DYNPTR_END);
CLASS(ITER);
CLASS(ITER_OUT);
CLASS(ITER_END);
#undef CLASS

#endif
