/* SPDX-License-Identifier: MIT */
/* compile.c - the run over the instructions of one function.
 *
 * Code is made in rounds, each at the same place: the first one with jumps of
 * 32 bits, the next ones with short jumps where the round before has shown
 * that they reach, until nothing shrinks any more.
 */
#include "rewriter/code/gen.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

enum { ROUNDS = 6 };

int gen_fail(struct gen *g, uint32_t insn, const char *fmt, ...)
{
	const struct bpf_prog *p = g->f->p;
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return fail(g->e,
		    g->env->set && g->env->set->nobject
			    ? g->env->set->object[p->object].path
			    : NULL,
		    insn, "program %s: %s", p->name ? p->name : "?", what);
}

static int one(struct gen *g, uint32_t at, uint32_t *done)
{
	const struct bpf_insn *i = gen_insn(g, at);

	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return gen_alu(g, at);
	case BPF_LD:
		if (!insn_is_lddw(i))
			break;
		*done = 2;
		return gen_lddw(g, at);
	case BPF_LDX:
		return gen_load(g, at);
	case BPF_ST:
		return gen_store(g, at);
	case BPF_STX:
		return insn_is_atomic(i) ? gen_atomic(g, at) : gen_store(g, at);
	default:
		if (insn_is_jump(i))
			return gen_jump(g, at);
		if (is_guard(i))
			return gen_guard(g, at);
		if (i->code == (BPF_JMP | BPF_CALL))
			return gen_call(g, at, done);
		if (i->code != (BPF_JMP | BPF_EXIT))
			break;
		if (at + 1 < g->f->to && !gen_leads_nowhere(g, at, g->f->to))
			gen_goto(g, at, ALWAYS, g->f->to);
		return 0;
	}
	return gen_fail(g, at, "unknown opcode %#x", i->code);
}

static void patch_jumps(struct gen *g, const uint32_t *at)
{
	for (uint32_t j = 0; j < g->njump; j++) {
		const struct jump *jump = &g->jump[j];
		uint32_t to = at[jump->target - g->f->from];
		uint32_t from = jump->at + (jump->wide ? 4 : 1);
		int32_t d = (int32_t)(to - from);

		assert(jump->wide || fits8(d));
		memcpy(g->c->p + jump->at, &d, jump->wide ? 4 : 1);
	}
}

static int round_of(struct gen *g, uint32_t *at)
{
	uint32_t n = g->f->to - g->f->from, done;

	g->njump = g->ngap = g->nfail = 0;
	for (uint32_t k = 0; k < n; k += done) {
		done = 1;
		at[k] = (uint32_t)g->c->n;
		if (!gen_fact(g, g->f->from + k)->gone &&
		    one(g, g->f->from + k, &done))
			return -1;
		for (uint32_t d = 1; d < done; d++)
			at[k + d] = (uint32_t)g->c->n;
	}
	at[n] = (uint32_t)g->c->n;
	patch_jumps(g, at);
	return 0;
}

int gen_function(struct gen *g)
{
	uint32_t n = g->f->to - g->f->from + 1;
	struct code_mark start = code_mark(g->c);
	struct arena own = { 0 };
	uint32_t *at[2];
	int bad = 0;

	at[0] = arena_alloc(&own, n * sizeof(*at[0]));
	at[1] = arena_alloc(&own, n * sizeof(*at[1]));
	g->jump = arena_alloc(&own, n * sizeof(*g->jump));
	g->at = NULL;
	for (int r = 0; r < ROUNDS && !bad; r++) {
		code_rewind(g->c, start);
		bad = round_of(g, at[r & 1]);
		if (g->at && g->at[n - 1] == at[r & 1][n - 1])
			break;
		g->at = at[r & 1];
	}
	arena_free(&own);
	return bad;
}

void gen_init(struct gen *g, const struct regmap *m)
{
	memcpy(g->of, m->of, sizeof(m->of));
	g->of[10] = -1;
	memcpy(g->scratch, m->scratch, sizeof(m->scratch));
	g->scratch[2] = R9; /* used only with the calling convention's */
	for (int r = 0; r < 10; r++)
		if (g->of[r] >= 0)
			g->mapped |= REG_BIT(g->of[r]);
}

int code_inline(struct code *c, const struct code_env *env, uint32_t prog,
		const struct bpf_prog *p, const struct facts *f,
		const struct regmap *m, const struct frame *fr,
		struct code_fails *fails, struct err *e)
{
	struct gen g = {
		.c = c,
		.env = env,
		.f = f->known,
		.fr = fr,
		.e = e,
		.prog = prog,
		.stack = fr->stack,
		.hit = fr->hit,
		.run = fr->stack - (int32_t)f->known->stack,
	};
	struct mem ctx = { .base = RSP, .disp = fr->hit };

	assert(f->known->p == p && (fr->hit >= 0 || !f->ctx_escapes));
	gen_init(&g, m);
	gen_run_begin(&g);
	if (f->known->entry_live & 1 << 1)
		x86_lea(c, g.of[1], &ctx);
	if (gen_function(&g))
		return -1;
	assert(fails || !g.nfail);
	if (fails)
		*fails = (struct code_fails){ g.fail, g.nfail, code_here(c),
					      f->known->result ? g.of[0] : -1,
					      fr->probe };
	gen_run_end(&g);
	return 0;
}
