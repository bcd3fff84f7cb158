/* SPDX-License-Identifier: MIT */
/* tramp.c - the code that runs when a site is hit.
 *
 *   site: jmp tramp  -->  tramp: [save]                    frame.c
 *                                cmpb $0, gate             for each program
 *                                je   cold
 *                         run:   cmp  %rsp, weld_own       may this thread
 *                                js   locked               count alone?
 *                                incq own
 *                         body:  ...
 *                         next:  [restore]
 *                                displaced instructions    displace.c
 *   back: ...        <--         jmp  back
 *
 *                         cold:  call weld_arm
 *                                cmpb $0, gate
 *                                jne  run
 *                                jmp  next
 *                       locked:  lock incq hits
 *                                jmp  body
 *
 * A gate is 0 until the region is mapped, and when its probe is switched off;
 * weld_arm tells the two apart and preserves every register and flag.
 *
 * Programs of one site run in the order of the links.  Each may overwrite what
 * is dead at the site; what is live, or what a later program reads, is saved
 * once for all.  When nothing is, there is no frame, and a hit costs two jumps,
 * two tests and the count.  (own.c in the stub has what the second test means.)
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/code/x86.h"
#include "rewriter/patch/frame.h"

/* How a program is run. */
enum form { FORM_INLINE, FORM_FUNCTION, FORM_VM };

struct cold {
	size_t je, js; /* offsets of the rel32s that lead here */
	uint64_t run, body, next;
};

struct tramp {
	struct code *c;
	const struct image *img;
	const struct links *links;
	const struct build_env *env;
	struct patch *p;
	uint32_t seen;      /* registers and flags that programs of any site
			       read through ctx */
	struct needs needs;
	struct keep keep;
	struct regmap *map; /* per link of the patch */
	struct cold *cold;  /* per link of the patch */
	struct depths depths;
	bool called;        /* the site calls the trampoline */
	struct err *e;
};

enum {
	CALLER_SAVED = REG_BIT(RAX) | REG_BIT(RCX) | REG_BIT(RDX) |
		       REG_BIT(RSI) | REG_BIT(RDI) | REG_BIT(R8) |
		       REG_BIT(R9) | REG_BIT(R10) | REG_BIT(R11),
	CTX_FLAGS = 1u << (offsetof(struct hit, flags) / 8),
};

/* The register behind each word of pt_regs; the others are no registers. */
static uint32_t ctx_regs(uint32_t words)
{
	static const uint8_t reg[] = { R15, R14, R13, R12, RBP,
				       RBX, R11, R10, R9,  R8,
				       RAX, RCX, RDX, RSI, RDI };
	uint32_t regs = 0;

	for (size_t i = 0; i < sizeof(reg); i++)
		if (words & 1u << i)
			regs |= REG_BIT(reg[i]);
	return regs;
}

/* A register that the target will not read again may still be seen: by the
 * next probe's program, and there it must be what the kernel would show. */
static uint32_t seen_by_programs(const struct links *links,
				 const struct facts *facts)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < links->nlink; i++) {
		const struct facts *f = &facts[links->link[i].prog];

		seen |= ctx_regs(f->ctx_reads);
		if (f->ctx_escapes)
			seen |= ALL_REGS | FLAGS_BIT;
		if (f->ctx_reads & CTX_FLAGS)
			seen |= FLAGS_BIT;
	}
	return seen;
}

static const struct link *link_of(const struct tramp *t, uint32_t k)
{
	return &t->links->link[t->p->link + k];
}

static const struct facts *facts_of(const struct tramp *t, uint32_t k)
{
	return &t->env->facts[link_of(t, k)->prog];
}

static enum form form_of(const struct tramp *t, uint32_t k)
{
	if (t->env->engine == ENGINE_VM)
		return FORM_VM;
	if (t->env->func_of && t->env->func_of[link_of(t, k)->prog])
		return FORM_FUNCTION;
	return FORM_INLINE;
}

