/* SPDX-License-Identifier: MIT */
/* watch.c - see watch.h.
 *
 * Each state that the verifier steps from is noted, at its instruction.  When a
 * program runs, one of those noted there has to fit what is there: for every
 * register of every frame, and every register that was spilled.  A path that
 * ended because a state covered it is all right: from there on that one's fit.
 *
 * Numbers that do not matter (care.c) need not fit.
 */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>

#include "place.h"
#include "rewriter/verify/program.c"
#include "runtime-stub/abi.h"
#include "runtime-stub/layout.h"
#include "world.h"

enum {
	NOTED_MAX = 1 << 14,
	LOW = 8
};

struct noted {
	struct noted *next;
	uint32_t nframe;
	struct frame *frame[FRAMES];
	uint16_t care[FRAMES], live[FRAMES];
	uint64_t care_slots[FRAMES], live_slots[FRAMES];
};

struct notes {
	struct arena a;
	uint32_t n;
	struct noted **at; /* of each instruction of the proved program */
	bool off;          /* too many */
};
struct watch {
	struct notes notes[2]; /* [by_turns] */
	const struct notes *of; /* what was proved */
	uint32_t *old; /* instruction of a run -> of the proved program */
};

/* --- noting ------------------------------------------------------------ */

static struct frame *copy_frame(struct notes *w, const struct frame *f)
{
	return arena_dup(&w->a, f,
			 offsetof(struct frame, slot) +
				 f->nslot * sizeof(f->slot[0]));
}

/* What of a frame that waits for a call is looked at again: see walk.c. */
static uint32_t goes_on(const struct state *s, uint32_t k, uint32_t i)
{
	const struct frame *callee;

	if (k + 1 == s->nframe)
		return i;
	callee = s->frame[k + 1];
	return callee->call + !callee->callback;
}

static void forget_all(struct notes *w, const struct bpf_prog *p)
{
	arena_free(&w->a);
	w->a = (struct arena){ 0 };
	w->n = 0;
	w->off = false;
	w->at = arena_alloc(&w->a, (p->ninsn + 1) * sizeof(struct noted *));
}

static void note(void *arg, const struct verify *v)
{
	struct notes *w = &((struct watch *)arg)->notes[v->by_turns];
	struct noted *x;

	if (v->processed == 1) /* from the start */
		forget_all(w, v->p);
	if (w->off || ++w->n > NOTED_MAX) {
		w->off = true;
		return;
	}
	x = arena_alloc(&w->a, sizeof(*x));
	x->nframe = v->s->nframe;
	for (uint32_t k = 0; k < x->nframe; k++) {
		uint32_t i = goes_on(v->s, k, v->i);

		x->frame[k] = copy_frame(w, v->s->frame[k]);
		x->care[k] = care_regs(v->live, i);
		x->care_slots[k] = care_slots(v->live, i);
		x->live[k] = live_regs(v->live, i);
		for (uint32_t s = 0; s < SLOTS; s++)
			x->live_slots[k] |= (uint64_t)live_slot(v->live, i, s)
					    << s;
	}
	x->next = w->at[v->i];
	w->at[v->i] = x;
}

struct watch *watch_new(void)
{
	return calloc(1, sizeof(struct watch));
}

void watch_free(struct watch *w)
{
	for (int k = 0; k < 2; k++)
		arena_free(&w->notes[k].a);
	free(w->old);
	free(w);
}

/* What stands behind calls was put in after the proof. */
static void number(struct watch *w, const struct bpf_prog *p)
{
	uint32_t n = 0;

	w->old = calloc(p->ninsn + 1, sizeof(*w->old));
	for (uint32_t i = 0; w->old && i < p->ninsn; i++) {
		w->old[i] = n;
		n += !is_guard_of(&p->insn[i], GUARD_RUN);
	}
}

int watch_verify(struct watch *w, struct arena *a, const struct bpf_set *set,
		 struct bpf_prog *p, FILE *log, struct verified *out,
		 struct err *e)
{
	struct arena own = { 0 };
	struct verify v = { .a = &own,
			    .set = set,
			    .file = "made.bpf.o",
			    .log = log,
			    .e = e,
			    .watch = note,
			    .watch_arg = w };
	int ret = prove(&v, a, p);

	if (ret && strstr(e->what, "cannot be followed"))
		abort(); /* of what programs do, all can */
	w->of = &w->notes[v.by_turns];
	out->processed = v.processed;
	out->longest = v.longest;
	out->once = v.once;
	out->guards = guard_count(p);
	if (!ret)
		name_task_loads(&v, p);
	if (!ret && out->guards)
		ret = guard_runs(a, set, p, e);
	number(w, p);
	arena_free(&own);
	return ret;
}

/* --- what is there ----------------------------------------------------- */

static bool in_elements(const struct region_map *m, uint64_t addr,
			const struct range *n)
{
	int64_t off = (int64_t)(addr - (uint64_t)weld_region);
	uint64_t start, stride;

	if (!world_elements(m, &start, &stride))
		return true;
	/* Some element begins at addr - k, k in n. */
	for (int64_t k = n->smin; k <= n->smax && k < n->smin + 4096; k++)
		if (range_has(n, (uint64_t)k) && off - k >= (int64_t)start &&
		    (uint64_t)(off - k - (int64_t)start) % stride == 0)
			return true;
	return false;
}

