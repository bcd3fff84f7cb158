/* SPDX-License-Identifier: MIT */
/* verify.c - the gate between what a stranger compiled and what we generate.
 *
 * Programs that nothing is bound to, and that none of those continue in, are not
 * looked at: an object may hold programs for other targets that we could not
 * run.
 */
#include "rewriter/bpf/verify.h"

static int verify_one(struct arena *a, const struct bpf_set *set, uint32_t p,
		      struct facts *facts, struct err *e)
{
	const struct bpf_prog *prog = &set->prog[p];

	if (facts[p].size)
		return 0;
	return bpf_check(prog, set->object[prog->object].path, e) ||
			       code_facts(a, set, prog, &facts[p], e)
		       ? -1
		       : 0;
}

int verify_all(struct arena *a, const struct bpf_set *set,
	       const struct links *links, struct facts **facts, struct err *e)
{
	bool *bound = arena_alloc(a, set->nprog + 1);
	bool *tailed = arena_alloc(a, set->nprog + 1);

	*facts = arena_alloc(a, set->nprog * sizeof(**facts));
	for (size_t i = 0; i < links->nlink; i++)
		bound[links->link[i].prog] = true;
	bpf_tailed(set, bound, tailed);
	for (uint32_t p = 0; p < set->nprog; p++)
		if ((bound[p] || tailed[p]) &&
		    verify_one(a, set, p, *facts, e))
			return -1;
	return 0;
}
