/* SPDX-License-Identifier: MIT */
/* named.h - the function that a name means.
 *
 * A name is looked up as libbpf does it: .dynsym first, then .symtab, then the
 * debug file; functions only; one strong symbol wins over weak ones; two
 * different strong ones are ambiguous.  One thing differs: f without a version
 * means the default one, f@@VER, as it does to the linker, be that an IFUNC
 * (which is refused, rather than that an old f@VER is taken, which programs do
 * not call).
 */
#ifndef BPFWELD_NAMED_H
#define BPFWELD_NAMED_H

#include "rewriter/site/site.h"
#include "rewriter/bind.h"

/* The address of sp->func, of version sp->version if it has one; the names of
 * functions without symbols (fn_HEX) count, too.  -1: `e` says what is like it. */
int function_named(struct arena *a, const struct sites *s,
		   const struct spec *sp, uint64_t *addr, struct err *e);
/* For who writes names as C++ and Rust do, with ::; NULL: nobody does here. */
const char *name_hint(struct arena *a, const struct image *img,
		      const char *name);
/* Why a file may not have it: another one has it, or names were stripped; or
 * "". */
const char *name_missing(struct arena *a, const struct image *img,
			 const char *name);

#endif
