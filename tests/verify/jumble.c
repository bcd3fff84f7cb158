/* SPDX-License-Identifier: MIT */
/* jumble.c - see jumble.h.
 *
 *   r9         ctx in the program itself
 *   -8 .. -64  slots: anything
 *   -72, -80   a key; an iterator
 */
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

/* --- dice -------------------------------------------------------------- */

static uint64_t word(struct maker *m)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return m->seed * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static uint32_t below(struct maker *m, uint32_t n)
{
	return (uint32_t)(word(m) % n);
}

static bool one_in(struct maker *m, uint32_t n)
{
	return !below(m, n);
}

static bool mistake(struct maker *m)
{
	return one_in(m, 60);
}

static int32_t small(struct maker *m)
{
	static const int32_t edge[] = { -1, 8, 16, 56, 57, 64, 255, 1 << 30 };

	return one_in(m, 5) ? edge[below(m, 8)] : (int32_t)below(m, 4);
}

/* --- instructions ------------------------------------------------------ */

static void emit(struct maker *m, int code, unsigned dst, unsigned src, int off,
		 int32_t imm)
{
	if (m->out->ninsn < JUMBLE_MAX)
		m->out->insn[m->out->ninsn++] =
			(struct bpf_insn){ .code = (uint8_t)code,
					   .dst_reg = dst & 15,
					   .src_reg = src & 15,
					   .off = (int16_t)off,
					   .imm = imm };
}

static void mov(struct maker *m, unsigned dst, unsigned src)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void set(struct maker *m, unsigned dst, int32_t imm)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}

static void add(struct maker *m, unsigned dst, int32_t imm)
{
	emit(m, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm);
}

static void lddw(struct maker *m, unsigned dst, unsigned src, int32_t imm)
{
	emit(m, BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, imm);
	emit(m, 0, 0, 0, 0, 0);
}

