/* SPDX-License-Identifier: MIT */
/* code.c - what the compiler makes of small programs: how little code, which
 * registers, what the trampoline is told.  That the code computes the right
 * things is tests/bpf's matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "rewriter/code/compile.h"
#include "rewriter/code/x86.h"
#include "runtime-stub/guard.h"

#include <cmocka.h>

// clang-format off
#define INSN(c, d, s, o, i) \
	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOV(d, s)      INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)     INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADDI(d, i)     INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ALU(op, d, s)  INSN(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)
#define LD(d, s, o)    INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define ST(d, o, s)    INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define STI(d, o, i)   INSN(BPF_ST | BPF_MEM | BPF_W, d, 0, o, i)
#define LOCK_ADD(d, s) INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, 0, BPF_ADD)
#define LDDW(d, s, i)  INSN(BPF_LD | BPF_IMM | BPF_DW, d, s, 0, i), { 0 }
#define JEQ(d, i, o)   INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define CALL(id)       INSN(BPF_JMP | BPF_CALL, 0, 0, 0, id)
#define EXIT           INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
// clang-format on

enum { COUNTS, RODATA, HASH, DI = 112, REGION_RW = 0x3000 };

static const uint32_t knob[2] = { 0, 7 };
static struct bpf_map_def defs[] = {
	{ .name = "counts", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
	  .value_size = 8, .max_entries = 4 },
	{ .name = "x.rodata", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
	  .value_size = 8, .max_entries = 1, .data = DATA_RODATA,
	  .initial = { (const uint8_t *)knob, sizeof(knob) } },
	{ .name = "hash", .type = BPF_MAP_TYPE_HASH, .key_size = 4,
	  .value_size = 8, .max_entries = 16 },
};
static const struct bpf_set set = { .map = defs, .nmap = 3 };
static struct region_map places[] = {
	{ .stride = 8, .max_entries = 4, .data = 0x100 },
	{ .stride = 8, .max_entries = 1, .data = 0x200 },
	{ .data = 0x300 },
};
static const struct region region = { .map = places, .nmap = 3 };

static uint64_t helper_at(uint32_t id)
{
	return 0x500000000000 + id;
}

static const struct code_env env = {
	.set = &set,
	.region = &region,
	.info_vaddr = 0x400000,
	.region_rw = REGION_RW,
	.helper = helper_at,
};

/* One program through the whole of the inline form. */
struct made {
	struct arena a;
	struct bpf_prog p;
	uint32_t sub[4];
	struct facts f;
	struct regmap m;
	struct code c;
	struct code_fails fails;
	struct err e;
};

static int facts_of(struct made *t, const struct bpf_insn *insn, size_t n)
{
	*t = (struct made){
		.p = { .name = "t", .section = "t",
		       .insn = (struct bpf_insn *)insn, .ninsn = (uint32_t)n,
		       .sub = t->sub, .nsub = 1 },
		.c = { .a = &t->a, .vaddr = 0x401000 },
	};
	return code_facts(&t->a, &set, &t->p, &t->f, &t->e);
}

static void make(struct made *t, const struct bpf_insn *insn, size_t n,
		 uint32_t free_regs)
{
	struct frame fr = { .flags = 64, .stack = 32, .hit = 128,
			    .below = 512, .sp = 512,
			    .ip = -1, .site = 0x401100 };

	for (int r = 0; r < NREG; r++)
		fr.slot[r] = -1;
	assert_int_equal(facts_of(t, insn, n), 0);
	code_assign(&t->f, free_regs, 0, &t->m);
	assert_int_equal(code_inline(&t->c, &env, 0, &t->p, &t->f, &t->m, &fr,
				     &t->fails, &t->e),
			 0);
	assert_true(t->c.n <= t->f.size);
}
#define MAKE(t, insn, free) make(t, insn, sizeof(insn) / sizeof(*(insn)), free)
#define FACTS(t, insn) facts_of(t, insn, sizeof(insn) / sizeof(*(insn)))

#define assert_code(t, ...)                                                    \
	do {                                                                   \
		const uint8_t want[] = { __VA_ARGS__ };                        \
		assert_int_equal((t)->c.n, sizeof(want));                      \
		assert_memory_equal((t)->c.p, want, sizeof(want));             \
	} while (0)

