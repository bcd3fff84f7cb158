/* SPDX-License-Identifier: MIT */
/* make_number.c - which register; numbers, and their bounds; see make.c. */
#include "making.h"

bool is_locked(const struct maker *m, unsigned r)
{
	return m->locked >> r & 1;
}

/* One to write to. */
uint8_t fresh(struct maker *m)
{
	static const uint8_t pool[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9 };
	uint8_t r;

	for (int i = 0; i < 20; i++) {
		r = pool[below(m, sizeof(pool))];
		if (!is_locked(m, r))
			return r;
	}
	return 3;
}

uint8_t other(struct maker *m, uint8_t than)
{
	uint8_t r = fresh(m);

	while (r == than || r == 6 || is_locked(m, r))
		r = (uint8_t)((r + 1) % 10);
	return r;
}

/* A register that holds this; or, by mistake, another one; -1: none. */
int find(struct maker *m, uint8_t holds)
{
	unsigned at = below(m, 10);

	if (mistake(m))
		return (int)at;
	for (unsigned i = 0; i < 10; i++)
		if (m->k.r[(at + i) % 10].holds == holds)
			return (int)((at + i) % 10);
	return -1;
}

void any_number(struct maker *m, uint8_t r)
{
	switch (below(m, 6)) {
	case 0:
		lddw(m, r, 0, any_imm(m), any_imm(m));
		number(m, r, ANY_NUMBER);
		break;
	case 1:
		if (m->k.r[6].holds == CTX) {
			emit(m, BPF_LDX | BPF_MEM | BPF_DW, r, 6,
			     8 * (int)below(m, 16), 0);
			number(m, r, ANY_NUMBER);
			break;
		}
		/* fall through */
	case 2:
	case 3:
		if (m->numbers) {
			int s = (int)below(m, NUMBERS);

			while (!(m->numbers >> s & 1))
				s = (s + 1) % NUMBERS;
			emit(m, BPF_LDX | BPF_MEM | BPF_DW, r, 10, -8 * (s + 1),
			     0);
			number(m, r, ANY_NUMBER);
			break;
		}
		/* fall through */
	default:
		mov_imm(m, r, any_imm(m));
	}
}

uint8_t some_number(struct maker *m)
{
	int r = find(m, NUMBER);

	if (r < 0 || is_locked(m, (unsigned)r)) {
		r = fresh(m);
		any_number(m, (uint8_t)r);
	}
	return (uint8_t)r;
}

/* To read only: it may be locked. */
uint8_t read_number(struct maker *m)
{
	int r = find(m, NUMBER);

	return r < 0 ? some_number(m) : (uint8_t)r;
}

void piece_alu(struct maker *m)
{
	static const uint8_t ops[] = {
		BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV,  BPF_MOD, BPF_OR,  BPF_AND,
		BPF_XOR, BPF_LSH, BPF_RSH, BPF_ARSH, BPF_MOV, BPF_NEG, BPF_END,
	};
	uint8_t op = ops[below(m, sizeof(ops))];
	uint8_t class = below(m, 2) ? BPF_ALU64 : BPF_ALU;
	uint8_t r = some_number(m), by = read_number(m);
	bool x = below(m, 2) && op != BPF_NEG && op != BPF_END;
	int32_t imm = any_imm(m);
	int off = 0;

	if (op == BPF_END) {
		emit(m, class | op | (class == BPF_ALU && below(m, 2) ? 8 : 0),
		     r, 0, 0, 16 << below(m, 3));
		number(m, r, ANY_NUMBER);
		return;
	}
	if (op == BPF_DIV || op == BPF_MOD) {
		off = (int)below(m, 2);
		imm = imm ? imm : 1;
	}
	if (op == BPF_MOV && x)
		off = (int[]){ 0, 8, 16,
			       class == BPF_ALU64 ? 32 : 0 }[below(m, 4)];
	if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
		imm = (int32_t)below(m, class == BPF_ALU64 ? 64 : 32);
	if (op == BPF_NEG)
		imm = 0;
	emit(m, class | op | (x ? BPF_X : BPF_K), r, x ? by : 0, off,
	     x ? 0 : imm);
	number(m, r, ANY_NUMBER);
}

