/* SPDX-License-Identifier: MIT */
/* jumble_reg.c - what registers and slots hold. */
#include "jumbling.h"

bool is_locked(const struct maker *m, unsigned r)
{
	return m->locked >> r & 1;
}

unsigned fresh(struct maker *m)
{
	unsigned r = below(m, 9);

	while (is_locked(m, r))
		r = (r + 1) % 9;
	return r;
}

unsigned other(struct maker *m, unsigned than)
{
	unsigned r = fresh(m);

	while (r == than || is_locked(m, r))
		r = (r + 1) % 9;
	return r;
}

/* One that is kept over calls, and is locked now. */
int lock(struct maker *m)
{
	for (int r = 6; r <= 8; r++)
		if (!is_locked(m, (unsigned)r)) {
			m->locked |= (uint16_t)(1u << r);
			return r;
		}
	return -1;
}

void unlock(struct maker *m, int r)
{
	m->locked &= (uint16_t) ~(1u << r);
}

int find(struct maker *m, uint8_t holds)
{
	unsigned at = below(m, 10);

	if (mistake(m))
		return (int)at;
	for (unsigned i = 0; i < 10; i++)
		if (m->k.r[(at + i) % 10].holds == holds)
			return (int)((at + i) % 10);
	return -1;
}

void holds(struct maker *m, unsigned r, uint8_t what)
{
	m->k.r[r] = (struct mind){ .holds = what };
}

void any_number(struct maker *m, unsigned r)
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

unsigned some_number(struct maker *m)
{
	int r = find(m, NUMBER);

	if (r < 0) {
		r = (int)fresh(m);
		any_number(m, (unsigned)r);
	}
	return (unsigned)r;
}

/* What holds on both of two paths. */
void join(struct maker *m, const struct known *o)
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
