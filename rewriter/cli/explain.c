/* SPDX-License-Identifier: MIT */
/* explain.c - bpfweld check --explain: what decides about one site.
 *
 * The plan is made once more with a probe at the site, if there is none, and
 * tells what each tactic said.  At a function's entry it is made a third time,
 * with a return probe there.
 */
#include <string.h>

#include "elf/cfa.h"
#include "rewriter/cli/explain.h"

enum { BEFORE = 4, AT_LEAST = 16, LONGEST = 15 };

/* What bind_links() says of its program is of no interest here. */
static int unnamed(struct err *e)
{
	static const char prefix[] = "program 'probe': ";
	size_t n = sizeof(prefix) - 1;

	if (!strncmp(e->what, prefix, n))
		memmove(e->what, e->what + n, strlen(e->what + n) + 1);
	return -1;
}

/* One link, by the rules for -p: a program that does nothing. */
static int link_make(struct explained *x, const char *kind, const char *sp,
		     struct link *out, struct err *e)
{
	struct bpf_prog prog = { .name = "probe", .section = kind };
	struct bpf_set set = { .prog = &prog, .nprog = 1 };
	const char *opt = arena_printf(x->a, "probe=%s:%s", kind, sp);
	struct links links;

	if (bind_links(x->a, x->s, &set, &opt, 1, &links, e))
		return unnamed(e);
	if (links.nlink != 1)
		return misuse(e, "--explain %s: %zu functions match, one is "
				 "wanted", sp, links.nlink);
	*out = links.link[0];
	return 0;
}

static bool before(const struct link *p, const struct link *q)
{
	return p->addr != q->addr ? p->addr < q->addr : p->when < q->when;
}

static bool same_place(const struct link *p, const struct link *q)
{
	return p->addr == q->addr && p->when == q->when;
}

/* The plan with this link, and with those of the objects. */
static int outcome_find(struct explained *x, const struct link *l,
			struct outcome *o, struct err *e)
{
	size_t n = x->w ? x->w->links.nlink : 0, at = 0;
	const struct link *old = x->w ? x->w->links.link : NULL;
	struct link *v = arena_alloc(x->a, (n + 1) * sizeof(*v));
	struct links links = { .link = v, .nlink = n + 1 };

	while (at < n && before(&old[at], l))
		at++;
	if (n)
		memcpy(v, old, at * sizeof(*v));
	o->link = (uint32_t)at;
	if (at < n && same_place(&old[at], l)) {
		memcpy(v + at, old + at, (n - at) * sizeof(*v));
		links.nlink = n;
	} else {
		v[at] = *l;
		if (n)
			memcpy(v + at + 1, old + at, (n - at) * sizeof(*v));
	}
	return plan_trace(x->a, x->s, &links, l->addr, &o->plan, e);
}

const struct patch *explain_patch(const struct outcome *o)
{
	size_t first;

	if (o->plan.why[o->link] || !plan_places(&o->plan, o->link, &first))
		return NULL;
	return &o->plan.patch[o->plan.place[first].patch];
}

/* --- the neighbourhood ------------------------------------------------- */

static bool show(struct explained *x, uint64_t at)
{
	uint64_t room = image_room(x->s->img, at);
	const uint8_t *p = image_at(x->s->img, at, 1);
	struct shown i;

	if (!p || !insn_decode(p, room < LONGEST ? room : LONGEST, at, &i.in))
		return false;
	insn_print(p, i.in.len, at, i.text, sizeof(i.text));
	x->shown = arena_push(x->a, x->shown, x->nshown, sizeof(*x->shown));
	x->shown[x->nshown++] = i;
	return true;
}

/* From a few instructions before to the end of the patch, and a little. */
static void neighbourhood(struct explained *x)
{
	const struct patch *p = explain_patch(&x->reached);
	uint64_t from[BEFORE], at = x->site, to = x->site + AT_LEAST;
	size_t n = code_before(x->s, x->site, from, BEFORE);

	if (n)
		at = from[n - 1];
	if (p && p->at < at)
		at = p->at;
	if (p && p->at + p->len > to)
		to = p->at + p->len;
	while (at < to && show(x, at))
		at += x->shown[x->nshown - 1].in.len;
	if (x->nshown)
		x->nreach = reach_find(x->a, x->s, x->shown[0].in.at, at,
				       &x->reach);
}

static void frame_find(struct explained *x)
{
	const struct fde *fde = image_fde(x->s->img, x->site);
	struct cfa c = { .prog.a = x->a };

	if (!fde || !cfa_at(&c, fde, x->site))
		return;
	x->framed = c.now.needs == 1u << c.now.reg;
	x->cfa_reg = c.now.reg;
	x->cfa_offset = c.now.offset;
}

/* --- bytes ------------------------------------------------------------- */

enum { JMP8 = 0xeb, JMP = 0xe9, CALL = 0xe8, INT3 = 0xcc, CS = 0x2e };

static bool bytes_made(const struct weld *w, const struct patch *p, uint8_t *to)
{
	for (size_t i = 0; w && i < w->built.nedit; i++) {
		const struct edit *d = &w->built.edit[i];

		if (d->vaddr != p->at || d->len != p->len)
			continue;
		memcpy(to, d->bytes, d->len);
		return true;
	}
	return false;
}

void explain_bytes(const struct explained *x, const struct patch *p,
		   uint8_t *bytes, int *open)
{
	bool call = patch_calls(x->s->img, p);

	*open = -1;
	if (bytes_made(x->w, p, bytes))
		return;
	if (p->bare) {
		memcpy(bytes, image_at(x->s->img, p->at, p->len), p->len);
		return;
	}
	memset(bytes, INT3, p->len);
	if (p->tactic == TACTIC_TRAP)
		return;
	if (p->hop) {
		bytes[0] = JMP8;
		bytes[1] = (uint8_t)(p->hop - (p->at + 2));
		return;
	}
	*open = call ? p->len - 4 : 1;
	memset(bytes, CS, (size_t)*open - 1);
	bytes[*open - 1] = call ? CALL : JMP;
}

int explain_site(struct arena *a, const struct sites *s, const struct weld *w,
		 const char *sp, struct explained *out, struct err *e)
{
	struct explained *x = out;
	struct link l;

	*x = (struct explained){ .a = a, .s = s, .w = w };
	if (link_make(x, "uprobe", sp, &l, e) ||
	    outcome_find(x, &l, &x->reached, e))
		return -1;
	x->site = l.addr;
	x->f = l.func;
	x->live = live_at(s, x->f, x->site);
	frame_find(x);
	neighbourhood(x);
	x->entry = x->site == x->f->addr && !x->f->fragment;
	if (!x->entry)
		return 0;
	body_find(s, x->f, &x->body);
	l.when = WHEN_RETURNED;
	return outcome_find(x, &l, &x->returned, e);
}