uint8_t any_compare(struct maker *m)
{
	static const uint8_t ops[] = { BPF_JEQ,  BPF_JNE,  BPF_JGT,  BPF_JGE,
				       BPF_JLT,  BPF_JLE,  BPF_JSGT, BPF_JSGE,
				       BPF_JSLT, BPF_JSLE, BPF_JSET };

	return ops[below(m, sizeof(ops))];
}

/* if (r OP imm) skip the next one, which is r = else */
static void unless(struct maker *m, uint8_t class, uint8_t op, uint8_t r,
		   int32_t imm, int32_t or_else)
{
	uint32_t j = jump(m, class | op | BPF_K, r, 0, imm);

	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, or_else);
	aim(m, j);
}

/* The largest number of ones only that is at most `max`. */
static int32_t ones(int32_t max)
{
	return (int32_t)((UINT32_C(1)
			  << (31 - __builtin_clz((unsigned)max + 1))) -
			 1);
}

static void bound_by_sum(struct maker *m, uint8_t r, int32_t max)
{
	uint8_t by = other(m, r);
	int32_t scale = 1 + (int32_t)below(m, 4), a = max / (2 * scale);

	a = ones(a);
	any_number(m, by);
	alu_imm(m, BPF_AND, r, a);
	alu_imm(m, BPF_MUL, r, scale);
	alu_imm(m, BPF_AND, by, max - a * scale);
	alu_reg(m, below(m, 4) ? BPF_ADD : BPF_OR, r, by);
	number(m, by, ANY_NUMBER);
}

/* r becomes at most `max`, in one of many ways. */
void bound(struct maker *m, uint8_t r, int32_t max)
{
	int32_t mask;

	if (mistake(m))
		max++;
	if (!m->held && one_in(m, 24)) /* a guard does it */
		return;
	mask = ones(max);
	switch (below(m, 12)) {
	case 0:
		unless(m, BPF_JMP, BPF_JLE, r, max, max);
		break;
	case 1:
		unless(m, BPF_JMP, BPF_JLT, r, max + 1, 0);
		break;
	case 2:
		emit(m, BPF_ALU | BPF_MOV | BPF_X, r, r, 0, 0);
		unless(m, BPF_JMP32, BPF_JLE, r, max, 0);
		break;
	case 3:
		emit(m, (below(m, 2) ? BPF_ALU64 : BPF_ALU) | BPF_MOD | BPF_K,
		     r, 0, 0, max + 1);
		break;
	case 4:
		unless(m, BPF_JMP, BPF_JSGE, r, 0, 0);
		unless(m, BPF_JMP, BPF_JSLE, r, max, max);
		break;
	case 5:
		alu_imm(m, BPF_AND, r, mask);
		alu_imm(m, BPF_XOR, r, mask);
		if (max > mask)
			alu_imm(m, BPF_ADD, r, max - mask);
		break;
	case 6:
		if (mask)
			alu_imm(m, BPF_RSH, r, __builtin_clzll((uint64_t)mask));
		else
			alu_imm(m, BPF_AND, r, 0);
		break;
	case 7:
		alu_imm(m, BPF_ARSH, r, 63);
		alu_imm(m, BPF_AND, r, max);
		break;
	case 8:
		alu_imm(m, BPF_OR, r, max);
		unless(m, BPF_JMP, BPF_JEQ, r, max, max);
		break;
	case 9:
		bound_by_sum(m, r, max);
		break;
	default:
		alu_imm(m, BPF_AND, r, below(m, 2) ? max : mask);
	}
	number(m, r, (uint64_t)max);
}

void piece_number(struct maker *m)
{
	any_number(m, fresh(m));
}

void piece_compare(struct maker *m)
{
	uint8_t r = some_number(m), by = read_number(m);
	uint8_t class = below(m, 2) ? BPF_JMP : BPF_JMP32;
	uint32_t j =
		below(m, 2) ? jump(m, class | any_compare(m) | BPF_K, r, 0,
				   any_imm(m))
			    : jump(m, class | any_compare(m) | BPF_X, r, by, 0);

	if (is_locked(m, r))
		emit(m, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	else
		emit(m, BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, any_imm(m));
	aim(m, j);
	if (m->out->insn[m->n - 1].code == (BPF_JMP | BPF_JA))
		aim(m, m->n - 1);
	if (!is_locked(m, r))
		number(m, r, ANY_NUMBER);
}
