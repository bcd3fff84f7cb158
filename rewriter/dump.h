/* SPDX-License-Identifier: MIT */
/* dump.h - print one stage's product on standard output: the debugger, and
 * what golden tests compare.
 */
#ifndef BPFWELD_DUMP_H
#define BPFWELD_DUMP_H

#include "rewriter/weld.h"

/* `stage` NULL: nothing.  Unknown stage: an error that names the known ones. */
int dump_stage(const struct weld *w, const char *stage, struct err *e);

#endif
