/* SPDX-License-Identifier: MIT */
/* diff.h - the kernel as judge: one workload under kernel uprobes and welded,
 * everything compared.
 *
 * Three runs of the same command:
 *     kernel    the original file, the links attached as uprobes
 *     twin      a file laid out like the welded one but with the original's
 *               code, attached likewise: same heap, same library addresses
 *     welded
 * A value that is equal in both kernel runs must be equal in the welded run.
 * One that is not depends on the layout (then the welded run must agree with
 * the twin) or changes from run to run (pid, time, cpu: it is masked).  Keys
 * that vary so are compared through the values they lead to.
 */
#ifndef BPFWELD_DIFF_H
#define BPFWELD_DIFF_H

#include <stdio.h>

#include "rewriter/weld.h"

/* All elements of one map at the end of a run, sorted by key. */
struct snap_map {
	uint32_t key_size, value_size;
	uint8_t *elem;       /* key, then value, without padding between */
	size_t nelem;
};
struct snapshot {
	struct snap_map *map; /* same order as bpf_set.map */
	size_t nmap;
	int status;           /* of the command, as wait() gives it */
	char *output;         /* path of what it printed */
};

/* --- diff.c: all of it.  `w` has been planned (dry_run) and not written.
 * Differences are printed to `to` as they are found. */
struct verdict {
	size_t compared, masked, different; /* values */
};
int diff_run(struct arena *a, const struct weld *w, char **command, FILE *to,
	     bool json, struct verdict *out, struct err *e);

/* --- kernel.c: links as kernel uprobes.  kernel_usable() says in `why` what
 * is missing when it returns false. */
struct kernel;
bool kernel_usable(const char **why);
/* Can the kernel probe this instruction without refusing, ignoring or breaking
 * it?  (arch/x86/kernel/uprobes.c uprobe_init_insn(), good_insns_64.) */
bool kernel_probes(const struct image *img, const struct link *l);
int kernel_attach(struct arena *a, const struct weld *w, const char *file,
		  struct kernel **out, struct err *e);
int kernel_snapshot(struct arena *a, const struct weld *w, struct kernel *k,
		    struct snapshot *out, struct err *e);
void kernel_detach(struct kernel *k);

/* --- welded.c: maps of a welded run from its region file. */
int welded_snapshot(struct arena *a, const struct weld *w, const char *region,
		    struct snapshot *out, struct err *e);

/* --- run.c: a private directory in which the target is found first. */
struct stage {
	char dir[64];
	char *file;           /* the target's place in it */
	char **command;       /* with the target's name replaced */
};
int stage_make(struct arena *a, const struct weld *w, char **command,
	       struct stage *out, struct err *e);
int stage_run(struct arena *a, const struct stage *s, const char *name,
	      struct snapshot *out, struct err *e);
void stage_remove(struct stage *s);

/* --- compare.c: differences as lines of text (or JSON). */
int snapshots_compare(struct arena *a, const struct weld *w,
		      const struct snapshot *kernel,
		      const struct snapshot *twin,
		      const struct snapshot *welded, FILE *to, bool json,
		      struct verdict *out, struct err *e);

/* --- fields.c: a BTF type as a list of its leaves. */
struct field {
	const char *name;    /* ".a.b[3]"; "" for a plain type */
	uint32_t off, size;  /* bytes */
};
struct field *fields_of(struct arena *a, const struct btf *btf, uint32_t type,
			uint32_t size, size_t *n);

#endif
