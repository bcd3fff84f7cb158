/* SPDX-License-Identifier: MIT */
/* settle.c - stage 2 of the window proof: disassemble everything that a
 * function of known size covers, each byte once, and let the real branches
 * speak instead of the possible ones.
 *
 * What remains a guess stays one: a function that does not decode cleanly to
 * its very end, and bytes that no function covers and that are no padding,
 * contribute all their possible branches (MARK_MAYBE).
 *
 * Data inside a function can put linear decoding out of step without an
 * error.  The code behind it is then reached by a branch, a table or a
 * pointer to where no decoded instruction starts; decoding from each such
 * address until it is in step again finds the instructions that were missed
 * (and those behind a skipped lock prefix).
 */
#include "rewriter/site/targets.h"

enum { LONGEST = 15 };

struct settle {
	const struct sites *s;
	struct targets *t;
	uint64_t *stray; /* addresses to be decoded from; grows on the way */
	size_t nstray;
	bool linear;     /* the linear pass: strays are collected later */
};

static bool decode(const struct span *in, uint64_t at, uint64_t end,
		   struct insn *out)
{
	uint64_t room = end - at;

	return insn_decode(in->p + (at - in->lo),
			   room < LONGEST ? room : LONGEST, at, out);
}

static void stray_push(struct settle *c, uint64_t addr)
{
	c->stray = arena_push(c->t->a, c->stray, c->nstray, sizeof(*c->stray));
	c->stray[c->nstray++] = addr;
}

static void branch_to(struct settle *c, uint64_t addr)
{
	struct span *sp = span_of(c->t, addr);
	uint8_t *m;

	if (!sp)
		return;
	m = &sp->mark[addr - sp->lo];
	*m |= MARK_BRANCH;
	if (!c->linear && !(*m & MARK_START))
		stray_push(c, addr);
}

/* ET_EXEC: 4 bytes of this instruction, not its relative parts, that spell an
 * executable address. */
static void immediates(struct settle *c, const struct span *in,
		       const struct insn *x)
{
	unsigned skip = x->rip_off ? x->rip_off : x->rel_off;

	for (unsigned i = 1; i + 4u <= x->len; i++) {
		uint32_t v;

		if (skip && i + 4 > skip && i < skip + 4u)
			continue;
		memcpy(&v, in->p + (x->at - in->lo) + i, sizeof(v));
		mark_addr(c->t, v, MARK_POINTER);
	}
}

static void note(struct settle *c, struct span *in, const struct insn *x)
{
	in->mark[x->at - in->lo] |= MARK_START;
	if (x->rel_off)
		branch_to(c, x->target);
	if (c->s->img->type == ET_EXEC)
		immediates(c, in, x);
}

/* All that [lo, hi) could be. */
static void distrust(struct settle *c, struct span *in, uint64_t lo,
		     uint64_t hi)
{
	scan_branches(c->t, in, lo, hi, MARK_MAYBE);
	if (c->s->img->type == ET_EXEC)
		scan_addresses(c->t, in, lo, hi, MARK_POINTER);
}

/* Decode from `at` to hi, for a function at lo.  Returns where decoding
 * stood: below hi when it got stuck. */
static uint64_t extent(struct settle *c, struct span *in, uint64_t lo,
		       uint64_t at, uint64_t hi)
{
	struct insn x;

	while (at < hi && decode(in, at, in->hi, &x)) {
		note(c, in, &x);
		at += x.len;
	}
	if (at != hi)
		distrust(c, in, lo, hi);
	return at;
}

static bool all_zero(const struct span *in, uint64_t lo, uint64_t hi)
{
	for (; lo < hi; lo++)
		if (in->p[lo - in->lo])
			return false;
	return true;
}

static void gap(struct settle *c, struct span *in, uint64_t lo, uint64_t hi)
{
	if (lo < hi && !all_zero(in, lo, hi) &&
	    !code_is_padding(c->s, lo, hi))
		distrust(c, in, lo, hi);
}

/* How far a span has been decoded. */
struct progress {
	uint64_t done;       /* end of the functions so far */
	uint64_t at;         /* where decoding stood; below `done`: stuck */
	uint64_t distrusted; /* end of what out-of-step functions gave */
};

/* A function that starts inside another: in step with it there is only what
 * reaches beyond to be decoded, else nothing is known for sure. */
static void nested(struct settle *c, struct span *in, struct progress *pr,
		   uint64_t lo, uint64_t end)
{
	bool in_step = in->mark[lo - in->lo] & MARK_START;
	uint64_t from = lo > pr->distrusted ? lo : pr->distrusted;

	if (in_step && end <= pr->done)
		return;
	if (in_step && pr->at >= pr->done) {
		pr->at = extent(c, in, lo, pr->at, end);
	} else if (from < end) {
		distrust(c, in, from, end);
		pr->distrusted = end;
	}
	if (end > pr->done)
		pr->done = end;
}

/* Functions in rising order, each byte decoded once. */
static void span_extents(struct settle *c, struct span *in)
{
	struct progress pr = { in->lo, in->lo, in->lo };

	for (size_t i = 0; i < c->s->nfunc; i++) {
		const struct func *f = &c->s->func[i];
		uint64_t end = f->addr + f->size;

		if (!f->size || f->addr < in->lo || f->addr >= in->hi)
			continue;
		end = end < in->hi ? end : in->hi;
		if (f->addr < pr.done) {
			nested(c, in, &pr, f->addr, end);
			continue;
		}
		gap(c, in, pr.done, f->addr);
		pr.at = extent(c, in, f->addr, f->addr, end);
		pr.done = end;
	}
	gap(c, in, pr.done, in->hi);
}

/* Decode from addr along the straight line until in step. */
static void stray_walk(struct settle *c, uint64_t addr)
{
	struct span *in = span_of(c->t, addr);
	struct insn x;

	while (in && addr < in->hi &&
	       !(in->mark[addr - in->lo] & MARK_START) &&
	       decode(in, addr, in->hi, &x)) {
		note(c, in, &x);
		addr += x.len;
		if (x.flow == FLOW_JMP || x.flow == FLOW_JMP_IND ||
		    x.flow == FLOW_RET || x.flow == FLOW_STOP)
			break;
	}
}

static void strays(struct settle *c)
{
	const struct image *img = c->s->img;

	for (size_t i = 0; i < c->t->nspan; i++) {
		struct span *in = &c->t->span[i];

		for (uint64_t off = 0; off < in->hi - in->lo; off++)
			if ((in->mark[off] &
			     (MARK_BRANCH | MARK_TABLE | MARK_POINTER)) &&
			    !(in->mark[off] & MARK_START))
				stray_push(c, in->lo + off);
	}
	for (size_t i = 0; i < img->ncodeptr; i++)
		stray_push(c, img->codeptr[i]);
	for (size_t i = 0; i < img->nlanding; i++)
		stray_push(c, img->landing[i]);
	for (size_t i = 0; i < c->s->nfunc; i++)
		stray_push(c, c->s->func[i].addr);
	for (size_t i = 0; i < c->nstray; i++)
		stray_walk(c, c->stray[i]);
}

void targets_settle(const struct sites *s)
{
	struct settle c = { .s = s, .t = s->targets, .linear = true };

	if (c.t->settled)
		return;
	c.t->settled = true;
	for (size_t i = 0; i < c.t->nspan; i++)
		span_extents(&c, &c.t->span[i]);
	c.linear = false;
	strays(&c);
}
