/* SPDX-License-Identifier: MIT */
/* hop.c - sites with room for a two-byte jump only: functions of two to four
 * bytes with no padding behind, loops whose head is the second instruction.
 *
 *   site:  jmp hop        2 bytes
 *   ...
 *   hop:   jmp trampoline 5 bytes that nobody else needs (spare.c)
 *
 * Where the site alone is too short, as a ret is, the two bytes begin before
 * it: `pop %rbp; ret`, `leave; ret` are in most functions.
 */
#include "rewriter/patch/spare.h"

enum {
	BEFORE = 4, /* how many instructions earlier a site may begin */
};

/* Two bytes or more from p->at on, with the instruction at `site` in them: or
 * a lone ret and dead padding. */
static bool site_fits(const struct spare *r, struct patch *p, uint64_t site)
{
	const struct planner *pl = r->pl;
	unsigned want = (unsigned)(site - p->at) + 1;
	uint64_t end;

	want = want > SHORT_JUMP_SIZE ? want : SHORT_JUMP_SIZE;
	if (window_read(pl, p, want) || window_index(p, site) < 0)
		return false;
	p->len = window_len(p);
	p->tactic = TACTIC_HOP;
	end = p->at + SHORT_JUMP_SIZE;
	if (p->len < SHORT_JUMP_SIZE) {
		if (!insn_ends_flow(&p->insn[p->ninsn - 1]) ||
		    end > func_limit(pl->s, p->func) ||
		    !dead_padding(pl->s->img, p->at + p->len, end))
			return false;
		p->len = SHORT_JUMP_SIZE;
	}
	return spare_is_free(r, p->at, p->at + p->len) && !window_prove(pl, p);
}

/* Why there is no hop from p->at, for who asks. */
static void hop_explain(const struct spare *r, struct patch *p, uint64_t site)
{
	const struct planner *pl = r->pl;
	const struct reason *why;
	bool fits;

	if (!trace_on(pl))
		return;
	fits = site_fits(r, p, site);
	why = window_read(pl, p, SHORT_JUMP_SIZE);
	if (!why && !fits)
		why = window_prove(pl, p);
	if (!why && window_len(p) < SHORT_JUMP_SIZE && !fits)
		why = WHY(pl, REASON_ROOM, "there is one byte only");
	if (!why && !fits)
		why = WHY(pl, REASON_SHAPE,
			  "no two bytes can be had from there to the site");
	if (!why)
		why = WHY(pl, REASON_HOP,
			  "no five bytes within reach of a two-byte jump can "
			  "be had");
	trace_note(pl, TACTIC_HOP, p->at, why);
}

static bool hop_from(struct spare *r, struct patch *p, uint64_t site)
{
	if (site_fits(r, p, site)) {
		struct short_jump j = { .lo = p->at, .hi = p->at + p->len,
					.end = p->at + SHORT_JUMP_SIZE,
					.pc = p->at, .entry = p->entry };

		p->hop = spare_find(r, &j);
	}
	if (p->hop) {
		trace_note(r->pl, TACTIC_HOP, p->at, NULL);
		return true;
	}
	hop_explain(r, p, site);
	return false;
}

/* From the site, or from instructions before it. */
static bool hop_find(struct spare *r, uint64_t site, struct patch *p)
{
	uint64_t from[BEFORE];
	size_t n = code_before(r->pl->s, site, from, BEFORE);

	*p = patch_at(r->pl, site);
	if (hop_from(r, p, site))
		return true;
	for (size_t i = 0; i < n; i++) {
		*p = patch_at(r->pl, from[i]);
		if (hop_from(r, p, site))
			return true;
	}
	return false;
}

void hops_place(const struct planner *pl, struct stuck *v, size_t *n)
{
	struct spare r;
	size_t left = 0;

	spare_begin(&r, pl);
	for (size_t i = 0; i < *n; i++) {
		struct patch p;

		trace_begin(pl, v[i].first, v[i].n);
		if (spare_joins(&r, &v[i]))
			continue;
		if (hop_find(&r, v[i].p.at, &p)) {
			points_add(pl, &p, v[i].first, v[i].n);
			spare_patch(&r, &p);
		} else {
			v[left++] = v[i];
		}
	}
	*n = left;
	spare_end(&r);
}