static void array_counter_is_one_instruction(void **state)
{
	static const struct bpf_insn insn[] = {
		STI(10, -4, 2), MOV(2, 10), ADDI(2, -4),
		LDDW(1, BPF_PSEUDO_MAP_FD, COUNTS), CALL(1), JEQ(0, 0, 2),
		MOVI(1, 1), LOCK_ADD(0, 1), MOVI(0, 0), EXIT,
	};
	struct made t;

	(void)state;
	MAKE(&t, insn, 0);
	assert_code(&t, 0xf0, 0x48, 0xff, 0x05, 0, 0, 0, 0); /* lock incq */
	assert_int_equal(t.c.nfix, 1);
	assert_int_equal(t.c.fix[0].rw, REGION_RW + 0x100 + 2 * 8);
	assert_int_equal(t.f.stack, 0);
	assert_int_equal(t.m.clobbers, 0);
	assert_false(t.f.calls || t.f.ctx_escapes);
	arena_free(&t.a);
}

static void key_out_of_range_is_null(void **state)
{
	static const struct bpf_insn insn[] = {
		STI(10, -4, 4), MOV(2, 10), ADDI(2, -4),
		LDDW(1, BPF_PSEUDO_MAP_FD, COUNTS), CALL(1), JEQ(0, 0, 2),
		MOVI(1, 1), LOCK_ADD(0, 1), MOVI(0, 0), EXIT,
	};
	struct made t;

	(void)state;
	MAKE(&t, insn, 0);
	assert_int_equal(t.c.n, 0);
	arena_free(&t.a);
}

/* A store through a pointer to the stack that has escaped may change the key:
 * the lookup must read it. */
static void key_that_may_change_is_read(void **state)
{
	static const struct bpf_insn insn[] = {
		STI(10, -4, 2), MOV(3, 10), ST(10, -16, 3), LD(4, 10, -16),
		STI(4, -4, 1), MOV(2, 10), ADDI(2, -4),
		LDDW(1, BPF_PSEUDO_MAP_FD, COUNTS), CALL(1), JEQ(0, 0, 2),
		MOVI(1, 1), LOCK_ADD(0, 1), MOVI(0, 0), EXIT,
	};
	struct made t;

	(void)state;
	MAKE(&t, insn, ALL_REGS & ~REG_BIT(RSP));
	assert_int_equal(t.f.stack, 512);
	assert_int_equal(t.c.nfix, 1);
	assert_int_equal(t.c.fix[0].rw, REGION_RW + 0x100); /* key to come */
	arena_free(&t.a);
}

static void frozen_data_decides_branches(void **state)
{
	static const struct bpf_insn insn[] = {
		LDDW(1, BPF_PSEUDO_MAP_VALUE, RODATA),
		INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0), JEQ(2, 0, 1),
		CALL(5), MOVI(0, 0), EXIT,
	};
	struct code_names names = { 0 };
	struct made t;

	(void)state;
	MAKE(&t, insn, 0);
	assert_int_equal(t.c.n, 0);
	assert_false(t.f.calls);
	code_helpers(&t.a, &set, &t.p, false, &names);
	assert_int_equal(names.n, 0);
	code_helpers(&t.a, &set, &t.p, true, &names);
	assert_int_equal(names.n, 1);
	assert_string_equal(names.v[0], "helper_ktime_get_ns");
	arena_free(&t.a);
}

static void ctx_word_is_its_register(void **state)
{
	static const struct bpf_insn insn[] = {
		MOV(6, 1), LD(2, 6, DI), LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS),
		ST(1, 0, 2), EXIT,
	};
	struct made t;

	(void)state;
	MAKE(&t, insn, REG_BIT(RAX));
	/* mov %rdi, %rax; mov %rax, counts(%rip) */
	assert_code(&t, 0x48, 0x89, 0xf8, 0x48, 0x89, 0x05, 0, 0, 0, 0);
	assert_int_equal(t.f.ctx_reads, 1 << DI / 8);
	assert_int_equal(t.m.clobbers, REG_BIT(RAX));
	arena_free(&t.a);
}

