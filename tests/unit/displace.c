/* SPDX-License-Identifier: MIT */
/* displace.c - every kind of displaced instruction and every shape of
 * trampoline, executed: this program patches functions of its own and looks
 * for any difference.
 *
 * Each fixture (displace.S) is a small function with a site in it.  It is
 * called with random registers, flags and stack, first as it is, then patched;
 * registers, flags (where the fixture looks at them), the stack and the red
 * zone below it have to come out the same, and the programs have to have run.
 *
 * The programs are this test's, not the compiler's: code_assign() and
 * code_inline() below make bodies that ruin all they may, or that write down
 * all they see.
 */
// clang-format off
#include "rewriter/code/x86.h"
#include "rewriter/patch/patch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <cmocka.h>
// clang-format on

struct fixture {
	uint64_t fn, site, end;
	const char *name;
	uint64_t hits;
};
struct cpu {
	uint64_t r[NREG], flags;
};
extern const struct fixture fixtures[], fixtures_end[];
extern uint8_t fixture_text[], fixture_text_end[];
extern uint64_t gates_at;
void run_fixture(uint64_t fn, struct cpu *cpu, void *stack);
void fake_arm(void), fake_arm_over(void);
void fake_off(void), fake_off_over(void);
void fake_helper(void);

enum { STACK = 4096, RX_SIZE = 1 << 20, RW_SIZE = 1 << 16, RED = 128 };
enum { OWN = 0, GATES = 64, COUNTS = 4096, CAPTURE = 32768 };
static uint8_t *rx, *rw;
static uint64_t stack[STACK / 8];
static bool switched_off;

/* --- the programs ------------------------------------------------------- */

enum prog { EMPTY, RUIN, LOOK, HIT, DEEP, NPROG };
static struct facts facts[NPROG] = {
	[LOOK] = { .ctx_reads = 0x1fffff },
	[HIT] = { .ctx_escapes = true },
	[DEEP] = { .stack = 500, .calls = true },
};
static struct bpf_prog progs[NPROG];
static const uint8_t word_reg[] = { R15, R14, R13, R12, RBP, RBX, R11, R10,
				    R9,  R8,  RAX, RCX, RDX, RSI, RDI };

/* These take the places of the compiler's. */
void code_assign(const struct facts *f, uint32_t free_regs, uint32_t keep,
		 struct regmap *out)
{
	// clang-format off
	static const uint32_t clobbers[NPROG] = {
		[EMPTY] = 0, [RUIN] = ALL_REGS & ~REG_BIT(RSP),
		[LOOK] = REG_BIT(RAX), [HIT] = REG_BIT(RAX), [DEEP] = 0,
	};
	// clang-format on
	(void)free_regs;
	(void)keep;
	out->clobbers = clobbers[f - facts];
}

uint64_t stub_symbol(const struct stub *s, const char *name)
{
	(void)s;
	if (strcmp(name, "weld_cold_over") == 0)
		return (uint64_t)(switched_off ? fake_off_over : fake_arm_over);
	assert_string_equal(name, "weld_cold");
	return (uint64_t)(switched_off ? fake_off : fake_arm);
}

static void ruin(struct code *c, const struct frame *fr)
{
	static const uint8_t stc_rol[] = { 0xf9, 0xd0, 0xd0 };

	(void)fr;
	for (int r = 0; r < NREG; r++)
		if (r != RSP)
			x86_set(c, r, 0x5a5a5a5a5a5a5a5a + r);
	x86_alu(c, 8, ALU_SUB, RAX, RAX);
	code_bytes(c, stc_rol, sizeof(stc_rol));
}

static void capture(struct code *c, unsigned word)
{
	struct mem to = { .base = MEM_RW, .to = CAPTURE + word * 8 };

	x86_store(c, 8, &to, RAX);
}

static void look(struct code *c, const struct frame *fr)
{
	struct mem flags = { .base = RSP, .disp = fr->flags };
	struct mem sp = { .base = RSP, .disp = (int32_t)fr->below };

	for (unsigned i = 0; i < sizeof(word_reg); i++) {
		int32_t at = fr->slot[word_reg[i]];
		struct mem m = { .base = RSP, .disp = at };

		assert_true(at >= 0 || word_reg[i] != RAX);
		if (at >= 0)
			x86_load(c, 8, false, RAX, &m);
		else
			x86_mov(c, 8, RAX, word_reg[i]);
		capture(c, i);
	}
	assert_true(fr->flags >= 0);
	x86_load(c, 8, false, RAX, &flags);
	capture(c, offsetof(struct hit, flags) / 8);
	x86_lea(c, RAX, &sp);
	capture(c, offsetof(struct hit, sp) / 8);
}

