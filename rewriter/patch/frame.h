/* SPDX-License-Identifier: MIT */
/* frame.h - what a trampoline keeps on the stack, and on which (private to
 * patch/). */
#ifndef BPFWELD_FRAME_H
#define BPFWELD_FRAME_H

#include "rewriter/patch/displace.h"

enum { FLAGS_BIT = 1u << NREG }; /* beside REG_BITs, in patch.saved */

/* What the programs of one site ask for, taken together. */
struct needs {
	uint32_t live;     /* REG_BITs that the target reads after the site,
			      or an unwinder at it */
	uint32_t reads;    /* registers that programs read through ctx */
	uint32_t clobbers; /* registers that programs overwrite */
	uint32_t stack;    /* bytes of BPF stack */
	bool live_flags;   /* the target reads them after the site */
	bool reads_flags;  /* programs read them through ctx */
	bool calls;        /* something is pushed below the frame */
	bool hit;          /* a whole struct hit is wanted */
	bool returns;      /* what follows is a ret: ctx is as behind it */
	bool reads_ip;     /* programs read where it returns to */
	uint32_t pops;     /* bytes that the ret takes off the stack */
	bool stepped;      /* the red zone is stepped over already */
	bool go;           /* no byte of the target's stack may be touched */
	uint32_t dead;     /* REG_BITs that the target does not read again */
	uint64_t claim;    /* go: the stub's weld_stack_claim */
};

struct keep {
	struct frame f;
	uint32_t size;     /* bytes below the stack pointer at the start of the
			      trampoline; 0: nothing is kept, no frame */
	uint32_t saved, restored; /* REG_BITs */
	int32_t arith;     /* slot of lahf and seto, or -1 */
	bool hit;
	bool origin;       /* f.ip is to be filled, past any pads */
	/* Where the programs have a stack of their own (switch.c): */
	uint64_t claim;    /* not 0 */
	int8_t spare[3];   /* registers to get there by */
	bool flags_first;  /* they are saved before the claim, in rax ... */
	bool rax_first;    /* ... which is kept in the third */
	size_t miss;       /* of the rel32 where there is none */
};

/* switch.c: can the registers that are dead at a site get a program to a stack
 * of its own? */
bool switch_can(uint32_t dead);
void switch_lay_out(struct keep *k, const struct needs *n);
/* To there, and back; the frame is below. */
void switch_enter(struct code *c, struct keep *k, struct depths *d);
void switch_leave(struct code *c, const struct keep *k, struct depths *d);
/* There was no stack to be had: all is as it was.  Changes flags in between:
 * first the way here, then the way on. */
void switch_miss(struct code *c, const struct keep *k);
void switch_missed(struct code *c, const struct keep *k);
/* To the stub's weld_arm_go; only flags change. */
void switch_arm(struct code *c, uint32_t dead, uint64_t arm);

/* Registers that unwinders of the frame at `at` need. */
uint32_t frame_needs(struct arena *a, const struct image *img, uint64_t at);
/* `entered`: bytes on the stack when the trampoline starts (a call's 8).
 * `pads`: a return address may be a pad (late.c). */
void frame_lay_out(struct keep *k, const struct needs *n, uint32_t entered,
		   bool pads);
/* `origin` is the stub's weld_origin; needed where k->origin is set. */
void frame_enter(struct code *c, struct keep *k, uint64_t origin,
		 struct depths *d);
void frame_leave(struct code *c, const struct keep *k, struct depths *d);
/* The parts of struct hit that differ from program to program; uses rax. */
void frame_hit_for(struct code *c, const struct keep *k);
/* The same where the probed address is in a register (not rax). */
void frame_hit_at(struct code *c, const struct keep *k, int site);

#endif
