/* SPDX-License-Identifier: MIT */
/* jumbling.h - the parts of jumble.h's maker among themselves.
 *
 *   jumble.c       dice, functions
 *   jumble_reg.c   what registers and slots hold
 *   jumble_data.c  numbers, slots, values
 *   jumble_flow.c  branches, loops, calls
 *
 *   r9         ctx in the program itself
 *   -8 .. -64  slots: anything
 *   -72, -80   a key; an iterator
 */
#ifndef BPFWELD_JUMBLING_H
#define BPFWELD_JUMBLING_H

#include "jumble.h"

#include <stdbool.h>
#include <string.h>

enum {
	SLOTS = 8,
	KEY_AT = -72,
	ITER_AT = -80,
	VALUE_SIZE = 64,
	DEPTH_MAX = 4,
	ROOM = 40 /* that a piece and what ends a function need */
};
enum holds {
	NOTHING,
	NUMBER,
	VALUE,
	MAYBE, /* a value, or NULL */
	RECORD,
	CTX,
	CALLERS /* slots of who called */
};
struct mind {
	uint8_t holds;
	uint8_t size; /* of a slot: bytes that were stored */
};
struct known {
	struct mind r[10], slot[SLOTS];
};
enum role {
	PROGRAM,
	SUB,
	CALLBACK
};
struct maker {
	uint64_t seed;
	struct jumble *out;
	struct known k;
	uint16_t locked, slots_locked;
	uint8_t depth, role, iters;
	bool held; /* a record is: no exit */
	struct {
		uint32_t insn;
		uint8_t role;
	} call[JUMBLE_SUBS];
	uint32_t ncall;
};

/* --- Instructions. */

static inline void emit(struct maker *m, int code, unsigned dst, unsigned src,
			int off, int32_t imm)
{
	if (m->out->ninsn < JUMBLE_MAX)
		m->out->insn[m->out->ninsn++] =
			(struct bpf_insn){ .code = (uint8_t)code,
					   .dst_reg = dst & 15,
					   .src_reg = src & 15,
					   .off = (int16_t)off,
					   .imm = imm };
}

static inline void mov(struct maker *m, unsigned dst, unsigned src)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static inline void set(struct maker *m, unsigned dst, int32_t imm)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}

static inline void add(struct maker *m, unsigned dst, int32_t imm)
{
	emit(m, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm);
}

static inline void lddw(struct maker *m, unsigned dst, unsigned src,
			int32_t imm)
{
	emit(m, BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, imm);
	emit(m, 0, 0, 0, 0, 0);
}

static inline void call(struct maker *m, int32_t helper)
{
	emit(m, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
	for (int r = 0; r <= 5; r++)
		m->k.r[r].holds = NOTHING;
}

static inline uint32_t jump(struct maker *m, int code, unsigned dst,
			    unsigned src, int32_t imm)
{
	emit(m, code, dst, src, 0, imm);
	return m->out->ninsn - 1;
}

static inline void aim(struct maker *m, uint32_t from)
{
	m->out->insn[from].off = (int16_t)(m->out->ninsn - from - 1);
}

static inline void jump_back(struct maker *m, int code, unsigned dst,
			     int32_t imm, uint32_t to)
{
	emit(m, code, dst, 0, (int)to - (int)m->out->ninsn - 1, imm);
}

static inline void slot_address(struct maker *m, unsigned r, int at)
{
	mov(m, r, 10);
	add(m, r, at);
}

static inline int slot_at(unsigned s)
{
	return -8 * (int)(s + 1);
}

/* jumble.c */
uint64_t word(struct maker *m);
uint32_t below(struct maker *m, uint32_t n);
bool one_in(struct maker *m, uint32_t n);
bool mistake(struct maker *m);
int32_t small(struct maker *m);
void block(struct maker *m);

/* jumble_reg.c */
bool is_locked(const struct maker *m, unsigned r);
unsigned fresh(struct maker *m);
unsigned other(struct maker *m, unsigned than);
int lock(struct maker *m);
void unlock(struct maker *m, int r);
int find(struct maker *m, uint8_t holds);
void holds(struct maker *m, unsigned r, uint8_t what);
void any_number(struct maker *m, unsigned r);
unsigned some_number(struct maker *m);
void join(struct maker *m, const struct known *o);

/* jumble_data.c */
void touch(struct maker *m, unsigned r, int at, unsigned n);
void piece_number(struct maker *m);
void piece_alu(struct maker *m);
void piece_copy(struct maker *m);
void piece_spill(struct maker *m);
void piece_fill(struct maker *m);
void piece_slot(struct maker *m);
void piece_lookup(struct maker *m);
void piece_data(struct maker *m);
void piece_touch(struct maker *m);
void piece_callers(struct maker *m);
void piece_index(struct maker *m);
void piece_size(struct maker *m);

/* jumble_flow.c */
void piece_if(struct maker *m);
void piece_null(struct maker *m);
void piece_exit(struct maker *m);
void piece_correlated(struct maker *m);
void piece_record(struct maker *m);
void piece_loop(struct maker *m);
void piece_iterator(struct maker *m);
void piece_call(struct maker *m);

#endif