static void call(struct maker *m, int32_t helper)
{
	emit(m, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
	for (int r = 0; r <= 5; r++)
		m->k.r[r].holds = NOTHING;
}

static uint32_t jump(struct maker *m, int code, unsigned dst, unsigned src,
		     int32_t imm)
{
	emit(m, code, dst, src, 0, imm);
	return m->out->ninsn - 1;
}

static void aim(struct maker *m, uint32_t from)
{
	m->out->insn[from].off = (int16_t)(m->out->ninsn - from - 1);
}

static void jump_back(struct maker *m, int code, unsigned dst, int32_t imm,
		      uint32_t to)
{
	emit(m, code, dst, 0, (int)to - (int)m->out->ninsn - 1, imm);
}

static void slot_address(struct maker *m, unsigned r, int at)
{
	mov(m, r, 10);
	add(m, r, at);
}

static int slot_at(unsigned s)
{
	return -8 * (int)(s + 1);
}

/* --- registers --------------------------------------------------------- */

static bool is_locked(const struct maker *m, unsigned r)
{
	return m->locked >> r & 1;
}

static unsigned fresh(struct maker *m)
{
	unsigned r = below(m, 9);

	while (is_locked(m, r))
		r = (r + 1) % 9;
	return r;
}

static unsigned other(struct maker *m, unsigned than)
{
	unsigned r = fresh(m);

	while (r == than || is_locked(m, r))
		r = (r + 1) % 9;
	return r;
}

/* One that is kept over calls, and is locked now. */
static int lock(struct maker *m)
{
	for (int r = 6; r <= 8; r++)
		if (!is_locked(m, (unsigned)r)) {
			m->locked |= (uint16_t)(1u << r);
			return r;
		}
	return -1;
}

static void unlock(struct maker *m, int r)
{
	m->locked &= (uint16_t) ~(1u << r);
}

static int find(struct maker *m, uint8_t holds)
{
	unsigned at = below(m, 10);

	if (mistake(m))
		return (int)at;
	for (unsigned i = 0; i < 10; i++)
		if (m->k.r[(at + i) % 10].holds == holds)
			return (int)((at + i) % 10);
	return -1;
}

static void holds(struct maker *m, unsigned r, uint8_t what)
{
	m->k.r[r] = (struct mind){ .holds = what };
}

static void any_number(struct maker *m, unsigned r)
{
	if (m->k.r[9].holds == CTX && below(m, 2))
		emit(m, BPF_LDX | BPF_MEM | BPF_DW, r, 9, 8 * (int)below(m, 16),
		     0);
	else
		set(m, r, small(m));
	holds(m, r, NUMBER);
	if (one_in(m, 4))
		emit(m, BPF_ALU64 | BPF_AND | BPF_K, r, 0, 0,
		     (int32_t[]){ 1, 7, 0x38, 0xff }[below(m, 4)]);
}

static unsigned some_number(struct maker *m)
{
	int r = find(m, NUMBER);

	if (r < 0) {
		r = (int)fresh(m);
		any_number(m, (unsigned)r);
	}
	return (unsigned)r;
}

/* What holds on both of two paths. */
static void join(struct maker *m, const struct known *o)
{
	if (mistake(m))
		return;
	for (int r = 0; r < 10; r++)
		if (m->k.r[r].holds != o->r[r].holds)
			m->k.r[r].holds = NOTHING;
	for (int s = 0; s < SLOTS; s++)
		if (m->k.slot[s].holds != o->slot[s].holds ||
		    m->k.slot[s].size != o->slot[s].size)
			m->k.slot[s] = (struct mind){ .holds = NOTHING };
}

/* --- pieces without blocks --------------------------------------------- */

static void piece_number(struct maker *m)
{
	any_number(m, fresh(m));
}

static void piece_alu(struct maker *m)
{
	static const uint8_t ops[] = { BPF_ADD, BPF_SUB, BPF_AND, BPF_OR,
				       BPF_XOR, BPF_MUL, BPF_RSH, BPF_ARSH,
				       BPF_LSH, BPF_NEG };
	unsigned r = some_number(m), by = some_number(m);
	uint8_t op = ops[below(m, sizeof(ops))];
	int class = below(m, 2) ? BPF_ALU64 : BPF_ALU;

	if (is_locked(m, r) || r == 9)
		return;
	if (op == BPF_NEG)
		emit(m, class | op, r, 0, 0, 0);
	else if (op == BPF_RSH || op == BPF_ARSH || op == BPF_LSH)
		emit(m, class | op | BPF_K, r, 0, 0, (int32_t)below(m, 32));
	else if (below(m, 2))
		emit(m, class | op | BPF_K, r, 0, 0, small(m));
	else
		emit(m, class | op | BPF_X, r, by, 0, 0);
}

static void piece_copy(struct maker *m)
{
	unsigned from = below(m, 10), to = fresh(m);

	if (m->k.r[from].holds == NOTHING && !mistake(m))
		return;
	if (m->k.r[from].holds == NUMBER && one_in(m, 3)) {
		emit(m, BPF_ALU | BPF_MOV | BPF_X, to, from, 0, 0);
		holds(m, to, NUMBER);
		return;
	}
	mov(m, to, from);
	m->k.r[to] = m->k.r[from];
}

static int size_code(unsigned bytes)
{
	return bytes == 8   ? BPF_DW
	       : bytes == 4 ? BPF_W
	       : bytes == 2 ? BPF_H
			    : BPF_B;
}

static unsigned some_size(struct maker *m)
{
	return below(m, 2) ? 8 : 1u << below(m, 4);
}

static void piece_spill(struct maker *m)
{
	unsigned s = below(m, SLOTS), r = below(m, 10), n = 8, at = 0;

	if (m->slots_locked >> s & 1)
		return;
	if (m->k.r[r].holds == NOTHING && !mistake(m))
		return;
	if (m->k.r[r].holds == NUMBER || mistake(m)) {
		n = some_size(m);
		at = one_in(m, 4) ? below(m, 8 / n) * n : 0;
	}
	emit(m, BPF_STX | BPF_MEM | size_code(n), 10, r, slot_at(s) + (int)at,
	     0);
	if (at) {
		if (m->k.slot[s].holds != NOTHING)
			m->k.slot[s] = (struct mind){ NUMBER, 8 };
		return;
	}
	m->k.slot[s] = m->k.r[r];
	m->k.slot[s].size = (uint8_t)n;
}

static void piece_fill(struct maker *m)
{
	unsigned s = below(m, SLOTS), r = fresh(m), n;

	if (m->k.slot[s].holds == NOTHING && !mistake(m))
		return;
	n = m->k.slot[s].size ? m->k.slot[s].size : 8;
	if (m->k.slot[s].holds == NUMBER && one_in(m, 3))
		n = some_size(m);
	emit(m, BPF_LDX | BPF_MEM | size_code(n), r, 10, slot_at(s), 0);
	m->k.r[r] = m->k.slot[s];
}

static void piece_slot(struct maker *m)
{
	unsigned s = below(m, SLOTS), n = some_size(m);

	if (m->slots_locked >> s & 1)
		return;
	emit(m, BPF_ST | BPF_MEM | size_code(n), 10, 0, slot_at(s), small(m));
	m->k.slot[s] = (struct mind){ NUMBER, (uint8_t)n };
}

static void piece_lookup(struct maker *m)
{
	int map = below(m, 3) ? JUMBLE_ARRAY : JUMBLE_HASH;
	unsigned r;

	if (is_locked(m, 0))
		return;
	/* (In words: that the kernel knows, too, which of an array's it is.) */
	if (map == JUMBLE_HASH)
		emit(m, BPF_ST | BPF_MEM | BPF_W, 10, 0, KEY_AT + 4, 0);
	if (below(m, 2))
		emit(m, BPF_ST | BPF_MEM | BPF_W, 10, 0, KEY_AT,
		     (int32_t)below(m, 6));
	else
		emit(m, BPF_STX | BPF_MEM | BPF_W, 10, some_number(m), KEY_AT,
		     0);
	slot_address(m, 2, KEY_AT);
	lddw(m, 1, BPF_PSEUDO_MAP_FD, map);
	call(m, BPF_FUNC_map_lookup_elem);
	holds(m, 0, MAYBE);
	r = fresh(m);
	mov(m, r, 0);
	holds(m, r, MAYBE);
}

static void piece_data(struct maker *m)
{
	unsigned r = fresh(m);

	lddw(m, r, BPF_PSEUDO_MAP_VALUE, JUMBLE_DATA);
	holds(m, r, VALUE);
}

static void touch(struct maker *m, unsigned r, int at, unsigned n)
{
	unsigned with;

	switch (below(m, 3)) {
	case 0:
		emit(m, BPF_ST | BPF_MEM | size_code(n), r, 0, at, small(m));
		break;
	case 1:
		with = some_number(m);
		emit(m, BPF_STX | BPF_MEM | size_code(n), r, with, at, 0);
		break;
	default:
		with = fresh(m);
		emit(m, BPF_LDX | BPF_MEM | size_code(n), with, r, at, 0);
		holds(m, with, NUMBER);
	}
}

static void piece_touch(struct maker *m)
{
	int r = find(m, below(m, 4) ? VALUE : RECORD);
	unsigned n = some_size(m);

	if (r < 0)
		return;
	touch(m, (unsigned)r,
	      mistake(m) ? VALUE_SIZE : (int)(below(m, VALUE_SIZE / n) * n), n);
}

/* The slots of who called: pointers, too. */
static void piece_callers(struct maker *m)
{
	int r = find(m, CALLERS);
	unsigned s = below(m, SLOTS), with = below(m, 10);

	if (r < 0)
		return;
	if (below(m, 2) && m->k.r[with].holds != NOTHING &&
	    m->k.r[with].holds != CALLERS) {
		emit(m, BPF_STX | BPF_MEM | BPF_DW, (unsigned)r, with,
		     8 * (int)s, 0);
		return;
	}
	if (below(m, 2)) {
		touch(m, (unsigned)r, 8 * (int)s, some_size(m));
		return;
	}
	with = fresh(m);
	emit(m, BPF_LDX | BPF_MEM | BPF_DW, with, (unsigned)r, 8 * (int)s, 0);
	holds(m, with, below(m, 3) ? NUMBER : VALUE);
}

/* A number is compared, a copy of it is an index: in a register or a slot. */
static void piece_index(struct maker *m)
{
	int to = below(m, 3) ? find(m, VALUE) : 10;
	unsigned i = some_number(m), copy = other(m, i), p, n = 8;
	int32_t most = mistake(m) ? 57 : 56;
	uint32_t skip = UINT32_MAX;
	bool by_copy = below(m, 2);

	if (to < 0 || is_locked(m, i) || i == 9)
		return;
	if (one_in(m, 3)) {
		emit(m, BPF_ALU64 | BPF_AND | BPF_K, i, 0, 0,
		     mistake(m) ? 0x78 : 0x38);
		mov(m, copy, i);
	} else {
		if (one_in(m, 3)) {
			emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, i, slot_at(0),
			     0);
			emit(m, BPF_LDX | BPF_MEM | BPF_DW, copy, 10,
			     slot_at(0), 0);
			m->k.slot[0] = (struct mind){ NUMBER, 8 };
		} else {
			emit(m,
			     (one_in(m, 4) ? BPF_ALU : BPF_ALU64) | BPF_MOV |
				     BPF_X,
			     copy, i, 0, 0);
		}
		skip = jump(m, BPF_JMP | BPF_JGT | BPF_K, by_copy ? copy : i, 0,
			    most);
		if (to == 10)
			emit(m, BPF_ALU64 | BPF_AND | BPF_K, copy, 0, 0, 0x38);
		else
			n = 1u << below(m, 4);
	}
	holds(m, copy, NUMBER);
	p = other(m, i);
	if (p != copy && p != (unsigned)to && !is_locked(m, p)) {
		mov(m, p, (unsigned)to);
		if (to == 10)
			add(m, p, slot_at(SLOTS - 1));
		emit(m, BPF_ALU64 | BPF_ADD | BPF_X, p,
		     to == 10 || by_copy != one_in(m, 3) ? copy : i, 0, 0);
		holds(m, p, NOTHING);
		touch(m, p, 0, n);
		m->k.r[p].holds = NOTHING;
	}
	if (skip != UINT32_MAX)
		aim(m, skip);
}

