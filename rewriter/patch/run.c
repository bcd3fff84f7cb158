/* SPDX-License-Identifier: MIT */
/* run.c - the programs of one point.
 *
 *          [save]                    frame.c
 *          cmpb $0, gate             for each program
 *          je   cold
 *   run:   cmp  %rsp, weld_own       may this thread count alone?
 *          js   locked
 *          incq own
 *   body:  ...
 *   next:  [restore]
 *
 *   cold:  call weld_cold            locked:  lock incq hits
 *          jne  run                           jmp  body
 *          jmp  next                 miss:    ...      Go: no stack, count it
 *
 * A run that fails at a guard has one more cold path (rewriter/code/guard.c).
 *
 * A gate is 0 until the region is mapped, and when its probe is switched off;
 * weld_cold tells the two apart, preserves every register, and finds the gate
 * by the test in front of `run`.
 *
 * Programs of one point run in the order of the links.  Each may overwrite what
 * is dead there; what is live, or what a later program reads, is saved once for
 * all.  When nothing is, there is no frame, and a hit costs two jumps, two
 * tests and the count.  (own.c in the stub has what the second test means.)
 *
 * Where a program may have called bpf_override_return(), there is a frame, and
 * behind the programs a test whether the function is to return instead: one more
 * cold path, which ends in a ret.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "rewriter/patch/tramp.h"

/* How a program is run. */
enum form { FORM_INLINE, FORM_FUNCTION, FORM_VM };

