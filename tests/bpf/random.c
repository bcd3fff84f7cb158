/* SPDX-License-Identifier: MIT */
/* random.c - random programs, run by every engine on the same memory.
 *
 * A program is a list of pieces.  Each piece leaves r0, r2..r5, r8 and r9
 * holding numbers, r6 ctx and r7 a stack address, so that pieces may be jumped
 * over in any combination.  At the end some of the registers and of the stack
 * become the result; the rest is for the compiler to leave out.
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "rewriter/bpf/guard.h"
#include "rewriter/code/known.h"

enum { MAX_INSNS = 600, MAX_PIECES = 64, WORDS_USED = 8, KEY_AT = -68 };

struct dice {
	uint64_t s;
};

static uint64_t roll(struct dice *d)
{
	d->s ^= d->s << 13;
	d->s ^= d->s >> 7;
	d->s ^= d->s << 17;
	return d->s * UINT64_C(0x2545f4914f6cdd1d) >> 11;
}

static uint32_t below(struct dice *d, uint32_t n)
{
	return (uint32_t)(roll(d) % n);
}

struct maker {
	struct dice d;
	struct bpf_insn insn[MAX_INSNS];
	uint32_t n;
	uint32_t piece[MAX_PIECES + 1]; /* where each starts */
	uint32_t npiece;
	struct {
		uint32_t insn, piece;
	} jump[MAX_PIECES]; /* to be pointed at a later piece */
	uint32_t njump;
	uint32_t call[MAX_PIECES], ncall; /* calls of the subprogram */
	bool pure;                        /* no calls at all */
	bool kernel;                      /* what its verifier accepts */
};

static const uint8_t pool[] = { 0, 2, 3, 4, 5, 8, 9 };

static uint8_t any_reg(struct maker *m)
{
	return pool[below(&m->d, sizeof(pool))];
}

/* Numbers where mistakes live, and others. */
static int32_t any_imm(struct maker *m)
{
	static const int32_t edge[] = { 0,    1,      -1,        2,
					8,    127,    128,       -128,
					-129, 0xffff, INT32_MAX, INT32_MIN,
					1024 };

	if (below(&m->d, 2))
		return edge[below(&m->d, sizeof(edge) / sizeof(*edge))];
	return (int32_t)roll(&m->d);
}

static int32_t any_divisor(struct maker *m)
{
	int32_t imm = any_imm(m);

	return imm || !m->kernel ? imm : 1;
}

static void emit(struct maker *m, uint8_t code, uint8_t dst, uint8_t src,
		 int16_t off, int32_t imm)
{
	m->insn[m->n++] = (struct bpf_insn){ .code = code,
					     .dst_reg = dst & 15,
					     .src_reg = src & 15,
					     .off = off,
					     .imm = imm };
}

static void emit_lddw(struct maker *m, uint8_t dst, uint8_t src, int32_t lo,
		      int32_t hi)
{
	emit(m, BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, lo);
	emit(m, 0, 0, 0, 0, hi);
}

static void emit_number(struct maker *m, uint8_t dst)
{
	if (below(&m->d, 4))
		emit(m, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, any_imm(m));
	else
		emit_lddw(m, dst, 0, any_imm(m), any_imm(m));
}

static void numbers_after_call(struct maker *m)
{
	for (uint8_t r = 1; r <= 5; r++)
		emit_number(m, r);
}

static uint8_t any_size(struct maker *m, unsigned *bytes)
{
	static const uint8_t size[4] = { BPF_B, BPF_H, BPF_W, BPF_DW };
	uint32_t k = below(&m->d, 4);

	*bytes = 1u << k;
	return size[k];
}

