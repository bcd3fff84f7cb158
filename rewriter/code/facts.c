/* SPDX-License-Identifier: MIT */
/* facts.c - what is needed at all, backwards through one function, and what
 * the trampoline must know of it.
 *
 * An instruction that only computes is gone when nobody reads its result;
 * since the forward pass has replaced registers by constants and addresses
 * where it could, that is most of the set-up around lookups and globals.
 * Stores to stack bytes that nothing reads are gone as well, and then what
 * computed their values.
 */
#include "rewriter/code/known.h"

#include <string.h>

enum { BPF_STACK = 512, ARGS = 0x3e /* r1..r5 */ };

static uint16_t bit(unsigned r)
{
	return (uint16_t)(1u << r);
}

static bool fetches(const struct bpf_insn *i)
{
	return i->imm != INSN_STORE_REL && i->imm != INSN_LOAD_ACQ &&
	       i->imm & BPF_FETCH;
}

static uint16_t reads_atomic(const struct bpf_insn *i,
			     const struct insn_fact *k)
{
	const struct val *base = i->imm == INSN_LOAD_ACQ ? &k->src : &k->dst;
	uint8_t reg = i->imm == INSN_LOAD_ACQ ? i->src_reg : i->dst_reg;
	uint16_t m = val_address(base) ? 0 : bit(reg);
	int32_t imm;

	if (i->imm == INSN_LOAD_ACQ)
		return m;
	if ((fetches(i) && !k->no_fetch) || !insn_operand(i, k, &imm))
		m |= bit(i->src_reg);
	if (i->imm == BPF_CMPXCHG)
		m |= bit(0);
	return m;
}

static uint16_t reads_alu(const struct bpf_insn *i, const struct insn_fact *k)
{
	uint8_t op = BPF_OP(i->code);
	uint16_t m = op == BPF_MOV ? 0 : bit(i->dst_reg);
	int32_t imm;

	if (k->result.kind != V_ANY)
		return 0;
	if (op == BPF_END || op == BPF_NEG || insn_operand(i, k, &imm))
		return m;
	return m | bit(i->src_reg);
}

static uint16_t reads_call(const struct known *f, const struct bpf_insn *i,
			   const struct insn_fact *k)
{
	const struct helper *h = helper_find((uint32_t)i->imm);
	uint16_t m = 0;

	switch (k->call) {
	case CALL_UPDATE:
		return (k->key.kind == V_FP ? 0 : bit(2)) |
		       (k->value.kind == V_FP ? 0 : bit(3));
	case CALL_LOOKUP:
	case CALL_LOOKUP_HASH:
	case CALL_LOOKUP_CPU:
		return k->key.kind == V_FP ? 0 : bit(2);
	case CALL_LOOKUP_KNOWN:
		return 0;
	case CALL_CTX_FIELD:
		return f->ctx ? 0 : bit(1);
	}
	if (i->src_reg || !h)
		return ARGS;
	for (unsigned r = 1; r <= 5 && h->arg[r - 1] != ARG_NONE; r++)
		if (!arg_unused(h->arg[r - 1]))
			m |= bit(r);
	return m;
}

static uint16_t reads_jump(const struct known *f, const struct bpf_insn *i,
			   const struct insn_fact *k)
{
	int32_t imm;

	if (is_guard(i))
		return i->src_reg == GUARD_RANGE && k->dst.kind != V_CONST
			       ? bit(i->dst_reg)
			       : 0;
	if (BPF_OP(i->code) == BPF_EXIT)
		return f->result ? bit(0) : 0;
	if (BPF_OP(i->code) == BPF_CALL)
		return reads_call(f, i, k);
	if (k->taken != TAKEN_MAYBE)
		return 0;
	if (insn_operand(i, k, &imm))
		return bit(i->dst_reg);
	return (insn_swapped(i, k, &imm) ? 0 : bit(i->dst_reg)) |
	       bit(i->src_reg);
}

/* Registers whose content the code of one instruction needs. */
static uint16_t reads(const struct known *f, const struct bpf_insn *i,
		      const struct insn_fact *k)
{
	uint16_t m = val_address(&k->dst) ? 0 : bit(i->dst_reg);
	int32_t imm;

	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return reads_alu(i, k);
	case BPF_LD:
		return 0;
	case BPF_LDX:
		if (k->result.kind != V_ANY || val_address(&k->src))
			return 0;
		return bit(i->src_reg);
	case BPF_ST:
		return m;
	case BPF_STX:
		if (insn_is_atomic(i) && i->imm != INSN_STORE_REL)
			return reads_atomic(i, k);
		return insn_operand(i, k, &imm) ? m : m | bit(i->src_reg);
	}
	return reads_jump(f, i, k);
}

