/* SPDX-License-Identifier: MIT */
/* guard.c - put guard instructions into a program.
 *
 *     old    0 1 2 3            guard before 1; GUARD_RUN behind the call 2
 *     new    0 G 1 2 R 3
 *     to     0 1   3   5        where what named an old one leads: to the
 *                               guards before it, but not to a GUARD_RUN
 */
#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/guard.h"

#include <assert.h>

struct insert {
	struct arena *a;
	struct bpf_prog *p; /* as it was, until it is taken */
	const struct guard *guard;
	uint32_t n;
	struct bpf_insn *insn;
	uint32_t ninsn;
	uint32_t *to;       /* see above; [p->ninsn] is the end */
	uint32_t *at;       /* where each old one itself is */
};

static void copy(struct insert *s)
{
	const struct bpf_prog *p = s->p;
	uint32_t g = 0, n = 0;

	for (uint32_t i = 0; i < p->ninsn; i++) {
		while (g < s->n && s->guard[g].before == i &&
		       is_guard_of(&s->guard[g].insn, GUARD_RUN))
			s->insn[n++] = s->guard[g++].insn;
		s->to[i] = n;
		while (g < s->n && s->guard[g].before == i)
			s->insn[n++] = s->guard[g++].insn;
		s->at[i] = n;
		s->insn[n++] = p->insn[i];
		if (!is_lddw(&p->insn[i]))
			continue;
		i++;
		s->to[i] = s->at[i] = n;
		s->insn[n++] = p->insn[i];
	}
	assert(g == s->n && n == s->ninsn); /* sorted, none in an lddw */
	s->to[p->ninsn] = n;
}

/* A jump may be any length where it has no condition. */
static bool move(struct bpf_insn *insn, uint32_t from, uint32_t at,
		 const uint32_t *to)
{
	if (insn->code == (BPF_JMP | BPF_JA)) {
		struct bpf_insn far = { .code = BPF_JMP32 | BPF_JA,
					.imm = insn->off };

		insn_move(&far, from, at, to);
		if (far.imm != (int16_t)far.imm) {
			*insn = far;
			return true;
		}
	}
	return insn_move(insn, from, at, to);
}

static int retarget(struct insert *s, struct err *e)
{
	const struct bpf_prog *p = s->p;

	for (uint32_t i = 0; i < p->ninsn; i++) {
		if (!move(&s->insn[s->at[i]], i, s->at[i], s->to))
			return refuse(e, NULL, NOWHERE,
				      "program '%s' is too long to have guards "
				      "put in",
				      p->name);
		i += is_lddw(&p->insn[i]);
	}
	return 0;
}

static void take(struct insert *s)
{
	struct bpf_prog *p = s->p;

	p->sub = arena_dup(s->a, p->sub, p->nsub * sizeof(*p->sub));
	p->line = arena_dup(s->a, p->line, p->nline * sizeof(*p->line));
	for (uint32_t k = 0; k < p->nsub; k++)
		p->sub[k] = s->to[p->sub[k]];
	for (uint32_t k = 0; k < p->nline; k++)
		p->line[k].insn = s->to[p->line[k].insn];
	p->insn = s->insn;
	p->ninsn = s->ninsn;
	p->guarded = true;
}

int guard_insert_all(struct arena *a, struct bpf_prog *p,
		     const struct guard *guard, uint32_t n, struct err *e)
{
	struct insert s = { .a = a, .p = p, .guard = guard, .n = n };
	struct arena own = { 0 };
	int bad;

	if (!n)
		return 0;
	s.ninsn = p->ninsn + n;
	s.insn = arena_alloc(a, s.ninsn * sizeof(*s.insn));
	s.to = arena_alloc(&own, (p->ninsn + 1) * sizeof(*s.to));
	s.at = arena_alloc(&own, (p->ninsn + 1) * sizeof(*s.at));
	copy(&s);
	bad = retarget(&s, e);
	if (!bad)
		take(&s);
	arena_free(&own);
	return bad;
}

int guard_insert(struct arena *a, struct bpf_prog *p, uint32_t before,
		 struct bpf_insn insn, struct err *e)
{
	struct guard g = { before, insn };

