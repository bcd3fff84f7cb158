/* SPDX-License-Identifier: MIT */
/* diff.h - the kernel as judge: one workload under kernel uprobes and welded,
 * everything compared.
 *
 * Runs of the same command:
 *     kernel    the original file, the links attached as uprobes
 *     twin      a file laid out like the welded one but with the original's
 *               code, attached likewise: same heap, same library addresses
 *     welded
 *     twin      again, as long as something is left that is not explained
 *
 * A value of the welded run is right when any of the kernel's runs has it.
 * Otherwise it is masked where the twins differ among themselves (pid, time,
 * cpu), and where they agree it is a difference.  What depends on the layout
 * only (addresses) is the same in all twins, so the welded run must have it.
 */
#ifndef BPFWELD_DIFF_H
#define BPFWELD_DIFF_H

#include <signal.h>
#include <stdio.h>

#include "elf/text.h"
#include "rewriter/weld.h"
#include "runtime-stub/ring.h"

/* A ring's records are elements, too: the key is a record's number, the value its
 * length (4 bytes) and the first of its bytes, then zeroes.  So are a queue's: the
 * key says when it comes out. */
enum { RING_KEY = 4, RING_BYTES = 256, RING_VALUE = 4 + RING_BYTES };
static inline uint32_t snap_key_size(const struct bpf_map_def *d)
{
	return ring_is(d->type) || !d->key_size ? RING_KEY : d->key_size;
}
static inline uint32_t snap_value_size(const struct bpf_map_def *d)
{
	return ring_is(d->type) ? RING_VALUE : d->value_size;
}

/* All elements of one map at the end of a run. */
struct snap_map {
	uint32_t key_size, value_size;
	uint8_t *elem;       /* key, then value, without padding between */
	size_t nelem;
};
struct snapshot { /* of one run */
	struct snap_map *map; /* same order as bpf_set.map */
	size_t nmap;
	int status;           /* of the command: exit code, or 128 + signal */
	const char *output;   /* path of what it printed */
	double seconds;
	size_t killed;        /* processes it left behind, ended by us */
	bool hung;            /* it did not come to an end */
	uint64_t hits, missed; /* welded only: all probes together */
	uint64_t failed;       /* ... their runs that a guard ended */
};

/* What people call a map: its name, ".bss" and the like for sections. */
static inline const char *map_label(const struct bpf_map_def *d)
{
	const char *dot = d->data == DATA_NONE ? NULL : strchr(d->name, '.');

	return dot ? dot : d->name;
}

/* --- fields.c: a BTF type as a list of its leaves.  An array of plain values
 * is one field: a histogram of times is masked as a whole or not at all. */
struct field {
	const char *name;    /* "a.b"; "" for a plain type */
	uint32_t off, size;  /* bytes */
	uint32_t step;       /* of one array element; == size for no array */
	uint32_t type;       /* BTF id (of an array's element), 0: bytes */
	uint32_t group;      /* fields of one array of structs have the same */
	bool text;           /* an array of char */
};
struct field *fields_of(struct arena *a, const struct btf *btf, uint32_t type,
			uint32_t size, size_t *n);

/* What all CPUs have of one value: numbers are added up, of all else the last
 * that is not zero counts.  `all`: n values, `stride` bytes apart. */
void percpu_fold(struct arena *a, const struct weld *w,
		 const struct bpf_map_def *d, const uint8_t *all, size_t n,
		 size_t stride, uint8_t *out);

/* Of a ring's elements, all of which have `len` bytes (0: not all the same):
 * the length, and the fields of the struct called `name`, if it has this size;
 * without a name, of the one that has it, as `trace` shows them; else words of
 * four bytes. */
struct field *ring_fields(struct arena *a, const struct bpf_map_def *d,
			  const struct btf *btf, const char *name, uint32_t len,
			  size_t *n);
/* One more record of a ring. */
void ring_record_add(struct arena *a, struct snap_map *m, const void *data,
		     size_t len);