static void ctx_word_comes_back_from_the_stack(void **state)
{
	static const struct bpf_insn kept[] = {
		LD(2, 1, DI), ST(10, -8, 2), LD(3, 10, -8),
		LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS), ST(1, 0, 3), EXIT,
	};
	static const struct bpf_insn changed[] = {
		LD(2, 1, DI), ST(10, -8, 2), STI(10, -4, 5), LD(3, 10, -8),
		LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS), ST(1, 0, 3), EXIT,
	};
	static const struct bpf_insn either[] = {
		LD(2, 1, DI), LD(4, 1, DI - 8), ST(10, -8, 2), JEQ(4, 0, 1),
		ST(10, -8, 4), LD(3, 10, -8),
		LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS), ST(1, 0, 3), EXIT,
	};
	struct made t;

	(void)state;
	MAKE(&t, kept, REG_BIT(RAX));
	/* mov %rdi, %rax; mov %rax, counts(%rip) */
	assert_code(&t, 0x48, 0x89, 0xf8, 0x48, 0x89, 0x05, 0, 0, 0, 0);
	assert_int_equal(t.f.stack, 0);
	assert_int_equal(t.f.ctx_reads, 1 << DI / 8);
	arena_free(&t.a);
	assert_int_equal(FACTS(&t, changed), 0);
	assert_int_equal(t.f.stack, 8);
	arena_free(&t.a);
	assert_int_equal(FACTS(&t, either), 0);
	assert_int_equal(t.f.stack, 8);
	arena_free(&t.a);
}

static void ctx_passed_on_escapes(void **state)
{
	static const struct bpf_insn stored[] = { ST(10, -8, 1), LD(2, 10, -8),
						  LDDW(1, 2, COUNTS),
						  ST(1, 0, 2), EXIT };
	static const struct bpf_insn passed[] = { MOV(3, 1), MOV(1, 10),
						  ADDI(1, -8), MOVI(2, 8),
						  CALL(113), EXIT };
	static const struct bpf_insn computed[] = {
		MOVI(2, 8), LD(3, 1, DI), ALU(BPF_ADD, 1, 3), LD(4, 1, 0),
		LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS), ST(1, 0, 4), EXIT
	};
	struct made t;

	(void)state;
	FACTS(&t, stored);
	assert_true(t.f.ctx_escapes);
	arena_free(&t.a);
	FACTS(&t, passed);
	assert_true(t.f.ctx_escapes);
	assert_true(t.f.calls);
	arena_free(&t.a);
	FACTS(&t, computed);
	assert_true(t.f.ctx_escapes);
	arena_free(&t.a);
}

/* Where two paths meet with ctx in r1 on one of them only, and nobody reads
 * r1, ctx stays what it is; so it does as an argument of get_func_ip. */
static void ctx_that_is_dead_does_not_escape(void **state)
{
	static const struct bpf_insn insn[] = {
		MOV(6, 1), LD(2, 1, DI), JEQ(2, 0, 1), MOVI(1, 1),
		MOV(1, 6), CALL(173), LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS),
		ST(1, 0, 0), EXIT,
	};
	struct made t;

	(void)state;
	assert_int_equal(FACTS(&t, insn), 0);
	assert_false(t.f.ctx_escapes || t.f.calls);
	arena_free(&t.a);
}

/* ctx and the stack's end, moved as far as a constant can: computed at run
 * time, as no displacement has room for it and the frame's own. */
static void far_pointers_are_computed(void **state)
{
	static const struct bpf_insn ctx[] = {
		MOV(3, 1), ADDI(3, 0x7fffffe8), MOV(1, 10), ADDI(1, -8),
		MOVI(2, 8), CALL(112), EXIT,
	};
	static const struct bpf_insn stack[] = {
		MOV(3, 10), ADDI(3, 0x7fffffe8), MOV(1, 10), ADDI(1, -8),
		MOVI(2, 8), CALL(112), EXIT,
	};
	struct made t;

	(void)state;
	MAKE(&t, ctx, 0);
	assert_non_null(memmem(t.c.p, t.c.n, "\xe8\xff\xff\x7f", 4));
	arena_free(&t.a);
	MAKE(&t, stack, 0);
	assert_non_null(memmem(t.c.p, t.c.n, "\xe8\xff\xff\x7f", 4));
	arena_free(&t.a);
}