static void piece_alu(struct maker *m)
{
	static const uint8_t ops[] = {
		BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV,  BPF_MOD, BPF_OR,  BPF_AND,
		BPF_XOR, BPF_LSH, BPF_RSH, BPF_ARSH, BPF_MOV, BPF_NEG,
	};
	uint8_t op = ops[below(&m->d, sizeof(ops))];
	uint8_t class = below(&m->d, 2) ? BPF_ALU64 : BPF_ALU;
	bool x = below(&m->d, 2) && op != BPF_NEG;
	int32_t imm = op == BPF_NEG ? 0 : any_imm(m);
	int16_t off = 0;

	if (op == BPF_DIV || op == BPF_MOD) {
		off = (int16_t)below(&m->d, 2);
		imm = any_divisor(m);
	}
	if (op == BPF_MOV && x)
		off = (int16_t)(int[]){
			0, 8, 16, class == BPF_ALU64 ? 32 : 0
		}[below(&m->d, 4)];
	if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
		imm = (int32_t)below(&m->d, class == BPF_ALU64 ? 64 : 32);
	emit(m, class | op | (x ? BPF_X : BPF_K), any_reg(m),
	     x ? any_reg(m) : 0, off, x ? 0 : imm);
}

static void piece_swap(struct maker *m)
{
	static const uint8_t code[3] = {
		BPF_ALU | BPF_END | BPF_TO_BE,
		BPF_ALU | BPF_END | BPF_TO_LE,
		BPF_ALU64 | BPF_END,
	};

	emit(m, code[below(&m->d, 3)], any_reg(m), 0, 0, 16 << below(&m->d, 3));
}

static void piece_ctx(struct maker *m)
{
	unsigned bytes;
	uint8_t size = any_size(m, &bytes);
	uint8_t mode = bytes < 8 && below(&m->d, 3) == 0 ? INSN_MEMSX : BPF_MEM;
	uint32_t len = m->kernel ? KERNEL_CTX : PT_REGS_SIZE;

	emit(m, BPF_LDX | (m->kernel ? BPF_MEM : mode) | size, any_reg(m), 6,
	     (int16_t)(below(&m->d, len / bytes) * bytes), 0);
}

static void piece_stack(struct maker *m)
{
	unsigned bytes;
	uint8_t size = any_size(m, &bytes);
	int16_t off = (int16_t) - (int)((1 + below(&m->d, 64 / bytes)) * bytes);
	bool r7 = below(&m->d, 4) == 0;

	if (r7)
		off = (int16_t)(off + 64);
	switch (below(&m->d, 3)) {
	case 0:
		emit(m, BPF_ST | BPF_MEM | size, r7 ? 7 : 10, 0, off,
		     any_imm(m));
		break;
	case 1:
		emit(m, BPF_STX | BPF_MEM | size, r7 ? 7 : 10, any_reg(m), off,
		     0);
		break;
	default:
		emit(m, BPF_LDX | BPF_MEM | size, any_reg(m), r7 ? 7 : 10, off,
		     0);
	}
}

static void emit_atomic(struct maker *m, uint8_t base, int16_t off, bool wide)
{
	static const int32_t ops[] = {
		BPF_ADD,
		BPF_OR,
		BPF_AND,
		BPF_XOR,
		BPF_ADD | BPF_FETCH,
		BPF_OR | BPF_FETCH,
		BPF_AND | BPF_FETCH,
		BPF_XOR | BPF_FETCH,
		BPF_XCHG,
		BPF_CMPXCHG,
		INSN_STORE_REL,
	};
	int32_t op = ops[below(&m->d, sizeof(ops) / sizeof(*ops))];
	uint8_t src = any_reg(m);

	while (src == base)
		src = any_reg(m);
	emit(m, BPF_STX | BPF_ATOMIC | (wide ? BPF_DW : BPF_W), base, src, off,
	     op);
}

