/* SPDX-License-Identifier: MIT */
/* trap.c - the last resort, on request: one byte, which traps.
 *
 *   site:  push %rbp       site:  int3  -->  SIGTRAP's handler in the stub,
 *          ...        ->          ...        which goes on in the trampoline
 *
 * An int3 fits wherever an instruction begins, and it does not matter what
 * leads to the bytes behind it: they stay what they are.  So the one thing to
 * be proved is that an instruction begins there; what is refused because the
 * code itself is doubtful stays refused.
 *
 * The danger is in the signal.  The kernel kills who is hit while SIGTRAP is
 * blocked, and who has another handler by then gets a trap that it does not
 * know (docs/limits.md).  One thing can be seen to here: that no site is hit
 * before there is a handler at all.  The hooked entry point must come first,
 * and it does
 *   - in a program without an interpreter;
 *   - in another one if the loader and the libraries, whose constructors have
 *     run by then, cannot call it: it has no DT_PREINIT_ARRAY, no resolver of
 *     an IFUNC, and shows no function to libraries, nor data that may name one.
 * A library's functions may be called before its DT_INIT, by constructors of
 * others.  Go's runtime takes SIGTRAP for itself.
 *
 * A return probe that can be had by its return address is not worth a trap.
 */
#include <string.h>

#include "elf/dynamic.h"
#include "rewriter/patch/spare.h"
#include "rewriter/patch/tramp.h"

/* --- files ---------------------------------------------------------------- */

enum { POINTER = 8 };

/* A dynamic symbol by which a library gets into the program's code.  What is
 * not in the file is zero, or another's: copy relocations are there. */
static bool is_way_in(const struct image *img, const struct symbol *y)
{
	if (y->from != SYM_DYNSYM)
		return false;
	if (image_is_code(img, y->addr))
		return true;
	return (y->size == 0 || y->size >= POINTER) &&
	       image_at(img, y->addr, POINTER) != NULL;
}

const char *trap_refusal(const struct image *img)
{
	uint64_t size;

	if (img->go)
		return "Go's runtime takes SIGTRAP for itself";
	if (img->dso)
		return "a library may be called before it can take SIGTRAP";
	if (!img->entry)
		return "it has no entry point at which to take SIGTRAP";
	if (!img->interp)
		return NULL;
	if (dynamic_get(img, DT_PREINIT_ARRAYSZ, &size) && size)
		return "its DT_PREINIT_ARRAY runs before it can take SIGTRAP";
	if (img->resolves)
		return "its IFUNC resolvers run before it can take SIGTRAP";
	for (size_t i = 0; i < img->nsym; i++)
		if (is_way_in(img, &img->sym[i]))
			return "it exports functions or data, by which "
			       "libraries may call it before it can take "
			       "SIGTRAP";
	return NULL;
}

/* Whether a site is hit while SIGTRAP is blocked nobody can see; that there is
 * a call that may do it, or take SIGTRAP, can be told. */
static const char *const dangers[] = {
	"sigaction", "signal", "bsd_signal", "sysv_signal", "__sysv_signal",
	"sigset", "sigignore", "sighold", "sigblock", "sigsetmask",
	"sigprocmask", "pthread_sigmask",
	"sigwait", "sigwaitinfo", "sigtimedwait", "signalfd",
};

static bool is_danger(const char *name)
{
	for (size_t i = 0; i < sizeof(dangers) / sizeof(*dangers); i++)
		if (!strcmp(name, dangers[i]))
			return true;
	return false;
}

const char *trap_dangers(struct arena *a, const struct image *img)
{
	const char *all = NULL;

	for (size_t i = 0; i < img->nneed; i++)
		if (is_danger(img->need[i].name))
			all = arena_printf(a, "%s%s%s", all ? all : "",
					   all ? ", " : "", img->need[i].name);
	return all;
}

/* --- sites ---------------------------------------------------------------- */

/* Is there no other way for any of them?  A function that begins with a ret has
 * no more room at its entry. */
static bool is_last_chance(const struct planner *pl, const struct stuck *v)
{
	for (size_t i = v->first; i < v->first + v->n; i++) {
		const struct group *g = &pl->group[pl->want[i].group];

		if (!group_has_way(pl, g) ||
		    pl->links->link[g->link].addr == pl->want[i].at)
			return true;
	}
	return false;
}

static const struct reason *trap_make(const struct spare *r, struct patch *p)
{
	const struct planner *pl = r->pl;
	const struct reason *why;

	if (!code_is_sure(pl->s, p->at))
		return WHY(pl, REASON_UNSURE,
			   "it is not certain that an instruction begins "
			   "there");
	why = window_read(pl, p, 1);
	if (why)
		return why;
	p->len = 1;
	p->tactic = TACTIC_TRAP;
	if (!spare_is_free(r, p->at, p->at + p->len))
		return WHY(pl, REASON_PATCHED, "another patch is in the way");
	return NULL;
}

static bool trap_place(struct spare *r, struct stuck *v)
{
	const struct planner *pl = r->pl;
	const struct reason *why;
	struct patch p = v->p;

	trace_begin(pl, v->first, v->n);
	if (!is_last_chance(pl, v))
		return false;
	why = trap_make(r, &p);
	trace_note(pl, TACTIC_TRAP, p.at, why);
	if (why)
		return false;
	points_add(pl, &p, v->first, v->n);
	spare_patch(r, &p);
	return true;
}

void traps_place(const struct planner *pl, struct stuck *v, size_t *n)
{
	const struct plan *o = pl->out;
	struct spare r;
	size_t left = 0;

	if (!pl->s->allow_trap)
		return;
	spare_begin(&r, pl);
	for (size_t i = 0; i < o->nedge; i++) {
		const struct edge *x = &o->edge[i];

		spare_take(&r, x->at, x->at + x->len);
		if (x->hop)
			spare_take(&r, x->hop, x->hop + JUMP_SIZE);
	}
	for (size_t i = 0; i < *n; i++)
		if (!spare_joins(&r, &v[i]) && !trap_place(&r, &v[i]))
			v[left++] = v[i];
	*n = left;
	spare_end(&r);
}

size_t plan_traps(const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->npatch; i++)
		n += p->patch[i].tactic == TACTIC_TRAP;
	return n;
}

/* --- the handler's table -------------------------------------------------- */

static int from_info(const struct tramp *t, uint64_t vaddr, int32_t *to)
{
	int64_t d = (int64_t)(vaddr - t->env->code.info_vaddr);

	*to = (int32_t)d;
	if (!fits32(d))
		return refuse(t->e, t->img->path, vaddr,
			      "the new code is over 2 GiB away");
	return 0;
}

static struct weld_info *info_of(const struct tramp *t)
{
	return (void *)(t->c->p + (t->env->code.info_vaddr - t->c->vaddr));
}

int traps_build(struct tramp *t)
{
	const struct plan *plan = t->plan;
	size_t n = plan_traps(plan);
	int32_t table;

	if (!n)
		return 0;
	code_align(t->c, 4, 0xcc);
	if (from_info(t, code_here(t->c), &table))
		return -1;
	for (size_t i = 0; i < plan->npatch; i++) {
		const struct patch *p = &plan->patch[i];
		struct weld_trap row;

		if (p->tactic != TACTIC_TRAP)
			continue;
		if (from_info(t, p->at, &row.site) ||
		    from_info(t, p->tramp, &row.tramp))
			return -1;
		code_bytes(t->c, &row, sizeof(row));
	}
	info_of(t)->traps = table;
	info_of(t)->trap_count = (uint32_t)n;
	return 0;
}
