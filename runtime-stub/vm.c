/* SPDX-License-Identifier: MIT */
/* vm.c - the interpreter: RFC 9669 as one switch, a row an operation.
 *
 * A case is a whole opcode, so an instruction costs one indirect jump.  The
 * rows are macros that expand to the four forms of an operation: 64 or 32
 * bits, register or immediate.  What bites (RFC 9669 section 4): x / 0 is 0,
 * x % 0 is x, INT_MIN / -1 is INT_MIN, shifts are masked, 32-bit results are
 * zero-extended.  Programs were checked at weld time, so what cannot occur
 * ends the program with 0.
 */
#include "runtime-stub/callback.h"
#include "runtime-stub/guard.h"
#include "runtime-stub/mem.h"
#include "runtime-stub/task.h"
#include "runtime-stub/tail.h"
#include "runtime-stub/vm.h"

enum { FRAMES = 8, STACK = 512 };

#ifndef BPF_MEMSX
#define BPF_MEMSX 0x80
#endif
enum { LOAD_ACQUIRE = 0x100, STORE_RELEASE = 0x110 };
enum {
	LITTLE_END = BPF_ALU | BPF_END | BPF_TO_LE,
	BIG_END = BPF_ALU | BPF_END | BPF_TO_BE,
	SWAP_END = BPF_ALU64 | BPF_END,
};

struct vm {
	uint64_t r[11];
};

static uint64_t helper(int32_t id, const uint64_t *r, struct run *run)
{
	switch (id) {
#define HELPER(id, name, ...)                                                  \
	case id:                                                               \
		return helper_##name(r[1], r[2], r[3], r[4], r[5], run);
#include "runtime-stub/helpers.def"
	}
	return 0;
}

/* A subprogram that a helper calls back. */
struct callee {
	const struct bpf_insn *first, *sub;
	int depth;
	struct run *state;
};
static uint64_t run(const struct bpf_insn *first, const struct bpf_insn *i,
		    const uint64_t *args, int depth, struct run *state);

static uint64_t call_back(const void *self, uint64_t r1, uint64_t r2,
			  uint64_t r3, uint64_t r4)
{
	const struct callee *c = self;
	const uint64_t args[5] = { r1, r2, r3, r4 };

	return run(c->first, c->sub, args, c->depth, c->state);
}

/* Not inlined: run() is recursive, and this is not for its every frame. */
static __attribute__((noinline)) uint64_t
helper_or_loop(const struct bpf_insn *first, int32_t id, const uint64_t *r,
	       int depth, struct run *state)
{
	const struct callee c = { first, (const void *)r[2], depth + 1, state };

	if (id == BPF_FUNC_loop)
		return loop_run(r[1], r[4], r[3], call_back, &c);
	if (id == BPF_FUNC_for_each_map_elem)
		return map_each((const void *)r[1], r[4], r[3], call_back, &c,
				state);
	if (id == BPF_FUNC_user_ringbuf_drain)
		return user_ring_drain((const void *)r[1], r[4], r[3],
				       call_back, &c);
	return helper(id, r, state);
}

/* --- guards (guard.h) */

static bool guard_fails(const struct bpf_insn *i, uint64_t r, struct run *state)
{
	switch (i->src_reg) {
	case GUARD_RANGE:
		if (r > (uint32_t)i->imm)
			state->left = -1;
		break;
	case GUARD_LOOP:
	case GUARD_TURN:
		state->left -= i->imm;
	}
	return state->left < 0;
}

/* Its program ended: did it fail? */
static uint64_t guard_result(const struct hit *hit, const struct run *state,
			     uint64_t r0)
{
	struct region_count *count = (void *)(weld_region + weld_info.counts);

	if (state->left >= 0)
		return r0;
	__atomic_fetch_add(&count[hit->probe].failed, 1, __ATOMIC_RELAXED);
	return 0;
}

/* --- tail calls */

/* A tail call that is taken: *first becomes the program it leads to. */
static inline bool tails(const struct bpf_insn *i, struct vm *vm,
			 const struct bpf_insn **first)
{
	struct tail t;

	if (i->src_reg || i->imm != BPF_FUNC_tail_call)
		return false;
	t = weld_tail(vm->r[1], (const void *)vm->r[2], vm->r[3]);
	if (!t.to)
		return false;
	*first = (const void *)t.to;
	vm->r[1] = t.ctx;
	return true;
}

/* One out of a subprogram, whose callers go on even if it fails: in the same
 * frame, of which there may be many (tail.c). */
struct outer {
	const struct hit *hit; /* NULL: there was none */
	int32_t left;
};