static void piece_atomic(struct maker *m)
{
	bool wide = below(&m->d, 2);
	int16_t off = (int16_t)(-8 * (1 + (int)below(&m->d, WORDS_USED)));

	if (below(&m->d, 4) == 0)
		emit(m, BPF_STX | BPF_ATOMIC | (wide ? BPF_DW : BPF_W),
		     any_reg(m), 10, off, INSN_LOAD_ACQ);
	else if (below(&m->d, 4) == 0)
		emit_atomic(m, 7, (int16_t)(off + 64), wide);
	else
		emit_atomic(m, 10, off, wide);
}

static void emit_read(struct maker *m, int32_t to)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, 1, 10, 0, 0);
	emit(m, BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, to);
	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 8);
	emit(m, BPF_JMP | BPF_CALL, 0, 0, 0, 112);
}

/* Store through an address that has been in memory. */
static void emit_spilled(struct maker *m, int32_t to, int32_t value)
{
	emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, 7, -80, 0);
	emit(m, BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -80, 0);
	emit(m, BPF_ST | BPF_MEM | BPF_W, 1, 0, (int16_t)(to + 64), value);
}

/* The key is a constant, perhaps overwritten after that, or whatever a
 * register holds, cut to 0..7. */
static void emit_key(struct maker *m)
{
	uint8_t r;

	if (below(&m->d, 2)) {
		emit(m, BPF_ST | BPF_MEM | BPF_W, 10, 0, KEY_AT,
		     (int32_t)below(&m->d, HOSTED_SLOTS + 1));
		if (!m->pure && !m->kernel && below(&m->d, 4) == 0)
			emit_read(m, KEY_AT - 4);
		else if (below(&m->d, 8) == 0)
			emit_spilled(m, KEY_AT,
				     (int32_t)below(&m->d, HOSTED_SLOTS));
		return;
	}
	r = any_reg(m);
	emit(m, BPF_ALU64 | BPF_AND | BPF_K, r, 0, 0, 7);
	emit(m, BPF_STX | BPF_MEM | BPF_W, 10, r, KEY_AT, 0);
}

static void piece_lookup(struct maker *m)
{
	uint32_t test;
	bool jne = below(&m->d, 2);

	emit_key(m);
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
	emit(m, BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, KEY_AT);
	emit_lddw(m, 1, BPF_PSEUDO_MAP_FD, (int32_t)below(&m->d, 2), 0);
	emit(m, BPF_JMP | BPF_CALL, 0, 0, 0, HELPER_LOOKUP);
	emit_number(m, 2); /* a load may be hoisted between call and test */
	if (below(&m->d, 2))
		m->n -= m->insn[m->n - 1].code ? 1 : 2;
	if (jne)
		emit(m, BPF_JMP | BPF_JNE | BPF_K, 0, 0, 1, 0);
	test = m->n;
	emit(m, jne ? BPF_JMP | BPF_JA : BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0, 0);
	for (uint8_t r = 2; r <= 5; r++)
		emit_number(m, r);
	emit(m, BPF_LDX | BPF_MEM | BPF_W, 9, 0, 4, 0);
	emit_atomic(m, 0, 0, below(&m->d, 2));
	if (m->insn[m->n - 1].imm != BPF_CMPXCHG && below(&m->d, 2))
		emit(m, BPF_STX | BPF_MEM | BPF_W, 0, 9, 0, 0);
	emit_number(m, 0);
	m->insn[test].off = (int16_t)(m->n - test - 1);
	if (below(&m->d, 2))
		emit(m, BPF_ALU64 | BPF_XOR | BPF_X, 8, 0, 0, 0);
	numbers_after_call(m);
}

static void piece_global(struct maker *m)
{
	emit_lddw(m, 1, BPF_PSEUDO_MAP_VALUE,
		  1 + (int32_t)(m->kernel ? 1 : below(&m->d, 2)),
		  8 * (int32_t)below(&m->d, 2));
	if (m->insn[m->n - 2].imm == 2 || below(&m->d, 2))
		emit(m, BPF_LDX | BPF_MEM | BPF_DW, any_reg(m), 1, 0, 0);
	else
		emit_atomic(m, 1, 8, below(&m->d, 2));
	emit_number(m, 1);
}