/* A helper writes as much as a number says. */
static void piece_size(struct maker *m)
{
	int to = below(m, 2) ? find(m, VALUE) : 10;
	unsigned i = some_number(m);

	if (to < 0 || i == 9 || (to <= 5 && to != 1))
		return;
	if (i != 2)
		mov(m, 2, i);
	emit(m, BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0,
	     mistake(m) ? 127 : (int32_t[]){ 63, 31, 8 }[below(m, 3)]);
	if (to == 10)
		slot_address(m, 1, slot_at(SLOTS - 1));
	else if (to != 1)
		mov(m, 1, (unsigned)to);
	set(m, 3, 0);
	call(m, BPF_FUNC_probe_read_user);
	holds(m, 0, NUMBER);
	for (int s = 0; to == 10 && s < SLOTS; s++)
		m->k.slot[s] = (struct mind){ NUMBER, 8 };
}

/* --- pieces with blocks ------------------------------------------------ */

static void block(struct maker *m);

static uint32_t some_test(struct maker *m, unsigned r)
{
	static const uint8_t ops[] = { BPF_JEQ,  BPF_JNE,  BPF_JGT,
				       BPF_JGE,  BPF_JLT,  BPF_JLE,
				       BPF_JSGT, BPF_JSLT, BPF_JSET };
	uint8_t op = ops[below(m, sizeof(ops))];
	int class = below(m, 3) ? BPF_JMP : BPF_JMP32;

	if (one_in(m, 4))
		return jump(m, class | op | BPF_X, r, some_number(m), 0);
	return jump(m, class | op | BPF_K, r, 0, small(m));
}

