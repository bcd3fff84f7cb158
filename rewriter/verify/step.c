/* SPDX-License-Identifier: MIT */
/* step.c - one instruction: which it is, and arithmetic.
 *
 * What may be done with a pointer is what kernel/bpf/verifier.c lets privileged
 * programs do (adjust_ptr_min_max_vals()): numbers are added and subtracted in
 * 64 bits; the difference of two is a number, and so is what a 32-bit move
 * leaves of one.
 */
#include "rewriter/verify/verifier.h"

#include <string.h>

#include "runtime-stub/guard.h"

/* Offsets whose least is beyond this are refused (BPF_MAX_VAR_OFF,
 * check_reg_sane_offset()). */
enum { SANE = 1 << 29 };

static const char *const op_name[16] = {
	[BPF_ADD >> 4] = "+=",  [BPF_SUB >> 4] = "-=",   [BPF_MUL >> 4] = "*=",
	[BPF_DIV >> 4] = "/=",  [BPF_OR >> 4] = "|=",    [BPF_AND >> 4] = "&=",
	[BPF_LSH >> 4] = "<<=", [BPF_RSH >> 4] = ">>=",  [BPF_NEG >> 4] = "neg",
	[BPF_MOD >> 4] = "%=",  [BPF_XOR >> 4] = "^=",   [BPF_MOV >> 4] = "=",
	[BPF_ARSH >> 4] = "s>>=", [BPF_END >> 4] = "endian",
};

static const struct bpf_insn *insn(const struct verify *v)
{
	return &v->p->insn[v->i];
}

int reg_is_set(struct verify *v, unsigned r)
{
	if (reg(v, r)->kind != NOTHING)
		return 0;
	return refuse_at(v, -1, "give it a value on every path to here",
			 "R%u !read_ok", r);
}

static bool is_pointer(const struct reg *r)
{
	return r->kind != NUMBER && r->kind != NOTHING;
}

/* --- pointers ---------------------------------------------------------- */

static int no_arithmetic(struct verify *v, unsigned r)
{
	const struct reg *p = reg(v, r);

	if (p->null)
		return refuse_at(v, (int)r, "compare it with NULL first",
				 "R%u pointer arithmetic on %s prohibited, "
				 "null-check it first",
				 r, kind_name(p));
	return refuse_at(v, (int)r, "it can only be passed on as it is",
			 "R%u pointer arithmetic on %s prohibited", r,
			 kind_name(p));
}

static bool can_move(const struct reg *p)
{
	return !p->null &&
	       (p->kind == CTX || p->kind == FRAME || p->kind == VALUE ||
		p->kind == MEM || p->kind == TASK);
}

static int64_t extent(const struct reg *p)
{
	switch (p->kind) {
	case FRAME:
		return STACK;
	case VALUE:
		return p->map->value_size;
	}
	return p->size;
}

/* A number whose bounds say nothing is added: with a guard they would. */
static int unbounded(struct verify *v, unsigned pointer, int number,
		     const struct reg *p)
{
	if (number < 0 || p->kind == CTX)
		return refuse_at(v, (int)pointer,
				 p->kind == CTX
					 ? "use constant offsets from it"
					 : "it leads far outside",
				 "math between %s pointer and %s is not "
				 "allowed",
				 kind_name(p), number < 0 ? "that constant"
							  : "register");
	refuse_at(v, number, "check its bounds first",
		  "math between %s pointer and register with unbounded min "
		  "value is not allowed",
		  kind_name(p));
	if (p->n.smin < -STACK || extent(p) < 1)
		return -1;
	return want_range(v, v->i, (uint8_t)number, (uint64_t)extent(p));
}

/* dst = p +- n; `number` is n's register, or -1. */
static int move_pointer(struct verify *v, unsigned dst, unsigned pointer,
			int number, const struct range *n, bool add)
{
	struct reg r = *reg(v, pointer);

	if (!can_move(&r)) {
		/* The kernel lets nothing be added to all of these. */
		if (!r.null && range_is_const(n) && !n->bits.value) {
			*reg(v, dst) = r;
			return 0;
		}
		return no_arithmetic(v, pointer);
	}
	if (n->smin <= -SANE || n->smin >= SANE)
		return unbounded(v, pointer, number, &r);
	if (range_is_const(n)) {
		int64_t by = add ? (int64_t)n->bits.value
				 : -(int64_t)n->bits.value;

		r.rest += by;
	} else {
		r.rest = r.n.smax < INT32_MAX ? r.n.smax : INT32_MAX;
		r.added = add ? v->i : NO_INSN;
		r.by_src = pointer == dst;
	}
	r.n = range_alu(add ? BPF_ADD : BPF_SUB, true, 0, &r.n, n);
	if (r.n.smin <= -SANE || r.n.smin >= SANE)
		return refuse_at(v, (int)pointer, "it leads far outside",
				 "value %lld makes %s pointer be out of bounds",
				 (long long)r.n.smin, kind_name(&r));
	*reg(v, dst) = r;
	return 0;
}

