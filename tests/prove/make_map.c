/* SPDX-License-Identifier: MIT */
/* make_map.c - maps, and helpers; see make.c. */
#include "making.h"

static const struct {
	int map, key, value;
} keyed[] = {
	{ COUNTS, 4, 8 },  { WIDE, 4, 48 }, { TABLE, 8, 24 },
	{ RECENT, 4, 16 }, { EACH, 4, 20 }, { EACH_OF, 4, 16 },
	{ PREFIX, 8, 8 },
};
enum {
	KEYED_MAPS = sizeof(keyed) / sizeof(*keyed)
};

static void make_key(struct maker *m, int size)
{
	uint8_t r;

	if (below(m, 2)) {
		emit(m, BPF_ST | BPF_MEM | BPF_W, 10, 0, KEY_AT,
		     (int32_t)below(m, 5));
		if (size == 8 && !mistake(m))
			emit(m, BPF_ST | BPF_MEM | BPF_W, 10, 0, KEY_AT + 4,
			     (int32_t)below(m, 2));
		return;
	}
	r = some_number(m);
	if (below(m, 2))
		bound(m, r, 7);
	emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, r, KEY_AT, 0);
}

static void make_value(struct maker *m, int size)
{
	for (int at = 0; at < size; at += 8)
		if (below(m, 2))
			emit(m, BPF_ST | BPF_MEM | BPF_DW, 10, 0, VALUE_AT + at,
			     any_imm(m));
		else
			emit(m, BPF_STX | BPF_MEM | BPF_DW, 10, read_number(m),
			     VALUE_AT + at, 0);
}

/* What holds whichever way was taken. */
static void meet(struct mind *a, const struct mind *b)
{
	if (a->holds != b->holds || a->map != b->map)
		a->holds = NOTHING;
	if (b->room < a->room)
		a->room = b->room;
	if (b->max > a->max)
		a->max = b->max;
}

void meet_all(struct known *a, const struct known *b)
{
	for (int r = 0; r < 10; r++)
		meet(&a->r[r], &b->r[r]);
	for (int s = 0; s < SPILLS; s++)
		meet(&a->spill[s], &b->spill[s]);
}

void becomes(struct known *k, const struct mind *is)
{
	for (int r = 0; r < 10; r++)
		if (k->r[r].holds == MAYBE && k->r[r].map == is->map)
			k->r[r] = *is;
	for (int s = 0; s < SPILLS; s++)
		if (k->spill[s].holds == MAYBE && k->spill[s].map == is->map)
			k->spill[s] = *is;
}

