/* SPDX-License-Identifier: MIT */
/* mem.c - known values, memory operands, loads and stores.
 *
 * The stack is rsp-relative, values of arrays and globals are RIP-relative
 * (they lie in the weld's own bss, what is frozen beside the code), and ctx is
 * not in memory at all unless it escapes: a load of one of its words is the
 * register that the word is about, or the slot where the trampoline has saved
 * it.
 */
#include "rewriter/code/gen.h"

#include <assert.h>

/* struct hit's words. */
enum {
	CTX_ORIG_AX = 15,
	CTX_IP,
	CTX_CS,
	CTX_FLAGS,
	CTX_SP,
	CTX_SS
};
static const uint8_t ctx_reg[CTX_ORIG_AX] = {
	R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI,
};

struct mem gen_address(const struct gen *g, const struct val *v, int64_t off)
{
	struct mem m = { .base = RSP, .disp = (int32_t)(v->n + off) };
	const struct region_map *map;

	switch (v->kind) {
	case V_FP:
		m.disp += g->stack;
		break;
	case V_CTX:
		assert(g->hit >= 0);
		m.disp += g->hit;
		break;
	default:
		assert(v->kind == V_VALUE && g->env->region);
		map = &g->env->region->map[v->map];
		m.base = map->frozen ? MEM_RX : MEM_RW;
		m.to = map->frozen ? g->env->info_vaddr + map->frozen
				   : g->env->region_rw + map->data;
	}
	return m;
}

struct mem gen_memory(const struct gen *g, const struct val *base, int reg,
		      int16_t off)
{
	if (val_address(base))
		return gen_address(g, base, off);
	assert(g->of[reg] >= 0);
	return (struct mem){ .base = g->of[reg], .disp = off };
}

int gen_reg(struct gen *g, int r)
{
	struct mem fp = { .base = RSP, .disp = g->stack };

	if (r == 10)
		x86_lea(g->c, g->scratch[0], &fp);
	else
		assert(g->of[r] >= 0);
	return r == 10 ? g->scratch[0] : g->of[r];
}

int gen_lddw(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	struct mem m = { .base = MEM_RX };

	if (k->result.kind != V_ANY)
		return gen_value(g, at, g->of[i->dst_reg], &k->result);
	if (i->src_reg == BPF_PSEUDO_FUNC && g->env->sub)
		for (uint32_t s = 1; s < g->f->p->nsub; s++)
			if (g->f->p->sub[s] == (uint32_t)i->imm) {
				m.to = g->env->sub[g->prog][s];
				x86_lea(g->c, g->of[i->dst_reg], &m);
				return 0;
			}
	return gen_fail(g, at, "unknown kind of 64-bit immediate");
}

/* The bytes of an x86 register from bit `shift` on. */
static void part_of(struct gen *g, int dst, int src, unsigned shift,
		    unsigned bytes, bool sign)
{
	if (shift) {
		if (dst != src)
			x86_mov(g->c, 8, dst, src);
		x86_shift(g->c, 8, SHIFT_SHR, dst, shift);
		src = dst;
	}
	if (bytes < 8)
		x86_extend(g->c, bytes, sign, dst, src);
	else if (dst != src)
		x86_mov(g->c, 8, dst, src);
}

static void ctx_load(struct gen *g, int dst, unsigned off, unsigned bytes,
		     bool sign)
{
	const struct frame *fr = g->fr;
	unsigned word = off / 8, shift = off % 8 * 8;
	struct mem site = { .base = MEM_RX, .to = fr->site };
	int32_t slot = -1;

	if (word < CTX_ORIG_AX)
		slot = fr->slot[ctx_reg[word]];
	else if (word == CTX_FLAGS)
		slot = fr->flags;
	else if (word == CTX_IP)
		slot = fr->ip;
	if (slot >= 0) {
		struct mem m = { .base = RSP,
				 .disp = slot + (int32_t)(off % 8) };

		x86_load(g->c, bytes, sign, dst, &m);
		return;
	}
	switch (word) {
	case CTX_ORIG_AX:
		x86_set(g->c, dst, -1);
		break;
	case CTX_CS:
		x86_set(g->c, dst, USER_CS);
		break;
	case CTX_SS:
		x86_set(g->c, dst, USER_SS);
		break;
	case CTX_IP:
		x86_lea(g->c, dst, &site);
		break;
	case CTX_SP:
		frame_sp(g->c, dst, fr);
		break;
	default:
		assert(word < CTX_ORIG_AX);
		part_of(g, dst, ctx_reg[word], shift, bytes, sign);
		return;
	}
	if (bytes < 8)
		part_of(g, dst, dst, shift, bytes, sign);
}

