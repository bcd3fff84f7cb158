/* SPDX-License-Identifier: MIT */
/* diff.c - the runs, in order, and what to make of them. */
#include <stdarg.h>

#include "rewriter/diff/diff.h"

enum {
	RUNS_MAX = 5,      /* kernel and twins */
	LIMIT_FACTOR = 10, /* of the slowest kernel run, ... */
	LIMIT_EXTRA = 30,  /* ... and so many seconds more */
};

struct files { /* under test, in the sandbox */
	const char *original, *twin, *welded, *region;
};

struct job {
	struct arena *a;
	const struct weld *w;
	const struct diff_options *opt;
	struct sandbox box;
	struct files file;
	struct diff_result *out;
};

bool diff_usable(const char **why)
{
	return kernel_usable(why) && sandbox_usable(why);
}

/* Laid out like the welded file, but every byte of code is the original's. */
static int twin_write(const struct job *j, struct err *e)
{
	struct edits twin = j->w->edits;

	twin.nedit = 0;
	twin.entry = 0;
	twin.init = 0;
	return emit_write(j->a, &j->w->img, &j->w->room, &twin, j->file.twin,
			  e);
}

static int files_write(struct job *j, struct err *e)
{
	const struct weld *w = j->w;
	const char *dir = j->box.dir;

	j->file = (struct files){
		.original = arena_printf(j->a, "%s/original", dir),
		.twin = arena_printf(j->a, "%s/twin", dir),
		.welded = arena_printf(j->a, "%s/welded", dir),
		.region = arena_printf(j->a, "%s/region", dir),
	};
	return emit_file(j->file.original, w->img.file, w->img.mode,
			 w->img.path, e) ||
	       twin_write(j, e) ||
	       emit_write(j->a, &w->img, &w->room, &w->edits, j->file.welded,
			  e);
}

static void tell(const struct job *j, const char *what,
		 const struct snapshot *s)
{
	if (j->opt->verbose)
		say_to(stderr, "bpfweld: %s: exit status %d, %.1f s\n", what,
		       s->status, s->seconds);
}

static int run_kernel(struct job *j, const char *file, struct err *e)
{
	struct snapshot *s = arena_alloc(j->a, sizeof(*s));
	struct kernel *k;
	int bad;

	if (kernel_attach_many(j->a, j->w, file, &k, e))
		return -1;
	bad = sandbox_run(j->a, &j->box, file, 0, s, e) ||
	      kernel_snapshot(j->a, j->w, k, s, e);
	kernel_detach(k);
	if (bad)
		return -1;
	tell(j, file == j->file.twin ? "kernel, twin" : "kernel", s);
	j->out->run[j->out->nrun++] = s;
	return 0;
}

static int run_welded(struct job *j, struct err *e)
{
	struct snapshot *s = &j->out->welded;
	double limit = 0;

	for (size_t i = 0; i < j->out->nrun; i++)
		if (j->out->run[i]->seconds > limit)
			limit = j->out->run[i]->seconds;
	if (sandbox_run(j->a, &j->box, j->file.welded,
			limit * LIMIT_FACTOR + LIMIT_EXTRA, s, e) ||
	    welded_snapshot(j->a, j->w, j->file.region, s, e))
		return -1;
	tell(j, "welded", s);
	return 0;
}

static void judge(struct job *j)
{
	struct diff_result *r = j->out;

	snapshots_compare(j->a, j->w, r->run, r->nrun, &r->welded, j->opt,
			  &r->verdict);
}

/* More twins while values are left that the kernel did not have: another one
 * to know what varies, and some to be sure of a difference. */
static int run_all(struct job *j, struct err *e)
{
	struct diff_result *r = j->out;

	if (run_kernel(j, j->file.original, e) ||
	    run_kernel(j, j->file.twin, e) || run_welded(j, e))
		return -1;
	judge(j);
	while (r->verdict.open ||
	       (r->verdict.different && r->nrun < RUNS_MAX)) {
		if (run_kernel(j, j->file.twin, e))
			return -1;
		judge(j);
	}
	return 0;
}

/* --- what a reader of the verdict should know. */

static void __attribute__((format(printf, 2, 3)))
warn(struct job *j, const char *fmt, ...)
{
	struct diff_result *r = j->out;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->warning =
		arena_push(j->a, r->warning, r->nwarning, sizeof(*r->warning));
	r->warning[r->nwarning++] = arena_strdup(j->a, text);
}

static void warn_run(struct job *j)
{
	const struct diff_result *r = j->out;
	size_t killed = r->welded.killed;

	for (size_t i = 0; i < r->nrun; i++)
		killed += r->run[i]->killed;
	if (r->run[0]->status && r->run[0]->status == r->welded.status)
		warn(j, "the command ends with exit status %d in every run",
		     r->welded.status);
	if (r->welded.hung)
		warn(j,
		     "the command did not end when welded; it was killed "
		     "after %.0f seconds",
		     r->welded.seconds);
	if (killed)
		warn(j, "processes that the command left behind were killed");
	if (r->verdict.output_varies)
		warn(j, "the command's output is not compared: it varies "
			"under the kernel, too");
}

static void warn_judgement(struct job *j)
{
	const struct diff_result *r = j->out;
	const struct verdict *v = &r->verdict;

	if (!r->welded.hits && r->welded.status > 128)
		warn(j,
		     "no probe was hit before the welded run ended by a "
		     "signal: %s",
		     strsignal(r->welded.status - 128));
	else if (!r->welded.hits)
		warn(j,
		     "no probe was hit: the command does not reach the "
		     "probed code of %s",
		     j->box.target);
	if (!v->equal && !v->different)
		warn(j, "nothing was compared: %s",
		     v->masked ? "all values vary from run to run"
			       : "the maps are empty");
	if (r->welded.missed)
		warn(j, "%llu hits could not be counted",
		     (unsigned long long)r->welded.missed);
	if (r->welded.failed)
		warn(j, "%llu runs were ended by a guard",
		     (unsigned long long)r->welded.failed);
}

int diff_run(struct arena *a, const struct weld *w,
	     const struct diff_options *opt, struct diff_result *out,
	     struct err *e)
{
	struct job j = { .a = a, .w = w, .opt = opt, .out = out };
	int bad;

	memset(out, 0, sizeof(*out));
	bad = sandbox_open(a, w->img.path, opt->command, &j.box, e) ||
	      files_write(&j, e) || run_all(&j, e);
	if (!bad) {
		warn_run(&j);
		warn_judgement(&j);
	}
	sandbox_close(&j.box);
	return bad ? -1 : 0;
}