static uint64_t outer_result(const struct outer *o, struct run *state,
			     uint64_t r0)
{
	if (!o->hit)
		return r0;
	r0 = guard_result(o->hit, state, r0);
	state->left = o->left;
	return r0;
}

/* Where a program finds the data of a section. */
static uint64_t data_of(const struct region_map *m)
{
	return m->frozen ? (uint64_t)&weld_info + m->frozen
			 : (uint64_t)(weld_region + m->data);
}

/* lddw: a number, or what src_reg says (bpf.h). */
static uint64_t wide(const struct bpf_insn *i, const struct bpf_insn *first)
{
	const uint8_t *info = (const uint8_t *)&weld_info;
	const struct region_map *map = (const void *)(info + weld_info.map);

	switch (i->src_reg) {
	case BPF_PSEUDO_MAP_FD:
		return (uint64_t)&map[i->imm];
	case BPF_PSEUDO_MAP_VALUE:
		return data_of(&map[i->imm]) + (uint32_t)i[1].imm;
	case BPF_PSEUDO_FUNC:
		return (uint64_t)(first + i->imm);
	}
	return (uint32_t)i->imm | (uint64_t)(uint32_t)i[1].imm << 32;
}

static uint64_t swapped(uint64_t v, int32_t bits)
{
	if (bits == 16)
		return __builtin_bswap16((uint16_t)v);
	if (bits == 32)
		return __builtin_bswap32((uint32_t)v);
	return __builtin_bswap64(v);
}

static uint64_t cut(uint64_t v, int32_t bits)
{
	return bits == 16 ? (uint16_t)v : bits == 32 ? (uint32_t)v : v;
}

static inline int64_t extended(uint64_t v, int16_t bits)
{
	switch (bits) {
	case 8:
		return (int8_t)v;
	case 16:
		return (int16_t)v;
	case 32:
		return (int32_t)v;
	}
	return (int64_t)v;
}

/* Division: `sign` is the instruction's off.  Operands are zero-extended. */
static uint64_t div64(uint64_t a, uint64_t b, int16_t sign, bool rest)
{
	if (!b)
		return rest ? a : 0;
	if (!sign)
		return rest ? a % b : a / b;
	if (b == UINT64_MAX)
		return rest ? 0 : -a;
	return (uint64_t)(rest ? (int64_t)a % (int64_t)b
			       : (int64_t)a / (int64_t)b);
}

static uint32_t div32(uint32_t a, uint32_t b, int16_t sign, bool rest)
{
	if (!b)
		return rest ? a : 0;
	if (!sign)
		return rest ? a % b : a / b;
	if (b == UINT32_MAX)
		return rest ? 0 : -a;
	return (uint32_t)(rest ? (int32_t)a % (int32_t)b
			       : (int32_t)a / (int32_t)b);
}

/* One atomic operation on a word of type U.  The old value has its own variable:
 * of `v = fetch_and(p, v)`, gcc 12 -O2 leaves the fetch and drops the and. */
#define ATOMIC(name, U)                                                        \
	static void name(struct vm *vm, const struct bpf_insn *i, U *p)        \
	{                                                                      \
		uint64_t *src = &vm->r[i->src_reg];                            \
		U v = (U)*src, was = 0;                                        \
                                                                               \
		switch (i->imm) {                                              \
		case BPF_ADD:                                                  \
		case BPF_ADD | BPF_FETCH:                                      \
			was = __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);      \
			break;                                                 \
		case BPF_OR:                                                   \
		case BPF_OR | BPF_FETCH:                                       \
			was = __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);       \
			break;                                                 \
		case BPF_AND:                                                  \
		case BPF_AND | BPF_FETCH:                                      \
			was = __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);      \
			break;                                                 \
		case BPF_XOR:                                                  \
		case BPF_XOR | BPF_FETCH:                                      \
			was = __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST);      \
			break;                                                 \
		case BPF_XCHG:                                                 \
			was = __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);     \
			break;                                                 \
		case BPF_CMPXCHG:                                              \
			was = (U)vm->r[0];                                     \
			__atomic_compare_exchange_n(p, &was, v, false,         \
						    __ATOMIC_SEQ_CST,          \
						    __ATOMIC_SEQ_CST);         \
			vm->r[0] = was;                                        \
			return;                                                \
		}                                                              \
		if (i->imm & BPF_FETCH)                                        \
			*src = was;                                            \
	}
ATOMIC(atomic32, uint32_t)
ATOMIC(atomic64, uint64_t)
#undef ATOMIC

/* Load-acquire and store-release are atomics only by their encoding; on x86
 * they are plain loads and stores.  True if that is what it was. */
