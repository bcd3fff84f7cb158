/* SPDX-License-Identifier: MIT */
/* diff.c - the three runs, in order. */
#include "rewriter/diff/diff.h"

/* Put a file where the workload finds the target. */
static int stage_original(const struct weld *w, const struct stage *s,
			  struct err *e)
{
	return emit_file(s->file, w->img.file, w->img.mode | 0700, NULL, e);
}

/* Laid out like the welded file, but every byte of code is the original's. */
static int stage_twin(struct arena *a, const struct weld *w,
		      const struct stage *s, struct err *e)
{
	struct edits twin = w->edits;

	twin.nedit = 0;
	twin.entry = 0;
	twin.init = 0;
	return emit_write(a, &w->img, &w->room, &twin, s->file, e);
}

static int run_kernel(struct arena *a, const struct weld *w,
		      const struct stage *s, const char *name,
		      struct snapshot *out, struct err *e)
{
	struct kernel *k;
	int bad;

	if (kernel_attach(a, w, s->file, &k, e))
		return -1;
	bad = stage_run(a, s, name, out, e) ||
	      kernel_snapshot(a, w, k, out, e);
	kernel_detach(k);
	return bad ? -1 : 0;
}

static int run_welded(struct arena *a, const struct weld *w,
		      const struct stage *s, struct snapshot *out,
		      struct err *e)
{
	const char *region = arena_printf(a, "%s/region", s->dir);

	return emit_write(a, &w->img, &w->room, &w->edits, s->file, e) ||
	       stage_run(a, s, "welded", out, e) ||
	       welded_snapshot(a, w, region, out, e);
}

int diff_run(struct arena *a, const struct weld *w, char **command, FILE *to,
	     bool json, struct verdict *out, struct err *e)
{
	struct snapshot kernel = { 0 }, twin = { 0 }, welded = { 0 };
	struct stage s = { 0 };
	int bad;

	memset(out, 0, sizeof(*out));
	bad = stage_make(a, w, command, &s, e) || stage_original(w, &s, e) ||
	      run_kernel(a, w, &s, "kernel", &kernel, e) ||
	      stage_twin(a, w, &s, e) ||
	      run_kernel(a, w, &s, "twin", &twin, e) ||
	      run_welded(a, w, &s, &welded, e) ||
	      snapshots_compare(a, w, &kernel, &twin, &welded, to, json, out,
				e);
	stage_remove(&s);
	return bad ? -1 : 0;
}
