/* SPDX-License-Identifier: MIT */
/* diff.c - bpfweld diff TARGET OBJ... -- CMD: kernel against welded. */
#include <stdio.h>

#include "rewriter/cli/args.h"
#include "rewriter/cli/cli.h"
#include "rewriter/diff/diff.h"
#include "runtime-stub/reader/typed.h"

enum {
	EXIT_DIFFERENT = 1
};

static const char usage[] =
	"usage: bpfweld diff TARGET OBJ... [options] -- CMD ARG...\n"
	"Runs CMD with TARGET under kernel uprobes, then with TARGET welded, and\n"
	"compares all maps and global variables, the exit status and the output.\n"
	"Whatever in CMD uses the file TARGET gets the one under test.  What varies\n"
	"from one kernel run to the next (pid, time, cpu) is masked.  CMD must do the\n"
	"same each time; it is run three times, and again when values differ.\n"
	"  -p, --probe PROG=SPEC, --set VAR=VALUE, --engine=native|vm, --strict,\n"
	"      --allow-setuid      as for weld\n"
	"      --mask GLOB         do not compare MAP, MAP.FIELD, command.output or\n"
	"                          command.status\n"
	"      --type STRUCT       what ring and perf records are (as for trace)\n"
	"      --text              compare arrays of char up to their NUL\n"
	"  -j, --json              the result as JSON\n"
	"  -v, --verbose           each run, all differences, what was masked\n"
	"Exit 0: equal, 1: different, 77: the kernel cannot be used here.\n";

static void left_out(size_t n, const char *why)
{
	if (n)
		say_to(stderr, "bpfweld: %zu probe%s left out: %s\n", n,
		       n == 1 ? " is" : "s are", why);
}

/* What --type says, for all objects; some must have it. */
static int records_named(struct weld *w, const char *said, const char **name,
			 struct err *e)
{
	bool found = false;

	for (uint32_t i = 0; i < w->set.nobject; i++) {
		struct btf *btf = w->set.object[i].btf;

		if (typed_named(&w->arena, btf, said, name, e))
			return -1;
		found |= typed_struct(btf, *name, 0) != 0;
	}
	return found ? 0 : misuse(e, "--type: there is no struct %s", *name);
}

static int diff(const struct args *a, struct weld *w, struct err *e)
{
	struct diff_options opt = {
		.command = a->command,
		.ignore = a->mask,
		.nignore = a->nmask,
		.type = a->type,
		.text = a->text,
		.json = a->json,
		.verbose = a->verbose,
	};
	struct diff_result r;
	const char *why;

	if (a->weld.usdt_nop5)
		return misuse(e, "diff: --usdt-nop5 has no programs");
	if (!a->command || !*a->command)
		return misuse(e, "diff: no command after --");
	if (weld(w, &a->weld, e))
		return -1;
	if (a->type && records_named(w, a->type, &opt.type, e))
		return -1;
	if (!diff_usable(&why))
		return cli_skip("diff", why, a->json);
	if (!a->json) {
		left_out(w->ndropped,
			 "the kernel cannot probe the instruction");
		left_out(w->plan.nrefusal, "not placed (see check)");
	}
	if (diff_run(&w->arena, w, &opt, &r, e))
		return -1;
	diff_report(stdout, w, &opt, &r);
	return r.verdict.different ? EXIT_DIFFERENT : 0;
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
		cli_help(usage);
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
