/* SPDX-License-Identifier: MIT */
/* depth.c - what nested calls need of the stack.
 *
 * A function needs the bytes down to the lowest address below r10 that the walk
 * has seen used, by whomever.
 * Where no tail call is made, the kernel gives each function that needs 64 or
 * more a stack of its own; all others along a chain of calls share 512 bytes.
 * Where one is made, all share, and those below it may need less than 256, as
 * they stay when the stack of the one that made it has gone.
 * (kernel/bpf/verifier.c, check_max_stack_depth().)
 */

#include "rewriter/verify/verifier.h"

enum {
	ROUND = 16,
	OWN_STACK = 64, /* BPF_PRIV_STACK_MIN_SIZE */
	TAIL_STACK = 256
};

struct depth {
	struct verify *v;
	bool *tails;    /* it calls bpf_tail_call() */
	bool tail;      /* one of them does */
	/* For each, by the number of frames below it: what those needed at most
	 * when it was entered, plus 1.  Less is not looked at again. */
	uint32_t (*seen)[FRAMES];
};

static uint32_t sub_at(const struct bpf_prog *p, uint32_t insn)
{
	uint32_t k = p->nsub - 1;

	while (p->sub[k] > insn)
		k--;
	return k;
}

/* --- what each function needs ------------------------------------------ */

void depth_uses(struct verify *v, const struct frame *f, int64_t off)
{
	if (off < 0 && v->need[f->sub] < -off)
		v->need[f->sub] = (uint32_t)-off;
}

static int see(void *arg, uint32_t i, const struct regs *r)
{
	struct depth *d = arg;
	const struct bpf_insn *insn = &d->v->p->insn[i];

	(void)r;
	if (is_call(insn) && !insn->src_reg &&
	    insn->imm == BPF_FUNC_tail_call)
		d->tail = d->tails[sub_at(d->v->p, i)] = true;
	return 0;
}

/* --- chains ------------------------------------------------------------ */

static bool calls(const struct bpf_prog *p, uint32_t i, uint32_t *sub)
{
	const struct bpf_insn *insn = &p->insn[i];

	if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL)
		*sub = sub_at(p, i + 1 + (uint32_t)insn->imm);
	else if (is_lddw(insn) && insn->src_reg == BPF_PSEUDO_FUNC)
		*sub = sub_at(p, (uint32_t)insn->imm);
	else
		return false;
	return true;
}

/* What subprogram k needs of the shared stack. */
static uint32_t shared(const struct depth *d, uint32_t k)
{
	uint32_t used = d->v->need[d->v->p->sub[k]];
	uint32_t need = (used + ROUND - 1) / ROUND * ROUND;

	return need >= OWN_STACK && !d->tail ? 0 : need;
}

static bool was_worse(const struct depth *d, uint32_t k, uint32_t frames,
		      uint32_t below)
{
	for (; frames < FRAMES; frames++)
		if (d->seen[k][frames] > below)
			return true;
	return false;
}

/* Subprogram k is called at v->i, by `frames` others that need `below`. */
static int enter(struct depth *d, uint32_t k, uint32_t frames, uint32_t below)
{
	struct verify *v = d->v;
	const struct bpf_prog *p = v->p;
	uint32_t to = k + 1 < p->nsub ? p->sub[k + 1] : p->ninsn;
	uint32_t all = below + shared(d, k), sub;

	if (frames == FRAMES)
		return refuse_at(v, -1, "inline some",
				 "the call stack of %u frames is too deep !",
				 frames + 1);
	if (frames && d->tails[k] && below >= TAIL_STACK)
		return refuse_at(v, -1, "use less stack in what calls it",
				 "tail_calls are not allowed when call stack "
				 "of previous frames is %u bytes. Too large",
				 below);
	if (all > STACK)
		return refuse_at(v, -1,
				 "keep large variables in a map for each CPU",
				 "combined stack size of %u calls is %u. Too "
				 "large",
				 frames + 1, all);
	if (was_worse(d, k, frames, below))
		return 0;
	d->seen[k][frames] = below + 1;
	for (uint32_t i = p->sub[k]; i < to; i++) {
		if (calls(p, i, &sub)) {
			v->i = i;
			if (enter(d, sub, frames + 1, all))
				return -1;
		}
		i += is_lddw(&p->insn[i]);
	}
	return 0;
}

int depth_check(struct verify *v)
{
	struct depth d = { .v = v };
	struct flow f;

	d.tails = arena_alloc(v->a, v->p->nsub);
	d.seen = arena_alloc(v->a, v->p->nsub * sizeof(*d.seen));
	flow_run(v->a, v->p, v->set, &f);
	flow_each(v->p, v->set, &f, see, &d);
	v->i = 0;
	return enter(&d, 0, 0, 0);
}