/* r may be NULL: what is behind it is for when it is not. */
static void if_not_null(struct maker *m, uint8_t r, const struct mind *is)
{
	uint32_t j, end;
	struct known null;
	uint16_t numbers = m->numbers;

	if (below(m, 4) == 0) { /* go, when it is NULL */
		j = jump(m, BPF_JMP | BPF_JNE | BPF_K, r, 0, 0);
		emit(m, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
		emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		aim(m, j);
		becomes(&m->k, is);
		return;
	}
	if (below(m, 2)) {
		j = jump(m, BPF_JMP | BPF_JEQ | BPF_K, r, 0, 0);
	} else {
		end = jump(m, BPF_JMP | BPF_JNE | BPF_K, r, 0, 0);
		j = jump(m, BPF_JMP | BPF_JA, 0, 0, 0);
		aim(m, end);
	}
	null = m->k;
	becomes(&null, &(struct mind){ .map = is->map });
	becomes(&m->k, is);
	touch_some(m, r, is->map != FROZEN);
	block(m, 1 + below(m, 3));
	aim(m, j);
	meet_all(&m->k, &null);
	m->numbers &= numbers;
}

void piece_lookup(struct maker *m)
{
	uint32_t k = below(m, KEYED_MAPS);
	struct mind is = { .holds = VALUE,
			   .map = (uint8_t)keyed[k].map,
			   .room = (int16_t)keyed[k].value };
	struct mind maybe = { .holds = MAYBE, .map = is.map };
	bool each = false;
	uint8_t r = 0;

	if (is_locked(m, 0) || m->depth >= DEPTH_MAX)
		return;
	becomes(&m->k, &(struct mind){ .map = is.map }); /* of an earlier one */
	make_key(m, keyed[k].key);
	stack_address(m, 2, KEY_AT, 8);
	map_address(m, 1, keyed[k].map);
	if (keyed[k].map == EACH || keyed[k].map == EACH_OF)
		each = below(m, 2);
	if (each) {
		any_number(m, 3);
		bound(m, 3, 2);
	}
	call(m,
	     each ? BPF_FUNC_map_lookup_percpu_elem : BPF_FUNC_map_lookup_elem);
	m->k.r[0] = maybe;
	if (below(m, 2)) {
		r = fresh(m);
		mov(m, r, 0);
	}
	if (one_in(m, 4))
		piece_spill(m);
	if (mistake(m))
		becomes(&m->k, &is);
	else if (m->k.r[r].holds == MAYBE)
		if_not_null(m, below(m, 2) && m->k.r[0].holds == MAYBE ? 0 : r,
			    &is);
}

void piece_update(struct maker *m)
{
	uint32_t k = below(m, KEYED_MAPS);

	if (is_locked(m, 0))
		return;
	make_key(m, keyed[k].key);
	stack_address(m, 2, KEY_AT, 8);
	if (below(m, 3)) {
		make_value(m, keyed[k].value);
		stack_address(m, 2, KEY_AT, 8);
		stack_address(m, 3, VALUE_AT, 48);
		mov_imm(m, 4, (int32_t)below(m, 3));
		map_address(m, 1, keyed[k].map);
		call(m, BPF_FUNC_map_update_elem);
	} else {
		map_address(m, 1, keyed[k].map);
		call(m, BPF_FUNC_map_delete_elem);
	}
}

void piece_queue(struct maker *m)
{
	if (is_locked(m, 0))
		return;
	make_value(m, 16);
	stack_address(m, 2, VALUE_AT, 16);
	mov_imm(m, 3, below(m, 2) ? BPF_EXIST : 0);
	map_address(m, 1, LINE);
	call(m, BPF_FUNC_map_push_elem + (int32_t)below(m, 3));
}

void piece_helper(struct maker *m)
{
	static const int32_t plain[] = { BPF_FUNC_ktime_get_ns,
					 BPF_FUNC_get_prandom_u32,
					 BPF_FUNC_get_current_pid_tgid,
					 BPF_FUNC_get_smp_processor_id };

	if (is_locked(m, 0))
		return;
	call(m, plain[below(m, 4)]);
	if (below(m, 2))
		mov(m, fresh(m), 0);
}

/* Memory of the stack that a helper fills; perhaps where registers are spilled,
 * which are bytes then, or still there. */
void piece_fill(struct maker *m)
{
	bool spills = one_in(m, 4);
	int room = spills ? 8 * SPILLS : 48;

	if (is_locked(m, 0))
		return;
	if (below(m, 2)) {
		any_number(m, 2);
		bound(m, 2, room);
	} else {
		mov_imm(m, 2,
			1 + (int32_t)below(m,
					   mistake(m) ? 500 : (uint32_t)room));
	}
	stack_address(m, 1, spills ? SPILL_AT : VALUE_AT, room);
	mov_imm(m, 3, any_imm(m));
	call(m, below(m, 2) ? BPF_FUNC_probe_read_user
			    : BPF_FUNC_probe_read_kernel);
	for (int s = 0; s < SPILLS && spills; s++)
		m->k.spill[s] =
			(struct mind){ .holds = NUMBER, .max = ANY_NUMBER };
}

void piece_output(struct maker *m)
{
	int value = find(m, VALUE);
	int32_t size = 48;

	if (is_locked(m, 0))
		return;
	if (value >= 0 && below(m, 2)) {
		size = m->k.r[value].room;
		mov(m, 2, (uint8_t)value);
	} else {
		make_value(m, 48);
		stack_address(m, 2, VALUE_AT, 48);
	}
	if (size > 0 && below(m, 2)) {
		any_number(m, 3);
		if (m->k.r[2].holds == NOTHING)
			return;
		bound(m, 3, size);
	} else {
		mov_imm(m, 3, size > 0 ? (int32_t)below(m, (uint32_t)size) : 0);
	}
	if (m->k.r[2].holds != STACKED && m->k.r[2].holds != VALUE)
		stack_address(m, 2, VALUE_AT, 48);
	mov_imm(m, 4, 0);
	map_address(m, 1, RING);
	call(m, BPF_FUNC_ringbuf_output);
}

static void finish_record(struct maker *m, uint8_t r)
{
	if (mistake(m))
		return;
	mov(m, 1, r);
	mov_imm(m, 2, 0);
	for (int i = 0; i < 10; i++)
		if (m->k.r[i].holds == RECORD)
			m->k.r[i].holds = NOTHING;
	for (int s = 0; s < SPILLS; s++)
		if (m->k.spill[s].holds == RECORD)
			m->k.spill[s].holds = NOTHING;
	call(m,
	     below(m, 3) ? BPF_FUNC_ringbuf_submit : BPF_FUNC_ringbuf_discard);
}

void piece_reserve(struct maker *m)
{
	uint8_t r = (uint8_t)(7 + below(m, 3));
	int32_t size = 8 + (int32_t)below(m, 56);
	uint32_t j;
	struct known null;

	if (m->held || is_locked(m, 0) || is_locked(m, r) ||
	    m->depth >= DEPTH_MAX)
		return;
	mov_imm(m, 2, size);
	mov_imm(m, 3, 0);
	map_address(m, 1, RING);
	call(m, BPF_FUNC_ringbuf_reserve);
	mov(m, r, 0);
	m->k.r[0].holds = NOTHING;
	if (!mistake(m))
		j = jump(m, BPF_JMP | BPF_JEQ | BPF_K, r, 0, 0);
	else
		j = jump(m, BPF_JMP | BPF_JEQ | BPF_K, r, 0, 1);
	m->k.r[r].holds = NOTHING;
	null = m->k;
	m->k.r[r] = (struct mind){ .holds = RECORD, .room = (int16_t)size };
	m->locked |= (uint16_t)(1 << r);
	m->held = true;
	touch_some(m, r, true);
	block(m, 1 + below(m, 3));
	m->held = false;
	m->locked &= (uint16_t) ~(1 << r);
	finish_record(m, r);
	aim(m, j);
	meet_all(&m->k, &null);
}

/* A dynptr of a map's value, and what can be done with it. */
void piece_value_dynptr(struct maker *m)
{
	int r = find(m, VALUE);
	int room = r < 0 ? 0 : m->k.r[r].room;
	uint32_t j;

	if (room < 8 || is_locked(m, 0) || m->held ||
	    (m->k.r[r].map == FROZEN && !mistake(m)))
		return;
	mov(m, 1, (uint8_t)r);
	mov_imm(m, 2, room + (mistake(m) ? 1 : 0));
	if (below(m, 2)) {
		any_number(m, 2);
		bound(m, 2, room);
	}
	mov_imm(m, 3, 0);
	stack_address(m, 4, DYNPTR_AT, 16);
	call(m, BPF_FUNC_dynptr_from_mem);
	if (below(m, 2)) { /* adjusted, by numbers that nobody knows */
		stack_address(m, 1, DYNPTR_AT, 16);
		any_number(m, 2);
		any_number(m, 3);
		bound(m, 2, 8);
		bound(m, 3, 64);
		call(m, DYN_ADJUST);
	}
	if (below(m, 2)) {
		stack_address(m, 1, VALUE_AT, 48);
		mov_imm(m, 2, 1 + (int32_t)below(m, 48));
		stack_address(m, 3, DYNPTR_AT, 16);
		any_number(m, 4);
		mov_imm(m, 5, 0);
		call(m, BPF_FUNC_dynptr_read);
	}
	stack_address(m, 1, DYNPTR_AT, 16);
	any_number(m, 2);
	if (below(m, 2))
		bound(m, 2, 8);
	if (below(m, 2)) {
		mov_imm(m, 3, 1 + (int32_t)below(m, 8));
		call(m, BPF_FUNC_dynptr_data);
	} else {
		stack_address(m, 3, VALUE_AT, 48);
		mov_imm(m, 4, 1 + (int32_t)below(m, 8));
		call(m, DYN_SLICE);
	}
	j = jump(m, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0);
	emit(m, BPF_LDX | BPF_MEM | BPF_B, 1, 0, mistake(m) ? 8 : 0, 0);
	aim(m, j);
	m->k.r[0].holds = NOTHING;
}

void piece_dynptr(struct maker *m)
{
	int32_t size = 8 + (int32_t)below(m, 56);
	uint32_t j;

	if (m->held || is_locked(m, 0))
		return;
	mov_imm(m, 2, size);
	mov_imm(m, 3, 0);
	stack_address(m, 4, DYNPTR_AT, 16);
	map_address(m, 1, RING);
	call(m, BPF_FUNC_ringbuf_reserve_dynptr);
	if (below(m, 2)) {
		mov_imm(m, 3, (int32_t)below(m, 16) + 1);
		mov_imm(m, 2, (int32_t)below(m, 16));
		stack_address(m, 1, DYNPTR_AT, 16);
		call(m, BPF_FUNC_dynptr_data);
		j = jump(m, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0);
		emit(m, BPF_ST | BPF_MEM | BPF_B, 0, 0, 0, any_imm(m));
		aim(m, j);
	}
	if (below(m, 2)) {
		make_value(m, 16);
		stack_address(m, 1, DYNPTR_AT, 16);
		mov_imm(m, 2, (int32_t)below(m, 32));
		stack_address(m, 3, VALUE_AT, 16);
		mov_imm(m, 4, (int32_t)below(m, 16) + 1);
		mov_imm(m, 5, 0);
		call(m, BPF_FUNC_dynptr_write);
	}
	if (mistake(m))
		return;
	stack_address(m, 1, DYNPTR_AT, 16);
	mov_imm(m, 2, 0);
	call(m, DYN_SUBMIT + (int32_t)below(m, 2));
}
