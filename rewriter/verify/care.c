/* SPDX-License-Identifier: MIT */
/* care.c - of which numbers does it matter what they are?
 *
 * Two paths that meet are often alike but for a number that is only written to a
 * map, or counted.  Such a number need not be compared.  It matters if an
 * address, a size or an argument comes of it, or a jump that the walk has once
 * seen decided by what it knew (`decided`, an array of the walk's).
 *
 * A walk finds more of those as it goes on.  One that has ended paths for less
 * than is known in the end is to be done again (program.c); one that has found
 * fault has found it, whatever it did not look at.
 *
 * Why that is enough: put "anything" for each number that does not matter, in the
 * state that was looked at.  All jumps that depend on it were taken both ways,
 * nothing else depends on it; so what was seen is what would be seen.
 */
#include "rewriter/verify/live.h"
#include "runtime-stub/guard.h"

struct find {
	const struct bpf_prog *p;
	struct live *l;
	const bool *decided;
	bool shared; /* some frame is seen by other functions */
};

static uint16_t bit(unsigned r)
{
	return (uint16_t)(1u << r);
}

static bool is_main(const struct find *f, uint32_t i)
{
	return f->p->nsub < 2 || i < f->p->sub[1];
}

/* Of which a helper asks no more than that they are set.  (get_stack()'s flags say
 * how long it takes: cost.c.) */
static bool is_plain(const struct helper *h, int32_t id, unsigned k)
{
	return h->arg[k] == ARG_SCALAR && id != BPF_FUNC_ringbuf_reserve &&
	       id != BPF_FUNC_get_stack && id < BPF_FUNC_dynptr_from_mem;
}

static uint16_t call_cares(const struct find *f, uint32_t i)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	const struct helper *h = helper_find((uint32_t)insn->imm);
	uint16_t m = 0;

	if (insn->src_reg == BPF_PSEUDO_CALL)
		return f->l->care[i + 1 + insn->imm] & ARGS;
	if (!h)
		return ARGS;
	for (unsigned k = 0; k < 5; k++)
		if (h->arg[k] != ARG_NONE && !is_plain(h, insn->imm, k))
			m |= bit(k + 1);
	return m;
}

static uint16_t jump_cares(const struct find *f, uint32_t i)
{
	const struct bpf_insn *insn = &f->p->insn[i];

	if (is_exit(insn))
		return is_main(f, i) && !f->p->session ? 0 : bit(0);
	if (is_call(insn))
		return call_cares(f, i);
	if (is_goto(insn))
		return 0;
	if (is_guard(insn))
		return is_guard_of(insn, GUARD_RANGE) ? bit(insn->dst_reg) : 0;
	/* Each operand bounds the other, and with it the other's copies. */
	if (BPF_SRC(insn->code) == BPF_X)
		return bit(insn->dst_reg) | bit(insn->src_reg);
	return f->decided[i] ? bit(insn->dst_reg) : 0;
}

static uint16_t alu_cares(const struct bpf_insn *insn, uint16_t behind)
{
	uint16_t m = 0;

	if (!(behind & bit(insn->dst_reg)))
		return 0;
	if (BPF_OP(insn->code) != BPF_MOV)
		m |= bit(insn->dst_reg);
	if (BPF_SRC(insn->code) == BPF_X && BPF_OP(insn->code) != BPF_END)
		m |= bit(insn->src_reg);
	return m;
}

static bool meets(const struct halves *a, const struct halves *b)
{
	for (uint32_t w = 0; w < HALVES / 64; w++)
		if (a->word[w] & b->word[w])
			return true;
	return false;
}

static bool none(const struct halves *h)
{
	return !h->word[0] && !h->word[1];
}

/* A store elsewhere may be one to a frame that is shared. */
static bool store_cares(const struct find *f, uint32_t i,
			const struct halves *behind)
{
	const struct effect *e = &f->l->effect[i];

	if (none(&e->touches))
		return f->shared;
	return meets(&e->touches, behind) ||
	       f->l->escapes[live_sub(f->p, i)];
}

static uint16_t memory_cares(const struct find *f, uint32_t i,
			     const struct halves *behind)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	uint16_t m = bit(insn->dst_reg);

	if (BPF_CLASS(insn->code) == BPF_STX &&
	    (BPF_MODE(insn->code) == BPF_ATOMIC || store_cares(f, i, behind)))
		m |= bit(insn->src_reg);
	return m;
}

/* Registers that matter before it, given those behind. */
static uint16_t regs_before(const struct find *f, uint32_t i, uint16_t regs,
			    const struct halves *slots)
{
	const struct bpf_insn *insn = &f->p->insn[i];
	uint16_t kept = regs & ~bit(insn->dst_reg);

	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return kept | alu_cares(insn, regs);
	case BPF_LD:
		return kept;
	case BPF_LDX:
		return kept | bit(insn->src_reg);
	case BPF_ST:
	case BPF_STX:
		return regs | memory_cares(f, i, slots);
	}
	if (is_call(insn))
		regs &= ~CLOBBERED;
	return regs | jump_cares(f, i);
}

/* Does what is loaded, or given to a helper, matter by its value? */
static bool reads_matter(const struct find *f, uint32_t i, uint16_t regs)
{
	const struct bpf_insn *insn = &f->p->insn[i];

	if (f->l->escapes[live_sub(f->p, i)] ||
	    BPF_CLASS(insn->code) != BPF_LDX)
		return true;
	return regs & bit(insn->dst_reg);
}

static bool one(void *arg, uint32_t i)
{
	struct find *f = arg;
	const struct effect *e = &f->l->effect[i];
	struct halves slots = { 0 }, now;
	uint16_t regs = 0, before;
	uint32_t next[2], n = live_follow(&f->p->insn[i], i, next);
	bool changed, read;

	while (n--) {
		regs |= f->l->care[next[n]];
		for (uint32_t w = 0; w < HALVES / 64; w++)
			slots.word[w] |= f->l->care_slot[next[n]].word[w];
	}
	before = regs_before(f, i, regs, &slots);
	changed = before != f->l->care[i];
	f->l->care[i] = before;
	read = reads_matter(f, i, regs);
	for (uint32_t w = 0; w < HALVES / 64; w++) {
		now.word[w] = (slots.word[w] & ~e->kills.word[w]) |
			      (read ? e->reads.word[w] : 0);
		changed |= now.word[w] != f->l->care_slot[i].word[w];
	}
	f->l->care_slot[i] = now;
	return changed;
}

void care_find(struct live *l, const struct bpf_prog *p, const bool *decided)
{
	struct find f = { .p = p, .l = l, .decided = decided };

	for (uint32_t k = 0; k < (p->nsub ? p->nsub : 1); k++)
		f.shared |= l->escapes[k];
	live_settle(p, one, &f);
}

uint16_t care_regs(const struct live *l, uint32_t i)
{
	return l->care[i];
}

uint64_t care_slots(const struct live *l, uint32_t i)
{
	const struct halves *h = &l->care_slot[i];
	uint64_t m = 0;

	for (uint32_t k = 0; k < SLOTS; k++)
		if (h->word[k / 32] >> (2 * k % 64) & 3)
			m |= UINT64_C(1) << k;
	return m;
}
