/* SPDX-License-Identifier: MIT */
/* trail.h - the way of a CO-RE record through types of uapi.h, and what little
 * of BTF that and core.c both need.
 *
 * What the object has must have the size that the table has; nothing else of
 * its layout counts, as it may leave out what it does not use.
 */
#ifndef BPFWELD_BPF_TRAIL_H
#define BPFWELD_BPF_TRAIL_H

#include <bpf/btf.h>

#include "elf/arena.h"
#include "rewriter/bpf/uapi.h"

struct trail {
	const struct uapi *in; /* whose field comes next; NULL: lost */
	uint64_t base;         /* where that begins, in bits */
	uint64_t at;           /* where the last member begins */
	char inside[80];       /* "in6_u." */
};

/* Step to member `i` of the object's type `of`; to element `i` of an array of
 * elements of `size` bytes. */
void trail_member(struct arena *a, const struct btf *btf,
		  const struct btf_type *of, uint32_t i, struct trail *t);
void trail_element(struct trail *t, uint32_t i, int64_t size);

/* Has what `t` is in all members of the object's type `id`? */
bool trail_matches(struct arena *a, const struct btf *btf, uint32_t id,
		   const struct trail *t);

/* The word that a bit field is read by, as libbpf finds it: `size`, which was
 * the declared type's, and `at`, both in bytes.  false: none is wide enough. */
bool trail_word(const struct trail *t, uint32_t bits, uint64_t *at,
		uint32_t *size);

/* What is behind typedefs and const; a name up to its ___flavor. */
const struct btf_type *btf_plain(const struct btf *btf, uint32_t *id);
size_t btf_essential(const char *name);
const char *btf_type_name(struct arena *a, const struct btf *btf,
			  const struct btf_type *t);

#endif
