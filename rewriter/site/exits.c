/* SPDX-License-Identifier: MIT */
/* exits.c - how control leaves a function.
 *
 * A return is seen where it is made, so all places must be known where a
 * function is left, and a ret must tell that the function was entered by its
 * entry.  Both need to know who jumps into whose code: one pass decodes every
 * function and notes the direct branches that leave it for the middle of
 * another (crossings).
 *
 *   fragment (.cold)   belongs to the function that jumps there, to where it
 *                      jumps back, or whose exceptions land there; with two
 *                      such functions it is nobody's
 *   function           entered in the middle by another one: its ret may end
 *                      a call of that one
 *
 * A jump out of a body leaves the function, and a ret returns from it, when the
 * stack pointer is at the return address again, says its frame description; or
 * height.c, where there is none or it is not to be believed.  Compiled Go
 * jumps indirectly to the cases of a switch only.  A jump to a thunk is the
 * indirect one that it stands for.
 */
#include <stdlib.h>

#include "elf/unwind.h"
#include "rewriter/site/targets.h"

enum {
	LONGEST = 15,
	NOBODY = UINT32_MAX, /* no owner is known */
	SHARED = UINT32_MAX - 1,
};

struct crossings {
	uint32_t *owner;  /* per function: of a fragment; else itself */
	uint32_t *first, *next; /* the fragments of one owner, as lists of
				   indices + 1 */
	bool *entered;    /* per function: in the middle, by others */
	struct crossing {
		uint32_t from, to; /* indices of functions */
	} *v;
	size_t n;
};

static uint32_t index_of(const struct sites *s, const struct func *f)
{
	return (uint32_t)(f - s->func);
}

static void cross(const struct sites *s, struct crossings *c,
		  const struct func *f, const struct func *g)
{
	struct arena *a = s->targets->a;

	c->v = arena_push(a, c->v, c->n, sizeof(*c->v));
	c->v[c->n++] = (struct crossing){ index_of(s, f), index_of(s, g) };
}

/* A direct branch in f: does it lead where no call would? */
static void branch_note(const struct sites *s, struct crossings *c,
			const struct func *f, uint64_t target)
{
	const struct func *g = func_around(s, target);
	struct insn in;
	uint64_t room;
	const uint8_t *p;

	if (!g || g == f || (target == g->addr && !g->fragment))
		return;
	if (!g->fragment) { /* behind an endbr64 is the entry, too */
		room = image_room(s->img, g->addr);
		p = image_at(s->img, g->addr, room < 4 ? room : 4);
		if (p && insn_decode(p, 4, g->addr, &in) && in.endbr &&
		    target == g->addr + in.len)
			return;
	}
	cross(s, c, f, g);
}

static bool decode(const struct sites *s, uint64_t at, uint64_t end,
		   struct insn *in)
{
	struct span *sp = span_of(s->targets, at);
	uint64_t room;

	if (!sp || at >= end)
		return false;
	room = sp->hi - at;
	return insn_decode(sp->p + (at - sp->lo),
			   room < LONGEST ? room : LONGEST, at, in);
}

static void crossings_of(const struct sites *s, struct crossings *c,
			 const struct func *f)
{
	uint64_t end = func_end(s, f);
	struct insn in;

	for (uint64_t at = f->addr; decode(s, at, end, &in); at += in.len)
		if (in.flow == FLOW_JMP || in.flow == FLOW_JCC ||
		    in.flow == FLOW_LOOP)
			branch_note(s, c, f, in.target);
}

/* x's owner, when y's is known. */
static bool learn(struct crossings *c, uint32_t x, uint32_t y)
{
	uint32_t was = c->owner[x], of = c->owner[y];

	if (of == NOBODY || was == of || was == SHARED)
		return false;
	c->owner[x] = was == NOBODY ? of : SHARED;
	return true;
}

