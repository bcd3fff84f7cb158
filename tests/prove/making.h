/* SPDX-License-Identifier: MIT */
/* making.h - the parts of the maker of programs among themselves.
 *
 *   make.c         decisions, functions, what is spoilt in the end
 *   make_number.c  which register; numbers, and their bounds
 *   make_memory.c  values, records, the stack
 *   make_map.c     maps and other helpers
 *   make_flow.c    branches, loops, calls
 *   make_round.c   callbacks that leave something behind
 */
#ifndef BPFWELD_PROVE_MAKING_H
#define BPFWELD_PROVE_MAKING_H

#include "make.h"

#include <string.h>

#include "rewriter/bpf/flow.h"
#include "runtime-stub/task.h"
#include "world.h"

enum {
	NUMBERS = 8,
	KEY_AT = -88,
	VALUE_AT = -136,
	DYNPTR_AT = -152,
	ITER_AT = -160,
	SPILL_AT = -192,
	SPILLS = 3,
	DEPTH_MAX = 4,
	MEMSX = 0x80,
};
enum {
	DYN_SUBMIT = 199,
	DYN_ADJUST = 243,
	DYN_SLICE = 248,
	ITER_NEW = 252,
	ITER_NEXT,
	ITER_DESTROY
};
#define ANY_NUMBER UINT64_MAX

enum holds {
	NOTHING,
	NUMBER,
	CTX,
	STACKED,
	VALUE,
	MAYBE,
	RECORD,
	TASK
};
struct mind {
	uint8_t holds, map;
	int16_t room; /* bytes from where it points on */
	uint64_t max; /* a number's; */
};
/* Of STACKED, r10 + at. */
struct known {
	struct mind r[10], spill[SPILLS];
};

struct maker {
	struct dice *d;
	struct made *out;
	uint32_t n;
	struct known k;
	uint16_t locked;
	uint8_t depth, function;
	bool held;        /* a record is: no way out, no call that may fail */
	uint32_t wrong;   /* one decision in so many; 0: none */
	uint16_t numbers; /* slots that hold one */
	uint8_t takes[MADE_SUBS]; /* what a subprogram is given: enum takes */
	bool rounds_record; /* TAKES_ROUNDS: a record; else a value */
	struct {
		uint32_t insn, sub;
	} call[64];
	uint32_t ncall;
};
enum takes {
	TAKES_UNKNOWN,
	TAKES_NUMBERS,
	TAKES_STACK,
	TAKES_VALUE,
	TAKES_LOOP,
	TAKES_EACH,
	TAKES_ROUNDS
};

/* --- Instructions. */

static inline void emit(struct maker *m, uint8_t code, uint8_t dst, uint8_t src,
			int off, int32_t imm)
{
	if (m->n < MADE_MAX)
		m->out->insn[m->n++] = (struct bpf_insn){ .code = code,
							  .dst_reg = dst & 15,
							  .src_reg = src & 15,
							  .off = (int16_t)off,
							  .imm = imm };
}

static inline void lddw(struct maker *m, uint8_t dst, uint8_t src, int32_t lo,
			int32_t hi)
{
	emit(m, BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, lo);
	emit(m, 0, 0, 0, 0, hi);
}

static inline void mov(struct maker *m, uint8_t dst, uint8_t src)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
	m->k.r[dst] = m->k.r[src];
}

static inline void number(struct maker *m, uint8_t r, uint64_t max)
{
	m->k.r[r] = (struct mind){ .holds = NUMBER, .max = max };
}

static inline void mov_imm(struct maker *m, uint8_t r, int32_t imm)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, imm);
	number(m, r, imm < 0 ? ANY_NUMBER : (uint64_t)imm);
}

static inline void alu_imm(struct maker *m, uint8_t op, uint8_t r, int32_t imm)
{
	emit(m, BPF_ALU64 | op | BPF_K, r, 0, 0, imm);
}

static inline void alu_reg(struct maker *m, uint8_t op, uint8_t r, uint8_t by)
{
	emit(m, BPF_ALU64 | op | BPF_X, r, by, 0, 0);
}

/* An address of the stack. */
static inline void stack_address(struct maker *m, uint8_t r, int at, int room)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, r, 10, 0, 0);
	alu_imm(m, BPF_ADD, r, at);
	m->k.r[r] = (struct mind){ .holds = STACKED, .room = (int16_t)room };
}

static inline void map_address(struct maker *m, uint8_t r, int map)
{
	lddw(m, r, BPF_PSEUDO_MAP_FD, map, 0);
	m->k.r[r].holds = NOTHING;
}

static inline void call(struct maker *m, int32_t helper)
{
	emit(m, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
	for (int r = 1; r <= 5; r++)
		m->k.r[r].holds = NOTHING;
	number(m, 0, ANY_NUMBER);
}

/* Jumps that are aimed later. */
static inline uint32_t jump(struct maker *m, uint8_t code, uint8_t dst,
			    uint8_t src, int32_t imm)
{
	emit(m, code, dst, src, 0, imm);
	return m->n - 1;
}

static inline void aim(struct maker *m, uint32_t from)
{
	m->out->insn[from].off = (int16_t)(m->n - from - 1);
}

/* make.c */
uint32_t below(struct maker *m, uint32_t n);
bool one_in(struct maker *m, uint32_t n);
bool mistake(struct maker *m);
int32_t any_imm(struct maker *m);

/* make_number.c */
bool is_locked(const struct maker *m, unsigned r);
uint8_t fresh(struct maker *m);
uint8_t other(struct maker *m, uint8_t than);
int find(struct maker *m, uint8_t holds);
void any_number(struct maker *m, uint8_t r);
uint8_t some_number(struct maker *m);
uint8_t read_number(struct maker *m);
void piece_alu(struct maker *m);
uint8_t any_compare(struct maker *m);
void bound(struct maker *m, uint8_t r, int32_t max);
void piece_number(struct maker *m);
void piece_compare(struct maker *m);

/* make_memory.c */
void touch_some(struct maker *m, uint8_t r, bool write);
void piece_value(struct maker *m);
void piece_record(struct maker *m);
void piece_stacked(struct maker *m);
void piece_stack(struct maker *m);
void piece_spill(struct maker *m);
void piece_copy(struct maker *m);
void piece_global(struct maker *m);
void piece_task(struct maker *m);

/* make_map.c */
void meet_all(struct known *a, const struct known *b);
void becomes(struct known *k, const struct mind *is);
void piece_lookup(struct maker *m);
void piece_update(struct maker *m);
void piece_queue(struct maker *m);
void piece_helper(struct maker *m);
void piece_fill(struct maker *m);
void piece_output(struct maker *m);
void piece_reserve(struct maker *m);
void piece_value_dynptr(struct maker *m);
void piece_dynptr(struct maker *m);

/* make_flow.c */
void block(struct maker *m, uint32_t n);
int callee(struct maker *m, uint8_t takes);
void calls_sub(struct maker *m, int s);

/* make_round.c */
void piece_rounds(struct maker *m);
void round_body(struct maker *m);

#endif
