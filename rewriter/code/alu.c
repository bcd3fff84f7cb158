/* SPDX-License-Identifier: MIT */
/* alu.c - arithmetic.  32-bit operations leave the upper half zero, as x86's
 * own do.  Division never traps: x/0 is 0, x%0 is x, and the signed forms by
 * -1 are a negation and 0 (RFC 9669 §4.1).
 */
#include "rewriter/code/gen.h"

/* BPF operation -> x86 group 1 digit. */
static const struct {
	bool is;
	uint8_t digit;
} group1[16] = {
	// clang-format off
	[BPF_ADD >> 4] = { true, ALU_ADD },
	[BPF_SUB >> 4] = { true, ALU_SUB },
	[BPF_OR  >> 4] = { true, ALU_OR },
	[BPF_AND >> 4] = { true, ALU_AND },
	[BPF_XOR >> 4] = { true, ALU_XOR },
	// clang-format on
};

static unsigned size_of(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code) == BPF_ALU64 ? 8 : 4;
}

static void group1_imm(struct code *c, unsigned size, unsigned digit, int dst,
		       int32_t imm)
{
	if (digit == ALU_AND && imm >= 0)
		size = 4; /* the upper half becomes 0 either way */
	x86_alu_imm(c, size, digit, dst, imm);
}

static void multiply_imm(struct code *c, unsigned size, int dst, int32_t imm)
{
	unsigned n;

	if (imm > 0 && power_of_two((uint32_t)imm, &n)) {
		x86_shift(c, size, SHIFT_SHL, dst, n);
	} else if (fits8(imm)) {
		x86_rr(c, size, 0x6b, dst, dst);
		code_u8(c, (uint8_t)imm);
	} else {
		x86_rr(c, size, 0x69, dst, dst);
		code_u32(c, (uint32_t)imm);
	}
}

static int move(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	int dst = g->of[i->dst_reg], src = gen_reg(g, i->src_reg);
	unsigned bytes = (unsigned)i->off / 8;

	if (!i->off) {
		if (size_of(i) == 4 || dst != src)
			x86_mov(g->c, size_of(i), dst, src);
		return 0;
	}
	if (i->off != 8 && i->off != 16 && i->off != 32)
		return gen_fail(g, at, "unknown kind of move");
	x86_extend(g->c, bytes, true, dst, src);
	if (size_of(i) == 4)
		x86_mov(g->c, 4, dst, dst);
	return 0;
}

static int swap(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	bool to_le = BPF_CLASS(i->code) == BPF_ALU && !(i->code & BPF_TO_BE);
	unsigned bytes = (unsigned)i->imm / 8;
	int dst = g->of[i->dst_reg];

	if (i->imm != 16 && i->imm != 32 && i->imm != 64)
		return gen_fail(g, at, "cannot swap %d bits", i->imm);
	if (!to_le && bytes > 2)
		x86_bswap(g->c, bytes, dst);
	else if (!to_le)
		x86_shift(g->c, 2, SHIFT_ROL, dst, 8);
	if (bytes == 2 || (to_le && bytes == 4))
		x86_extend(g->c, bytes, false, dst, dst);
	return 0;
}

/* The count has to be in cl.  With the calling convention's registers rcx is
 * r4, which then steps aside. */
static void shift(struct gen *g, unsigned size, unsigned digit, int dst,
		  int src)
{
	struct code *c = g->c;
	int aside = g->scratch[1];
	int target = dst == RCX ? aside : dst;
	bool save = src != RCX && g->mapped & REG_BIT(RCX);

	if (save || dst == RCX)
		x86_mov(c, 8, aside, RCX);
	if (src != RCX)
		x86_mov(c, 4, RCX, src);
	x86_shift_cl(c, size, digit, target);
	if (save || dst == RCX)
		x86_mov(c, 8, RCX, aside);
}

/* What is left to do where the divisor does not allow dividing. */
static void by_zero(struct code *c, unsigned size, bool mod, int dst)
{
	if (!mod)
		x86_set(c, dst, 0);
	else if (size == 4)
		x86_mov(c, 4, dst, dst);
}

static void by_minus_one(struct code *c, unsigned size, bool mod, int dst)
{
	if (mod)
		x86_set(c, dst, 0);
	else
		x86_rr(c, size, 0xf7, 3, dst); /* neg */
}

/* dst = dst / by or dst % by, with by neither 0 nor, if signed, -1, and not in
 * rax or rdx.  Those two step aside where they hold BPF registers. */