static int pointer_operator(struct verify *v, unsigned r, uint8_t op)
{
	bool bits = op == BPF_AND || op == BPF_OR || op == BPF_XOR;

	return refuse_at(v, (int)r,
			 "only += and -= of a number keep a pointer: do this "
			 "to an index, and add that",
			 bits ? "R%u bitwise operator %s on pointer prohibited"
			      : "R%u pointer arithmetic with %s operator "
				"prohibited",
			 r, op_name[op >> 4]);
}

static void unknown(struct verify *v, unsigned r, bool wide)
{
	reg_number(reg(v, r), range_load(wide ? 8 : 4, false), v->i);
}

/* At least one of the two is a pointer. */
static int pointer_alu(struct verify *v, const struct reg *src, bool wide)
{
	const struct bpf_insn *i = insn(v);
	uint8_t op = BPF_OP(i->code), dst = i->dst_reg;
	bool by_reg = BPF_SRC(i->code) == BPF_X;
	bool of_dst = is_pointer(reg(v, dst));
	unsigned p = of_dst ? dst : i->src_reg;

	if (of_dst && is_pointer(src)) {
		if (op != BPF_SUB)
			return refuse_at(v, dst,
					 "of two, there is only the "
					 "difference: keep one as an index",
					 "R%u pointer %s pointer prohibited",
					 dst, op_name[op >> 4]);
		unknown(v, dst, wide);
		return 0;
	}
	if (!wide && op == BPF_SUB) {
		unknown(v, dst, false);
		return 0;
	}
	if (!wide)
		return refuse_at(v, (int)p, "calculate in 64 bits",
				 "R%u 32-bit pointer arithmetic prohibited", p);
	if (op == BPF_ADD && of_dst)
		return move_pointer(v, dst, dst, by_reg ? i->src_reg : -1,
				    &src->n, true);
	if (op == BPF_ADD)
		return move_pointer(v, dst, p, dst, &reg(v, dst)->n, true);
	if (op != BPF_SUB)
		return pointer_operator(v, p, op);
	if (!of_dst)
		return refuse_at(v, dst,
				 "subtract the number from the pointer, or "
				 "one pointer from another",
				 "R%u tried to subtract pointer from scalar",
				 dst);
	if (reg(v, dst)->kind == FRAME)
		return refuse_at(v, dst, "add the negative number",
				 "R%u subtraction from stack pointer "
				 "prohibited",
				 dst);
	return move_pointer(v, dst, dst, by_reg ? i->src_reg : -1, &src->n,
			    false);
}

/* --- numbers ----------------------------------------------------------- */

static int step_move(struct verify *v, const struct reg *src, bool wide)
{
	const struct bpf_insn *i = insn(v);
	struct reg *dst = reg(v, i->dst_reg);
	struct reg *from = BPF_SRC(i->code) == BPF_X ? reg(v, i->src_reg)
						     : NULL;

	if (is_pointer(src)) {
		if (wide && !i->off)
			*dst = *src;
		else
			unknown(v, i->dst_reg, wide);
		return 0;
	}
	if (from && wide && !i->off) {
		if (!from->id && !range_is_const(&from->n))
			from->id = ++v->ids;
		*dst = *from;
		return 0;
	}
	reg_number(dst, range_alu(BPF_MOV, wide, i->off, &src->n, &src->n),
		   from ? from->from : v->i);
	/* A move of what fits is a copy as good as any. */
	if (from && from != dst && range_within(&from->n, &dst->n) &&
	    range_within(&dst->n, &from->n) && !range_is_const(&dst->n)) {
		if (!from->id)
			from->id = ++v->ids;
		dst->id = from->id;
	}
	return 0;
}

static int step_end(struct verify *v)
{
	const struct bpf_insn *i = insn(v);
	struct reg *dst = reg(v, i->dst_reg);
	bool swap = BPF_CLASS(i->code) == BPF_ALU64 ||
		    BPF_SRC(i->code) == BPF_TO_BE;

	if (is_pointer(dst))
		unknown(v, i->dst_reg, true);
	else
		reg_number(dst, range_swap(swap, i->imm, &dst->n), v->i);
	return 0;
}

/* By more than there are bits: RFC 9669 says what that is, the kernel trusts
 * nobody to know. */
static bool is_shift(uint8_t op)
{
	return op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
}

