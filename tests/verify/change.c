/* SPDX-License-Identifier: MIT */
/* change.c - see change.h. */
#include "change.h"

#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/guard.h"

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))

enum {
	CHANGES_MAX = 3,
	TRIES = 200,
	MEMSX = 0x80,
	LOAD_ACQUIRE = 0x100,
	STORE_RELEASE = 0x110,
	ITS_REGS = 11
};

struct changing {
	struct arena *a;
	struct chance *c;
	const struct bpf_set *set;
	struct bpf_prog *p;
};

/* --- chance ------------------------------------------------------------ */

struct chance chance_of(uint64_t seed)
{
	/* Seeds that follow each other shall have nothing in common. */
	uint64_t x = seed + UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (struct chance){ (x ^ x >> 31) | 1 };
}

uint32_t chance_below(struct chance *c, uint32_t n)
{
	c->state ^= c->state << 13;
	c->state ^= c->state >> 7;
	c->state ^= c->state << 17;
	return (uint32_t)((c->state * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n);
}

static uint32_t below(struct changing *g, uint32_t n)
{
	return chance_below(g->c, n);
}

/* --- what an instruction is -------------------------------------------- */

static uint8_t class(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code);
}
static bool is_alu(const struct bpf_insn *i)
{
	return class(i) == BPF_ALU || class(i) == BPF_ALU64;
}
static bool is_memory(const struct bpf_insn *i)
{
	return class(i) == BPF_LDX || class(i) == BPF_ST || class(i) == BPF_STX;
}
static bool is_atomic(const struct bpf_insn *i)
{
	return class(i) == BPF_STX && BPF_MODE(i->code) == BPF_ATOMIC;
}
static bool is_branch(const struct bpf_insn *i)
{
	return is_jump(i) && !is_goto(i);
}
static bool is_helper(const struct bpf_insn *i)
{
	return is_call(i) && !i->src_reg;
}
/* It names no other instruction, and can stand anywhere. */
static bool is_movable(const struct bpf_insn *i)
{
	return is_alu(i) || is_memory(i) || is_helper(i);
}
static bool has_src(const struct bpf_insn *i)
{
	return class(i) == BPF_LDX || class(i) == BPF_STX ||
	       ((is_alu(i) || is_branch(i)) && BPF_SRC(i->code) == BPF_X);
}
static bool has_dst(const struct bpf_insn *i)
{
	return is_alu(i) || is_memory(i) || is_branch(i) || is_lddw(i);
}
static bool has_imm(const struct bpf_insn *i)
{
	return class(i) == BPF_ST ||
	       ((is_alu(i) || is_branch(i)) && BPF_SRC(i->code) == BPF_K);
}

/* --- one change; false: not of this instruction ------------------------ */

static bool dst_other(struct changing *g, struct bpf_insn *i)
{
	if (!has_dst(i))
		return false;
	i->dst_reg = below(g, ITS_REGS) & 15;
	return true;
}

static bool src_other(struct changing *g, struct bpf_insn *i)
{
	if (!has_src(i))
		return false;
	i->src_reg = below(g, ITS_REGS) & 15;
	return true;
}

static bool regs_swapped(struct changing *g, struct bpf_insn *i)
{
	uint8_t t = i->dst_reg;

	(void)g;
	if (!has_src(i))
		return false;
	i->dst_reg = i->src_reg;
	i->src_reg = t & 15;
	return true;
}

static bool off_other(struct changing *g, struct bpf_insn *i)
{
	static const int16_t by[] = { 1, -1, 2,  -2,  4,   -4,
				      8, -8, 16, -16, 512, -512 };

	if (!is_memory(i))
		return false;
	if (!below(g, 6))
		i->off = (int16_t)-i->off;
	else
		i->off = (int16_t)(i->off + by[below(g, COUNT(by))]);
	return true;
}

static bool imm_other(struct changing *g, struct bpf_insn *i)
{
	static const int32_t edge[] = {
		0,    1,     -1,        2,         3,      4,   7,    8,
		9,    15,    16,        31,        32,     33,  56,   63,
		64,   65,    127,       128,       255,    256, 511,  512,
		513,  4095,  4096,      -8,        -16,    -64, -512, 1000,
		4097, 65535, INT32_MAX, INT32_MIN, 1 << 29
	};

	/* A reference stays; its offset need not, but it is inside. */
	if (is_lddw(i) && i->src_reg == BPF_PSEUDO_MAP_VALUE) {
		i[1].imm = (int32_t)below(g, g->set->map[i->imm].value_size);
		return true;
	}
	if (is_lddw(i) ? i->src_reg : !has_imm(i))
		return false;
	switch (below(g, 4)) {
	case 0:
		i->imm = (int32_t)((uint32_t)i->imm + 1 - 2 * below(g, 2));
		break;
	case 1:
		i->imm = (int32_t)(0 - (uint32_t)i->imm);
		break;
	default:
		i->imm = edge[below(g, COUNT(edge))];
	}
	return true;
}

