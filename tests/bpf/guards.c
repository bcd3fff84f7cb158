/* SPDX-License-Identifier: MIT */
/* guards.c - programs with guards (runtime-stub/guard.h), run by every engine:
 * what they return, how far they came (counts[0]), whether a failed run is
 * counted.  GUARD_RUN is put in by guard_runs().  ctx is a whole struct hit.
 */
#include <pthread.h>
#include <string.h>

#include "engine.h"
#include "rewriter/bpf/guard.h"
#include "rewriter/code/known.h"
#include "runtime-stub/vm.h"

enum { COUNTS, DI = 112, SI = 104, DX = 96, LABEL = 0xfe, MAX = 48 };

// clang-format off
#define INSN(c, d, s, o, i) \
	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOV(d, s)      INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)     INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADDI(d, i)     INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define MUL(d, s)      INSN(BPF_ALU64 | BPF_MUL | BPF_X, d, s, 0, 0)
#define LD(d, s, o)    INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define ST(d, o, s)    INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define LDDW(d, s, i)  INSN(BPF_LD | BPF_IMM | BPF_DW, d, s, 0, i), { 0 }
#define CALL(id)       INSN(BPF_JMP | BPF_CALL, 0, 0, 0, id)
#define EXIT           INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define RANGE(r, max)  INSN(GUARD, r, GUARD_RANGE, 0, (int32_t)(max))
#define LOOP           INSN(GUARD, 0, GUARD_LOOP, 0, GUARD_WEIGHT)
#define TURN(w)        INSN(GUARD, 0, GUARD_TURN, 0, w)
/* What leads to label n; AT is one, FUNC one where a subprogram begins. */
#define AT(n)          INSN(LABEL, 0, 0, n, 0)
#define FUNC(n)        INSN(LABEL, 1, 0, n, 0)
#define JA(n)          INSN(BPF_JMP | BPF_JA, 0, 0, n, 0)
#define JNE(d, i, n)   INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, n, i)
#define SUB(n)         INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, n, 0)
#define POINTER(d, n)  INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_FUNC, n, 0), { 0 }
/* counts[0] += 1; changes r4 and r5 */
#define STEP           LDDW(4, BPF_PSEUDO_MAP_VALUE, COUNTS), MOVI(5, 1), \
		       INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 4, 5, 0, BPF_ADD)
/* bpf_loop(times, label n, 0, 0) */
#define TIMES(times, n) MOVI(1, times), POINTER(2, n), MOVI(3, 0), MOVI(4, 0), \
		       CALL(BPF_FUNC_loop)

