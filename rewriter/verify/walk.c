/* SPDX-License-Identifier: MIT */
/* walk.c - all paths of a program, depth first.
 *
 * At points where paths meet, states are kept.  A path that comes to such a
 * point with nothing that a kept state has not covered ends there: all that can
 * follow was, or is being, looked at.  That is enough for what a program does;
 * it is not for its end.  So a state that is still on the path itself may cover
 * only what has got on since, at a loop point: a helper has called back once
 * more, an iterator has given a number, a guard has used up budget.  Without
 * that, the very same state twice on one path is a loop without end, and a loop
 * that ends is walked through as often as it runs.
 *
 * At loop points what changes from one time round to the next is widened, so
 * that one is covered soon.  Where that has lost too much, the walk is done
 * again by turns (program.c): the first few are left as they are, and a helper
 * that calls back a few times only does not do so once more.  How often it
 * still may is part of the state: one covers only what has no more before it.
 *
 * That each run gets on is not enough to say that it ends, as the helper may be
 * called anew each time round, and a path may end at a state of another that
 * had got on where this one has not.  So all ways that were found are looked at
 * together in the end (ends.c).
 */
#include "rewriter/verify/verifier.h"

#include <stdlib.h>
#include <string.h>

#include "runtime-stub/guard.h"

enum {
	PROCESSED_MAX = 1000000, /* BPF_COMPLEXITY_LIMIT_INSNS */
	LONG_CALL = 4000, /* so that all others come to less than 2^32 */
	PENDING_MAX = 1 << 16,
	KEPT_MAX = 1 << 16,
	BYTES_MAX = 1 << 29, /* of all these states */
	TURNS = 8 /* that are not widened */
};

struct kept {
	struct kept *next;
	struct state *s;
	uint32_t hits, misses;
};

struct walk {
	uint8_t *point;     /* per instruction: enum point */
	struct kept **kept; /* per instruction */
	struct kept *gone;  /* no longer compared with; may be parents */
	uint32_t nkept;
	struct state **pending;
	uint32_t npending, room;
	size_t bytes; /* of states kept and pending */
	uint32_t jumps, insns; /* since a state was kept */
};
enum point {
	NO_POINT,
	MEETING,
	LOOP
};

/* --- points ------------------------------------------------------------ */

static bool is_loop_point(const struct bpf_insn *i)
{
	if (i->code == GUARD)
		return i->src_reg == GUARD_LOOP;
	return calls_back(i) || is_iter_next(i);
}

static void find_points(struct verify *v, struct walk *w)
{
	const struct bpf_prog *p = v->p;

	for (uint32_t i = 0; i < p->ninsn; i++) {
		const struct bpf_insn *insn = &p->insn[i];

		if (is_jump(insn)) {
			w->point[jump_target(insn, i)] |= MEETING;
			if (!is_goto(insn))
				w->point[i + 1] |= MEETING;
		} else if (is_call(insn) && insn->src_reg == BPF_PSEUDO_CALL) {
			w->point[i + 1] |= MEETING;
		}
		if (is_loop_point(insn))
			w->point[i] |= LOOP;
		i += is_lddw(insn);
	}
}

/* --- what nobody reads again ------------------------------------------- */

static void forget(struct verify *v, struct frame *f, uint32_t i)
{
	uint16_t live = live_regs(v->live, i);

	for (unsigned r = 0; r < 10; r++)
		if (!(live >> r & 1))
			reg_nothing(&f->r[r]);
	for (uint32_t k = 0; k < f->nslot; k++) {
		struct slot *s = &f->slot[k];

		if (s->byte[0] != DYNPTR_BYTE && s->byte[0] != ITER_BYTE &&
		    !live_slot(v->live, i, k))
			memset(s, 0, sizeof(*s));
	}
	f->care = care_regs(v->live, i);
	f->care_slots = care_slots(v->live, i);
	while (f->nslot &&
	       !memcmp(f->slot[f->nslot - 1].byte, (const uint8_t[8]){ 0 }, 8))
		f->nslot--;
}

