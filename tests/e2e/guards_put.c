/* SPDX-License-Identifier: MIT */
/* guards_put.c - bpfweld with guards where a program asks for them: linked in
 * front of verify_all() (--wrap), it puts one before each
 *
 *     if rN > MAX goto +0      GUARD_RANGE of rN and MAX
 *     if rN == MARK goto +0    GUARD_LOOP
 *
 * neither of which a compiler makes.
 */
#include "rewriter/bpf/guard.h"
#include "rewriter/verify/verify.h"

enum { MARK = 0x600d };

static bool wants(const struct bpf_insn *i, struct bpf_insn *guard)
{
	if (i->off || BPF_SRC(i->code) != BPF_K)
		return false;
	if (i->code == (BPF_JMP | BPF_JGT | BPF_K))
		*guard = guard_range(i->dst_reg, (uint32_t)i->imm);
	else if (i->code == (BPF_JMP | BPF_JEQ | BPF_K) && i->imm == MARK)
		*guard = guard_loop();
	else
		return false;
	return true;
}

static int put(struct arena *a, const struct bpf_set *set, struct bpf_prog *p,
	       struct err *e)
{
	struct guard *v = arena_alloc(a, (p->ninsn + 1) * sizeof(*v));
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->ninsn; i++)
		if (wants(&p->insn[i], &v[n].insn))
			v[n++].before = i;
	return guard_insert_all(a, p, v, n, e) ||
	       (n && guard_runs(a, set, p, e));
}

int __real_verify_all(struct arena *a, struct bpf_set *set,
		      const struct links *links, struct facts **facts,
		      FILE *log, struct judged **judged, struct err *e);
int __wrap_verify_all(struct arena *a, struct bpf_set *set,
		      const struct links *links, struct facts **facts,
		      FILE *log, struct judged **judged, struct err *e);

int __wrap_verify_all(struct arena *a, struct bpf_set *set,
		      const struct links *links, struct facts **facts,
		      FILE *log, struct judged **judged, struct err *e)
{
	for (uint32_t p = 0; p < set->nprog; p++)
		if (put(a, set, &set->prog[p], e))
			return -1;
	return __real_verify_all(a, set, links, facts, log, judged, e);
}