/* (The kernel knows nothing of quotients and remainders: nothing would come of
 * them but what we know better.) */
static bool alu_other(struct changing *g, struct bpf_insn *i)
{
	static const uint8_t op[] = { BPF_ADD, BPF_SUB, BPF_AND,  BPF_OR,
				      BPF_LSH, BPF_RSH, BPF_ARSH, BPF_MOV,
				      BPF_MUL, BPF_XOR };

	if (!is_alu(i) || BPF_OP(i->code) == BPF_END)
		return false;
	i->code = (i->code & ~0xf0) | op[below(g, COUNT(op))];
	return true;
}

static bool alu_signed(struct changing *g, struct bpf_insn *i)
{
	static const int16_t bits[] = { 0, 8, 16, 32 };
	uint8_t op = BPF_OP(i->code);

	if (!is_alu(i))
		return false;
	if (op == BPF_MOV && BPF_SRC(i->code) == BPF_X)
		i->off = bits[below(g, COUNT(bits))];
	else if (op == BPF_DIV || op == BPF_MOD)
		i->off = !i->off;
	else
		return false;
	return true;
}

static bool width_other(struct changing *g, struct bpf_insn *i)
{
	(void)g;
	if (is_alu(i))
		i->code ^= BPF_ALU ^ BPF_ALU64;
	else if (is_branch(i))
		i->code ^= BPF_JMP ^ BPF_JMP32;
	else
		return false;
	return true;
}

/* A number for a register, and the other way round. */
static bool operand_other(struct changing *g, struct bpf_insn *i)
{
	if (!is_alu(i) && !is_branch(i))
		return false;
	i->code ^= BPF_X;
	i->imm = 0;
	i->src_reg = 0;
	if (BPF_SRC(i->code) == BPF_X)
		i->src_reg = below(g, ITS_REGS) & 15;
	else
		i->imm = (int32_t)below(g, 70) - 2;
	return true;
}

static bool size_other(struct changing *g, struct bpf_insn *i)
{
	if (!is_memory(i))
		return false;
	if (is_atomic(i))
		i->code ^= BPF_DW;
	else
		i->code = (i->code & ~0x18) | below(g, 4) << 3;
	return true;
}

static bool memory_other(struct changing *g, struct bpf_insn *i)
{
	switch (class(i)) {
	case BPF_LDX:
		switch (below(g, 3)) {
		case 0:
			i->code ^= BPF_MEM ^ MEMSX;
			break;
		case 1:
			i->code ^= BPF_LDX ^ BPF_STX;
			break;
		default:
			i->code = (i->code & 0x18) | BPF_STX | BPF_ATOMIC;
			i->imm = LOAD_ACQUIRE;
		}
		return true;
	case BPF_STX:
		if (is_atomic(i))
			return false;
		i->code ^= BPF_STX ^ BPF_LDX;
		return true;
	}
	return false;
}

static bool atomic_other(struct changing *g, struct bpf_insn *i)
{
	static const int32_t op[] = { BPF_ADD,
				      BPF_AND,
				      BPF_OR,
				      BPF_XOR,
				      BPF_ADD | BPF_FETCH,
				      BPF_XOR | BPF_FETCH,
				      BPF_XCHG,
				      BPF_CMPXCHG,
				      LOAD_ACQUIRE,
				      STORE_RELEASE };

	if (class(i) != BPF_STX)
		return false;
	if (!is_atomic(i)) {
		i->code = (i->code & 0x1f) | BPF_ATOMIC;
		i->imm = op[below(g, COUNT(op))];
	} else if (below(g, 2)) {
		i->imm ^= BPF_FETCH;
	} else if (below(g, 4)) {
		i->imm = op[below(g, COUNT(op))];
	} else {
		i->code = (i->code & ~0xe0) | BPF_MEM;
		i->imm = 0;
	}
	return true;
}