/* The ctx has 7 in di, -1 in si, UINT32_MAX in dx. */
static const struct guarded {
	const char *name;
	uint64_t result, steps;
	bool fails;
	struct bpf_insn insn[MAX];
} programs[] = {
	{ "passes", 7, 2, false, {
		LD(6, 1, DI), STEP, RANGE(6, 7), STEP, MOV(0, 6), EXIT } },
	{ "fails", 0, 1, true, {
		LD(6, 1, DI), STEP, RANGE(6, 6), STEP, MOV(0, 6), EXIT } },
	{ "is unsigned", 0, 1, true, {
		LD(6, 1, SI), STEP, RANGE(6, INT32_MAX), STEP, MOV(0, 6), EXIT } },
	{ "has 64 bits", 0, 0, true, {
		LD(6, 1, SI), RANGE(6, UINT32_MAX), MOV(0, 6), EXIT } },
	{ "has 32 bits", UINT32_MAX, 0, false, {
		LD(6, 1, DX), RANGE(6, UINT32_MAX), MOV(0, 6), EXIT } },
	{ "not quite 32", 0, 0, true, {
		LD(6, 1, DX), RANGE(6, UINT32_MAX - 1), MOV(0, 6), EXIT } },
	{ "computed", 0, 0, true, {
		LD(6, 1, DI), LD(7, 1, DX), MUL(6, 7), RANGE(6, 1 << 31),
		MOV(0, 6), EXIT } },
	{ "a constant passes", 5, 0, false, {
		MOVI(6, 5), RANGE(6, 5), MOV(0, 6), EXIT } },
	{ "a constant fails", 0, 1, true, {
		MOVI(6, 6), STEP, RANGE(6, 5), STEP, MOV(0, 6), EXIT } },
	{ "a wide constant passes", 3, 0, false, {
		MOVI(6, -1), INSN(BPF_ALU | BPF_MOV | BPF_X, 6, 6, 0, 0),
		RANGE(6, UINT32_MAX), MOVI(0, 3), EXIT } },
	{ "an address", 0, 0, true, {
		MOV(6, 1), RANGE(6, 100), LD(0, 6, DI), EXIT } },
	{ "of the stack", 0, 0, true, {
		MOV(6, 10), ADDI(6, -8), RANGE(6, 100), ST(10, -8, 1), EXIT } },
	{ "r0 itself", 7, 0, false, { LD(0, 1, DI), RANGE(0, 7), EXIT } },
	{ "of what nobody else reads", 0, 0, true, {
		LD(6, 1, DI), ADDI(6, 1), RANGE(6, 7), MOVI(0, 1), EXIT } },
	{ "behind a helper", 0, 1, true, {
		LD(6, 1, DI), CALL(5), STEP, RANGE(6, 6), STEP, MOVI(0, 3),
		EXIT } },

	{ "a loop ends", 2000, 0, false, {
		MOVI(6, 1000), MOVI(0, 0), AT(1), LOOP, ADDI(0, 2),
		ADDI(6, -1), JNE(6, 0, 1), EXIT } },
	{ "a loop does not end", 0, 1, true, {
		STEP, LD(6, 1, DI), MOVI(0, 1), AT(1), LOOP, ADDI(0, 1),
		JNE(6, 0, 1), EXIT } },
	{ "the whole budget", 3, 0, false, {
		MOVI(6, GUARD_BUDGET), AT(1), LOOP, ADDI(6, -1), JNE(6, 0, 1),
		MOVI(0, 3), EXIT } },
	{ "and one more", 0, 0, true, {
		MOVI(6, GUARD_BUDGET + 1), AT(1), LOOP, ADDI(6, -1),
		JNE(6, 0, 1), MOVI(0, 3), EXIT } },
	{ "two loops have one", 0, 1, true, {
		MOVI(6, GUARD_BUDGET / 2 + 1), AT(1), LOOP, ADDI(6, -1),
		JNE(6, 0, 1), STEP, MOVI(6, GUARD_BUDGET / 2), AT(2), LOOP,
		ADDI(6, -1), JNE(6, 0, 2), STEP, MOVI(0, 3), EXIT } },
	{ "turns of all weights", 3, 0, false, {
		MOVI(6, GUARD_BUDGET), AT(1), TURN(1), TURN(GUARD_WEIGHT - 1),
		ADDI(6, -1), JNE(6, 0, 1), MOVI(0, 3), EXIT } },
	{ "and one more of the least", 0, 1, true, {
		MOVI(6, GUARD_BUDGET), AT(1), TURN(1), TURN(GUARD_WEIGHT - 1),
		ADDI(6, -1), JNE(6, 0, 1), STEP, TURN(1), STEP, MOVI(0, 3),
		EXIT } },
	{ "all at once", 3, 1, false, {
		TURN(GUARD_LEFT), STEP, MOVI(0, 3), EXIT } },
	{ "all at once, twice", 0, 1, true, {
		TURN(GUARD_LEFT), STEP, TURN(GUARD_LEFT), STEP, MOVI(0, 3),
		EXIT } },
	{ "a turn of a callback", 0, 4, true, {
		TIMES(10, 1), STEP, MOVI(0, 3), EXIT,
		FUNC(1), TURN(GUARD_LEFT / 4), STEP, MOVI(0, 0), EXIT } },
	{ "behind a helper, too", 0, 1, true, {
		CALL(5), STEP, MOVI(6, 1), AT(1), LOOP, JNE(6, 0, 1), STEP,
		MOVI(0, 3), EXIT } },

	{ "two deep", 0, 0, true, {
		LD(1, 1, DI), SUB(1), STEP, MOVI(0, 9), EXIT,
		FUNC(1), SUB(2), STEP, EXIT,
		FUNC(2), RANGE(1, 6), STEP, MOVI(0, 0), EXIT } },
	{ "two deep, and passes", 9, 3, false, {
		LD(1, 1, DI), SUB(1), STEP, MOVI(0, 9), EXIT,
		FUNC(1), SUB(2), STEP, EXIT,
		FUNC(2), RANGE(1, 7), STEP, MOVI(0, 0), EXIT } },
	{ "what is called keeps registers", 0, 1, true, {
		LD(6, 1, DI), MOV(1, 6), SUB(1), RANGE(0, 14), STEP,
		MOV(1, 0), SUB(1), STEP, MOV(0, 6), EXIT,
		FUNC(1), MOV(6, 1), RANGE(6, 7), MOV(0, 1),
		INSN(BPF_ALU64 | BPF_ADD | BPF_X, 0, 0, 0, 0), EXIT } },
	{ "subprograms use the same budget up", 0, 1, true, {
		MOVI(1, GUARD_BUDGET / 2 + 1), SUB(1), STEP,
		MOVI(1, GUARD_BUDGET / 2), SUB(1), STEP, MOVI(0, 3), EXIT,
		FUNC(1), AT(2), LOOP, ADDI(1, -1), JNE(1, 0, 2), MOVI(0, 0),
		EXIT } },
	{ "and no more than there is", 3, 2, false, {
		MOVI(1, GUARD_BUDGET / 2), SUB(1), STEP,
		MOVI(1, GUARD_BUDGET / 2), SUB(1), STEP, MOVI(0, 3), EXIT,
		FUNC(1), AT(2), LOOP, ADDI(1, -1), JNE(1, 0, 2), MOVI(0, 0),
		EXIT } },
	{ "a callback", 0, 3, true, {
		TIMES(10, 1), STEP, MOVI(0, 3), EXIT,
		FUNC(1), RANGE(1, 2), STEP, MOVI(0, 0), EXIT } },
	{ "a callback of a subprogram", 0, 4, true, {
		STEP, SUB(1), STEP, MOVI(0, 3), EXIT,
		FUNC(1), TIMES(10, 2), STEP, EXIT,
		FUNC(2), RANGE(1, 2), STEP, MOVI(0, 0), EXIT } },
	{ "a callback's subprogram", 0, 3, true, {
		TIMES(10, 1), STEP, MOVI(0, 3), EXIT,
		FUNC(1), SUB(2), STEP, MOVI(0, 0), EXIT,
		FUNC(2), RANGE(1, 2), MOVI(0, 0), EXIT } },
	{ "a callback passes", 10, 11, false, {
		TIMES(10, 1), STEP, EXIT,
		FUNC(1), RANGE(1, 9), STEP, MOVI(0, 0), EXIT } },
	{ "a callback's budget is the run's", 0, 3, true, {
		TIMES(10, 1), STEP, MOVI(0, 3), EXIT,
		FUNC(1), MOVI(1, GUARD_BUDGET / 4 + 1), AT(2), LOOP,
		ADDI(1, -1), JNE(1, 0, 2), STEP, MOVI(0, 0), EXIT } },
	{ "each element", 0, 2, true, {
		LDDW(1, BPF_PSEUDO_MAP_FD, COUNTS), POINTER(2, 1), MOVI(3, 0),
		MOVI(4, 0), CALL(BPF_FUNC_for_each_map_elem), STEP,
		MOVI(0, 3), EXIT,
		FUNC(1), INSN(BPF_LDX | BPF_MEM | BPF_W, 1, 2, 0, 0),
		RANGE(1, 1), STEP, MOVI(0, 0), EXIT } },
};
// clang-format on
enum { PROGRAMS = sizeof(programs) / sizeof(*programs) };

