/* SPDX-License-Identifier: MIT */
/* override.c - where bpf_override_return() may be called: by what runs at a
 * function's first instruction, when the return address is at the stack pointer
 * and nothing of the caller's has been changed.
 *
 * (The kernel's rule: perf_event_set_bpf_prog() and
 * within_error_injection_list(); that list is for functions which may fail so,
 * and no user space has one.)
 */
#include "rewriter/bpf/object.h"
#include "rewriter/verify/verify.h"

/* The program itself, or one that it may continue in; NULL: none of them
 * overrides. */
static const struct bpf_prog *overriding(struct arena *a,
					 const struct bpf_set *set, uint32_t p)
{
	bool *start = arena_alloc(a, set->nprog);
	bool *tailed = arena_alloc(a, set->nprog);

	start[p] = true;
	bpf_tailed(set, start, tailed);
	for (uint32_t i = 0; i < set->nprog; i++)
		if ((start[i] || tailed[i]) &&
		    bpf_calls(&set->prog[i], BPF_FUNC_override_return))
			return &set->prog[i];
	return NULL;
}

static uint32_t call_in(const struct bpf_prog *p)
{
	uint32_t i = 0;

	while (p->insn[i].code != (BPF_JMP | BPF_CALL) || p->insn[i].src_reg ||
	       p->insn[i].imm != BPF_FUNC_override_return)
		i++;
	return i;
}

static const char *refusal(struct arena *a, const struct link *l)
{
	if (l->note)
		return "a USDT probe is not where a function begins";
	if (l->when == WHEN_RETURNED)
		return arena_printf(a, "%s has returned already",
				    l->func->name);
	if (l->offset)
		return arena_printf(
			a, "%s+0x%llx is not where a function begins",
			l->func->name, (unsigned long long)l->offset);
	if (l->func->go)
		return arena_printf(a, "%s is Go's", l->func->name);
	return NULL;
}

int override_links(struct arena *a, const struct bpf_set *set,
		   struct links *links, struct err *e)
{
	const struct bpf_prog **of =
		arena_alloc(a, (set->nprog + 1) * sizeof(*of));

	for (uint32_t p = 0; p < set->nprog; p++)
		of[p] = overriding(a, set, p);
	for (size_t i = 0; i < links->nlink; i++) {
		struct link *l = &links->link[i];
		const struct bpf_prog *p = of[l->prog];
		const char *why = p ? refusal(a, l) : NULL;

		l->overrides = p != NULL;
		if (why)
			return refuse(e, set->object[p->object].path, NOWHERE,
				      "%s: helper bpf_override_return#58: %s",
				      program_at(a, p, call_in(p)), why);
	}
	return 0;
}
