/* SPDX-License-Identifier: MIT */
/* verdicts.h - --verify=kernel: what we make of each program that is bound, and
 * what the running kernel makes of it.
 *
 * It informs only: what is written and what the command exits with is as
 * without it, but that nothing is done where the kernel cannot be asked.
 */
#ifndef BPFWELD_VERDICTS_H
#define BPFWELD_VERDICTS_H

#include "rewriter/cli/args.h"
#include "runtime-stub/reader/json.h"

/* False: it was not asked for, or can be done.  True: it cannot; that was said,
 * and *code is the exit code. */
bool verdicts_impossible(const struct args *a, int *code);
/* After weld(), whose error is `e`, NULL for none: a line for each program, or
 * a list of objects in the object that is open in `j`. */
void verdicts_text(struct weld *w, const struct args *a, const struct err *e);
void verdicts_json(struct json *j, struct weld *w, const struct args *a,
		   const struct err *e);
/* cli_fail() behind them; where they were not asked for, a line for each
 * program that is refused, or a list of objects.  `all`: what the others have
 * come to as well. */
int verdicts_fail(struct weld *w, const struct args *a, bool all,
		  const struct err *e);

#endif
