/* SPDX-License-Identifier: MIT */
/* tramp.c - the code that runs when a site is hit.
 *
 *   site: jmp tramp  -->  tramp: [what its points ask for]    run.c, late.c
 *                                displaced instruction        displace.c
 *                                [...]
 *                                displaced instruction
 *   back: ...        <--         jmp  back
 *                                cold paths
 *
 * What a point asks for stands before the displaced instruction that it is
 * about.  A jump that leaves the function only when a condition holds goes by a
 * cold path: the return address must be exchanged on that way only.
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/patch/tramp.h"

void tramp_step(struct tramp *t, int32_t by)
{
	struct mem m = { .base = RSP, .disp = -by };

	if (by == 0)
		return;
	x86_lea(t->c, RSP, &m);
	depth_change(&t->depths, t->c, by);
}

int write_near(struct tramp *t, int (*write)(struct tramp *t, void *arg),
	       void *arg)
{
	struct code_mark start = code_mark(t->c);
	struct depths depths = t->depths;
	int bad;

	t->c->near = true;
	t->c->missed = false;
	bad = write(t, arg);
	t->c->near = false;
	if (bad || !t->c->missed)
		return bad;
	code_rewind(t->c, start);
	t->depths = depths;
	return write(t, arg);
}

static bool runs_programs(const struct point *pt)
{
	return pt->kind == POINT_REACHED || pt->kind == POINT_RETURN;
}

/* A jump out of the function that may not be taken. */
static bool is_conditional(const struct tramp *t, const struct point *pt)
{
	uint8_t flow = t->p->insn[pt->before].flow;

	return pt->kind == POINT_LEFT &&
	       (flow == FLOW_JCC || flow == FLOW_LOOP);
}

enum { NOP = 0x90, NOP5_SIZE = 5, PAGE = 4096 };
static const uint8_t nop5[NOP5_SIZE] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

/* Within one page: elsewhere the kernel would not make a call of it. */
static void nop5_write(struct tramp *t, struct point *pt)
{
	while (code_here(t->c) % PAGE > PAGE - NOP5_SIZE)
		code_u8(t->c, NOP);
	pt->nop5 = code_here(t->c);
	code_bytes(t->c, nop5, sizeof(nop5));
}

static bool may_override(const struct patch *p)
{
	for (size_t i = 0; i < p->npoint; i++)
		if (p->point[i].overrides)
			return true;
	return false;
}

static bool has_nop5(const struct patch *p)
{
	return p->npoint && p->point[0].kind == POINT_NOP5;
}

/* The point's code that stands before its instruction. */
static int point_write(struct tramp *t, struct spot *s, struct point *pt)
{
	const struct insn *in = &t->p->insn[s->pt->before];

	if (runs_programs(s->pt))
		return spot_run(t, s);
	if (pt->kind == POINT_NOP5) {
		nop5_write(t, pt);
		return 0;
	}
	s->body = t->depths.now;
	if (s->pt->kind == POINT_ENTERED)
		exchange(t, s->pt, NULL);
	else if (!is_conditional(t, s->pt))
		exchange(t, s->pt, in);
	return 0;
}

/* All points of one instruction, and the instruction.  Several functions may
 * be left by it: they go by one cold path. */
static int insn_write(struct tramp *t, unsigned i, size_t *at)
{
	struct patch *p = t->p;
	struct moved *copy = code_moved(t->c, p->insn[i].at);
	struct spot *cond = NULL;

	if (copy)
		copy->to = code_here(t->c);

	for (; *at < p->npoint && p->point[*at].before == i; ++*at) {
		struct spot *s = &t->spot[*at];

		if (point_write(t, s, &p->point[*at]))
			return -1;
		if (is_conditional(t, s->pt) && !cond)
			cond = s;
	}
	if (i == 0)
		displace_begin(t->c, p, t->called, &t->depths);
	displace_insn(t->c, t->img, p, i, t->called, &t->depths,
		      cond ? &cond->taken : NULL);
	return 0;
}

/* The branch was taken, and leads out of the function. */
static void leave_cold(struct tramp *t, struct spot *s)
{
	const struct insn *in = &t->p->insn[s->pt->before];

	if (!s->taken) /* a later point of the same branch */
		return;
	t->depths.now = s->body;
	depth_note(&t->depths, t->c);
	code_land(t->c, s->taken);
	for (const struct spot *x = s;
	     x < t->spot + t->p->npoint && x->pt->before == s->pt->before; x++)
		exchange(t, x->pt, in);
	code_jmp(t->c, in->target);
}

static int tramp_write(struct tramp *t, void *unused)
{
	struct patch *p = t->p;
	size_t at = 0;

	(void)unused;
	if (t->called)
		depth_change(&t->depths, t->c, 8);
	for (unsigned i = 0; i < p->ninsn; i++)
		if (insn_write(t, i, &at))
			return -1;
	displace_end(t->c, p);
	for (size_t k = 0; k < p->npoint; k++) {
		if (runs_programs(t->spot[k].pt))
			spot_cold(t, &t->spot[k]);
		else
			leave_cold(t, &t->spot[k]);
	}
	return 0;
}

