/* SPDX-License-Identifier: MIT */
/* make_flow.c - branches, loops, calls; see make.c. */
#include "making.h"

static void piece_if(struct maker *m)
{
	uint8_t r = read_number(m), by = read_number(m);
	uint8_t class = below(m, 2) ? BPF_JMP : BPF_JMP32;
	uint16_t numbers = m->numbers;
	struct known was;
	uint32_t j, end;

	if (m->depth >= DEPTH_MAX)
		return;
	j = below(m, 2)
		    ? jump(m, class | any_compare(m) | BPF_K, r, 0, any_imm(m))
		    : jump(m, class | any_compare(m) | BPF_X, r, by, 0);
	was = m->k;
	block(m, 1 + below(m, 3));
	if (below(m, 2)) {
		aim(m, j);
		meet_all(&m->k, &was);
	} else {
		struct known then = m->k;
		uint16_t thens = m->numbers;

		end = jump(m, BPF_JMP | BPF_JA, 0, 0, 0);
		aim(m, j);
		m->k = was;
		m->numbers = numbers;
		block(m, 1 + below(m, 3));
		aim(m, end);
		meet_all(&m->k, &then);
		m->numbers &= thens;
	}
	m->numbers &= numbers;
}

/* What a loop's first instruction may rely on, whatever its body does. */
static void forget(struct maker *m)
{
	for (unsigned r = 0; r < 10; r++)
		if (!is_locked(m, r) && r != 6)
			m->k.r[r].holds = NOTHING;
	for (int s = 0; s < SPILLS; s++)
		m->k.spill[s].holds = NOTHING;
}

static void loop_counted(struct maker *m, uint8_t r)
{
	int32_t times = 1 + (int32_t)below(m, 8);
	uint8_t limit = (uint8_t)(r == 9 ? 8 : r + 1);
	bool variable = below(m, 3) == 0 && !is_locked(m, limit);
	uint32_t start;

	if (variable) {
		any_number(m, limit);
		bound(m, limit, times);
		m->locked |= (uint16_t)(1 << limit);
	}
	mov_imm(m, r, 0);
	m->locked |= (uint16_t)(1 << r);
	forget(m);
	start = m->n;
	number(m, r, ANY_NUMBER);
	block(m, 1 + below(m, 3));
	alu_imm(m, BPF_ADD, r, 1);
	if (variable)
		emit(m, BPF_JMP | BPF_JLT | BPF_X, r, limit,
		     (int)start - (int)m->n - 1, 0);
	else
		emit(m, BPF_JMP | (below(m, 2) ? BPF_JLT : BPF_JNE) | BPF_K, r,
		     0, (int)start - (int)m->n - 1, times);
	m->locked &= (uint16_t) ~(1 << r | (variable ? 1 << limit : 0));
}

static void loop_iterator(struct maker *m)
{
	uint32_t start, out, bad;

	if (is_locked(m, 0) || m->held)
		return;
	stack_address(m, 1, ITER_AT, 8);
	mov_imm(m, 2, (int32_t)below(m, 3));
	mov_imm(m, 3, (int32_t)below(m, 9));
	call(m, ITER_NEW);
	forget(m);
	start = m->n;
	stack_address(m, 1, ITER_AT, 8);
	call(m, ITER_NEXT);
	out = jump(m, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0);
	emit(m, BPF_LDX | BPF_MEM | BPF_W, 1, 0, 0, 0);
	number(m, 1, ANY_NUMBER);
	m->k.r[0].holds = NOTHING;
	m->held = true; /* it has to be destroyed */
	block(m, 1 + below(m, 3));
	m->held = false;
	bad = m->n;
	emit(m, BPF_JMP | BPF_JA, 0, 0, (int)start - (int)bad - 1, 0);
	aim(m, out);
	forget(m);
	stack_address(m, 1, ITER_AT, 8);
	if (!mistake(m))
		call(m, ITER_DESTROY);
}

/* A loop that ends, though nobody can prove it. */
static void loop_unproved(struct maker *m)
{
	uint8_t r = (uint8_t)(7 + below(m, 3));
	bool shift = below(m, 2);
	uint32_t start;

	if (is_locked(m, r) || is_locked(m, 0))
		return;
	if (shift)
		any_number(m, r);
	else
		mov_imm(m, r, (int32_t)below(m, 20));
	m->locked |= (uint16_t)(1 << r);
	forget(m);
	start = m->n;
	number(m, r, ANY_NUMBER);
	block(m, 1);
	if (shift) {
		alu_imm(m, BPF_RSH, r, 3 + (int32_t)below(m, 8));
		emit(m, BPF_JMP | BPF_JNE | BPF_K, r, 0,
		     (int)start - (int)m->n - 1, 0);
	} else {
		call(m, BPF_FUNC_get_prandom_u32);
		alu_imm(m, BPF_AND, 0, 7);
		alu_reg(m, BPF_ADD, r, 0);
		emit(m, BPF_JMP | BPF_JLT | BPF_K, r, 0,
		     (int)start - (int)m->n - 1, 40);
	}
	m->locked &= (uint16_t) ~(1 << r);
}