/* Labels go, and what leads to them gets its distance. */
static void link(struct arena *a, const struct bpf_insn *from,
		 struct bpf_prog *p)
{
	uint32_t at[8] = { 0 };

	*p = (struct bpf_prog){ .name = "guarded",
				.insn = arena_alloc(a, MAX * sizeof(*from)),
				.sub = arena_alloc(a, 8 * sizeof(*p->sub)),
				.nsub = 1 };
	for (uint32_t i = 0; i < MAX; i++) {
		if (from[i].code == LABEL) {
			at[from[i].off] = p->ninsn;
			if (from[i].dst_reg)
				p->sub[p->nsub++] = p->ninsn;
		} else if (from[i].code ||
			   (i && insn_is_lddw(&from[i - 1]))) {
			p->insn[p->ninsn++] = from[i];
		}
	}
	for (uint32_t i = 0; i < p->ninsn; i++) {
		struct bpf_insn *insn = &p->insn[i];
		int32_t d = (int32_t)(at[insn->off & 7] - i - 1);

		if (insn_is_jump(insn)) {
			insn->off = (int16_t)d;
		} else if (insn->code == (BPF_JMP | BPF_CALL) &&
			   insn->src_reg) {
			insn->imm = d;
			insn->off = 0;
		} else if (insn_is_lddw(insn)) {
			if (insn->src_reg == BPF_PSEUDO_FUNC)
				insn->imm = (int32_t)at[insn->off & 7];
			insn->off = 0;
			i++;
		}
	}
}

