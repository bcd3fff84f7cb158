/* SPDX-License-Identifier: MIT */
/* flow.c - constants through a program; see flow.h.
 *
 * State is kept only where a straight piece begins (jump targets, function
 * entries); in between it is recomputed.  Values only ever fall to VALUE_ANY,
 * so each piece is walked a few times at most.
 */
#include "rewriter/bpf/flow.h"

struct run {
	struct arena *a;
	const struct bpf_prog *p;
	const struct bpf_set *set;
	struct flow *f;
	uint32_t *todo; /* a stack; each piece is on it at most once */
	uint32_t ntodo;
	bool *queued;
};

static const struct value anything;

static struct value number(int64_t n)
{
	return (struct value){ .kind = VALUE_NUMBER, .n = n };
}

static bool same(const struct value *x, const struct value *y)
{
	return x->kind == y->kind && x->n == y->n && x->map == y->map;
}

static bool of_stack(const struct value *v)
{
	return v->kind == VALUE_FRAME || v->kind == VALUE_STACK;
}

/* *old becomes what is true of both; false when it was already. */
static bool join(struct value *old, const struct value *new)
{
	uint8_t kind = of_stack(old) || of_stack(new) ? VALUE_STACK : VALUE_ANY;

	if (old->kind == kind || same(old, new))
		return false;
	if (old->kind == VALUE_FUNC && new->kind == VALUE_FUNC) {
		if (old->n == SOME_FUNC)
			return false;
		old->n = SOME_FUNC;
		return true;
	}
	*old = (struct value){ .kind = kind };
	return true;
}

static void reach(struct run *r, uint32_t at, const struct regs *regs)
{
	struct regs *old = r->f->at[at];
	bool changed = false;
	int i;

	if (!r->f->reached[at] || !old) {
		if (!old)
			old = r->f->at[at] = arena_alloc(r->a, sizeof(*old));
		*old = *regs;
		changed = true;
	} else {
		for (i = 0; i < 11; i++)
			changed |= join(&old->r[i], &regs->r[i]);
	}
	r->f->reached[at] = true;
	if (changed && !r->queued[at]) {
		r->queued[at] = true;
		r->todo[r->ntodo++] = at;
	}
}

/* --- one instruction --------------------------------------------------- */

/* False: not a result we fold. */
static bool fold(uint8_t op, bool wide, int16_t off, uint64_t x, uint64_t y,
		 uint64_t *out)
{
	bool shifts = op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;

	/* The verifier does not say either what that is. */
	if (shifts && y >= (wide ? 64 : 32))
		return false;
	if (!wide) {
		x = (uint32_t)x;
		y = (uint32_t)y;
	}
	switch (op) {
	case BPF_ADD:
		*out = x + y;
		break;
	case BPF_SUB:
		*out = x - y;
		break;
	case BPF_MUL:
		*out = x * y;
		break;
	case BPF_OR:
		*out = x | y;
		break;
	case BPF_AND:
		*out = x & y;
		break;
	case BPF_XOR:
		*out = x ^ y;
		break;
	case BPF_LSH:
		*out = x << y;
		break;
	case BPF_RSH:
		*out = x >> y;
		break;
	case BPF_ARSH:
		*out = wide ? (uint64_t)((int64_t)x >> y)
			    : (uint64_t)((int32_t)x >> y);
		break;
	case BPF_NEG:
		*out = -x;
		break;
	case BPF_MOV:
		*out = off == 8    ? (uint64_t)(int8_t)y
		       : off == 16 ? (uint64_t)(int16_t)y
		       : off == 32 ? (uint64_t)(int32_t)y
				   : y;
		break;
	default:
		return false;
	}
	if (!wide)
		*out = (uint32_t)*out;
	return true;
}

static struct value operand(const struct bpf_insn *insn, const struct regs *r)
{
	return BPF_SRC(insn->code) == BPF_X ? r->r[insn->src_reg]
					    : number(insn->imm);
}