static void needs_of_link(struct tramp *t, uint32_t k)
{
	const struct facts *f = facts_of(t, k);
	struct needs *n = &t->needs;
	uint32_t free_regs = ALL_REGS & ~n->live & ~REG_BIT(RSP);

	if (form_of(t, k) != FORM_INLINE) {
		n->hit = n->calls = true;
		n->clobbers |= CALLER_SAVED;
		return;
	}
	code_assign(f, free_regs, n->reads, &t->map[k]);
	n->clobbers |= t->map[k].clobbers;
	if (f->calls) {
		n->calls = true;
		n->clobbers |= CALLER_SAVED;
	}
	if (f->stack > n->stack)
		n->stack = f->stack;
	n->hit |= f->ctx_escapes;
	n->reads_flags |= (f->ctx_reads & CTX_FLAGS) != 0;
}

static void needs_gather(struct tramp *t)
{
	struct needs *n = &t->needs;

	n->live = t->p->live.regs | (t->seen & ALL_REGS) |
		  frame_needs(t->c->a, t->img, t->p->at);
	n->live_flags = t->p->live.flags || t->seen & FLAGS_BIT;
	for (uint32_t k = 0; k < t->p->nlink; k++)
		n->reads |= ctx_regs(facts_of(t, k)->ctx_reads);
	for (uint32_t k = 0; k < t->p->nlink; k++)
		needs_of_link(t, k);
}

static uint64_t gate_rw(const struct tramp *t, uint32_t k)
{
	return t->env->code.region_rw + t->env->code.region->gates +
	       t->env->probe_of[t->p->link + k];
}

static uint64_t count_rw(const struct tramp *t, uint32_t k)
{
	return t->env->code.region_rw + t->env->code.region->counts +
	       t->env->probe_of[t->p->link + k] * sizeof(struct region_count);
}

static void gate_test(struct tramp *t, uint32_t k)
{
	static const uint8_t cmpb[] = { 0x80, 0x3d };

	code_bytes(t->c, cmpb, sizeof(cmpb));
	code_rw32(t->c, gate_rw(t, k), 1);
	code_u8(t->c, 0);
}

static void hit_count(struct tramp *t, uint32_t k)
{
	static const uint8_t cmp_rsp[] = { 0x48, 0x39, 0x25 };
	static const uint8_t incq[] = { 0x48, 0xff, 0x05 };

	code_bytes(t->c, cmp_rsp, sizeof(cmp_rsp));
	code_rw32(t->c, t->env->code.own_rw, 0);
	code_jcc(t->c, COND_S, code_here(t->c));
	t->cold[k].js = t->c->n - 4;
	code_bytes(t->c, incq, sizeof(incq));
	code_rw32(t->c, count_rw(t, k) + offsetof(struct region_count, own), 0);
	t->cold[k].body = code_here(t->c);
}

static void hit_count_locked(struct tramp *t, uint32_t k)
{
	static const uint8_t lock_incq[] = { 0xf0, 0x48, 0xff, 0x05 };

	code_land(t->c, t->cold[k].js);
	code_bytes(t->c, lock_incq, sizeof(lock_incq));
	code_rw32(t->c, count_rw(t, k) + offsetof(struct region_count, hits),
		  0);
	code_jmp(t->c, t->cold[k].body);
}

static void run_function(struct tramp *t, uint32_t k)
{
	struct mem hit = { .base = RSP, .disp = t->keep.f.hit };

	x86_lea(t->c, RDI, &hit);
	code_call(t->c, t->env->func_of[link_of(t, k)->prog]);
}

static void run_vm(struct tramp *t, uint32_t k)
{
	struct mem insns = { .base = MEM_RX,
			     .to = t->env->vm_insns[link_of(t, k)->prog] };
	struct mem hit = { .base = RSP, .disp = t->keep.f.hit };

	x86_lea(t->c, RDI, &insns);
	x86_lea(t->c, RSI, &hit);
	code_call(t->c, stub_symbol(t->env->code.stub, "weld_vm"));
}

static int run(struct tramp *t, uint32_t k)
{
	const struct link *l = link_of(t, k);

	t->keep.f.site = l->addr;
	t->keep.f.func_ip = l->addr;
	t->keep.f.cookie = l->cookie;
	if (t->keep.hit)
		frame_hit_for(t->c, &t->keep);
	switch (form_of(t, k)) {
	case FORM_FUNCTION:
		run_function(t, k);
		return 0;
	case FORM_VM:
		run_vm(t, k);
		return 0;
	default:
		return code_inline(t->c, &t->env->code, l->prog,
				   &t->env->code.set->prog[l->prog],
				   facts_of(t, k), &t->map[k], &t->keep.f,
				   t->e);
	}
}

