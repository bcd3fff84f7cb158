/* SPDX-License-Identifier: MIT */
/* names.h - names that people type: globs, and what they may have meant. */
#ifndef BPFWELD_NAMES_H
#define BPFWELD_NAMES_H

#include "elf/arena.h"

#include <stdbool.h>

/* Globs that people type: * ? [a-z] [!a-z] and \ before what stands for itself,
 * as in the kernel (lib/glob.c); a [ that nothing closes stands for itself, and
 * every name matches itself, whatever is in it (Go's have * and []). */
bool name_matches(const char *name, const char *glob);
/* * and ? only: in objects, as libbpf's uprobe.multi understands them, and
 * where the names are full of []. */
bool name_matches_plain(const char *name, const char *glob);
/* Does it look like one of the first kind; of the second? */
bool is_glob(const char *s);
bool is_glob_plain(const char *s);

/* " (did you mean a, b or c?)" with at most three of the names that are
 * nearest to `want` by edit distance, or "" when none is near: more than one
 * edit must be fewer than half of the letters. */
const char *names_closest(struct arena *a, const char *want,
			  const char *const *name, size_t n);

#endif
