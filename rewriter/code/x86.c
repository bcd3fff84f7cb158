/* SPDX-License-Identifier: MIT */
/* x86.c - encode instructions.
 *
 *   [f0 lock] [66 16-bit] [REX 0100WRXB] opcode ModRM [SIB] [disp] [imm]
 *
 * REX.W makes an instruction 64 bits wide; R and B are the fourth bits of the
 * register and r/m fields.  A REX without any bit is still needed to name the
 * byte registers spl, bpl, sil and dil.
 */
#include "rewriter/code/x86.h"

#include <assert.h>

static void prefixes(struct code *c, unsigned size, uint32_t op, int reg,
		     int rm, bool rm_is_reg)
{
	uint8_t rex = (uint8_t)((size == 8) << 3 | (reg >> 3 & 1) << 2 |
				(rm >> 3 & 1));
	bool byte_rm = rm_is_reg && (size == 1 || op & OP_BYTE) && rm >= 4;
	bool byte_reg = size == 1 && reg >= 4;

	if (op & OP_LOCK)
		code_u8(c, 0xf0);
	if (size == 2)
		code_u8(c, 0x66);
	if (rex || byte_rm || byte_reg)
		code_u8(c, 0x40 | rex);
	if (op & 0xff00)
		code_u8(c, (uint8_t)(op >> 8));
	code_u8(c, (uint8_t)op);
}

static void modrm(struct code *c, unsigned mod, int reg, int rm)
{
	code_u8(c, (uint8_t)(mod << 6 | (reg & 7) << 3 | (rm & 7)));
}

void x86_rr(struct code *c, unsigned size, uint32_t op, int reg, int rm)
{
	assert(reg >= 0 && reg < NREG && rm >= 0 && rm < NREG);
	prefixes(c, size, op, reg, rm, true);
	modrm(c, 3, reg, rm);
}

/* The bases rsp and r12 take a SIB byte; rbp and r13 have no form without a
 * displacement. */
static void based(struct code *c, int reg, const struct mem *m)
{
	int low = m->base & 7;
	unsigned mod = 2;

	if (!m->disp && low != RBP)
		mod = 0;
	else if (fits8(m->disp))
		mod = 1;
	modrm(c, mod, reg, low);
	if (low == RSP)
		code_u8(c, 0x24);
	if (mod == 1)
		code_u8(c, (uint8_t)m->disp);
	else if (mod == 2)
		code_u32(c, (uint32_t)m->disp);
}

void x86_rm(struct code *c, unsigned size, uint32_t op, int reg,
	    const struct mem *m, unsigned tail)
{
	assert(reg >= 0 && reg < NREG && m->base < NREG);
	prefixes(c, size, op, reg, m->base < 0 ? 0 : m->base, false);
	if (m->base >= 0) {
		based(c, reg, m);
		return;
	}
	modrm(c, 0, reg, RBP);
	if (m->base == MEM_RX)
		code_rel32(c, m->to + (uint64_t)(int64_t)m->disp, tail);
	else
		code_rw32(c, m->to + (uint64_t)(int64_t)m->disp, tail);
}

void x86_mov(struct code *c, unsigned size, int dst, int src)
{
	x86_rr(c, size, 0x89, src, dst);
}

void x86_set(struct code *c, int dst, int64_t value)
{
	if (!value) {
		x86_rr(c, 4, 0x31, dst, dst);
		return;
	}
	if (value == (uint32_t)value) {
		prefixes(c, 4, (uint32_t)(0xb8 | (dst & 7)), 0, dst, true);
		code_u32(c, (uint32_t)value);
	} else if (fits32(value)) {
		x86_rr(c, 8, 0xc7, 0, dst);
		code_u32(c, (uint32_t)value);
	} else {
		prefixes(c, 8, (uint32_t)(0xb8 | (dst & 7)), 0, dst, true);
		code_u64(c, (uint64_t)value);
	}
}

uint8_t x86_dwarf(int reg)
{
	static const uint8_t number[] = {
		[RAX] = 0, [RDX] = 1, [RCX] = 2, [RBX] = 3,
		[RSI] = 4, [RDI] = 5, [RBP] = 6, [RSP] = 7,
	};

	return reg < R8 ? number[reg] : (uint8_t)reg;
}

void x86_lea(struct code *c, int dst, const struct mem *m)
{
	if (m->base >= 0 && !m->disp)
		x86_mov(c, 8, dst, m->base);
	else
		x86_rm(c, 8, 0x8d, dst, m, 0);
}

