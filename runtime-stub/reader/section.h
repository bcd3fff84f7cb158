/* SPDX-License-Identifier: MIT */
/* section.h - find one section of a 64-bit little-endian ELF file by name.
 *
 * For files whose other structures do not concern us: a welded file, of which
 * the readers want the manifest only.  Every offset is checked against `file`;
 * hostile bytes give an empty result.
 */
#ifndef BPFWELD_SECTION_H
#define BPFWELD_SECTION_H

#include "elf/bytes.h"

/* The content of section NAME, inside `file`; n == 0 when there is none. */
struct bytes section_find(struct bytes file, const char *name);

#endif
