/* SPDX-License-Identifier: MIT */
/* branch.c - conditional jumps: which sides there are, and what each knows. */
#include "rewriter/verify/verifier.h"

struct null {
	struct state *s;
	uint32_t id;
	bool null;
};

static void drop_reference(struct state *s, uint32_t ref)
{
	for (uint32_t i = 0; i < s->nref; i++)
		if (s->ref[i].id == ref) {
			s->ref[i] = s->ref[--s->nref];
			return;
		}
}

static void learn_null(struct reg *r, void *arg)
{
	const struct null *k = arg;

	if (!r->null || r->id != k->id)
		return;
	if (k->null) {
		if (r->ref == r->id) /* nothing was reserved */
			drop_reference(k->s, r->ref);
		reg_number(r, range_const(0), r->from);
	} else {
		r->null = false;
		r->id = 0;
	}
}

void null_known(struct state *s, uint32_t id, bool null)
{
	struct null k = { s, id, null };

	state_each(s, learn_null, &k);
}

static const struct bpf_insn *insn(const struct verify *v)
{
	return &v->p->insn[v->i];
}

/* The kernel's reg_not_null(): what may be said to be no NULL.  But our objects may
 * be at low addresses, and what is far enough below one may be NULL. */
static bool not_null(const struct reg *r)
{
	return (r->kind == VALUE || r->kind == MEM || r->kind == MAP) &&
	       r->n.smin >= 0;
}

static bool is_zero(const struct reg *r)
{
	return r->kind == NUMBER && range_is_const(&r->n) && !r->n.bits.value;
}

/* --- pointers ---------------------------------------------------------- */

/* The state of v goes the one way, a copy of it the other. */
static int both_ways(struct verify *v, uint32_t *next, struct state *jumps)
{
	*next = v->i + 1;
	return walk_later(v, jumps, jump_target(insn(v), v->i));
}

/* `r` is NULL where `jump`s are equal. */
static int split_null(struct verify *v, uint32_t *next, const struct reg *r,
		      bool equal_jumps)
{
	struct state *jumps = state_keep(v->s);
	uint32_t id = r->id;

	null_known(v->s, id, !equal_jumps);
	null_known(jumps, id, equal_jumps);
	return both_ways(v, next, jumps);
}

static void go(struct verify *v, uint32_t *next, bool jump)
{
	*next = jump ? jump_target(insn(v), v->i) : v->i + 1;
}

/* What is equal to an address that is not NULL is not NULL. */
static int split_equal(struct verify *v, uint32_t *next, const struct reg *r,
		       bool equal_jumps)
{
	struct state *jumps = state_keep(v->s);

	null_known(equal_jumps ? jumps : v->s, r->id, false);
	return both_ways(v, next, jumps);
}

static int branch_pointer(struct verify *v, uint32_t *next, const struct reg *a,
			  const struct reg *b)
{
	uint8_t op = BPF_OP(insn(v)->code);
	bool wide = BPF_CLASS(insn(v)->code) == BPF_JMP;
	const struct reg *p = a->kind == NUMBER ? b : a;

	if (wide && (op == BPF_JEQ || op == BPF_JNE) &&
	    (is_zero(a) || is_zero(b))) {
		if (p->null)
			return split_null(v, next, p, op == BPF_JEQ);
		if (not_null(p)) {
			go(v, next, op == BPF_JNE);
			return 0;
		}
	}
	if (wide && (op == BPF_JEQ || op == BPF_JNE) && a->null != b->null &&
	    not_null(a) && not_null(b))
		return split_equal(v, next, a->null ? a : b, op == BPF_JEQ);
	return both_ways(v, next, state_keep(v->s));
}

/* --- numbers ----------------------------------------------------------- */

/* What one side knows; false: it is never taken. */
static bool side(struct verify *v, struct state *s, bool taken,
		 const struct reg *imm)
{
	const struct bpf_insn *i = insn(v);
	bool wide = BPF_CLASS(i->code) == BPF_JMP;
	struct state *was = v->s;
	struct reg *a = &top(s)->r[i->dst_reg], *b;
	struct range x = a->n, y;

	b = BPF_SRC(i->code) == BPF_X ? &top(s)->r[i->src_reg] : NULL;
	y = b ? b->n : imm->n;
	if (!range_refine(BPF_OP(i->code), wide, taken, &x, &y))
		return false;
	v->s = s;
	number_known(v, a, &x);
	if (b)
		number_known(v, b, &y);
	v->s = was;
	return true;
}

/* By what was known of a number, only one side is looked at. */
static void decided(struct verify *v)
{
	v->more_decided |= !v->decided[v->i];
	v->decided[v->i] = true;
}

static int branch_number(struct verify *v, uint32_t *next, const struct reg *a,
			 const struct reg *b)
{
	const struct bpf_insn *i = insn(v);
	int taken = range_taken(BPF_OP(i->code),
				BPF_CLASS(i->code) == BPF_JMP, &a->n, &b->n);
	struct state *jumps;
	struct reg imm = *b;
	bool jump, stay;

	if (taken >= 0) {
		decided(v);
		go(v, next, taken);
		return 0;
	}
	jumps = state_keep(v->s);
	jump = side(v, jumps, true, &imm);
	stay = side(v, v->s, false, &imm);
	if (jump && stay)
		return both_ways(v, next, jumps);
	state_free(jumps);
	decided(v);
	go(v, next, jump); /* the bounds knew: one side is never run */
	return 0;
}

int step_branch(struct verify *v, uint32_t *next)
{
	const struct bpf_insn *i = insn(v);
	struct reg imm, *a = reg(v, i->dst_reg), *b = &imm;

	reg_number(&imm, range_const((uint64_t)(int64_t)i->imm), v->i);
	if (reg_is_set(v, i->dst_reg))
		return -1;
	if (BPF_SRC(i->code) == BPF_X) {
		b = reg(v, i->src_reg);
		if (reg_is_set(v, i->src_reg))
			return -1;
	}
	if (a->kind != NUMBER || b->kind != NUMBER)
		return branch_pointer(v, next, a, b);
	return branch_number(v, next, a, b);
}
