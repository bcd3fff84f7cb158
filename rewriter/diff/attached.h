/* SPDX-License-Identifier: MIT */
/* attached.h - what is in the kernel while links are attached; private to
 * kernel.c, which attaches, and elements.c, which reads the maps.
 */
#ifndef BPFWELD_ATTACHED_H
#define BPFWELD_ATTACHED_H

#include "rewriter/diff/diff.h"

struct bpf_link;
struct bpf_object;
struct perf_buffer;

struct kernel {
	struct bpf_object **object; /* same order as bpf_set.object */
	size_t nobject;
	struct bpf_link **link;
	size_t nlink;
	int *multi_fd; /* up to KINDS for each program */
	size_t nmulti;
	size_t multi_from; /* programs with so many links use uprobe_multi */
	struct perf {      /* per map; buffer NULL: it is none */
		struct perf_buffer *buffer;
		struct records {
			struct arena *a;
			struct snap_map *out;
		} to;
	} * perf;
	size_t nperf;
};

/* A perf event array takes nothing before somebody listens. */
int perf_open(struct arena *a, const struct weld *w, struct kernel *k,
	      struct err *e);

#endif