/* Registers that have another content behind it. */
static uint16_t writes(const struct bpf_insn *i, const struct insn_fact *k)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_ST:
		return 0;
	case BPF_STX:
		if (!insn_is_atomic(i) || i->imm == INSN_STORE_REL)
			return 0;
		if (i->imm == INSN_LOAD_ACQ)
			return bit(i->dst_reg);
		if (i->imm == BPF_CMPXCHG)
			return bit(0);
		return fetches(i) && !k->no_fetch ? bit(i->src_reg) : 0;
	case BPF_JMP:
		return BPF_OP(i->code) == BPF_CALL ? ARGS | bit(0) : 0;
	case BPF_JMP32:
		return 0;
	}
	return bit(i->dst_reg);
}

static bool only_computes(const struct bpf_insn *i, const struct insn_fact *k)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_ST:
	case BPF_STX:
		return false;
	case BPF_JMP:
		return BPF_OP(i->code) == BPF_CALL && k->call != CALL_REAL &&
		       k->call != CALL_UPDATE;
	case BPF_JMP32:
		return false;
	}
	return true;
}

static bool is_gone(const struct bpf_insn *i, const struct insn_fact *k)
{
	uint16_t result = writes(i, k);

	if (!k->reached || k->dead_store || k->taken == TAKEN_NEVER)
		return true;
	if (BPF_OP(i->code) == BPF_CALL && BPF_CLASS(i->code) == BPF_JMP)
		result = bit(0);
	return only_computes(i, k) && !(result & k->live);
}

static uint16_t live_after(const struct known *f, const uint16_t *in,
			   uint32_t at)
{
	const struct bpf_insn *i = &f->p->insn[at];
	const struct insn_fact *k = &f->fact[at - f->from];
	uint16_t m = 0;

	if (i->code == (BPF_JMP | BPF_EXIT))
		return 0;
	if (insn_is_jump(i) && k->taken != TAKEN_NEVER)
		m |= in[insn_target(f->p->insn, at) - f->from];
	if (!insn_is_jump(i) || k->taken != TAKEN_ALWAYS)
		m |= in[at + 1 + insn_is_lddw(i) - f->from];
	return m;
}

/* From "nothing is read" up to the least fixpoint, so that a loop which only
 * feeds itself is gone too. */
static void find_live(struct known *f, uint16_t *in)
{
	uint32_t n = f->to - f->from;
	bool again = true;

	memset(in, 0, n * sizeof(*in));
	while (again) {
		again = false;
		for (uint32_t j = n; j-- > 0;) {
			const struct bpf_insn *i = &f->p->insn[f->from + j];
			struct insn_fact *k = &f->fact[j];
			uint16_t m;

			if (!k->reached) {
				k->gone = true;
				continue;
			}
			k->live = live_after(f, in, f->from + j);
			k->no_fetch = insn_is_atomic(i) && fetches(i) &&
				      i->imm != BPF_XCHG &&
				      i->imm != BPF_CMPXCHG &&
				      !(k->live & bit(i->src_reg));
			k->gone = is_gone(i, k);
			m = k->live;
			if (!k->gone)
				m = (m & ~writes(i, k)) | reads(f, i, k);
			again |= m != in[j];
			in[j] = k->before = m;
		}
	}
	f->entry_live = in[0];
}

/* The memory operand of an instruction, if its code has one. */
static const struct val *memory(const struct bpf_insn *i,
				const struct insn_fact *k)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LDX:
		return k->result.kind == V_ANY ? &k->src : NULL;
	case BPF_ST:
		return &k->dst;
	case BPF_STX:
		return insn_is_atomic(i) && i->imm == INSN_LOAD_ACQ ? &k->src
								    : &k->dst;
	}
	return NULL;
}

static bool is_store(const struct bpf_insn *i)
{
	return (BPF_CLASS(i->code) | 1) == BPF_STX && !insn_is_atomic(i);
}

/* Does the code make a stack address that others could use? */
static bool takes_fp(const struct known *f, const struct bpf_insn *i,
		     const struct insn_fact *k)
{
	return k->result.kind == V_FP || reads(f, i, k) & bit(10);
}

