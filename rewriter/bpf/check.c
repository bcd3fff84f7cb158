/* SPDX-License-Identifier: MIT */
/* check.c - structural checks of one program.
 *
 * What is proved here is what the compiler and the VM take for granted:
 *   shape    opcodes and registers exist, reserved fields are zero, jumps stay
 *            in their function and out of an lddw's second half, the end is
 *            not fallen off, nothing is unreachable; guards are in those only
 *            that we have put some into
 *   calls    of helpers that we have; of subprograms, 8 frames at most
 *   ctx      read only, inside struct pt_regs, aligned, wherever the register
 *            provably holds ctx
 *   stack    accesses through r10 within 512 bytes
 * Types and bounds of all other memory are not checked here.
 */
#include <stdlib.h>

#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/object.h"
#include "runtime-stub/abi.h"
#include "runtime-stub/guard.h"

enum {
	STACK_MAX = 512,
	FRAMES_MAX = 8,
	MEMSX = 0x80,
	BITS_SIZE = 0x18
};

static const struct bpf_line *line_of(const struct bpf_prog *p, uint32_t insn)
{
	const struct bpf_line *best = NULL;
	uint32_t i;

	for (i = 0; i < p->nline && p->line[i].insn <= insn; i++)
		best = &p->line[i];
	return best;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *bpf_where(struct arena *a, const struct bpf_prog *p, uint32_t insn)
{
	const struct bpf_line *l = line_of(p, insn);

	if (!l)
		return arena_printf(a, "insn %u", insn);
	return arena_printf(a, "%s:%u: %s", base_name(l->file), l->line,
			    l->text);
}

const char *place_at(struct arena *a, const struct bpf_prog *p, uint32_t insn)
{
	const struct bpf_line *l = line_of(p, insn);

	if (!l)
		return arena_printf(a, "insn %u", insn);
	return arena_printf(a, "%s:%u", base_name(l->file), l->line);
}

const char *program_at(struct arena *a, const struct bpf_prog *p, uint32_t insn)
{
	return arena_printf(a, "program '%s' (%s)", p->name,
			    place_at(a, p, insn));
}

struct check {
	struct arena a; /* for this check only */
	const struct bpf_prog *p;
	const char *file;
	struct err *e;
	uint32_t stack;
	bool stack_unknown;
};

static const char *at(struct check *c, uint32_t insn)
{
	return program_at(&c->a, c->p, insn);
}

static int wrong(struct check *c, uint32_t insn, const char *what)
{
	return fail(c->e, c->file, NOWHERE, "%s: %s (insn %u, opcode 0x%02x)",
		    at(c, insn), what, insn, c->p->insn[insn].code);
}

/* --- single instructions ----------------------------------------------- */

static const char RESERVED[] = "a reserved field is not zero";
static const char UNKNOWN[] = "unknown opcode";

static const char *alu_fault(const struct bpf_insn *i)
{
	bool wide = BPF_CLASS(i->code) == BPF_ALU64;
	bool reg = BPF_SRC(i->code) == BPF_X;
	uint8_t op = BPF_OP(i->code);

	if (op > BPF_END)
		return UNKNOWN;
	if (op == BPF_END) {
		if (wide && reg)
			return UNKNOWN;
		if (i->imm != 16 && i->imm != 32 && i->imm != 64)
			return "byte swap of an unknown width";
		return i->off || i->src_reg ? RESERVED : NULL;
	}
	if (op == BPF_NEG)
		return reg || i->off || i->src_reg || i->imm ? RESERVED : NULL;
	if (reg ? i->imm : i->src_reg)
		return RESERVED;
	if (op == BPF_MOV && reg && i->off)
		return i->off == 8 || i->off == 16 || (wide && i->off == 32)
			       ? NULL
			       : RESERVED;
	if ((op == BPF_DIV || op == BPF_MOD) && !reg && !i->imm)
		return "division by zero";
	if (i->off && !((op == BPF_DIV || op == BPF_MOD) && i->off == 1))
		return RESERVED;
	if ((op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) && !reg &&
	    (i->imm < 0 || i->imm >= (wide ? 64 : 32)))
		return "shift by more than the register's width";
	return NULL;
}

static const char *jump_fault(const struct bpf_insn *i)
{
	bool narrow = BPF_CLASS(i->code) == BPF_JMP32;
	bool reg = BPF_SRC(i->code) == BPF_X;
	uint8_t op = BPF_OP(i->code);

	switch (op) {
	case BPF_JA:
		if (reg)
			return "indirect jumps are not supported";
		return i->dst_reg || i->src_reg || (narrow ? i->off : i->imm)
			       ? RESERVED
			       : NULL;
	case BPF_CALL:
		if (narrow)
			return UNKNOWN;
		if (reg)
			return "calls through a register are not supported: "
			       "build with -O2";
		if (i->src_reg > BPF_PSEUDO_CALL)
			return "kernel functions are not supported";
		return i->dst_reg || i->off ? RESERVED : NULL;
	case BPF_EXIT:
		if (narrow || reg)
			return UNKNOWN;
		return i->dst_reg || i->src_reg || i->off || i->imm ? RESERVED
								    : NULL;
	}
	if (op > BPF_JSLE)
		return UNKNOWN;
	return (reg ? i->imm : i->src_reg) ? RESERVED : NULL;
}

static const char *atomic_fault(const struct bpf_insn *i)
{
	uint8_t size = BPF_SIZE(i->code);

	if (size != BPF_W && size != BPF_DW)
		return "atomic access of an unknown width";
	switch (i->imm) {
	case BPF_ADD:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		return NULL;
	case BPF_ADD | BPF_FETCH:
	case BPF_AND | BPF_FETCH:
	case BPF_OR | BPF_FETCH:
	case BPF_XOR | BPF_FETCH:
	case BPF_XCHG:
		return i->src_reg == 10 ? "r10 is read only" : NULL;
	case BPF_CMPXCHG:
		return NULL;
	}
	return "unknown atomic operation";
}

static const char *memory_fault(const struct bpf_insn *i)
{
	uint8_t mode = BPF_MODE(i->code), class = BPF_CLASS(i->code);

	if (class == BPF_STX && mode == BPF_ATOMIC)
		return atomic_fault(i);
	if (class == BPF_LDX && mode == MEMSX)
		return BPF_SIZE(i->code) == BPF_DW ? UNKNOWN
		       : i->imm                    ? RESERVED
						   : NULL;
	if (mode != BPF_MEM)
		return UNKNOWN;
	return (class == BPF_ST ? i->src_reg : i->imm) ? RESERVED : NULL;
}

static const char *lddw_fault(const struct bpf_insn *i, bool last)
{
	if (!is_lddw(i))
		return BPF_MODE(i->code) == BPF_ABS ||
				       BPF_MODE(i->code) == BPF_IND
			       ? "packet access is not supported"
			       : UNKNOWN;
	if (last)
		return "half an lddw";
	if (i[1].code || i[1].dst_reg || i[1].src_reg || i[1].off || i->off)
		return RESERVED;
	if (i->src_reg == BPF_PSEUDO_BTF_ID || i->src_reg > BPF_PSEUDO_FUNC)
		return "lddw of an unknown kind";
	return NULL;
}

/* Ours, in programs that we have put some into. */
static const char *guard_fault(const struct bpf_insn *i)
{
	bool range = i->src_reg == GUARD_RANGE;
	bool weighs = i->src_reg == GUARD_LOOP || i->src_reg == GUARD_TURN;

	if (!range && !weighs && i->src_reg != GUARD_RUN)
		return "guard of an unknown kind";
	if (i->dst_reg == 10)
		return "guard of r10";
	if (weighs && (i->imm < 1 || i->imm > GUARD_LEFT))
		return "guard of no weight";
	return i->off || (!range && i->dst_reg) ||
			       (!range && !weighs && i->imm)
		       ? RESERVED
		       : NULL;
}

static const char *insn_fault(const struct bpf_prog *p, uint32_t at)
{
	const struct bpf_insn *i = &p->insn[at];
	uint8_t class = BPF_CLASS(i->code);

	if (i->dst_reg > 10 || i->src_reg > 10)
		return "unknown register";
	if (is_guard(i) && p->guarded)
		return guard_fault(i);
	if (i->dst_reg == 10 && (class == BPF_ALU || class == BPF_ALU64 ||
				 class == BPF_LD || class == BPF_LDX))
		return "r10 is read only";
	switch (class) {
	case BPF_ALU:
	case BPF_ALU64:
		return alu_fault(i);
	case BPF_JMP:
	case BPF_JMP32:
		return jump_fault(i);
	case BPF_LD:
		return lddw_fault(i, at + 1 == p->ninsn);
	default:
		return memory_fault(i);
	}
}

/* --- control flow ------------------------------------------------------ */

static bool is_sub(const struct bpf_prog *p, int64_t insn)
{
	uint32_t i;

	for (i = 0; i < p->nsub; i++)
		if (p->sub[i] == insn)
			return true;
	return false;
}

/* Jumps of the function [from, to); `second` marks second halves of lddw. */
static int check_jumps(struct check *c, uint32_t from, uint32_t to,
		       const bool *second)
{
	uint32_t i, last = from;

	for (i = from; i < to; i++) {
		const struct bpf_insn *insn = &c->p->insn[i];
		int64_t target;

		last = i;
		if (is_lddw(insn)) {
			if (insn->src_reg == BPF_PSEUDO_FUNC &&
			    !is_sub(c->p, insn->imm))
				return wrong(c, i, "pointer to no function");
			i++;
			continue;
		}
		if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL &&
		    !is_sub(c->p, (int64_t)i + 1 + insn->imm))
			return wrong(c, i, "call of no function");
		if (!is_jump(insn))
			continue;
		target = (int64_t)i + 1 +
			 (insn->code == (BPF_JMP32 | BPF_JA) ? insn->imm
							     : insn->off);
		if (target < from || target >= to)
			return wrong(c, i, "jump out of its function");
		if (second[target])
			return wrong(c, i, "jump into the middle of an lddw");
	}
	if (!is_exit(&c->p->insn[last]) && !is_goto(&c->p->insn[last]))
		return wrong(c, last,
			     "the last instruction is neither exit "
			     "nor jump");
	return 0;
}

