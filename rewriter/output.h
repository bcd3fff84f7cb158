/* SPDX-License-Identifier: MIT */
/* output.h - what a finished weld adds to the file: sections, symbols, the
 * manifest; and the identity that names it.
 */
#ifndef BPFWELD_OUTPUT_H
#define BPFWELD_OUTPUT_H

#include <xxhash.h>

#include "rewriter/weld.h"

/* Everything is generated: fill w->edits. */
int output_edits(struct weld *w, const struct weld_options *opt,
		 struct err *e);

/* What the trampoline of a function is called: NAME.weld; or, if NAME is mangled
 * (_Z, _R, _D), NAME-weld: demanglers take the first for a clone of the function,
 * and then gdb puts two breakpoints where one is asked for. */
const char *trampoline_name(struct arena *a, const char *name);

/* A hash of a sequence of byte strings (XXH3-128, each with its length). */
struct identity {
	XXH3_state_t *state;
};
void identity_start(struct identity *id);
void identity_add(struct identity *id, const void *p, size_t n);
void identity_end(struct identity *id, uint8_t out[16]);

#endif