static void piece_if(struct maker *m)
{
	uint32_t j = some_test(m, some_number(m)), end;
	struct known before = m->k, after;

	block(m);
	if (below(m, 2)) {
		aim(m, j);
		join(m, &before);
		return;
	}
	end = jump(m, BPF_JMP | BPF_JA, 0, 0, 0);
	aim(m, j);
	after = m->k;
	m->k = before;
	block(m);
	join(m, &after);
	aim(m, end);
}

static void piece_null(struct maker *m)
{
	int r = find(m, MAYBE);
	struct known before = m->k;
	uint32_t j;

	if (r < 0)
		return;
	j = jump(m, BPF_JMP | (mistake(m) ? BPF_JNE : BPF_JEQ) | BPF_K,
		 (unsigned)r, 0, 0);
	/* Its copies, in part. */
	for (int i = 0; i < 10; i++)
		if (i == r || (m->k.r[i].holds == MAYBE && one_in(m, 4)))
			m->k.r[i].holds = VALUE;
	block(m);
	aim(m, j);
	join(m, &before);
}

static void piece_exit(struct maker *m)
{
	uint32_t j;

	if ((m->held || m->iters) && !mistake(m))
		return;
	j = some_test(m, some_number(m));
	set(m, 0, (int32_t)below(m, 2));
	emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	aim(m, j);
}