static bool ordered(struct vm *vm, const struct bpf_insn *i)
{
	uint64_t *d = &vm->r[i->dst_reg];
	const uint8_t *from = (uint8_t *)(vm->r[i->src_reg] + (uint64_t)i->off);
	uint8_t *to = (uint8_t *)(*d + (uint64_t)i->off);
	uint64_t v = vm->r[i->src_reg];

	if (i->imm != LOAD_ACQUIRE && i->imm != STORE_RELEASE)
		return false;
#define ORDERED(size, U)                                                       \
	case size:                                                             \
		if (i->imm == LOAD_ACQUIRE)                                    \
			*d = *(const volatile U *)from;                        \
		else                                                           \
			*(volatile U *)to = (U)v;                              \
		break;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	switch (BPF_SIZE(i->code)) {
		ORDERED(BPF_B, uint8_t)
		ORDERED(BPF_H, any16)
		ORDERED(BPF_W, any32)
		ORDERED(BPF_DW, any64)
	}
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#undef ORDERED
	return true;
}

#define D vm.r[i->dst_reg]
#define S vm.r[i->src_reg]
#define IMM ((uint64_t)(int64_t)i->imm)

/* The four forms of an operation; `d` and `s` are of type U, I its signed
 * twin. */
#define FORM(code, U, source, expr)                                            \
	case (code): {                                                         \
		U d = (U)D, s = (U)(source);                                   \
		D = (U)(expr);                                                 \
		(void)d, (void)s;                                              \
		break;                                                         \
	}
#define ALU(op, expr64, expr32)                                                \
	FORM(BPF_ALU64 | op | BPF_X, uint64_t, S, expr64)                      \
	FORM(BPF_ALU64 | op | BPF_K, uint64_t, IMM, expr64)                    \
	FORM(BPF_ALU | op | BPF_X, uint32_t, S, expr32)                        \
	FORM(BPF_ALU | op | BPF_K, uint32_t, IMM, expr32)

#define JUMP_FORM(code, U, source, cond)                                       \
	case (code): {                                                         \
		U d = (U)D, s = (U)(source);                                   \
		if (cond)                                                      \
			i += i->off;                                           \
		break;                                                         \
	}
#define JUMP(op, U64, U32, cond)                                               \
	JUMP_FORM(BPF_JMP | op | BPF_X, U64, S, cond)                          \
	JUMP_FORM(BPF_JMP | op | BPF_K, U64, IMM, cond)                        \
	JUMP_FORM(BPF_JMP32 | op | BPF_X, U32, S, cond)                        \
	JUMP_FORM(BPF_JMP32 | op | BPF_K, U32, IMM, cond)
#define JUMP_U(op, cond) JUMP(op, uint64_t, uint32_t, cond)
#define JUMP_S(op, cond) JUMP(op, int64_t, int32_t, cond)

#define MEMORY(size, U)                                                        \
	case BPF_LDX | size | BPF_MEM:                                         \
		D = *(const volatile U *)(S + (int64_t)i->off);                \
		break;                                                         \
	case BPF_STX | size | BPF_MEM:                                         \
		*(volatile U *)(D + (int64_t)i->off) = (U)S;                   \
		break;                                                         \
	case BPF_ST | size | BPF_MEM:                                          \
		*(volatile U *)(D + (int64_t)i->off) = (U)IMM;                 \
		break;
#define TASK(size, bits)                                                       \
	case BPF_LDX | size | TASK_LOAD:                                       \
	case BPF_LDX | size | TASK_LOADSX:                                     \
		D = task_load(S + (uint64_t)i->off, bits / 8);                 \
		if ((i->code & LOAD_MODE) == TASK_LOADSX)                      \
			D = (uint64_t)extended(D, bits);                       \
		break;
#define SIGNED_LOAD(size, bits, U)                                             \
	case BPF_LDX | size | BPF_MEMSX:                                       \
		D = (uint64_t)extended(                                        \
			*(const volatile U *)(S + (int64_t)i->off), bits);     \
		break;

