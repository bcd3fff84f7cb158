/* SPDX-License-Identifier: MIT */
/* unwind_parts.h - what the files that write frame descriptions share. */
#ifndef BPFWELD_UNWIND_PARTS_H
#define BPFWELD_UNWIND_PARTS_H

#include "elf/unwind.h"

struct cie {
	struct bytes insns;
	uint64_t code_align;
	int64_t data_align;
	uint8_t ra_reg;
};
bool cie_same(const struct cie *x, const struct cie *y);

/* What one FDE says. */
struct run {
	struct cie cie;
	uint64_t start, size;
	struct bytes insns; /* the writer's: good until the next run */
	bool lost;          /* no FDE can say it */
};
struct writer;
struct writer *writer_new(struct arena *a);
/* The first of n > 0 frames and those behind it that fit into the same FDE.
 * Returns how many. */
size_t run_describe(struct writer *w, const struct frame_desc *d, size_t n,
		    struct run *out);

#endif
