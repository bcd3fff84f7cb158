/* SPDX-License-Identifier: MIT */
/* branch.c - jumps.  Which ones reach with 8 bits is known from where all
 * instructions stood in the round before; code only shrinks from round to
 * round, so that what reached once always will.
 */
#include "rewriter/code/gen.h"

/* BPF condition -> x86, and the one for operands turned around. */
static const struct {
	uint8_t cond, swapped;
} conditions[16] = {
	// clang-format off
	[BPF_JEQ  >> 4] = { COND_E,  COND_E },
	[BPF_JNE  >> 4] = { COND_NE, COND_NE },
	[BPF_JSET >> 4] = { COND_NE, COND_NE },
	[BPF_JGT  >> 4] = { COND_A,  COND_B },
	[BPF_JGE  >> 4] = { COND_AE, COND_BE },
	[BPF_JLT  >> 4] = { COND_B,  COND_A },
	[BPF_JLE  >> 4] = { COND_BE, COND_AE },
	[BPF_JSGT >> 4] = { COND_G,  COND_L },
	[BPF_JSGE >> 4] = { COND_GE, COND_LE },
	[BPF_JSLT >> 4] = { COND_L,  COND_G },
	[BPF_JSLE >> 4] = { COND_LE, COND_GE },
	// clang-format on
};

bool gen_leads_nowhere(const struct gen *g, uint32_t from, uint32_t target)
{
	uint32_t base = g->f->from;

	return g->at && target > from &&
	       g->at[target - base] == g->at[from + 1 - base];
}

static bool is_near(const struct gen *g, uint32_t from, uint32_t target)
{
	const uint32_t *at = g->at;

	if (!at)
		return false;
	from -= g->f->from;
	target -= g->f->from;
	if (target > from)
		return at[target] - at[from] <= INT8_MAX;
	return at[from + 1] - at[target] <= INT8_MAX;
}

void gen_goto(struct gen *g, uint32_t from, int cond, uint32_t target)
{
	struct code *c = g->c;
	struct jump *j = &g->jump[g->njump++];

	j->target = target;
	j->wide = !is_near(g, from, target);
	if (j->wide) {
		if (cond != ALWAYS)
			code_u8(c, 0x0f);
		code_u8(c, cond == ALWAYS ? 0xe9 : (uint8_t)(0x80 | cond));
		j->at = (uint32_t)c->n;
		code_u32(c, 0);
	} else {
		code_u8(c, cond == ALWAYS ? 0xeb : (uint8_t)(0x70 | cond));
		j->at = (uint32_t)c->n;
		code_u8(c, 0);
	}
}

static void compare_imm(struct code *c, unsigned size, bool test, int reg,
			int32_t imm)
{
	if (test) {
		x86_rr(c, imm >= 0 ? 4 : size, 0xf7, 0, reg);
		code_u32(c, (uint32_t)imm);
	} else if (!imm) {
		x86_rr(c, size, 0x85, reg, reg);
	} else {
		x86_alu_imm(c, size, ALU_CMP, reg, imm);
	}
}

/* Compare; returns the condition on which to jump. */
static uint8_t compare(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	unsigned size = BPF_CLASS(i->code) == BPF_JMP ? 8 : 4;
	bool test = BPF_OP(i->code) == BPF_JSET;
	int dst, src;
	int32_t imm;

	if (insn_operand(i, k, &imm)) {
		compare_imm(g->c, size, test, gen_reg(g, i->dst_reg), imm);
	} else if (insn_swapped(i, k, &imm)) {
		compare_imm(g->c, size, test, gen_reg(g, i->src_reg), imm);
		return conditions[BPF_OP(i->code) >> 4].swapped;
	} else {
		dst = gen_reg(g, i->dst_reg);
		src = gen_reg(g, i->src_reg);
		if (test)
			x86_rr(g->c, size, 0x85, src, dst);
		else
			x86_alu(g->c, size, ALU_CMP, dst, src);
	}
	return conditions[BPF_OP(i->code) >> 4].cond;
}

int gen_jump(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	uint32_t target = insn_target(g->f->p->insn, at);

	if (!insn_is_ja(i) && !conditions[BPF_OP(i->code) >> 4].cond)
		return gen_fail(g, at, "unknown opcode %#x", i->code);
	if (gen_leads_nowhere(g, at, target))
		return 0;
	if (k->taken == TAKEN_ALWAYS)
		gen_goto(g, at, ALWAYS, target);
	else
		gen_goto(g, at, compare(g, at), target);
	return 0;
}
