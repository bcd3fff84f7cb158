/* SPDX-License-Identifier: MIT */
/* displace.h - moving instructions to another address (private to patch/). */
#ifndef BPFWELD_DISPLACE_H
#define BPFWELD_DISPLACE_H

#include "rewriter/patch/patch.h"

/* What differs from the target's own frame, stretch by stretch, while a
 * trampoline is written: unwinders are told so (elf/unwind.h). */
struct depths {
	struct arena *a;
	struct depth *v;
	size_t n;
	uint64_t start;   /* vaddr of the trampoline */
	struct depth now; /* but for `at` */
};
/* From here on, it is as d->now says. */
void depth_note(struct depths *d, const struct code *c);
void depth_change(struct depths *d, const struct code *c, int32_t by);

/* Why the instruction cannot be moved; NULL: it can. */
const char *displace_refusal(const uint8_t *bytes, const struct insn *in);

/* Does execution never go on behind the instruction? */
bool insn_ends_flow(const struct insn *in);

/* May the site call its trampoline rather than jump to it?  Then the return
 * address on the stack is the one that the displaced call has to push. */
bool displace_by_call(const struct image *img, const struct patch *p);

/* The displaced instructions one by one, after displace_begin() and before
 * displace_end(), the way back.  `called`: the return address is on the stack
 * already.  `taken`: a conditional branch leads to where the offset that is put
 * there will be landed (code_land), instead of to its target. */
void displace_begin(struct code *c, const struct patch *p, bool called,
		    struct depths *d);
void displace_insn(struct code *c, const struct image *img,
		   const struct patch *p, unsigned i, bool called,
		   struct depths *d, size_t *taken);
void displace_end(struct code *c, const struct patch *p);

/* mov M, %rdx of a displaced jmp *M, rsp having been lowered by `by`. */
void displace_target(struct code *c, const struct image *img,
		     const struct insn *in, int32_t by);

#endif
