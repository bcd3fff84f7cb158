/* SPDX-License-Identifier: MIT */
/* step.c - functions that are decoded in step, and what cannot be meant there.
 *
 * Much that looks like a way into code is an accident: words behind a jump
 * table's end that read like more of it, sizes and flags that an ET_EXEC's
 * data holds and that are addresses as well, bytes between functions that
 * would be a branch.  Most such addresses are inside instructions.  An address
 * inside an instruction that is really one cannot be meant - if we know that
 * it is one.  We do where all of this holds:
 *
 *   - a frame description names the function's start and size, and no other
 *     function overlaps it;
 *   - it decodes to exactly that end;
 *   - every run of instructions in it begins at the function's start, or where
 *     a branch, a table, a landing pad or a relocated pointer leads, and goes
 *     on up to a jump, a return or a trap: data among the code, which would put
 *     the decoding out of step, begins behind such an end, and nothing leads to
 *     it but a lea, which does not count;
 *   - nothing that is sure (a decoded branch, a landing pad, a symbol) leads
 *     between its boundaries: assembly that jumps over a lock prefix or into
 *     the middle of an instruction shows itself so.
 *
 * What remains assumed: code that uses its own overlapping instructions does
 * so by a direct branch at least once, and not in a way that is seen only in a
 * table.  Compilers emit none.  Only accidents are dismissed so, of tables,
 * pointers and undecoded bytes; never a branch that was decoded.
 */
#include "rewriter/site/targets.h"

enum { LONGEST = 15 };
enum { UNKNOWN, IN_STEP, DOUBTFUL }; /* targets.step[] */

static bool listed(const uint64_t *v, size_t n, uint64_t at)
{
	return addr_between(v, n, at, at + 1);
}

/* Does something lead here that lets a run of instructions begin? */
static bool begins(const struct image *img, const struct span *in, uint64_t at)
{
	return in->mark[at - in->lo] & (MARK_BRANCH | MARK_TABLE) ||
	       listed(img->landing, img->nlanding, at) ||
	       listed(img->codeptr, img->ncodeptr, at);
}

/* Does anything sure lead between the boundaries of x? */
static bool entered(const struct image *img, const struct span *in,
		    const struct insn *x)
{
	uint64_t end = x->at + x->len;

	for (uint64_t at = x->at + 1; at < end; at++)
		if (in->mark[at - in->lo] & MARK_BRANCH)
			return true;
	return addr_between(img->landing, img->nlanding, x->at + 1, end) ||
	       next_symbol(img, x->at + 1) < end;
}

static bool ends(const struct insn *in)
{
	return in->flow == FLOW_JMP || in->flow == FLOW_JMP_IND ||
	       in->flow == FLOW_RET || in->flow == FLOW_STOP ||
	       in->flow == FLOW_TRAP;
}

static bool alone(const struct sites *s, const struct func *f)
{
	size_t i = (size_t)(f - s->func);
	uint64_t end = f->addr + f->size;

	return (i == 0 || s->targets->reach[i - 1] <= f->addr) &&
	       (i + 1 == s->nfunc || s->func[i + 1].addr >= end);
}

bool step_holds(const struct sites *s, const struct insn *x, bool *open)
{
	const struct span *in = span_of(s->targets, x->at);

	if (!in || x->at + x->len > in->hi || entered(s->img, in, x))
		return false;
	*open = *open || begins(s->img, in, x->at);
	if (!*open && !x->nop && x->flow != FLOW_TRAP)
		return false;
	*open = *open && !ends(x);
	return true;
}

static bool decodes(const struct sites *s, const struct func *f,
		    const struct span *in)
{
	uint64_t end = f->addr + f->size, at = f->addr;
	bool open = true; /* may the next instruction be one? */
	struct insn x;

	for (; at < end; at += x.len)
		if (!insn_decode(in->p + (at - in->lo),
				 end - at < LONGEST ? end - at : LONGEST, at,
				 &x) ||
		    !step_holds(s, &x, &open))
			return false;
	return at == end;
}

static bool in_step(const struct sites *s, const struct func *f)
{
	uint8_t *known = &s->targets->step[f - s->func];
	const struct fde *fde = image_fde(s->img, f->addr);
	const struct span *in = span_of(s->targets, f->addr);

	if (*known == UNKNOWN)
		*known = fde && fde->start == f->addr && in && f->size &&
					 f->addr + f->size <= in->hi &&
					 alone(s, f) && decodes(s, f, in)
				 ? IN_STEP
				 : DOUBTFUL;
	return *known == IN_STEP;
}

/* Go's compiler puts no data among the code. */
bool code_is_sure(const struct sites *s, uint64_t at)
{
	const struct func *f = func_around(s, at);
	uint64_t before, after;

	if (!f || code_boundary(s, at, &before, &after) != 1)
		return false;
	if (is_compiled_go(f))
		return true;
	targets_sweep(s);
	targets_settle(s);
	return in_step(s, f);
}

bool target_unmeant(const struct sites *s, uint64_t addr)
{
	const struct func *f = func_around(s, addr);
	uint64_t before, after;

	return f && code_boundary(s, addr, &before, &after) == 0 &&
	       in_step(s, f);
}