static void ctx_outside_is_refused(void **state)
{
	static const struct bpf_insn insn[] = {
		LD(2, 1, 168), LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS),
		ST(1, 0, 2), EXIT,
	};
	struct made t;

	(void)state;
	assert_int_equal(FACTS(&t, insn), -1);
	assert_string_equal(t.e.what,
			    "invalid bpf_context access off=168 size=8");
	assert_int_equal(t.e.at, 0);
	arena_free(&t.a);
}

static void fixed_registers_stay_out_of_the_way(void **state)
{
	static const struct bpf_insn insn[] = {
		LD(2, 1, DI), LD(3, 1, DI - 8), ALU(BPF_LSH, 2, 3),
		ALU(BPF_DIV, 2, 3), LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS),
		ST(1, 0, 2), EXIT,
	};
	uint32_t fixed = REG_BIT(RAX) | REG_BIT(RCX) | REG_BIT(RDX);
	struct regmap m;
	struct made t;

	(void)state;
	assert_int_equal(FACTS(&t, insn), 0);
	assert_int_equal(t.f.fixed, fixed);
	code_assign(&t.f, ALL_REGS & ~REG_BIT(RSP),
		    REG_BIT(RDI) | REG_BIT(RSI), &m);
	assert_int_equal(m.of[2], RBX);
	assert_int_equal(m.of[3], R8);
	assert_int_equal(m.of[1], -1);
	assert_int_equal(m.clobbers, fixed | REG_BIT(RBX) | REG_BIT(R8));
	arena_free(&t.a);
}

static void calls_use_the_calling_convention(void **state)
{
	static const struct bpf_insn insn[] = {
		CALL(5), MOV(6, 0), CALL(5), ALU(BPF_SUB, 0, 6),
		LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS), ST(1, 0, 0), EXIT,
	};
	struct made t;

	(void)state;
	MAKE(&t, insn, REG_BIT(R12));
	assert_true(t.f.calls);
	assert_int_equal(t.m.of[0], RAX);
	assert_int_equal(t.m.of[6], R12);
	assert_int_equal(t.m.of[7], -1);
	assert_int_equal(t.m.clobbers & ~REG_BIT(R12), 0xfc7);
	arena_free(&t.a);
}

static void subprograms_have_shapes(void **state)
{
	static const struct bpf_insn insn[] = {
		INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 1), EXIT,
		MOV(6, 1), INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 2),
		ALU(BPF_ADD, 0, 6), EXIT, MOVI(0, 1), EXIT,
	};
	struct made t;
	uint64_t sub[3];
	const uint64_t *const subs[] = { sub };
	struct code_shapes shapes = { 0 };
	struct code_env with = env;

	(void)state;
	assert_int_equal(FACTS(&t, insn), 0);
	t.sub[1] = 2;
	t.sub[2] = 6;
	t.p.nsub = 3;
	with.sub = subs;
	with.shapes = &shapes;
	assert_int_equal(code_subprograms(&t.c, &with, 0, &t.p, sub, &t.e), 0);
	assert_int_equal(shapes.n, 2);
	assert_int_equal(shapes.v[0].start, sub[1]);
	assert_int_equal(shapes.v[0].below, 8); /* r6's register */
	assert_int_equal(shapes.v[1].start, sub[2]);
	assert_int_equal(shapes.v[1].below, 0);
	assert_int_equal(shapes.v[1].start + shapes.v[1].size,
			 code_here(&t.c));
	assert_false(t.c.too_far);
	arena_free(&t.a);
}

