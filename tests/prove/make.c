/* SPDX-License-Identifier: MIT */
/* make.c - see make.h.
 *
 * A function is a block; a block is a list of pieces, some of which have blocks
 * in them.  Where paths meet, what is kept in mind of a register is what holds
 * on both.  Registers:
 *
 *   r0..r5      whatever the last piece left
 *   r6          ctx, in the program itself; a number in subprograms
 *   r7, r8, r9  kept over calls; a loop's counter, a ring's record are locked
 *
 * and the stack:
 *
 *   -8 .. -64   numbers, and an array with a variable index
 *   -88         a key     -136  a value of up to 48 bytes
 *   -152        a dynptr  -160  an iterator
 *   -168 .. -192  spilled registers
 */
#include "making.h"

#include "runtime-stub/guard.h"

/* --- decisions --------------------------------------------------------- */

uint64_t dice_word(struct dice *d)
{
	uint64_t w = 0;

	if (d->nbyte) {
		size_t n = d->nbyte < 8 ? d->nbyte : 8;

		memcpy(&w, d->byte, n);
		d->byte += n;
		d->nbyte -= n;
		d->seed += w;
		return w;
	}
	d->seed ^= d->seed << 13;
	d->seed ^= d->seed >> 7;
	d->seed ^= d->seed << 17;
	return d->seed * UINT64_C(0x2545f4914f6cdd1d);
}

uint32_t dice_below(struct dice *d, uint32_t n)
{
	if (d->nbyte && n <= 256) {
		d->nbyte--;
		d->seed = d->seed * 31 + *d->byte + 1;
		return *d->byte++ % n;
	}
	return (uint32_t)((dice_word(d) >> 20) % n);
}

uint32_t below(struct maker *m, uint32_t n)
{
	return dice_below(m->d, n);
}

bool one_in(struct maker *m, uint32_t n)
{
	return below(m, n) == n - 1;
}

bool mistake(struct maker *m)
{
	return m->wrong && one_in(m, m->wrong);
}

int32_t any_imm(struct maker *m)
{
	static const int32_t edge[] = { 0,      1,         -1,        2,
					7,      8,         63,        255,
					-128,   0xffff,    INT32_MAX, INT32_MIN,
					0x7ffe, 0x10000000 };

	if (below(m, 3))
		return edge[below(m, sizeof(edge) / sizeof(*edge))];
	return (int32_t)dice_word(m->d);
}

static void arguments(struct maker *m, int s)
{
	struct mind stack = { .holds = STACKED, .room = 8 * NUMBERS };

	memset(&m->k, 0, sizeof(m->k));
	switch (m->takes[s]) {
	case TAKES_UNKNOWN: /* the program itself */
		m->k.r[1].holds = CTX;
		return;
	case TAKES_EACH:
		m->k.r[4] = stack;
		m->k.r[3] = (struct mind){ .holds = VALUE,
					   .map = COUNTS,
					   .room = 8 };
		return;
	case TAKES_LOOP:
		number(m, 1, ANY_NUMBER);
		m->k.r[2] = stack;
		return;
	}
	number(m, 1, ANY_NUMBER);
	number(m, 2, ANY_NUMBER);
	if (m->takes[s] == TAKES_STACK)
		m->k.r[2] = stack;
	if (m->takes[s] == TAKES_VALUE)
		m->k.r[2] = (struct mind){ .holds = VALUE,
					   .map = COUNTS,
					   .room = 8 };
}

static void function(struct maker *m, int s)
{
	m->out->sub[s] = m->n;
	m->function = (uint8_t)s;
	m->numbers = 0;
	arguments(m, s);
	if (m->takes[s] == TAKES_ROUNDS) {
		round_body(m);
		return;
	}
	mov(m, 6, 1);
	for (int k = 0; k < NUMBERS; k++)
		if (below(m, 2)) {
			emit(m, BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8 * (k + 1),
			     any_imm(m));
			m->numbers |= (uint16_t)(1 << k);
		}
	block(m, 1 + below(m, s ? 5 : 12));
	if (m->takes[s] == TAKES_LOOP || m->takes[s] == TAKES_EACH)
		mov_imm(m, 0, (int32_t)below(m, mistake(m) ? 3 : 2));
	else
		mov(m, 0, read_number(m));
	emit(m, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void aim_calls(struct maker *m)
{
	for (uint32_t k = 0; k < m->ncall; k++) {
		struct bpf_insn *i = &m->out->insn[m->call[k].insn];
		uint32_t to = m->out->sub[m->call[k].sub];

		i->imm = i->src_reg == BPF_PSEUDO_FUNC
				 ? (int32_t)to
				 : (int32_t)(to - m->call[k].insn - 1);
	}
}

/* Is it something that may come out of an object?  Maps are there; values that
 * are named are data sections', and inside. */
static bool can_be(const struct bpf_insn *i)
{
	const struct bpf_map_def *map = world_set()->map;

	if (is_task_load(i) || is_guard(i) || !i->code)
		return false;
	if (!is_lddw(i) || (i->src_reg != BPF_PSEUDO_MAP_FD &&
			    i->src_reg != BPF_PSEUDO_MAP_VALUE))
		return true;
	if (i->imm < 0 || i->imm >= WORLD_MAPS)
		return false;
	if (i->src_reg == BPF_PSEUDO_MAP_FD)
		return !i[1].imm;
	return map[i->imm].data && (uint32_t)i[1].imm < map[i->imm].value_size;
}

/* A field of an instruction becomes another. */
static void spoil(struct maker *m)
{
	struct bpf_insn *i = &m->out->insn[below(m, m->n)], was = *i;

	switch (below(m, 5)) {
	case 0:
		i->imm = any_imm(m);
		break;
	case 1:
		i->off = (int16_t)(i->off + (int)below(m, 17) - 8);
		break;
	case 2:
		i->dst_reg = below(m, 11) & 15;
		break;
	case 3:
		i->src_reg = below(m, 11) & 15;
		break;
	default:
		i->code ^= (uint8_t)(1 << below(m, 8));
	}
	if (!can_be(i))
		*i = was;
}

void make_program(struct dice *d, struct made *out)
{
	static const uint32_t wrong[] = { 0, 0, 150, 40 };
	struct maker m = { .d = d,
			   .out = out,
			   .wrong = wrong[dice_below(d, 4)],
			   .rounds_record = dice_below(d, 2) };
	uint32_t nsub = 1;

	memset(out, 0, sizeof(*out));
	function(&m, 0);
	for (int s = 1; s < MADE_SUBS && m.takes[s]; s++, nsub++)
		function(&m, s);
	aim_calls(&m);
	if (one_in(&m, 6))
		spoil(&m);
	out->prog = (struct bpf_prog){
		.name = "made",
		.section = "uprobe",
		.insn = out->insn,
		.ninsn = m.n,
		.sub = out->sub,
		.nsub = nsub,
		.ours = true,
	};
}
