/* SPDX-License-Identifier: MIT */
/* engine.c - programs run three ways.
 *
 * The inline form runs on a block of memory that stands for the trampoline's
 * frame; the thunk points rsp at it:
 *
 *   | room for calls | BPF stack | real rsp | registers before | after | hit
 *                    ^ rsp
 */
#include "engine.h"

#include <string.h>
#include <sys/mman.h>

#include "rewriter/code/known.h"
#include "rewriter/code/x86.h"
#include "runtime-stub/vm.h"

const char *const engine_names[RUN_KINDS] = { "native", "inline", "vm" };

enum {
	CALL_ROOM = 64 << 10,
	HIT_ROOM = 64 << 10,
	CODE_ROOM = 1 << 20,
};

struct block {
	uint8_t calls[CALL_ROOM];
	/* rsp points here; r10 to its end */
	uint8_t stack[512 + sizeof(struct run)];
	uint64_t real_rsp;
	uint64_t before[NREG], after[NREG];
	uint64_t flags;
	uint8_t hit[HIT_ROOM];
};
#define FRAME_OFF(field) ((int32_t)(offsetof(struct block, field) - CALL_ROOM))

void run_find_subs(struct arena *a, struct bpf_prog *p)
{
	bool *starts = arena_alloc(a, p->ninsn + 1);

	starts[0] = true;
	for (uint32_t i = 0; i < p->ninsn; i++)
		if (p->insn[i].code == (BPF_JMP | BPF_CALL) &&
		    p->insn[i].src_reg == BPF_PSEUDO_CALL &&
		    i + 1 + (uint32_t)p->insn[i].imm < p->ninsn)
			starts[i + 1 + (uint32_t)p->insn[i].imm] = true;
	p->nsub = 0;
	for (uint32_t i = 0; i < p->ninsn; i++)
		if (starts[i]) {
			p->sub =
				arena_push(a, p->sub, p->nsub, sizeof(*p->sub));
			p->sub[p->nsub++] = i;
		}
}

/* Code has to be within 2 GiB of weld_region. */
static uint8_t *code_buffer(void)
{
	static uint8_t *p;
	uint64_t hint = ((uint64_t)weld_region & ~UINT64_C(0xfff)) + (1 << 28);

	for (int i = 0; i < 16 && !p; i++, hint += 1 << 26) {
		void *q =
			mmap((void *)hint, CODE_ROOM, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			     -1, 0);

		if (q != MAP_FAILED)
			p = q;
	}
	return p;
}

static int make_runnable(struct code *c, uint8_t **at, struct err *e)
{
	uint8_t *to = code_buffer();

	code_resolve(c, (uint64_t)weld_region);
	if (!to || c->n > CODE_ROOM || c->too_far)
		return fail(e, NULL, NOWHERE, "no room for the code");
	if (mprotect(to, CODE_ROOM, PROT_READ | PROT_WRITE))
		return fail(e, NULL, NOWHERE, "mprotect failed");
	memcpy(to, c->p, c->n);
	if (mprotect(to, CODE_ROOM, PROT_READ | PROT_EXEC))
		return fail(e, NULL, NOWHERE, "mprotect failed");
	*at = to;
	return 0;
}

static int run_native(struct code *c, const struct code_env *env, struct trial *r,
		      struct err *e)
{
	uint64_t main_at;
	uint8_t *base;

	if (code_function(c, env, 0, &r->prog, 0, &main_at, e) ||
	    make_runnable(c, &base, e))
		return -1;
	r->result = ((uint64_t(*)(void *, uint64_t))main_at)(r->mem, r->len);
	return 0;
}

/* void thunk(void *rsp): what C keeps is pushed on the real stack. */
static void thunk_enter(struct code *c)
{
	struct mem m = { .base = RDI, .disp = FRAME_OFF(real_rsp) };

	code_bytes(c, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);
	x86_store(c, 8, &m, RSP);
	x86_mov(c, 8, RSP, RDI);
	m.base = RSP;
	for (int r = 0; r < NREG; r++) {
		m.disp = FRAME_OFF(before) + 8 * r;
		if (r != RSP)
			x86_load(c, 8, false, r, &m);
	}
}

