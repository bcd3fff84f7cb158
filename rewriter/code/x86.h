/* SPDX-License-Identifier: MIT */
/* x86.h - x86-64 instructions by their manual's names: opcode, operand size,
 * the register field and the r/m field.  Only what BPF needs.
 *
 * Source: Intel SDM volume 2, chapter 2 (formats) and appendix A (opcodes).
 */
#ifndef BPFWELD_X86_H
#define BPFWELD_X86_H

#include "rewriter/code/asm.h"

/* An opcode is one byte or 0x0fxx, with these beside it. */
enum {
	OP_LOCK = 1 << 16,
	OP_BYTE = 1 << 17, /* r/m is a byte register, the other one is not */
};

/* What a memory operand is relative to, when not to a register. */
enum { MEM_RW = -1, MEM_RX = -2 };
struct mem {
	int base;     /* x86 register, MEM_RW or MEM_RX */
	int32_t disp;
	uint64_t to;  /* MEM_RW: offset in RW; MEM_RX: vaddr */
};

/* The register's number in DWARF (System V ABI, table 3.36). */
uint8_t x86_dwarf(int reg);

enum cond {
	COND_B = 2, COND_AE = 3, COND_E = 4, COND_NE = 5, COND_BE = 6,
	COND_A = 7, COND_S = 8, COND_L = 12, COND_GE = 13, COND_LE = 14,
	COND_G = 15,
};

/* The digit of the group 1 (81 /digit) and group 2 (c1 /digit) opcodes. */
enum { ALU_ADD, ALU_OR, ALU_AND = 4, ALU_SUB, ALU_XOR, ALU_CMP };
enum { SHIFT_ROL = 0, SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };

/* `size` is the operand size: 1, 2, 4 or 8 bytes.  `tail` immediate bytes are
 * yet to follow the memory operand. */
void x86_rr(struct code *c, unsigned size, uint32_t op, int reg, int rm);
void x86_rm(struct code *c, unsigned size, uint32_t op, int reg,
	    const struct mem *m, unsigned tail);

void x86_mov(struct code *c, unsigned size, int dst, int src);
void x86_set(struct code *c, int dst, int64_t value);
void x86_lea(struct code *c, int dst, const struct mem *m);
void x86_alu(struct code *c, unsigned size, unsigned digit, int dst, int src);
void x86_alu_imm(struct code *c, unsigned size, unsigned digit, int dst,
		 int32_t imm);
/* The same on memory, perhaps locked. */
void x86_alu_mem(struct code *c, unsigned size, uint32_t op,
		 const struct mem *m, int src);
void x86_alu_mem_imm(struct code *c, unsigned size, uint32_t digit,
		     const struct mem *m, int32_t imm);
void x86_shift(struct code *c, unsigned size, unsigned digit, int dst,
	       unsigned count);
void x86_shift_cl(struct code *c, unsigned size, unsigned digit, int dst);
/* Extend the low `bytes` of src to all of dst. */
void x86_extend(struct code *c, unsigned bytes, bool sign, int dst, int src);
void x86_load(struct code *c, unsigned bytes, bool sign, int dst,
	      const struct mem *m);
void x86_store(struct code *c, unsigned bytes, const struct mem *m, int src);
void x86_store_imm(struct code *c, unsigned bytes, const struct mem *m,
		   int32_t imm);
void x86_bswap(struct code *c, unsigned size, int dst);
/* dst = base + index * 2^scale */
void x86_lea_index(struct code *c, int dst, int base, int index,
		   unsigned scale);
/* A short forward jump whose rel8 is filled in by x86_land(). */
size_t x86_skip(struct code *c, int cond);
void x86_land(struct code *c, size_t at);
enum { ALWAYS = -1 };

static inline bool fits8(int64_t v)
{
	return v == (int8_t)v;
}

static inline bool fits32(int64_t v)
{
	return v == (int32_t)v;
}

#endif
