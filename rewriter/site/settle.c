/* SPDX-License-Identifier: MIT */
/* settle.c - stage 2 of the window proof: disassemble everything that can be
 * known to be code, each byte once, and let the real branches speak instead
 * of the possible ones.
 *
 *   1  linearly, each function of known size from its start to its end;
 *   2  along the flow, from every address that is known to be code and where
 *      no decoded instruction starts: functions without a size, landing pads,
 *      targets of branches in what was decoded; and relocated pointers, where
 *      step.c does not know better;
 *   3  the same from what only may be code: table entries and pointers that
 *      the sweep believes to have seen.
 *
 * Pass 2 finds the PLT and the C start-up code, which no size covers, and the
 * instructions that pass 1 missed: data inside a function can put linear
 * decoding out of step without an error, and a branch may skip a lock prefix.
 *
 * What remains a guess stays one: a function that does not decode cleanly to
 * its very end, and bytes between functions that pass 2 did not see and that
 * are no padding, contribute all their possible branches (MARK_MAYBE).  A
 * section that is not marked as code holds none, although its segment may be
 * executable (lld puts .rodata before .text).
 */
#include "rewriter/site/targets.h"

enum {
	LONGEST = 15
};

struct range {
	uint64_t lo, hi;
};

struct settle {
	const struct sites *s;
	struct targets *t;
	struct range *gap; /* between functions */
	size_t ngap;
	uint64_t *stray; /* addresses to be decoded from; grows on the way */
	size_t nstray, walked;
	const struct func *f; /* being decoded: Go has no code addresses in
				 immediates */
	enum { LINEAR, SURE, UNSURE } pass;
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
	if (c->pass != LINEAR && !(*m & MARK_START))
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
	uint8_t *m = in->mark + (x->at - in->lo);