static bool branch_other(struct changing *g, struct bpf_insn *i)
{
	static const uint8_t op[] = { BPF_JEQ,  BPF_JNE,  BPF_JSET, BPF_JGT,
				      BPF_JGE,  BPF_JLT,  BPF_JLE,  BPF_JSGT,
				      BPF_JSGE, BPF_JSLT, BPF_JSLE };

	if (!is_branch(i))
		return false;
	i->code = (i->code & ~0xf0) | op[below(g, COUNT(op))];
	return true;
}

static bool target_other(struct changing *g, struct bpf_insn *i)
{
	uint32_t n = g->p->ninsn, at = (uint32_t)(i - g->p->insn), to;

	if (!is_jump(i) || i->code == (BPF_JMP32 | BPF_JA))
		return false;
	to = below(g, 4) ? jump_target(i, at) + below(g, 7) - 3 : below(g, n);
	if (to >= n) /* guard_insert() follows all jumps */
		return false;
	i->off = (int16_t)(to - at - 1);
	return true;
}

static bool helper_other(struct changing *g, struct bpf_insn *i)
{
	static const uint8_t id[] = {
#define HELPER(id, ...) id,
#include "runtime-stub/helpers.def"
#undef HELPER
	};

	if (!is_helper(i))
		return false;
	do
		i->imm = id[below(g, COUNT(id))];
	while (i->imm == BPF_FUNC_override_return || i->imm == 255);
	return true;
}

/* The kernel knows no empty instruction but this. */
static bool gone(struct changing *g, struct bpf_insn *i)
{
	(void)g;
	if (is_exit(i) || is_lddw(i) || is_call(i))
		return false;
	*i = (struct bpf_insn){ .code = BPF_JMP | BPF_JA };
	return true;
}

static bool call_gone(struct changing *g, struct bpf_insn *i)
{
	if (!is_helper(i))
		return false;
	*i = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV,
				.imm = (int32_t)below(g, 3) - 1 };
	return true;
}

/* An instruction from anywhere, in front of this. */
static void insert(struct changing *g, uint32_t at, struct bpf_insn insn)
{
	struct err e;

	guard_insert(g->a, g->p, at, insn, &e);
	g->p->guarded = false;
}

static bool twice(struct changing *g, struct bpf_insn *i)
{
	if (!is_movable(i))
		return false;
	insert(g, (uint32_t)(i - g->p->insn), *i);
	return true;
}

static bool copied(struct changing *g, struct bpf_insn *i)
{
	const struct bpf_insn *from = &g->p->insn[below(g, g->p->ninsn)];

	if (!is_movable(from) || (from > g->p->insn && is_lddw(from - 1)))
		return false;
	insert(g, (uint32_t)(i - g->p->insn), *from);
	return true;
}

static bool written(struct changing *g, struct bpf_insn *i)
{
	const struct bpf_insn *from = &g->p->insn[below(g, g->p->ninsn)];

	if (!is_movable(from) || !is_movable(i) ||
	    (from > g->p->insn && is_lddw(from - 1)))
		return false;
	*i = *from;
	return true;
}

static bool exchanged(struct changing *g, struct bpf_insn *i)
{
	struct bpf_insn was = *i;

	if (i + 1 == g->p->insn + g->p->ninsn || !is_movable(i) ||
	    !is_movable(i + 1))
		return false;
	i[0] = i[1];
	i[1] = was;
	return true;
}

static bool (*const changes[])(struct changing *, struct bpf_insn *) = {
	dst_other,    src_other,     regs_swapped, off_other,    off_other,
	imm_other,    imm_other,     alu_other,    alu_other,    alu_signed,
	width_other,  operand_other, size_other,   memory_other, atomic_other,
	branch_other, branch_other,  target_other, helper_other, gone,
	gone,         call_gone,     twice,        copied,       written,
	exchanged,
};

static bool is_second(const struct bpf_prog *p, uint32_t at)
{
	uint32_t i = 0;

	while (i < at)
		i += 1 + is_lddw(&p->insn[i]);
	return i > at;
}

static bool change_one(struct changing *g)
{
	uint32_t at = below(g, g->p->ninsn);

	return !is_second(g->p, at) &&
	       changes[below(g, COUNT(changes))](g, &g->p->insn[at]);
}

void change(struct arena *a, struct chance *c, const struct bpf_set *set,
	    struct bpf_prog *p)
{
	struct changing g = { a, c, set, p };
	uint32_t n = 1 + below(&g, CHANGES_MAX), done = 0;

	p->insn = arena_dup(a, p->insn, p->ninsn * sizeof(*p->insn));
	for (uint32_t i = 0; i < TRIES && done < n; i++)
		done += change_one(&g);
}
