/* SPDX-License-Identifier: MIT */
/* reason.c - why a place was not taken: for people a sentence, for programs a
 * code that stays the same from version to version (docs/bpfweld.1 lists them).
 * And, for one site on request, what each tactic said (plan_trace()).
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "rewriter/patch/window.h"

// clang-format off
static const char *const codes[REASON_COUNT] = {
	[REASON_END]      = "function-end",
	[REASON_CALL]     = "call-inside",
	[REASON_DECODE]   = "undecodable",
	[REASON_MOVE]     = "immovable",
	[REASON_ROOM]     = "no-room",
	[REASON_PATCHED]  = "in-patch",
	[REASON_ENDBR]    = "behind-endbr",
	[REASON_COPIED]   = "copied",
	[REASON_RETURNS]  = "returns",
	[REASON_SHAPE]    = "shape",
	[REASON_HOP]      = "no-hop",
	[REASON_GO]       = "go-runtime",
	[REASON_STACK]    = "no-stack",
	[REASON_UNSURE]   = "unsure",
	[REASON_TARGET + TARGET_BRANCH]   = "target-branch",
	[REASON_TARGET + TARGET_MAYBE]    = "target-maybe",
	[REASON_TARGET + TARGET_TABLE]    = "target-table",
	[REASON_TARGET + TARGET_POINTER]  = "target-pointer",
	[REASON_TARGET + TARGET_SYMBOL]   = "target-symbol",
	[REASON_TARGET + TARGET_LANDING]  = "target-landing",
	[REASON_TARGET + TARGET_CALLSITE] = "target-callsite",
	[REASON_TARGET + TARGET_RETURN]   = "target-return",
	[REASON_TARGET + TARGET_ENDBR]    = "target-endbr",
};
// clang-format on

const char *reason_code(unsigned code)
{
	assert(code < REASON_COUNT);
	return codes[code];
}

const struct reason *reason_make(struct arena *a, unsigned code,
				 const char *fmt, ...)
{
	struct reason *r = arena_alloc(a, sizeof(*r));
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*r = (struct reason){ reason_code(code), arena_strdup(a, text) };
	return r;
}

void trace_begin(const struct planner *pl, size_t first, size_t n)
{
	if (!pl->trace)
		return;
	pl->trace->on = false;
	for (size_t i = first; i < first + n; i++)
		pl->trace->on |= pl->want[i].at == pl->trace->site ||
				 pl->want[i].point.site == pl->trace->site;
}

bool trace_on(const struct planner *pl)
{
	return pl->trace && pl->trace->on;
}

void trace_note(const struct planner *pl, uint8_t tactic, uint64_t at,
		const struct reason *why)
{
	struct plan *o = pl->out;

	if (!trace_on(pl))
		return;
	o->attempt = arena_push(pl->a, o->attempt, o->nattempt,
				sizeof(*o->attempt));
	o->attempt[o->nattempt++] = (struct attempt){ at, tactic, why };
}
