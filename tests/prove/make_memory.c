/* SPDX-License-Identifier: MIT */
/* make_memory.c - values, records, the stack; see make.c. */
#include "making.h"

static uint8_t any_size(struct maker *m, int room, int *bytes)
{
	static const uint8_t size[4] = { BPF_B, BPF_H, BPF_W, BPF_DW };
	uint32_t k = below(m, 4);

	while (k && 1 << k > room)
		k--;
	*bytes = 1 << k;
	return size[k];
}

static void touch(struct maker *m, uint8_t r, int off, uint8_t size, int bytes,
		  bool write)
{
	static const int32_t ops[] = { BPF_ADD,
				       BPF_OR,
				       BPF_XCHG,
				       BPF_CMPXCHG,
				       BPF_ADD | BPF_FETCH,
				       BPF_AND | BPF_FETCH };
	int32_t op;
	uint8_t with;

	switch (write ? below(m, 8) : 0) {
	case 1:
	case 2:
		emit(m, BPF_ST | BPF_MEM | size, r, 0, off, any_imm(m));
		return;
	case 3:
	case 4:
		with = read_number(m);
		if (with != r) {
			emit(m, BPF_STX | BPF_MEM | size, r, with, off, 0);
			return;
		}
		break;
	case 5:
		with = some_number(m);
		op = ops[below(m, 6)];
		if (op == BPF_CMPXCHG &&
		    (m->k.r[0].holds != NUMBER || is_locked(m, 0)))
			op = BPF_ADD;
		if (bytes >= 4 && with != r && off % bytes == 0) {
			bool own = r && with && op != BPF_CMPXCHG &&
				   !is_locked(m, 0) && m->numbers & 1 &&
				   below(m, 2);

			if (own) /* which only one of them writes */
				stack_address(m, 0, -8, 8);
			emit(m, BPF_STX | BPF_ATOMIC | size, r, with, off, op);
			if (op == BPF_CMPXCHG)
				number(m, 0, ANY_NUMBER);
			number(m, with, ANY_NUMBER);
			if (own)
				touch_some(m, 0, true);
			return;
		}
	}
	with = fresh(m);
	emit(m, BPF_LDX | (bytes < 8 && one_in(m, 3) ? MEMSX : BPF_MEM) | size,
	     with, r, off, 0);
	number(m, with, ANY_NUMBER);
}

/* Somewhere in the `room` bytes at r, by way of an index. */
static void touch_index(struct maker *m, uint8_t r, int room, uint8_t size,
			int bytes, bool write)
{
	uint8_t i = some_number(m), to;
	bool stack = m->k.r[r].holds == STACKED;
	int scale = !stack && below(m, 2) ? 1 : bytes, c = 0;
	int32_t max = (room - bytes) / scale;

	if (i == r || max < 0)
		return;
	if (max && below(m, 2)) {
		c = scale * (int)below(m, (uint32_t)max);
		max -= c / scale;
	}
	to = other(m, i);
	if (to == r || is_locked(m, i))
		return;
	bound(m, i, max);
	if (scale > 1 && below(m, 2))
		alu_imm(m, BPF_MUL, i, scale);
	else if (scale > 1)
		alu_imm(m, BPF_LSH, i, __builtin_ctz((unsigned)scale));
	number(m, i, ANY_NUMBER);
	switch (below(m, 3)) {
	case 0: /* from the end, back */
		mov(m, to, r);
		alu_imm(m, BPF_ADD, to, room - bytes - c);
		alu_reg(m, BPF_SUB, to, i);
		c = 0;
		break;
	case 1:
		mov(m, to, i);
		alu_reg(m, BPF_ADD, to, r);
		break;
	default:
		mov(m, to, r);
		alu_reg(m, BPF_ADD, to, i);
	}
	m->k.r[to] = (struct mind){ .holds = VALUE, .room = 0 };
	touch(m, to, c, size, bytes, write);
	if (m->k.r[to].holds == VALUE)
		m->k.r[to].holds = NOTHING;
}

static int some_offset(struct maker *m, int most, int bytes)
{
	int step = below(m, 4) ? bytes : 1;

	return most > 0 ? (int)below(m, (uint32_t)most + 1) / step * step : 0;
}

void touch_some(struct maker *m, uint8_t r, bool write)
{
	struct mind was = m->k.r[r];
	int bytes;
	uint8_t size = any_size(m, was.room, &bytes);

	if (was.room < bytes && !mistake(m))
		return;
	if (below(m, 2))
		touch_index(m, r, was.room, size, bytes, write);
	else if (mistake(m))
		touch(m, r, was.room - bytes + 1, size, bytes, write);
	else
		touch(m, r, some_offset(m, was.room - bytes, bytes), size,
		      bytes, write);
}

void piece_value(struct maker *m)
{
	int r = find(m, VALUE);

	if (r >= 0)
		touch_some(m, (uint8_t)r, m->k.r[r].map != FROZEN);
}