static void piece_loop(struct maker *m)
{
	uint8_t r = (uint8_t)(7 + below(m, 3));
	uint16_t numbers = m->numbers;

	if (m->depth >= DEPTH_MAX - 1)
		return;
	switch (below(m, 5)) {
	case 0:
		loop_iterator(m);
		break;
	case 1:
		if (!m->held)
			loop_unproved(m);
		break;
	default:
		if (!is_locked(m, r))
			loop_counted(m, r);
	}
	m->numbers &= numbers;
}

/* A subprogram behind this one, that is given such things; -1: none. */
int callee(struct maker *m, uint8_t takes)
{
	for (int s = m->function + 1; s < MADE_SUBS; s++)
		if (m->takes[s] == takes || m->takes[s] == TAKES_UNKNOWN) {
			m->takes[s] = takes;
			return s;
		}
	return -1;
}

void calls_sub(struct maker *m, int s)
{
	m->call[m->ncall].insn = m->n;
	m->call[m->ncall++].sub = (uint32_t)s;
}

static void give_stack(struct maker *m, uint8_t r)
{
	for (int s = 0; s < NUMBERS; s++)
		if (!(m->numbers >> s & 1) && !mistake(m))
			emit(m, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8 * (s + 1),
			     s);
	m->numbers = (1 << NUMBERS) - 1;
	stack_address(m, r, -8 * NUMBERS, 8 * NUMBERS);
}

static void piece_call(struct maker *m)
{
	uint8_t takes = (uint8_t)(TAKES_NUMBERS + below(m, 3));
	int value = find(m, VALUE), s;

	if (is_locked(m, 0) || m->ncall == 60)
		return;
	if (takes == TAKES_VALUE && (value < 0 || m->k.r[value].room < 8 ||
				     m->k.r[value].map == FROZEN))
		takes = TAKES_STACK;
	s = callee(m, takes);
	if (s < 0)
		return;
	if (takes == TAKES_VALUE)
		mov(m, 2, (uint8_t)value);
	any_number(m, 1);
	if (takes == TAKES_VALUE && m->k.r[2].holds != VALUE)
		lddw(m, 2, BPF_PSEUDO_MAP_VALUE, BSS, 0);
	if (takes == TAKES_STACK)
		give_stack(m, 2);
	if (takes == TAKES_NUMBERS)
		mov_imm(m, 2, any_imm(m));
	calls_sub(m, s);
	emit(m, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
	for (int r = 1; r <= 5; r++)
		m->k.r[r].holds = NOTHING;
	number(m, 0, ANY_NUMBER);
}

static void piece_callback(struct maker *m)
{
	static const uint8_t maps[] = { COUNTS, TABLE, RECENT, EACH, EACH_OF };
	bool each = below(m, 2);
	int s;

	if (is_locked(m, 0) || m->ncall == 60)
		return;
	s = callee(m, each ? TAKES_EACH : TAKES_LOOP);
	if (s < 0)
		return;
	if (each)
		map_address(m, 1, maps[below(m, sizeof(maps))]);
	else
		mov_imm(m, 1, (int32_t)below(m, 9));
	if (!each && below(m, 2)) {
		any_number(m, 1);
		bound(m, 1, 12);
	}
	give_stack(m, 3);
	mov_imm(m, 4, 0);
	calls_sub(m, s);
	lddw(m, 2, BPF_PSEUDO_FUNC, 0, 0);
	call(m, each ? BPF_FUNC_for_each_map_elem : BPF_FUNC_loop);
}

static void piece_exit(struct maker *m)
{
	uint32_t j;

	if (m->held && !mistake(m))
		return;
	j = jump(m, BPF_JMP | any_compare(m) | BPF_K, read_number(m), 0,
		 any_imm(m));
	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, (int32_t)below(m, 2));
	emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	aim(m, j);
}

static void (*const pieces[])(struct maker *) = {
	piece_alu,      piece_alu,     piece_alu,          piece_alu,
	piece_number,   piece_compare, piece_compare,      piece_value,
	piece_value,    piece_record,  piece_stacked,      piece_stack,
	piece_stack,    piece_spill,   piece_copy,         piece_copy,
	piece_global,   piece_lookup,  piece_lookup,       piece_lookup,
	piece_update,   piece_queue,   piece_helper,       piece_fill,
	piece_output,   piece_reserve, piece_dynptr,       piece_if,
	piece_if,       piece_loop,    piece_loop,         piece_call,
	piece_callback, piece_exit,    piece_value_dynptr, piece_rounds,
	piece_task,
};
enum {
	PIECES = sizeof(pieces) / sizeof(*pieces)
};

void block(struct maker *m, uint32_t n)
{
	m->depth++;
	while (n-- && m->n < MADE_MAX - 360)
		pieces[below(m, PIECES)](m);
	m->depth--;
}