/* cmp, ja; nothing on the stack, no register but the one compared. */
static void guards_are_a_comparison(void **state)
{
	static const struct bpf_insn insn[] = {
		LD(2, 1, DI), INSN(GUARD, 2, GUARD_RANGE, 0, 63),
		LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS), ST(1, 0, 2), EXIT,
	};
	static const struct bpf_insn constant[] = {
		MOVI(2, 7), INSN(GUARD, 2, GUARD_RANGE, 0, 7), EXIT,
	};
	static const uint8_t want[] = { 0x48, 0x83, 0xf8, 63, 0x0f, 0x87 };
	struct made t;
	size_t k = 0;

	(void)state;
	MAKE(&t, insn, REG_BIT(RAX));
	while (k + sizeof(want) < t.c.n && memcmp(t.c.p + k, want, sizeof(want)))
		k++;
	assert_memory_equal(t.c.p + k, want, sizeof(want));
	assert_int_equal(t.f.stack, 0);
	assert_false(t.f.calls);
	assert_int_equal(t.m.clobbers, REG_BIT(RAX));
	assert_int_equal(t.fails.n, 1);
	assert_int_equal(t.fails.at[0], k + sizeof(want));
	assert_int_equal(t.fails.end, code_here(&t.c));
	code_failed(&t.c, &env, &t.fails);
	arena_free(&t.a);
	MAKE(&t, constant, REG_BIT(RAX));
	assert_int_equal(t.c.n, 0);
	assert_int_equal(t.fails.n, 0);
	arena_free(&t.a);
}

/* What is behind the ret has the frame still. */
static void failed_runs_have_frames(void **state)
{
	static const struct bpf_insn insn[] = {
		INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 1), EXIT,
		MOV(6, 1), INSN(GUARD, 1, GUARD_RANGE, 0, 3), MOV(0, 6), EXIT,
	};
	struct code_shapes shapes = { 0 };
	struct code_env with = env;
	uint64_t sub[2];
	const uint64_t *const subs[] = { sub };
	struct made t;

	(void)state;
	assert_int_equal(FACTS(&t, insn), 0);
	t.sub[1] = 2;
	t.p.nsub = 2;
	with.sub = subs;
	with.shapes = &shapes;
	assert_int_equal(code_subprograms(&t.c, &with, 0, &t.p, sub, &t.e), 0);
	assert_int_equal(shapes.n, 1);
	assert_int_equal(shapes.v[0].below, 16); /* r6's, and where the run is */
	assert_int_equal(shapes.v[0].cold, shapes.v[0].leave + 1);
	assert_true(shapes.v[0].cold < shapes.v[0].size);
	arena_free(&t.a);
}

/* Where a stack address is computed with, or comes back out of memory, its
 * accesses may be as deep as the stack may be. */
static void stack_that_is_not_seen_is_there(void **state)
{
	static const struct bpf_insn computed[] = {
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 2, 1, 0, 0),
		INSN(BPF_ALU64 | BPF_OR | BPF_K, 2, 0, 0, -8), MOV(1, 10),
		ALU(BPF_ADD, 1, 2), STI(1, 0, 7), EXIT,
	};
	static const struct bpf_insn spilled[] = {
		MOV(1, 10), ADDI(1, -8),
		INSN(BPF_STX | BPF_MEM | BPF_DW, 10, 1, -16, 0),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 2, 10, -16, 0),
		STI(2, -100, 7), EXIT,
	};
	static const struct bpf_insn given[] = { /* to a callback */
		LDDW(2, BPF_PSEUDO_FUNC, 8), MOVI(1, 1), MOV(3, 10),
		ADDI(3, -8), MOVI(4, 0), CALL(BPF_FUNC_loop), EXIT,
		STI(2, -100, 7), EXIT,
	};
	static const struct bpf_insn joined[] = { /* one of two addresses */
		LD(4, 1, 112), MOV(2, 10), ADDI(2, -80), JEQ(4, 0, 1),
		ADDI(2, 8),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 3, 2, -24, 0),
		LDDW(1, BPF_PSEUDO_MAP_VALUE, COUNTS), ST(1, 0, 3), EXIT,
	};
	struct made t;

	(void)state;
	assert_int_equal(FACTS(&t, joined), 0);
	assert_int_equal(t.f.stack, 512);
	arena_free(&t.a);
	assert_int_equal(FACTS(&t, computed), 0);
	assert_int_equal(t.f.stack, 512);
	arena_free(&t.a);
	assert_int_equal(FACTS(&t, spilled), 0);
	assert_int_equal(t.f.stack, 512);
	arena_free(&t.a);
	assert_int_equal(FACTS(&t, given), 0);
	assert_int_equal(t.f.stack, 512);
	arena_free(&t.a);
}

