/* SPDX-License-Identifier: MIT */
/* spare.h - five bytes that nobody needs, near a short jump (private to
 * patch/).
 *
 *   short jump    reaches 127 bytes either way
 *   ...
 *   hop:          jmp where it is to go, 5 bytes
 *
 * There are two kinds of such bytes: padding between functions; and the end of
 * a window of ten bytes or more, of a site that is patched anyway (its window
 * is made longer if need be), or of a host: code that is moved for nothing but
 * the room it leaves.
 *
 * While the hop is executed, the stack is as it was before the short jump.  In
 * padding unwinders are told so.  The code of a function is described already,
 * and its description must be right for the hop as well: both have to be in the
 * same state, as most small functions are from their start to their end.  Go's
 * runtime has tables of its own, which leave no padding, and say more
 * (site/go.c).
 */
#ifndef BPFWELD_SPARE_H
#define BPFWELD_SPARE_H

#include "rewriter/patch/window.h"

struct spare {
	const struct planner *pl;
	size_t nold;        /* patches that were there before, sorted */
	struct taken {      /* a bit for each byte of an executable segment */
		uint64_t lo, hi;
		uint8_t *bit;
	} *taken;
	size_t ntaken;
	/* Between spare_try() and the next one or spare_undo(): */
	size_t npatch;      /* patches there were */
	uint64_t *byte;     /* bytes taken since */
	size_t nbyte;
	struct lent {
		size_t patch;
		struct patch was;
	} *lent;            /* patches changed since */
	size_t nlent;
};
struct short_jump {
	uint64_t lo, hi;    /* bytes that must not be used: its own */
	uint64_t end;       /* where its displacement counts from */
	uint64_t pc;        /* the frame is as it is here, */
	bool entry;         /* where a function begins */
};

/* What the patches so far replace is taken, and their hops. */
void spare_begin(struct spare *r, const struct planner *pl);
bool spare_is_free(const struct spare *r, uint64_t lo, uint64_t hi);
void spare_take(struct spare *r, uint64_t lo, uint64_t hi);
/* The patch that replaces the byte, or NULL. */
struct patch *spare_holding(const struct spare *r, uint64_t addr);
/* One more patch, whose bytes are taken. */
void spare_patch(struct spare *r, const struct patch *p);
/* Is the instruction in a patch by now?  Then it has its points there. */
bool spare_joins(const struct spare *r, const struct stuck *v);
/* To give back what is taken from now on: all of it since the last try. */
void spare_try(struct spare *r);
void spare_undo(struct spare *r);
/* Sort the patches again. */
void spare_end(struct spare *r);

bool short_jump_reaches(const struct short_jump *j, uint64_t hop);
/* Would an unwinder take the hop for where the jump comes from? */
bool short_jump_state(const struct spare *r, const struct short_jump *j,
		      uint64_t hop);
/* Five bytes for it, which are taken then; 0: there are none. */
uint64_t spare_find(struct spare *r, const struct short_jump *j);

#endif