static int check_reached(struct check *c, uint32_t from, uint32_t to)
{
	const struct bpf_insn *insn = c->p->insn;
	bool *seen = arena_alloc(&c->a, c->p->ninsn);
	uint32_t *todo = arena_alloc(&c->a, (to - from) * sizeof(*todo));
	uint32_t n = 0, i, next[2], nnext;

	seen[from] = true;
	todo[n++] = from;
	while (n) {
		i = todo[--n];
		nnext = 0;
		if (!is_exit(&insn[i]) && !is_goto(&insn[i]))
			next[nnext++] = i + 1 + is_lddw(&insn[i]);
		if (is_jump(&insn[i]))
			next[nnext++] = jump_target(&insn[i], i);
		while (nnext--)
			if (!seen[next[nnext]]) {
				seen[next[nnext]] = true;
				todo[n++] = next[nnext];
			}
	}
	for (i = from; i < to; i++) {
		if (!seen[i])
			return fail(c->e, c->file, NOWHERE,
				    "%s: unreachable insn %u", at(c, i), i);
		i += is_lddw(&insn[i]);
	}
	return 0;
}

static uint32_t sub_at(const struct bpf_prog *p, uint32_t insn)
{
	uint32_t k = p->nsub - 1;

	while (p->sub[k] > insn)
		k--;
	return k;
}

