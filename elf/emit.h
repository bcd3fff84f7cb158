/* SPDX-License-Identifier: MIT */
/* emit.h - write image + edits as a new ELF file, atomically.
 *
 *   original file, every byte at its offset and address (patches in place)
 *   | RX: weld header 64 B, evicted sections, then the caller's code
 *   | RW: the caller's data; memsz may be larger (bss)
 *   | sections that are not loaded: symbols, strings, notes, header table
 *
 * The program-header table grows where it stands (e_phoff does not change);
 * what is in its way is evicted into RX and its phdrs, DT_* and symbols follow.
 * Where that cannot be (a PROGBITS section is in the way, e_phoff is odd) the
 * table moves into RX such that vaddr - offset equals the first LOAD's.
 * Knows nothing of probes: code, data, names and notes are the caller's.
 */
#ifndef BPFWELD_EMIT_H
#define BPFWELD_EMIT_H

#include "elf/image.h"

#define WELD_MAGIC "BPFWELD" /* first 8 bytes of the RX segment, with the NUL */

/* Where new things will stand; fixed before any code is generated. */
struct room {
	uint64_t rx_vaddr, rx_off; /* page aligned */
	uint64_t rx_start;         /* first free byte of RX, from its start:
				      header and evicted data come before */
	bool frame_table;          /* the output has a PT_GNU_EH_FRAME: the
				      original had, or there is room for one */
	/* Private to emit: */
	struct evicted *evicted;
	size_t nevicted;
	uint64_t phoff;            /* of the output's program headers */
	size_t nphdr;
	bool drop_note;            /* PT_NOTE that only repeats PROPERTY */
	bool drop_property;        /* PROPERTY that asks for nothing */
	bool move_table;
};
int emit_plan(struct arena *a, const struct image *img, struct room *room,
	      struct err *e);

/* RW follows RX: its address when RX is `rx_size` bytes long. */
uint64_t emit_rw_vaddr(const struct room *room, uint64_t rx_size);

struct edit {            /* bytes replaced in the original, at their vaddr */
	uint64_t vaddr;
	const uint8_t *bytes;
	size_t len;
};
struct raw_edit {        /* the same by file offset, in what is not loaded */
	uint64_t off;
	const uint8_t *bytes;
	size_t len;
};
enum new_in { IN_RX, IN_RW, IN_BSS, NOT_LOADED };
struct new_section {
	const char *name;
	enum new_in in;
	uint64_t at, size;   /* from the start of RX or RW (bss counts on) */
	uint32_t type;       /* SHT_PROGBITS, SHT_NOBITS, SHT_NOTE */
	uint64_t align;
	struct bytes content; /* for NOT_LOADED only */
	bool data;           /* IN_RX, but not instructions (notes never are) */
	bool compressed;     /* NOT_LOADED: content is (elf/deflate.h) */
};
struct new_symbol {
	const char *name;
	enum new_in in;      /* IN_RX or IN_RW */
	uint64_t at, size;
	uint8_t type;        /* STT_FUNC or STT_OBJECT */
};
struct edits {
	/* Whole RX content.  Its first room.rx_start bytes are filled in by
	 * emit (the buffer is written to). */
	uint8_t *rx;
	uint64_t rx_size;
	const uint8_t *rw;
	uint64_t rw_size, rw_memsz;
	const struct edit *edit;     /* sorted by vaddr, no overlap */
	size_t nedit;
	const struct raw_edit *raw;
	size_t nraw;
	const struct new_section *sec;
	size_t nsec;
	const struct new_symbol *sym;
	size_t nsym;
	/* From the start of RX; size 0: keep the old one.  The section header
	 * .eh_frame_hdr follows by itself, it needs no new_section. */
	uint64_t eh_frame_hdr, eh_frame_hdr_size;
	uint64_t entry;              /* new e_entry vaddr, 0: keep */
	uint64_t init;               /* new DT_INIT vaddr, 0: keep; an error
					where there is no DT_INIT */
	bool allow_setuid;           /* keep S_ISUID and S_ISGID */
};

/* The original's bytes that differ in the output, so that it can be restored:
 * the output's first img->file.n bytes with these written back are the
 * original.  Sorted by offset. */
struct saved {
	uint64_t off;
	struct bytes bytes;
};

/* Make the output in memory.  `saved` may be called for before the manifest
 * exists: emit_saved() gives what emit_write() will overwrite, and does not
 * depend on the content of NOT_LOADED sections. */
int emit_saved(struct arena *a, const struct image *img,
	       const struct room *room, const struct edits *ed,
	       struct saved **saved, size_t *nsaved, struct err *e);
/* Write to OUT: temporary file beside it, mode and xattrs of the original,
 * fsync, rename.  On any failure OUT is as it was and nothing is left. */
int emit_write(struct arena *a, const struct image *img,
	       const struct room *room, const struct edits *ed,
	       const char *out, struct err *e);
/* The same atomic writing for any bytes (unweld uses it).  Mode is taken as it
 * is; xattrs_of may be NULL; file capabilities are never copied. */
int emit_file(const char *out, struct bytes content, mode_t mode,
	      const char *xattrs_of, struct err *e);

#endif
