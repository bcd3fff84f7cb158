/* SPDX-License-Identifier: MIT */
/* function.c - the function form: a C function of r1..r5.
 *
 *         sub   $N, %rsp
 *         mov   %rbx, N-8(%rsp)       the callee-saved registers in use
 *         ...
 *   end:  mov   N-8(%rsp), %rbx
 *         add   $N, %rsp
 *         ret
 *         (where guards lead to, guard.c; then to `end`)
 *
 *   rsp -> | BPF stack | padding | saved registers | return address
 *
 * The stack pointer moves once, so that unwinding needs to know one number.
 */
#include "rewriter/code/gen.h"

enum {
	CALLEE = REG_BIT(RBX) | REG_BIT(RBP) | REG_BIT(R12) | REG_BIT(R13) |
		 REG_BIT(R14) | REG_BIT(R15)
};

struct shape {
	uint32_t saved; /* REG_BITs */
	uint32_t size;  /* what rsp goes down by */
};

static struct shape shape_of(const struct known *f, const struct regmap *m)
{
	struct shape s = { .saved = m->clobbers & CALLEE, .size = f->stack };

	s.size += 8 * (uint32_t)__builtin_popcount(s.saved);
	/* Hosted helpers want rsp + 8 to be a multiple of 16 when entered. */
	if (f->calls && s.size % 16 != 8)
		s.size += 8;
	return s;
}

static void saved_registers(struct code *c, struct shape s, bool restore)
{
	struct mem m = { .base = RSP, .disp = (int32_t)s.size };

	for (int r = 0; r < NREG; r++) {
		if (!(s.saved & REG_BIT(r)))
			continue;
		m.disp -= 8;
		if (restore)
			x86_load(c, 8, false, r, &m);
		else
			x86_store(c, 8, &m, r);
	}
}

static void frame_leave(struct code *c, struct shape s)
{
	saved_registers(c, s, true);
	if (s.size)
		x86_alu_imm(c, 8, ALU_ADD, RSP, (int32_t)s.size);
}

static void gap_note(struct gen *g, size_t from)
{
	if (!g->env->shapes)
		return;
	g->gap = arena_push(g->c->a, g->gap, g->ngap, sizeof(*g->gap));
	g->gap[g->ngap++] = (struct code_gap){ (uint32_t)(from - g->start),
					       (uint32_t)(g->c->n - g->start) };
}

/* Go on in another program, in the place of this function:
 *
 *         call  weld_tail
 *         test  %rax, %rax
 *         je    over
 *         mov   %rdx, %rdi            ctx
 *         (give the frame up)
 *         jmp   *%rax
 *   over:
 */
int gen_tail(struct gen *g, uint32_t at)
{
	uint64_t to = g->env->stub ? stub_symbol(g->env->stub, "weld_tail") : 0;
	struct mem ctx = { .base = RSP,
			   .disp = g->run +
				   (int32_t)offsetof(struct run, area) };
	bool run = g->f->run && !g->sub;
	size_t over, left;

	if (g->fr || !to)
		return gen_fail(g, at, "a tail call has no place here");
	code_call(g->c, to);
	x86_rr(g->c, 8, 0x85, RAX, RAX); /* test */
	over = x86_skip(g->c, COND_E);
	if (run) /* whose end keeps rax only, and a word of which is free then */
		x86_store(g->c, 8, &ctx, RDX);
	gen_run_end(g);
	if (run)
		x86_load(g->c, 8, false, RDI, &ctx);
	else
		x86_mov(g->c, 8, RDI, RDX);
	frame_leave(g->c, (struct shape){ g->saved, g->frame });
	left = g->c->n;
	x86_rr(g->c, 4, 0xff, 4, RAX); /* jmp */
	gap_note(g, left);
	x86_land(g->c, over);
	return 0;
}

static void note(const struct code_env *env, struct code *c,
		 struct code_shape shape)
{
	struct code_shapes *to = env->shapes;

	if (!to)
		return;
	to->v = arena_push(c->a, to->v, to->n, sizeof(*to->v));
	to->v[to->n++] = shape;
}

static int function_body(struct gen *g, const struct regmap *m, size_t start)
{
	struct code *c = g->c;
	uint64_t end;
	struct shape s = shape_of(g->f, m);
	struct code_shape shape = { .start = c->vaddr + start,
				    .below = s.size,
				    .saved = s.saved };

	g->saved = s.saved;
	g->frame = s.size;
	g->start = start;
	if (s.size)
		x86_alu_imm(c, 8, ALU_SUB, RSP, (int32_t)s.size);
	shape.enter = (uint32_t)(c->n - start);
	saved_registers(c, s, false);
	shape.kept = (uint32_t)(c->n - start);
	gen_run_begin(g);
	gen_fail_begin(g);
	if (gen_function(g))
		return -1;
	end = code_here(c);
	gen_run_end(g);
	frame_leave(c, s);
	shape.leave = (uint32_t)(c->n - start);
	code_u8(c, 0xc3);
	if (g->nfail) {
		shape.cold = (uint32_t)(c->n - start);
		gen_fail_end(g, end);
	}
	shape.size = c->n - start;
	shape.gap = g->gap;
	shape.ngap = g->ngap;
	note(g->env, c, shape);
	return 0;
}

int code_function(struct code *c, const struct code_env *env, uint32_t prog,
		  const struct bpf_prog *p, uint32_t sub, uint64_t *vaddr,
		  struct err *e)
{
	struct gen g = { .c = c, .env = env, .e = e, .prog = prog, .hit = -1 };
	struct arena own = { 0 };
	struct known known;
	struct facts facts;
	struct regmap map;
	int bad;

	code_align(c, 16, 0xcc);
	*vaddr = code_here(c);
	bad = known_make(&own, env->set, p, sub, FORM_FUNCTION, &known, e);
	if (!bad) {
		known_facts(&known, &facts);
		facts.calls = true; /* arguments are where C has them */
		code_assign(&facts, 0, 0, &map);
		gen_init(&g, &map);
		g.f = &known;
		g.stack = (int32_t)known.stack;
		g.run = 0;
		g.ctx = known.run ? sizeof(struct run) : 0;
		g.sub = sub;
		bad = function_body(&g, &map, c->n);
	}
	arena_free(&own);
	return bad;
}

int code_subprograms(struct code *c, const struct code_env *env, uint32_t prog,
		     const struct bpf_prog *p, uint64_t *sub, struct err *e)
{
	struct code_mark start = code_mark(c);
	size_t shapes = env->shapes ? env->shapes->n : 0;
	bool too_far = c->too_far;

	/* Addresses do not change sizes: the first round finds them. */
	for (uint32_t k = 1; k < p->nsub; k++)
		sub[k] = code_here(c);
	for (int round = 0; round < 2; round++) {
		code_rewind(c, start);
		c->too_far = too_far;
		if (env->shapes)
			env->shapes->n = shapes;
		for (uint32_t k = 1; k < p->nsub; k++)
			if (code_function(c, env, prog, p, k, &sub[k], e))
				return -1;
	}
	return 0;
}
