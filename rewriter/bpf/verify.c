/* SPDX-License-Identifier: MIT */
/* verify.c - the gate between what a stranger compiled and what we generate.
 *
 * Programs that nothing is bound to are not looked at: an object may hold
 * programs for other targets that we could not run.
 */
#include "rewriter/bpf/verify.h"

int verify_all(struct arena *a, const struct bpf_set *set,
	       const struct links *links, struct facts **facts, struct err *e)
{
	*facts = arena_alloc(a, set->nprog * sizeof(**facts));
	for (size_t i = 0; i < links->nlink; i++) {
		uint32_t p = links->link[i].prog;
		const struct bpf_prog *prog = &set->prog[p];

		if ((*facts)[p].size)
			continue;
		if (bpf_check(prog, set->object[prog->object].path, e) ||
		    code_facts(a, set, prog, &(*facts)[p], e))
			return -1;
	}
	return 0;
}
