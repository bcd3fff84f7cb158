/* SPDX-License-Identifier: MIT */
/* code.c - instruction boundaries and padding.
 *
 * Code is decoded linearly from its function's start, never across a whole
 * section: data between functions would put a sweep out of step.  Questions
 * come in rising order, so the last position is kept and decoding goes on
 * from there; asking for every boundary of a function costs one pass.
 */
#include "rewriter/site/targets.h"

enum {
	LONGEST = 15
};

bool code_walk(const struct sites *s, const struct func *f, uint64_t at,
	       struct walked *out)
{
	struct walked *c = &s->targets->cur;
	struct span *sp = span_of(s->targets, f->addr);

	if (c->f != f || (at < c->pos && at <= c->last.at))
		*c = (struct walked){ .f = f, .pos = f->addr };
	while (c->pos < at && !c->stuck) {
		uint64_t room = sp && c->pos < sp->hi ? sp->hi - c->pos : 0;

		if (!room || !insn_decode(sp->p + (c->pos - sp->lo),
					  room < LONGEST ? room : LONGEST,
					  c->pos, &c->last))
			c->stuck = true;
		else {
			c->trail[c->n++ % TRAIL] = c->pos;
			c->pos += c->last.len;
		}
	}
	*out = *c;
	return c->pos >= at;
}

int code_boundary(const struct sites *s, uint64_t at, uint64_t *before,
		  uint64_t *after)
{
	const struct func *f = func_around(s, at);
	struct walked c;

	if (!f || !code_walk(s, f, at, &c))
		return -1;
	if (c.pos == at)
		return 1;
	*before = c.last.at;
	*after = c.pos;
	return 0;
}

size_t code_before(const struct sites *s, uint64_t at, uint64_t *out, size_t n)
{
	const struct func *f = func_around(s, at);
	struct walked c;
	size_t i;

	if (!f || !code_walk(s, f, at, &c) || c.pos != at)
		return 0;
	for (i = 0; i < n && i < c.n && i < TRAIL; i++)
		out[i] = c.trail[(c.n - 1 - i) % TRAIL];
	return i;
}

bool code_is_padding(const struct sites *s, uint64_t from, uint64_t to)
{
	struct span *sp = span_of(s->targets, from);
	struct insn in;

	if (from >= to)
		return from == to;
	if (!sp || to > sp->hi)
		return false;
	while (from < to) {
		uint64_t room = to - from;

		if (!insn_decode(sp->p + (from - sp->lo),
				 room < LONGEST ? room : LONGEST, from, &in))
			return false;
		if (!in.nop && sp->p[from - sp->lo] != 0xcc)
			return false;
		from += in.len;
	}
	return true;
}

static bool ends_flow(const struct insn *in)
{
	return in->flow == FLOW_JMP || in->flow == FLOW_JMP_IND ||
	       in->flow == FLOW_RET || in->flow == FLOW_STOP;
}

bool code_is_dead(const struct sites *s, uint64_t from, uint64_t to)
{
	const struct func *f = func_before(s, from);
	uint64_t end = f ? f->addr + f->size : 0, where;
	struct walked c;

	if (!f || !f->size || f->found || from < end || to > func_limit(s, f) ||
	    func_around(s, from) ||
	    !code_is_padding(s, end, func_limit(s, f)))
		return false;
	if (!code_walk(s, f, end, &c) || c.pos != end || !ends_flow(&c.last))
		return false;
	return target_in(s, end - 1, to, &where) == TARGET_NONE;
}
