/* SPDX-License-Identifier: MIT */
/* usdt.h - programs on USDT probes get their arguments.
 *
 * In:   links whose `note` is set.
 * Out:  their spec: what a program of theirs may ask for.  link.cookie is the
 *       spec's number, as libbpf has it, and link.prog a program made for it.
 *       The map __bpf_usdt_specs of each object holds its specs from the
 *       beginning.
 * Then: no call of bpf_usdt_arg(), bpf_usdt_arg_cnt() or bpf_usdt_cookie()
 *       is left that would have to search: where the argument is asked for by
 *       its number, the call has become the read of a register or of memory
 *       (fold.c); the rest call a function made for the spec.
 *
 * Sites share a spec when one attachment (a SEC(), or a -p option) has them and
 * their arguments are in the same places.  Numbers count from 0 in each object,
 * in the order of attachment.
 */
#ifndef BPFWELD_USDT_H
#define BPFWELD_USDT_H

#include "rewriter/patch/patch.h"
#include "rewriter/usdt/argspec.h"

struct usdt_spec {
	const struct sdt_note *note; /* the first that has it */
	struct argspec args;
	uint64_t cookie;   /* the user's: bpf_usdt_cookie() */
	uint64_t site;     /* probed address that places in the image are told
			      from, when `by_site`: then it is this site's
			      alone */
	bool by_site;
	uint32_t object, order, id;
	uint32_t prog;     /* made for it; or the one it was bound with */
	/* The first operand that the map cannot say, for the kernel's programs
	 * and for those that read it themselves; NULL: it says all. */
	const struct operand *unsaid;
};

int usdt_programs(struct arena *a, const struct image *img,
		  struct bpf_set *set, struct links *links, struct err *e);

/* specs.c: put a spec into the object's map, whose layout is what its BTF says
 * (there are two).  Sets spec->unsaid. */
int specs_write(struct arena *a, struct bpf_set *set, struct usdt_spec *spec,
		struct err *e);
/* fold.c: a program whose every question about the arguments is answered. */
int fold_program(struct arena *a, const struct bpf_set *set,
		 const struct usdt_spec *spec, struct bpf_prog *p,
		 struct err *e);

/* nop5.c: --usdt-nop5.  No program is bound; each site that is a nop of one
 * byte becomes one of five, which kernels from 6.18 on enter by a call instead
 * of a trap.  `set` gets a program that stands for the absence of one. */
int nop5_links(struct arena *a, const struct sites *s, struct bpf_set *set,
	       struct links *links, struct facts **facts, struct err *e);
/* The notes of sites that are somewhere else now, by file offset. */
size_t nop5_notes(struct arena *a, const struct links *links,
		  const struct plan *plan, struct raw_edit **edit);

/* A semaphore, and how many welded sites name it. */
struct semaphore {
	uint64_t addr;
	uint16_t value;
};
/* sema.c: of the links that are placed (probe_of[] is not UINT32_MAX). */
size_t semaphores(struct arena *a, const struct image *img,
		  const struct links *links, const uint32_t *probe_of,
		  struct semaphore **out);

#endif
