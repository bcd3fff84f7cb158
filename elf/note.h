/* SPDX-License-Identifier: MIT */
/* note.h - what .note.stapsdt says of a file's USDT probes.
 *
 * In:   an image.
 * Out:  one record for each note, in file order; strings point into the file.
 * Then: addr is in the file part of an executable segment; strings end.
 * A malformed note is an error with its file offset.
 *
 *     u32 namesz 8, descsz, type 3;  "stapsdt\0"
 *     u64 location                     of the nop
 *     u64 base                         of .stapsdt.base when it was linked
 *     u64 semaphore                    a u16 in .probes, or 0
 *     provider\0 name\0 arguments\0    the whole padded to 4 bytes
 *
 * Notes are not loaded and tools that move sections (prelink) leave them as
 * they are.  How far .stapsdt.base is from `base` says how far code was moved.
 */
#ifndef BPFWELD_NOTE_H
#define BPFWELD_NOTE_H

#include "elf/image.h"

struct sdt_note {
	const char *provider, *name, *args; /* args may be "" */
	uint64_t addr;
	uint64_t sema; /* as it stands: libbpf and the kernel move no
			  semaphore either; or 0 */
	uint64_t at;   /* file offset of the location ... */
	uint64_t moved; /* ... to which this is added to give addr */
};

/* A note whose location is no code is left out: linkers that discard a
 * function leave the notes of its probes behind, with a location near 0. */
int sdt_notes_read(struct arena *a, const struct image *img,
		   struct sdt_note **out, size_t *n, struct err *e);

#endif
