/* SPDX-License-Identifier: MIT */
/* fold.c - answer a program's questions about its arguments beforehand.
 *
 *     r1 = r6 (ctx)                          r1 = r6
 *     r2 = 1; r3 = r10 - 8                   r2 = 1; r3 = r10 - 8
 *     call bpf_usdt_arg              -->     r0 = *(s32 *)(r1 + 80)     eax
 *                                            *(u64 *)(r10 - 8) = r0
 *                                            r0 = 0
 *
 * The answers are BPF themselves, so that the compiler, the VM and the checks
 * have nothing to know of USDT; the compiler then makes a register of what is
 * a word of ctx.  Memory is read by bpf_probe_read_user(), as many bytes as
 * the argument has (libbpf reads eight, over the end of a page if need be).
 *
 * Calls whose argument number, ctx or result are not known where they stand go
 * to the function itself, which gets a new body: the same answers behind
 * comparisons of r2.
 *
 * As libbpf's: 0, or -ENOENT, or the read's error; *res is 0 then.
 */
#include <assert.h>
#include <errno.h>

#include "rewriter/bpf/flow.h"
#include "rewriter/usdt/usdt.h"

enum { PROBE_READ_USER = 112, FS_ADDRESS = 255, MEMSX = 0x80, NO_INSN = -1 };

struct fold {
	struct arena *a;
	const struct bpf_set *set;
	const struct usdt_spec *spec;
	const struct bpf_prog *p; /* as it was */
	struct bpf_insn *insn;    /* as it will be, ... */
	int32_t *from;            /* ... and which of p's instruction each is */
	uint32_t n;
	uint32_t *at;             /* of each of p's: where it is now */
	uint8_t *answer;          /* of each call: enum bpf_api, when it is
				     answered where it stands */
	struct value *arg;        /* of such a call: r2 and r3 */
	struct err *e;
};

/* Where a result goes: *(reg + off). */
struct result {
	uint8_t reg;
	int16_t off;
};

static void put(struct fold *f, struct bpf_insn i, int32_t from)
{
	f->insn = arena_push(f->a, f->insn, f->n, sizeof(*f->insn));
	f->from = arena_push(f->a, f->from, f->n, sizeof(*f->from));
	f->insn[f->n] = i;
	f->from[f->n++] = from;
}

static void op(struct fold *f, uint8_t code, uint8_t dst, uint8_t src,
	       int16_t off, int32_t imm)
{
	put(f, (struct bpf_insn){ .code = code, .dst_reg = dst, .src_reg = src,
				  .off = off, .imm = imm }, NO_INSN);
}

static void set(struct fold *f, uint8_t dst, int64_t v)
{
	if (v == (int32_t)v) {
		op(f, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)v);
		return;
	}
	op(f, BPF_LD | BPF_IMM | BPF_DW, dst, 0, 0, (int32_t)v);
	op(f, 0, 0, 0, 0, (int32_t)(v >> 32));
}

static void load(struct fold *f, uint8_t dst, uint8_t base, int16_t off,
		 unsigned bytes, bool sign)
{
	static const uint8_t size[9] = { [1] = BPF_B, [2] = BPF_H, [4] = BPF_W,
					 [8] = BPF_DW };
	uint8_t mode = sign && bytes < 8 ? MEMSX : BPF_MEM;

	op(f, BPF_LDX | mode | size[bytes], dst, base, off, 0);
}

static void add_const(struct fold *f, uint8_t dst, int64_t v)
{
	if (v == 0)
		return;
	if (v == (int32_t)v) {
		op(f, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, (int32_t)v);
		return;
	}
	set(f, 5, v);
	op(f, BPF_ALU64 | BPF_ADD | BPF_X, dst, 5, 0, 0);
}

static void store(struct fold *f, struct result to, uint8_t src)
{
	op(f, BPF_STX | BPF_MEM | BPF_DW, to.reg, src, to.off, 0);
}

static void store_zero(struct fold *f, struct result to)
{
	op(f, BPF_ST | BPF_MEM | BPF_DW, to.reg, 0, to.off, 0);
}