static struct hit a_hit(void)
{
	return (struct hit){ .di = 7, .si = UINT64_MAX, .dx = UINT32_MAX,
			     .probe = HOSTED_PROBE };
}

static int wrong(const struct guarded *g, enum engine_kind kind,
		 const char *what, uint64_t got, uint64_t want)
{
	fprintf(stderr, "%s (%s): %s %llu instead of %llu\n", g->name,
		engine_names[kind], what, (unsigned long long)got,
		(unsigned long long)want);
	return 1;
}

static int run_one(const struct guarded *g, enum engine_kind kind,
		   uint32_t free_regs)
{
	struct arena a = { 0 };
	struct hit hit = a_hit();
	struct trial r = { .set = hosted_set(), .mem = (uint8_t *)&hit,
			   .len = sizeof(hit), .pt_regs = true,
			   .free_regs = free_regs };
	uint64_t steps, failed;
	struct err e;
	int bad;

	memset(weld_region, 0, sizeof(uint64_t) * 512);
	link(&a, g->insn, &r.prog);
	bad = guard_runs(&a, r.set, &r.prog, &e) ||
	      run_engine(&a, kind, &r, &e);
	arena_free(&a);
	if (bad) {
		err_print(stderr, &e);
		return wrong(g, kind, "refused", 1, 0);
	}
	memcpy(&steps, weld_region + hosted_region()->map[COUNTS].data,
	       sizeof(steps));
	failed = hosted_count(HOSTED_PROBE)->failed;
	if (r.result != g->result)
		return wrong(g, kind, "r0 is", r.result, g->result);
	if (steps != g->steps)
		return wrong(g, kind, "steps", steps, g->steps);
	if (failed != g->fails)
		return wrong(g, kind, "failed runs", failed, g->fails);
	return 0;
}

/* One thread's run fails all the time, the other's never. */
enum { RUNS = 20000 };
struct runner {
	const struct bpf_insn *insn;
	uint64_t di, want, wrong;
};

static void *run_often(void *arg)
{
	struct runner *r = arg;
	struct hit hit = a_hit();

	hit.di = r->di;
	for (int i = 0; i < RUNS; i++)
		r->wrong += vm_run(r->insn, (uint64_t)&hit, 0) != r->want;
	return NULL;
}

static int threads(void)
{
	static const struct guarded g = { .name = "threads", .insn = {
		LD(1, 1, DI), SUB(1), MOVI(0, 9), EXIT,
		FUNC(1), RANGE(1, 6), MOVI(0, 0), EXIT } };
	struct arena a = { 0 };
	struct bpf_prog p;
	struct err e;
	struct runner run[2] = { { .di = 6, .want = 9 }, { .di = 7 } };
	pthread_t thread;

	memset(weld_region, 0, sizeof(uint64_t) * 512);
	link(&a, g.insn, &p);
	if (guard_runs(&a, NULL, &p, &e))
		return wrong(&g, RUN_VM, "refused", 1, 0);
	run[0].insn = run[1].insn = p.insn;
	pthread_create(&thread, NULL, run_often, &run[0]);
	run_often(&run[1]);
	pthread_join(thread, NULL);
	arena_free(&a);
	if (run[0].wrong || run[1].wrong)
		return wrong(&g, RUN_VM, "wrong results",
			     run[0].wrong + run[1].wrong, 0);
	if (hosted_count(HOSTED_PROBE)->failed != RUNS)
		return wrong(&g, RUN_VM, "failed runs",
			     hosted_count(HOSTED_PROBE)->failed, RUNS);
	return 0;
}

int guard_programs(void)
{
	static const uint32_t free_regs[] = { 0, ALL_REGS & ~REG_BIT(RSP) };
	int bad = threads();

	for (int i = 0; i < PROGRAMS; i++)
		for (int k = 0; k < RUN_KINDS; k++)
			for (int f = 0; f < 2; f++)
				bad |= run_one(&programs[i],
					       (enum engine_kind)k,
					       free_regs[f]);
	return bad;
}