static int spots_prepare(struct tramp *t)
{
	struct patch *p = t->p;

	t->spot = arena_alloc(t->c->a, (p->npoint + 1) * sizeof(*t->spot));
	for (size_t k = 0; k < p->npoint; k++) {
		struct spot *s = &t->spot[k];

		s->pt = &p->point[k];
		s->at = p->insn[s->pt->before].at;
		if (!runs_programs(s->pt))
			continue;
		if (spot_prepare(t, s))
			return -1;
		p->saved |= s->keep.saved |
			    (s->keep.arith >= 0 ? FLAGS_BIT : 0);
	}
	return 0;
}

/* (At a nop5, the kernel shall see the stack as it is at the site; and what
 * returns there finds its return address.) */
bool patch_calls(const struct image *img, const struct patch *p)
{
	return !p->hop && !p->lends && !p->entered && !has_nop5(p) &&
	       !may_override(p) &&
	       displace_by_call(img, p);
}

static int tramp_build(struct tramp *t)
{
	struct patch *p = t->p;

	t->called = patch_calls(t->img, p);
	if (spots_prepare(t))
		return -1;
	if (!t->env->dense)
		code_align(t->c, 16, 0xcc);
	p->tramp = code_here(t->c);
	t->depths.start = p->tramp;
	if (write_near(t, tramp_write, NULL))
		return -1;
	p->tramp_size = code_here(t->c) - p->tramp;
	if (t->c->too_far)
		return refuse(t->e, t->img->path, p->at,
			      "something the displaced instructions refer to "
			      "is over 2 GiB from their new place");
	return 0;
}

static void frame_add(const struct tramp *t, struct built *out,
		      const struct frame_desc *d)
{
	out->frame = arena_push(t->c->a, out->frame, out->nframe,
				sizeof(*out->frame));
	out->frame[out->nframe++] = *d;
}

/* A site without a frame description in the target gets none from us, except
 * a function's entry, where the state is known. */
static void frame_describe(struct built *out, const struct tramp *t)
{
	const struct patch *p = t->p;
	const struct fde *fde = image_fde(t->img, p->at);

	if (!fde && !p->entry)
		return;
	frame_add(t, out, &(struct frame_desc){
				  .start = p->tramp,
				  .size = p->tramp_size,
				  .of = fde,
				  .pc = p->at,
				  .depth = t->depths.v,
				  .ndepth = t->depths.n,
			  });
}

enum { CALL = 0xe8, JMP = 0xe9, JMP8 = 0xeb, INT3 = 0xcc, CS = 0x2e, SIZE = 5 };

static int jump_put(const struct tramp *t, uint8_t *b, uint8_t op,
		    uint64_t from, uint64_t to)
{
	int64_t rel = (int64_t)(to - (from + SIZE));

	if (!fits32(rel))
		return refuse(t->e, t->img->path, t->p->at,
			      "the new code is over 2 GiB away");
	b[0] = op;
	memcpy(b + 1, &(int32_t){ (int32_t)rel }, 4);
	return 0;
}

static uint8_t *edit_add(const struct tramp *t, struct built *out, uint64_t at,
			 size_t len)
{
	uint8_t *b = arena_alloc(t->c->a, len);

	out->edit[out->nedit++] = (struct edit){ at, b, len };
	return b;
}

/* The site's new bytes: a jump at its start, or a call that ends where the
 * displaced call did.  Prefixes without a meaning make it begin at the start:
 * behind nops, it would stand where frame descriptions take the displaced
 * instructions for executed. */
static int site_edit(const struct tramp *t, struct built *out)
{
	const struct patch *p = t->p;
	size_t at = t->called ? p->len - (size_t)SIZE : 0;
	uint8_t *b = edit_add(t, out, p->at, p->len);

	if (p->bare) {
		memcpy(b, image_at(t->img, p->at, p->len), p->len);
		return 0;
	}
	memset(b, INT3, p->len);
	memset(b, CS, at);
	if (p->tactic == TACTIC_TRAP)
		return 0;
	if (!p->hop)
		return jump_put(t, b + at, t->called ? CALL : JMP, p->at + at,
				p->tramp);
	b[0] = JMP8;
	b[1] = (uint8_t)(p->hop - (p->at + 2));
	return 0;
}

/* Nops enough for a longer one: it needs no trampoline. */
static bool nop5_in_place(const struct patch *p)
{
	return has_nop5(p) && p->npoint == 1 && p->point[0].before == 0 &&
	       p->tactic == TACTIC_NOP_RUN;
}

static void nop5_edit(const struct tramp *t, struct built *out)
{
	struct patch *p = t->p;
	uint8_t *b = edit_add(t, out, p->at, p->len);

	memset(b, NOP, p->len);
	memcpy(b, nop5, sizeof(nop5));
	p->point[0].nop5 = p->at;
}

