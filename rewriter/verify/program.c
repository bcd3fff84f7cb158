/* SPDX-License-Identifier: MIT */
/* program.c - one program: proved, guarded until it is, or refused.
 *
 * A guard is an instruction (runtime-stub/guard.h), and what it makes sure of
 * is known behind it.  So a program that needs one gets it and is looked at
 * again from its start: what runs in the end is what was proved.
 */
#include "rewriter/verify/verifier.h"

#include <string.h>

#include "rewriter/bpf/guard.h"
#include "rewriter/verify/program.h"
#include "runtime-stub/guard.h"

enum {
	GUARDS_MAX = 64,
	SPENT_MAX = 8000000, /* instructions, all times through together */
};

bool verify_exactly;

/* Seconds, half a minute at the very worst; what is of any use takes
 * microseconds. */
#define LIMIT ((uint64_t)GUARD_LEFT * GUARD_UNIT)
uint64_t verify_longest = LIMIT;

/* The guard of that register, if there is one already. */
static struct bpf_insn *guard_of(struct bpf_prog *p, const struct want *w)
{
	for (uint32_t i = w->insn; i-- && is_guard(&p->insn[i]);)
		if (p->insn[i].src_reg == GUARD_RANGE &&
		    p->insn[i].dst_reg == w->reg)
			return &p->insn[i];
	return NULL;
}

/* Instructions from which `from` is reached again, and whether the function can
 * be left on the way. */
static bool can_end(struct verify *v, uint32_t from)
{
	const struct bpf_prog *p = v->p;
	bool *seen = arena_alloc(v->a, p->ninsn + 1);
	uint32_t *todo = arena_alloc(v->a, (p->ninsn + 1) * sizeof(*todo));
	uint32_t n = 0;

	todo[n++] = from;
	seen[from] = true;
	while (n) {
		uint32_t i = todo[--n], next[2], k = 0;
		const struct bpf_insn *insn = &p->insn[i];

		if (is_exit(insn))
			return true;
		if (is_jump(insn))
			next[k++] = jump_target(insn, i);
		if (!is_goto(insn))
			next[k++] = i + 1 + is_lddw(insn);
		while (k--)
			if (!seen[next[k]]) {
				seen[next[k]] = true;
				todo[n++] = next[k];
			}
	}
	return false;
}

static int too_large(struct verify *v)
{
	return refuse_at(v, -1, "make it smaller",
			 "BPF program is too large. Processed %llu insn",
			 (unsigned long long)v->spent);
}

/* --- loops ------------------------------------------------------------- */

static bool is_back(const struct bpf_insn *insn, uint32_t i)
{
	return is_jump(insn) && jump_target(insn, i) <= i;
}

/* The first target of a jump back that has no guard; NO_INSN: none. */
static uint32_t open_loop(const struct bpf_prog *p)
{
	for (uint32_t i = 0; i < p->ninsn; i++) {
		uint32_t to;

		if (is_back(&p->insn[i], i)) {
			to = jump_target(&p->insn[i], i);
			if (!is_guard_of(&p->insn[to], GUARD_LOOP))
				return to;
		}
		i += is_lddw(&p->insn[i]);
	}
	return NO_INSN;
}

static int guard_loops(struct verify *v, struct arena *a, struct bpf_prog *p)
{
	uint32_t at = v->want.insn;

	if (at != NO_INSN) {
		v->i = at;
		if (!can_end(v, at))
			return refuse_at(v, -1, "leave it on some path",
					 "infinite loop detected at insn %u",
					 at);
		return guard_insert(a, p, at, guard_loop(), v->e);
	}
	at = open_loop(p);
	if (at == NO_INSN)
		return too_large(v);
	for (; at != NO_INSN; at = open_loop(p))
		if (guard_insert(a, p, at, guard_loop(), v->e))
			return -1;
	return 0;
}

/* --- turns ------------------------------------------------------------- */

static int32_t weight(uint64_t steps)
{
	uint64_t n = steps / GUARD_UNIT + 1;

	return n < GUARD_LEFT ? (int32_t)n : GUARD_LEFT;
}

/* A loop that has a guard keeps it: no more iterations than it ever had. */
static void weigh(struct bpf_insn *loop, uint64_t steps)
{
	if (loop->imm < weight(steps))
		loop->imm = weight(steps);
}

/* Turns that cannot be counted are too many.  (What has none is as long as it
 * is.) */
static int check_once(struct verify *v)
{
	v->i = 0;
	while (v->i < v->p->ninsn && !v->held[v->i])
		v->i++;
	if (v->once <= LIMIT || v->i == v->p->ninsn)
		return 0;
	return refuse_at(v, -1, "do less in its loops, or submit first",
			 "a run may come to %llu instructions, and while a "
			 "ring record is held no guard can be put there",
			 (unsigned long long)v->longest);
}

/* Guards where turns begin would not do: one turn, or what is in none, is too
 * long.  Then calls that take long are counted where they stand. */
static bool is_too_long(const struct verify *v)
{
	for (uint32_t i = 0; i < v->p->ninsn; i++)
		if (v->turn[i] > LIMIT)
			return true;
	return v->once > LIMIT;
}

