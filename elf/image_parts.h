/* SPDX-License-Identifier: MIT */
/* image_parts.h - what the readers behind image.h share; nobody else's.
 *
 * image_parse() calls them in this order, each fills its fields of the image
 * and may use what the ones before it filled:
 *
 *     header.c       ELF header, segments, sections; the refusals
 *     dynamic.c      PT_DYNAMIC, notes, interpreter: what kind of file it is
 *     symbol.c       .dynsym and .symtab (debugfile.c: separate debug file)
 *     gopclntab.c    Go's function table, buildinfo.c: its version
 *     unwind_read.c  .eh_frame
 *     lsda.c         exception tables
 *     reloc.c        code pointers
 *
 * ELF records are copied out of the file (bytes_get): nothing promises that
 * they are aligned.
 */
#ifndef BPFWELD_IMAGE_PARTS_H
#define BPFWELD_IMAGE_PARTS_H

#include "elf/image.h"

/* What PT_DYNAMIC says; 0 where it is silent. */
struct dynamic {
	uint64_t tag[DT_NUM]; /* by DT_*, for the tags below DT_NUM */
	uint64_t gnu_hash, flags_1;
	uint64_t versym, verdef, verneed;
	struct bytes str; /* DT_STRTAB, ends in a NUL or is empty */
};

/* A welded file is refused, unless those are wanted, too. */
int header_read(struct arena *a, struct image *img, bool welded_too,
		struct err *e);
int dynamic_read(struct image *img, struct dynamic *d, struct err *e);
int symbols_read(struct arena *a, struct image *img, const struct dynamic *d,
		 struct err *e);
/* How many symbols DT_SYMTAB has; false: a hash table that cannot be right. */
bool dynsym_count(const struct image *img, const struct dynamic *d,
		  uint64_t *count);
int go_read(struct arena *a, struct image *img, const struct dynamic *d,
	    struct err *e);
/* The Go version that the file was built by, NULL where it does not say; *is_go
 * is set when the file is Go's, whatever version. */
const char *go_version(struct arena *a, const struct image *img, bool *is_go);
/* Go's contribution to the landing pads, behind lsdas_read(). */
void go_landings(struct arena *a, struct image *img);
int fdes_read(struct arena *a, struct image *img, const struct dynamic *d,
	      struct err *e);
int lsdas_read(struct arena *a, struct image *img, struct err *e);
int codeptrs_read(struct arena *a, struct image *img, const struct dynamic *d,
		  struct err *e);

/* Sections and segments of any 64-bit ELF file, without image_parse()'s
 * demands on segments (a debug file's lie about its content). */
int sections_read(struct arena *a, struct image *img, struct err *e);
/* The symbols of img's SHT_SYMTAB (it may be a debug file's) into `to`. */
int symtab_read(struct arena *a, const struct image *img, struct image *to,
		enum symbol_from from, struct err *e);
void symbols_sort(struct image *img);
/* Add the symbols of img's separate debug file, if one is installed. */
void debugfile_read(struct arena *a, struct image *img);
/* The build-id among the notes of b, or nothing. */
struct bytes build_id_in(struct bytes b, uint64_t align);

/* The file bytes from vaddr to the end of its segment's file part. */
static inline struct bytes image_from(const struct image *img, uint64_t vaddr)
{
	return (struct bytes){ image_at(img, vaddr, 0),
			       image_room(img, vaddr) };
}

static inline uint64_t file_offset(const struct image *img, const void *p)
{
	return (uint64_t)((const uint8_t *)p - img->file.p);
}

/* A section's bytes; none when the file holds none for it. */
static inline struct bytes section_bytes(const struct image *img,
					 const struct section *s)
{
	if (s->type == SHT_NULL || s->type == SHT_NOBITS)
		return (struct bytes){ 0 };
	return (struct bytes){ img->file.p + s->off, s->size };
}

/* A copy of the record at off. */
static inline bool bytes_get(struct bytes b, uint64_t off, void *to, size_t n)
{
	const uint8_t *p = bytes_at(b, off, n);

	if (p)
		memcpy(to, p, n);
	return p;
}

/* A string table, cut behind its last NUL, so that any offset below n is a
 * string. */
static inline struct bytes bytes_strings(struct bytes b)
{
	while (b.n && b.p[b.n - 1])
		b.n--;
	return b;
}

static inline struct cursor cursor_at(struct bytes b, uint64_t at)
{
	return (struct cursor){ b, at, false };
}

/* Lists of addresses. */
struct addrs {
	uint64_t *v;
	size_t n;
};
void addrs_add(struct arena *a, struct addrs *l, uint64_t addr);
void addrs_sort(struct addrs *l); /* and make unique */

/* DW_EH_PE_*: how .eh_frame and LSDAs write pointers (LSB 5.0 §10.5.1). */
enum {
	ENC_ABSPTR = 0x00,
	ENC_ULEB = 0x01,
	ENC_UDATA2 = 0x02,
	ENC_UDATA4 = 0x03,
	ENC_UDATA8 = 0x04,
	ENC_SLEB = 0x09,
	ENC_SDATA2 = 0x0a,
	ENC_SDATA4 = 0x0b,
	ENC_SDATA8 = 0x0c,
	ENC_FORMAT = 0x0f, /* mask of the above */
	ENC_PCREL = 0x10,
	ENC_DATAREL = 0x30,
	ENC_RELATIVE = 0x70, /* mask of the two above and those unused */
	ENC_INDIRECT = 0x80,
	ENC_OMIT = 0xff,
};
/* Read one pointer.  `vaddr` is the address of c's first byte, `data` the base
 * of data-relative ones.  0 stays 0, whatever it is relative to: it means that
 * there is none.  An encoding we do not know sets c->bad. */
uint64_t cur_encoded(struct cursor *c, const struct image *img, uint8_t enc,
		     uint64_t vaddr, uint64_t data);

#endif
