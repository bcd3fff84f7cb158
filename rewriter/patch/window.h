/* SPDX-License-Identifier: MIT */
/* window.h - what the planner's files share (private to patch/).
 *
 *   wants.c    links -> wants: what is to happen at which instruction
 *   plan.c     wants -> patches, tactic by tactic
 *   window.c   the instructions that a patch replaces, and why that is safe
 *   hop.c      a jump of two bytes
 *   edge.c     windows that are jumped into
 *   spare.c    five bytes for what that jumps to
 *   trap.c     one byte
 *   reason.c   why not
 */
#ifndef BPFWELD_WINDOW_H
#define BPFWELD_WINDOW_H

#include "rewriter/patch/displace.h"

enum { JUMP_SIZE = 5, SHORT_JUMP_SIZE = 2 };

/* All links on one address that run at the same time. */
enum mode {
	MODE_SITES, /* where it happens: the address, or all ways out */
	MODE_ENTRY, /* a return probe by the return address, from the entry on */
	MODE_OUT,   /* nowhere */
};
struct group {
	uint32_t link, nlink;
	uint8_t when;       /* enum link_when */
	uint8_t mode;
	const struct reason *why;     /* of MODE_OUT */
	const struct reason *instead; /* of MODE_ENTRY: why not MODE_SITES */
	struct body *body;  /* WHEN_RETURNED */
	size_t untold;      /* ways out that are not watched */
	uint32_t late;      /* index into plan.late, or NO_LATE */
};
enum { NO_LATE = UINT32_MAX };

struct want {
	uint64_t at;        /* the instruction */
	uint32_t group;
	struct point point; /* but for `before` and `live` */
};

struct planner {
	struct arena *a;
	const struct sites *s;
	const struct links *links;
	struct plan *out;
	struct group *group;
	size_t ngroup;
	struct want *want;  /* sorted by `at`, then kind */
	size_t nwant;
	struct trace *trace; /* or NULL */
};

/* reason.c; the codes' names are there. */
enum reason_code {
	REASON_END,
	REASON_CALL,
	REASON_DECODE,
	REASON_MOVE,
	REASON_ROOM,
	REASON_PATCHED,
	REASON_ENDBR,
	REASON_COPIED,
	REASON_RETURNS,
	REASON_SHAPE,  /* attempts only: the code is not of the kind */
	REASON_HOP,    /* likewise */
	REASON_GO,     /* Go's runtime would not have it */
	REASON_STACK,
	REASON_UNSURE, /* attempts only */
	REASON_TARGET, /* + enum target_why; there is none for its first */
	REASON_COUNT = REASON_TARGET + TARGET_ENDBR + 1,
};
const char *reason_code(unsigned code);
const struct reason *reason_make(struct arena *a, unsigned code,
				 const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define WHY(pl, code, ...) reason_make((pl)->a, code, __VA_ARGS__)
#define HEX(v) ((unsigned long long)(v))

/* What is tried from here on for want[first .. first+n) is noted, if it is of
 * the site that somebody wants to know about. */
struct trace {
	uint64_t site;
	bool on;
};
void trace_begin(const struct planner *pl, size_t first, size_t n);
bool trace_on(const struct planner *pl);
void trace_note(const struct planner *pl, uint8_t tactic, uint64_t at,
		const struct reason *why);

/* wants.c */
void groups_make(struct planner *pl);
void wants_make(struct planner *pl);
/* The group cannot be placed as it is: try another way.  False: there is none
 * left, and it is out. */
bool group_fall_back(const struct planner *pl, struct group *g,
		     const struct reason *why);

/* Is there another way left? */
bool group_has_way(const struct planner *pl, const struct group *g);

/* A patch that begins at `at`, without instructions. */
struct patch patch_at(const struct planner *pl, uint64_t at);
/* Whole instructions from p->at on, until they are `want` bytes or execution
 * does not go on behind the last.  NULL, or why there are none. */
const struct reason *window_read(const struct planner *pl, struct patch *p,
				 unsigned want);
uint8_t window_len(const struct patch *p);
/* Which of the instructions begins at `at`; -1: none. */
int window_index(const struct patch *p, uint64_t at);
/* Does nothing lead into p's bytes, but to their first?  NULL, or what does. */
const struct reason *window_prove(const struct planner *pl,
				  const struct patch *p);
/* Padding from `from` on, as far as `to`: dead if it is not fallen into. */
bool dead_padding(const struct image *img, uint64_t from, uint64_t to);

/* Wants of one instruction that have got no place: want[first .. first+n). */
struct stuck {
	struct patch p;
	size_t first, n;
	const struct reason *why;
};
void points_add(const struct planner *pl, struct patch *p, size_t first,
		size_t n);
/* hop.c: give places to those that two bytes are enough for.  They leave the
 * list; plan.patch stays sorted. */
void hops_place(const struct planner *pl, struct stuck *v, size_t *n);
/* edge.c: likewise, to those whose window would do if jumps into it could be
 * led along. */
void edges_place(const struct planner *pl, struct stuck *v, size_t *n);
/* trap.c: likewise, if sites.allow_trap is set, to those that nothing else is
 * left for. */
void traps_place(const struct planner *pl, struct stuck *v, size_t *n);

#endif