static void mark_read(uint8_t *read, int64_t at, unsigned len)
{
	for (int64_t b = at; b < at + len; b++)
		if (b >= -BPF_STACK && b < 0)
			read[b + BPF_STACK] = 1;
}

static bool key_on_stack(const struct insn_fact *k)
{
	return (k->call == CALL_LOOKUP || k->call == CALL_LOOKUP_HASH ||
		k->call == CALL_LOOKUP_CPU || k->call == CALL_UPDATE) &&
	       k->key.kind == V_FP;
}

static bool value_on_stack(const struct insn_fact *k)
{
	return k->call == CALL_UPDATE && k->value.kind == V_FP;
}

/* Which bytes of the stack are read; false: it cannot be told. */
static bool stack_reads(const struct known *f, uint8_t *read)
{
	memset(read, 0, BPF_STACK);
	for (uint32_t j = 0; j < f->to - f->from; j++) {
		const struct bpf_insn *i = &f->p->insn[f->from + j];
		const struct insn_fact *k = &f->fact[j];
		const struct val *m = memory(i, k);

		if (k->gone)
			continue;
		if (takes_fp(f, i, k))
			return false;
		if (key_on_stack(k))
			mark_read(read, k->key.n,
				  f->set->map[k->map].key_size);
		if (value_on_stack(k))
			mark_read(read, k->value.n,
				  f->set->map[k->map].value_size);
		if (m && m->kind == V_FP && !is_store(i))
			mark_read(read, m->n + i->off, insn_bytes(i));
	}
	return true;
}

static bool any_read(const uint8_t *read, int64_t at, unsigned len)
{
	if (at < -BPF_STACK || at + len > 0)
		return true;
	return memchr(read + at + BPF_STACK, 1, len);
}

static bool drop_stores(struct known *f)
{
	uint8_t read[BPF_STACK];
	bool dropped = false;

	if (!stack_reads(f, read))
		return false;
	for (uint32_t j = 0; j < f->to - f->from; j++) {
		const struct bpf_insn *i = &f->p->insn[f->from + j];
		struct insn_fact *k = &f->fact[j];

		if (!k->gone && is_store(i) && k->dst.kind == V_FP &&
		    !any_read(read, k->dst.n + i->off, insn_bytes(i)))
			dropped = k->dead_store = true;
	}
	return dropped;
}

/* Registers that x86 instructions insist on, and scratch registers. */
static void needs(struct known *f, const struct bpf_insn *i,
		  const struct insn_fact *k)
{
	uint8_t op = BPF_OP(i->code);
	int32_t imm;
	bool is_imm = insn_operand(i, k, &imm);

	if (reads(f, i, k) & bit(10) || k->call == CALL_LOOKUP ||
	    (is_guard_of(i, GUARD_RANGE) && i->imm < 0))
		f->scratch = f->scratch ? f->scratch : 1;
	if (k->call == CALL_UPDATE)
		f->scratch = 2;
	if (insn_is_alu(i) && k->result.kind == V_ANY) {
		if ((op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) &&
		    !is_imm)
			f->fixed |= REG_BIT(RCX);
		if (op == BPF_DIV || op == BPF_MOD)
			f->fixed |= REG_BIT(RAX) | REG_BIT(RDX);
		if ((op == BPF_DIV || op == BPF_MOD) && is_imm && !f->scratch)
			f->scratch = 1;
	}
	if (!insn_is_atomic(i))
		return;
	if (i->imm == BPF_CMPXCHG)
		f->fixed |= REG_BIT(RAX);
	if (fetches(i) && !k->no_fetch && i->imm != BPF_XCHG &&
	    i->imm != BPF_CMPXCHG && (i->imm & ~BPF_FETCH) != BPF_ADD) {
		f->fixed |= REG_BIT(RAX);
		f->scratch = f->scratch ? f->scratch : 1;
	}
}

static int ctx_access(struct known *f, const struct bpf_insn *i, int64_t off,
		      struct err *e)
{
	unsigned bytes = insn_bytes(i);
	bool inside = off >= 0 && off + bytes <= PT_REGS_SIZE;

