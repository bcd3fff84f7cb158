/* SPDX-License-Identifier: MIT */
/* manifest.h - what a welded file says about itself.
 *
 * Stored in section .bpfweld.manifest, at the end of the RX segment (strip
 * tools leave loaded sections alone; the pages are never touched), compressed
 * (elf/deflate.h).  Packed form: a sequence of records {u32 tag, u32 length,
 * bytes, pad to 8}; unknown tags are skipped.  Parsing hostile bytes is an
 * error, never a crash.
 */
#ifndef BPFWELD_MANIFEST_H
#define BPFWELD_MANIFEST_H

#include "elf/emit.h"
#include "elf/image.h"
#include "runtime-stub/layout.h"

struct manifest_object {
	const char *name, *path;
	struct bytes bytes; /* the .bpf.o as it was */
	struct bytes btf;   /* its BTF as libbpf completed it: a compiler leaves
			       the variables' offsets to the linker */
};
struct manifest_map {
	struct region_map map;
	const char *name; /* whole name */
	uint32_t object, btf_key, btf_value;
	uint32_t data; /* enum bpf_data of bpf.h: 0 not a section */
};
struct manifest_prog { /* in the order in which maps of programs count them */
	const char *name;
};
struct manifest_probe {
	const char *prog;
	const char *kind; /* "uprobe", "uretprobe", "usdt:PROVIDER:NAME" */
	const char *func;
	uint64_t addr, offset; /* probed instruction; its offset in func */
	int64_t patch;     /* its patch begins so far from addr */
	uint64_t bias;     /* patch's address less its offset in the file */
	uint64_t tramp;
	uint32_t patch_len;
	const char *tactic;
};
struct manifest {
	/* Of the file, by manifest_read(): does it run as its owner? */
	bool is_setuid;
	uint32_t owner;
	const char *tool;   /* "bpfweld 0.1" */
	const char *target; /* path given at weld time */
	const char *engine; /* "native" or "vm" */
	const char *fault;  /* "signal" or "syscall", and why */
	const char *fault_why;
	uint8_t weld_id[16];
	uint64_t original_size;
	uint8_t original_hash[16]; /* XXH3-128 of the original file */
	uint64_t region_size;
	struct saved *saved;
	size_t nsaved;
	struct manifest_object *object;
	size_t nobject;
	struct manifest_map *map;
	size_t nmap;
	struct manifest_prog *prog;
	size_t nprog; /* 0 where no map has programs */
	struct manifest_probe *probe;
	size_t nprobe; /* by probe number */
};

/* How many maps answer best to a name, the first of them in *map: "OBJECT:NAME",
 * else NAME, else a data section's own name (".bss" for "x.bss"). */
size_t manifest_find(const struct manifest *m, const char *name, uint32_t *map);
/* "uprobe:main+0x4" */
const char *manifest_spec(struct arena *a, const struct manifest_probe *p);
/* The bytes that the probe's patch replaced; none where it has no patch. */
struct bytes manifest_original(const struct manifest *m,
			       const struct manifest_probe *p);
struct bytes manifest_pack(struct arena *a, const struct manifest *m);
int manifest_parse(struct arena *a, const char *file, struct bytes packed,
		   struct manifest *out, struct err *e);
/* From a welded file; "not a welded file" when it has none.  `whole_file` may
 * be NULL; else it gets a copy of the file, in the arena like all the rest. */
int manifest_read(struct arena *a, const char *path, struct manifest *out,
		  struct bytes *whole_file, struct err *e);
void content_hash(struct bytes b, uint8_t out[16]); /* XXH3-128 */

#endif
