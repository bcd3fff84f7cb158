/* SPDX-License-Identifier: MIT */
/* live.c - which registers and stack slots may be read again.
 *
 * Two backward passes until nothing changes: over registers, then over the
 * slots of each function's own frame, which want to know what a call reads.
 * Two states that differ only in what is dead go on alike, so every doubt is
 * "live": instructions that the flow of constants does not reach read all;
 * where a frame's address gets out of sight, all its slots are live.
 *
 * A slot is followed by its halves, as compilers spill four bytes at a time:
 *
 *   *(u32 *)(r10 - 8) = ...    kills the lower half of slot 0
 *   *(u64 *)(r10 - 12) = ...   kills the lower half of 0, the upper of 1
 *
 * The frame of a caller, while it waits for instruction c (a call), has alive
 * what is alive before c, but r0..r5.
 */
#include "rewriter/verify/live.h"
#include "runtime-stub/guard.h"

static const struct halves no_halves;

struct find {
	const struct bpf_prog *p;
	struct live *l;
	struct effect *effect;
	bool *escapes;
};

static uint16_t bit(unsigned r)
{
	return (uint16_t)(1u << r);
}

static unsigned width(const struct bpf_insn *insn)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 };

	return bytes[BPF_SIZE(insn->code) >> 3];
}

static bool is_atomic(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_STX &&
	       BPF_MODE(insn->code) == BPF_ATOMIC;
}

/* --- registers --------------------------------------------------------- */

static uint16_t call_reads(const struct find *f, uint32_t i)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	const struct helper *h = helper_find((uint32_t)insn->imm);
	uint16_t m = 0;

	if (insn->src_reg == BPF_PSEUDO_CALL)
		return f->l->regs[i + 1 + insn->imm] & ARGS;
	if (insn->src_reg || !h)
		return ARGS;
	for (unsigned r = 1; r <= 5; r++)
		if (h->arg[r - 1] != ARG_NONE)
			m |= bit(r);
	return m;
}

static uint16_t jump_reads(const struct find *f, uint32_t i)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	uint16_t m = bit(insn->dst_reg);

	if (is_exit(insn))
		return bit(0);
	if (is_call(insn))
		return call_reads(f, i);
	if (is_goto(insn))
		return 0;
	/* A guard's src_reg is no register; it reads dst_reg at most. */
	if (is_guard(insn))
		return is_guard_of(insn, GUARD_RANGE) ? m : 0;
	if (BPF_SRC(insn->code) == BPF_K)
		return m;
	return m | bit(insn->src_reg);
}

static uint16_t alu_reads(const struct bpf_insn *insn)
{
	uint8_t op = BPF_OP(insn->code);
	uint16_t m = op == BPF_MOV ? 0 : bit(insn->dst_reg);

	if (op == BPF_END || op == BPF_NEG || BPF_SRC(insn->code) == BPF_K)
		return m;
	return m | bit(insn->src_reg);
}

static uint16_t reads(const struct find *f, uint32_t i)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	uint16_t m = bit(insn->dst_reg) | bit(insn->src_reg);

	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return alu_reads(insn);
	case BPF_LD:
		return 0;
	case BPF_LDX:
		return bit(insn->src_reg);
	case BPF_ST:
		return bit(insn->dst_reg);
	case BPF_STX:
		return is_atomic(insn) && insn->imm == BPF_CMPXCHG ? m | bit(0)
								   : m;
	}
	return jump_reads(f, i);
}

/* Registers whose old content is gone behind it, whatever happens. */
static uint16_t writes(const struct bpf_insn *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
	case BPF_LD:
	case BPF_LDX:
		return bit(insn->dst_reg);
	case BPF_ST:
	case BPF_STX: /* what an atomic one writes, it has read */
		return 0;
	}
	return is_call(insn) ? CLOBBERED : 0;
}

/* --- where an instruction goes ----------------------------------------- */

uint32_t live_follow(const struct bpf_insn *insn, uint32_t i, uint32_t next[2])
{
	uint32_t n = 0;

	if (is_exit(insn))
		return 0;
	if (!is_goto(insn))
		next[n++] = i + 1 + is_lddw(insn);
	if (is_jump(insn))
		next[n++] = jump_target(insn, i);
	return n;
}