static int guard_turns(struct verify *v, struct arena *a, struct bpf_prog *p)
{
	struct guard *guard =
		arena_alloc(v->a, (p->ninsn + 1) * sizeof(*guard));
	uint32_t n = 0;

	if (check_once(v))
		return -1;
	for (uint32_t i = 0; i < p->ninsn; i++)
		if (v->held[i])
			;
		else if (v->turn[i] && is_guard_of(&p->insn[i], GUARD_LOOP))
			weigh(&p->insn[i], v->turn[i]);
		else if (v->turn[i])
			guard[n++] = (struct guard){ i, guard_turn(weight(
								v->turn[i])) };
	p->longest = v->longest;
	v->apart = NULL;
	return guard_insert_all(a, p, guard, n, v->e);
}

/* ----------------------------------------------------------------------- */

static int guard_number(struct verify *v, struct arena *a, struct bpf_prog *p)
{
	const struct want w = v->want;
	struct bpf_insn *g = guard_of(p, &w);

	if (!g)
		return guard_insert(a, p, w.insn, guard_range(w.reg, w.max),
				    v->e);
	if ((uint32_t)g->imm <= w.max) /* and it was not enough */
		return -1;
	g->imm = (int32_t)w.max;
	return 0;
}

static int help(struct verify *v, struct arena *a, struct bpf_prog *p)
{
	return v->want.kind == WANT_LOOP ? guard_loops(v, a, p)
					 : guard_number(v, a, p);
}

/* Numbers that did not seem to matter may have to be looked at after all. */
static int walk_all(struct verify *v)
{
	int ret;

	v->decided = arena_alloc(v->a, v->p->ninsn + 1);
	memset(v->decided, verify_exactly, v->p->ninsn + 1);
	do {
		v->careless = v->more_decided = false;
		care_find(v->live, v->p, v->decided);
		ret = walk(v);
		v->spent += v->processed;
		if (!ret && v->spent > SPENT_MAX)
			return too_large(v);
	} while (!ret && v->careless && v->more_decided);
	return ret;
}

static int prove_so(struct verify *v, struct arena *a, struct bpf_prog *p)
{
	for (unsigned guards = 0;; guards++) {
		v->p = p;
		v->want.kind = WANT_NOTHING;
		v->live = live_find(v->a, p);
		if (!walk_all(v)) {
			if (depth_check(v))
				return -1;
			if (p->longest || v->longest <= verify_longest)
				return 0;
			v->spent = 0;
			if (!v->apart && is_too_long(v)) {
				v->apart = v->held;
				continue;
			}
			if (guard_turns(v, a, p))
				return -1;
			continue;
		}
		if (v->want.kind == WANT_NOTHING || guards == GUARDS_MAX ||
		    (v->by_turns && v->spent > BY_TURNS_MAX))
			return -1;
		if (v->spent > SPENT_MAX)
			return too_large(v);
		if (help(v, a, p))
			return -1;
	}
}

static bool has_turns(const struct bpf_prog *p)
{
	for (uint32_t i = 0; i < p->ninsn; i += 1 + is_lddw(&p->insn[i]))
		if (calls_back(&p->insn[i]) || is_iter_next(&p->insn[i]))
			return true;
	return false;
}

static bool has_range_guard(const struct bpf_prog *p)
{
	for (uint32_t i = 0; i < p->ninsn; i += 1 + is_lddw(&p->insn[i]))
		if (is_guard_of(&p->insn[i], GUARD_RANGE))
			return true;
	return false;
}

/* Of two verdicts about one program: would the second, of `q`, be better? */
static bool is_better(const struct verify *v, int ret, const struct bpf_prog *q,
		      int first, const struct bpf_prog *p)
{
	if (ret) /* it knows better what is wrong, if it got so far */
		return first && v->spent <= BY_TURNS_MAX;
	return first || guard_count(q) < guard_count(p);
}

/* Most programs are proved with their loops widened at once, which is cheap.
 * Where that was not enough, a flag may tell what is there in the next turn, or
 * a helper may call back a few times only: the turns are looked at one by one,
 * unless that gets dear. */
static int prove(struct verify *v, struct arena *a, struct bpf_prog *p)
{
	struct verify was = *v, turns = *v;
	struct bpf_prog before = *p, q = *p;
	struct err e;
	int ret = prove_so(v, a, p), again;

	if ((!ret && !has_range_guard(p)) || !has_turns(&before))
		return ret;
	turns.by_turns = true;
	turns.e = &e;
	again = prove_so(&turns, a, &q);
	if (is_better(&turns, again, &q, ret, p)) {
		*p = q;
		if (again)
			*was.e = e;
		turns.e = was.e;
		turns.spent += v->spent;
		*v = turns;
		return again;
	}
	v->spent += turns.spent;
	if (ret && v->log) { /* it has to tell of this one */
		*p = before;
		*v = was;
		return prove_so(v, a, p);
	}
	return ret;
}

/* There is nothing at a task's address: the stub is asked (runtime-stub/task.h). */
static void name_task_loads(const struct verify *v, struct bpf_prog *p)
{
	for (uint32_t i = 0; i < p->ninsn; i++)
		if (v->base[i] == BASE_TASK)
			p->insn[i].code = task_load_of(p->insn[i].code);
}

int verify_program(struct arena *a, const struct bpf_set *set,
		   struct bpf_prog *p, const char *file, FILE *log,
		   struct verified *out, struct err *e)
{
	struct arena own = { 0 };
	struct verify v = {
		.a = &own, .set = set, .file = file, .log = log, .e = e
	};
	int ret = prove(&v, a, p);

	out->processed = v.spent;
	out->longest = v.longest;
	out->once = v.once;
	out->guards = guard_count(p);
	if (!ret)
		name_task_loads(&v, p);
	if (!ret && out->guards)
		ret = guard_runs(a, set, p, e);
	arena_free(&own);
	return ret;
}