	if (f->p->cookie && off == HIT_SESSION) {
		f->ctx_escapes = true;
		return 0;
	}
	if (f->result || !f->ctx) {
		f->ctx_escapes |= !inside;
	} else if (!inside) {
		return fail(e, f->p->section, (uint64_t)(i - f->p->insn),
			    "invalid bpf_context access off=%lld size=%u",
			    (long long)off, bytes);
	}
	if (!inside)
		return 0;
	f->ctx_escapes |= off % 8 + bytes > 8 || BPF_CLASS(i->code) != BPF_LDX;
	f->ctx_reads |= 1u << (off / 8);
	return 0;
}

static void deepen(struct known *f, int64_t off)
{
	if (off < 0 && (uint64_t)-off > f->stack)
		f->stack = off < -BPF_STACK ? BPF_STACK : (uint32_t)-off;
}

/* Upper estimates, in bytes of code. */
static uint32_t estimate(const struct bpf_insn *i, const struct insn_fact *k)
{
	uint8_t op = BPF_OP(i->code);

	if (i->code == (BPF_JMP | BPF_CALL) && i->imm == HELPER_TAIL)
		return 96;
	if (k->call == CALL_LOOKUP)
		return 56;
	if (k->call == CALL_LOOKUP_HASH)
		return 256;
	if (k->call == CALL_LOOKUP_CPU || k->call == CALL_UPDATE)
		return 160;
	if (insn_is_atomic(i) || insn_is_task_load(i))
		return 40;
	if (insn_is_alu(i) && (op == BPF_DIV || op == BPF_MOD))
		return 56;
	return 16;
}

static bool is_helper(const struct bpf_insn *i)
{
	return i->code == (BPF_JMP | BPF_CALL) && !i->src_reg;
}

/* Does a subprogram want a struct run, and may it fail?  Asked of all of them,
 * as each can be called from everywhere. */
static void see_subs(struct known *f)
{
	const struct bpf_prog *p = f->p;

	for (uint32_t at = p->nsub > 1 ? p->sub[1] : p->ninsn; at < p->ninsn;
	     at += 1 + insn_is_lddw(&p->insn[at])) {
		f->budget |= is_guard(&p->insn[at]);
		f->subs_run |= is_helper(&p->insn[at]) &&
			       helper_runs((uint32_t)p->insn[at].imm,
					   MAP_UNKNOWN);
	}
	f->subs_run |= f->budget;
}

/* What a guard wants: only one that compares, in the program itself, has done
 * with that. */
static void see_guard(struct known *f, const struct bpf_insn *i)
{
	f->fails = true;
	if (f->from || i->src_reg != GUARD_RANGE)
		f->budget = f->run = true;
}

static bool sends_signals(const struct bpf_prog *p)
{
	for (uint32_t at = 0; at < p->ninsn; at += 1 + insn_is_lddw(&p->insn[at]))
		if (is_helper(&p->insn[at]) &&
		    helper_signals((uint32_t)p->insn[at].imm))
			return true;
	return false;
}

static bool wants_run(const struct known *f, const struct bpf_insn *i,
		      const struct insn_fact *k)
{
	if (!call_remains(k->call))
		return false;
	if (f->subs_run && (i->src_reg == BPF_PSEUDO_CALL ||
			    helper_calls_back((uint32_t)i->imm)))
		return true;
	if (i->src_reg)
		return false;
	return helper_runs((uint32_t)i->imm, insn_map_type(f, k));
}

/* Where the frame ends, the struct run stands, or in a subprogram its place; and
 * behind it that of ctx, where a run may fail. */
static void make_room(struct known *f, bool sub)
{
	/* Addresses that are not followed may lead deeper than those that are. */
	if (f->fp_computed || f->fp_escapes)
		f->stack = BPF_STACK;
	f->stack = (uint32_t)align_up(f->stack, 8);
	if (f->run)
		f->stack += sub ? sizeof(uint64_t) : sizeof(struct run);
	if (f->fails && !f->ctx && !sub)
		f->stack += sizeof(uint64_t);
}