/* Is a subprogram called here, or its pointer taken, for a helper to call it
 * back? */
static bool calls_sub(const struct bpf_prog *p, uint32_t i, uint32_t *to)
{
	const struct bpf_insn *insn = &p->insn[i];

	if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL)
		*to = i + 1 + (uint32_t)insn->imm;
	else if (is_lddw(insn) && insn->src_reg == BPF_PSEUDO_FUNC)
		*to = (uint32_t)insn->imm;
	else
		return false;
	return true;
}

/* Calls nest no deeper than the kernel allows; a recursion would.  height[k]:
 * frames below that of subprogram k. */
static int check_nesting(struct check *c)
{
	const struct bpf_prog *p = c->p;
	uint32_t *height = arena_alloc(&c->a, p->nsub * sizeof(*height));
	bool more = p->nsub > 1;

	while (more) {
		more = false;
		for (uint32_t i = 0; i < p->ninsn; i++) {
			uint32_t k, h, to;

			if (!calls_sub(p, i, &to))
				continue;
			k = sub_at(p, i);
			h = height[sub_at(p, to)] + 1;
			if (h <= height[k])
				continue;
			if (h >= FRAMES_MAX)
				return wrong(c, i,
					     "the call stack is too deep: more than 8 "
					     "frames, or a recursion");
			height[k] = h;
			more = true;
		}
	}
	return 0;
}

