/* SPDX-License-Identifier: MIT */
/* generate.h - the stage that writes code.
 *
 * In:   plan, facts and the region's layout.
 * Out:  w->rx but for the manifest and the references to RW; trampolines'
 *       addresses in w->plan; the hooks in w->edits.
 */
#ifndef BPFWELD_GENERATE_H
#define BPFWELD_GENERATE_H

#include "rewriter/weld.h"

int generate(struct weld *w, const struct weld_options *opt, struct err *e);

#endif