static int collect(struct known *f, struct err *e)
{
	for (uint32_t j = 0; j < f->to - f->from; j++) {
		const struct bpf_insn *i = &f->p->insn[f->from + j];
		struct insn_fact *k = &f->fact[j];
		const struct val *m = memory(i, k);
		uint16_t r;

		if (insn_is_jump(i) && k->reached && !k->gone)
			f->fact[insn_target(f->p->insn, f->from + j) - f->from]
				.target = true;
		if (k->gone)
			continue;
		r = reads(f, i, k);
		f->ctx_escapes |= r & k->ctx_regs;
		f->used |= r;
		if (BPF_OP(i->code) == BPF_CALL &&
		    BPF_CLASS(i->code) == BPF_JMP) {
			f->used |= bit(0);
			f->calls |= call_remains(k->call);
			f->run |= wants_run(f, i, k);
		} else if (is_guard(i)) {
			see_guard(f, i);
		} else {
			f->used |= writes(i, k);
			f->calls |= insn_is_task_load(i);
		}
		if (m && m->kind == V_CTX &&
		    ctx_access(f, i, m->n + i->off, e))
			return -1;
		if (k->result.kind == V_WORD)
			f->ctx_reads |= 1u << (k->result.n / 8);
		if (m && m->kind == V_FP)
			deepen(f, m->n + i->off);
		else if (m && m->may_fp) /* one of several, and i->off below */
			f->stack = BPF_STACK;
		if (k->result.kind == V_FP)
			deepen(f, k->result.n);
		if (key_on_stack(k))
			deepen(f, k->key.n);
		if (value_on_stack(k))
			deepen(f, k->value.n);
		needs(f, i, k);
		f->size += estimate(i, k);
	}
	if (f->ctx && f->entry_live & bit(1))
		f->used |= bit(1);
	f->used &= 0x3ff;
	return 0;
}

/* What the passes index by must be inside; everything else about an unknown
 * instruction is refused when code is made for it. */
static int sane(const struct known *f, struct err *e)
{
	const struct bpf_insn *insn = f->p->insn;

	for (uint32_t at = f->from; at < f->to; at++) {
		const struct bpf_insn *i = &insn[at];
		uint32_t last = at;

		if (i->dst_reg > 10 || i->src_reg > 10)
			return fail(e, f->p->section, at, "no such register");
		if (insn_is_jump(i) &&
		    (insn_target(insn, at) < f->from ||
		     insn_target(insn, at) >= f->to ||
		     (insn_target(insn, at) > f->from &&
		      insn_is_lddw(&insn[insn_target(insn, at) - 1]))))
			return fail(e, f->p->section, at, "jump out of range");
		at += insn_is_lddw(i);
		last = at + 1;
		if (last >= f->to && i->code != (BPF_JMP | BPF_EXIT) &&
		    !insn_is_ja(i))
			return fail(e, f->p->section, at, "falls off its end");
	}
	return 0;
}

/* step_put() in values.c says why. */
static void find_put(struct known *f)
{
	for (uint32_t j = 0; j < f->to - f->from; j++) {
		struct insn_fact *k = &f->fact[j];

		k->put = k->put && !f->elems_kept && !(k->elem_regs & k->live);
	}
}

int known_make(struct arena *a, const struct bpf_set *set,
	       const struct bpf_prog *p, uint32_t sub, enum form as,
	       struct known *out, struct err *e)
{
	struct arena own = { 0 };
	uint16_t *in;

	*out = (struct known){
		.set = set,
		.p = p,
		.from = sub < p->nsub ? p->sub[sub] : 0,
		.to = sub + 1 < p->nsub ? p->sub[sub + 1] : p->ninsn,
		.ctx = as != FORM_FUNCTION,
		.result = as != FORM_INLINE,
	};
	if (sane(out, e))
		return -1;
	see_subs(out);
	known_values(a, out);
	in = arena_alloc(&own, (out->to - out->from) * sizeof(*in));
	do
		find_live(out, in);
	while (drop_stores(out));
	find_put(out);
	arena_free(&own);
	if (collect(out, e))
		return -1;
	make_room(out, sub);
	out->signals = out->run && sends_signals(p);
	return 0;
}

void known_facts(struct known *f, struct facts *out)
{
	*out = (struct facts){
		.ctx_reads = f->ctx_escapes ? 0 : f->ctx_reads,
		.ctx_escapes = f->ctx_escapes,
		.calls = f->calls,
		.regs_used = f->used,
		.stack = f->stack,
		.fixed = f->fixed,
		.size = f->size + (f->budget ? 64 : 16),
		.scratch = f->scratch,
		.known = f,
	};
}

int code_facts(struct arena *a, const struct bpf_set *set,
	       const struct bpf_prog *p, struct facts *out, struct err *e)
{
	struct known *f = arena_alloc(a, sizeof(*f));

	if (known_make(a, set, p, 0, FORM_INLINE, f, e))
		return -1;
	known_facts(f, out);
	return 0;
}
