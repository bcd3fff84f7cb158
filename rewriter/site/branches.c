/* SPDX-License-Identifier: MIT */
/* branches.c - who branches to an address.
 *
 * The marks say that somebody does; here the sweep is made again to see who.
 * Any byte could be a branch's opcode: the real ones are those that settling
 * has decoded, perhaps with a prefix.  Other bytes would have left MARK_MAYBE
 * (settle.c), which target_besides() speaks of.
 */
#include <stdlib.h>

#include "rewriter/site/targets.h"

enum { LONGEST = 15, PREFIXES = 4 };

static bool is_asked(const uint64_t *v, size_t n, uint64_t at)
{
	return addr_between(v, n, at, at + 1);
}

/* The decoded branch whose opcode is at offset i of the span. */
static bool decoded(const struct span *in, uint64_t i, struct insn *x)
{
	uint8_t op = in->p[i];
	uint64_t rel = in->lo + i + (op == 0x0f || op == 0xc7 ? 2 : 1);

	for (uint64_t k = 0; k < PREFIXES && k <= i; k++) {
		uint64_t at = i - k, room = in->hi - in->lo - at;

		if (in->mark[at] & MARK_START &&
		    insn_decode(in->p + at, room < LONGEST ? room : LONGEST,
				in->lo + at, x) &&
		    x->rel_off && x->at + x->rel_off == rel)
			return true;
	}
	return false;
}

static int by_target(const void *x, const void *y)
{
	const struct branch *a = x, *b = y;

	if (a->to != b->to)
		return a->to < b->to ? -1 : 1;
	return (a->in.at > b->in.at) - (a->in.at < b->in.at);
}

struct branch *branches_to(struct arena *a, const struct sites *s,
			   const uint64_t *to, size_t n, size_t *nbranch)
{
	const struct targets *t = s->targets;
	struct branch *v = NULL;
	uint64_t at;

	*nbranch = 0;
	if (!n)
		return NULL;
	targets_settle(s);
	for (size_t k = 0; k < t->nspan; k++) {
		const struct span *in = &t->span[k];
		uint64_t i = scan_next(t, in, 0, MARK_BRANCH, &at);

		for (; i < in->hi - in->lo;
		     i = scan_next(t, in, i + 1, MARK_BRANCH, &at)) {
			struct branch b = { .to = at };

			if (!is_asked(to, n, at) || !decoded(in, i, &b.in))
				continue;
			b.sure = code_is_sure(s, b.in.at);
			v = arena_push(a, v, *nbranch, sizeof(*v));
			v[(*nbranch)++] = b;
		}
	}
	if (*nbranch)
		qsort(v, *nbranch, sizeof(*v), by_target);
	return v;
}
