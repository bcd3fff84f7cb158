/* SPDX-License-Identifier: MIT */
/* Liveness for the verifier: a random program runs twice, the second time with
 * everything changed, somewhere on its way, that was said to be dead there. Who
 * looks at what it does (branches, helpers' arguments and what they point to,
 * the result) must see no difference.
 *
 * Programs follow no rules but one: an address comes from r10 by constants, out
 * of a slot that it was put in, or as an argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rewriter/verify/verifier.h"

#include <cmocka.h> /* last: it has a macro fail() */

enum {
	MAX = 160,
	DEEPEST = 4,
	STEPS = 400,
	PROGRAMS = 30000,
	FLIPS = 6
};

static uint64_t seed;
static uint64_t roll(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * UINT64_C(0x2545f4914f6cdd1d) >> 11;
}
static uint32_t below(uint32_t n)
{
	return (uint32_t)(roll() % n);
}

/* --- programs ---------------------------------------------------------- */

static struct bpf_insn insn[MAX];
static uint32_t n, sub[DEEPEST], nsub;

static void emit(uint8_t code, uint8_t dst, uint8_t src, int off, int imm)
{
	insn[n++] = (struct bpf_insn){ .code = code,
				       .dst_reg = dst & 15,
				       .src_reg = src & 15,
				       .off = (int16_t)off,
				       .imm = imm };
}

/* r0..r5 and r9 hold numbers; r6, r7, r8 may hold addresses. */
static uint8_t number(void)
{
	static const uint8_t pool[] = { 0, 1, 2, 3, 4, 5, 9 };

	return pool[below(sizeof(pool))];
}

static int slot_off(void)
{
	return -4 * (1 + (int)below(12));
}

static void set_address(uint8_t r)
{
	emit(BPF_ALU64 | BPF_MOV | BPF_X, r, 10, 0, 0);
	emit(BPF_ALU64 | BPF_ADD | BPF_K, r, 0, 0, slot_off());
}

/* A base register and what to add: mostly r10. */
static uint8_t base(int *off)
{
	*off = slot_off() + (below(8) ? 0 : (int)below(4));
	if (below(3))
		return 10;
	*off = 4 * (int)below(3) - 4;
	return (uint8_t)(6 + below(3));
}

static uint8_t any_size(void)
{
	static const uint8_t size[] = { BPF_DW, BPF_DW, BPF_W, BPF_H, BPF_B };

	return size[below(sizeof(size))];
}

static void make_memory(void)
{
	static const int ops[] = { BPF_ADD, BPF_XOR | BPF_FETCH, BPF_XCHG,
				   BPF_CMPXCHG };
	int off;
	uint8_t b = base(&off);

	switch (below(7)) {
	case 0:
		emit(BPF_ST | BPF_MEM | any_size(), b, 0, off, (int)roll());
		break;
	case 1:
	case 2:
		emit(BPF_STX | BPF_MEM | any_size(), b, number(), off, 0);
		break;
	case 3:
		emit(BPF_STX | BPF_ATOMIC | (below(2) ? BPF_DW : BPF_W), b,
		     number(), off, ops[below(4)]);
		break;
	default:
		emit(BPF_LDX | BPF_MEM | any_size(), number(), b, off, 0);
	}
}

static void make_address(void)
{
	uint8_t r = (uint8_t)(6 + below(3));

	switch (below(6)) {
	case 0: /* out of sight, and back */
		emit(BPF_STX | BPF_MEM | BPF_DW, 10, r, -72, 0);
		break;
	case 1:
		emit(BPF_LDX | BPF_MEM | BPF_DW, r, 10, -72, 0);
		break;
	case 2:
		emit(BPF_ALU64 | BPF_ADD | BPF_K, r, 0, 0, 4);
		break;
	default:
		set_address(r);
	}
}

static void make_alu(void)
{
	static const uint8_t ops[] = { BPF_ADD, BPF_SUB, BPF_XOR, BPF_MOV,
				       BPF_MOV, BPF_MOV, BPF_AND, BPF_NEG };
	uint8_t op = ops[below(sizeof(ops))];
	uint8_t x = op != BPF_NEG && below(2) ? BPF_X : BPF_K;

	emit((below(4) ? BPF_ALU64 : BPF_ALU) | op | x, number(),
	     x ? number() : 0, 0, x || op == BPF_NEG ? 0 : (int)below(50));
}

