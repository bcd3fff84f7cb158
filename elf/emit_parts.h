/* SPDX-License-Identifier: MIT */
/* emit_parts.h - what the files of emit share among themselves.
 *
 *   emit_plan.c  where everything will stand
 *   emit.c       the head: ELF header, program headers, dynamic section
 *   emit_tail.c  what follows the segments: symbols, strings, section headers
 *   emit_file.c  bytes onto the disk
 */
#ifndef BPFWELD_EMIT_PARTS_H
#define BPFWELD_EMIT_PARTS_H

#include "elf/emit.h"

enum {
	PAGE = 4096,
	WELD_HEADER_SIZE = 64,
	NEW_SEGMENTS = 2, /* RX and RW; a table of frames may come to them */
};

/* A run of the original that moved to RX because the program-header table
 * needs its place: one section, or all that one PT_NOTE spans. */
struct evicted {
	uint64_t off, vaddr, size; /* in the original */
	uint64_t at;               /* from the start of RX */
};

/* If the byte at *off was evicted, make both say where it is now. */
bool evicted_move(const struct room *room, uint64_t *off, uint64_t *vaddr);

/* The value of a DT_* entry and the file offset of the word that holds it. */
bool dyn_find(const struct image *img, int64_t tag, uint64_t *value,
	      uint64_t *off);

/* Raw headers of the original; the image has checked that they are there. */
Elf64_Ehdr ehdr_of(const struct image *img);
Elf64_Phdr phdr_of(const struct image *img, size_t i);
Elf64_Shdr shdr_of(const struct image *img, size_t i);

/* RW in the file, page aligned. */
uint64_t rw_offset(const struct room *room, const struct edits *ed);

/* Everything behind RW's file part. */
struct tail {
	uint64_t off; /* of p[0] in the output */
	uint8_t *p;
	size_t n;
	uint64_t shoff;
	uint16_t shnum, shstrndx;
};
int tail_make(struct arena *a, const struct image *img, const struct room *room,
	      const struct edits *ed, struct tail *tail, struct err *e);

/* A symbol table whose symbols in evicted sections are brought up to date:
 * `table` is a copy of section `index`.  Returns how many were changed. */
size_t symbols_follow(const struct image *img, const struct room *room,
		      uint8_t *table, size_t size);

/* emit_file, and capabilities too when `privileged`. */
int file_write(const char *out, struct bytes content, mode_t mode,
	       const char *xattrs_of, bool privileged, struct err *e);

#endif