static bool regs_step(void *arg, uint32_t i)
{
	struct find *f = arg;
	const struct bpf_insn *insn = &f->p->insn[i];
	uint16_t *at = f->l->regs, old = at[i], behind = 0;
	uint32_t next[2], n = live_follow(insn, i, next);

	while (n--)
		behind |= at[next[n]];
	at[i] = reads(f, i) | (behind & ~writes(insn)) | bit(10);
	return at[i] != old;
}

static bool slots_step(void *arg, uint32_t i)
{
	struct find *f = arg;
	const struct effect *k = &f->effect[i];
	struct halves *at = f->l->slot;
	uint32_t next[2], n = live_follow(&f->p->insn[i], i, next);
	bool changed = false;

	for (uint32_t w = 0; w < HALVES / 64; w++) {
		uint64_t behind = 0, now;

		for (uint32_t j = 0; j < n; j++)
			behind |= at[next[j]].word[w];
		now = k->reads.word[w] | (behind & ~k->kills.word[w]);
		changed |= now != at[i].word[w];
		at[i].word[w] = now;
	}
	return changed;
}

void live_settle(const struct bpf_prog *p, bool (*one)(void *arg, uint32_t i),
		 void *arg)
{
	bool more = true;

	while (more) {
		more = false;
		for (uint32_t i = p->ninsn; i--;) {
			/* no jump leads to the second half of an lddw */
			if (p->insn[i].code)
				more |= one(arg, i);
		}
	}
}

/* --- the stack --------------------------------------------------------- */

/* Halves of [from, to) relative to r10: those that are touched, or those that
 * are wholly in it. */
static void add(struct halves *h, int64_t from, int64_t to, bool whole)
{
	for (int64_t k = 0; k < HALVES; k++) {
		int64_t lo = -HALF * (k + 1), hi = lo + HALF;

		if (whole ? from <= lo && hi <= to : from < hi && lo < to)
			h->word[k / 64] |= UINT64_C(1) << k % 64;
	}
}

uint32_t live_sub(const struct bpf_prog *p, uint32_t i)
{
	uint32_t k = p->nsub ? p->nsub - 1 : 0;

	while (k && p->sub[k] > i)
		k--;
	return k;
}

static void escape(struct find *f, uint32_t i)
{
	f->escapes[live_sub(f->p, i)] = true;
}

static bool of_frame(const struct value *v)
{
	return v->kind == VALUE_FRAME || v->kind == VALUE_STACK;
}

/* `size` bytes at v + off are read. */
static void read_at(struct find *f, uint32_t i, const struct value *v,
		    int64_t off, int64_t size)
{
	int64_t from = (int64_t)((uint64_t)v->n + (uint64_t)off);

	if (v->kind == VALUE_STACK || (v->kind == VALUE_FRAME && from < -STACK))
		escape(f, i);
	else if (v->kind == VALUE_FRAME)
		add(&f->effect[i].reads, from, from + size, false);
}

static void store(struct find *f, uint32_t i, const struct regs *r)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	const struct value *to = &r->r[insn->dst_reg];
	int64_t from = (int64_t)((uint64_t)to->n + (uint64_t)insn->off);
	unsigned size = width(insn);

	if (BPF_CLASS(insn->code) == BPF_STX && of_frame(&r->r[insn->src_reg]))
		escape(f, i);
	if (is_atomic(insn)) {
		read_at(f, i, to, insn->off, size);
		return;
	}
	if (to->kind == VALUE_STACK)
		escape(f, i);
	else if (to->kind == VALUE_FRAME && from >= -STACK && from < 0) {
		add(&f->effect[i].kills, from, from + size, true);
		add(&f->effect[i].touches, from, from + size, false);
	}
}

/* How many bytes a helper may read at its argument k: up to r10, if that is not
 * known. */
static int64_t given(const struct helper *h, unsigned k, const struct regs *r)
{
	const struct value *size = &r->r[k + 2];

	switch (h->arg[k]) {
	case ARG_LONG_OUT:
		return 8;
	case ARG_DYNPTR:
	case ARG_DYNPTR_OUT:
	case ARG_DYNPTR_END:
		return DYNPTR_SIZE;
	case ARG_ITER:
	case ARG_ITER_OUT:
	case ARG_ITER_END:
		return 8;
	case ARG_MEM_IN:
	case ARG_MEM_OUT:
	case ARG_IN_OR_NULL:
	case ARG_OUT_OR_NULL:
		if (k < 4 && arg_is_size(h->arg[k + 1]) &&
		    size->kind == VALUE_NUMBER && size->n >= 0 &&
		    size->n <= STACK)
			return size->n;
	}
	return STACK;
}

