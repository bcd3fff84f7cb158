/* SPDX-License-Identifier: MIT */
/* args.h - the options that weld, check and diff share. */
#ifndef BPFWELD_ARGS_H
#define BPFWELD_ARGS_H

#include "rewriter/weld.h"
#include "runtime-stub/reader/json.h"

struct args {
	struct weld_options weld;
	struct arena arena;   /* owns the lists in `weld` */
	bool json, verbose, help;
	char **command;       /* diff: what follows "--", or NULL */
	const char *const *mask; /* diff: globs of MAP.FIELD */
	uint32_t nmask;
	const char *type;     /* diff: what records are, or NULL */
	bool text;            /* diff: arrays of char up to the NUL */
	const char *explain;  /* check: the site, or NULL */
	bool ask_kernel;      /* weld, check: --verify=kernel */
};

/* Parse `TARGET OBJ... [options]`.  `want_out`: -o is required.  0, or -1 with
 * a usage error. */
int args_parse(int argc, char **argv, bool want_out, struct args *out,
	       struct err *e);
void args_free(struct args *a);

/* weld.c, and for check: what is not as somebody might think. */
void notes_print(const struct weld *w);
void notes_json(struct json *j, const struct weld *w);

#endif