static void make_jump(void)
{
	static const uint8_t ops[] = { BPF_JEQ, BPF_JGT, BPF_JSET, BPF_JSLT };

	if (!below(8))
		emit(BPF_JMP | BPF_JA, 0, 0, 0, 0);
	else if (below(2))
		emit(BPF_JMP | ops[below(4)] | BPF_K, number(), 0, 0,
		     (int)below(50));
	else
		emit(BPF_JMP | ops[below(4)] | BPF_X, number(), number(), 0, 0);
}

static void make_helper(void)
{
	switch (below(5)) {
	case 0: /* a key */
		set_address(2);
		emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
		break;
	case 1: /* memory that is read */
		set_address(2);
		if (below(3))
			emit(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0,
			     1 + (int)below(24));
		emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output);
		break;
	case 2: /* memory that is written, if it goes well */
		set_address(1);
		emit(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 1 + (int)below(24));
		emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_user);
		break;
	case 3: /* a dynptr */
		set_address(1);
		emit(BPF_JMP | BPF_CALL, 0, 0, 0, 246);
		break;
	default:
		emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ktime_get_ns);
	}
}

/* k: the function that this is in.  It calls the next one. */
static void make_call(uint32_t k)
{
	if (k + 1 == nsub)
		return;
	if (below(2))
		emit(BPF_ALU64 | BPF_MOV | BPF_X, 3, 6 + below(2), 0, 0);
	if (below(2)) {
		emit(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
		return;
	}
	emit(BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_FUNC, 0, 0);
	emit(0, 0, 0, 0, 0);
	emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_loop);
}

static void make_piece(uint32_t k)
{
	switch (below(13)) {
	case 0:
		make_helper();
		break;
	case 1:
		make_call(k);
		break;
	case 2:
	case 3:
		make_jump();
		break;
	case 4:
	case 5:
		make_address();
		break;
	case 6:
	case 7:
	case 8:
		make_alu();
		break;
	default:
		make_memory();
	}
}

/* Jumps of [from, n) get somewhere to go to. */
static void aim(uint32_t from)
{
	for (uint32_t i = from; i < n; i++) {
		uint32_t to = from + below(n - from);

		if (insn[to].code == 0)
			to--;
		if (is_jump(&insn[i]))
			insn[i].off = (int16_t)(to - i - 1);
		i += is_lddw(&insn[i]);
	}
}

static void make(void)
{
	n = 0;
	nsub = 1 + below(3);
	for (uint32_t k = 0; k < nsub; k++) {
		sub[k] = n;
		for (uint8_t r = 6; r <= 8; r++)
			if (k && below(2))
				emit(BPF_ALU64 | BPF_MOV | BPF_X, r, 3, 0, 0);
			else
				set_address(r);
		for (uint32_t left = 2 + below(14); left--;)
			make_piece(k);
		emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		aim(sub[k]);
	}
	for (uint32_t i = 0, k = 0; i < n; i++) {
		while (k + 1 < nsub && sub[k + 1] <= i)
			k++;
		if (is_call(&insn[i]) && insn[i].src_reg)
			insn[i].imm = (int32_t)(sub[k + 1] - i - 1);
		if (is_lddw(&insn[i]))
			insn[i].imm = (int32_t)sub[k + 1];
	}
}

/* --- running them ------------------------------------------------------ */

struct called {
	uint64_t r[11];
	uint8_t stack[STACK];
	uint32_t at; /* the call, while it waits */
};
static struct {
	struct called f[DEEPEST];
	uint32_t depth, steps, flip; /* before which step */
	uint64_t seen;               /* hash of what an observer sees */
	bool stop;
	const struct live *live;
} vm;

static void observe(uint64_t v)
{
	vm.seen = (vm.seen ^ v) * UINT64_C(0x100000001b3);
	vm.seen ^= vm.seen >> 29;
}

/* Frame d's r10 is at (d + 1) << 16.  NULL: not a stack address. */
static uint8_t *at(uint64_t addr, uint64_t size)
{
	uint64_t d = (addr + STACK) >> 16;
	uint64_t off = addr + STACK - (d << 16);

	if (d < 1 || d > vm.depth + 1 || size > STACK || off > STACK - size) {
		vm.stop = true;
		return NULL;
	}
	return vm.f[d - 1].stack + off;
}