static int program(struct tramp *t, uint32_t k)
{
	struct cold *cold = &t->cold[k];

	gate_test(t, k);
	code_jcc(t->c, COND_E, code_here(t->c));
	cold->je = t->c->n - 4;
	cold->run = code_here(t->c);
	hit_count(t, k);
	if (run(t, k))
		return -1;
	cold->next = code_here(t->c);
	return 0;
}

static void step(struct tramp *t, int32_t by)
{
	struct mem m = { .base = RSP, .disp = -by };

	if (by == 0)
		return;
	x86_lea(t->c, RSP, &m);
	depth_change(&t->depths, t->c, by);
}

/* The way to weld_arm.  Its own frame lies below; without one, the red zone
 * has to be stepped over. */
static void cold_path(struct tramp *t, uint32_t k)
{
	const struct cold *cold = &t->cold[k];
	int32_t over = t->keep.size ? 0 : 128;

	code_land(t->c, cold->je);
	step(t, over);
	code_call(t->c, stub_symbol(t->env->code.stub, "weld_arm"));
	step(t, -over);
	gate_test(t, k);
	code_jcc(t->c, COND_NE, cold->run);
	code_jmp(t->c, cold->next);
	hit_count_locked(t, k);
}

static int tramp_write(struct tramp *t)
{
	struct depths *d = &t->depths;
	struct depth body;

	if (t->called)
		depth_change(d, t->c, 8);
	frame_enter(t->c, &t->keep, d);
	body = d->now;
	for (uint32_t k = 0; k < t->p->nlink; k++)
		if (program(t, k))
			return -1;
	frame_leave(t->c, &t->keep, d);
	displace(t->c, t->img, t->p, t->called, d);
	d->now = body;
	depth_note(d, t->c);
	for (uint32_t k = 0; k < t->p->nlink; k++)
		cold_path(t, k);
	return 0;
}

static int tramp_build(struct tramp *t)
{
	struct patch *p = t->p;

	code_align(t->c, 16, 0xcc);
	p->tramp = code_here(t->c);
	t->depths.start = p->tramp;
	t->called = !p->hop && !p->lends && displace_by_call(t->img, p);
	t->map = arena_alloc(t->c->a, p->nlink * sizeof(*t->map));
	t->cold = arena_alloc(t->c->a, p->nlink * sizeof(*t->cold));
	needs_gather(t);
	frame_lay_out(&t->keep, &t->needs, t->called ? 8 : 0);
	p->saved = t->keep.saved | (t->keep.arith >= 0 ? FLAGS_BIT : 0);
	if (tramp_write(t))
		return -1;
	p->tramp_size = code_here(t->c) - p->tramp;
	if (t->c->too_far)
		return refuse(t->e, t->img->path, p->site,
			      "something the displaced instructions refer to "
			      "is over 2 GiB from their new place");
	return 0;
}

/* A site without a frame description in the target gets none from us, except
 * a function's entry, where the state is known. */
static void frame_describe(struct built *out, const struct tramp *t)
{
	const struct patch *p = t->p;
	const struct fde *fde = image_fde(t->img, p->at);

	if (!fde && p->site != p->func->addr)
		return;
	out->frame = arena_push(t->c->a, out->frame, out->nframe,
				sizeof(*out->frame));
	out->frame[out->nframe++] = (struct frame_desc){
		.start = p->tramp,
		.size = p->tramp_size,
		.of = fde,
		.pc = p->at,
		.depth = t->depths.v,
		.ndepth = t->depths.n,
	};
}

enum { CALL = 0xe8, JMP = 0xe9, JMP8 = 0xeb, INT3 = 0xcc, CS = 0x2e, SIZE = 5 };

