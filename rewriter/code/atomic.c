/* SPDX-License-Identifier: MIT */
/* atomic.c - BPF_ATOMIC.  x86 has one instruction for most; and, or and xor
 * that return the old value are a compare-and-exchange loop:
 *
 *         mov  MEM, %rax
 *     1:  mov  %rax, new
 *         op   src, new
 *         lock cmpxchg new, MEM        (compares rax, loads it on failure)
 *         jne  1b
 *         mov  %rax, src
 *
 * A fetching operation whose result nobody reads is the plain one.  Loads and
 * stores with ordering are ordinary ones: x86 orders them so already.
 */
#include "rewriter/code/gen.h"

/* Atomic operation -> group 1 digit. */
static bool digit_of(int32_t op, unsigned *digit)
{
	switch (op & ~BPF_FETCH) {
	case BPF_ADD:
		*digit = ALU_ADD;
		return true;
	case BPF_OR:
		*digit = ALU_OR;
		return true;
	case BPF_AND:
		*digit = ALU_AND;
		return true;
	case BPF_XOR:
		*digit = ALU_XOR;
		return true;
	}
	return false;
}

static void compare_exchange(struct gen *g, unsigned size, struct mem *m,
			     int src)
{
	struct code *c = g->c;
	int r0 = g->of[0];

	if (r0 != RAX)
		x86_mov(c, 8, RAX, r0);
	x86_rm(c, size, 0x0fb1 | OP_LOCK, src, m, 0);
	/* On success a 32-bit cmpxchg leaves rax's upper half as it was. */
	if (size == 4 || r0 != RAX)
		x86_mov(c, size, r0, RAX);
}

static void fetch_loop(struct gen *g, unsigned size, unsigned digit,
		       struct mem *m, int src)
{
	struct code *c = g->c;
	int aside = g->scratch[1], operand = src == RAX ? aside : src;
	bool save = g->mapped & REG_BIT(RAX);
	size_t again;

	if (save)
		x86_mov(c, 8, aside, RAX);
	if (m->base == RAX)
		m->base = aside;
	x86_load(c, size, false, RAX, m);
	again = c->n;
	x86_mov(c, size, g->scratch[0], RAX);
	x86_alu(c, size, digit, g->scratch[0], operand);
	x86_rm(c, size, 0x0fb1 | OP_LOCK, g->scratch[0], m, 0);
	code_u8(c, 0x70 | COND_NE);
	code_u8(c, (uint8_t)(again - (c->n + 1)));
	if (src == RAX)
		return;
	x86_mov(c, size, src, RAX);
	if (save)
		x86_mov(c, 8, RAX, aside);
}

static void plain(struct gen *g, uint32_t at, unsigned size, unsigned digit,
		  struct mem *m)
{
	const struct bpf_insn *i = gen_insn(g, at);
	int32_t imm;

	if (insn_operand(i, gen_fact(g, at), &imm))
		x86_alu_mem_imm(g->c, size, digit | OP_LOCK, m, imm);
	else
		x86_alu_mem(g->c, size, digit << 3 | 1 | OP_LOCK, m,
			    gen_reg(g, i->src_reg));
}

int gen_atomic(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	unsigned size = insn_bytes(i), digit;
	struct mem m;

	if (i->imm == INSN_LOAD_ACQ)
		return gen_load(g, at);
	if (i->imm == INSN_STORE_REL)
		return gen_store(g, at);
	if (size < 4)
		return gen_fail(g, at, "atomic operation on %u bytes", size);
	m = gen_memory(g, &k->dst, i->dst_reg, i->off);
	if (i->imm == BPF_XCHG)
		x86_rm(g->c, size, 0x87, g->of[i->src_reg], &m, 0);
	else if (i->imm == BPF_CMPXCHG)
		compare_exchange(g, size, &m, gen_reg(g, i->src_reg));
	else if (!digit_of(i->imm, &digit))
		return gen_fail(g, at, "unknown atomic operation %#x", i->imm);
	else if (!(i->imm & BPF_FETCH) || k->no_fetch)
		plain(g, at, size, digit, &m);
	else if (digit == ALU_ADD)
		x86_rm(g->c, size, 0x0fc1 | OP_LOCK, g->of[i->src_reg], &m, 0);
	else
		fetch_loop(g, size, digit, &m, g->of[i->src_reg]);
	return 0;
}