static void piece_helper(struct maker *m)
{
	if (!m->kernel && below(&m->d, 2))
		emit_read(m, -16);
	else
		emit(m, BPF_JMP | BPF_CALL, 0, 0, 0, 5);
	numbers_after_call(m);
	if (m->kernel)
		emit_number(m, 0);
}

static void piece_subprogram(struct maker *m)
{
	emit_number(m, 1);
	m->call[m->ncall++] = m->n;
	emit(m, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
	numbers_after_call(m);
}

static void piece_loop(struct maker *m)
{
	uint32_t start;

	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0,
	     1 + (int32_t)below(&m->d, 4));
	start = m->n;
	for (uint32_t k = below(&m->d, 4) + 1; k--;)
		piece_alu(m);
	emit(m, BPF_ALU64 | BPF_SUB | BPF_K, 1, 0, 0, 1);
	emit(m, BPF_JMP | BPF_JSGT | BPF_K, 1, 0, (int16_t)(start - m->n - 1),
	     0);
}

/* One that mostly passes: of a register or, with few bits, of what it holds. */
static void piece_guard(struct maker *m)
{
	struct bpf_insn guard = guard_range(any_reg(m), UINT32_MAX);
	uint32_t bits = 1 + below(&m->d, 32);

	if (m->kernel)
		return;
	if (below(&m->d, 4) == 0)
		guard = below(&m->d, 2) ? guard_loop()
					: guard_turn(1 << below(&m->d, 30));
	else if (below(&m->d, 24) == 0)
		guard.imm = any_imm(m);
	else if (below(&m->d, 2))
		emit(m, BPF_ALU | BPF_MOV | BPF_X, guard.dst_reg,
		     guard.dst_reg, 0, 0);
	else {
		emit(m, BPF_ALU64 | BPF_RSH | BPF_K, guard.dst_reg, 0, 0,
		     (int32_t)(64 - bits));
		guard.imm = (int32_t)((UINT64_C(1) << bits) - 1);
	}
	m->insn[m->n++] = guard;
}

static void piece_jump(struct maker *m)
{
	static const uint8_t ops[] = { BPF_JEQ,  BPF_JNE,  BPF_JGT,  BPF_JGE,
				       BPF_JLT,  BPF_JLE,  BPF_JSGT, BPF_JSGE,
				       BPF_JSLT, BPF_JSLE, BPF_JSET };
	uint8_t class = below(&m->d, 2) ? BPF_JMP : BPF_JMP32;
	bool x = below(&m->d, 2);

	m->jump[m->njump].insn = m->n;
	m->jump[m->njump++].piece = m->npiece + 1 + below(&m->d, 6);
	if (!m->kernel && below(&m->d, 12) == 0)
		emit(m, class | BPF_JA, 0, 0, 0, 0);
	else
		emit(m,
		     class | ops[below(&m->d, sizeof(ops))] |
			     (x ? BPF_X : BPF_K),
		     any_reg(m), x ? any_reg(m) : 0, 0, x ? 0 : any_imm(m));
}

static void (*const pieces[])(struct maker *) = {
	piece_alu,    piece_alu,  piece_alu,    piece_alu,
	piece_swap,   piece_ctx,  piece_stack,  piece_stack,
	piece_atomic, piece_jump, piece_jump,   piece_lookup,
	piece_global, piece_guard, piece_loop,  piece_helper,
	piece_subprogram,
};
enum { PIECES = sizeof(pieces) / sizeof(*pieces) };

static void emit_start(struct maker *m)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
	for (size_t i = 0; i < sizeof(pool); i++)
		emit_number(m, pool[i]);
	emit_number(m, 1);
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, 7, 10, 0, 0);
	emit(m, BPF_ALU64 | BPF_ADD | BPF_K, 7, 0, 0, -64);
	for (int w = 1; w <= WORDS_USED; w++)
		emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, any_reg(m),
		     (int16_t)(-8 * w), 0);
}

