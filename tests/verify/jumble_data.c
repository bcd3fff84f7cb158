/* SPDX-License-Identifier: MIT */
/* jumble_data.c - numbers, slots, values: pieces without a block. */
#include "jumbling.h"

void piece_number(struct maker *m)
{
	any_number(m, fresh(m));
}

void piece_alu(struct maker *m)
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

void piece_copy(struct maker *m)
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

void piece_spill(struct maker *m)
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

void piece_fill(struct maker *m)
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

void piece_slot(struct maker *m)
{
	unsigned s = below(m, SLOTS), n = some_size(m);

	if (m->slots_locked >> s & 1)
		return;
	emit(m, BPF_ST | BPF_MEM | size_code(n), 10, 0, slot_at(s), small(m));
	m->k.slot[s] = (struct mind){ NUMBER, (uint8_t)n };
}

void piece_lookup(struct maker *m)
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

void piece_data(struct maker *m)
{
	unsigned r = fresh(m);

	lddw(m, r, BPF_PSEUDO_MAP_VALUE, JUMBLE_DATA);
	holds(m, r, VALUE);
}

void touch(struct maker *m, unsigned r, int at, unsigned n)
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

void piece_touch(struct maker *m)
{
	int r = find(m, below(m, 4) ? VALUE : RECORD);
	unsigned n = some_size(m);

	if (r < 0)
		return;
	touch(m, (unsigned)r,
	      mistake(m) ? VALUE_SIZE : (int)(below(m, VALUE_SIZE / n) * n), n);
}

/* The slots of who called: pointers, too. */
void piece_callers(struct maker *m)
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
void piece_index(struct maker *m)
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
void piece_size(struct maker *m)
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