static uint64_t run(const struct bpf_insn *first, const struct bpf_insn *i,
		    const uint64_t *args, int depth, struct run *state)
{
	uint64_t stack[STACK / 8];
	struct outer outer = { NULL, 0 };
	struct vm vm;

	if (depth == FRAMES)
		return 0;
	for (int n = 0; n < 5; n++)
		vm.r[1 + n] = args[n];
	vm.r[10] = (uint64_t)stack + STACK;
	for (;; i++) {
		// clang-format off
		switch (i->code) {
		/*  operation  64 bits                   32 bits */
		ALU(BPF_ADD,   d + s,                    d + s)
		ALU(BPF_SUB,   d - s,                    d - s)
		ALU(BPF_MUL,   d * s,                    d * s)
		ALU(BPF_OR,    d | s,                    d | s)
		ALU(BPF_AND,   d & s,                    d & s)
		ALU(BPF_XOR,   d ^ s,                    d ^ s)
		ALU(BPF_LSH,   d << (s & 63),            d << (s & 31))
		ALU(BPF_RSH,   d >> (s & 63),            d >> (s & 31))
		ALU(BPF_ARSH,  (int64_t)d >> (s & 63),   (int32_t)d >> (s & 31))
		ALU(BPF_MOV,   extended(s, i->off),      extended(s, i->off))
		ALU(BPF_DIV,   div64(d, s, i->off, 0),   div32(d, s, i->off, 0))
		ALU(BPF_MOD,   div64(d, s, i->off, 1),   div32(d, s, i->off, 1))
		FORM(BPF_ALU64 | BPF_NEG, uint64_t, 0, -d)
		FORM(BPF_ALU | BPF_NEG, uint32_t, 0, -d)
		FORM(LITTLE_END, uint64_t, 0, cut(d, i->imm))
		FORM(BIG_END, uint64_t, 0, swapped(d, i->imm))
		FORM(SWAP_END, uint64_t, 0, swapped(d, i->imm))

		JUMP_U(BPF_JEQ, d == s)  JUMP_U(BPF_JNE, d != s)
		JUMP_U(BPF_JGT, d > s)   JUMP_U(BPF_JGE, d >= s)
		JUMP_U(BPF_JLT, d < s)   JUMP_U(BPF_JLE, d <= s)
		JUMP_S(BPF_JSGT, d > s)  JUMP_S(BPF_JSGE, d >= s)
		JUMP_S(BPF_JSLT, d < s)  JUMP_S(BPF_JSLE, d <= s)
		JUMP_U(BPF_JSET, d & s)

		TASK(BPF_B, 8)
		TASK(BPF_H, 16)
		TASK(BPF_W, 32)
		TASK(BPF_DW, 64)
		MEMORY(BPF_B, uint8_t)   SIGNED_LOAD(BPF_B, 8, uint8_t)
		MEMORY(BPF_H, any16)     SIGNED_LOAD(BPF_H, 16, any16)
		MEMORY(BPF_W, any32)     SIGNED_LOAD(BPF_W, 32, any32)
		MEMORY(BPF_DW, any64)
		// clang-format on
		case BPF_LD | BPF_DW | BPF_IMM:
			D = wide(i, first);
			i++;
			break;
		case BPF_STX | BPF_W | BPF_ATOMIC:
			if (!ordered(&vm, i))
				atomic32(&vm, i, (uint32_t *)(D + i->off));
			break;
		case BPF_STX | BPF_DW | BPF_ATOMIC:
			if (!ordered(&vm, i))
				atomic64(&vm, i, (uint64_t *)(D + i->off));
			break;
		case BPF_STX | BPF_B | BPF_ATOMIC:
		case BPF_STX | BPF_H | BPF_ATOMIC:
			ordered(&vm, i);
			break;
		case BPF_JMP | BPF_JA:
			i += i->off;
			break;
		case BPF_JMP32 | BPF_JA:
			i += i->imm;
			break;
		case BPF_JMP | BPF_CALL:
			if (tails(i, &vm, &first)) {
				if (depth)
					outer = (struct outer){
						(const void *)vm.r[1],
						state->left
					};
				i = first - 1;
				depth = 0;
				state->left = GUARD_LEFT;
			} else if (i->src_reg == BPF_PSEUDO_CALL)
				vm.r[0] = run(first, i + 1 + i->imm, vm.r + 1,
					      depth + 1, state);
			else
				vm.r[0] = helper_or_loop(first, i->imm, vm.r,
							 depth, state);
			break;
		case BPF_JMP | BPF_EXIT:
			return outer_result(&outer, state, vm.r[0]);
		case GUARD:
			if (guard_fails(i, D, state))
				return outer_result(&outer, state, depth != 0);
			break;
		default:
			return 0;
		}
	}
}

uint64_t vm_run(const struct bpf_insn *insn, uint64_t r1, uint64_t r2)
{
	const uint64_t args[5] = { r1, r2 };
	struct run state = { .left = GUARD_LEFT };
	uint64_t r0 = run(insn, insn, args, 0, &state);

	run_end(&state);
	r0 = guard_result((const struct hit *)r1, &state, r0);
	return weld_run_signals(&state, r0);
}

uint64_t weld_vm(const struct bpf_insn *insn, struct hit *hit)
{
	return vm_run(insn, (uint64_t)hit, 0);
}