/* Group 1 also exists as op r/m,r at digit * 8 + 1. */
void x86_alu(struct code *c, unsigned size, unsigned digit, int dst, int src)
{
	x86_rr(c, size, digit << 3 | 1, src, dst);
}

void x86_alu_imm(struct code *c, unsigned size, unsigned digit, int dst,
		 int32_t imm)
{
	x86_rr(c, size, fits8(imm) ? 0x83 : 0x81, (int)digit, dst);
	if (fits8(imm))
		code_u8(c, (uint8_t)imm);
	else
		code_u32(c, (uint32_t)imm);
}

void x86_alu_mem(struct code *c, unsigned size, uint32_t op,
		 const struct mem *m, int src)
{
	x86_rm(c, size, op, src, m, 0);
}

void x86_alu_mem_imm(struct code *c, unsigned size, uint32_t digit,
		     const struct mem *m, int32_t imm)
{
	uint32_t lock = digit & OP_LOCK;

	digit &= 7;
	if (digit == ALU_ADD && imm == 1) {
		x86_rm(c, size, 0xff | lock, 0, m, 0); /* inc */
	} else if (fits8(imm)) {
		x86_rm(c, size, 0x83 | lock, (int)digit, m, 1);
		code_u8(c, (uint8_t)imm);
	} else {
		x86_rm(c, size, 0x81 | lock, (int)digit, m, 4);
		code_u32(c, (uint32_t)imm);
	}
}

void x86_shift(struct code *c, unsigned size, unsigned digit, int dst,
	       unsigned count)
{
	x86_rr(c, size, 0xc1, (int)digit, dst);
	code_u8(c, (uint8_t)count);
}

void x86_shift_cl(struct code *c, unsigned size, unsigned digit, int dst)
{
	x86_rr(c, size, 0xd3, (int)digit, dst);
}

/* Loads and extensions: bytes and sign -> opcode and operand size.  A 32-bit
 * destination is zeroed above. */
static const struct load {
	uint32_t op;
	uint8_t size;
} loads[9][2] = {
	// clang-format off
	/*         zero              sign */
	[1] = { { 0x0fb6, 4 }, { 0x0fbe, 8 } },
	[2] = { { 0x0fb7, 4 }, { 0x0fbf, 8 } },
	[4] = { { 0x8b,   4 }, { 0x63,   8 } },
	[8] = { { 0x8b,   8 }, { 0x8b,   8 } },
	// clang-format on
};

void x86_extend(struct code *c, unsigned bytes, bool sign, int dst, int src)
{
	const struct load *l = &loads[bytes][sign];

	x86_rr(c, l->size, l->op | (bytes == 1 ? OP_BYTE : 0), dst, src);
}

void x86_load(struct code *c, unsigned bytes, bool sign, int dst,
	      const struct mem *m)
{
	const struct load *l = &loads[bytes][sign];

	x86_rm(c, l->size, l->op, dst, m, 0);
}

void x86_store(struct code *c, unsigned bytes, const struct mem *m, int src)
{
	x86_rm(c, bytes, bytes == 1 ? 0x88 : 0x89, src, m, 0);
}

void x86_store_imm(struct code *c, unsigned bytes, const struct mem *m,
		   int32_t imm)
{
	unsigned tail = bytes == 8 ? 4 : bytes;

	x86_rm(c, bytes, bytes == 1 ? 0xc6 : 0xc7, 0, m, tail);
	code_bytes(c, &imm, tail);
}

void x86_bswap(struct code *c, unsigned size, int dst)
{
	prefixes(c, size, (uint32_t)(0x0fc8 | (dst & 7)), 0, dst, true);
}

void x86_lea_index(struct code *c, int dst, int base, int index, unsigned scale)
{
	bool disp = (base & 7) == RBP;

	assert(index != RSP);
	code_u8(c, (uint8_t)(0x48 | (dst >> 3) << 2 | (index >> 3) << 1 |
			     base >> 3));
	code_u8(c, 0x8d);
	modrm(c, disp, dst, RSP);
	modrm(c, scale, index, base);
	if (disp)
		code_u8(c, 0);
}

size_t x86_skip(struct code *c, int cond)
{
	code_u8(c, cond == ALWAYS ? 0xeb : (uint8_t)(0x70 | cond));
	code_u8(c, 0);
	return c->n - 1;
}

void x86_land(struct code *c, size_t at)
{
	size_t d = c->n - at - 1;

	assert(d <= INT8_MAX);
	c->p[at] = (uint8_t)d;
}
