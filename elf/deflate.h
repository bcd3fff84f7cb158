/* SPDX-License-Identifier: MIT */
/* deflate.h - bytes in the form of a compressed ELF section: a header that says
 * how many there were (Elf64_Chdr, as under SHF_COMPRESSED), then zlib's.
 */
#ifndef BPFWELD_DEFLATE_H
#define BPFWELD_DEFLATE_H

#include "elf/arena.h"
#include "elf/bytes.h"

struct bytes deflate_bytes(struct arena *a, struct bytes b, uint64_t align);
/* Hostile bytes, or none: false.  No more memory is taken than a stream of that
 * length can fill. */
bool inflate_bytes(struct arena *a, struct bytes b, struct bytes *out);

#endif