/* An id that nobody shares says nothing. */
struct count {
	uint32_t id, n;
};
static void count_id(struct reg *r, void *arg)
{
	struct count *c = arg;

	c->n += r->kind == NUMBER && r->id == c->id;
}
struct lonely {
	struct state *s;
};
static void drop_lonely(struct reg *r, void *arg)
{
	struct lonely *l = arg;
	struct count c = { r->id, 0 };

	if (r->kind != NUMBER || !r->id)
		return;
	state_each(l->s, count_id, &c);
	if (c.n == 1)
		r->id = 0;
}

/* A frame that waits for its call goes on behind it, or, when a helper calls
 * back, perhaps at the call itself again. */
static void clean(struct verify *v)
{
	struct state *s = v->s;
	struct lonely l = { s };

	for (uint32_t k = 0; k + 1 < s->nframe; k++) {
		struct frame *callee = s->frame[k + 1];

		forget(v, s->frame[k], callee->call + !callee->callback);
	}
	forget(v, top(s), v->i);
	state_each(s, drop_lonely, &l);
}

/* --- kept states ------------------------------------------------------- */

/* The path of `s` is at its end, and so may be those that led to it. */
static void path_ends(struct state *s)
{
	for (struct state *p = s->parent; p && !--p->branches; p = p->parent)
		;
	state_free(s);
}

static void let_go(struct walk *w, struct kept **at)
{
	struct kept *k = *at;

	*at = k->next;
	k->next = w->gone;
	w->gone = k;
	if (k->s->branches)
		return;
	w->gone = k->next;
	w->bytes -= state_size(k->s, false);
	state_free(k->s);
	free(k);
	w->nkept--;
}

/* States that never cover anything cost a comparison each time.  (One that the
 * next time round may be widened by is given more time, as in the kernel.) */
static bool useless(const struct kept *k, bool loop)
{
	uint32_t n = loop && k->s->branches ? 64 : 3;

	return k->misses > k->hits * n + n;
}

static bool iter_got_on(const struct state *old, const struct state *now,
			uint32_t ref)
{
	for (uint32_t i = 0; i < old->nref; i++)
		for (uint32_t k = 0; k < now->nref; k++)
			if (old->ref[i].id == ref && now->ref[k].id == ref)
				return old->ref[i].moved != now->ref[k].moved;
	return false;
}

/* Is something nearer to its end than when `old` was kept on this path? */
static bool got_on(const struct state *old, const struct state *now)
{
	for (uint32_t i = 0; i < old->nframe && i < now->nframe; i++)
		if (old->frame[i]->helper == now->frame[i]->helper &&
		    old->frame[i]->calls != now->frame[i]->calls)
			return true;
	for (uint32_t i = 0; i < old->nref; i++)
		if (iter_got_on(old, now, old->ref[i].id))
			return true;
	return old->budget != now->budget;
}

static uint32_t node_of(const struct state *s)
{
	return s ? s->node : 0;
}

static void way_to(struct verify *v, const struct state *to)
{
	ends_way(v->ends, node_of(v->s->parent), to->node, v->s);
}

enum found {
	NEW,
	COVERED,
	ENDLESS
};

static enum found look_up(struct verify *v, bool loop)
{
	struct walk *w = v->walk;
	struct kept **at = &w->kept[v->i], *k;
	enum covers c;

	while ((k = *at)) {
		if (k->s->branches && !got_on(k->s, v->s)) {
			if (state_covers(k->s, v->s, true))
				return ENDLESS;
		} else if ((c = state_covers(k->s, v->s, false))) {
			v->careless |= c == SIMILAR;
			k->hits++;
			way_to(v, k->s);
			return COVERED;
		}
		k->misses++;
		if (useless(k, loop))
			let_go(w, at);
		else
			at = &k->next;
	}
	return NEW;
}

static void keep(struct verify *v)
{
	struct walk *w = v->walk;
	struct kept *k = calloc(1, sizeof(*k));

	if (!k)
		arena_full(NULL);
	k->s = state_keep(v->s);
	k->s->insn = v->i;
	k->s->branches = 1;
	k->s->node = ends_state(v->ends, v->i);
	way_to(v, k->s);
	v->s->used = v->s->renewed = v->s->steps = v->s->most = 0;
	v->s->site = NO_INSN;
	k->next = w->kept[v->i];
	w->kept[v->i] = k;
	w->nkept++;
	w->bytes += state_size(k->s, false);
	v->s->parent = k->s;
	w->jumps = w->insns = 0;
}