static void copy_hit(struct code *c, const struct frame *fr)
{
	assert_true(fr->hit >= 0);
	for (unsigned i = 0; i < HIT_SIZE / 8; i++) {
		struct mem m = { .base = RSP,
				 .disp = fr->hit + (int32_t)i * 8 };

		x86_load(c, 8, false, RAX, &m);
		capture(c, i);
	}
}

static void deep(struct code *c, const struct frame *fr)
{
	for (int i = 8; i <= 504; i += 8) {
		struct mem m = { .base = RSP, .disp = fr->stack - i };

		x86_store_imm(c, 8, &m, -1);
	}
	code_call(c, (uint64_t)fake_helper);
}

int code_inline(struct code *c, const struct code_env *env, uint32_t prog,
		const struct bpf_prog *p, const struct facts *f,
		const struct regmap *m, const struct frame *fr,
		struct code_fails *fails, struct err *e)
{
	(void)fails;
	(void)env;
	(void)p;
	(void)m;
	(void)e;
	assert_ptr_equal(f, &facts[prog]);
	if (prog == RUIN)
		ruin(c, fr);
	if (prog == LOOK)
		look(c, fr);
	if (prog == HIT)
		copy_hit(c, fr);
	if (prog == DEEP)
		deep(c, fr);
	return 0;
}

/* None of them has guards. */
void code_failed(struct code *c, const struct code_env *env,
		 const struct code_fails *fails)
{
	(void)c;
	(void)env;
	(void)fails;
}

/* --- this program as an image ------------------------------------------- */

static struct arena arena;
static struct image img;
static struct sites sites;
static struct segment seg;

static size_t fixture_count(void)
{
	return (size_t)(fixtures_end - fixtures);
}

static void image_make(void)
{
	size_t n = fixture_count();
	size_t size = (size_t)(fixture_text_end - fixture_text);

	seg = (struct segment){ .type = PT_LOAD, .flags = PF_R | PF_X,
				.vaddr = (uint64_t)fixture_text,
				.filesz = size, .memsz = size, .align = 4096 };
	img = (struct image){ .path = "self", .type = ET_DYN, .seg = &seg,
			      .nseg = 1, .nsym = n,
			      .file = { arena_dup(&arena, fixture_text, size),
					size } };
	img.sym = arena_alloc(&arena, n * sizeof(*img.sym));
	for (size_t i = 0; i < n; i++)
		img.sym[i] = (struct symbol){
			.name = fixtures[i].name, .addr = fixtures[i].fn,
			.size = fixtures[i].end - fixtures[i].fn,
			.type = STT_FUNC, .bind = STB_GLOBAL };
}

/* Back to behind the int3; an ud2 is skipped. */
static void resume(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)info;
	if (sig == SIGILL)
		u->uc_mcontext.gregs[REG_RIP] += 2;
}

