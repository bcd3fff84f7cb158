/* SPDX-License-Identifier: MIT */
/* patch.h - decide how each site is patched, then build what is jumped to.
 *
 * plan_make   links -> patches; nothing is written.  No two patches overlap;
 *             nothing we can see lands inside one; every displaced instruction
 *             can be moved.  A site that cannot be patched gets a reason.
 * patch_build patches -> trampolines, frame descriptions, edits.
 */
#ifndef BPFWELD_PATCH_H
#define BPFWELD_PATCH_H

#include "elf/emit.h"
#include "elf/unwind.h"
#include "rewriter/bind.h"
#include "rewriter/code/compile.h"

enum tactic {
	TACTIC_NONE,
	TACTIC_NOP_RUN,  /* nops of 5 bytes or more */
	TACTIC_INSN,     /* one instruction of 5 bytes or more */
	TACTIC_WINDOW,   /* whole instructions that nothing jumps into */
	TACTIC_PADDING,  /* the same, and padding behind the function */
	TACTIC_HOP,      /* two bytes, which jump to five nearby */
	TACTIC_HOST,     /* no probe: moved for the room it leaves to a hop */
};
const char *tactic_name(uint8_t tactic);

enum { PATCH_INSNS = 8 };
struct patch {
	uint64_t at;        /* first byte replaced (behind an endbr64) */
	uint8_t len;        /* bytes replaced; padding counts */
	uint8_t ninsn;      /* whole instructions displaced */
	uint8_t tactic;
	bool lends;         /* a hop stands in its bytes */
	uint64_t hop;       /* where the jump to the trampoline stands, when
			       the site has only one to there; or 0 */
	uint64_t site;      /* the probed address (the endbr64 itself) */
	uint32_t link, nlink; /* links[link .. link+nlink), in running order */
	struct insn insn[PATCH_INSNS];
	const struct func *func;
	struct live live;   /* at the site */
	/* Filled by patch_build: */
	uint64_t tramp, tramp_size; /* vaddr, bytes */
	uint32_t saved;     /* REG_BITs it saves; bit 16: flags */
};
struct refusal {
	uint32_t link;
	const char *why;    /* "not weldable: ..." without address */
};
struct plan {
	struct patch *patch;   /* sorted by at */
	size_t npatch;
	struct refusal *refusal;
	size_t nrefusal;
};

/* Two different sites so close that their patches overlap are an error naming
 * both, unless one is from a glob: then the later one is refused. */
int plan_make(struct arena *a, const struct sites *s,
	      const struct links *links, struct plan *out, struct err *e);

enum engine { ENGINE_NATIVE, ENGINE_VM };
struct built {
	struct edit *edit;         /* sites and hops, sorted */
	size_t nedit;
	struct frame_desc *frame;  /* trampolines and hops in padding */
	size_t nframe;
};
/* `probe_of[link]` is the probe's number in the region (gates, counts).
 * vm_insns[prog] is where a program's bytecode stands in RX (ENGINE_VM).
 * func_of[prog] is the vaddr of a program's function form, or 0: inline it. */
struct build_env {
	struct code_env code;
	const struct facts *facts;     /* per program */
	enum engine engine;
	const uint32_t *probe_of;
	const uint64_t *vm_insns;
	const uint64_t *func_of;
};
int patch_build(struct code *rx, const struct sites *s,
		const struct links *links, struct plan *plan,
		const struct build_env *env, struct built *out,
		struct err *e);

#endif