/* --- compare.c: what the runs do not have in common. */
enum difference_kind {
	DIFF_FIELD,   /* kernel, welded: elements that differ in `field` */
	DIFF_ELEMENT, /* one of kernel and welded is NULL */
	DIFF_COUNT,   /* number of elements */
	DIFF_STATUS,
	DIFF_OUTPUT,  /* number: the first line that differs */
};
struct difference {
	enum difference_kind kind;
	uint32_t map;
	const uint8_t *kernel, *welded;
	const struct field *field; /* its `off` counts from the key's start */
	uint32_t index;            /* in the field, when it is an array */
	uint64_t number[2];        /* kernel, welded */
	const char *text[2];
};
struct mask { /* fields that vary from run to run */
	uint32_t map;
	const char *field;
	size_t values;
};
struct verdict {
	size_t equal, masked, different; /* values */
	size_t open; /* after two kernel runs: more are needed to decide */
	struct difference *diff;
	size_t ndiff;
	struct mask *mask;
	size_t nmask;
	bool output_varies;
};
/* run[0] is the kernel's, run[1..nrun) are twins.  `opt->ignore` is a list of
 * globs for MAP or MAP.FIELD: masked without looking.  Sorts the snapshots; for
 * `opt->text` it clears what is behind a NUL in their values. */
struct diff_options;
void snapshots_compare(struct arena *a, const struct weld *w,
		       struct snapshot *const *run, size_t nrun,
		       struct snapshot *welded, const struct diff_options *opt,
		       struct verdict *out);

/* --- report.c: the verdict for people, or as one JSON object. */
struct diff_options {
	char **command;             /* ends with NULL */
	const char *const *ignore;
	size_t nignore;
	const char *type; /* the struct that records are, or NULL (typed.h) */
	bool text; /* of arrays of char, nothing behind the NUL is compared */
	bool json, verbose;
};
struct diff_result {
	struct verdict verdict;
	struct snapshot *run[8]; /* kernel, twins; nrun of them */
	size_t nrun;
	struct snapshot welded;
	const char **warning;
	size_t nwarning;
};
void diff_report(FILE *to, const struct weld *w,
		 const struct diff_options *opt, const struct diff_result *r);

/* --- diff.c: all of it.  `w` has been planned (dry_run) and not written. */
bool diff_usable(const char **why);
int diff_run(struct arena *a, const struct weld *w,
	     const struct diff_options *opt, struct diff_result *out,
	     struct err *e);

/* --- kernel.c, elements.c: links as kernel uprobes, and what they leave in
 * maps.  kernel_usable() says in `why` what is missing when it returns false. */
struct kernel;
bool kernel_usable(const char **why);
int kernel_attach(struct arena *a, const struct weld *w, const char *file,
		  struct kernel **out, struct err *e);
/* The same with fewer links, which are faster to remove. */
int kernel_attach_many(struct arena *a, const struct weld *w, const char *file,
		       struct kernel **out, struct err *e);
int kernel_snapshot(struct arena *a, const struct weld *w, struct kernel *k,
		    struct snapshot *out, struct err *e);
/* Take out what rings and perf buffers hold, and count it. */
int kernel_drain(const struct weld *w, struct kernel *k, size_t *n,
		 struct err *e);
void kernel_detach(struct kernel *k);
/* refs.c: the elements' values, ids of programs or maps, become our numbers. */
struct bpf_object;
void refs_number(const struct weld *w, const struct bpf_object *obj,
		 const struct bpf_map_def *d, struct snap_map *out);

/* --- probeable.c: can the kernel probe this instruction without refusing,
 * ignoring or breaking it? */
bool kernel_probes(const struct image *img, const struct link *l);

/* --- welded.c: maps of a welded run from its region file. */
int welded_snapshot(struct arena *a, const struct weld *w, const char *region,
		    struct snapshot *out, struct err *e);

/* --- sandbox.c: where the command finds our file in the target's place. */
struct sandbox {
	const char *dir;      /* private; NULL when it is closed */
	const char *target;   /* absolute path without links */
	char **command;
	sigset_t old, wait;   /* signals before, and those that we wait for */
	bool mounted;
	unsigned runs;
	int stopped_by;       /* signal that broke a run off, or 0 */
};
bool sandbox_usable(const char **why);
int sandbox_open(struct arena *a, const char *target, char **command,
		 struct sandbox *out, struct err *e);
/* Run the command with `file` in the target's place; `limit` seconds, 0 for
 * no limit. */
int sandbox_run(struct arena *a, struct sandbox *s, const char *file,
		double limit, struct snapshot *out, struct err *e);
/* When a signal has broken a run off, it is raised at last. */
void sandbox_close(struct sandbox *s);

#endif
