/* SPDX-License-Identifier: MIT */
/* patch.h - decide how each site is patched, then build what is jumped to.
 *
 * plan_make   links -> patches; nothing is written.  No two patches overlap;
 *             nothing we can see lands inside one; every displaced instruction
 *             can be moved.  A link that cannot be placed gets a reason.
 * patch_build patches -> trampolines, frame descriptions, edits.
 *
 * A patch replaces a window: some instructions in a row.  What is to happen at
 * some of them stands in its points.  So sites close together share a patch,
 * and one that has no room behind it uses the room before it.
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
	TACTIC_EARLIER,  /* a window that begins before the site */
	TACTIC_HOP,      /* two bytes, which jump to five nearby */
	TACTIC_EDGE,     /* a window that is jumped into, by jumps that are led
			    along */
	TACTIC_TRAP,     /* one byte, on request (trap.c) */
	TACTIC_HOST,     /* no probe: moved for the room it leaves to a hop */
	TACTIC_COUNT,
};
const char *tactic_name(uint8_t tactic);

/* What happens before an instruction of a patch, in this order. */
enum point_kind {
	POINT_REACHED, /* run the programs of this address */
	POINT_ENTERED, /* exchange the return address for a pad's (late.c) */
	POINT_LEFT,    /* the same, when this jump leaves the function */
	POINT_RETURN,  /* run the programs of the function that returns here */
	POINT_NOP5,    /* a nop of five bytes */
};
struct point {
	uint8_t kind;       /* enum point_kind */
	uint8_t before;     /* which of the patch's instructions */
	bool overrides;     /* REACHED: programs may return from here */
	uint64_t site;      /* the probed address (the endbr64 itself) */
	uint32_t link, nlink; /* links[link .. link+nlink), in running order */
	uint32_t late;      /* ENTERED, LEFT: index into plan.late */
	struct live live;   /* at the instruction */
	uint64_t nop5;      /* NOP5: where it stands; filled by patch_build */
};

enum { PATCH_INSNS = 16 };
struct patch {
	uint64_t at;        /* first byte replaced (behind an endbr64) */
	uint8_t len;        /* bytes replaced; padding counts; a trap: 1 */
	uint8_t ninsn;      /* whole instructions displaced */
	uint8_t tactic;
	bool entry;         /* the window begins where its function does */
	bool lends;         /* a hop stands in its bytes */
	bool entered;       /* jumps into its bytes are led to the trampoline; */
	bool bare;          /* its first too, and nothing else comes there: they
			       stay what they are */
	uint64_t hop;       /* where the jump to the trampoline stands, when
			       the site has only one to there; or 0 */
	struct insn insn[PATCH_INSNS];
	const struct func *func;
	struct point *point; /* sorted by `before`, then kind */
	size_t npoint;
	/* Filled by patch_build: */
	uint64_t tramp, tramp_size; /* vaddr, bytes */
	uint32_t saved;     /* REG_BITs it saves; bit 16: flags */
};

/* A jump into a window that is changed: it leads to the copy of the instruction
 * it led to, or to a jump there. */
struct edge {
	uint64_t at, to;
	uint8_t len, rel_off, rel_size; /* struct insn's */
	uint64_t hop;       /* 5 bytes, when rel_size is 1; or 0 */
	bool displaced;     /* after all: not in plan.edge */
};

/* A function some of whose returns go to a pad: what is done there. */
struct late {
	const struct body *body;
	uint32_t link, nlink;
	/* Filled by patch_build: */
	uint64_t code, size; /* vaddr, bytes */
};

/* Where a link was placed. */
struct place {
	uint32_t link;      /* the first of the point's */
	uint32_t patch, point;
};
/* Why something is not possible. */
struct reason {
	const char *code;   /* a word of a fixed list (reason.c), for programs */
	const char *text;   /* for people */
};
struct refusal {
	uint32_t link;
	const char *why;    /* "not weldable: ..." without address */
};
/* What a tactic said to the site that plan_trace() was asked about. */
struct attempt {
	uint64_t at;        /* where the window would begin */
	uint8_t tactic;
	const struct reason *why; /* NULL: taken */
};
struct plan {
	struct patch *patch;   /* sorted by at */
	size_t npatch;
	uint64_t *inner;       /* instructions in windows that are jumped to;
				  sorted */
	size_t ninner;
	struct edge *edge;
	size_t nedge;
	struct late *late;
	size_t nlate;
	struct place *place;   /* sorted by link, then address */
	size_t nplace;
	struct refusal *refusal; /* sorted by link */
	size_t nrefusal;
	const char **why;      /* per link: why it is not placed, or NULL */
	const char **code;     /* per link: the reason's code, or NULL */
	/* Return probes: why the rets cannot tell, so that the return address
	 * is exchanged at the entry; NULL: they do. */
	const struct reason **instead;
	uint32_t *head;        /* per link: the first one of its points */
	/* Return probes that miss jumps out of their function: where the
	 * return address must not be exchanged. */
	size_t *untold;        /* per link: how many such jumps */
	struct attempt *attempt; /* plan_trace(): in the order of trying */
	size_t nattempt;
};

/* A site that another patch is in the way of is refused like any other. */
int plan_make(struct arena *a, const struct sites *s,
	      const struct links *links, struct plan *out, struct err *e);
/* The same, and what was tried for the instruction at `site`, or behind an
 * endbr64 there. */
int plan_trace(struct arena *a, const struct sites *s,
	       const struct links *links, uint64_t site, struct plan *out,
	       struct err *e);
/* The places of a link: [*first, *first + n), returns n. */
size_t plan_places(const struct plan *p, uint32_t link, size_t *first);

/* Why no site of the file can be a trap; NULL: some may. */
const char *trap_refusal(const struct image *img);
/* Functions that the file calls in libraries to block SIGTRAP or to handle it,
 * if it is that; NULL: none. */
const char *trap_dangers(struct arena *a, const struct image *img);
/* How many sites are one. */
size_t plan_traps(const struct plan *p);

/* Does the patch call its trampoline rather than jump to it?  Then a displaced
 * call ends it. */
bool patch_calls(const struct image *img, const struct patch *p);

enum engine { ENGINE_NATIVE, ENGINE_VM };
struct built {
	struct edit *edit;         /* sites and hops, sorted */
	size_t nedit;
	struct frame_desc *frame;  /* trampolines, hops in padding, pads */
	size_t nframe;
	uint64_t pads, pads_size;  /* all pads; 0: there are none */
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
	const bool *may_fail;          /* per program: has guards, or goes on
					  to one that has by tail calls */
	bool dense;                    /* so many that bytes count */
};
int patch_build(struct code *rx, const struct sites *s,
		const struct links *links, struct plan *plan,
		const struct build_env *env, struct built *out,
		struct err *e);

/* How many pads the plan needs, and their room in RW. */
uint32_t pads_count(const struct plan *p);
uint64_t pads_room(const struct plan *p);

#endif
