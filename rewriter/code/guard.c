/* SPDX-License-Identifier: MIT */
/* guard.c - guards (runtime-stub/guard.h), and where a run that fails goes.
 *
 *         cmp   $max, %rax            GUARD_RANGE
 *         ja    failed
 *         subl  $w, left(%rsp)        GUARD_LOOP, GUARD_TURN
 *         js    failed
 *         cmpl  $0, left(%rsp)        GUARD_RUN
 *         js    failed
 *   end:  ...
 *
 * Inline form, among the trampoline's cold paths:
 *
 *   failed: lock incq failed(%rip)
 *           jmp   end
 *
 * Function form, behind its ret.  The number of the probe is in the hit, which
 * is kept for that; a subprogram leaves the counting to the program.
 *
 *   failed: mov   ctx(%rsp), %rax                failed: mov  run(%rsp), %r9
 *           mov   probe(%rax), %eax                      movl $-1, left(%r9)
 *           shl   $6, %rax                               mov  $1, %eax
 *           lea   counts(%rip), %rcx                     jmp  end
 *           lea   (%rcx,%rax), %rcx
 *           lock incq failed(%rcx)
 *           xor   %eax, %eax
 *           jmp   end
 */
#include "rewriter/code/gen.h"

static void fail_if(struct gen *g, int cond)
{
	struct code *c = g->c;

	if (cond == ALWAYS)
		code_jmp(c, code_here(c));
	else
		code_jcc(c, (unsigned)cond, code_here(c));
	g->fail = arena_push(c->a, g->fail, g->nfail, sizeof(*g->fail));
	g->fail[g->nfail++] = c->n - 4;
}

static struct mem left(struct gen *g)
{
	struct mem m = gen_run_at(g);

	m.disp += (int32_t)offsetof(struct run, left);
	return m;
}

static void range(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	int reg;

	if (gen_fact(g, at)->taken == TAKEN_ALWAYS) {
		fail_if(g, ALWAYS);
		return;
	}
	if (i->imm >= 0) {
		x86_alu_imm(g->c, 8, ALU_CMP, gen_reg(g, i->dst_reg), i->imm);
	} else {
		reg = gen_reg(g, i->dst_reg);
		x86_set(g->c, g->scratch[0], (uint32_t)i->imm);
		x86_alu(g->c, 8, ALU_CMP, reg, g->scratch[0]);
	}
	fail_if(g, COND_A);
}

int gen_guard(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	struct mem m;

	switch (i->src_reg) {
	case GUARD_RANGE:
		range(g, at);
		return 0;
	case GUARD_LOOP:
	case GUARD_TURN:
		m = left(g);
		x86_alu_mem_imm(g->c, 4, ALU_SUB, &m, i->imm);
		break;
	case GUARD_RUN:
		m = left(g);
		x86_alu_mem_imm(g->c, 4, ALU_CMP, &m, 0);
		break;
	default:
		return gen_fail(g, at, "unknown guard");
	}
	fail_if(g, COND_S);
	return 0;
}

void gen_fail_begin(struct gen *g)
{
	struct mem m = { .base = RSP, .disp = g->ctx };

	if (g->f->fails && !g->sub)
		x86_store(g->c, 8, &m, RDI);
}

/* One more failed run of the probe in the hit. */
static void count(struct gen *g)
{
	struct mem ctx = { .base = RSP, .disp = g->ctx };
	struct mem probe = { .base = RAX, .disp = offsetof(struct hit, probe) };
	struct mem counts = { .base = MEM_RW, .to = g->env->region_rw };
	struct mem failed = { .base = RCX,
			      .disp = offsetof(struct region_count, failed) };

	_Static_assert(sizeof(struct region_count) == 1 << 6, "shift");
	if (!g->env->region)
		return;
	counts.to += g->env->region->counts;
	x86_load(g->c, 8, false, RAX, &ctx);
	x86_load(g->c, 4, false, RAX, &probe);
	x86_shift(g->c, 8, SHIFT_SHL, RAX, 6);
	x86_lea(g->c, RCX, &counts);
	x86_lea_index(g->c, RCX, RCX, RAX, 0);
	x86_rm(g->c, 8, OP_LOCK | 0xff, 0, &failed, 0);
}

void gen_fail_end(struct gen *g, uint64_t end)
{
	struct mem m;

	for (uint32_t k = 0; k < g->nfail; k++)
		code_land(g->c, g->fail[k]);
	if (g->sub) {
		m = left(g);
		x86_store_imm(g->c, 4, &m, -1);
	} else {
		count(g);
	}
	x86_set(g->c, RAX, g->sub);
	code_jmp(g->c, end);
}

void code_failed(struct code *c, const struct code_env *env,
		 const struct code_fails *fails)
{
	struct mem failed = { .base = MEM_RW };

	for (uint32_t k = 0; k < fails->n; k++)
		code_land(c, fails->at[k]);
	if (env->region) {
		failed.to = env->region_rw + env->region->counts +
			    fails->probe * sizeof(struct region_count) +
			    offsetof(struct region_count, failed);
		x86_rm(c, 8, OP_LOCK | 0xff, 0, &failed, 0);
	}
	if (fails->r0 >= 0)
		x86_set(c, fails->r0, 0);
	code_jmp(c, fails->end);
}
