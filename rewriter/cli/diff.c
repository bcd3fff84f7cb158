/* SPDX-License-Identifier: MIT */
/* diff.c - bpfweld diff TARGET OBJ... -- CMD: kernel against welded. */
#include <stdio.h>

#include "rewriter/cli/args.h"
#include "rewriter/cli/cli.h"
#include "rewriter/diff/diff.h"

enum { EXIT_DIFFERENT = 1, EXIT_SKIPPED = 77 };

static const char usage[] =
	"usage: bpfweld diff TARGET OBJ... [-p PROG=SPEC]... [-j] -- CMD ARG...\n"
	"Runs CMD with TARGET under kernel uprobes, then with TARGET welded, and\n"
	"compares all maps and globals, the exit status and the output.  Words of\n"
	"CMD that name TARGET stand for the file under test.  What changes from\n"
	"one kernel run to the next (pid, time, cpu) is masked.\n"
	"Takes the options of weld.  Exit 0: equal, 1: different, 77: the kernel\n"
	"cannot be used here.\n";

static int diff(const struct args *a, struct weld *w, struct err *e)
{
	struct verdict v;
	const char *why;

	if (!a->command || !*a->command)
		return misuse(e, "diff: no command after --");
	if (weld(w, &a->weld, e))
		return -1;
	if (!kernel_usable(&why)) {
		fprintf(stderr, "bpfweld: diff skipped: %s\n", why);
		return EXIT_SKIPPED;
	}
	if (w->ndropped)
		fprintf(stderr, "bpfweld: %zu probe%s left out: the kernel "
				"cannot probe the instruction\n",
			w->ndropped, w->ndropped == 1 ? " is" : "s are");
	if (diff_run(&w->arena, w, a->command, stdout, a->json, &v, e))
		return -1;
	printf(a->json ? "{\"equal\":%zu,\"masked\":%zu,\"different\":%zu}\n"
		       : "%zu values equal, %zu masked, %zu different\n",
	       v.compared, v.masked, v.different);
	return v.different ? EXIT_DIFFERENT : 0;
}

int cmd_diff(int argc, char **argv)
{
	struct args a;
	struct weld w = { 0 };
	struct err e;
	int ret = 0;

	if (args_parse(argc, argv, false, &a, &e)) {
		ret = cli_fail(&e, a.json);
	} else if (a.help) {
		fputs(usage, stdout);
	} else {
		a.weld.dry_run = true;
		a.weld.keep = kernel_probes;
		ret = diff(&a, &w, &e);
		if (ret < 0)
			ret = cli_fail(&e, a.json);
	}
	weld_free(&w);
	args_free(&a);
	return ret;
}
