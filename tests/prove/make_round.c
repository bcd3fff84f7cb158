/* SPDX-License-Identifier: MIT */
/* make_round.c - callbacks that leave something to the next round, or to who
 * called the helper: a value or a record, of which a flag tells, and a count
 * that is an index.
 *
 *   SPILL_AT   what there is; 0: nothing yet
 *        + 8   the flag
 *        + 16  how many rounds there were
 */
#include "making.h"

enum {
	FLAG = 8,
	COUNT = 16,
	BSS_SIZE = 64
};

static uint32_t none_if(struct maker *m, uint8_t op, uint8_t r)
{
	if (mistake(m))
		op = op == BPF_JEQ ? BPF_JNE : BPF_JEQ;
	return jump(m, BPF_JMP | op | BPF_K, r, 0, 0);
}

/* Of `base`, what there is is used, and perhaps given back. */
static void use(struct maker *m, uint8_t base, int at, bool end)
{
	emit(m, BPF_LDX | BPF_MEM | BPF_DW, 1, base, at, 0);
	if (below(m, 2))
		emit(m, BPF_ST | BPF_MEM | BPF_DW, 1, 0, 0, any_imm(m));
	if (!end || !m->rounds_record)
		return;
	mov_imm(m, 2, 0);
	call(m, BPF_FUNC_ringbuf_submit + (int32_t)below(m, 2));
}

static void use_if_there(struct maker *m, uint8_t base, int at, bool end)
{
	uint32_t j;

	emit(m, BPF_LDX | BPF_MEM | BPF_DW, 1, base, at + FLAG, 0);
	j = none_if(m, BPF_JEQ, 1);
	use(m, base, at, end);
	if (end && base != 10 && !mistake(m)) {
		emit(m, BPF_ST | BPF_MEM | BPF_DW, base, 0, at + FLAG, 0);
		if (below(m, 2))
			emit(m, BPF_ST | BPF_MEM | BPF_DW, base, 0, at, 0);
	}
	aim(m, j);
}

static void times(struct maker *m)
{
	switch (below(m, 8)) {
	case 0:
		any_number(m, 1);
		return;
	case 1:
		any_number(m, 1);
		bound(m, 1, 1 + (int32_t)below(m, 20));
		return;
	case 2:
		mov_imm(m, 1, 10 + (int32_t)below(m, 60));
		return;
	}
	mov_imm(m, 1, (int32_t)below(m, 7));
}

void piece_rounds(struct maker *m)
{
	int s;

	if (is_locked(m, 0) || m->ncall == 60 || m->held)
		return;
	s = callee(m, TAKES_ROUNDS);
	if (s < 0)
		return;
	for (int k = 0; k < SPILLS; k++) {
		m->k.spill[k].holds = NOTHING;
		emit(m, BPF_ST | BPF_MEM | BPF_DW, 10, 0, SPILL_AT + 8 * k, 0);
	}
	times(m);
	stack_address(m, 3, SPILL_AT, 8 * SPILLS);
	mov_imm(m, 4, 0);
	calls_sub(m, s);
	lddw(m, 2, BPF_PSEUDO_FUNC, 0, 0);
	call(m, BPF_FUNC_loop);
	use_if_there(m, 10, SPILL_AT, true);
	for (int r = 0; r <= 5; r++)
		m->k.r[r].holds = NOTHING;
}

static void get(struct maker *m)
{
	if (m->rounds_record) {
		mov_imm(m, 2, 16);
		mov_imm(m, 3, 0);
		map_address(m, 1, RING);
		call(m, BPF_FUNC_ringbuf_reserve);
		return;
	}
	emit(m, BPF_STX | BPF_MEM | BPF_W, 10, 7, KEY_AT, 0);
	stack_address(m, 2, KEY_AT, 4);
	map_address(m, 1, COUNTS);
	call(m, BPF_FUNC_map_lookup_elem);
}

/* What there was, in whatever state it is, makes room. */
static void make_room(struct maker *m, uint32_t *out)
{
	switch (below(m, 4)) {
	case 0: /* it stays, and that was it */
		emit(m, BPF_LDX | BPF_MEM | BPF_DW, 1, 6, FLAG, 0);
		*out = none_if(m, BPF_JNE, 1);
		return;
	case 1:
		use_if_there(m, 6, 0, true);
		return;
	case 2:
		if (!m->rounds_record)
			use_if_there(m, 6, 0, false);
		return;
	}
	if (m->rounds_record && !mistake(m))
		use_if_there(m, 6, 0, true);
}

static void found(struct maker *m)
{
	bool early = below(m, 2);
	uint32_t j;

	get(m);
	if (early)
		emit(m, BPF_STX | BPF_MEM | BPF_DW, 6, 0, 0, 0);
	j = none_if(m, BPF_JEQ, 0);
	if (!early && !mistake(m))
		emit(m, BPF_STX | BPF_MEM | BPF_DW, 6, 0, 0, 0);
	emit(m, BPF_ST | BPF_MEM | BPF_DW, 6, 0, FLAG,
	     1 + (int32_t)below(m, 2));
	aim(m, j);
}

/* A byte that is there in the first few rounds. */
static void counts(struct maker *m)
{
	emit(m, BPF_LDX | BPF_MEM | BPF_DW, 8, 6, COUNT, 0);
	if (below(m, 2)) {
		lddw(m, 1, BPF_PSEUDO_MAP_VALUE, BSS,
		     BSS_SIZE - 1 - (int32_t)below(m, 6));
		alu_reg(m, BPF_ADD, 1, 8);
		emit(m, BPF_ST | BPF_MEM | BPF_B, 1, 0, 0, any_imm(m));
	}
	alu_imm(m, BPF_ADD, 8, 1);
	emit(m, BPF_STX | BPF_MEM | BPF_DW, 6, 8, COUNT, 0);
}

void round_body(struct maker *m)
{
	uint32_t none = m->n, skip = none, out = none;

	mov(m, 6, 2);
	mov(m, 7, 1);
	if (below(m, 2))
		counts(m);
	if (below(m, 2)) {
		skip = jump(m, BPF_JMP | BPF_JGT | BPF_K, 7, 0,
			    (int32_t)below(m, 4));
	} else if (below(m, 2)) {
		call(m, BPF_FUNC_get_prandom_u32);
		skip = jump(m, BPF_JMP | BPF_JGT | BPF_K, 0, 0, any_imm(m));
	}
	make_room(m, &out);
	found(m);
	if (out != none)
		aim(m, out);
	if (skip != none)
		aim(m, skip);
	mov_imm(m, 0, (int32_t)below(m, 2));
	emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}
