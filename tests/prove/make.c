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
#include "make.h"

#include <string.h>

#include "rewriter/bpf/flow.h"
#include "runtime-stub/guard.h"
#include "world.h"

enum {
	NUMBERS = 8,
	KEY_AT = -88,
	VALUE_AT = -136,
	DYNPTR_AT = -152,
	ITER_AT = -160,
	SPILL_AT = -192,
	SPILLS = 3,
	DEPTH_MAX = 4,
	MEMSX = 0x80,
};
enum {
	DYN_SUBMIT = 199,
	DYN_ADJUST = 243,
	DYN_SLICE = 248,
	ITER_NEW = 252,
	ITER_NEXT,
	ITER_DESTROY
};
#define ANY_NUMBER UINT64_MAX

enum holds {
	NOTHING,
	NUMBER,
	CTX,
	STACKED,
	VALUE,
	MAYBE,
	RECORD
};
struct mind {
	uint8_t holds, map;
	int16_t room; /* bytes from where it points on */
	uint64_t max; /* a number's; */
};
/* Of STACKED, r10 + at. */
struct known {
	struct mind r[10], spill[SPILLS];
};

struct maker {
	struct dice *d;
	struct made *out;
	uint32_t n;
	struct known k;
	uint16_t locked;
	uint8_t depth, function;
	bool held;        /* a record is: no way out, no call that may fail */
	uint32_t wrong;   /* one decision in so many; 0: none */
	uint16_t numbers; /* slots that hold one */
	uint8_t takes[MADE_SUBS]; /* what a subprogram is given: enum takes */
	struct {
		uint32_t insn, sub;
	} call[64];
	uint32_t ncall;
};
enum takes {
	TAKES_UNKNOWN,
	TAKES_NUMBERS,
	TAKES_STACK,
	TAKES_VALUE,
	TAKES_LOOP,
	TAKES_EACH
};

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

static uint32_t below(struct maker *m, uint32_t n)
{
	return dice_below(m->d, n);
}

static bool one_in(struct maker *m, uint32_t n)
{
	return below(m, n) == n - 1;
}

static bool mistake(struct maker *m)
{
	return m->wrong && one_in(m, m->wrong);
}

static int32_t any_imm(struct maker *m)
{
	static const int32_t edge[] = { 0,      1,         -1,        2,
					7,      8,         63,        255,
					-128,   0xffff,    INT32_MAX, INT32_MIN,
					0x7ffe, 0x10000000 };

	if (below(m, 3))
		return edge[below(m, sizeof(edge) / sizeof(*edge))];
	return (int32_t)dice_word(m->d);
}

/* --- instructions ------------------------------------------------------ */

static void emit(struct maker *m, uint8_t code, uint8_t dst, uint8_t src,
		 int off, int32_t imm)
{
	if (m->n < MADE_MAX)
		m->out->insn[m->n++] = (struct bpf_insn){ .code = code,
							  .dst_reg = dst & 15,
							  .src_reg = src & 15,
							  .off = (int16_t)off,
							  .imm = imm };
}

static void lddw(struct maker *m, uint8_t dst, uint8_t src, int32_t lo,
		 int32_t hi)
{
	emit(m, BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, lo);
	emit(m, 0, 0, 0, 0, hi);
}

static void mov(struct maker *m, uint8_t dst, uint8_t src)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
	m->k.r[dst] = m->k.r[src];
}

static void number(struct maker *m, uint8_t r, uint64_t max)
{
	m->k.r[r] = (struct mind){ .holds = NUMBER, .max = max };
}

static void mov_imm(struct maker *m, uint8_t r, int32_t imm)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, imm);
	number(m, r, imm < 0 ? ANY_NUMBER : (uint64_t)imm);
}

static void alu_imm(struct maker *m, uint8_t op, uint8_t r, int32_t imm)
{
	emit(m, BPF_ALU64 | op | BPF_K, r, 0, 0, imm);
}

static void alu_reg(struct maker *m, uint8_t op, uint8_t r, uint8_t by)
{
	emit(m, BPF_ALU64 | op | BPF_X, r, by, 0, 0);
}

/* An address of the stack. */
static void stack_address(struct maker *m, uint8_t r, int at, int room)
{
	emit(m, BPF_ALU64 | BPF_MOV | BPF_X, r, 10, 0, 0);
	alu_imm(m, BPF_ADD, r, at);
	m->k.r[r] = (struct mind){ .holds = STACKED, .room = (int16_t)room };
}

