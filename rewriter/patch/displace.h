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

/* Write the displaced instructions and the way back.  `called`: the return
 * address is on the stack already. */
void displace(struct code *c, const struct image *img, const struct patch *p,
	      bool called, struct depths *d);

#endif
