/* SPDX-License-Identifier: MIT */
/* prune.c - take out what the program can never reach.
 *
 * The kernel's verifier follows constants from .rodata and .kconfig, never
 * looks at what they switch off, and removes it.  Programs rely on that: the
 * dead half may call helpers that do not exist or read fields that CO-RE did
 * not find.  This does the same with flow.h's weaker knowledge (it removes
 * less, never more).
 *
 *   old     0 1 2 3 4 5          drop: not reached, a jump never taken,
 *   keep    x x . . x x                a jump to the next kept instruction
 *   new     0 1 2 2 2 3          where each old instruction is, or what
 *                                follows it
 */
#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/object.h"

bool insn_move(struct bpf_insn *insn, uint32_t from, uint32_t at,
	       const uint32_t *new)
{
	int32_t d;

	if (is_jump(insn)) {
		d = (int32_t)(new[jump_target(insn, from)] - at - 1);
		if (insn->code == (BPF_JMP32 | BPF_JA))
			insn->imm = d;
		else if (d != (int16_t)d)
			return false;
		else
			insn->off = (int16_t)d;
	} else if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL) {
		insn->imm = (int32_t)(new[from + 1 + (uint32_t)insn->imm] - at -
				      1);
	} else if (is_lddw(insn) && insn->src_reg == BPF_PSEUDO_FUNC) {
		insn->imm = (int32_t)new[insn->imm];
	}
	return true;
}

/* Renumber everything that names an instruction; drop what is not kept. */
static void compact(struct arena *a, struct bpf_prog *p, const bool *keep)
{
	uint32_t *new = arena_alloc(a, (p->ninsn + 1) * sizeof(*new));
	uint32_t i, n = 0, nsub = 0, nline = 0;

	for (i = 0; i < p->ninsn; i++) {
		new[i] = n;
		n += keep[i];
	}
	new[p->ninsn] = n;
	for (i = 0; i < p->ninsn; i++) {
		struct bpf_insn t = p->insn[i];

		if (!keep[i])
			continue;
		insn_move(&t, i, new[i], new); /* only nearer */
		p->insn[new[i]] = t;
		if (is_lddw(&t)) {
			i++;
			p->insn[new[i]] = p->insn[i];
		}
	}
	for (i = 0; i < p->nsub; i++) {
		uint32_t end = i + 1 < p->nsub ? p->sub[i + 1] : p->ninsn;

		if (new[p->sub[i]] == new[end])
			continue;
		if (p->api)
			p->api[nsub] = p->api[i];
		p->sub[nsub++] = new[p->sub[i]];
	}
	for (i = 0; i < p->nline; i++) {
		uint32_t end =
			i + 1 < p->nline ? p->line[i + 1].insn : p->ninsn;

		if (new[p->line[i].insn] == new[end])
			continue;
		p->line[nline] = p->line[i];
		p->line[nline++].insn = new[p->line[i].insn];
	}
	p->ninsn = n;
	p->nsub = nsub;
	p->nline = nline;
}

static bool drop_dead(struct bpf_prog *p, const struct flow *f, bool *keep)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < p->ninsn; i++) {
		struct bpf_insn *insn = &p->insn[i];

		keep[i] = f->reached[i];
		if (keep[i] && is_lddw(insn)) {
			keep[++i] = true;
			continue;
		}
		if (keep[i] && is_jump(insn) && !is_goto(insn)) {
			keep[i] = f->branch[i] & SIDE_JUMP;
			if (f->branch[i] == SIDE_JUMP) {
				*insn = (struct bpf_insn){
					.code = BPF_JMP | BPF_JA,
					.off = insn->off,
				};
				any = true;
			}
		}
		any |= !keep[i];
	}
	return any;
}

static void drop_empty_jumps(struct arena *a, struct bpf_prog *p)
{
	bool *keep = arena_alloc(a, p->ninsn);
	uint32_t i;

	for (i = 0; i < p->ninsn; i++) {
		keep[i] = !is_goto(&p->insn[i]) ||
			  jump_target(&p->insn[i], i) != i + 1;
		if (is_lddw(&p->insn[i]))
			keep[++i] = true;
	}
	compact(a, p, keep);
}

void prune_dead(struct arena *a, const struct bpf_set *set, struct bpf_prog *p)
{
	bool *keep = arena_alloc(a, p->ninsn);
	struct flow f;

	flow_run(a, p, set, &f);
	if (drop_dead(p, &f, keep)) {
		compact(a, p, keep);
		drop_empty_jumps(a, p);
	}
}
