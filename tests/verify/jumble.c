/* SPDX-License-Identifier: MIT */
/* jumble.c - see jumble.h. */
#include "jumbling.h"

uint64_t word(struct maker *m)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return m->seed * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

uint32_t below(struct maker *m, uint32_t n)
{
	return (uint32_t)(word(m) % n);
}

bool one_in(struct maker *m, uint32_t n)
{
	return !below(m, n);
}

bool mistake(struct maker *m)
{
	return one_in(m, 60);
}

int32_t small(struct maker *m)
{
	static const int32_t edge[] = { -1, 8, 16, 56, 57, 64, 255, 1 << 30 };

	return one_in(m, 5) ? edge[below(m, 8)] : (int32_t)below(m, 4);
}

void block(struct maker *m)
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
