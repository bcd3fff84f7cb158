/* SPDX-License-Identifier: MIT */
/* tramp.h - what the builder's files share (private to patch/).
 *
 *   tramp.c    trampolines, and the edits that lead to them
 *   run.c      the programs of one point
 *   shared.c   a program of very many sites
 *   trap.c     the table of sites that trap
 *   late.c     return addresses that are exchanged, and what they lead to
 *   frame.c    what is kept on the stack meanwhile
 *   displace.c the instructions that were there
 */
#ifndef BPFWELD_TRAMP_H
#define BPFWELD_TRAMP_H

#include "rewriter/code/x86.h"
#include "rewriter/patch/frame.h"

struct cold {
	size_t je, js; /* branches that lead here, to be landed */
	uint64_t run, body, next;
	struct code_fails fails; /* and of its guards */
};

/* A point while its code is made. */
struct spot {
	const struct point *pt;
	uint64_t at;        /* its instruction; 0: in no function */
	struct needs needs;
	struct keep keep;
	struct regmap *map; /* per link of the point */
	struct cold *cold;  /* likewise */
	struct depth enter; /* before its frame is there */
	struct depth body;  /* while its programs run */
	uint64_t skip;      /* behind its frame */
	size_t over;        /* the branch to where it returns */
	size_t taken;       /* LEFT, conditionally: the branch to land */
	uint64_t shared;    /* its body is there (shared.c); 0: here */
};

/* Bodies that sites share. */
struct bodies {
	uint64_t table; /* vaddr of int32_t[]: the probed addresses from here */
	struct body_of {
		uint32_t prog, pops;
		uint64_t cookie;
		bool returns, called, push_rbp;
		uint64_t code;
		struct frame_desc frame;
	} * of;
	size_t n;
};

struct tramp {
	struct code *c;
	const struct image *img;
	const struct links *links;
	const struct build_env *env;
	const struct plan *plan;
	struct patch *p;
	struct spot *spot;  /* per point of the patch */
	uint32_t seen;      /* registers and flags that programs of any site
			       read through ctx */
	uint64_t rows;      /* vaddr of struct weld_late[] */
	struct bodies *bodies;
	struct depths depths;
	bool called;        /* the site calls the trampoline */
	struct err *e;
};

/* Write with short branches, or with long ones where those do not reach. */
int write_near(struct tramp *t, int (*write)(struct tramp *t, void *arg),
	       void *arg);

/* rsp += -by, which the frame tables are told. */
void tramp_step(struct tramp *t, int32_t by);

/* run.c: choose registers and lay out the frame; run the programs; what is out
 * of their way. */
int spot_prepare(struct tramp *t, struct spot *s);
int spot_run(struct tramp *t, struct spot *s);
void spot_cold(struct tramp *t, struct spot *s);
/* The stub's weld_origin, or 0 where no return address is exchanged. */
uint64_t origin_symbol(const struct tramp *t);
/* Call program k's function form, or the VM; the struct hit is complete. */
void run_form(struct tramp *t, const struct spot *s, uint32_t k);
/* Does the link run before a push %rbp?  (The file's bytes do not tell any
 * more.) */
bool at_push_rbp(const struct tramp *t, const struct spot *s,
		 const struct link *l);
uint32_t seen_by_programs(const struct links *links,
			  const struct facts *facts);

/* shared.c.  The table comes first; a body before the first site's code. */
bool shared_wanted(const struct tramp *t, const struct spot *s);
int shared_table(struct tramp *t, struct bodies *b);
int shared_body(struct tramp *t, struct spot *s);
void shared_run(struct tramp *t, const struct spot *s);
/* In a body: eax = the probe's number. */
void shared_number(struct tramp *t, const struct spot *s);

/* late.c.  Before the trampolines, its tables get their place; after them, the
 * pads and what they lead to are written. */
void late_reserve(struct tramp *t);
int late_build(struct tramp *t, struct plan *plan, struct built *out);
/* Exchange the return address; `in` is the jump that leaves, or NULL. */
void exchange(struct tramp *t, const struct point *pt, const struct insn *in);

/* trap.c.  When all trampolines have their places. */
int traps_build(struct tramp *t);

#endif