static void emit_end(struct maker *m)
{
	for (size_t i = 1; i < sizeof(pool); i++) {
		if (below(&m->d, 2))
			continue;
		emit(m, BPF_ALU64 | BPF_MUL | BPF_K, 0, 0, 0, 0x01000193);
		emit(m, BPF_ALU64 | BPF_XOR | BPF_X, 0, pool[i], 0, 0);
	}
	for (int w = 1; w <= WORDS_USED; w++) {
		if (below(&m->d, 2))
			continue;
		emit(m, BPF_LDX | BPF_MEM | BPF_DW, 2, 10, (int16_t)(-8 * w),
		     0);
		emit(m, BPF_ALU64 | BPF_MUL | BPF_K, 0, 0, 0, 0x01000193);
		emit(m, BPF_ALU64 | BPF_ADD | BPF_X, 0, 2, 0, 0);
	}
	emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_subprogram(struct maker *m)
{
	uint32_t at = m->n;

	for (uint32_t k = 0; k < m->ncall; k++)
		m->insn[m->call[k]].imm = (int32_t)(at - m->call[k] - 1);
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, 0, 1, 0, 0);
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, 8, 2, 0, 0);
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, 9, 3, 0, 0);
	emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, 4, -8, 0);
	for (uint32_t k = below(&m->d, 5); k--;)
		piece_alu(m);
	if (below(&m->d, 2)) { /* the pool's others were not set here */
		emit(m, BPF_ALU | BPF_MOV | BPF_X, 9, 9, 0, 0);
		if (!m->kernel)
			m->insn[m->n++] = guard_range(
				9, below(&m->d, 8) ? UINT32_MAX : 1u << 31);
	}
	emit(m, BPF_STX | BPF_ATOMIC | BPF_DW, 10, 9, -8, BPF_ADD | BPF_FETCH);
	emit(m, BPF_ALU64 | BPF_XOR | BPF_X, 0, 9, 0, 0);
	emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void make(struct maker *m, uint64_t seed, bool kernel)
{
	*m = (struct maker){ .d = { seed * UINT64_C(0x9e3779b97f4a7c15) | 1 },
			     .kernel = kernel };
	roll(&m->d);
	m->pure = below(&m->d, 2);
	emit_start(m);
	for (uint32_t k = 3 + below(&m->d, 22); k--;) {
		m->piece[m->npiece] = m->n;
		pieces[below(&m->d, PIECES - (m->pure ? 2 : 0))](m);
		m->npiece++;
	}
	m->piece[m->npiece] = m->n;
	emit_end(m);
	for (uint32_t k = 0; k < m->njump; k++) {
		uint32_t to = m->jump[k].piece, at = m->jump[k].insn;
		struct bpf_insn *i = &m->insn[at];
		uint32_t d = m->piece[to < m->npiece ? to : m->npiece] - at - 1;

		if (i->code == (BPF_JMP32 | BPF_JA))
			i->imm = (int32_t)d;
		else
			i->off = (int16_t)d;
	}
	if (m->ncall)
		emit_subprogram(m);
}

struct outcome {
	uint64_t result, maps;
};

/* Few free registers or many: which ones come first is always the same. */
static uint32_t any_registers(struct maker *m)
{
	uint32_t regs = (uint32_t)roll(&m->d);

	if (below(&m->d, 2))
		regs &= (uint32_t)(roll(&m->d) & roll(&m->d));
	return regs & ALL_REGS & ~REG_BIT(RSP);
}

static int run_one(struct maker *m, enum engine_kind kind, uint8_t *mem,
		   struct outcome *out, struct err *e)
{
	struct arena a = { 0 };
	struct trial r = {
		.prog = { .name = "random", .insn = m->insn, .ninsn = m->n },
		.set = hosted_set(),
		.mem = mem,
		.len = PT_REGS_SIZE,
		.pt_regs = true,
		.free_regs = any_registers(m),
	};
	int bad;

