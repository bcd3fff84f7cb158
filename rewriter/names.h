/* SPDX-License-Identifier: MIT */
/* names.h - names that people type: globs, and what they may have meant. */
#ifndef BPFWELD_NAMES_H
#define BPFWELD_NAMES_H

#include "elf/arena.h"

#include <stdbool.h>

/* * and ?, as libbpf's uprobe.multi understands them. */
bool name_matches(const char *name, const char *glob);

/* " (did you mean a, b or c?)" with at most three of the names that are
 * nearest to `want` by edit distance, or "" when none is near. */
const char *names_closest(struct arena *a, const char *want,
			  const char *const *name, size_t n);

#endif