static void divide(struct gen *g, unsigned size, bool sign, bool mod, int dst,
		   int by)
{
	bool save_ax = g->mapped & REG_BIT(RAX) && dst != RAX;
	bool save_dx = g->mapped & REG_BIT(RDX) && dst != RDX;
	int result = mod ? RDX : RAX;
	struct code *c = g->c;

	if (save_ax)
		x86_mov(c, 8, g->scratch[1], RAX);
	if (save_dx)
		x86_mov(c, 8, g->scratch[2], RDX);
	if (dst != RAX)
		x86_mov(c, 8, RAX, dst);
	if (!sign)
		x86_set(c, RDX, 0);
	else if (size == 8)
		code_bytes(c, "\x48\x99", 2); /* cqo */
	else
		code_u8(c, 0x99); /* cdq */
	x86_rr(c, size, 0xf7, sign ? 7 : 6, by);
	if (dst != result)
		x86_mov(c, 8, dst, result);
	if (save_ax)
		x86_mov(c, 8, RAX, g->scratch[1]);
	if (save_dx)
		x86_mov(c, 8, RDX, g->scratch[2]);
}

static void divide_reg(struct gen *g, unsigned size, bool sign, bool mod,
		       int dst, int by)
{
	struct code *c = g->c;
	size_t not_zero, not_minus, done[2];

	if (by == RAX || by == RDX) {
		x86_mov(c, 8, g->scratch[0], by);
		by = g->scratch[0];
	}
	x86_rr(c, size, 0x85, by, by);
	not_zero = x86_skip(c, COND_NE);
	by_zero(c, size, mod, dst);
	done[0] = x86_skip(c, ALWAYS);
	x86_land(c, not_zero);
	if (sign) {
		x86_alu_imm(c, size, ALU_CMP, by, -1);
		not_minus = x86_skip(c, COND_NE);
		by_minus_one(c, size, mod, dst);
		done[1] = x86_skip(c, ALWAYS);
		x86_land(c, not_minus);
	}
	divide(g, size, sign, mod, dst, by);
	x86_land(c, done[0]);
	if (sign)
		x86_land(c, done[1]);
}

static void divide_imm(struct gen *g, unsigned size, bool sign, bool mod,
		       int dst, int32_t imm)
{
	uint64_t by = size == 8 ? (uint64_t)(int64_t)imm : (uint32_t)imm;
	unsigned n;

	if (!imm) {
		by_zero(g->c, size, mod, dst);
	} else if (sign && imm == -1) {
		by_minus_one(g->c, size, mod, dst);
	} else if (!sign && power_of_two(by, &n) && n < 32 && mod) {
		group1_imm(g->c, size, ALU_AND, dst, (int32_t)(by - 1));
	} else if (!sign && power_of_two(by, &n) && n < 32) {
		x86_shift(g->c, size, SHIFT_SHR, dst, n);
	} else {
		x86_set(g->c, g->scratch[0], imm);
		divide(g, size, sign, mod, dst, g->scratch[0]);
	}
}

static int divmod(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	bool mod = BPF_OP(i->code) == BPF_MOD;
	int dst = g->of[i->dst_reg];
	int32_t imm;

	if (i->off != 0 && i->off != 1)
		return gen_fail(g, at, "unknown kind of division");
	if (insn_operand(i, gen_fact(g, at), &imm))
		divide_imm(g, size_of(i), i->off, mod, dst, imm);
	else
		divide_reg(g, size_of(i), i->off, mod, dst,
			   gen_reg(g, i->src_reg));
	return 0;
}

static int two_operands(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	uint8_t op = BPF_OP(i->code);
	unsigned size = size_of(i), digit = SHIFT_SHL;
	int dst = g->of[i->dst_reg], src = -1;
	int32_t imm;

	if (!insn_operand(i, gen_fact(g, at), &imm))
		src = gen_reg(g, i->src_reg);
	if (group1[op >> 4].is) {
		digit = group1[op >> 4].digit;
		if (src < 0)
			group1_imm(g->c, size, digit, dst, imm);
		else
			x86_alu(g->c, size, digit, dst, src);
		return 0;
	}
	if (op == BPF_MUL) {
		if (src < 0)
			multiply_imm(g->c, size, dst, imm);
		else
			x86_rr(g->c, size, 0x0faf, dst, src);
		return 0;
	}
	if (op == BPF_RSH)
		digit = SHIFT_SHR;
	else if (op == BPF_ARSH)
		digit = SHIFT_SAR;
	else if (op != BPF_LSH)
		return gen_fail(g, at, "unknown opcode %#x", i->code);
	if (src < 0)
		x86_shift(g->c, size, digit, dst,
			  (unsigned)imm & (size * 8 - 1));
	else
		shift(g, size, digit, dst, src);
	return 0;
}

int gen_alu(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	uint8_t op = BPF_OP(i->code);

	if (k->result.kind != V_ANY)
		return gen_value(g, at, g->of[i->dst_reg], &k->result);
	switch (op) {
	case BPF_MOV:
		return move(g, at);
	case BPF_END:
		return swap(g, at);
	case BPF_NEG:
		x86_rr(g->c, size_of(i), 0xf7, 3, g->of[i->dst_reg]);
		return 0;
	case BPF_DIV:
	case BPF_MOD:
		return divmod(g, at);
	}
	return two_operands(g, at);
}
