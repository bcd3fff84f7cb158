/* SPDX-License-Identifier: MIT */
/* verify.c - the gate between what a stranger compiled and what we generate.
 *
 * Programs that nothing is bound to, and that none of those continue in, are not
 * looked at: an object may hold programs for other targets that we could not
 * run.
 */
#include "rewriter/verify/verify.h"

#include <stdlib.h>

#include "rewriter/region.h"
#include "rewriter/verify/program.h"

/* Maps that it refers to can be had: their types, sizes and flags. */
static int maps_check(const struct bpf_set *set, const struct bpf_prog *p,
		      struct err *e)
{
	struct region_map unused = { 0 };
	struct err why;

	for (uint32_t m = 0; m < set->nmap; m++) {
		if (!bpf_refers(p, m) || !map_shape(&set->map[m], &unused, &why))
			continue;
		fail(e, set->object[p->object].path, NOWHERE,
		     "program '%s': map '%s': %s", p->name, set->map[m].name,
		     why.what);
		e->kind = why.kind;
		return -1;
	}
	return 0;
}

/* The log is of the path that led to a refusal; of nothing, if there is none. */
static int verify_logged(struct arena *a, const struct bpf_set *set,
			 struct bpf_prog *p, FILE *log, struct judged *j)
{
	struct verified done = { 0 };
	char *text = NULL;
	size_t n = 0;
	FILE *m = log ? open_memstream(&text, &n) : NULL;
	int ret = verify_program(a, set, p, set->object[p->object].path, m,
				 &done, &j->why);

	j->guards = done.guards;
	if (!m)
		return ret;
	fclose(m);
	if (ret)
		fwrite(text, 1, n, log);
	free(text);
	return ret;
}

static int verify_one(struct arena *a, struct bpf_set *set, uint32_t p,
		      struct facts *facts, FILE *log, struct judged *j)
{
	struct bpf_prog *prog = &set->prog[p];

	if (bpf_check(prog, set->object[prog->object].path, &j->why) ||
	    maps_check(set, prog, &j->why) ||
	    verify_logged(a, set, prog, log, j) ||
	    code_facts(a, set, prog, &facts[p], &j->why))
		return -1;
	return 0;
}

int verify_all(struct arena *a, struct bpf_set *set, const struct links *links,
	       struct facts **facts, FILE *log, struct judged **judged,
	       struct err *e)
{
	struct judged *j = arena_alloc(a, (set->nprog + 1) * sizeof(*j));
	const struct judged *first = NULL;
	bool *bound = arena_alloc(a, set->nprog + 1);
	bool *tailed = arena_alloc(a, set->nprog + 1);

	*facts = arena_alloc(a, set->nprog * sizeof(**facts));
	for (size_t i = 0; i < links->nlink; i++)
		bound[links->link[i].prog] = true;
	for (size_t i = 0; i < links->nhomeless; i++)
		bound[links->homeless[i]] = true;
	bpf_tailed(set, bound, tailed);
	*judged = j;
	for (size_t i = 0; i < links->nlost; i++)
		j[links->lost[i].prog] =
			(struct judged){ .asked = true,
					 .refused = true,
					 .why = links->lost[i].why };
	for (uint32_t p = 0; p < set->nprog; p++) {
		if ((!bound[p] && !tailed[p]) || j[p].asked)
			continue;
		j[p].asked = true;
		j[p].refused = verify_one(a, set, p, *facts, log, &j[p]);
		if (j[p].refused && !first)
			first = &j[p];
	}
	if (first)
		*e = first->why;
	return first ? -1 : 0;
}