	hosted_reset();
	run_find_subs(&a, &r.prog);
	bad = guard_runs(&a, NULL, &r.prog, e) || run_engine(&a, kind, &r, e);
	out->result = r.result;
	out->maps = hosted_hash();
	arena_free(&a);
	return bad;
}

static void fill_ctx(struct maker *m, uint8_t *mem)
{
	struct hit hit;

	for (int i = 0; i < PT_REGS_SIZE; i++)
		mem[i] = (uint8_t)roll(&m->d);
	memcpy(&hit, mem, PT_REGS_SIZE);
	hit.orig_ax = UINT64_MAX;
	hit.cs = USER_CS;
	hit.ss = USER_SS;
	memcpy(mem, &hit, PT_REGS_SIZE);
	((struct hit *)mem)->probe = HOSTED_PROBE;
}

static int complain(const struct maker *m, uint64_t seed)
{
	fprintf(stderr, "seed %llu:", (unsigned long long)seed);
	for (uint32_t i = 0; i < m->n; i++) {
		fputs(" ", stderr);
		for (size_t b = 0; b < sizeof(m->insn[i]); b++)
			fprintf(stderr, "%02x",
				((const uint8_t *)&m->insn[i])[b]);
	}
	fputs("\n", stderr);
	return 1;
}

static int differ(const struct outcome *a, const char *who,
		  const struct outcome *b, const char *other)
{
	if (!memcmp(a, b, sizeof(*a)))
		return 0;
	fprintf(stderr, "%s: r0 %llx maps %llx, %s: r0 %llx maps %llx\n", who,
		(unsigned long long)a->result, (unsigned long long)a->maps,
		other, (unsigned long long)b->result,
		(unsigned long long)b->maps);
	return -1;
}

static int compare_engines(struct maker *m, uint8_t *mem,
			   const struct outcome *want, const char *who)
{
	static const enum engine_kind kinds[] = { RUN_INLINE, RUN_NATIVE,
						  RUN_VM };
	struct outcome out[3];
	struct err e;

	for (int k = 0; k < 3; k++)
		if (run_one(m, kinds[k], mem, &out[k], &e)) {
			err_print(stderr, &e);
			return -1;
		}
	for (int k = 1; k < 3; k++)
		if (differ(&out[0], engine_names[kinds[0]], &out[k],
			   engine_names[kinds[k]]))
			return -1;
	return want ? differ(want, who, &out[0], engine_names[kinds[0]]) : 0;
}

static uint8_t image[sizeof(struct hit)] __attribute__((aligned(16)));
static struct maker maker;

int random_programs(uint64_t count, uint64_t seed)
{
	for (uint64_t n = 0; n < count; n++) {
		make(&maker, seed + n, false);
		fill_ctx(&maker, image);
		if (compare_engines(&maker, image, NULL, NULL))
			return complain(&maker, seed + n);
	}
	return 0;
}

int random_kernel(uint64_t count, uint64_t seed)
{
	uint64_t refused = 0;

	if (kernel_open())
		return 77;
	for (uint64_t n = 0; n < count; n++) {
		struct outcome want = { 0, 0 };
		int got;

		make(&maker, seed + n, true);
		fill_ctx(&maker, image);
		hosted_reset();
		got = kernel_run(maker.insn, maker.n, image, &want.result);
		want.maps = hosted_hash();
		if (got < 0)
			return complain(&maker, seed + n);
		if (got > 0) {
			refused++;
			continue;
		}
		if (compare_engines(&maker, image, &want, "kernel"))
			return complain(&maker, seed + n);
	}
	printf("%llu programs, the kernel's verifier refused %llu\n",
	       (unsigned long long)count, (unsigned long long)refused);
	return refused * 4 > count;
}
