/* SPDX-License-Identifier: MIT */
/* judge_alu.c - numbers, as RFC 9669 has them. */
#include "judge.h"

uint64_t judge_sign(uint64_t v, unsigned bits)
{
	return bits >= 64
		       ? v
		       : (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
}

static uint64_t divide(uint64_t a, uint64_t b, bool is_signed, bool rest,
		       bool wide)
{
	int64_t x = wide ? (int64_t)a : (int32_t)a;
	int64_t y = wide ? (int64_t)b : (int32_t)b;

	if (!b)
		return rest ? a : 0;
	if (!is_signed)
		return rest ? a % b : a / b;
	if (y == -1)
		return rest ? 0 : -(uint64_t)x;
	return (uint64_t)(rest ? x % y : x / y);
}

static uint64_t swap(const struct bpf_insn *i, uint64_t v)
{
	bool turn = BPF_CLASS(i->code) == BPF_ALU64 || BPF_SRC(i->code);

	if (turn)
		v = __builtin_bswap64(v) >> (64 - i->imm);
	return i->imm == 64 ? v : v & ((UINT64_C(1) << i->imm) - 1);
}

void judge_alu(const struct bpf_insn *i, uint64_t *r)
{
	bool wide = BPF_CLASS(i->code) == BPF_ALU64;
	uint64_t d = r[i->dst_reg], s = BPF_SRC(i->code) == BPF_X
						? r[i->src_reg]
						: (uint64_t)(int64_t)i->imm;
	unsigned n;

	if (BPF_OP(i->code) == BPF_END) {
		r[i->dst_reg] = swap(i, d);
		return;
	}
	if (!wide) {
		d = (uint32_t)d;
		s = (uint32_t)s;
	}
	n = (unsigned)s & (wide ? 63 : 31);
	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		d += s;
		break;
	case BPF_SUB:
		d -= s;
		break;
	case BPF_MUL:
		d *= s;
		break;
	case BPF_OR:
		d |= s;
		break;
	case BPF_AND:
		d &= s;
		break;
	case BPF_XOR:
		d ^= s;
		break;
	case BPF_LSH:
		d <<= n;
		break;
	case BPF_RSH:
		d >>= n;
		break;
	case BPF_ARSH:
		d = wide ? (uint64_t)((int64_t)d >> n)
			 : (uint64_t)((int32_t)d >> n);
		break;
	case BPF_DIV:
	case BPF_MOD:
		d = divide(d, s, i->off, BPF_OP(i->code) == BPF_MOD, wide);
		break;
	case BPF_NEG:
		d = -d;
		break;
	case BPF_MOV:
		d = i->off ? judge_sign(s, (unsigned)i->off) : s;
		break;
	}
	r[i->dst_reg] = wide ? d : (uint32_t)d;
}

bool judge_taken(const struct bpf_insn *i, const uint64_t *r)
{
	bool wide = BPF_CLASS(i->code) == BPF_JMP;
	uint64_t x = r[i->dst_reg], y = BPF_SRC(i->code) == BPF_X
						? r[i->src_reg]
						: (uint64_t)(int64_t)i->imm;
	int64_t sx = wide ? (int64_t)x : (int32_t)x;
	int64_t sy = wide ? (int64_t)y : (int32_t)y;

	if (!wide) {
		x = (uint32_t)x;
		y = (uint32_t)y;
	}
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return x == y;
	case BPF_JNE:
		return x != y;
	case BPF_JGT:
		return x > y;
	case BPF_JGE:
		return x >= y;
	case BPF_JLT:
		return x < y;
	case BPF_JLE:
		return x <= y;
	case BPF_JSGT:
		return sx > sy;
	case BPF_JSGE:
		return sx >= sy;
	case BPF_JSLT:
		return sx < sy;
	case BPF_JSLE:
		return sx <= sy;
	case BPF_JSET:
		return x & y;
	}
	return true;
}