static struct value alu(const struct bpf_insn *insn, const struct regs *r)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	struct value x = r->r[insn->dst_reg], y = operand(insn, r);
	uint8_t op = BPF_OP(insn->code);
	uint64_t n;

	if (op == BPF_MOV && wide && !insn->off)
		return y;
	if (op == BPF_MOV || op == BPF_NEG)
		x = number(x.n);
	if (op == BPF_NEG && r->r[insn->dst_reg].kind != VALUE_NUMBER)
		return anything;
	if (x.kind == VALUE_NUMBER && y.kind == VALUE_NUMBER)
		return fold(op, wide, insn->off, x.n, y.n, &n) ? number(n)
							       : anything;
	if (!wide || (op != BPF_ADD && op != BPF_SUB))
		return anything;
	if (op == BPF_ADD && x.kind == VALUE_NUMBER) {
		struct value t = x;

		x = y;
		y = t;
	}
	if (y.kind != VALUE_NUMBER || x.kind == VALUE_STACK)
		return of_stack(&x) || of_stack(&y)
			       ? (struct value){ .kind = VALUE_STACK }
			       : anything;
	if (x.kind == VALUE_ANY || x.kind == VALUE_FUNC)
		return anything;
	x.n = op == BPF_ADD ? (uint64_t)x.n + y.n : (uint64_t)x.n - y.n;
	return x;
}

static struct value load(const struct run *r, const struct bpf_insn *insn,
			 const struct regs *regs)
{
	static const uint8_t sizes[] = { 4, 2, 1, 8 };
	unsigned size = sizes[BPF_SIZE(insn->code) >> 3], shift;
	struct value from = regs->r[insn->src_reg];
	const struct bpf_map_def *m;
	const uint8_t *p;
	uint64_t v = 0;

	if (from.kind != VALUE_DATA || !r->set || from.map >= r->set->nmap)
		return anything;
	m = &r->set->map[from.map];
	p = bpf_frozen(m)
		    ? bytes_at(m->initial, (uint64_t)from.n + insn->off, size)
		    : NULL;
	if (!p)
		return anything;
	memcpy(&v, p, size);
	shift = 64 - 8 * size;
	if (BPF_MODE(insn->code) != BPF_MEM) /* sign-extending load */
		v = (uint64_t)((int64_t)(v << shift) >> shift);
	return number(v);
}

static struct value wide_imm(const struct bpf_insn *insn)
{
	uint64_t v = (uint32_t)insn[0].imm | (uint64_t)insn[1].imm << 32;

	if (insn->src_reg == 0)
		return number(v);
	if (insn->src_reg == BPF_PSEUDO_MAP_VALUE)
		return (struct value){ VALUE_DATA, insn[0].imm, insn[1].imm };
	if (insn->src_reg == BPF_PSEUDO_FUNC)
		return (struct value){ .kind = VALUE_FUNC, .n = insn->imm };
	return anything;
}

/* Registers after an instruction that goes on to the next. */
static void step(const struct run *r, const struct bpf_insn *insn,
		 struct regs *regs)
{
	int i;

	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		regs->r[insn->dst_reg] = alu(insn, regs);
		return;
	case BPF_LD:
		regs->r[insn->dst_reg] = wide_imm(insn);
		return;
	case BPF_LDX:
		regs->r[insn->dst_reg] = load(r, insn, regs);
		return;
	case BPF_STX:
		if (BPF_MODE(insn->code) != BPF_ATOMIC)
			return;
		if (insn->imm == BPF_CMPXCHG)
			regs->r[0] = anything;
		else if (insn->imm & BPF_FETCH)
			regs->r[insn->src_reg] = anything;
		return;
	case BPF_JMP:
		for (i = 0; is_call(insn) && i <= 5; i++)
			regs->r[i] = anything;
	}
}

static bool holds(uint8_t op, uint64_t x, uint64_t y, bool wide)
{
	int64_t sx = wide ? (int64_t)x : (int32_t)x;
	int64_t sy = wide ? (int64_t)y : (int32_t)y;

	if (!wide) {
		x = (uint32_t)x;
		y = (uint32_t)y;
	}
	switch (op) {
	case BPF_JEQ:
		return x == y;
	case BPF_JNE:
		return x != y;
	case BPF_JGT:
		return x > y;
	case BPF_JGE:
		return x >= y;
	case BPF_JLT:
		return x < y;
	case BPF_JLE:
		return x <= y;
	case BPF_JSGT:
		return sx > sy;
	case BPF_JSGE:
		return sx >= sy;
	case BPF_JSLT:
		return sx < sy;
	case BPF_JSLE:
		return sx <= sy;
	default: /* BPF_JSET */
		return x & y;
	}
}