/* What p is, f says: f == yes: a value. */
static void piece_correlated(struct maker *m)
{
	int v = find(m, VALUE), f = lock(m), p = f < 0 ? -1 : lock(m);
	int32_t yes = (int32_t)below(m, 3);
	uint32_t j, end;

	if (v < 0 || p < 0 || is_locked(m, (unsigned)v))
		goto out;
	j = some_test(m, some_number(m));
	mov(m, (unsigned)p, (unsigned)v);
	set(m, (unsigned)f, yes);
	end = jump(m, BPF_JMP | BPF_JA, 0, 0, 0);
	aim(m, j);
	set(m, (unsigned)f, yes + 1);
	if (below(m, 2))
		set(m, (unsigned)p, 0);
	else
		mov(m, (unsigned)p, some_number(m));
	aim(m, end);
	holds(m, (unsigned)f, NUMBER);
	holds(m, (unsigned)p, NOTHING);
	block(m);
	j = jump(m, (below(m, 3) ? BPF_JMP : BPF_JMP32) | BPF_JNE | BPF_K,
		 (unsigned)f, 0, mistake(m) ? yes + 1 : yes);
	touch(m, (unsigned)p, 8 * (int)below(m, 8), 8);
	aim(m, j);
out:
	if (f >= 0)
		unlock(m, f);
	if (p >= 0)
		unlock(m, p);
}

static void piece_record(struct maker *m)
{
	int r;
	bool was = m->held;
	uint32_t j;
	struct known before;

	if (m->role == CALLBACK && one_in(m, 2))
		return;
	r = lock(m);
	if (r < 0)
		return;
	lddw(m, 1, BPF_PSEUDO_MAP_FD, JUMBLE_RING);
	set(m, 2, VALUE_SIZE);
	set(m, 3, 0);
	call(m, BPF_FUNC_ringbuf_reserve);
	before = m->k;
	mov(m, (unsigned)r, 0);
	j = jump(m, BPF_JMP | BPF_JEQ | BPF_K, below(m, 2) ? (unsigned)r : 0, 0,
		 0);
	holds(m, (unsigned)r, RECORD);
	m->held = true;
	block(m);
	mov(m, 1, (unsigned)r);
	set(m, 2, 0);
	if (!mistake(m))
		call(m, below(m, 2) ? BPF_FUNC_ringbuf_submit
				    : BPF_FUNC_ringbuf_discard);
	m->held = was;
	aim(m, j);
	before.r[r].holds = NOTHING;
	for (int i = 0; i < 10; i++)
		if (m->k.r[i].holds == RECORD)
			m->k.r[i].holds = NOTHING;
	for (int s = 0; s < SLOTS; s++)
		if (m->k.slot[s].holds == RECORD)
			m->k.slot[s].holds = NOTHING;
	join(m, &before);
	unlock(m, r);
}

/* A counter, in a register or a slot. */
static void piece_loop(struct maker *m)
{
	int r = lock(m);
	unsigned s = below(m, SLOTS);
	bool spill = below(m, 2) && !(m->slots_locked >> s & 1);
	struct known before;
	uint32_t head;

	if (r < 0)
		return;
	if (mistake(m))
		mov(m, (unsigned)r, some_number(m));
	else
		set(m, (unsigned)r, 0);
	before = m->k;
	head = m->out->ninsn;
	if (spill) {
		emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, (unsigned)r, slot_at(s),
		     0);
		m->slots_locked |= (uint16_t)(1u << s);
		unlock(m, r);
	}
	holds(m, (unsigned)r, NUMBER);
	block(m);
	if (spill) {
		m->locked |= (uint16_t)(1u << r);
		emit(m, BPF_LDX | BPF_MEM | BPF_DW, (unsigned)r, 10, slot_at(s),
		     0);
		m->slots_locked &= (uint16_t) ~(1u << s);
	}
	add(m, (unsigned)r, mistake(m) ? 0 : 1);
	jump_back(m, BPF_JMP | (below(m, 2) ? BPF_JLT : BPF_JNE) | BPF_K,
		  (unsigned)r, 1 + (int32_t)below(m, 4), head);
	join(m, &before);
	holds(m, (unsigned)r, NUMBER);
	unlock(m, r);
}

static void iter_call(struct maker *m, int32_t helper)
{
	slot_address(m, 1, ITER_AT - 8 * m->iters);
	call(m, helper);
}