static void observe_memory(uint64_t addr, uint64_t size)
{
	uint8_t *p = at(addr, size);

	for (uint64_t k = 0; p && k < size; k++)
		observe(p[k]);
}

static unsigned width(const struct bpf_insn *i)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 };

	return bytes[BPF_SIZE(i->code) >> 3];
}

static bool is_atomic(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code) == BPF_STX && BPF_MODE(i->code) == BPF_ATOMIC;
}

static void load(const struct bpf_insn *i, uint64_t *r)
{
	uint64_t v = 0;
	uint8_t *p = at(r[i->src_reg] + (uint64_t)i->off, width(i));

	if (p)
		memcpy(&v, p, width(i));
	r[i->dst_reg] = v;
}

static void store(const struct bpf_insn *i, uint64_t *r)
{
	uint64_t v =
		BPF_CLASS(i->code) == BPF_ST ? (uint64_t)i->imm : r[i->src_reg];
	uint64_t old = 0, new = v;
	unsigned size = width(i);
	uint8_t *p = at(r[i->dst_reg] + (uint64_t)i->off, size);

	if (!p)
		return;
	memcpy(&old, p, size);
	if (is_atomic(i)) {
		if (i->imm == BPF_CMPXCHG)
			new = (old ^ r[0]) & 1 ? v : old;
		else if (i->imm != BPF_XCHG)
			new = i->imm &BPF_FETCH ? old ^ v : old + v;
		if (i->imm == BPF_CMPXCHG)
			r[0] = old;
		else if (i->imm & BPF_FETCH)
			r[i->src_reg] = old;
	}
	memcpy(p, &new, size);
}

static void alu(const struct bpf_insn *i, uint64_t *r)
{
	uint64_t v =
		BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)i->imm;
	uint64_t *d = &r[i->dst_reg];

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		*d += v;
		break;
	case BPF_SUB:
		*d -= v;
		break;
	case BPF_XOR:
		*d ^= v;
		break;
	case BPF_AND:
		*d &= v;
		break;
	case BPF_NEG:
		*d = -*d;
		break;
	default:
		*d = v;
	}
	if (BPF_CLASS(i->code) == BPF_ALU)
		*d = (uint32_t)*d;
}

static bool taken(const struct bpf_insn *i, const uint64_t *r)
{
	uint64_t x = r[i->dst_reg];
	uint64_t y =
		BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)i->imm;

	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return x == y;
	case BPF_JGT:
		return x > y;
	case BPF_JSET:
		return x & y;
	case BPF_JSLT:
		return (int64_t)x < (int64_t)y;
	}
	return true;
}

static uint64_t run(uint32_t i, const uint64_t *args);

static uint64_t enter(uint32_t to, const uint64_t *args)
{
	uint64_t r0;

	bool known = false;

	for (uint32_t k = 1; k < nsub; k++)
		known |= to == sub[k];
	if (!known || vm.depth + 1 == DEEPEST) {
		vm.stop = true;
		return 0;
	}
	vm.depth++;
	r0 = run(to, args);
	vm.depth--;
	return r0;
}

static uint64_t helper(int32_t id, const uint64_t *now)
{
	uint64_t r[6] = { 0, now[1], now[2], now[3] };
	uint64_t args[6] = { 0, 0, r[3], r[3], 0, 0 };
	uint8_t *p;

	observe((uint64_t)id);
	switch (id) {
	case BPF_FUNC_map_lookup_elem:
		observe_memory(r[2], 8);
		break;
	case BPF_FUNC_ringbuf_output:
		observe(r[3]);
		observe_memory(r[2], r[3] & 63);
		break;
	case BPF_FUNC_probe_read_user:
		p = r[3] & 1 ? at(r[1], r[2]) : NULL;
		if (p)
			memset(p, (int)r[3], r[2]);
		break;
	case 246:
		observe_memory(r[1], 16);
		break;
	case BPF_FUNC_loop:
		for (; args[1] < (r[1] & 3) && !vm.stop; args[1]++)
			if (enter((uint32_t)r[2], args))
				break;
	}
	return vm.seen & 63;
}

/* What is dead gets another content: in the running frame, and in those that
 * wait for it. */