static void map_address(struct maker *m, uint8_t r, int map)
{
	lddw(m, r, BPF_PSEUDO_MAP_FD, map, 0);
	m->k.r[r].holds = NOTHING;
}

static void call(struct maker *m, int32_t helper)
{
	emit(m, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
	for (int r = 1; r <= 5; r++)
		m->k.r[r].holds = NOTHING;
	number(m, 0, ANY_NUMBER);
}

/* Jumps that are aimed later. */
static uint32_t jump(struct maker *m, uint8_t code, uint8_t dst, uint8_t src,
		     int32_t imm)
{
	emit(m, code, dst, src, 0, imm);
	return m->n - 1;
}

static void aim(struct maker *m, uint32_t from)
{
	m->out->insn[from].off = (int16_t)(m->n - from - 1);
}

/* --- which register ---------------------------------------------------- */

static bool is_locked(const struct maker *m, unsigned r)
{
	return m->locked >> r & 1;
}

/* One to write to. */
static uint8_t fresh(struct maker *m)
{
	static const uint8_t pool[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9 };
	uint8_t r;

	for (int i = 0; i < 20; i++) {
		r = pool[below(m, sizeof(pool))];
		if (!is_locked(m, r))
			return r;
	}
	return 3;
}

static uint8_t other(struct maker *m, uint8_t than)
{
	uint8_t r = fresh(m);

	while (r == than || r == 6 || is_locked(m, r))
		r = (uint8_t)((r + 1) % 10);
	return r;
}

/* A register that holds this; or, by mistake, another one; -1: none. */
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

static void any_number(struct maker *m, uint8_t r)
{
	switch (below(m, 6)) {
	case 0:
		lddw(m, r, 0, any_imm(m), any_imm(m));
		number(m, r, ANY_NUMBER);
		break;
	case 1:
		if (m->k.r[6].holds == CTX) {
			emit(m, BPF_LDX | BPF_MEM | BPF_DW, r, 6,
			     8 * (int)below(m, 16), 0);
			number(m, r, ANY_NUMBER);
			break;
		}
		/* fall through */
	case 2:
	case 3:
		if (m->numbers) {
			int s = (int)below(m, NUMBERS);

			while (!(m->numbers >> s & 1))
				s = (s + 1) % NUMBERS;
			emit(m, BPF_LDX | BPF_MEM | BPF_DW, r, 10, -8 * (s + 1),
			     0);
			number(m, r, ANY_NUMBER);
			break;
		}
		/* fall through */
	default:
		mov_imm(m, r, any_imm(m));
	}
}

static uint8_t some_number(struct maker *m)
{
	int r = find(m, NUMBER);

	if (r < 0 || is_locked(m, (unsigned)r)) {
		r = fresh(m);
		any_number(m, (uint8_t)r);
	}
	return (uint8_t)r;
}

/* To read only: it may be locked. */
static uint8_t read_number(struct maker *m)
{
	int r = find(m, NUMBER);

	return r < 0 ? some_number(m) : (uint8_t)r;
}

/* --- pieces: numbers --------------------------------------------------- */

static void piece_alu(struct maker *m)
{
	static const uint8_t ops[] = {
		BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV,  BPF_MOD, BPF_OR,  BPF_AND,
		BPF_XOR, BPF_LSH, BPF_RSH, BPF_ARSH, BPF_MOV, BPF_NEG, BPF_END,
	};
	uint8_t op = ops[below(m, sizeof(ops))];
	uint8_t class = below(m, 2) ? BPF_ALU64 : BPF_ALU;
	uint8_t r = some_number(m), by = read_number(m);
	bool x = below(m, 2) && op != BPF_NEG && op != BPF_END;
	int32_t imm = any_imm(m);
	int off = 0;

	if (op == BPF_END) {
		emit(m, class | op | (class == BPF_ALU && below(m, 2) ? 8 : 0),
		     r, 0, 0, 16 << below(m, 3));
		number(m, r, ANY_NUMBER);
		return;
	}
	if (op == BPF_DIV || op == BPF_MOD) {
		off = (int)below(m, 2);
		imm = imm ? imm : 1;
	}
	if (op == BPF_MOV && x)
		off = (int[]){ 0, 8, 16,
			       class == BPF_ALU64 ? 32 : 0 }[below(m, 4)];
	if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
		imm = (int32_t)below(m, class == BPF_ALU64 ? 64 : 32);
	if (op == BPF_NEG)
		imm = 0;
	emit(m, class | op | (x ? BPF_X : BPF_K), r, x ? by : 0, off,
	     x ? 0 : imm);
	number(m, r, ANY_NUMBER);
}

static uint8_t any_compare(struct maker *m)
{
	static const uint8_t ops[] = { BPF_JEQ,  BPF_JNE,  BPF_JGT,  BPF_JGE,
				       BPF_JLT,  BPF_JLE,  BPF_JSGT, BPF_JSGE,
				       BPF_JSLT, BPF_JSLE, BPF_JSET };

	return ops[below(m, sizeof(ops))];
}

/* if (r OP imm) skip the next one, which is r = else */
static void unless(struct maker *m, uint8_t class, uint8_t op, uint8_t r,
		   int32_t imm, int32_t or_else)
{
	uint32_t j = jump(m, class | op | BPF_K, r, 0, imm);

	emit(m, BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, or_else);
	aim(m, j);
}

/* The largest number of ones only that is at most `max`. */
static int32_t ones(int32_t max)
{
	return (int32_t)((UINT32_C(1)
			  << (31 - __builtin_clz((unsigned)max + 1))) -
			 1);
}

static void bound_by_sum(struct maker *m, uint8_t r, int32_t max)
{
	uint8_t by = other(m, r);
	int32_t scale = 1 + (int32_t)below(m, 4), a = max / (2 * scale);

	a = ones(a);
	any_number(m, by);
	alu_imm(m, BPF_AND, r, a);
	alu_imm(m, BPF_MUL, r, scale);
	alu_imm(m, BPF_AND, by, max - a * scale);
	alu_reg(m, below(m, 4) ? BPF_ADD : BPF_OR, r, by);
	number(m, by, ANY_NUMBER);
}

/* r becomes at most `max`, in one of many ways. */
static void bound(struct maker *m, uint8_t r, int32_t max)
{
	int32_t mask;

	if (mistake(m))
		max++;
	if (!m->held && one_in(m, 24)) /* a guard does it */
		return;
	mask = ones(max);
	switch (below(m, 12)) {
	case 0:
		unless(m, BPF_JMP, BPF_JLE, r, max, max);
		break;
	case 1:
		unless(m, BPF_JMP, BPF_JLT, r, max + 1, 0);
		break;
	case 2:
		emit(m, BPF_ALU | BPF_MOV | BPF_X, r, r, 0, 0);
		unless(m, BPF_JMP32, BPF_JLE, r, max, 0);
		break;
	case 3:
		emit(m, (below(m, 2) ? BPF_ALU64 : BPF_ALU) | BPF_MOD | BPF_K,
		     r, 0, 0, max + 1);
		break;
	case 4:
		unless(m, BPF_JMP, BPF_JSGE, r, 0, 0);
		unless(m, BPF_JMP, BPF_JSLE, r, max, max);
		break;
	case 5:
		alu_imm(m, BPF_AND, r, mask);
		alu_imm(m, BPF_XOR, r, mask);
		if (max > mask)
			alu_imm(m, BPF_ADD, r, max - mask);
		break;
	case 6:
		if (mask)
			alu_imm(m, BPF_RSH, r, __builtin_clzll((uint64_t)mask));
		else
			alu_imm(m, BPF_AND, r, 0);
		break;
	case 7:
		alu_imm(m, BPF_ARSH, r, 63);
		alu_imm(m, BPF_AND, r, max);
		break;
	case 8:
		alu_imm(m, BPF_OR, r, max);
		unless(m, BPF_JMP, BPF_JEQ, r, max, max);
		break;
	case 9:
		bound_by_sum(m, r, max);
		break;
	default:
		alu_imm(m, BPF_AND, r, below(m, 2) ? max : mask);
	}
	number(m, r, (uint64_t)max);
}

static void piece_number(struct maker *m)
{
	any_number(m, fresh(m));
}

static void piece_compare(struct maker *m)
{
	uint8_t r = some_number(m), by = read_number(m);
	uint8_t class = below(m, 2) ? BPF_JMP : BPF_JMP32;
	uint32_t j =
		below(m, 2) ? jump(m, class | any_compare(m) | BPF_K, r, 0,
				   any_imm(m))
			    : jump(m, class | any_compare(m) | BPF_X, r, by, 0);

	if (is_locked(m, r))
		emit(m, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	else
		emit(m, BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, any_imm(m));
	aim(m, j);
	if (m->out->insn[m->n - 1].code == (BPF_JMP | BPF_JA))
		aim(m, m->n - 1);
	if (!is_locked(m, r))
		number(m, r, ANY_NUMBER);
}

/* --- pieces: memory ---------------------------------------------------- */

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
		if (bytes >= 4 && with != r && m->k.r[0].holds == NUMBER &&
		    !is_locked(m, 0) && off % bytes == 0) {
			emit(m, BPF_STX | BPF_ATOMIC | size, r, with, off,
			     ops[below(m, 6)]);
			number(m, 0, ANY_NUMBER);
			number(m, with, ANY_NUMBER);
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

static void touch_some(struct maker *m, uint8_t r, bool write)
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

static void piece_value(struct maker *m)
{
	int r = find(m, VALUE);

	if (r >= 0)
		touch_some(m, (uint8_t)r, m->k.r[r].map != FROZEN);
}

static void piece_record(struct maker *m)
{
	int r = find(m, RECORD);

	if (r >= 0)
		touch_some(m, (uint8_t)r, true);
}

static void piece_stacked(struct maker *m)
{
	int r = find(m, STACKED);

	if (r >= 0 && m->k.r[r].room > 0)
		touch_some(m, (uint8_t)r, true);
}

static void piece_stack(struct maker *m)
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

static void piece_spill(struct maker *m)
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

static void piece_copy(struct maker *m)
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

static void piece_global(struct maker *m)
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

/* --- pieces: maps ------------------------------------------------------ */

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

static void block(struct maker *m, uint32_t pieces);

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

static void meet_all(struct known *a, const struct known *b)
{
	for (int r = 0; r < 10; r++)
		meet(&a->r[r], &b->r[r]);
	for (int s = 0; s < SPILLS; s++)
		meet(&a->spill[s], &b->spill[s]);
}

static void becomes(struct known *k, const struct mind *is)
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

static void piece_lookup(struct maker *m)
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

static void piece_update(struct maker *m)
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

static void piece_queue(struct maker *m)
{
	if (is_locked(m, 0))
		return;
	make_value(m, 16);
	stack_address(m, 2, VALUE_AT, 16);
	mov_imm(m, 3, below(m, 2) ? BPF_EXIST : 0);
	map_address(m, 1, LINE);
	call(m, BPF_FUNC_map_push_elem + (int32_t)below(m, 3));
}

/* --- pieces: helpers --------------------------------------------------- */

static void piece_helper(struct maker *m)
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

/* Memory of the stack that a helper fills. */
static void piece_fill(struct maker *m)
{
	if (is_locked(m, 0))
		return;
	if (below(m, 2)) {
		any_number(m, 2);
		bound(m, 2, 48);
	} else {
		mov_imm(m, 2, 1 + (int32_t)below(m, mistake(m) ? 500 : 48));
	}
	stack_address(m, 1, VALUE_AT, 48);
	mov_imm(m, 3, any_imm(m));
	call(m, below(m, 2) ? BPF_FUNC_probe_read_user
			    : BPF_FUNC_probe_read_kernel);
}

static void piece_output(struct maker *m)
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

static void piece_reserve(struct maker *m)
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
static void piece_value_dynptr(struct maker *m)
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

static void piece_dynptr(struct maker *m)
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

/* --- pieces: control --------------------------------------------------- */

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
static int callee(struct maker *m, uint8_t takes)
{
	for (int s = m->function + 1; s < MADE_SUBS; s++)
		if (m->takes[s] == takes || m->takes[s] == TAKES_UNKNOWN) {
			m->takes[s] = takes;
			return s;
		}
	return -1;
}

static void calls_sub(struct maker *m, int s)
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
	piece_callback, piece_exit,    piece_value_dynptr,
};
enum {
	PIECES = sizeof(pieces) / sizeof(*pieces)
};

static void block(struct maker *m, uint32_t n)
{
	m->depth++;
	while (n-- && m->n < MADE_MAX - 360)
		pieces[below(m, PIECES)](m);
	m->depth--;
}

/* --- functions --------------------------------------------------------- */

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

/* Is it something that may come out of an object?  Maps are there, and what is
 * named in them. */
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
	return i->src_reg == BPF_PSEUDO_MAP_FD ||
	       (uint32_t)i[1].imm < map[i->imm].value_size;
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
			   .wrong = wrong[dice_below(d, 4)] };
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