static void thunk_leave(struct code *c)
{
	struct mem m = { .base = RSP };

	for (int r = 0; r < NREG; r++) {
		m.disp = FRAME_OFF(after) + 8 * r;
		x86_store(c, 8, &m, r);
	}
	m.disp = FRAME_OFF(real_rsp);
	x86_load(c, 8, false, RSP, &m);
	code_bytes(c, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

/* The trampoline's choice: what is overwritten and read through ctx is read
 * from where it was saved. */
static struct frame frame_for(const struct regmap *m, uint64_t site)
{
	struct frame fr = {
		.flags = FRAME_OFF(flags),
		.stack = sizeof(((struct block *)0)->stack),
		.hit = FRAME_OFF(hit),
		.below = 4096,
		.sp = 4096,
		.ip = -1,
		.site = site,
		.cookie = 77,
		.func_ip = site,
		.probe = HOSTED_PROBE,
	};

	for (int r = 0; r < NREG; r++)
		fr.slot[r] = m->clobbers & REG_BIT(r)
				     ? FRAME_OFF(before) + 8 * r
				     : -1;
	return fr;
}

static const uint8_t order[15] = { R15, R14, R13, R12, RBP, RBX, R11, R10,
				   R9,  R8,  RAX, RCX, RDX, RSI, RDI };

static void fill_block(struct block *b, struct trial *r, uint64_t site)
{
	struct hit *hit = (struct hit *)r->mem;

	for (int i = 0; i < NREG; i++)
		b->before[i] = 0x1111111111111111 * (uint64_t)(i + 1);
	if (r->pt_regs) {
		for (int i = 0; i < 15; i++)
			memcpy(&b->before[order[i]], r->mem + 8 * i, 8);
		b->flags = hit->flags;
		hit->sp = (uint64_t)b->stack + 4096;
		hit->ip = site;
	}
	memcpy(b->hit, r->mem, r->len);
}

static int check_block(const struct block *b, uint32_t clobbers, struct err *e)
{
	for (int r = 0; r < NREG; r++)
		if (r != RSP && !(clobbers & REG_BIT(r)) &&
		    b->before[r] != b->after[r])
			return fail(e, NULL, NOWHERE,
				    "register %d was overwritten", r);
	return 0;
}

static int run_inline(struct arena *a, struct code *c,
		      const struct code_env *env, struct trial *r, struct err *e)
{
	static struct block block __attribute__((aligned(16)));
	struct known known;
	struct facts facts;
	struct regmap map;
	struct code_fails fails;
	struct frame fr;
	uint64_t start = code_here(c);
	size_t body;
	uint8_t *base;

	if (known_make(a, env->set, &r->prog, 0, FORM_TEST, &known, e))
		return -1;
	known.ctx_escapes |= !r->pt_regs;
	known_facts(&known, &facts);
	code_assign(&facts, r->free_regs, 0, &map);
	if (map.of[0] < 0)
		return fail(e, NULL, NOWHERE, "the program has no result");
	fr = frame_for(&map, start);
	thunk_enter(c);
	body = c->n;
	if (code_inline(c, env, 0, &r->prog, &facts, &map, &fr, &fails, e))
		return -1;
	if (c->n - body > facts.size)
		return fail(e, NULL, NOWHERE, "%zu bytes instead of %u",
			    c->n - body, facts.size);
	thunk_leave(c);
	code_failed(c, env, &fails);
	if (r->len > HIT_ROOM || make_runnable(c, &base, e))
		return -1;
	fill_block(&block, r, start);
	((void (*)(void *))start)(block.stack);
	memcpy(r->mem, block.hit, r->len);
	r->result = block.after[map.of[0]];
	return check_block(&block, map.clobbers, e);
}

int run_engine(struct arena *a, enum engine_kind kind, struct trial *r,
	       struct err *e)
{
	uint64_t *sub = arena_alloc(a, (r->prog.nsub + 1) * sizeof(*sub));
	const uint64_t *const subs[] = { sub };
	struct code c = { .a = a, .vaddr = (uint64_t)code_buffer() };
	struct code_env env = {
		.set = r->set,
		.region = r->set ? hosted_region() : NULL,
		.info_vaddr = (uint64_t)&weld_info,
		.sub = subs,
		.helper = hosted_helper,
	};

	if (kind == RUN_VM) {
		r->result = vm_run(r->prog.insn, (uint64_t)r->mem, r->len);
		return 0;
	}
	if (code_subprograms(&c, &env, 0, &r->prog, sub, e))
		return -1;
	code_align(&c, 16, 0xcc);
	if (kind == RUN_NATIVE)
		return run_native(&c, &env, r, e);
	return run_inline(a, &c, &env, r, e);
}