/* ctx may have had to be made after all: then the word is there, too. */
static void word(struct gen *g, int dst, const struct val *v)
{
	struct mem m = { .base = RSP, .disp = g->hit + (int32_t)v->n };
	unsigned bytes = v->word & ~WORD_SIGNED;
	bool sign = v->word & WORD_SIGNED;

	if (g->f->ctx_escapes)
		x86_load(g->c, bytes, sign, dst, &m);
	else
		ctx_load(g, dst, (unsigned)v->n, bytes, sign);
}

int gen_value(struct gen *g, uint32_t at, int dst, const struct val *v)
{
	const struct region *region = g->env->region;
	struct mem m = { .base = MEM_RX };

	if (v->kind == V_CONST) {
		x86_set(g->c, dst, v->n);
		return 0;
	}
	if (v->kind == V_WORD) {
		word(g, dst, v);
		return 0;
	}
	if (v->kind == V_MAP || v->kind == V_VALUE)
		if (!region || v->map >= region->nmap)
			return gen_fail(g, at, "there is no map %u", v->map);
	if (v->kind == V_MAP)
		m.to = g->env->info_vaddr + region->info_maps +
		       v->map * sizeof(struct region_map);
	else
		m = gen_address(g, v, 0);
	x86_lea(g->c, dst, &m);
	return 0;
}

/* Nothing is at that address: the stub knows (runtime-stub/task.h). */
static int load_task(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	struct mem m = gen_memory(g, &gen_fact(g, at)->src, i->src_reg, i->off);
	uint64_t to =
		g->env->stub ? stub_symbol(g->env->stub, "weld_task_load") : 0;

	if (!to)
		return gen_fail(g, at, "there is no weld_task_load");
	x86_lea(g->c, R10, &m);
	x86_set(g->c, R11, insn_bytes(i));
	code_call(g->c, to);
	part_of(g, g->of[i->dst_reg], R10, 0, insn_bytes(i),
		BPF_MODE(i->code) == TASK_LOADSX);
	return 0;
}

int gen_load(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	uint8_t mode = BPF_MODE(i->code);
	bool sign = mode == INSN_MEMSX;
	int dst = g->of[i->dst_reg];
	struct mem m;

	if (insn_is_task_load(i))
		return load_task(g, at);
	if ((mode != BPF_MEM && !sign && !insn_is_atomic(i)) ||
	    (sign && BPF_SIZE(i->code) == BPF_DW))
		return gen_fail(g, at, "unknown opcode %#x", i->code);
	if (k->result.kind != V_ANY)
		return gen_value(g, at, dst, &k->result);
	m = gen_memory(g, &k->src, i->src_reg, i->off);
	x86_load(g->c, insn_bytes(i), sign, dst, &m);
	return 0;
}

int gen_store(struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	struct mem m = gen_memory(g, &k->dst, i->dst_reg, i->off);
	int32_t imm;

	if (BPF_MODE(i->code) != BPF_MEM && !insn_is_atomic(i))
		return gen_fail(g, at, "unknown opcode %#x", i->code);
	if (insn_operand(i, k, &imm))
		x86_store_imm(g->c, insn_bytes(i), &m, imm);
	else
		x86_store(g->c, insn_bytes(i), &m, gen_reg(g, i->src_reg));
	return 0;
}