static int shape(struct check *c)
{
	static uint32_t whole[] = { 0 };
	struct bpf_prog p = *c->p;
	bool *second;
	uint32_t i;

	if (!p.ninsn)
		return fail(c->e, c->file, NOWHERE, "program '%s' is empty",
			    p.name);
	if (!p.nsub) {
		p.nsub = 1;
		p.sub = whole;
	}
	c->p = &p;
	second = arena_alloc(&c->a, p.ninsn);
	for (i = 0; i < p.ninsn; i++) {
		const char *why = insn_fault(&p, i);

		if (why)
			return wrong(c, i, why);
		if (is_lddw(&p.insn[i]))
			second[++i] = true;
	}
	for (i = 0; i < p.nsub; i++) {
		uint32_t to = i + 1 < p.nsub ? p.sub[i + 1] : p.ninsn;

		if (p.sub[i] >= to || to > p.ninsn || second[p.sub[i]])
			return fail(c->e, c->file, NOWHERE,
				    "program '%s': subprogram %u has no place",
				    p.name, i);
		if (check_jumps(c, p.sub[i], to, second) ||
		    check_reached(c, p.sub[i], to))
			return -1;
	}
	return check_nesting(c);
}

int check_shape(const struct bpf_prog *p, const char *file, struct err *e)
{
	struct check c = { .p = p, .file = file, .e = e };
	int ret = shape(&c);

	arena_free(&c.a);
	return ret;
}

/* --- what instructions do ---------------------------------------------- */

static int check_helper(struct check *c, uint32_t i)
{
	uint32_t id = c->p->insn[i].imm;
	const char *name = kernel_helper(id);
	const char *why = helper_refusal(c->p, id);

	if (!name && !(c->p->ours && !why))
		return fail(c->e, c->file, NOWHERE,
			    "%s: call of unknown helper #%u", at(c, i), id);
	if (!why)
		return 0;
	return refuse(c->e, c->file, NOWHERE, "%s: helper %s#%u: %s", at(c, i),
		      name, id, why);
}

static int check_callback(struct check *c, uint32_t i, const struct regs *r)
{
	if (!calls_back(&c->p->insn[i]) || r->r[2].kind == VALUE_FUNC)
		return 0;
	return refuse(c->e, c->file, NOWHERE,
		      "%s: whom %s calls back is not known: name the "
		      "subprogram where it is called",
		      at(c, i), kernel_helper(c->p->insn[i].imm));
}

static unsigned width(const struct bpf_insn *insn)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 };

	return bytes[BPF_SIZE(insn->code) >> 3];
}

static int check_ctx(struct check *c, uint32_t i, int64_t off, bool store)
{
	int size = width(&c->p->insn[i]);

	if (store)
		return fail(c->e, c->file, NOWHERE,
			    "%s: write to ctx off=%lld size=%d: ctx is read "
			    "only",
			    at(c, i), (long long)off, size);
	if (off >= 0 && off <= PT_REGS_SIZE - size && off % size == 0)
		return 0;
	if (off == HIT_SESSION && session_loads(c->p, i))
		return 0;
	return fail(c->e, c->file, NOWHERE,
		    "%s: invalid bpf_context access off=%lld size=%d", at(c, i),
		    (long long)off, size);
}

static int check_frame(struct check *c, uint32_t i, int64_t off)
{
	const struct bpf_insn *insn = &c->p->insn[i];
	bool load = BPF_CLASS(insn->code) == BPF_LDX;
	int size = width(insn);

	if (off >= -STACK_MAX && off <= -size) {
		if (-off > c->stack)
			c->stack = -off;
		return 0;
	}
	return fail(c->e, c->file, NOWHERE,
		    "%s: invalid %s stack R%u off=%lld size=%d: the stack is "
		    "from -512 to 0",
		    at(c, i), load ? "read from" : "write to",
		    load ? insn->src_reg : insn->dst_reg, (long long)off, size);
}