/* The patch whose bytes hold addr; patches are sorted. */
static const struct patch *lender(const struct plan *plan, uint64_t addr)
{
	size_t lo = 0, hi = plan->npatch;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (plan->patch[mid].at <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr < plan->patch[lo - 1].at + plan->patch[lo - 1].len
		       ? &plan->patch[lo - 1]
		       : NULL;
}

/* Five bytes at `hop` lead to `to`: in another patch's edit, or in one of its
 * own.  The frame is as it is at `pc`. */
static int hop_edit(const struct tramp *t, struct built *out, uint64_t hop,
		    uint64_t to, uint64_t pc, bool entry)
{
	const struct patch *q = lender(t->plan, hop);
	const struct fde *fde = image_fde(t->img, pc);
	uint8_t *b = q ? (uint8_t *)out->edit[q - t->plan->patch].bytes +
				 (hop - q->at)
		       : edit_add(t, out, hop, SIZE);

	if (!image_fde(t->img, hop) && (fde || entry))
		frame_add(t, out,
			  &(struct frame_desc){ .start = hop, .size = SIZE,
						.of = fde, .pc = pc });
	return jump_put(t, b, JMP, hop, to);
}

/* A jump into a window, changed. */
static int edge_edit(const struct tramp *t, struct built *out,
		     const struct edge *x)
{
	uint64_t to = code_moved(t->c, x->to)->to;
	uint64_t rel = (x->hop ? x->hop : to) - (x->at + x->len);
	uint8_t *b = edit_add(t, out, x->at + x->rel_off, x->rel_size);

	if (!x->hop && !fits32((int64_t)rel))
		return refuse(t->e, t->img->path, x->at,
			      "the new code is over 2 GiB away");
	memcpy(b, &rel, x->rel_size);
	for (const struct edge *y = x; y-- > t->plan->edge && y->to == x->to;)
		if (x->hop && y->hop == x->hop)
			return 0;
	return x->hop ? hop_edit(t, out, x->hop, to, x->to, false) : 0;
}

/* Addresses in windows that are jumped to. */
static void moved_begin(struct code *c, const struct plan *plan)
{
	c->nmoved = plan->ninner;
	c->moved = arena_alloc(c->a, (c->nmoved + 1) * sizeof(*c->moved));
	for (size_t i = 0; i < c->nmoved; i++)
		c->moved[i].from = plan->inner[i];
}

static int by_vaddr(const void *x, const void *y)
{
	const struct edit *p = x, *q = y;

	return (p->vaddr > q->vaddr) - (p->vaddr < q->vaddr);
}

/* When all sites have theirs. */
static int hops_build(struct tramp *t, struct plan *plan, struct built *out)
{
	size_t n = out->nedit;

	for (size_t i = 0; i < plan->npatch; i++) {
		const struct patch *p = t->p = &plan->patch[i];

		if (p->hop &&
		    hop_edit(t, out, p->hop, p->tramp, p->at, p->entry))
			return -1;
	}
	for (size_t i = 0; i < plan->nedge; i++)
		if (edge_edit(t, out, &plan->edge[i]))
			return -1;
	code_leaps_land(t->c);
	if (out->nedit > n)
		qsort(out->edit, out->nedit, sizeof(*out->edit), by_vaddr);
	for (size_t i = 1; i < out->nedit; i++)
		assert(out->edit[i - 1].vaddr + out->edit[i - 1].len <=
		       out->edit[i].vaddr);
	return 0;
}

int patch_build(struct code *rx, const struct sites *s,
		const struct links *links, struct plan *plan,
		const struct build_env *env, struct built *out, struct err *e)
{
	struct tramp blank = {
		.c = rx,
		.img = s->img,
		.links = links,
		.env = env,
		.plan = plan,
		.seen = seen_by_programs(links, env->facts),
		.depths = { .a = rx->a },
		.e = e,
	};
	struct bodies bodies = { 0 };
	struct tramp t = blank;

	*out = (struct built){ 0 };
	out->edit = arena_alloc(rx->a,
				(2 * (plan->npatch + plan->nedge) + 1) *
					sizeof(*out->edit));
	moved_begin(rx, plan);
	late_reserve(&t);
	blank.rows = t.rows;
	blank.bodies = &bodies;
	if (shared_table(&t, &bodies))
		return -1;
	for (size_t i = 0; i < plan->npatch; i++) {
		t = blank;
		t.p = &plan->patch[i];
		if (nop5_in_place(t.p)) {
			nop5_edit(&t, out);
			continue;
		}
		if (tramp_build(&t) || site_edit(&t, out))
			return -1;
		frame_describe(out, &t);
	}
	if (hops_build(&t, plan, out) || late_build(&t, plan, out) ||
	    traps_build(&t))
		return -1;
	for (size_t i = 0; i < bodies.n; i++)
		frame_add(&t, out, &bodies.of[i].frame);
	return 0;
}
