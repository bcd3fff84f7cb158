/* SPDX-License-Identifier: MIT */
/* weld.h - the whole run: target + objects -> a welded file.
 *
 * In:   what the command line said.
 * Out:  every stage's product, for the commands that show a plan.
 * Then: when weld() returned 0 and `dry_run` was not set, OUT is complete; in
 *       every other case OUT is as it was and nothing is left behind.
 */
#ifndef BPFWELD_WELD_H
#define BPFWELD_WELD_H

#include "rewriter/patch/patch.h"

struct weld_options {
	const char *target, *out;
	const char *const *object; /* paths of .bpf.o files */
	uint32_t nobject;
	const char *const *probe;  /* -p PROG=SPEC */
	uint32_t nprobe;
	const char *const *set;    /* --set VAR=VALUE */
	uint32_t nset;
	enum engine engine;
	enum fault_mode { FAULT_AUTO, FAULT_SIGNAL, FAULT_SYSCALL } fault;
	bool dry_run;              /* do everything but write */
	bool strict;               /* one probe not placed, or one guard, fails
				      the run */
	bool allow_setuid;
	bool usdt_nop5;            /* no programs: USDT sites become nop5 */
	uint32_t cpus;             /* that PERCPU maps have values for; 0: the
				      usual number */
	bool go_once;              /* entry probes of Go count calls */
	bool no_pin;               /* pinned maps are this weld's alone */
	bool allow_trap;           /* int3 where there is no other way */
	FILE *log;                 /* NULL, or what the verifier saw of programs
				      that it refuses */
	const char *dump;          /* stage whose product is printed, or NULL */
	/* NULL, or which links to keep (diff: those the kernel can probe). */
	bool (*keep)(const struct image *img, const struct link *l);
};

struct weld {
	struct arena arena;
	struct image img;
	struct sites sites;
	struct bpf_set set;
	struct links links;
	size_t ndropped;          /* links that opt->keep left out */
	struct facts *facts;      /* per program */
	struct judged *judged;    /* likewise; NULL before they were */
	struct plan plan;
	uint32_t *probe_of;       /* per link: number in the region */
	uint32_t nprobe;          /* links that are placed */
	size_t *places;           /* per program: at how many places it is */
	bool *tailed;             /* likewise: is it continued in? */
	bool dense;               /* very many sites: bytes count */
	uint8_t weld_id[16];
	uint32_t fault;           /* enum fault_way (abi.h) */
	uint64_t fault_libs;      /* of weld_info */
	const char *fault_why;
	bool data_stays;          /* .data and .bss can always be read */
	bool faults;              /* a program touches what may not be there */
	struct region region;
	struct room room;
	struct code rx;
	struct stub stub;
	uint64_t info_vaddr;
	uint64_t *func_of;        /* per program: function form, or 0 */
	uint64_t **sub;           /* per program: subprograms' addresses */
	uint64_t *vm_insns;       /* per program: bytecode, or 0 */
	struct built built;
	struct code_shapes shapes; /* of the function forms */
	uint64_t eh_frame, eh_frame_hdr; /* offsets in rx */
	uint64_t eh_frame_size, eh_frame_hdr_size;
	struct bytes debug_frame; /* the same for debuggers, not loaded */
	struct edits edits;
};

/* image_read().  Of a file that --usdt-nop5 made, a refusal says so; to be listed
 * it is read as it is. */
int target_read(struct arena *a, const char *path, bool to_list,
		struct image *img, struct err *e);
/* Refuses --allow-trap where no site could be a trap. */
int trap_check(const struct weld_options *opt, const struct image *img,
	       struct err *e);
int weld(struct weld *w, const struct weld_options *opt, struct err *e);
void weld_free(struct weld *w);

#endif
