/* SPDX-License-Identifier: MIT */
/* unwind.h - frame descriptions for code that we add, and the sorted lookup
 * table over old and new ones.
 *
 * A trampoline begins in the frame state that its site had, so its FDE repeats
 * the CFA program of the site's function up to the site (advances removed).
 * Then it says for each of its stretches how far the stack pointer is below the
 * target's, which registers wait on the stack, and how much of the site has
 * been executed: a displaced push has the effect it had in the function.
 *
 * Unwinders in the process and perf use the table; debuggers look sections up
 * by name.  So:
 *   .eh_frame_hdr  the new one stands for the old (emit moves the old section
 *                  header to it).  Its eh_frame_ptr still names the old
 *                  .eh_frame, which libdw reads FDEs relative to
 *   .eh_frame      stays the old one: gdb would use the last of that name only.
 *                  Ours needs another name and is reached by the table
 *                  (but where there is none: then ours has that name)
 *   .debug_frame   says the same as ours, for gdb and libdw; not loaded
 * A static program without PT_GNU_EH_FRAME gets one where emit finds room for
 * it: its .eh_frame is registered by crtbeginT.o, and libgcc looks up in the
 * table what it does not find there.  Otherwise it gets the last alone.
 * Source: DWARF 5 §6.4, LSB 5.0 §10.6 (.eh_frame_hdr).
 */
#ifndef BPFWELD_UNWIND_H
#define BPFWELD_UNWIND_H

#include "elf/image.h"

struct kept {              /* a register's value is in memory: */
	uint8_t reg;       /* its DWARF number */
	int32_t at;        /* rsp + at */
};
struct depth {             /* from start + at on, */
	uint32_t at;
	uint32_t below;    /* rsp is this many bytes below the target's; above
			      it is a negative number, cast */
	int32_t sp;        /* not 0: on another stack; the target's rsp, less
			      `below`, is stored at rsp + sp */
	uint32_t done;     /* bytes of the site that have been executed */
	uint32_t moved;    /* how far those lowered rsp: counts where no `of`
			      tells */
	const struct kept *kept;
	size_t nkept;
};
struct frame_desc {
	uint64_t start, size;     /* new code, vaddr */
	const struct fde *of;     /* the site's function; NULL: `start` is the
				     entry of an ordinary function */
	uint64_t pc;              /* the site */
	const struct depth *depth; /* sorted by at */
	size_t ndepth;
	struct bytes raw;         /* or all of the CFA program, if n > 0 */
};

struct unwind {
	struct bytes eh_frame;     /* to stand at eh_frame_vaddr */
	struct bytes eh_frame_hdr; /* to stand at hdr_vaddr */
	struct bytes debug_frame;  /* NOT_LOADED section of that name; n is 0
				      where the image has one of its own */
	size_t skipped;            /* frames that no FDE can describe: the site
				      is in a PLT or in a signal frame */
};
/* The registers (DWARF numbers, as bits) by which the frame at `pc` is found,
 * and those that are its caller's still.  They may be dead to the function: rbp
 * before it is popped; rbx when it was pushed, but the FDE says so later. */
uint32_t unwind_needs(struct arena *a, const struct fde *of, uint64_t pc);
/* How far is the stack pointer at pc below where it will be when the function
 * has returned?  8: at the return address.  UNWIND_UNKNOWN where the frame is
 * found by another register. */
enum { UNWIND_UNKNOWN = INT32_MAX };
int32_t unwind_height(const struct fde *of, uint64_t pc);
/* Is a frame at px found the way one at py is? */
bool unwind_same(struct arena *a, const struct fde *x, uint64_t px,
		 const struct fde *y, uint64_t py);
/* How large both will be, at most; without a table there is no hdr, and an
 * .eh_frame only if the image has none either.  Frames that stand end to end in
 * `d` may share an FDE. */
int unwind_size(const struct frame_desc *d, size_t n, const struct image *img,
		bool table, size_t stub_fdes, size_t *eh_frame, size_t *hdr);
/* Write both.  `stub` is a finished .eh_frame that already stands at
 * stub_vaddr (its FDEs enter the table).  Old FDEs are referred to in place.
 * hdr_vaddr 0: no table. */
int unwind_write(struct arena *a, const struct image *img,
		 const struct frame_desc *d, size_t n, struct bytes stub,
		 uint64_t stub_vaddr, uint64_t eh_frame_vaddr,
		 uint64_t hdr_vaddr, struct unwind *out, struct err *e);

#endif
