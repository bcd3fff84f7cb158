/* SPDX-License-Identifier: MIT */
/* guards.h - where the programs of a weld could not be proved: the guards that
 * stand in those that run, read from the programs themselves.
 *
 * Copies that were made of one program for the ways in which a USDT probe's
 * arguments stand count once, where their guards are the same.
 */
#ifndef BPFWELD_GUARDS_H
#define BPFWELD_GUARDS_H

#include "rewriter/weld.h"

struct weld_guard {
	uint32_t prog;
	struct bpf_insn insn;
	const char *where; /* "file.bpf.c:12: text", or "insn N" */
};
/* In the order of programs and instructions; how many. */
size_t guards_list(struct arena *a, const struct weld *w,
		   struct weld_guard **out);
/* Under --strict, an error that names the first; its kind is ERR_NOT_PLACED. */
int guards_strict(struct weld *w, const struct weld_options *opt,
		  struct err *e);

/* "range", "loop", "run", "turn" */
const char *guard_kind(const struct weld_guard *g);
/* "fails where r3 > 63" */
const char *guard_text(struct arena *a, const struct weld *w,
		       const struct weld_guard *g);
/* Of "loop" and "turn": how often it is passed in a run, if no other is. */
uint32_t guard_times(const struct weld_guard *g);
/* What it costs when the run goes on, in ns: measured, each of 16 in a row on a
 * 4 GHz EPYC.  Between other instructions most cost nothing. */
double guard_cost(const struct weld_guard *g, enum engine engine);

#endif