enum {
	CALLER_SAVED = REG_BIT(RAX) | REG_BIT(RCX) | REG_BIT(RDX) |
		       REG_BIT(RSI) | REG_BIT(RDI) | REG_BIT(R8) |
		       REG_BIT(R9) | REG_BIT(R10) | REG_BIT(R11),
	CTX_FLAGS = 1u << (offsetof(struct hit, flags) / 8),
	CTX_IP = 1u << (offsetof(struct hit, ip) / 8),
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
uint32_t seen_by_programs(const struct links *links,
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

static const struct link *link_of(const struct tramp *t, const struct spot *s,
				  uint32_t k)
{
	return &t->links->link[s->pt->link + k];
}

static const struct facts *facts_of(const struct tramp *t,
				    const struct spot *s, uint32_t k)
{
	return &t->env->facts[link_of(t, s, k)->prog];
}

static enum form form_of(const struct tramp *t, const struct spot *s,
			 uint32_t k)
{
	uint32_t prog = link_of(t, s, k)->prog;

	if (t->env->engine == ENGINE_VM)
		return FORM_VM;
	if (t->env->func_of && t->env->func_of[prog])
		return FORM_FUNCTION;
	return FORM_INLINE;
}

static void needs_of_link(struct tramp *t, struct spot *s, uint32_t k)
{
	const struct facts *f = facts_of(t, s, k);
	struct needs *n = &s->needs;
	uint32_t free_regs = ALL_REGS & ~n->live & ~REG_BIT(RSP);

	if (form_of(t, s, k) != FORM_INLINE) {
		n->hit = n->calls = true;
		n->clobbers |= CALLER_SAVED;
		return;
	}
	code_assign(f, free_regs, n->reads, &s->map[k]);
	n->clobbers |= s->map[k].clobbers;
	if (f->calls) {
		n->calls = true;
		n->clobbers |= CALLER_SAVED;
	}
	if (f->stack > n->stack)
		n->stack = f->stack;
	n->hit |= f->ctx_escapes;
	n->reads_flags |= (f->ctx_reads & CTX_FLAGS) != 0;
	n->reads_ip |= (f->ctx_reads & CTX_IP) != 0;
}

/* ret, or ret $imm16: bytes it takes off the stack. */
static uint32_t pops_of(const struct tramp *t, const struct spot *s)
{
	const struct insn *in;
	const uint8_t *b;

	if (!s->at)
		return 8;
	in = &t->p->insn[s->pt->before];
	b = image_at(t->img, in->at, in->len);
	if (in->len < 3 || b[in->len - 3] != 0xc2)
		return 8;
	return 8u + b[in->len - 2] + 256u * b[in->len - 1];
}

int spot_prepare(struct tramp *t, struct spot *s)
{
	uint32_t nlink = s->pt->nlink;
	struct needs *n = &s->needs;

	s->map = arena_alloc(t->c->a, nlink * sizeof(*s->map));
	s->cold = arena_alloc(t->c->a, nlink * sizeof(*s->cold));
	n->live = s->pt->live.regs | (t->seen & ALL_REGS);
	if (s->at)
		n->live |= frame_needs(t->c->a, t->img, s->at);
	if (s->pt->overrides) /* the caller's are, which the function restores */
		n->live = ALL_REGS;
	n->live_flags = s->pt->live.flags || t->seen & FLAGS_BIT;
	n->returns = s->pt->kind == POINT_RETURN;
	if (n->returns)
		n->pops = pops_of(t, s);
	n->go = t->p->func->go != NULL;
	n->dead = ALL_REGS & ~(s->pt->live.regs | REG_BIT(RSP));
	n->claim = n->go ? stub_symbol(t->env->code.stub, "weld_stack_claim")
			 : 0;
	for (uint32_t k = 0; k < nlink; k++)
		n->reads |= ctx_regs(facts_of(t, s, k)->ctx_reads);
	for (uint32_t k = 0; k < nlink; k++)
		needs_of_link(t, s, k);
	n->hit |= s->pt->overrides;
	if (shared_wanted(t, s))
		return shared_body(t, s);
	frame_lay_out(&s->keep, n, t->called ? 8 : 0, t->plan->nlate != 0);
	return 0;
}

static uint64_t gate_rw(const struct tramp *t, const struct spot *s,
			uint32_t k)
{
	return t->env->code.region_rw + t->env->code.region->gates +
	       t->env->probe_of[s->pt->link + k];
}

static uint64_t count_rw(const struct tramp *t, const struct spot *s,
			 uint32_t k)
{
	return t->env->code.region_rw + t->env->code.region->counts +
	       t->env->probe_of[s->pt->link + k] *
		       sizeof(struct region_count);
}

static void gate_test(struct tramp *t, const struct spot *s, uint32_t k)
{
	static const uint8_t cmpb[] = { 0x80, 0x3d };

	code_bytes(t->c, cmpb, sizeof(cmpb));
	code_rw32(t->c, gate_rw(t, s, k), 1);
	code_u8(t->c, 0);
}

static void hit_count(struct tramp *t, const struct spot *s, uint32_t k)
{
	static const uint8_t cmp_rsp[] = { 0x48, 0x39, 0x25 };
	static const uint8_t incq[] = { 0x48, 0xff, 0x05 };
	struct cold *cold = &s->cold[k];

	code_bytes(t->c, cmp_rsp, sizeof(cmp_rsp));
	code_rw32(t->c, t->env->code.own_rw, 0);
	cold->js = code_branch(t->c, COND_S);
	code_bytes(t->c, incq, sizeof(incq));
	code_rw32(t->c,
		  count_rw(t, s, k) + offsetof(struct region_count, own), 0);
	cold->body = code_here(t->c);
}

static void count_locked(struct tramp *t, const struct spot *s, uint32_t k,
			 size_t what)
{
	static const uint8_t lock_incq[] = { 0xf0, 0x48, 0xff, 0x05 };

	code_bytes(t->c, lock_incq, sizeof(lock_incq));
	code_rw32(t->c, count_rw(t, s, k) + what, 0);
}

static void hit_count_locked(struct tramp *t, const struct spot *s, uint32_t k)
{
	code_branch_land(t->c, s->cold[k].js);
	count_locked(t, s, k, offsetof(struct region_count, hits));
	code_branch_to(t->c, COND_ALWAYS, s->cold[k].body);
}

static void run_function(struct tramp *t, const struct spot *s, uint32_t k)
{
	struct mem hit = { .base = RSP, .disp = s->keep.f.hit };

	x86_lea(t->c, RDI, &hit);
	code_call(t->c, t->env->func_of[link_of(t, s, k)->prog]);
}

static void run_vm(struct tramp *t, const struct spot *s, uint32_t k)
{
	struct mem insns = { .base = MEM_RX,
			     .to = t->env->vm_insns[link_of(t, s, k)->prog] };
	struct mem hit = { .base = RSP, .disp = s->keep.f.hit };

	x86_lea(t->c, RDI, &insns);
	x86_lea(t->c, RSI, &hit);
	code_call(t->c, stub_symbol(t->env->code.stub, "weld_vm"));
}

/* The number by which both sides of a session know it: that of the return's
 * probe, or NO_PROBE when there is none. */
enum { NO_PROBE = UINT32_MAX };
static uint32_t session_of(const struct tramp *t, const struct link *l)
{
	const struct link *end = t->links->link + t->links->nlink, *x;

	for (x = l; x < end && x->addr == l->addr; x++)
		if (x->session == l->session && x->when == WHEN_RETURNED)
			return t->env->probe_of[x - t->links->link];
	return NO_PROBE;
}

/* Call the stub for a session: where the function's return address is and
 * which session, or for weld_session_end the cell that it gave. */
static void session_call(struct tramp *t, const struct spot *s,
			 const struct link *l, const char *what)
{
	struct mem ret = { .base = RSP, .disp = (int32_t)s->keep.f.below };

	x86_lea(t->c, RDI, &ret);
	x86_set(t->c, RSI, session_of(t, l));
	code_call(t->c, stub_symbol(t->env->code.stub, what));
}

static void session_end(struct tramp *t, const struct spot *s)
{
	struct mem cell = { .base = RSP,
			    .disp = s->keep.f.hit + HIT_SESSION };

	x86_load(t->c, 8, false, RDI, &cell);
	code_call(t->c, stub_symbol(t->env->code.stub, "weld_session_end"));
}

static void session_keep(struct tramp *t, const struct spot *s)
{
	struct mem cell = { .base = RSP,
			    .disp = s->keep.f.hit + HIT_SESSION };

	x86_store(t->c, 8, &cell, RAX);
}

/* Which probe's run it is that may fail.  Shared bodies find it on the stack. */
static void probe_store(struct tramp *t, const struct spot *s, uint32_t k)
{
	struct mem to = { .base = RSP,
			  .disp = s->keep.f.hit +
				  (int32_t)offsetof(struct hit, probe) };

	if (s->shared) {
		shared_number(t, s);
		x86_store(t->c, 4, &to, RAX);
	} else {
		x86_store_imm(t->c, 4, &to,
			      (int32_t)t->env->probe_of[s->pt->link + k]);
	}
}

void run_form(struct tramp *t, const struct spot *s, uint32_t k)
{
	uint32_t prog = link_of(t, s, k)->prog;
	struct mem tails = { .base = RSP, .disp = s->keep.f.hit + HIT_TAILS };

	if (bpf_calls(&t->env->code.set->prog[prog], BPF_FUNC_tail_call))
		x86_store_imm(t->c, 8, &tails, 0);
	if (t->env->may_fail[prog])
		probe_store(t, s, k);
	if (form_of(t, s, k) == FORM_VM)
		run_vm(t, s, k);
	else
		run_function(t, s, k);
}

/* When the entry's program gives anything but 0, there is no return for it. */
static void session_entry(struct tramp *t, const struct spot *s, uint32_t k)
{
	static const uint8_t test_eax[] = { 0x85, 0xc0 };
	size_t over;

	session_call(t, s, link_of(t, s, k), "weld_session_begin");
	session_keep(t, s);
	run_form(t, s, k);
	code_bytes(t->c, test_eax, sizeof(test_eax));
	over = x86_skip(t->c, COND_E);
	session_end(t, s);
	x86_land(t->c, over);
}

/* Was there an entry that wants this return?  The rel32 that is taken when not
 * is at the offset returned. */
static size_t session_seek(struct tramp *t, const struct spot *s, uint32_t k)
{
	static const uint8_t test_rax[] = { 0x48, 0x85, 0xc0 };

	session_call(t, s, link_of(t, s, k), "weld_session_find");
	code_bytes(t->c, test_rax, sizeof(test_rax));
	code_jcc(t->c, COND_E, code_here(t->c));
	return t->c->n - 4;
}

static void session_return(struct tramp *t, const struct spot *s, uint32_t k)
{
	run_form(t, s, k);
	session_end(t, s);
}

bool at_push_rbp(const struct tramp *t, const struct spot *s,
		 const struct link *l)
{
	enum { PUSH_RBP = 0x55 };
	const uint8_t *b = s->pt->kind == POINT_REACHED
				   ? image_at(t->img, l->addr, 1)
				   : NULL;

	return b && *b == PUSH_RBP;
}

static int run(struct tramp *t, struct spot *s, uint32_t k)
{
	const struct link *l = link_of(t, s, k);
	struct keep *keep = &s->keep;

	keep->f.site = l->addr;
	keep->f.func_ip = l->addr;
	keep->f.cookie = l->cookie;
	keep->f.push_rbp = at_push_rbp(t, s, l);
	keep->f.probe = t->env->probe_of[s->pt->link + k];
	if (l->session && l->when == WHEN_RETURNED)
		session_keep(t, s);
	if (keep->hit)
		frame_hit_for(t->c, keep);
	if (l->session) {
		if (l->when == WHEN_REACHED)
			session_entry(t, s, k);
		else
			session_return(t, s, k);
		return 0;
	}
	if (form_of(t, s, k) == FORM_INLINE)
		return code_inline(t->c, &t->env->code, l->prog,
				   &t->env->code.set->prog[l->prog],
				   facts_of(t, s, k), &s->map[k], &keep->f,
				   &s->cold[k].fails, t->e);
	run_form(t, s, k);
	return 0;
}

static int program(struct tramp *t, struct spot *s, uint32_t k)
{
	const struct link *l = link_of(t, s, k);
	struct cold *cold = &s->cold[k];
	size_t unwanted = 0;

	gate_test(t, s, k);
	cold->je = code_branch(t->c, COND_E);
	cold->run = code_here(t->c);
	if (l->session && l->when == WHEN_RETURNED)
		unwanted = session_seek(t, s, k);
	hit_count(t, s, k);
	if (run(t, s, k))
		return -1;
	if (unwanted)
		code_land(t->c, unwanted);
	cold->next = code_here(t->c);
	return 0;
}

uint64_t origin_symbol(const struct tramp *t)
{
	if (!t->plan->nlate)
		return 0;
	return stub_symbol(t->env->code.stub, "weld_origin");
}

/* --- bpf_override_return -------------------------------------------------- */

static struct mem override_at(const struct spot *s, size_t what)
{
	return (struct mem){ .base = RSP,
			     .disp = s->keep.f.hit + (int32_t)what };
}

static void override_begin(struct tramp *t, const struct spot *s)
{
	struct mem m = override_at(s, offsetof(struct hit, overridden));

	x86_store_imm(t->c, 8, &m, 0);
}

static void override_test(struct tramp *t, struct spot *s)
{
	struct mem m = override_at(s, offsetof(struct hit, overridden));

	x86_rm(t->c, 8, 0x83, 7, &m, 1); /* cmpq $0 */
	code_u8(t->c, 0);
	s->over = code_branch(t->c, COND_NE);
}

/* Return from here: all is as it was but rax.  The function's return probes have
 * their pads first, as if it had been entered. */
static void override_path(struct tramp *t, struct spot *s)
{
	struct mem m = override_at(s, offsetof(struct hit, value));
	struct keep keep = s->keep;

	t->depths.now = s->body;
	depth_note(&t->depths, t->c);
	code_branch_land(t->c, s->over);
	x86_load(t->c, 8, false, RAX, &m);
	keep.restored &= ~REG_BIT(RAX);
	keep.arith = -1;
	frame_leave(t->c, &keep, &t->depths);
	for (size_t k = 0; k < t->p->npoint; k++) {
		const struct point *pt = t->spot[k].pt;

		if (pt->kind == POINT_ENTERED && pt->before == s->pt->before)
			exchange(t, pt, NULL);
	}
	code_u8(t->c, 0xc3); /* ret */
}

int spot_run(struct tramp *t, struct spot *s)
{
	if (s->shared) {
		shared_run(t, s);
		return 0;
	}
	s->enter = t->depths.now;
	frame_enter(t->c, &s->keep, origin_symbol(t), &t->depths);
	s->body = t->depths.now;
	if (s->pt->overrides)
		override_begin(t, s);
	for (uint32_t k = 0; k < s->pt->nlink; k++)
		if (program(t, s, k))
			return -1;
	if (s->pt->overrides)
		override_test(t, s);
	frame_leave(t->c, &s->keep, &t->depths);
	s->skip = code_here(t->c);
	return 0;
}

/* Then the slot below the stack pointer is not wanted any more, nor, at a
 * function's entry, what lies below that. */
static bool push_follows(const struct tramp *t, const struct spot *s)
{
	bool entry = s->at && t->p->entry && !s->pt->before;
	const struct insn *in = entry ? &t->p->insn[0] : NULL;
	int32_t by;

	return in && in->flow == FLOW_NEXT &&
	       insn_stack(image_at(t->img, in->at, in->len), in, &by) ==
		       STACK_PUSH_POP &&
	       by > 0;
}

/* The way to weld_arm.  Its own frame lies below; without one, the red zone
 * has to be stepped over, which the other one takes back.  Go has no stack for
 * any of that. */
static void call_cold(struct tramp *t, const struct spot *s)
{
	int32_t over = s->keep.size || push_follows(t, s) ? 0 : 128;

	if (over) /* a byte shorter than lea; the flags are free */
		x86_alu_imm(t->c, 8, ALU_ADD, RSP, -over);
	depth_change(&t->depths, t->c, over);
	code_call(t->c, stub_symbol(t->env->code.stub,
				    over ? "weld_cold_over" : "weld_cold"));
	depth_change(&t->depths, t->c, -over);
}

static void cold_path(struct tramp *t, struct spot *s, uint32_t k)
{
	const struct cold *cold = &s->cold[k];

	code_branch_land(t->c, cold->je);
	if (s->needs.go && !s->keep.size) {
		switch_arm(t->c, s->needs.dead,
			   stub_symbol(t->env->code.stub, "weld_arm_go"));
		gate_test(t, s, k);
	} else {
		call_cold(t, s);
	}
	code_branch_to(t->c, COND_NE, cold->run);
	code_branch_to(t->c, COND_ALWAYS, cold->next);
	hit_count_locked(t, s, k);
	if (cold->fails.n)
		code_failed(t->c, &t->env->code, &cold->fails);
}

/* There was no stack for the programs. */
static void miss_path(struct tramp *t, struct spot *s)
{
	if (!s->keep.claim)
		return;
	t->depths.now = s->enter;
	depth_note(&t->depths, t->c);
	switch_miss(t->c, &s->keep);
	for (uint32_t k = 0; k < s->pt->nlink; k++)
		count_locked(t, s, k, offsetof(struct region_count, misses));
	switch_missed(t->c, &s->keep);
	code_jmp(t->c, s->skip);
}

void spot_cold(struct tramp *t, struct spot *s)
{
	if (s->shared)
		return;
	t->depths.now = s->body;
	depth_note(&t->depths, t->c);
	for (uint32_t k = 0; k < s->pt->nlink; k++)
		cold_path(t, s, k);
	if (s->pt->overrides)
		override_path(t, s);
	miss_path(t, s);
}