static bool in_value(const struct reg *r, uint64_t v)
{
	const struct bpf_map_def *d = r->map, *all = world_set()->map;

	if (d < all || d >= all + WORLD_MAPS)
		return true;
	return in_elements(&world_region()->map[d - all], v, &r->n);
}

static bool pointer_fits(const struct judge *j, const struct reg *r, uint64_t v)
{
	uint64_t base;

	switch (r->kind) {
	case CTX:
		base = (uint64_t)j->place->ctx;
		break;
	case FRAME:
		base = j->frame[r->frame].r[10];
		break;
	case MAP:
		return !r->map ||
		       world_map((int)(r->map - world_set()->map)) == v;
	case VALUE:
		return in_value(r, v);
	case TASK:
		base = v - r->n.bits.value;
		return !range_is_const(&r->n) || task_is(base) || !base;
	case FUNC:
		return true;
	default: /* records and the like: the judge knows */
		return v != 0;
	}
	return range_has(&r->n, v - base);
}

static bool reg_fits(const struct judge *j, const struct reg *r, uint64_t v,
		     bool care)
{
	if (r->kind == NOTHING)
		return true;
	if (r->kind == NUMBER)
		return !care || range_has(&r->n, v);
	return (r->null && !v) || pointer_fits(j, r, v);
}

static bool slot_fits(const struct judge *j, const struct judge_frame *f,
		      uint32_t k, const struct slot *s, bool care)
{
	const uint8_t *at = f->stack + STACK - 8 * (k + 1);
	unsigned n = 0;
	uint64_t v = 0;

	for (unsigned i = 0; care && i < 8; i++)
		if (s->byte[i] == ZERO && at[i])
			return false;
	while (n < 8 && s->byte[n] == SPILL)
		n++;
	if (!n)
		return true;
	memcpy(&v, at, n);
	return reg_fits(j, &s->reg, v, care);
}

struct misfit {
	uint32_t frame;
	int reg, slot;
};

static bool fits(const struct watch *w, const struct judge *j,
		 const struct noted *x, struct misfit *no)
{
	if (x->nframe != j->depth + 1)
		return false;
	for (uint32_t k = 0; k < x->nframe; k++) {
		const struct frame *f = x->frame[k];
		const struct judge_frame *jf = &j->frame[k];

		if (k && f->call != w->old[jf->call])
			return false;
		if (k + 1 < x->nframe && f->left < jf->left)
			return false;
	}
	for (uint32_t k = 0; k < x->nframe; k++) {
		const struct frame *f = x->frame[k];
		const struct judge_frame *jf = &j->frame[k];

		*no = (struct misfit){ k, -1, -1 };
		/* A frame that waits keeps r6 to r9 only. */
		for (no->reg = k + 1 == x->nframe ? 0 : 6; no->reg < 10;
		     no->reg++)
			if (x->live[k] >> no->reg & 1 &&
			    !reg_fits(j, &f->r[no->reg], jf->r[no->reg],
				      x->care[k] >> no->reg & 1))
				return false;
		no->reg = -1;
		for (uint32_t s = 0; s < f->nslot; s++) {
			no->slot = (int)s;
			if (x->live_slots[k] >> s & 1 &&
			    !slot_fits(j, jf, s, &f->slot[s],
				       x->care_slots[k] >> s & 1))
				return false;
		}
	}
	return true;
}

/* What is there, and what the last state that was tried says of it. */
static void tell(struct judge *j, const struct noted *x, uint32_t n,
		 const struct misfit *no)
{
	const struct judge_frame *f = &j->frame[no->frame];
	const struct reg *r;
	uint64_t v = 0;

	if (!x || (no->reg < 0 && no->slot < 0)) {
		snprintf(j->wrong, sizeof(j->wrong),
			 "none of %u states is of this place", n);
		return;
	}
	if (no->reg >= 0) {
		r = &x->frame[no->frame]->r[no->reg];
		v = f->r[no->reg];
	} else {
		r = &x->frame[no->frame]->slot[no->slot].reg;
		memcpy(&v, f->stack + STACK - 8 * (no->slot + 1), 8);
	}
	snprintf(j->wrong, sizeof(j->wrong),
		 "none of %u states fits; the last: frame %u, r%d, slot %d: "
		 "%#llx is not kind %d, %#llx..%#llx, %lld..%lld",
		 n, no->frame, no->reg, no->slot, (unsigned long long)v,
		 r->kind, (unsigned long long)r->n.umin,
		 (unsigned long long)r->n.umax, (long long)r->n.smin,
		 (long long)r->n.smax);
}

static int see(struct judge *j, uint32_t i, void *arg)
{
	const struct watch *w = arg;
	const struct noted *x, *last = NULL;
	struct misfit no = { 0, -1, -1 };
	uint32_t n = 0;

	if (w->of->off || is_guard_of(&j->p->insn[i], GUARD_RUN))
		return 0;
	for (x = w->of->at[w->old[i]]; x; last = x, x = x->next, n++)
		if (fits(w, j, x, &no))
			return 0;
	tell(j, last, n, &no);
	return -1;
}

void watch_judge(struct watch *w, struct judge *j)
{
	j->see = see;
	j->arg = w;
}
