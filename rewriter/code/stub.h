/* SPDX-License-Identifier: MIT */
/* stub.h - link the runtime stub into the welded file.
 *
 * In:   the stub as one relocatable object (built with the tool, embedded in
 *       it) and the names that are needed.
 * Out:  its reachable sections, placed in RX and RW, relocated.
 * Then: no relocation is left; text holds no absolute address.
 */
#ifndef BPFWELD_STUB_H
#define BPFWELD_STUB_H

#include "elf/err.h"
#include "rewriter/code/asm.h"

struct stub {
	struct stub_symbol *sym; /* private */
	size_t nsym;
	struct bytes data;       /* initialised RW data, stands at RW offset 0 */
	uint64_t bss_size;       /* zeroes behind it */
	struct bytes eh_frame;   /* finished, stands at eh_frame_vaddr in RX */
	uint64_t eh_frame_vaddr;
	uint64_t own_rw;         /* weld_own's offset in RW, page aligned */
	uint64_t stacks_rw;      /* weld_stacks', the same */
	uint64_t region_rw;      /* weld_region's, the same */
	uint64_t returns_rw;     /* weld_returns' offset in RW */
	uint64_t rw_memsz;       /* data + bss + region */
};

struct stub_extern {
	const char *name;  /* weld_info, weld_orig_entry, ... */
	uint64_t vaddr;
	const char *alias; /* not NULL: a root that it is another name of */
};

/* Append the stub's text and read-only data to `rx`.  `root` are the symbols
 * needed; what they do not reach is left out.  The sizes of weld_region and
 * weld_returns fix RW. */
int stub_link(struct code *rx, const char *const *root, size_t nroot,
	      const struct stub_extern *ext, size_t next,
	      uint64_t region_size, uint64_t returns_size, struct stub *out,
	      struct err *e);
/* vaddr of a stub function; it must have been a root (or reached). */
uint64_t stub_symbol(const struct stub *s, const char *name);

#endif