/* The loop of this loop point, not one around it. */
static bool this_got_on(struct verify *v, const struct state *old)
{
	const struct bpf_insn *insn = &v->p->insn[v->i];

	if (is_guard(insn))
		return old->budget != v->s->budget;
	if (!calls_back(insn))
		return iter_got_on(old, v->s, iter_ref(v, 1));
	return top(old)->helper == top(v->s)->helper &&
	       top(old)->calls != top(v->s)->calls;
}

/* Few rounds are gone through one by one. */
static bool is_counted(struct verify *v)
{
	return calls_back(&v->p->insn[v->i]) && top(v->s)->left != MANY;
}

static bool alike(struct verify *v, const struct state *old)
{
	return v->by_turns ? state_alike(old, v->s)
			   : state_same_place(old, v->s);
}

/* The second time round, what has changed since the first is widened; when
 * loops are walked by turns, some turns later, and only from one that had the
 * same pointers. */
static bool widen(struct verify *v)
{
	const struct state *last = NULL;
	uint32_t n = 0;

	if (is_counted(v))
		return false;
	for (struct kept *k = v->walk->kept[v->i]; k; k = k->next)
		if (k->s->branches && this_got_on(v, k->s) && alike(v, k->s) &&
		    !n++)
			last = k->s;
	if (!n || (v->by_turns && n < TURNS))
		return false;
	state_widen(v->s, last);
	return true;
}

static void turn_takes(struct verify *v, uint64_t steps)
{
	if (v->turn[v->i] < steps)
		v->turn[v->i] = steps;
}

/* What the helper takes though it calls nobody is a turn, too. */
static void goes_through(struct verify *v)
{
	uint64_t steps = call_scan(v);

	turn_begins(v, v->i);
	v->s->steps += steps;
	turn_takes(v, steps);
}

void turn_begins(struct verify *v, uint32_t insn)
{
	v->held[insn] |= reference_held(v);
}

void call_takes(struct verify *v, uint64_t steps)
{
	if (steps > LONG_CALL) {
		turn_begins(v, v->i);
		if (v->apart && !v->apart[v->i]) {
			turn_takes(v, steps);
			return;
		}
	}
	v->s->steps += steps;
}

/* A loop point is arrived at.  (An iterator moves when it is called.) */
static void pass(struct verify *v)
{
	struct frame *f = top(v->s);

	if (is_guard(&v->p->insn[v->i])) {
		v->s->budget++;
		v->s->site = v->i;
		state_used(v->s, limit_budget(), GUARD_BUDGET);
	} else if (f->again) {
		f->calls++;
		if (f->left != MANY)
			f->left--;
		state_used(v->s, limit_helper(v->s->nframe - 1), call_turns(v));
	} else if (calls_back(&v->p->insn[v->i])) {
		f->helper = ++v->ids;
		f->calls = 0;
		f->left = call_rounds(v);
		v->s->renewed |= limit_helper(v->s->nframe - 1);
		goes_through(v);
	}
	f->again = false;
}

static enum found at_point(struct verify *v)
{
	struct walk *w = v->walk;
	bool loop = w->point[v->i] & LOOP;
	enum found f;

	clean(v);
	if (loop)
		pass(v);
	f = look_up(v, loop);
	if (f == NEW && loop && widen(v))
		f = look_up(v, loop);
	if (f == NEW && (loop || (w->jumps >= 2 && w->insns >= 8)))
		keep(v);
	return f;
}

/* --- paths ------------------------------------------------------------- */

int walk_later(struct verify *v, struct state *s, uint32_t insn)
{
	struct walk *w = v->walk;

	s->insn = insn;
	s->log_at = v->log ? ftell(v->log) : -1;
	s->parent = v->s->parent;
	if (s->parent)
		s->parent->branches++;
	if (w->npending == w->room) {
		w->room = w->room ? 2 * w->room : 64;
		w->pending = realloc(w->pending, w->room * sizeof(s));
		if (!w->pending)
			arena_full(NULL);
	}
	w->pending[w->npending++] = s;
	w->bytes += state_size(s, true);
	if (w->npending <= PENDING_MAX)
		return 0;
	return want_loop(v, NO_INSN);
}

