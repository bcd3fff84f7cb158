/* SPDX-License-Identifier: MIT */
/* needs.h - what a dynamic file takes from others: symbols, and libraries. */
#ifndef BPFWELD_NEEDS_H
#define BPFWELD_NEEDS_H

#include "elf/image.h"

struct needs {
	const char **import; /* names of the symbols it does not define */
	size_t nimport;
	const char **lib;    /* DT_NEEDED, in their order */
	size_t nlib;
	const char *path;    /* DT_RUNPATH or DT_RPATH, or NULL */
};
int needs_read(struct arena *a, const struct image *img, struct needs *out,
	       struct err *e);
/* Where the loader would find it, by and large: `path`, and the directories
 * that every system has.  NULL: not there. */
const char *needs_find(struct arena *a, const struct image *img,
		       const struct needs *n, const char *lib);

#endif
