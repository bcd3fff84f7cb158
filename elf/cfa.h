/* SPDX-License-Identifier: MIT */
/* cfa.h - the part of a CFA program that still counts at one address.
 *
 * In:   a function's FDE and an address in the function.
 * Out:  instructions that bring about the same state at once, to follow the
 *       same CIE program; what the CFA is relative to, and which registers are
 *       to be found in memory.
 */
#ifndef BPFWELD_CFA_H
#define BPFWELD_CFA_H

#include "elf/buf.h"
#include "elf/image.h"

enum {
	CFA_REG_RSP = 7,
	CFA_REG_RIP = 16,
	CFA_REMEMBERED = 32, /* depth of remember_state we follow; compilers
				use one or two */
};

/* DW_CFA_*, those we look at. */
enum {
	CFA_NOP = 0x00,
	CFA_ADVANCE1 = 0x02,
	CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_ARGS_SIZE = 0x2e,
	/* In the two upper bits, with an operand in the lower six: */
	CFA_ADVANCE = 0x40,
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
};

struct cfa_state {
	uint64_t reg; /* CFA = reg + offset, if not computed */
	int64_t offset;
	uint32_t needs;    /* registers 0..31 that the CFA depends on */
	uint32_t saved;    /* registers 0..31 that are not where they were */
	bool wrong_here;   /* CFA computed from rsp or rip */
	bool wrong_saved;  /* a saved register's place, likewise */
	size_t mark, last; /* the program and its last instruction when
			      remembered */
	bool early;        /* remembered before what is kept begins */
};

struct cfa {
	struct cfa_state now, kept[CFA_REMEMBERED];
	size_t nkept;
	struct buf prog; /* what the new FDE needs of it */
	size_t last;     /* where its last instruction begins */
	uint64_t first;  /* what belongs to earlier addresses is not kept */
	uint32_t cie_saved;
	bool lost;       /* cannot follow */
};

/* Fill in what is above, but for prog.a; the program before is forgotten.
 * False when the state at pc cannot be said elsewhere: it is computed from rsp
 * or rip, or the program is not understood. */
bool cfa_at(struct cfa *r, const struct fde *of, uint64_t pc);
/* The same, when the state at the earlier address `from` is the present one
 * and nothing jumps in between.  Also false when a state that was remembered
 * before `from` is restored: that does not happen in straight code. */
bool cfa_step(struct cfa *r, const struct fde *of, uint64_t from, uint64_t pc);

#endif