static int step_alu(struct verify *v)
{
	const struct bpf_insn *i = insn(v);
	bool wide = BPF_CLASS(i->code) == BPF_ALU64;
	uint8_t op = BPF_OP(i->code);
	struct reg imm, src, *dst = reg(v, i->dst_reg);

	if (op != BPF_MOV && reg_is_set(v, i->dst_reg))
		return -1;
	if (op == BPF_END)
		return step_end(v);
	if (BPF_SRC(i->code) == BPF_X && reg_is_set(v, i->src_reg))
		return -1;
	reg_number(&imm, range_const((uint64_t)(int64_t)i->imm), v->i);
	src = BPF_SRC(i->code) == BPF_X ? *reg(v, i->src_reg) : imm;
	if (op == BPF_MOV)
		return step_move(v, &src, wide);
	if (op == BPF_NEG && is_pointer(dst)) {
		unknown(v, i->dst_reg, wide);
		return 0;
	}
	if (is_pointer(dst) || is_pointer(&src))
		return pointer_alu(v, &src, wide);
	if (is_shift(op) && src.n.umax >= (wide ? 64 : 32))
		unknown(v, i->dst_reg, wide);
	else
		reg_number(dst, range_alu(op, wide, i->off, &dst->n, &src.n),
			   v->i);
	return 0;
}

/* --- constants --------------------------------------------------------- */

static int step_wide(struct verify *v)
{
	const struct bpf_insn *i = insn(v);
	struct reg *dst = reg(v, i->dst_reg);

	switch (i->src_reg) {
	case BPF_PSEUDO_MAP_FD:
		reg_pointer(dst, MAP, v->i);
		dst->map = &v->set->map[i->imm];
		return 0;
	case BPF_PSEUDO_MAP_VALUE:
		reg_pointer(dst, VALUE, v->i);
		dst->map = &v->set->map[i->imm];
		dst->n = range_const((uint32_t)i[1].imm);
		dst->rest = (uint32_t)i[1].imm;
		return 0;
	case BPF_PSEUDO_FUNC:
		reg_pointer(dst, FUNC, v->i);
		dst->size = (uint32_t)i->imm;
		return 0;
	}
	reg_number(dst,
		   range_const((uint32_t)i->imm |
			       (uint64_t)(uint32_t)i[1].imm << 32),
		   v->i);
	return 0;
}

/* --- guards ------------------------------------------------------------ */

struct same_id {
	uint32_t id;
	const struct range *n;
};
static void learn(struct reg *r, void *arg)
{
	const struct same_id *k = arg;

	if (r->kind == NUMBER && r->id == k->id)
		r->n = *k->n;
}

void number_known(struct verify *v, struct reg *r, const struct range *n)
{
	struct range was = *n;
	struct same_id k = { r->id, &was };

	r->n = was;
	if (r->id)
		state_each(v->s, learn, &k);
}

/* A run that ended here would leave what was reserved. */
static int held(struct verify *v)
{
	const struct bpf_insn *i = insn(v);

	if (i->src_reg == GUARD_RANGE)
		return refuse_at(v, i->dst_reg,
				 "check it before it is used, or submit first",
				 "R%u is not bounded, and while a ring record "
				 "is held no guard can be put there",
				 i->dst_reg);
	return refuse_at(v, -1, "bound the loop, or submit first",
			 "it cannot be proved that this loop ends, and while a "
			 "ring record is held no guard can be put there");
}

/* Behind it the register is in bounds, or the run is over. */
static int step_guard(struct verify *v, uint32_t *next)
{
	const struct bpf_insn *i = insn(v);
	struct reg *r = reg(v, i->dst_reg);
	struct range max = range_const((uint32_t)i->imm), n;

	if (i->src_reg != GUARD_RUN && reference_held(v))
		return held(v);
	if (i->src_reg != GUARD_RANGE)
		return 0;
	if (r->kind != NUMBER)
		return refuse_at(v, i->dst_reg, NULL,
				 "R%u is not a number everywhere", i->dst_reg);
	n = r->n;
	if (range_refine(BPF_JLE, true, true, &n, &max))
		number_known(v, r, &n);
	else
		*next = NO_INSN;
	return 0;
}

/* ----------------------------------------------------------------------- */

static int step_jump(struct verify *v, uint32_t *next)
{
	const struct bpf_insn *i = insn(v);

	if (is_guard(i))
		return step_guard(v, next);
	if (is_call(i))
		return step_call(v, next);
	if (is_exit(i))
		return step_exit(v, next);
	if (!is_goto(i))
		return step_branch(v, next);
	*next = jump_target(i, v->i);
	return 0;
}

int step(struct verify *v, uint32_t *next)
{
	const struct bpf_insn *i = insn(v);

	*next = v->i + 1 + is_lddw(i);
	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return step_alu(v);
	case BPF_LD:
		return step_wide(v);
	case BPF_LDX:
		return step_load(v);
	case BPF_ST:
		return step_store(v);
	case BPF_STX:
		return BPF_MODE(i->code) == BPF_ATOMIC ? step_atomic(v)
						       : step_store(v);
	default:
		return step_jump(v, next);
	}
}
