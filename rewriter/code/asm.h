/* SPDX-License-Identifier: MIT */
/* asm.h - a growing run of code at a known address.
 *
 * The RX segment is written front to back at its final address, so references
 * into the image and into RX resolve at once.  Only the RW segment's address
 * is not known until RX is complete: references to it are kept as fixups.
 */
#ifndef BPFWELD_ASM_H
#define BPFWELD_ASM_H

#include "elf/arena.h"
#include "elf/bytes.h"
#include "rewriter/site/insn.h"

struct fixup {
	uint32_t at;    /* offset of the 32-bit field */
	uint32_t next;  /* offset of the instruction behind it */
	uint64_t rw;    /* what it refers to: offset in RW */
};

/* Code of the image that has moved; where to is known later. */
struct moved {
	uint64_t from, to;
};

struct code {
	struct arena *a;
	uint8_t *p;
	size_t n;
	size_t room;    /* private: bytes allocated at p */
	uint64_t vaddr; /* of p[0] */
	struct fixup *fix;
	size_t nfix;
	bool too_far;   /* a 32-bit reference did not reach: ±2 GiB */
	struct moved *moved; /* sorted by `from`; jumps there are kept */
	size_t nmoved;
	struct fixup *leap;  /* such jumps: `rw` is where they lead */
	size_t nleap;
	bool near;      /* write branches with 8 bits; */
	bool missed;    /* one did not reach */
};

static inline uint64_t code_here(const struct code *c)
{
	return c->vaddr + c->n;
}
void code_bytes(struct code *c, const void *p, size_t n);
void code_u8(struct code *c, uint8_t v);
void code_u32(struct code *c, uint32_t v);
void code_u64(struct code *c, uint64_t v);
void code_align(struct code *c, size_t to, uint8_t fill);
/* A rel32 to `target` (vaddr), `tail` immediate bytes follow the field. */
void code_rel32(struct code *c, uint64_t target, unsigned tail);
/* The same to an offset in RW; resolved by code_resolve(). */
void code_rw32(struct code *c, uint64_t rw, unsigned tail);
void code_jmp(struct code *c, uint64_t target);  /* e9 */
void code_call(struct code *c, uint64_t target); /* e8 */
void code_jcc(struct code *c, unsigned cond, uint64_t target); /* 0f 8x */
/* Point the rel32 at offset `at` to the current end. */
void code_land(struct code *c, size_t at);
/* Branches over short distances, in the form that c->near says; COND_ALWAYS is
 * a jmp.  The first returns what the second wants, which lands it here. */
enum { COND_ALWAYS = 16 };
size_t code_branch(struct code *c, unsigned cond);
void code_branch_land(struct code *c, size_t from);
void code_branch_to(struct code *c, unsigned cond, uint64_t target);
void code_resolve(struct code *c, uint64_t rw_vaddr);
/* Is the code at this address of the image among what has moved?  Or NULL. */
struct moved *code_moved(const struct code *c, uint64_t from);
/* Lead jumps to what has moved there: every `to` is known. */
void code_leaps_land(struct code *c);

/* To generate a stretch again: forget what came after the mark. */
struct code_mark {
	size_t n, nfix, nleap;
};
static inline struct code_mark code_mark(const struct code *c)
{
	return (struct code_mark){ c->n, c->nfix, c->nleap };
}
static inline void code_rewind(struct code *c, struct code_mark m)
{
	c->n = m.n;
	c->nfix = m.nfix;
	c->nleap = m.nleap;
}

#endif
