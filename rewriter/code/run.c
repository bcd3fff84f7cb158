/* SPDX-License-Identifier: MIT */
/* run.c - the state of one run of a program (struct run in abi.h).
 *
 * It stands at the lower end of the program's stack.  Subprograms and helpers
 * are told where in r9, C's sixth argument.
 *
 *         movq  $0, cpu(%rsp)         beginning; `area` has a meaning only
 *         movq  $0, fault(%rsp)       where cpu is not NULL
 *         ...
 *         lea   run(%rsp), %r9        before a call; in a subprogram
 *         mov   run(%rsp), %r9
 *         ...
 *         mov   cpu(%rsp), %r10       end
 *         test  %r10, %r10
 *         je    over
 *         movq  $0, (%r10)
 *   over:
 *
 * A program that calls nothing has it for the sake of its guards: only their
 * word is used.  Where guards may ask, it begins as GUARD_LEFT.
 *
 * Where the program can send signals, the word for them is zeroed at the
 * beginning, too, and at the end weld_run_signals() is called.
 */
#include "rewriter/code/gen.h"

static struct mem state(const struct gen *g)
{
	return (struct mem){ .base = RSP, .disp = g->run };
}

static struct mem field(const struct gen *g, size_t offset)
{
	return (struct mem){ .base = RSP, .disp = g->run + (int32_t)offset };
}

void gen_run_begin(struct gen *g)
{
	struct mem m = state(g), fault = field(g, offsetof(struct run, fault));

	if (!g->f->run)
		return;
	if (g->sub) {
		x86_store(g->c, 8, &m, R9);
		return;
	}
	if (g->f->calls) {
		x86_store_imm(g->c, 8, &m, 0);
		x86_store_imm(g->c, 8, &fault, 0);
	}
	if (g->f->budget) {
		m.disp = g->run + (int32_t)offsetof(struct run, left);
		x86_store_imm(g->c, 4, &m, GUARD_LEFT);
	}
	if (!g->f->signals)
		return;
	m.disp = g->run + (int32_t)offsetof(struct run, signals);
	x86_store_imm(g->c, 8, &m, 0);
}

void gen_run_pass(struct gen *g)
{
	struct mem m = state(g);

	if (!g->f->run)
		return;
	if (g->sub)
		x86_load(g->c, 8, false, R9, &m);
	else
		x86_lea(g->c, R9, &m);
}

void gen_run_end(struct gen *g)
{
	struct mem m = state(g), cpu = { .base = R10 };
	size_t over;

	if (!g->f->run || !g->f->calls || g->sub)
		return;
	x86_load(g->c, 8, false, R10, &m);
	x86_rr(g->c, 8, 0x85, R10, R10); /* test */
	over = x86_skip(g->c, COND_E);
	x86_store_imm(g->c, 8, &cpu, 0);
	x86_land(g->c, over);
	if (!g->f->signals || !g->env->stub)
		return;
	x86_mov(g->c, 8, RSI, g->of[0]); /* calls: r0 is rax */
	x86_lea(g->c, RDI, &m);
	code_call(g->c, stub_symbol(g->env->stub, "weld_run_signals"));
}

struct mem gen_run_at(struct gen *g)
{
	if (!g->sub)
		return state(g);
	gen_run_pass(g);
	return (struct mem){ .base = R9 };
}