static void flip(uint32_t i)
{
	for (uint32_t d = 0; d <= vm.depth; d++) {
		struct called *f = &vm.f[d];
		bool waits = d < vm.depth;
		uint32_t from = waits ? f->at : i;
		uint16_t regs = live_regs(vm.live, from);

		if (waits)
			regs &= ~0x3f;
		for (unsigned r = 0; r < 10; r++)
			if (!(regs >> r & 1))
				f->r[r] = roll();
		for (uint32_t s = 0; s < SLOTS; s++)
			if (!live_slot(vm.live, from, s))
				memset(f->stack + STACK - 8 * (s + 1),
				       (int)roll(), 8);
	}
}

static void call(struct called *f, uint32_t i)
{
	f->at = i;
	f->r[0] = insn[i].src_reg ? enter(i + 1 + (uint32_t)insn[i].imm, f->r)
				  : helper(insn[i].imm, f->r);
	for (unsigned r = 1; r <= 5; r++)
		f->r[r] = (uint64_t)r << 40 | vm.steps;
}

static uint64_t run(uint32_t i, const uint64_t *args)
{
	struct called *f = &vm.f[vm.depth];

	memset(f->r, 0, sizeof(f->r));
	memset(f->stack, 7, STACK);
	memcpy(f->r + 1, args + 1, 5 * sizeof(*args));
	f->r[10] = (uint64_t)(vm.depth + 1) << 16;
	for (;; i++) {
		const struct bpf_insn *k = &insn[i];

		if (vm.stop || ++vm.steps > STEPS) {
			vm.stop = true;
			return 0;
		}
		if (vm.steps == vm.flip)
			flip(i);
		observe(i);
		if (is_exit(k))
			return f->r[0];
		if (is_call(k))
			call(f, i);
		else if (is_jump(k))
			i += taken(k, f->r) ? k->off : 0;
		else if (is_lddw(k))
			f->r[k->dst_reg] = (uint32_t)insn[i++].imm;
		else if (BPF_CLASS(k->code) == BPF_ALU ||
			 BPF_CLASS(k->code) == BPF_ALU64)
			alu(k, f->r);
		else if (BPF_CLASS(k->code) == BPF_LDX)
			load(k, f->r);
		else
			store(k, f->r);
	}
}

static uint64_t observed(const struct live *live, uint32_t at_step)
{
	const uint64_t args[6] = { 0, 11, 22, 33, 44, 55 };

	memset(&vm, 0, sizeof(vm));
	vm.live = live;
	vm.flip = at_step;
	observe(run(0, args));
	return vm.seen;
}

static void print_program(void)
{
	for (uint32_t i = 0; i < n; i++)
		print_error("%3u: %02x r%d r%d off %d imm %d\n", i,
			    insn[i].code, insn[i].dst_reg, insn[i].src_reg,
			    insn[i].off, insn[i].imm);
}

static void dead_is_not_read(void **state)
{
	struct bpf_prog p = { .name = "p", .insn = insn, .sub = sub };

	(void)state;
	for (uint32_t k = 1; k <= PROGRAMS; k++) {
		struct arena a = { 0 };
		uint64_t want;
		uint32_t steps;
		struct live *l;

		seed = k * UINT64_C(0x9e3779b97f4a7c15) | 1;
		roll();
		make();
		p.ninsn = n;
		p.nsub = nsub;
		l = live_find(&a, &p);
		want = observed(l, 0);
		steps = vm.steps;
		for (uint32_t j = 0; j < FLIPS; j++) {
			uint32_t when = 1 + below(steps);

			if (observed(l, when) != want) {
				print_program();
				fail_msg("program %u, step %u of %u", k, when,
					 steps);
			}
		}
		arena_free(&a);
	}
}

/* --- it finds what is dead --------------------------------------------- */

// clang-format off
#define I(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s),        \
			   .off = (o), .imm = (i) }
#define MOV(d, i)        I(0xb7, d, 0, 0, i)
#define MOVX(d, s)       I(0xbf, d, s, 0, 0)
#define ADD(d, i)        I(0x07, d, 0, 0, i)
#define ADDX(d, s)       I(0x0f, d, s, 0, 0)
#define LDX(d, s, o)     I(0x79, d, s, o, 0)
#define STX(d, s, o)     I(0x7b, d, s, o, 0)
#define STW(d, o)        I(0x62, d, 0, o, 1)
#define JEQ(d, i, o)     I(0x15, d, 0, o, i)
#define CALL(i)          I(0x85, 0, 0, 0, i)
#define CALLSUB(i)       I(0x85, 0, 1, 0, i)
#define GUARD(r)         I(0x86, r, 1, 0, 8)
#define EXIT             I(0x95, 0, 0, 0, 0)