/* r0 = the address; r1 is ctx before, and nothing in particular after. */
static void address(struct fold *f, const struct operand *o)
{
	int64_t disp = o->disp;

	if (o->in_image) {
		load(f, 0, 1, 8 * WORD_IP, 8, false);
		disp -= (int64_t)f->spec->site;
	} else if (o->base != WORD_NONE) {
		load(f, 0, 1, 8 * o->base, 8, false);
	} else {
		set(f, 0, disp);
		disp = 0;
	}
	add_const(f, 0, disp);
	if (o->in_image && o->base != WORD_NONE) {
		load(f, 5, 1, 8 * o->base, 8, false);
		op(f, BPF_ALU64 | BPF_ADD | BPF_X, 0, 5, 0, 0);
	}
	if (o->index != WORD_NONE) {
		load(f, 5, 1, 8 * o->index, 8, false);
		op(f, BPF_ALU64 | BPF_LSH | BPF_K, 5, 0, 0, o->shift);
		op(f, BPF_ALU64 | BPF_ADD | BPF_X, 0, 5, 0, 0);
	}
	if (o->fs) {
		op(f, BPF_ALU64 | BPF_MOV | BPF_X, 1, 0, 0, 0);
		op(f, BPF_JMP | BPF_CALL, 0, 0, 0, FS_ADDRESS);
	}
}

static void memory(struct fold *f, const struct operand *o, struct result to)
{
	address(f, o);
	store_zero(f, to);
	op(f, BPF_ALU64 | BPF_MOV | BPF_X, 1, to.reg, 0, 0);
	add_const(f, 1, to.off);
	set(f, 2, o->size);
	op(f, BPF_ALU64 | BPF_MOV | BPF_X, 3, 0, 0, 0);
	op(f, BPF_JMP | BPF_CALL, 0, 0, 0, PROBE_READ_USER);
	if (!o->is_signed || o->size == 8)
		return;
	load(f, 1, to.reg, to.off, o->size, true);
	store(f, to, 1);
}

/* r0 = the low bytes of r0, as the argument has them. */
static void narrow(struct fold *f, const struct operand *o)
{
	int32_t up = 64 - 8 * o->size;

	if (!up)
		return;
	op(f, BPF_ALU64 | BPF_LSH | BPF_K, 0, 0, 0, up);
	op(f, BPF_ALU64 | (o->is_signed ? BPF_ARSH : BPF_RSH) | BPF_K, 0, 0, 0,
	   up);
}

/* What bpf_usdt_arg() does for one argument; r1 is ctx. */
static void argument(struct fold *f, const struct operand *o, struct result to)
{
	switch (o->kind) {
	case OPERAND_MEMORY:
		memory(f, o, to);
		return;
	case OPERAND_CONST:
		set(f, 0, operand_const(o));
		break;
	case OPERAND_REG:
		load(f, 0, 1, (int16_t)(8 * o->base + o->high), o->size,
		     o->is_signed);
		break;
	case OPERAND_ADDRESS:
		address(f, o);
		narrow(f, o);
		break;
	default:
		store_zero(f, to);
		set(f, 0, -EINVAL);
		return;
	}
	store(f, to, 0);
	set(f, 0, 0);
}

static void no_argument(struct fold *f, struct result to)
{
	store_zero(f, to);
	set(f, 0, -ENOENT);
}

/* --- calls ------------------------------------------------------------- */

static enum bpf_api api_at(const struct bpf_prog *p, uint32_t insn)
{
	for (uint32_t k = 1; k < p->nsub; k++)
		if (p->sub[k] == insn)
			return p->api[k];
	return API_NONE;
}

/* Which calls can be answered where they stand. */
static int look(void *arg, uint32_t i, const struct regs *r)
{
	struct fold *f = arg;
	const struct bpf_insn *insn = &f->p->insn[i];
	enum bpf_api api;

	if (!is_call(insn) || insn->src_reg != BPF_PSEUDO_CALL)
		return 0;
	api = api_at(f->p, i + 1 + (uint32_t)insn->imm);
	f->arg[2 * i] = r->r[2];
	f->arg[2 * i + 1] = r->r[3];
	if (api == API_USDT_ARG &&
	    (r->r[1].kind != VALUE_CTX || r->r[1].n ||
	     r->r[2].kind != VALUE_NUMBER || r->r[3].kind != VALUE_FRAME))
		return 0;
	f->answer[i] = (uint8_t)api;
	return 0;
}

static int no_operand(struct fold *f, const struct operand *o)
{
	return refuse(f->e, NULL, NOWHERE,
		      "program '%s': argument %u of %s:%s is '%s': %s",
		      f->p->name, (unsigned)(o - f->spec->args.arg),
		      f->spec->note->provider, f->spec->note->name, o->text,
		      o->why);
}