static uint8_t sides(const struct bpf_insn *insn, const struct regs *r)
{
	struct value x = r->r[insn->dst_reg], y = operand(insn, r);

	if (x.kind != VALUE_NUMBER || y.kind != VALUE_NUMBER)
		return SIDE_NEXT | SIDE_JUMP;
	return holds(BPF_OP(insn->code), x.n, y.n,
		     BPF_CLASS(insn->code) == BPF_JMP)
		       ? SIDE_JUMP
		       : SIDE_NEXT;
}

/* --- the whole program ------------------------------------------------- */

static void enter_sub(struct run *r, uint32_t at, const struct regs *from)
{
	struct regs in = { 0 };
	int i;

	/* Of its caller's stack it knows nothing; and whom it calls back is
	 * known where it takes the pointer, or the frames could not be counted.
	 */
	for (i = 1; from && i <= 5; i++)
		if (!of_stack(&from->r[i]) && from->r[i].kind != VALUE_FUNC)
			in.r[i] = from->r[i];
	in.r[10].kind = VALUE_FRAME;
	reach(r, at, &in);
}

/* From the beginning of a piece to where it ends or another begins. */
static void piece(struct run *r, uint32_t i)
{
	struct regs regs = *r->f->at[i];
	bool first = true;

	for (;; first = false) {
		const struct bpf_insn *insn = &r->p->insn[i];

		if (!first && r->f->at[i]) {
			reach(r, i, &regs);
			return;
		}
		r->f->reached[i] = true;
		if (is_exit(insn))
			return;
		if (is_goto(insn)) {
			reach(r, jump_target(insn, i), &regs);
			return;
		}
		if (is_jump(insn)) {
			r->f->branch[i] |= sides(insn, &regs);
			if (r->f->branch[i] & SIDE_JUMP)
				reach(r, jump_target(insn, i), &regs);
			if (!(r->f->branch[i] & SIDE_NEXT))
				return;
		}
		if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL)
			enter_sub(r, i + 1 + insn->imm, &regs);
		if (is_lddw(insn) && insn->src_reg == BPF_PSEUDO_FUNC)
			enter_sub(r, insn->imm, NULL);
		step(r, insn, &regs);
		if (is_lddw(insn))
			r->f->reached[++i] = true;
		i++;
	}
}

/* Pieces begin at jump targets and entries, whether reached or not. */
static void mark_pieces(struct run *r)
{
	uint32_t i;

	for (i = 0; i < r->p->ninsn; i++) {
		const struct bpf_insn *insn = &r->p->insn[i];

		if (is_jump(insn))
			r->f->at[jump_target(insn, i)] =
				arena_alloc(r->a, sizeof(struct regs));
		i += is_lddw(insn);
	}
	for (i = 0; i < r->p->nsub; i++)
		r->f->at[r->p->sub[i]] = arena_alloc(r->a, sizeof(struct regs));
}

void flow_run(struct arena *a, const struct bpf_prog *p,
	      const struct bpf_set *set, struct flow *f)
{
	struct run r = { .a = a, .p = p, .set = set, .f = f };
	struct regs in = { 0 };

	f->reached = arena_alloc(a, p->ninsn * sizeof(*f->reached));
	f->branch = arena_alloc(a, p->ninsn);
	f->at = arena_alloc(a, p->ninsn * sizeof(*f->at));
	r.queued = arena_alloc(a, p->ninsn * sizeof(*r.queued));
	r.todo = arena_alloc(a, p->ninsn * sizeof(*r.todo));
	mark_pieces(&r);
	in.r[1].kind = VALUE_CTX;
	in.r[10].kind = VALUE_FRAME;
	reach(&r, 0, &in);
	while (r.ntodo) {
		uint32_t i = r.todo[--r.ntodo];

		r.queued[i] = false;
		piece(&r, i);
	}
}

int flow_each(const struct bpf_prog *p, const struct bpf_set *set,
	      const struct flow *f,
	      int (*see)(void *arg, uint32_t i, const struct regs *r),
	      void *arg)
{
	struct run r = { .p = p, .set = set };
	struct regs regs = { 0 };
	uint32_t i;
	int ret;

	for (i = 0; i < p->ninsn; i++) {
		if (!f->reached[i])
			continue;
		if (f->at[i])
			regs = *f->at[i];
		ret = see(arg, i, &regs);
		if (ret)
			return ret;
		step(&r, &p->insn[i], &regs);
		i += is_lddw(&p->insn[i]);
	}
	return 0;
}