static void piece_iterator(struct maker *m)
{
	uint32_t head, j;
	struct known before;

	if (m->iters == 2)
		return;
	slot_address(m, 1, ITER_AT - 8 * m->iters);
	set(m, 2, 0);
	set(m, 3, 10);
	call(m, JUMBLE_ITER_NEW);
	before = m->k;
	head = m->out->ninsn;
	if (one_in(m, 8))
		block(m);
	iter_call(m, JUMBLE_ITER_NEXT);
	j = jump(m, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0);
	emit(m, BPF_LDX | BPF_MEM | BPF_W, 0, 0, 0, 0);
	holds(m, 0, NUMBER);
	m->iters++;
	block(m);
	m->iters--;
	emit(m, BPF_JMP | BPF_JA, 0, 0, (int)head - (int)m->out->ninsn - 1, 0);
	aim(m, j);
	if (!mistake(m))
		iter_call(m, JUMBLE_ITER_DESTROY);
	join(m, &before);
}

static void later(struct maker *m, uint8_t role)
{
	m->call[m->ncall].insn = m->out->ninsn;
	m->call[m->ncall++].role = role;
}

static void piece_call(struct maker *m)
{
	if (m->ncall >= JUMBLE_SUBS - 1 || m->role != PROGRAM)
		return;
	if (below(m, 2)) {
		/* (The kernel takes nothing from how often it is.) */
		slot_address(m, 3, slot_at(SLOTS - 1));
		emit(m, BPF_LDX | BPF_MEM | BPF_DW, 1, 9, 0, 0);
		later(m, CALLBACK);
		lddw(m, 2, BPF_PSEUDO_FUNC, 0);
		set(m, 4, 0);
		call(m, BPF_FUNC_loop);
	} else {
		int v = find(m, VALUE);

		if (v < 0)
			return;
		if (v != 1)
			mov(m, 1, (unsigned)v);
		slot_address(m, 2, slot_at(SLOTS - 1));
		later(m, SUB);
		emit(m, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
		for (int r = 1; r <= 5; r++)
			m->k.r[r].holds = NOTHING;
	}
	holds(m, 0, NUMBER);
}

/* --- the whole --------------------------------------------------------- */

static void block(struct maker *m)
{
	static void (*const piece[])(struct maker *) = {
		piece_number,     piece_number, piece_alu,    piece_alu,
		piece_copy,       piece_copy,   piece_spill,  piece_spill,
		piece_fill,       piece_fill,   piece_slot,   piece_lookup,
		piece_data,       piece_touch,  piece_touch,  piece_callers,
		piece_callers,    piece_index,  piece_size,   piece_if,
		piece_if,         piece_null,   piece_null,   piece_exit,
		piece_correlated, piece_loop,   piece_record, piece_iterator,
		piece_call,
	};
	uint32_t n = m->depth ? 1 + below(m, 5) : 6 + below(m, 20);

	if (++m->depth <= DEPTH_MAX)
		while (n-- && m->out->ninsn < (uint32_t)(JUMBLE_MAX * 2 / 3 -
							 ROOM * m->depth))
			piece[below(m, sizeof(piece) / sizeof(*piece))](m);
	m->depth--;
}

static void function(struct maker *m, uint8_t role)
{
	memset(&m->k, 0, sizeof(m->k));
	m->role = role;
	m->locked = m->slots_locked = 0;
	m->out->sub[m->out->nsub++] = m->out->ninsn;
	switch (role) {
	case PROGRAM:
		mov(m, 9, 1);
		holds(m, 9, CTX);
		break;
	case SUB:
		holds(m, 1, VALUE);
		holds(m, 2, CALLERS);
		break;
	case CALLBACK: /* (We know more of r1 than the kernel.) */
		holds(m, 2, CALLERS);
	}
	if (role != PROGRAM && below(m, 2)) {
		mov(m, 8, 2);
		holds(m, 8, CALLERS);
		m->locked |= 1 << 8;
	}
	if (role == PROGRAM)
		piece_data(m);
	block(m);
	set(m, 0, (int32_t)below(m, 2));
	emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void jumble(uint64_t seed, struct jumble *out)
{
	struct maker m = { .seed = seed * UINT64_C(0x9e3779b97f4a7c15) | 1,
			   .out = out };

	out->ninsn = out->nsub = 0;
	for (int i = 0; i < 4; i++)
		word(&m);
	function(&m, PROGRAM);
	for (uint32_t i = 0; i < m.ncall; i++) {
		struct bpf_insn *insn = &out->insn[m.call[i].insn];

		if (m.call[i].role == CALLBACK)
			insn->imm = (int32_t)out->ninsn;
		else
			insn->imm = (int32_t)(out->ninsn - m.call[i].insn - 1);
		function(&m, m.call[i].role);
	}
}