static int answer(struct fold *f, uint32_t i)
{
	const struct argspec *args = &f->spec->args;
	struct result to = { 10, (int16_t)f->arg[2 * i + 1].n };
	uint64_t n = (uint64_t)f->arg[2 * i].n;

	switch (f->answer[i]) {
	case API_USDT_ARG_CNT:
		set(f, 0, args->n);
		return 0;
	case API_USDT_COOKIE:
		set(f, 0, (int64_t)f->spec->cookie);
		return 0;
	}
	if (n >= args->n)
		no_argument(f, to);
	else if (args->arg[n].kind == OPERAND_NONE)
		return no_operand(f, &args->arg[n]);
	else
		argument(f, &args->arg[n], to);
	return 0;
}

/* The function itself: r1 ctx, r2 number, r3 where to. */
static void body(struct fold *f)
{
	const struct argspec *args = &f->spec->args;
	struct result to = { .reg = 6 };

	op(f, BPF_ALU64 | BPF_MOV | BPF_X, 6, 3, 0, 0);
	for (uint32_t k = 0; k < args->n; k++) {
		uint32_t jump = f->n;

		op(f, BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0, (int32_t)k);
		argument(f, &args->arg[k], to);
		op(f, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		f->insn[jump].off = (int16_t)(f->n - jump - 1);
	}
	no_argument(f, to);
	op(f, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* --- the program ------------------------------------------------------- */

/* The end of the subprogram that begins at i. */
static uint32_t sub_end(const struct bpf_prog *p, uint32_t i)
{
	for (uint32_t k = 0; k < p->nsub; k++)
		if (p->sub[k] > i)
			return p->sub[k];
	return p->ninsn;
}

static int copy(struct fold *f)
{
	const struct bpf_prog *p = f->p;

	for (uint32_t i = 0; i < p->ninsn; i++) {
		f->at[i] = f->n;
		if (api_at(p, i) == API_USDT_ARG) {
			for (uint32_t end = sub_end(p, i); i + 1 < end; i++)
				f->at[i + 1] = f->n;
			body(f);
		} else if (f->answer[i]) {
			if (answer(f, i))
				return -1;
		} else {
			put(f, p->insn[i], (int32_t)i);
			if (is_lddw(&p->insn[i])) {
				i++;
				put(f, p->insn[i], (int32_t)i);
			}
		}
	}
	f->at[p->ninsn] = f->n;
	return 0;
}

/* Everything that names an instruction names it at its new place. */
static int retarget(struct fold *f)
{
	for (uint32_t k = 0; k < f->n; k++) {
		struct bpf_insn *insn = &f->insn[k];

		if (f->from[k] == NO_INSN)
			continue;
		if (!insn_move(insn, (uint32_t)f->from[k], k, f->at))
			return refuse(f->e, NULL, NOWHERE,
				      "program '%s' is too long to have its "
				      "arguments put in",
				      f->p->name);
		k += is_lddw(insn);
	}
	return 0;
}

/* The finished one instead of *p, which shares nothing that changes. */
static void take(struct fold *f, struct bpf_prog *p)
{
	p->sub = arena_dup(f->a, p->sub, p->nsub * sizeof(*p->sub));
	p->api = arena_dup(f->a, p->api, p->nsub * sizeof(*p->api));
	p->line = arena_dup(f->a, p->line, p->nline * sizeof(*p->line));
	for (uint32_t k = 0; k < p->nsub; k++)
		p->sub[k] = f->at[p->sub[k]];
	for (uint32_t k = 0; k < p->nline; k++)
		p->line[k].insn = f->at[p->line[k].insn];
	p->insn = f->insn;
	p->ninsn = f->n;
	p->ours = true;
	bpf_settle(f->a, f->set, p);
}

int fold_program(struct arena *a, const struct bpf_set *set,
		 const struct usdt_spec *spec, struct bpf_prog *p,
		 struct err *e)
{
	struct fold f = { .a = a, .set = set, .spec = spec, .p = p, .e = e };
	struct arena own = { 0 };
	struct flow flow;
	int bad;

	f.at = arena_alloc(&own, (p->ninsn + 1) * sizeof(*f.at));
	f.answer = arena_alloc(&own, p->ninsn);
	f.arg = arena_alloc(&own, 2 * p->ninsn * sizeof(*f.arg));
	flow_run(&own, p, set, &flow);
	flow_each(p, set, &flow, look, &f);
	bad = copy(&f) || retarget(&f);
	if (!bad)
		take(&f, p);
	arena_free(&own);
	return bad ? -1 : 0;
}
