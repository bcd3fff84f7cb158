/* SPDX-License-Identifier: MIT */
/* engine.h - run a BPF program in this process, by each of the three ways in
 * which a welded file may run it.
 *
 *   native   the function form, called as a C function
 *   inline   the form that stands in a trampoline: a thunk loads every general
 *            register from an image, runs the body and stores them all again
 *   vm       the stub's interpreter
 *
 * Maps live in a small region of this program (hosted.c), helpers are
 * arithmetic on their arguments.
 */
#ifndef BPFWELD_TEST_ENGINE_H
#define BPFWELD_TEST_ENGINE_H

#include "rewriter/code/compile.h"

enum engine_kind { RUN_NATIVE, RUN_INLINE, RUN_VM, RUN_KINDS };
extern const char *const engine_names[RUN_KINDS];

struct trial {
	struct bpf_prog prog;
	const struct bpf_set *set; /* NULL: no maps */
	uint8_t *mem;              /* r1 */
	uint64_t len;              /* r2, unless mem is pt_regs */
	bool pt_regs;              /* mem is PT_REGS_SIZE bytes: for inline, the
				      registers of the site */
	uint32_t free_regs;        /* inline: dead at the site */
	uint64_t result;
};

/* Fill in prog.sub from the calls in it. */
void run_find_subs(struct arena *a, struct bpf_prog *p);
/* 0, or -1 when the program is refused; also when the inline form changed a
 * register that it should not have. */
int run_engine(struct arena *a, enum engine_kind kind, struct trial *r,
	       struct err *e);

/* hosted.c */
enum { HOSTED_SLOTS = 4 };
const struct bpf_set *hosted_set(void);
const struct region *hosted_region(void);
uint64_t hosted_helper(uint32_t id);
void hosted_reset(void);   /* values as at the start */
uint64_t hosted_hash(void); /* of all values */
struct region_count *hosted_count(uint32_t probe);
enum { HOSTED_PROBE = 5 }; /* inline: the probe whose failed runs are counted */

/* guards.c: programs with guards; which engines do not do as they should? */
int guard_programs(void);

/* random.c: `count` random programs, all engines agree on each. */
int random_programs(uint64_t count, uint64_t seed);
/* The same, and the kernel agrees; 77: there is none to ask. */
int random_kernel(uint64_t count, uint64_t seed);

/* kernel.c: the running kernel as an engine.  A program's ctx are the first
 * KERNEL_CTX bytes of mem. */
enum { KERNEL_CTX = 96 };
int kernel_open(void); /* -1, and said why: cannot */
/* Runs on copies of the hosted maps, which become what it left.  1: the
 * verifier refuses the program. */
int kernel_run(const struct bpf_insn *insn, uint32_t n, const uint8_t *mem,
	       uint64_t *result);

#endif