static int too_many(struct verify *v)
{
	return v->processed > (v->by_turns ? BY_TURNS_MAX : PROCESSED_MAX) ||
	       v->walk->nkept > KEPT_MAX || v->walk->bytes > BYTES_MAX;
}

/* One path, to its end. */
static int follow(struct verify *v)
{
	struct walk *w = v->walk;
	uint32_t next;

	for (;;) {
		/* Those are put in when all has been looked at: what was not
		 * too much is not, then. */
		bool turn = is_guard_of(&v->p->insn[v->i], GUARD_TURN);

		v->processed += !turn;
		w->insns += !turn;
		if (too_many(v))
			return want_loop(v, NO_INSN);
		if (w->point[v->i])
			switch (at_point(v)) {
			case COVERED:
				return 0;
			case ENDLESS:
				return want_loop(v, v->i);
			case NEW:
				break;
			}
		log_insn(v);
		if (v->watch)
			v->watch(v->watch_arg, v);
		v->s->steps++;
		if (step(v, &next))
			return -1;
		if (next == NO_INSN) {
			ends_tail(v->ends, node_of(v->s->parent), v->s->steps);
			return 0;
		}
		w->jumps += is_jump(&v->p->insn[v->i]);
		v->i = next;
	}
}

static void walk_free(struct verify *v, struct walk *w)
{
	struct kept *k;

	for (uint32_t i = 0; i <= v->p->ninsn; i++)
		while ((k = w->kept[i])) {
			w->kept[i] = k->next;
			k->next = w->gone;
			w->gone = k;
		}
	while ((k = w->gone)) {
		w->gone = k->next;
		state_free(k->s);
		free(k);
	}
	while (w->npending)
		state_free(w->pending[--w->npending]);
	free(w->pending);
	free(w->kept);
	free(w->point);
}

static void begin(struct verify *v)
{
	struct state *s = state_new();

	reg_pointer(&s->frame[0]->r[1], CTX, NO_INSN);
	s->site = NO_INSN;
	walk_later(v, s, 0);
}

static int all_end(struct verify *v)
{
	uint32_t insn = ends_not(v->ends);

	if (insn != NO_INSN)
		return want_loop(v, insn);
	if (!v->apart)
		v->longest = ends_longest(v->ends);
	v->once = ends_turns(v->ends, v->turn, v->held);
	return 0;
}

int walk(struct verify *v)
{
	struct walk w = { 0 };
	struct state none = { 0 };
	int ret = 0;

	w.point = calloc(v->p->ninsn + 1, sizeof(*w.point));
	w.kept = calloc(v->p->ninsn + 1, sizeof(*w.kept));
	if (!w.point || !w.kept)
		arena_full(NULL);
	v->walk = &w;
	v->ends = ends_new();
	v->s = &none;
	v->processed = 0;
	v->turn = arena_alloc(v->a, (v->p->ninsn + 1) * sizeof(*v->turn));
	v->held = arena_alloc(v->a, (v->p->ninsn + 1) * sizeof(*v->held));
	v->base = arena_alloc(v->a, v->p->ninsn + 1);
	v->need = arena_alloc(v->a, (v->p->ninsn + 1) * sizeof(*v->need));
	if (v->log && ftell(v->log) >= 0) /* guards are in it now */
		fseek(v->log, 0, SEEK_SET);
	find_points(v, &w);
	begin(v);
	while (!ret && w.npending) {
		struct state *s = w.pending[--w.npending];

		w.bytes -= state_size(s, true);
		v->s = state_copy(s);
		v->i = s->insn;
		if (s->log_at >= 0) /* what followed is of another path */
			fseek(v->log, s->log_at, SEEK_SET);
		state_free(s);
		ret = follow(v);
		path_ends(v->s);
	}
	walk_free(v, &w);
	if (!ret && !(v->careless && v->more_decided))
		ret = all_end(v);
	ends_free(v->ends);
	return ret;
}