static void owners_find(const struct sites *s, struct crossings *c)
{
	bool again = true;

	for (uint32_t i = 0; i < s->nfunc; i++)
		c->owner[i] = s->func[i].fragment ? NOBODY : i;
	while (again) {
		again = false;
		for (size_t i = 0; i < c->n; i++) {
			uint32_t x = c->v[i].from, y = c->v[i].to;

			if (s->func[x].fragment)
				again |= learn(c, x, y);
			if (s->func[y].fragment)
				again |= learn(c, y, x);
		}
	}
	for (size_t i = 0; i < c->n; i++) {
		uint32_t x = c->v[i].from, y = c->v[i].to;

		if (!s->func[y].fragment && c->owner[x] != y)
			c->entered[y] = true;
	}
}

static void lists_make(const struct sites *s, struct crossings *c)
{
	struct arena *a = s->targets->a;

	c->first = arena_alloc(a, (s->nfunc + 1) * sizeof(*c->first));
	c->next = arena_alloc(a, (s->nfunc + 1) * sizeof(*c->next));
	for (uint32_t i = (uint32_t)s->nfunc; i-- > 0;) {
		uint32_t of = c->owner[i];

		if (of == i || of >= SHARED)
			continue;
		c->next[i] = c->first[of];
		c->first[of] = i + 1;
	}
}

static struct crossings *crossings_find(const struct sites *s)
{
	struct arena *a = s->targets->a;
	struct crossings *c = arena_alloc(a, sizeof(*c));
	const struct image *img = s->img;

	c->owner = arena_alloc(a, (s->nfunc + 1) * sizeof(*c->owner));
	c->entered = arena_alloc(a, (s->nfunc + 1) * sizeof(*c->entered));
	for (size_t i = 0; i < s->nfunc; i++) {
		crossings_of(s, c, &s->func[i]);
		if (i + 1 < s->nfunc &&
		    s->func[i + 1].addr < func_end(s, &s->func[i]))
			c->entered[i] = c->entered[i + 1] = true;
	}
	for (size_t i = 0; i < img->naway; i++) {
		const struct func *f = func_at(s, img->away[i].func);
		const struct func *g = func_around(s, img->away[i].pad);

		if (f && g && g != f && g->fragment)
			cross(s, c, f, g);
	}
	owners_find(s, c);
	lists_make(s, c);
	return c;
}

static void part_add(const struct sites *s, struct body *b,
		     const struct func *f)
{
	b->part = arena_push(s->targets->a, b->part, b->npart,
			     sizeof(*b->part));
	b->part[b->npart++] = (struct part){ f->addr, func_end(s, f) };
}

/* Inside, and not the entry?  (Go goes there when a stack has grown: it is the
 * same call.) */
static bool stays(const struct body *b, uint64_t target)
{
	for (size_t i = 0; i < b->npart; i++)
		if (target >= b->part[i].lo && target < b->part[i].hi)
			return target != b->func->addr ||
			       is_compiled_go(b->func);
	return false;
}

static void exit_add(const struct sites *s, struct body *b, uint64_t at,
		     enum exit_kind kind)
{
	b->exit = arena_push(s->targets->a, b->exit, b->nexit,
			     sizeof(*b->exit));
	b->exit[b->nexit++] = (struct exit){ at, (uint8_t)kind };
	b->ntail += kind != EXIT_RET;
}

enum { AT_RETURN = 8 }; /* unwind_height() at the return address */

static int32_t height_at(const struct sites *s, const struct body *b,
			 uint64_t at)
{
	const struct fde *fde = image_fde(s->img, at);

	return fde ? unwind_height(fde, at) : stack_height(s, b->func, at);
}

static bool is_indirect(const struct sites *s, const struct body *b,
			const struct insn *in)
{
	return in->flow == FLOW_JMP_IND ||
	       (!is_compiled_go(b->func) &&
		thunk_register(s->img, in->target) >= 0);
}

/* A jump out, as far as one can see.  While the function still has a frame, a
 * direct one goes to code that belongs to it as to others, and an indirect one
 * is a switch; when the return address is gone, it stands for a ret. */