static bool is_kept(const struct helper *h, uint32_t id, unsigned k)
{
	return h->arg[k] == ARG_MEM_KEPT ||
	       (h->arg[k] == ARG_FRAME_OR_NULL && helper_calls_back(id));
}

static void call(struct find *f, uint32_t i, const struct regs *r)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	const struct helper *h =
		insn->src_reg ? NULL : helper_find((uint32_t)insn->imm);
	uint16_t m = call_reads(f, i);

	for (unsigned k = 0; k < 5; k++) {
		const struct value *v = &r->r[k + 1];

		if (!(m & bit(k + 1)) || !of_frame(v))
			continue;
		if (!h || is_kept(h, (uint32_t)insn->imm, k))
			escape(f, i);
		else
			read_at(f, i, v, 0, given(h, k, r));
	}
}

static int see(void *arg, uint32_t i, const struct regs *r)
{
	struct find *f = arg;
	const struct bpf_insn *insn = &f->p->insn[i];

	f->effect[i].reads = no_halves;
	switch (BPF_CLASS(insn->code)) {
	case BPF_LDX:
		read_at(f, i, &r->r[insn->src_reg], insn->off, width(insn));
		break;
	case BPF_ST:
	case BPF_STX:
		store(f, i, r);
		break;
	case BPF_JMP:
		if (is_call(insn))
			call(f, i, r);
	}
	return 0;
}

static void find_effects(struct arena *a, struct find *f)
{
	struct flow flow;

	for (uint32_t i = 0; i < f->p->ninsn; i++)
		memset(&f->effect[i].reads, 0xff, sizeof(struct halves));
	flow_run(a, f->p, NULL, &flow);
	flow_each(f->p, NULL, &flow, see, f);
	for (uint32_t i = 0; i < f->p->ninsn; i++)
		if (f->escapes[live_sub(f->p, i)])
			memset(&f->effect[i].reads, 0xff,
			       sizeof(struct halves));
}

struct live *live_find(struct arena *a, const struct bpf_prog *p)
{
	struct live *l = arena_alloc(a, sizeof(*l));
	struct find f = { .p = p, .l = l };

	l->regs = arena_alloc(a, p->ninsn * sizeof(*l->regs));
	l->slot = arena_alloc(a, p->ninsn * sizeof(*l->slot));
	l->care = arena_alloc(a, p->ninsn * sizeof(*l->care));
	l->care_slot = arena_alloc(a, p->ninsn * sizeof(*l->care_slot));
	l->effect = arena_alloc(a, p->ninsn * sizeof(*l->effect));
	l->escapes = arena_alloc(a, p->nsub + 1);
	f.effect = l->effect;
	f.escapes = l->escapes;
	live_settle(p, regs_step, &f);
	find_effects(a, &f);
	live_settle(p, slots_step, &f);
	return l;
}

static bool within(const struct halves *a, const struct halves *b)
{
	for (uint32_t w = 0; w < HALVES / 64; w++)
		if (a->word[w] & ~b->word[w])
			return false;
	return true;
}

bool live_follows(const struct live *l, const struct bpf_prog *p, uint32_t i,
		  int64_t from, int64_t to, bool writes)
{
	const struct effect *e = &l->effect[i];
	struct halves part = no_halves, whole = no_halves;

	if (live_lets_out(l, p, i))
		return true;
	add(&part, from, to, false);
	add(&whole, from, to, true);
	return within(&part, writes ? &e->touches : &e->reads) &&
	       within(&e->kills, &whole);
}

bool live_lets_out(const struct live *l, const struct bpf_prog *p, uint32_t i)
{
	return l->escapes[live_sub(p, i)];
}

uint16_t live_regs(const struct live *l, uint32_t i)
{
	return l->regs[i];
}

bool live_slot(const struct live *l, uint32_t i, uint32_t slot)
{
	const struct halves *h = &l->slot[i];

	return h->word[slot / 32] >> (2 * slot % 64) & 3;
}
