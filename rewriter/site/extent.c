/* SPDX-License-Identifier: MIT */
/* extent.c - code that belongs to a function although its frame description
 * has ended.
 *
 *	clone:  .cfi_startproc
 *		...
 *		mov  $SYS_clone, %eax
 *		.cfi_endproc             in the child it would be wrong
 *		syscall
 *		test %rax, %rax
 *		jz   1f
 *		ret
 *	1:	.cfi_startproc           the child
 *
 * So it is when the last instruction described goes on.  In a stripped file the
 * function then ends with the first one that does not.  Where a symbol has a
 * size, that is believed up to the next description, also when a branch of the
 * function leads there; else it may be data.  A part that begins inside such a
 * symbol's size and has no name is a fragment.
 */
#include "rewriter/site/targets.h"

enum { LONGEST = 15 };

static bool decode(const struct sites *s, uint64_t at, uint64_t end,
		   struct insn *in)
{
	struct span *sp = span_of(s->targets, at);

	if (!sp || at >= end)
		return false;
	return insn_decode(sp->p + (at - sp->lo),
			   end - at < LONGEST ? end - at : LONGEST, at, in);
}

static bool ends_flow(const struct insn *in)
{
	return in->flow == FLOW_JMP || in->flow == FLOW_JMP_IND ||
	       in->flow == FLOW_RET || in->flow == FLOW_STOP;
}

/* The largest size that a symbol gives this function. */
static uint64_t symbol_size(const struct image *img, const struct func *f)
{
	uint64_t size = 0;

	for (uint32_t i = f->sym; i < f->sym + f->nsym; i++)
		if (img->sym[i].type == STT_FUNC && img->sym[i].size > size)
			size = img->sym[i].size;
	return size;
}

/* Does the code of f, up to its end, go on behind it?  A call at the end does
 * not return. */
static bool goes_on(const struct sites *s, const struct func *f, uint64_t end)
{
	struct walked c;

	return code_walk(s, f, end, &c) && c.pos == end &&
	       !ends_flow(&c.last) && c.last.flow != FLOW_CALL &&
	       c.last.flow != FLOW_CALL_IND;
}

/* Does a branch or call in f lead to [lo, hi)? */
static bool leads_to(const struct sites *s, const struct func *f, uint64_t lo,
		     uint64_t hi)
{
	struct insn in;

	for (uint64_t at = f->addr; decode(s, at, lo, &in); at += in.len)
		if (in.rel_off && in.target >= lo && in.target < hi)
			return true;
	return false;
}

/* Behind the first instruction from `at` on that does not go on. */
static uint64_t flow_end(const struct sites *s, uint64_t at, uint64_t limit)
{
	uint64_t end = at;
	struct insn in;

	for (; decode(s, at, limit, &in); at += in.len)
		if (ends_flow(&in))
			return at + in.len;
	return end;
}

static void grow(struct sites *s, struct func *f)
{
	uint64_t end = f->addr + f->size, limit = func_limit(s, f), named;

	if (end >= limit || code_is_padding(s, end, limit))
		return;
	named = f->addr + symbol_size(s->img, f);
	named = named < limit ? named : limit;
	if (goes_on(s, f, end))
		end = named > end ? named : flow_end(s, end, limit);
	else if (named > end && leads_to(s, f, end, named))
		end = named;
	f->size = end - f->addr;
}

/* A part of the function whose symbol reaches up to `within` follows what is
 * before it without a gap, and has no name. */
void extents_grow(struct sites *s)
{
	uint64_t within = 0, done = 0;

	for (size_t i = 0; i < s->nfunc; i++) {
		struct func *f = &s->func[i];
		const struct fde *fde = image_fde(s->img, f->addr);

		if (!fde || fde->start != f->addr)
			continue;
		if (!f->named && f->addr < within && f->addr == done)
			f->fragment = true;
		if (f->named && f->addr + symbol_size(s->img, f) > within)
			within = f->addr + symbol_size(s->img, f);
		grow(s, f);
		done = f->addr + f->size;
	}
}
