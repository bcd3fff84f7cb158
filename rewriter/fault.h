/* SPDX-License-Identifier: MIT */
/* fault.h - how the programs of a weld touch memory that may not be there.
 *
 * In:   the target, and the libraries it needs.
 * Out:  w->fault and w->fault_why; in struct weld_info the ways that the stub
 *       has (runtime-stub/fault.c), and memory that is there for sure.
 */
#ifndef BPFWELD_FAULT_CHOICE_H
#define BPFWELD_FAULT_CHOICE_H

#include "rewriter/weld.h"

/* Refuses --fault=signal of a library that can be unloaded. */
int fault_choose(struct weld *w, const struct weld_options *opt, struct err *e);
/* Once all addresses are fixed. */
void fault_write(struct weld *w);
/* "signal" or "syscall" */
const char *fault_name(uint32_t ways);

#endif
