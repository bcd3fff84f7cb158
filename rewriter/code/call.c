/* SPDX-License-Identifier: MIT */
/* call.c - helpers and subprograms.
 *
 * With calls in a program its registers are those of the calling convention
 * (regs.c), so a call is a call.  What costs less than one is done here: array
 * lookups and the fields behind ctx.  A lookup and the NULL test right behind
 * it share their comparison:
 *
 *         mov  KEY, %r10d
 *         cmp  $max_entries, %r10d
 *         jae  where the test would have gone with NULL
 *         lea  values(%rip), %rax
 *         lea  (%rax,%r10,8), %rax
 */
#include <errno.h>

#include "rewriter/code/gen.h"

static int subprogram(struct gen *g, uint32_t at)
{
	const struct bpf_prog *p = g->f->p;
	uint32_t to = at + 1 + (uint32_t)gen_insn(g, at)->imm;

	for (uint32_t k = 0; k < p->nsub; k++) {
		if (p->sub[k] != to || !g->env->sub || !g->env->sub[g->prog][k])
			continue;
		gen_run_pass(g);
		code_call(g->c, g->env->sub[g->prog][k]);
		return 0;
	}
	return gen_fail(g, at, "call of an unknown subprogram");
}

int gen_helper(struct gen *g, uint32_t at)
{
	uint32_t id = (uint32_t)gen_insn(g, at)->imm;
	const struct insn_fact *k = gen_fact(g, at);
	char symbol[64];
	uint64_t to;

	gen_run_pass(g);
	if (!g->env->stub) {
		to = g->env->helper ? g->env->helper(id) : 0;
		if (!to)
			return gen_fail(g, at, "unknown helper %u", id);
		x86_set(g->c, RAX, (int64_t)to);
		x86_rr(g->c, 4, 0xff, 2, RAX);
		return 0;
	}
	if (!helper_symbol(id, insn_map_type(g->f, k), k->put, symbol))
		return gen_fail(g, at, "unknown helper %u", id);
	to = stub_symbol(g->env->stub, symbol);
	if (!to)
		return gen_fail(g, at, "the stub has no %s", symbol);
	code_call(g->c, to);
	return 0;
}

static int ctx_field(struct gen *g, uint32_t at)
{
	bool ip = gen_insn(g, at)->imm == HELPER_FUNC_IP;
	struct mem m = { .base = MEM_RX };

	if (!g->fr) {
		m.base = g->of[1];
		m.disp = ip ? offsetof(struct hit, func_ip)
			    : offsetof(struct hit, cookie);
		x86_load(g->c, 8, false, g->of[0], &m);
	} else if (ip) {
		m.to = g->fr->func_ip;
		x86_lea(g->c, g->of[0], &m);
	} else {
		x86_set(g->c, g->of[0], (int64_t)g->fr->cookie);
	}
	return 0;
}

/* Only reached from the instruction before it? */
uint8_t gen_null_test(const struct gen *g, uint32_t at)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);
	uint8_t op;

	if (at >= g->f->to || i->dst_reg || i->imm || k->target || k->gone)
		return 0;
	op = BPF_OP(i->code);
	if (i->code == (BPF_JMP | op | BPF_K) &&
	    (op == BPF_JEQ || op == BPF_JNE))
		return op;
	return 0;
}

/* to = values + key * stride */
static void element(struct gen *g, uint32_t map, int key, int to)
{
	uint32_t stride = g->env->region->map[map].stride;
	struct mem values =
		gen_address(g, &(struct val){ .kind = V_VALUE, .map = map }, 0);
	unsigned n;

	if (!power_of_two(stride, &n)) {
		x86_rr(g->c, 8, 0x69, key, key);
		code_u32(g->c, stride);
		n = 0;
	} else if (n > 3) {
		x86_shift(g->c, 8, SHIFT_SHL, key, n);
		n = 0;
	}
	x86_lea(g->c, to, &values);
	x86_lea_index(g->c, to, to, key, n);
}