	return guard_insert_all(a, p, &g, 1, e);
}

/* --- GUARD_RUN --------------------------------------------------------- */

static uint32_t sub_of(const struct bpf_prog *p, uint32_t insn)
{
	uint32_t k = p->nsub;

	while (k && p->sub[k - 1] > insn)
		k--;
	return k ? k - 1 : 0;
}

/* The subprogram that is called here, or whose address is taken. */
static bool leads_to(const struct bpf_prog *p, uint32_t i, uint32_t *sub)
{
	const struct bpf_insn *insn = &p->insn[i];

	if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL)
		*sub = sub_of(p, i + 1 + (uint32_t)insn->imm);
	else if (is_lddw(insn) && insn->src_reg == BPF_PSEUDO_FUNC)
		*sub = sub_of(p, (uint32_t)insn->imm);
	else
		return false;
	return true;
}

/* In which subprograms may a run fail?  Those have a guard, or lead to one that
 * has. */
static void find_failing(const struct bpf_prog *p, bool *fails)
{
	bool more = true;

	while (more) {
		more = false;
		for (uint32_t i = 0, k = 0; i < p->ninsn;
		     i += 1 + is_lddw(&p->insn[i])) {
			uint32_t to;

			while (k + 1 < p->nsub && p->sub[k + 1] <= i)
				k++;
			if (fails[k] || !(is_guard(&p->insn[i]) ||
					  (leads_to(p, i, &to) && fails[to])))
				continue;
			fails[k] = more = true;
		}
	}
}

struct runs {
	struct arena *a;
	const struct bpf_prog *p;
	const bool *fails;
	struct guard *guard;
	uint32_t n;
};

static bool any_callback_fails(const struct runs *r)
{
	const struct bpf_prog *p = r->p;

	for (uint32_t i = 0; i < p->ninsn; i += 1 + is_lddw(&p->insn[i])) {
		uint32_t to;

		if (is_lddw(&p->insn[i]) && leads_to(p, i, &to) &&
		    r->fails[to])
			return true;
	}
	return false;
}

static bool callback_fails(const struct runs *r, const struct value *v)
{
	if (v->kind == VALUE_FUNC && v->n != SOME_FUNC)
		return r->fails[sub_of(r->p, (uint32_t)v->n)];
	return any_callback_fails(r);
}

static int see(void *arg, uint32_t i, const struct regs *regs)
{
	struct runs *r = arg;
	const struct bpf_insn *insn = &r->p->insn[i];
	bool fails = false;
	uint32_t to;

	if (is_call(insn) && leads_to(r->p, i, &to))
		fails = r->fails[to];
	else if (calls_back(insn))
		fails = callback_fails(r, &regs->r[2]);
	if (!fails || is_guard_of(&insn[1], GUARD_RUN))
		return 0;
	r->guard = arena_push(r->a, r->guard, r->n, sizeof(*r->guard));
	r->guard[r->n++] = (struct guard){ i + 1, guard_run() };
	return 0;
}

int guard_runs(struct arena *a, const struct bpf_set *set, struct bpf_prog *p,
	       struct err *e)
{
	struct arena own = { 0 };
	struct runs r = { .a = &own, .p = p };
	bool *fails = arena_alloc(&own, p->nsub + 1);
	struct flow f;
	int bad;

	find_failing(p, fails);
	r.fails = fails;
	flow_run(&own, p, set, &f);
	flow_each(p, set, &f, see, &r);
	bad = guard_insert_all(a, p, r.guard, r.n, e);
	arena_free(&own);
	return bad;
}

/* --- what others ask --------------------------------------------------- */

uint32_t guard_count(const struct bpf_prog *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->ninsn; i += 1 + is_lddw(&p->insn[i]))
		n += is_guard(&p->insn[i]);
	return n;
}

bool guard_may_fail(const struct bpf_set *set, uint32_t prog)
{
	if (set->prog[prog].guarded)
		return true;
	if (!bpf_calls(&set->prog[prog], BPF_FUNC_tail_call))
		return false;
	for (uint32_t p = 0; p < set->nprog; p++)
		if (set->prog[p].guarded)
			return true;
	return false;
}