static int jump_put(const struct tramp *t, uint8_t *b, uint8_t op,
		    uint64_t from)
{
	int64_t rel = (int64_t)(t->p->tramp - (from + SIZE));

	if (!fits32(rel))
		return refuse(t->e, t->img->path, t->p->site,
			      "the new code is over 2 GiB away");
	b[0] = op;
	memcpy(b + 1, &(int32_t){ (int32_t)rel }, 4);
	return 0;
}

static uint8_t *edit_add(const struct tramp *t, struct built *out, uint64_t at,
			 size_t len)
{
	uint8_t *b = arena_alloc(t->c->a, len);

	out->edit[out->nedit++] = (struct edit){ at, b, len };
	return b;
}

/* The site's new bytes: a jump at its start, or a call that ends where the
 * displaced call did.  Prefixes without a meaning make it begin at the start:
 * behind nops, it would stand where frame descriptions take the displaced
 * instructions for executed. */
static int site_edit(const struct tramp *t, struct built *out)
{
	const struct patch *p = t->p;
	size_t at = t->called ? p->len - (size_t)SIZE : 0;
	uint8_t *b = edit_add(t, out, p->at, p->len);

	memset(b, INT3, p->len);
	memset(b, CS, at);
	if (!p->hop)
		return jump_put(t, b + at, t->called ? CALL : JMP, p->at + at);
	b[0] = JMP8;
	b[1] = (uint8_t)(p->hop - (p->at + 2));
	return 0;
}

/* The patch whose bytes hold addr; patches are sorted. */
static const struct patch *lender(const struct plan *plan, uint64_t addr)
{
	size_t lo = 0, hi = plan->npatch;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (plan->patch[mid].at <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr < plan->patch[lo - 1].at + plan->patch[lo - 1].len
		       ? &plan->patch[lo - 1]
		       : NULL;
}

/* Into another patch's edit, or one of its own. */
static int hop_edit(const struct tramp *t, const struct plan *plan,
		    struct built *out)
{
	const struct patch *p = t->p, *q = lender(plan, p->hop);
	uint8_t *b = q ? (uint8_t *)out->edit[q - plan->patch].bytes +
				 (p->hop - q->at)
		       : edit_add(t, out, p->hop, SIZE);

	return jump_put(t, b, JMP, p->hop);
}

static void hop_describe(struct built *out, const struct tramp *t)
{
	const struct patch *p = t->p;
	const struct fde *fde = image_fde(t->img, p->at);

	if (image_fde(t->img, p->hop) || (!fde && p->site != p->func->addr))
		return;
	out->frame = arena_push(t->c->a, out->frame, out->nframe,
				sizeof(*out->frame));
	out->frame[out->nframe++] = (struct frame_desc){
		.start = p->hop, .size = SIZE, .of = fde, .pc = p->at
	};
}

static int by_vaddr(const void *x, const void *y)
{
	const struct edit *p = x, *q = y;

	return (p->vaddr > q->vaddr) - (p->vaddr < q->vaddr);
}

/* When all sites have theirs. */
static int hops_build(struct tramp *t, struct plan *plan, struct built *out)
{
	size_t n = out->nedit;

	for (size_t i = 0; i < plan->npatch; i++) {
		t->p = &plan->patch[i];
		if (!t->p->hop)
			continue;
		if (hop_edit(t, plan, out))
			return -1;
		hop_describe(out, t);
	}
	if (out->nedit > n)
		qsort(out->edit, out->nedit, sizeof(*out->edit), by_vaddr);
	return 0;
}

int patch_build(struct code *rx, const struct sites *s,
		const struct links *links, struct plan *plan,
		const struct build_env *env, struct built *out, struct err *e)
{
	const struct tramp blank = {
		.c = rx,
		.img = s->img,
		.links = links,
		.env = env,
		.seen = seen_by_programs(links, env->facts),
		.depths = { .a = rx->a },
		.e = e,
	};
	struct tramp t = blank;

	*out = (struct built){ 0 };
	out->edit = arena_alloc(rx->a,
				(2 * plan->npatch + 1) * sizeof(*out->edit));
	for (size_t i = 0; i < plan->npatch; i++) {
		t = blank;
		t.p = &plan->patch[i];
		if (tramp_build(&t) || site_edit(&t, out))
			return -1;
		frame_describe(out, &t);
	}
	return hops_build(&t, plan, out);
}