/* What is live before the first instruction: registers but r10; slots 0..7. */
static const struct {
	uint16_t regs;
	uint8_t slots;
	struct bpf_insn insn[8];
	int n;
	uint32_t sub; /* where the second function begins, or 0 */
} cases[] = {
	{ 0x001, 0x00, { EXIT }, 1, 0 },
	{ 0x000, 0x00, { MOV(0, 0), EXIT }, 2, 0 },
	{ 0x006, 0x00, { MOVX(0, 1), ADDX(0, 2), EXIT }, 3, 0 },
	{ 0x042, 0x00, { JEQ(1, 0, 1), MOV(6, 1), MOVX(0, 6), EXIT }, 4, 0 },
	{ 0x000, 0x01, { LDX(0, 10, -8), EXIT }, 2, 0 },
	{ 0x002, 0x00, { STX(10, 1, -8), LDX(0, 10, -8), EXIT }, 3, 0 },
	/* half of it, both halves; a half each of two */
	{ 0x000, 0x01, { STW(10, -8), LDX(0, 10, -8), EXIT }, 3, 0 },
	{ 0x000, 0x00, { STW(10, -8), STW(10, -4), LDX(0, 10, -8), EXIT },
	  4, 0 },
	{ 0x002, 0x03, { STX(10, 1, -12), LDX(0, 10, -8), LDX(1, 10, -16),
			 EXIT }, 4, 0 },
	/* helpers: a key; memory of 16 bytes; out of some path */
	{ 0x002, 0x03, { MOVX(2, 10), ADD(2, -16), CALL(1), EXIT }, 4, 0 },
	{ 0x012, 0x0c, { MOVX(2, 10), ADD(2, -32), MOV(3, 16), CALL(130),
			 EXIT }, 5, 0 },
	{ 0x01a, 0x0f, { MOVX(2, 10), ADD(2, -32), CALL(130), EXIT }, 4, 0 },
	{ 0x002, 0x01, { JEQ(1, 0, 1), STX(10, 1, -8), LDX(0, 10, -8), EXIT },
	  4, 0 },
	/* out of sight */
	{ 0x000, 0xff, { MOVX(1, 10), STX(10, 1, -8), MOV(0, 0), EXIT }, 4,
	  0 },
	{ 0x002, 0xff, { MOVX(2, 10), ADDX(2, 1), LDX(0, 2, 0), EXIT }, 4, 0 },
	/* subprograms: one that reads its argument, one that does not */
	{ 0x000, 0xff, { MOVX(1, 10), CALLSUB(1), EXIT, LDX(0, 1, 0), EXIT },
	  5, 3 },
	{ 0x000, 0x00, { MOVX(1, 10), CALLSUB(1), EXIT, MOV(0, 0), EXIT }, 5,
	  3 },
	{ 0x004, 0x00, { CALLSUB(1), EXIT, MOVX(0, 2), EXIT }, 4, 2 },
	/* a guard reads its register */
	{ 0x080, 0x00, { GUARD(7), MOV(0, 0), EXIT }, 3, 0 },
};
// clang-format on

static void finds_dead(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		uint32_t subs[] = { 0, cases[k].sub };
		struct bpf_prog p = {
			.name = "p",
			.insn = (struct bpf_insn *)cases[k].insn,
			.ninsn = (uint32_t)cases[k].n,
			.sub = subs,
			.nsub = cases[k].sub ? 2 : 1,
		};
		struct arena a = { 0 };
		struct live *l = live_find(&a, &p);
		unsigned slots = 0;

		for (uint32_t s = 0; s < 8; s++)
			slots |= (unsigned)live_slot(l, 0, s) << s;
		if ((live_regs(l, 0) & 0x3ff) != cases[k].regs ||
		    slots != cases[k].slots)
			fail_msg("case %zu: registers %03x, slots %02x", k,
				 live_regs(l, 0) & 0x3ff, slots);
		arena_free(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_dead),
		cmocka_unit_test(dead_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
