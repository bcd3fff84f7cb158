/* SPDX-License-Identifier: MIT */
/* verify.h - programs in their context -> facts, or a refusal.
 *
 * In:   linked programs and the sites they are bound to.
 * Out:  what the compiler and the trampoline may rely on, per program.
 * Then: every program that is bound has passed the structural checks; it has
 *       facts of a size.
 */
#ifndef BPFWELD_VERIFY_H
#define BPFWELD_VERIFY_H

#include "rewriter/bind.h"
#include "rewriter/code/compile.h"

/* Which links may return in their function's place; an error where one is not at
 * a function's entry. */
int override_links(struct arena *a, const struct bpf_set *set,
		   struct links *links, struct err *e);
/* What became of a program. */
struct judged {
	bool asked;      /* it is bound, or one that is continues in it */
	bool refused;    /* because of `why` */
	uint32_t guards; /* that it was accepted with */
	struct err why;
};
/* All are judged, whatever became of the others; the error is the first one's.
 * So are those of links->homeless; those of links->lost are refused.
 * `judged` is an array like the set's programs.  `log`, if not NULL, gets what
 * led to each refusal. */
int verify_all(struct arena *a, struct bpf_set *set, const struct links *links,
	       struct facts **facts, FILE *log, struct judged **judged,
	       struct err *e);

#endif