static bool of_stack(const struct value *v)
{
	return v->kind == VALUE_FRAME || v->kind == VALUE_STACK;
}

/* An address that we do not follow may lie below all that we have seen. */
static void lose(struct check *c, bool lost)
{
	c->stack_unknown |= lost;
}

/* r += by, r -= by, where r or by is an address in the frame. */
static void see_sum(struct check *c, const struct bpf_insn *insn,
		    const struct regs *r)
{
	const struct value number = { .kind = VALUE_NUMBER, .n = insn->imm };
	const struct value *x = &r->r[insn->dst_reg], *t;
	const struct value *by =
		BPF_SRC(insn->code) == BPF_X ? &r->r[insn->src_reg] : &number;
	bool add = BPF_OP(insn->code) == BPF_ADD;
	int64_t n, sum;

	if (!add && BPF_OP(insn->code) != BPF_SUB)
		return;
	if (add && of_stack(by)) {
		t = x;
		x = by;
		by = t;
	}
	if (!of_stack(x))
		return;
	if (by->kind != VALUE_NUMBER || by->n < -STACK_MAX ||
	    by->n > STACK_MAX) {
		lose(c, true);
		return;
	}
	n = add ? by->n : -by->n;
	sum = (uint64_t)x->n + n;
	if (x->kind == VALUE_STACK)
		lose(c, n < 0);
	else if (sum < -STACK_MAX)
		lose(c, true);
	else if (sum < 0 && -sum > c->stack)
		c->stack = -sum;
}

static void see_stack(struct check *c, uint32_t i, const struct regs *r)
{
	const struct bpf_insn *insn = &c->p->insn[i];
	const struct value *dst = &r->r[insn->dst_reg];
	const struct value *src = &r->r[insn->src_reg];

	if (c->p->nsub > 1 && i >= c->p->sub[1])
		return; /* a subprogram's own frame */
	switch (BPF_CLASS(insn->code)) {
	case BPF_STX: /* what is stored and loaded again is not followed */
		lose(c, of_stack(src));
		/* fall through */
	case BPF_ST:
		lose(c, dst->kind == VALUE_STACK && insn->off < 0);
		break;
	case BPF_LDX:
		lose(c, src->kind == VALUE_STACK && insn->off < 0);
		break;
	case BPF_ALU64:
		see_sum(c, insn, r);
	}
}

static int see(void *arg, uint32_t i, const struct regs *r)
{
	struct check *c = arg;
	const struct bpf_insn *insn = &c->p->insn[i];
	bool load = BPF_CLASS(insn->code) == BPF_LDX;
	bool store = BPF_CLASS(insn->code) == BPF_ST ||
		     BPF_CLASS(insn->code) == BPF_STX;
	const struct value *base = &r->r[load ? insn->src_reg : insn->dst_reg];
	int64_t off;

	if (is_call(insn) && !insn->src_reg &&
	    (check_helper(c, i) || check_callback(c, i, r)))
		return -1;
	see_stack(c, i, r);
	if (!load && !store)
		return 0;
	off = (int64_t)((uint64_t)base->n + insn->off);
	if (base->kind == VALUE_CTX)
		return check_ctx(c, i, off, store);
	if (base->kind == VALUE_FRAME)
		return check_frame(c, i, off);
	return 0;
}

static int meaning(struct check *c)
{
	struct flow f;

	flow_run(&c->a, c->p, NULL, &f);
	return flow_each(c->p, NULL, &f, see, c);
}

int bpf_check(const struct bpf_prog *p, const char *file, struct err *e)
{
	struct check c = { .p = p, .file = file, .e = e };
	int ret = shape(&c);

	c.p = p;
	ret = ret || meaning(&c) ? -1 : 0;
	arena_free(&c.a);
	return ret;
}

uint32_t check_stack(const struct bpf_prog *p)
{
	struct check c = { .p = p };
	struct err e;

	c.e = &e;
	meaning(&c);
	arena_free(&c.a);
	return c.stack_unknown ? STACK_MAX : (c.stack + 7) & ~7u;
}