	m[0] |= MARK_START;
	for (unsigned i = 0; c->pass == SURE && i < x->len; i++)
		m[i] |= MARK_SEEN;
	if (x->rel_off)
		branch_to(c, x->target);
	if (c->s->img->type == ET_EXEC && !is_compiled_go(c->f))
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

/* How far a span has been worked through. */
struct progress {
	uint64_t done;       /* end of the functions so far */
	uint64_t at;         /* where decoding stood; below `done`: stuck */
	uint64_t distrusted; /* all before it that had to be, has been */
};

static void distrust_once(struct settle *c, struct span *in,
			  struct progress *pr, uint64_t lo, uint64_t hi)
{
	if (lo < pr->distrusted)
		lo = pr->distrusted;
	if (lo >= hi)
		return;
	distrust(c, in, lo, hi);
	pr->distrusted = hi;
}

/* Decode on to hi, for a function at lo. */
static void extent(struct settle *c, struct span *in, struct progress *pr,
		   uint64_t lo, uint64_t hi)
{
	struct insn x;

	while (pr->at < hi && decode(in, pr->at, in->hi, &x)) {
		note(c, in, &x);
		pr->at += x.len;
	}
	if (pr->at != hi)
		distrust_once(c, in, pr, lo, hi);
}

/* Decode on to hi, whatever has been decoded: what is in step here may have ended
 * where another function did. */
static void straight_on(struct settle *c, struct span *in, uint64_t lo,
			uint64_t hi)
{
	struct insn x;

	for (; lo < hi && decode(in, lo, in->hi, &x); lo += x.len)
		note(c, in, &x);
}

static void gap_push(struct settle *c, uint64_t lo, uint64_t hi)
{
	if (lo >= hi)
		return;
	c->gap = arena_push(c->t->a, c->gap, c->ngap, sizeof(*c->gap));
	c->gap[c->ngap++] = (struct range){ lo, hi };
}

/* A function that starts inside another: it may run from its start on; in step
 * with the other, nothing else is to be feared of it. */
static void nested(struct settle *c, struct span *in, struct progress *pr,
		   uint64_t lo, uint64_t end)
{
	bool in_step = in->mark[lo - in->lo] & MARK_START;

	straight_on(c, in, lo, end);
	if (in_step && end <= pr->done)
		return;
	if (in_step && pr->at >= pr->done)
		extent(c, in, pr, lo, end);
	else
		distrust_once(c, in, pr, lo, end);
	if (end > pr->done)
		pr->done = end;
}

/* Functions in rising order; what is in one only is decoded once. */
static void span_extents(struct settle *c, struct span *in)
{
	struct progress pr = { in->lo, in->lo, in->lo };

	for (size_t i = 0; i < c->s->nfunc; i++) {
		const struct func *f = &c->s->func[i];
		uint64_t end = f->addr + f->size;

		if (!f->size || f->addr < in->lo || f->addr >= in->hi)
			continue;
		end = end < in->hi ? end : in->hi;
		c->f = f;
		if (f->addr < pr.done) {
			nested(c, in, &pr, f->addr, end);
			continue;
		}
		gap_push(c, pr.done, f->addr);
		pr.at = f->addr;
		extent(c, in, &pr, f->addr, end);
		pr.done = end;
	}
	gap_push(c, pr.done, in->hi);
}

/* Decode from addr along the straight line until in step. */
static void stray_walk(struct settle *c, uint64_t addr)
{
	struct span *in = span_of(c->t, addr);
	struct insn x;

	c->f = func_around(c->s, addr);
	while (in && addr < in->hi && !(in->mark[addr - in->lo] & MARK_START) &&
	       decode(in, addr, in->hi, &x)) {
		note(c, in, &x);
		addr += x.len;
		if (x.flow == FLOW_JMP || x.flow == FLOW_JMP_IND ||
		    x.flow == FLOW_RET || x.flow == FLOW_STOP ||
		    x.flow == FLOW_TRAP)
			break;
	}
}

static void strays_walk(struct settle *c)
{
	while (c->walked < c->nstray)
		stray_walk(c, c->stray[c->walked++]);
}

/* What carries one of these marks and does not start an instruction. */
static void strays_marked(struct settle *c, uint8_t flags)
{
	for (size_t i = 0; i < c->t->nspan; i++) {
		struct span *in = &c->t->span[i];

		for (uint64_t off = 0; off < in->hi - in->lo; off++)
			if ((in->mark[off] & flags) &&
			    !(in->mark[off] & MARK_START))
				stray_push(c, in->lo + off);
	}
}

/* The same, but for accidents.  What they are is asked before anything that
 * may be one is followed. */
static void strays_meant(struct settle *c, size_t from)
{
	size_t n = from;

	for (size_t i = from; i < c->nstray; i++)
		if (!target_unmeant(c->s, c->stray[i]))
			c->stray[n++] = c->stray[i];
	c->nstray = n;
	strays_walk(c);
}

static void walk_sure(struct settle *c)
{
	const struct image *img = c->s->img;

	c->pass = SURE;
	strays_marked(c, MARK_BRANCH);
	for (size_t i = 0; i < img->nlanding; i++)
		stray_push(c, img->landing[i]);
	for (size_t i = 0; i < c->s->nfunc; i++)
		stray_push(c, c->s->func[i].addr);
	strays_walk(c);
	for (size_t i = 0; i < img->ncodeptr; i++)
		stray_push(c, img->codeptr[i]);
	strays_meant(c, c->walked);
}

static void walk_unsure(struct settle *c)
{
	c->pass = UNSURE;
	strays_marked(c, MARK_TABLE | MARK_POINTER);
	strays_meant(c, c->walked);
}

static bool all_zero(const struct span *in, uint64_t lo, uint64_t hi)
{
	for (; lo < hi; lo++)
		if (in->p[lo - in->lo])
			return false;
	return true;
}

static bool seen(const struct span *in, uint64_t at)
{
	return in->mark[at - in->lo] & MARK_SEEN;
}

/* What nothing is known to run, each run of bytes for itself. */
static void piece_distrust(struct settle *c, struct span *in, struct range gap)
{
	uint64_t lo = gap.lo, hi;

	for (; lo < gap.hi; lo = hi) {
		for (hi = lo + 1; hi < gap.hi && seen(in, hi) == seen(in, lo);)
			hi++;
		if (!seen(in, lo) && !all_zero(in, lo, hi) &&
		    !code_is_padding(c->s, lo, hi))
			distrust(c, in, lo, hi);
	}
}

/* A gap may span sections. */
static void gap_distrust(struct settle *c, struct span *in, struct range gap)
{
	const struct targets *t = c->t;

	for (uint64_t lo = gap.lo, hi; lo < gap.hi; lo = hi) {
		hi = next_addr(t->edge, t->nedge, sizeof(*t->edge), lo + 1);
		hi = hi < gap.hi ? hi : gap.hi;
		if (!func_in_data(c->s->img, lo))
			piece_distrust(c, in, (struct range){ lo, hi });
	}
}

void targets_settle(const struct sites *s)
{
	struct settle c = { .s = s, .t = s->targets, .pass = LINEAR };

	if (c.t->settled)
		return;
	c.t->settled = true;
	for (size_t i = 0; i < c.t->nspan; i++)
		span_extents(&c, &c.t->span[i]);
	walk_sure(&c);
	for (size_t i = 0; i < c.ngap; i++)
		gap_distrust(&c, span_of(c.t, c.gap[i].lo), c.gap[i]);
	walk_unsure(&c);
}