static void tail_note(const struct sites *s, struct body *b,
		      const struct insn *in, enum exit_kind kind)
{
	int32_t height = height_at(s, b, in->at);

	if (kind == EXIT_IND && is_compiled_go(b->func))
		return;
	if (height == UNWIND_UNKNOWN && !image_fde(s->img, in->at))
		b->why = "it jumps away and has no frame description";
	else if (kind != EXIT_IND && thunk_imported(s->img, in->target))
		b->why = "it jumps into a library that may jump back";
	else if (height == AT_RETURN)
		exit_add(s, b, in->at, kind);
	else if (height < AT_RETURN)
		b->why = "it returns by a jump";
	else if (!is_indirect(s, b, in))
		b->why = "it shares code with other functions";
}

static void ret_note(const struct sites *s, struct body *b,
		     const struct insn *in)
{
	int32_t height = height_at(s, b, in->at);

	if (height != AT_RETURN &&
	    (height != UNWIND_UNKNOWN || image_fde(s->img, in->at)) &&
	    stack_height(s, b->func, in->at) != AT_RETURN)
		b->why = "it has a ret that is a jump";
	exit_add(s, b, in->at, EXIT_RET);
}

static void exit_note(const struct sites *s, struct body *b,
		      const struct insn *in)
{
	switch (in->flow) {
	case FLOW_RET:
		ret_note(s, b, in);
		break;
	case FLOW_JMP:
		if (!stays(b, in->target))
			tail_note(s, b, in, is_indirect(s, b, in) ? EXIT_IND
								  : EXIT_JMP);
		break;
	case FLOW_JCC:
	case FLOW_LOOP:
		if (!stays(b, in->target))
			tail_note(s, b, in, EXIT_JCC);
		break;
	case FLOW_JMP_IND:
		tail_note(s, b, in, EXIT_IND);
		break;
	default:
		break;
	}
}

/* push mem, which reads memory, so insn_stack() does not speak of it. */
static bool pushes_memory(const uint8_t *p, const struct insn *in)
{
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);

	return p[op] == 0xff && (p[op + 1] >> 3 & 7) == 6 &&
	       !insn_has_prefix(p, op, 0x66);
}

/* Does the frame description follow the stack pointer over an instruction that
 * moves it?  Hand-written ones may not, and then they are not to be believed
 * where a jump leaves: longjmp, above all.  By how much the pointer moves is
 * not always known (mov %rbp, %rsp); that another row begins right behind is
 * then enough. */
static bool follows(const struct sites *s, const struct insn *in)
{
	const struct fde *fde = image_fde(s->img, in->at);
	const uint8_t *p = image_at(s->img, in->at, in->len);
	int32_t by = 0, before, after;
	enum stack_use use;
	struct effects fx;

	if (in->flow != FLOW_NEXT || !fde || !p ||
	    in->at + in->len >= fde->start + fde->size)
		return true;
	use = insn_stack(p, in, &by);
	if (use == STACK_OTHER && insn_effects(p, in->len, &fx) &&
	    !(fx.writes & REG_BIT(RSP)))
		return true;
	before = unwind_height(fde, in->at);
	after = unwind_height(fde, in->at + in->len);
	if (before == UNWIND_UNKNOWN || after == UNWIND_UNKNOWN)
		return true;
	if (pushes_memory(p, in))
		return after - before == 8;
	return use == STACK_OTHER ? after != before : after - before == by;
}

static bool all_follow(const struct sites *s, const struct body *b)
{
	struct insn in;

	for (size_t i = 0; i < b->npart; i++)
		for (uint64_t at = b->part[i].lo;
		     decode(s, at, b->part[i].hi, &in); at += in.len)
			if (!follows(s, &in))
				return false;
	return true;
}

