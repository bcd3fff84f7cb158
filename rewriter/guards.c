/* SPDX-License-Identifier: MIT */
/* guards.c - list the guards of a weld's programs; see guards.h. */
#include "rewriter/bpf/guard.h"
#include "rewriter/code/known.h"
#include "rewriter/guards.h"

static const struct {
	const char *name;
	double ns[2]; /* per enum engine */
} kinds[] = {
	/*               name     native VM */
	[0] = { "?", { 0, 0 } },
	[GUARD_RANGE] = { "range", { 0.1, 1.1 } },
	[GUARD_LOOP] = { "loop", { 0.2, 0.7 } },
	[GUARD_RUN] = { "run", { 0.1, 0.8 } },
	[GUARD_TURN] = { "turn", { 0.2, 0.7 } },
};

static bool is_listed(const struct bpf_set *set, const struct weld_guard *v,
		      size_t n, const struct weld_guard *g)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].prog != g->prog &&
		    set->prog[v[i].prog].of == set->prog[g->prog].of &&
		    !memcmp(&v[i].insn, &g->insn, sizeof(g->insn)) &&
		    !strcmp(v[i].where, g->where))
			return true;
	return false;
}

static size_t list_program(struct arena *a, const struct weld *w, uint32_t p,
			   struct weld_guard **out, size_t n)
{
	const struct bpf_prog *prog = &w->set.prog[p];

	for (uint32_t i = 0; i < prog->ninsn;
	     i += 1 + insn_is_lddw(&prog->insn[i])) {
		struct weld_guard g = { .prog = p, .insn = prog->insn[i] };

		if (!is_guard(&g.insn))
			continue;
		g.where = bpf_where(a, prog, i);
		if (is_listed(&w->set, *out, n, &g))
			continue;
		*out = arena_push(a, *out, n, sizeof(**out));
		(*out)[n++] = g;
	}
	return n;
}

size_t guards_list(struct arena *a, const struct weld *w,
		   struct weld_guard **out)
{
	size_t n = 0;

	*out = NULL;
	for (uint32_t p = 0; p < w->set.nprog; p++)
		if (w->set.prog[p].guarded && w->facts[p].size)
			n = list_program(a, w, p, out, n);
	return n;
}

int guards_strict(struct weld *w, const struct weld_options *opt, struct err *e)
{
	struct weld_guard *v;
	size_t n = opt->strict ? guards_list(&w->arena, w, &v) : 0, i = 0;
	const struct bpf_prog *prog;

	if (!n)
		return 0;
	while (i + 1 < n && v[i].insn.src_reg == GUARD_RUN)
		i++;
	prog = &w->set.prog[v[i].prog];
	fail(e, w->set.object[prog->object].path, NOWHERE,
	     "program '%s' could not be proved, it would run with a guard: %s "
	     "(%s)",
	     prog->name, v[i].where, guard_text(&w->arena, w, &v[i]));
	e->kind = ERR_NOT_PLACED;
	return -1;
}

const char *guard_kind(const struct weld_guard *g)
{
	return kinds[g->insn.src_reg].name;
}

uint32_t guard_times(const struct weld_guard *g)
{
	return (uint32_t)GUARD_LEFT / (uint32_t)g->insn.imm;
}

const char *guard_text(struct arena *a, const struct weld *w,
		       const struct weld_guard *g)
{
	switch (g->insn.src_reg) {
	case GUARD_RANGE:
		return arena_printf(a, "fails where r%u > %u", g->insn.dst_reg,
				    (uint32_t)g->insn.imm);
	case GUARD_LOOP:
		return arena_printf(a, "fails after %u iterations in a run",
				    guard_times(g));
	case GUARD_TURN:
		return arena_printf(
			a,
			"a run may come to %llu instructions, fails after %u "
			"of these turns",
			(unsigned long long)w->set.prog[g->prog].longest,
			guard_times(g));
	}
	return "ends where the call has failed";
}

double guard_cost(const struct weld_guard *g, enum engine engine)
{
	return kinds[g->insn.src_reg].ns[engine];
}