void piece_record(struct maker *m)
{
	int r = find(m, RECORD);

	if (r >= 0)
		touch_some(m, (uint8_t)r, true);
}

void piece_stacked(struct maker *m)
{
	int r = find(m, STACKED);

	if (r >= 0 && m->k.r[r].room > 0)
		touch_some(m, (uint8_t)r, true);
}

void piece_stack(struct maker *m)
{
	int bytes, s = (int)below(m, NUMBERS);
	uint8_t size;

	if (one_in(m, 4)) { /* an array */
		uint8_t r = fresh(m);

		stack_address(m, r, -8 * NUMBERS, 8 * NUMBERS);
		if (m->numbers == (1 << NUMBERS) - 1 || mistake(m))
			touch_some(m, r, true);
		return;
	}
	if (!(m->numbers >> s & 1) && !mistake(m)) {
		emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, read_number(m),
		     -8 * (s + 1), 0);
		m->numbers |= (uint16_t)(1 << s);
		return;
	}
	size = any_size(m, 8, &bytes);
	touch(m, 10,
	      -8 * (s + 1) + (int)below(m, (uint32_t)(8 / bytes)) * bytes, size,
	      bytes, true);
}

void piece_spill(struct maker *m)
{
	uint32_t s = below(m, SPILLS);
	uint8_t r = fresh(m);

	if (below(m, 2)) {
		r = (uint8_t)below(m, 10);
		if (m->k.r[r].holds == NOTHING && !mistake(m))
			return;
		emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, r,
		     SPILL_AT + 8 * (int)s, 0);
		m->k.spill[s] = m->k.r[r];
	} else if (m->k.spill[s].holds != NOTHING || mistake(m)) {
		emit(m, BPF_LDX | BPF_MEM | BPF_DW, r, 10,
		     SPILL_AT + 8 * (int)s, 0);
		m->k.r[r] = m->k.spill[s];
	}
}

void piece_copy(struct maker *m)
{
	uint8_t from = (uint8_t)below(m, 10), to = fresh(m);
	int by;

	if (m->k.r[from].holds == NOTHING && !mistake(m))
		return;
	mov(m, to, from);
	if (m->k.r[to].holds != VALUE && m->k.r[to].holds != STACKED)
		return;
	by = (int)below(m, 9);
	if (by > m->k.r[to].room)
		return;
	alu_imm(m, BPF_ADD, to, by);
	m->k.r[to].room = (int16_t)(m->k.r[to].room - by);
}

void piece_global(struct maker *m)
{
	uint8_t r = fresh(m);
	int map = below(m, 3) ? BSS : FROZEN, size = map == BSS ? 64 : 32;
	int at = (int)below(m, (uint32_t)size / 4) * 4;

	lddw(m, r, BPF_PSEUDO_MAP_VALUE, map, at);
	m->k.r[r] = (struct mind){ .holds = VALUE,
				   .map = (uint8_t)map,
				   .room = (int16_t)(size - at) };
	touch_some(m, r, map == BSS || mistake(m));
}

/* A field's bytes, by a constant in the instruction or in the pointer. */
static void load_field(struct maker *m, uint8_t r)
{
	static const struct {
		int at, size;
	} field[] = {
#define FIELD(name, ...)                                                       \
	{ offsetof(struct task, name), sizeof(((struct task *)0)->name) },
#include "runtime-stub/task.def"
	};
	uint32_t k = below(m, sizeof(field) / sizeof(*field));
	int at = TASK_FIELDS + field[k].at, bytes;
	uint8_t size = any_size(m, field[k].size, &bytes), to;
	bool leads = bytes == 8 &&
		     (field[k].at == offsetof(struct task, real_parent) ||
		      field[k].at == offsetof(struct task, group_leader));

	at += some_offset(m, field[k].size - bytes, bytes) + mistake(m);
	if (one_in(m, 3)) {
		to = other(m, r);
		mov(m, to, r);
		alu_imm(m, BPF_ADD, to, at);
		m->k.r[to].holds = NOTHING;
		r = to;
		at = 0;
	}
	to = fresh(m);
	emit(m, BPF_LDX | (bytes < 8 && one_in(m, 3) ? MEMSX : BPF_MEM) | size,
	     to, r, at, 0);
	number(m, to, ANY_NUMBER);
	if (leads)
		m->k.r[to].holds = TASK;
}

void piece_task(struct maker *m)
{
	int r = find(m, TASK);

	if (r >= 0 && !mistake(m)) {
		load_field(m, (uint8_t)r);
		return;
	}
	if (is_locked(m, 0))
		return;
	call(m, BPF_FUNC_get_current_task_btf);
	m->k.r[0].holds = TASK;
	if (below(m, 2))
		mov(m, fresh(m), 0);
	load_field(m, 0);
}