/* No description is needed to see that all exits are at the return address. */
static bool all_counted(const struct sites *s, const struct body *b)
{
	for (size_t i = 0; i < b->nexit; i++)
		if (stack_height(s, b->func, b->exit[i].at) != AT_RETURN)
			return false;
	return true;
}

/* May execution arrive behind this instruction?  A call at the very end of a
 * function does not return. */
static bool goes_on(const struct insn *in)
{
	return in->flow != FLOW_JMP && in->flow != FLOW_JMP_IND &&
	       in->flow != FLOW_RET && in->flow != FLOW_STOP &&
	       in->flow != FLOW_CALL && in->flow != FLOW_CALL_IND;
}

/* clone's parts stand one behind the other. */
static bool part_begins(const struct body *b, uint64_t at)
{
	for (size_t i = 0; i < b->npart; i++)
		if (b->part[i].lo == at)
			return true;
	return false;
}

/* NULL, or why the part's exits are not all known. */
static const char *exits_in(const struct sites *s, struct body *b, uint64_t lo,
			    uint64_t hi)
{
	bool on = true, open = true, go = is_compiled_go(b->func);
	uint64_t at = lo;
	struct insn in;

	for (; at < hi; at += in.len) {
		if (!decode(s, at, hi, &in))
			return "it does not decode to its end";
		if (!go && !step_holds(s, &in, &open))
			return "data may stand among its code";
		if (!in.nop && in.flow != FLOW_TRAP)
			on = goes_on(&in);
		exit_note(s, b, &in);
	}
	if (at != hi)
		return "its last instruction reaches beyond its end";
	return on && !part_begins(b, hi) ? "it runs on into what follows"
					 : NULL;
}

/* Does the program begin with it?  What the kernel, or ld.so, leaves at the
 * stack pointer there is the number of arguments.  So it is where the entry
 * point jumps to, but not what stands behind its last call. */
static bool begins_program(const struct sites *s, const struct func *f)
{
	enum { LONG = 64 };
	uint64_t at = s->img->entry;
	const struct func *in_func = func_before(s, at);
	struct insn in;

	for (int i = 0; at && i < LONG; i++) {
		if (at == f->addr)
			return true;
		if (!decode(s, at, UINT64_MAX, &in) ||
		    (in.flow != FLOW_NEXT && in.flow != FLOW_JMP &&
		     in.flow != FLOW_CALL && in.flow != FLOW_CALL_IND))
			return false;
		at = in.flow == FLOW_JMP ? in.target : at + in.len;
		if (in.flow == FLOW_JMP)
			in_func = func_before(s, at);
		else if (func_before(s, at) != in_func)
			return false;
	}
	return false;
}

static bool is_called(const struct sites *s, const struct func *f)
{
	const struct fde *fde = image_fde(s->img, f->addr);

	return !(fde && fde->start == f->addr &&
		 unwind_height(fde, f->addr) != AT_RETURN) &&
	       !begins_program(s, f);
}

void body_find(const struct sites *s, const struct func *f, struct body *out)
{
	struct targets *t = s->targets;
	uint32_t self = index_of(s, f);

	if (!t->crossings)
		t->crossings = crossings_find(s);
	targets_sweep(s);
	targets_settle(s);
	*out = (struct body){ .func = f };
	part_add(s, out, f);
	for (uint32_t i = t->crossings->first[self]; i;
	     i = t->crossings->next[i - 1])
		part_add(s, out, &s->func[i - 1]);
	if (t->crossings->entered[self])
		out->why = "others jump into the middle of it";
	for (size_t i = 0; i < out->npart; i++) {
		const char *why = exits_in(s, out, out->part[i].lo,
					   out->part[i].hi);

		if (why && !out->why)
			out->why = why;
	}
	if (!is_called(s, f)) {
		out->uncalled = true;
		out->why = "it is not entered by a call";
	}
	if (out->ntail && !out->why && !all_follow(s, out) &&
	    !all_counted(s, out))
		out->why = "its frame description does not follow the stack";
}