static void unknown_instructions_are_refused(void **state)
{
	static const struct bpf_insn callx[] = {
		INSN(BPF_JMP | BPF_CALL | BPF_X, 1, 0, 0, 0), EXIT
	};
	static const struct bpf_insn over[] = { JEQ(1, 0, 5), EXIT };
	static const struct bpf_insn off_end[] = { MOVI(0, 0) };
	struct made t;
	uint64_t at;

	(void)state;
	if (!FACTS(&t, callx))
		assert_int_equal(code_function(&t.c, &env, 0, &t.p, 0, &at,
					       &t.e),
				 -1);
	arena_free(&t.a);
	assert_int_equal(FACTS(&t, over), -1);
	arena_free(&t.a);
	assert_int_equal(FACTS(&t, off_end), -1);
	arena_free(&t.a);
}

static void references_that_do_not_reach_are_noticed(void **state)
{
	struct arena a = { 0 };
	struct code c = { .a = &a, .vaddr = 0x400000 };

	(void)state;
	code_jmp(&c, 0x400005);
	assert_false(c.too_far);
	assert_memory_equal(c.p, "\xe9\0\0\0\0", 5);
	code_rw32(&c, 16, 1);
	code_u8(&c, 0);
	code_resolve(&c, 0x500000);
	assert_memory_equal(c.p + 5, "\x06\x00\x10\x00", 4);
	code_call(&c, UINT64_C(0x100000000));
	assert_true(c.too_far);
	arena_free(&a);
}

/* rsp and r12 as bases need a SIB byte, rbp and r13 a displacement. */
static void awkward_bases_are_encoded(void **state)
{
	static const struct {
		int base;
		int32_t disp;
		uint8_t len, bytes[8];
	} rows[] = {
		// clang-format off
		{ RBX, 0,    3, { 0x48, 0x8b, 0x03 } },
		{ RBP, 0,    4, { 0x48, 0x8b, 0x45, 0x00 } },
		{ R13, 0,    4, { 0x49, 0x8b, 0x45, 0x00 } },
		{ RSP, 0,    4, { 0x48, 0x8b, 0x04, 0x24 } },
		{ R12, 0,    4, { 0x49, 0x8b, 0x04, 0x24 } },
		{ R12, -128, 5, { 0x49, 0x8b, 0x44, 0x24, 0x80 } },
		{ RSP, 128,  8, { 0x48, 0x8b, 0x84, 0x24, 0x80, 0, 0, 0 } },
		// clang-format on
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct code c = { .a = &a };
		struct mem m = { .base = rows[i].base, .disp = rows[i].disp };

		x86_load(&c, 8, false, RAX, &m);
		assert_int_equal(c.n, rows[i].len);
		assert_memory_equal(c.p, rows[i].bytes, c.n);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(array_counter_is_one_instruction),
		cmocka_unit_test(key_out_of_range_is_null),
		cmocka_unit_test(key_that_may_change_is_read),
		cmocka_unit_test(frozen_data_decides_branches),
		cmocka_unit_test(ctx_word_is_its_register),
		cmocka_unit_test(ctx_word_comes_back_from_the_stack),
		cmocka_unit_test(ctx_passed_on_escapes),
		cmocka_unit_test(ctx_that_is_dead_does_not_escape),
		cmocka_unit_test(far_pointers_are_computed),
		cmocka_unit_test(ctx_outside_is_refused),
		cmocka_unit_test(fixed_registers_stay_out_of_the_way),
		cmocka_unit_test(calls_use_the_calling_convention),
		cmocka_unit_test(subprograms_have_shapes),
		cmocka_unit_test(guards_are_a_comparison),
		cmocka_unit_test(failed_runs_have_frames),
		cmocka_unit_test(stack_that_is_not_seen_is_there),
		cmocka_unit_test(unknown_instructions_are_refused),
		cmocka_unit_test(awkward_bases_are_encoded),
		cmocka_unit_test(references_that_do_not_reach_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