static int lookup(struct gen *g, uint32_t at, uint32_t *done)
{
	const struct insn_fact *k = gen_fact(g, at);
	struct mem m = gen_memory(g, &k->key, 2, 0);
	uint32_t map = k->map, target = 0;
	bool eq = gen_null_test(g, at + 1) == BPF_JEQ;
	bool ne = gen_null_test(g, at + 1) == BPF_JNE;
	int key = g->scratch[0];
	bool want_null = true;
	size_t over = 0;

	if (!g->env->region || map >= g->env->region->nmap)
		return gen_fail(g, at, "there is no map %u", map);
	if (eq || ne) {
		*done = 2;
		target = insn_target(g->f->p->insn, at + 1);
	}
	if (eq)
		want_null = gen_fact(g, target)->before & 1;
	x86_load(g->c, 4, false, key, &m);
	if (want_null)
		x86_set(g->c, g->of[0], 0);
	x86_alu_imm(g->c, 4, ALU_CMP, key,
		    (int32_t)g->env->set->map[map].max_entries);
	if (eq)
		gen_goto(g, at, COND_AE, target);
	else
		over = x86_skip(g->c, COND_AE);
	element(g, map, key, g->of[0]);
	if (ne)
		gen_goto(g, at, ALWAYS, target);
	if (!eq)
		x86_land(g->c, over);
	return 0;
}

/* Words as long as there are, as mem_copy() does. */
static void copy(struct gen *g, int to, struct mem from, uint32_t n)
{
	struct mem at = { .base = to };

	for (unsigned size = 8; size; size /= 2)
		for (; n >= size; n -= size) {
			x86_load(g->c, size, false, g->of[0], &from);
			x86_store(g->c, size, &at, g->of[0]);
			from.disp += (int32_t)size;
			at.disp += (int32_t)size;
		}
}

/* r0 = -E2BIG, or 0 when the element has its new value */
static int update(struct gen *g, uint32_t at)
{
	const struct insn_fact *k = gen_fact(g, at);
	struct mem key = gen_memory(g, &k->key, 2, 0);
	struct mem value = gen_memory(g, &k->value, 3, 0);
	const struct region_map *m;
	size_t over;

	if (!g->env->region || k->map >= g->env->region->nmap)
		return gen_fail(g, at, "there is no map %u", k->map);
	m = &g->env->region->map[k->map];
	x86_load(g->c, 4, false, g->scratch[0], &key);
	x86_set(g->c, g->of[0], -E2BIG);
	x86_alu_imm(g->c, 4, ALU_CMP, g->scratch[0], (int32_t)m->max_entries);
	over = x86_skip(g->c, COND_AE);
	element(g, k->map, g->scratch[0], g->scratch[1]);
	copy(g, g->scratch[1], value, m->value_size);
	x86_set(g->c, g->of[0], 0);
	x86_land(g->c, over);
	return 0;
}

int gen_call(struct gen *g, uint32_t at, uint32_t *done)
{
	const struct bpf_insn *i = gen_insn(g, at);
	const struct insn_fact *k = gen_fact(g, at);

	switch (k->call) {
	case CALL_LOOKUP_KNOWN:
		return gen_value(g, at, g->of[0], &k->result);
	case CALL_LOOKUP:
		return lookup(g, at, done);
	case CALL_LOOKUP_HASH:
		return gen_lookup_hash(g, at, done);
	case CALL_LOOKUP_CPU:
		return gen_lookup_cpu(g, at, done);
	case CALL_UPDATE:
		return update(g, at);
	case CALL_CTX_FIELD:
		return ctx_field(g, at);
	}
	if (i->src_reg == BPF_PSEUDO_CALL)
		return subprogram(g, at);
	if (i->src_reg)
		return gen_fail(g, at, "unknown kind of call");
	if (i->imm == HELPER_TAIL)
		return gen_tail(g, at);
	return gen_helper(g, at);
}