static void signals(void)
{
	struct sigaction sa = { .sa_sigaction = resume,
				.sa_flags = SA_SIGINFO | SA_ONSTACK };
	static uint8_t own[1 << 16];
	stack_t alt = { .ss_sp = own, .ss_size = sizeof(own) };

	sigaltstack(&alt, NULL);

	sigaction(SIGTRAP, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
}

/* Within reach of the fixture; where the heap is, differs from run to run. */
static uint8_t *map_near(size_t size)
{
	uint64_t at = (uint64_t)fixture_text_end & ~UINT64_C(4095);
	uint8_t *p;

	for (uint64_t off = 64 << 20; off < 1 << 30; off += 64 << 20) {
		p = mmap((void *)(at + off), size, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == (uint8_t *)(at + off))
			return p;
	}
	return NULL;
}

static int group_setup(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(mprotect(fixture_text,
				  align_up((uint64_t)(fixture_text_end -
						      fixture_text),
					   4096),
				  PROT_READ | PROT_WRITE | PROT_EXEC),
			 0);
	rx = map_near(RX_SIZE + RW_SIZE);
	assert_non_null(rx);
	rw = rx + RX_SIZE;
	gates_at = (uint64_t)rw + GATES;
	image_make();
	assert_int_equal(sites_find(&arena, &img, &sites, &e), 0);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	munmap(rx, RX_SIZE);
	munmap(rw, RW_SIZE);
	arena_free(&arena);
	return 0;
}

/* --- running ------------------------------------------------------------ */

static uint64_t rng;
static uint64_t random64(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void cpu_random(struct cpu *cpu, unsigned seed)
{
	enum { ARITH = 0x8d5, ALWAYS_ON = 0x202 };

	rng = 0x9e3779b97f4a7c15 * (seed + 1);
	for (int r = 0; r < NREG; r++)
		cpu->r[r] = random64();
	cpu->flags = (random64() & ARITH) | ALWAYS_ON;
	for (size_t i = 0; i < STACK / 8; i++)
		stack[i] = random64();
}

/* What the target can see of the stack: from its red zone up. */
enum { SP_AT = STACK / 8 - 64, SEEN = SP_AT - 1 - RED / 8 };

static void fixture_run(const struct fixture *f, unsigned seed,
			struct cpu *cpu, uint64_t *seen)
{
	signals(); /* each test anew: cmocka wants SIGILL for itself */
	cpu_random(cpu, seed);
	run_fixture(f->fn, cpu, &stack[SP_AT]);
	memcpy(seen, &stack[SEEN], STACK - SEEN * 8);
}

static void check_capture(const struct fixture *f, unsigned seed)
{
	const uint64_t *got = (const uint64_t *)(rw + CAPTURE);
	struct cpu in;

	cpu_random(&in, seed);
	for (unsigned i = 0; i < sizeof(word_reg); i++)
		assert_int_equal(got[i], in.r[word_reg[i]]);
	assert_int_equal(got[offsetof(struct hit, flags) / 8], in.flags);
	assert_int_equal(got[offsetof(struct hit, sp) / 8],
			 (uint64_t)&stack[SP_AT - 1]);
	(void)f;
}

static void check_hit(const struct fixture *f)
{
	const struct hit *got = (const struct hit *)(rw + CAPTURE);

	assert_int_equal(got->ip, f->site);
	assert_int_equal(got->func_ip, f->site);
	assert_int_equal(got->orig_ax, UINT64_MAX);
	assert_int_equal(got->cs, USER_CS);
	assert_int_equal(got->ss, USER_SS);
	assert_int_equal(got->cookie, 0x1234567890);
}

/* One fixture, patched or not, with all seeds. */
enum { SEEDS = 16, SEEN_WORDS = STACK / 8 - SEEN };
struct result {
	struct cpu cpu[SEEDS];
	uint64_t seen[SEEDS][SEEN_WORDS];
};

static void results_get(struct result *out)
{
	for (size_t i = 0; i < fixture_count(); i++)
		for (unsigned s = 0; s < SEEDS; s++)
			fixture_run(&fixtures[i], s, &out[i].cpu[s],
				    out[i].seen[s]);
}

static const struct region_count *count_of(size_t probe)
{
	return (const struct region_count *)(rw + COUNTS) + probe;
}

static void compare(const struct fixture *f, const struct result *want,
		    unsigned s)
{
	uint64_t seen[SEEN_WORDS];
	struct cpu cpu;

	fixture_run(f, s, &cpu, seen);
	if (memcmp(&cpu, &want->cpu[s], sizeof(cpu)) ||
	    memcmp(seen, want->seen[s], sizeof(seen))) {
		print_message("%s differs, seed %u\n", f->name, s);
		for (int r = 0; r < NREG; r++)
			if (cpu.r[r] != want->cpu[s].r[r])
				print_message("  r%d 0x%lx, was 0x%lx\n", r,
					      cpu.r[r], want->cpu[s].r[r]);
		for (int i = 0; i < SEEN_WORDS; i++)
			if (seen[i] != want->seen[s][i])
				print_message("  stack[%d] 0x%lx, was 0x%lx\n",
					      i, seen[i], want->seen[s][i]);
		fail_msg("%s is not the same when patched", f->name);
	}
}

static void patches_write(const struct built *b, bool undo)
{
	for (size_t i = 0; i < b->nedit; i++) {
		const struct edit *ed = &b->edit[i];

		memcpy((void *)ed->vaddr,
		       undo ? image_at(&img, ed->vaddr, ed->len) : ed->bytes,
		       ed->len);
	}
}

/* Weld `prog` to every fixture's site. */
static void links_make(struct arena *a, const enum prog *prog, size_t nprog,
		       struct links *out)
{
	*out = (struct links){ 0 };
	out->link = arena_alloc(a, fixture_count() * nprog *
					   sizeof(*out->link));
	for (size_t i = 0; i < fixture_count(); i++)
		for (size_t k = 0; k < nprog; k++)
			out->link[out->nlink++] = (struct link){
				.prog = prog[k], .addr = fixtures[i].site,
				.func = func_at(&sites, fixtures[i].fn),
				.cookie = 0x1234567890 };
}

static void weld_all(struct arena *a, struct links *links, struct plan *plan,
		     struct built *built)
{
	static const struct region region = { .gates = GATES,
					      .counts = COUNTS };
	static const struct bpf_set set = { .prog = progs, .nprog = NPROG };
	struct code c = { .a = a, .vaddr = (uint64_t)rx };
	uint32_t *probe_of = arena_alloc(a, links->nlink * 4);
	struct build_env env = { .code = { .set = &set, .region = &region,
					   .own_rw = OWN },
				 .facts = facts,
				 .probe_of = probe_of };
	struct err e = { 0 };

	for (size_t i = 0; i < links->nlink; i++)
		probe_of[i] = (uint32_t)i;
	assert_int_equal(plan_make(a, &sites, links, plan, &e), 0);
	for (size_t i = 0; i < plan->nrefusal; i++)
		print_message("%s: %s\n",
			      links->link[plan->refusal[i].link].func->name,
			      plan->refusal[i].why);
	assert_int_equal(plan->nrefusal, 0);
	if (patch_build(&c, &sites, links, plan, &env, built, &e))
		fail_msg("%s", e.what);
	assert_false(c.too_far);
	assert_true(c.n < RX_SIZE);
	code_resolve(&c, (uint64_t)rw);
	memcpy(rx, c.p, c.n);
}

static bool has(const enum prog *prog, size_t n, enum prog what)
{
	for (size_t k = 0; k < n; k++)
		if (prog[k] == what)
			return true;
	return false;
}

static void weld_and_compare(const enum prog *prog, size_t nprog)
{
	struct result *want = calloc(fixture_count(), sizeof(*want));
	struct arena a = { 0 };
	struct links links;
	struct plan plan;
	struct built built;

	assert_non_null(want);
	results_get(want);
	links_make(&a, prog, nprog, &links);
	weld_all(&a, &links, &plan, &built);
	memset(rw, 0, RW_SIZE);
	patches_write(&built, false);
	for (size_t i = 0; i < fixture_count(); i++) {
		const struct fixture *f = &fixtures[i];

		memset(rw + GATES, 0, links.nlink);
		gates_at = (uint64_t)rw + GATES + i * nprog;
		for (unsigned s = 0; s < SEEDS; s++) {
			/* The owner's stack is anything above 0, or nothing. */
			*(uint64_t *)(rw + OWN) = (uint64_t)(s & 1) << 63;
			compare(f, &want[i], s);
			if (!switched_off && f->site == f->fn &&
			    (has(prog, nprog, LOOK) || has(prog, nprog, HIT)))
				check_capture(f, s);
			if (!switched_off && prog[nprog - 1] == HIT)
				check_hit(f);
		}
	}
	patches_write(&built, true);
	for (size_t i = 0; i < links.nlink; i++)
		if (strcmp(fixtures[i / nprog].name, "ret_inside")) {
			uint64_t half = SEEDS / 2 * fixtures[i / nprog].hits;

			if (switched_off)
				half = 0;
			assert_int_equal(count_of(i)->hits, half);
			assert_int_equal(count_of(i)->own, half);
		}
	arena_free(&a);
	free(want);
}

#define WELD(...)                                                              \
	do {                                                                   \
		static const enum prog p[] = { __VA_ARGS__ };                  \
		weld_and_compare(p, sizeof(p) / sizeof(*p));                   \
	} while (0)

static void test_empty(void **state)
{
	(void)state;
	WELD(EMPTY);
}

static void test_ruin(void **state)
{
	(void)state;
	WELD(RUIN);
}

static void test_look(void **state)
{
	(void)state;
	WELD(LOOK);
}

static void test_hit(void **state)
{
	(void)state;
	WELD(HIT);
}

static void test_deep(void **state)
{
	(void)state;
	WELD(DEEP);
}

static void test_several(void **state)
{
	(void)state;
	WELD(RUIN, LOOK);
	WELD(RUIN, EMPTY, DEEP, HIT);
	WELD(HIT, RUIN, LOOK);
}

static void test_switched_off(void **state)
{
	(void)state;
	switched_off = true;
	WELD(EMPTY);
	WELD(HIT, RUIN);
	switched_off = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),   cmocka_unit_test(test_ruin),
		cmocka_unit_test(test_look),    cmocka_unit_test(test_hit),
		cmocka_unit_test(test_deep),    cmocka_unit_test(test_several),
		cmocka_unit_test(test_switched_off),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
