/* SPDX-License-Identifier: MIT */
/* verify.h - programs in their context -> facts, or a refusal.
 *
 * In:   linked programs and the sites they are bound to.
 * Out:  what the compiler and the trampoline may rely on, per program.
 * Then: every program that is bound has passed the structural checks.
 */
#ifndef BPFWELD_VERIFY_H
#define BPFWELD_VERIFY_H

#include "rewriter/bind.h"
#include "rewriter/code/compile.h"

int verify_all(struct arena *a, const struct bpf_set *set,
	       const struct links *links, struct facts **facts, struct err *e);

#endif
