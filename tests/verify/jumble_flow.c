/* SPDX-License-Identifier: MIT */
/* jumble_flow.c - branches, loops, calls. */
#include "jumbling.h"

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

void piece_if(struct maker *m)
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

void piece_null(struct maker *m)
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

void piece_exit(struct maker *m)
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
void piece_correlated(struct maker *m)
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

void piece_record(struct maker *m)
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
void piece_loop(struct maker *m)
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

void piece_iterator(struct maker *m)
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

void piece_call(struct maker *m)
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
