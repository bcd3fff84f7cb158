/* SPDX-License-Identifier: MIT */
/* emit.c - put the new file together.
 *
 * What changes in the original's bytes all goes through put(), which also
 * notes where: so emit_saved() can tell what to keep, and the same code run
 * without an output buffer answers it before there is an output.
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "elf/emit_parts.h"

struct output {
	struct arena *a;
	const struct image *img;
	const struct room *room;
	const struct edits *ed;
	uint8_t *p; /* the new file, or NULL: only tell what would change */
	struct saved *touched;
	size_t ntouched;
};

static void put(struct output *o, uint64_t off, const void *bytes, size_t len)
{
	struct saved *s;

	assert(bytes_at(o->img->file, off, len));
	if (o->p)
		memcpy(o->p + off, bytes, len);
	o->touched =
		arena_push(o->a, o->touched, o->ntouched, sizeof(*o->touched));
	s = &o->touched[o->ntouched++];
	s->off = off;
	s->bytes = (struct bytes){ o->img->file.p + off, len };
}

static int put_edits(struct output *o, struct err *e)
{
	const struct image *img = o->img;

	for (size_t i = 0; i < o->ed->nedit; i++) {
		const struct edit *d = &o->ed->edit[i];
		uint64_t off = image_offset(img, d->vaddr), unused;

		if (!image_at(img, d->vaddr, d->len))
			return fail(e, img->path, d->vaddr,
				    "%zu bytes to be patched are not all in "
				    "the file",
				    d->len);
		if (evicted_move(o->room, &off, &unused))
			return fail(e, img->path, d->vaddr,
				    "cannot patch what the program headers "
				    "displace");
		put(o, off, d->bytes, d->len);
	}
	for (size_t i = 0; i < o->ed->nraw; i++)
		put(o, o->ed->raw[i].off, o->ed->raw[i].bytes,
		    o->ed->raw[i].len);
	return 0;
}

/* --- program headers ---------------------------------------------------- */

static bool repeats_property(const struct image *img, const Elf64_Phdr *h)
{
	for (size_t i = 0; h->p_type == PT_NOTE && i < img->nseg; i++)
		if (img->seg[i].type == PT_GNU_PROPERTY &&
		    img->seg[i].off == h->p_offset &&
		    img->seg[i].filesz == h->p_filesz)
			return true;
	return false;
}

static bool dropped(const struct output *o, const Elf64_Phdr *h)
{
	return (o->room->drop_note && repeats_property(o->img, h)) ||
	       (o->room->drop_property && h->p_type == PT_GNU_PROPERTY);
}

static Elf64_Phdr new_load(uint32_t flags, uint64_t off, uint64_t vaddr,
			   uint64_t filesz, uint64_t memsz)
{
	return (Elf64_Phdr){ .p_type = PT_LOAD,
			     .p_flags = flags,
			     .p_offset = off,
			     .p_vaddr = vaddr,
			     .p_paddr = vaddr,
			     .p_filesz = filesz,
			     .p_memsz = memsz,
			     .p_align = PAGE };
}

static Elf64_Phdr frame_table(const struct output *o)
{
	const struct edits *ed = o->ed;
	uint64_t vaddr = o->room->rx_vaddr + ed->eh_frame_hdr;

	return (Elf64_Phdr){ .p_type = PT_GNU_EH_FRAME,
			     .p_flags = PF_R,
			     .p_offset = o->room->rx_off + ed->eh_frame_hdr,
			     .p_vaddr = vaddr,
			     .p_paddr = vaddr,
			     .p_filesz = ed->eh_frame_hdr_size,
			     .p_memsz = ed->eh_frame_hdr_size,
			     .p_align = 4 };
}

/* The original's header i as the output has it. */
static Elf64_Phdr old_header(const struct output *o, size_t i)
{
	const struct room *room = o->room;
	Elf64_Phdr h = phdr_of(o->img, i);
	uint64_t end = room->phoff + room->nphdr * sizeof(h);
	uint64_t at;

	switch (h.p_type) {
	case PT_PHDR:
		at = room->move_table
			     ? room->rx_vaddr + (room->phoff - room->rx_off)
			     : h.p_vaddr;
		h.p_offset = room->phoff;
		h.p_vaddr = h.p_paddr = at;
		break;
	case PT_LOAD: /* the one that ended with the shorter table */
		if (h.p_offset <= room->phoff &&
		    room->phoff - h.p_offset < h.p_filesz &&
		    end - h.p_offset > h.p_filesz)
			h.p_filesz = h.p_memsz = end - h.p_offset;
		break;
	case PT_GNU_EH_FRAME:
		if (o->ed->eh_frame_hdr_size)
			h = frame_table(o);
		break;
	case PT_INTERP:
	case PT_NOTE:
	case PT_GNU_PROPERTY:
		evicted_move(room, &h.p_offset, &h.p_vaddr);
		h.p_paddr = h.p_vaddr;
		break;
	}
	return h;
}

/* The whole table; returns how many.  `out` has room->nphdr of them. */
static size_t make_phdrs(const struct output *o, Elf64_Phdr *out)
{
	const struct edits *ed = o->ed;
	uint64_t rw_vaddr = emit_rw_vaddr(o->room, ed->rx_size);
	size_t last = 0, n = 0;

	for (size_t i = 0; i < o->img->nseg; i++)
		if (o->img->seg[i].type == PT_LOAD)
			last = i;
	for (size_t i = 0; i < o->img->nseg; i++) {
		Elf64_Phdr h = phdr_of(o->img, i);

		if (!dropped(o, &h))
			out[n++] = old_header(o, i);
		if (i != last)
			continue;
		out[n++] =
			new_load(PF_R | PF_X, o->room->rx_off,
				 o->room->rx_vaddr, ed->rx_size, ed->rx_size);
		if (ed->rw_memsz)
			out[n++] =
				new_load(PF_R | PF_W, rw_offset(o->room, ed),
					 rw_vaddr, ed->rw_size, ed->rw_memsz);
	}
	if (!o->img->eh_frame_hdr && ed->eh_frame_hdr_size)
		out[n++] = frame_table(o);
	assert(n <= o->room->nphdr);
	for (size_t i = 0; i < n; i++)
		if (out[i].p_type == PT_PHDR)
			out[i].p_filesz = out[i].p_memsz = n * sizeof(*out);
	return n;
}

/* --- the dynamic section and its symbols -------------------------------- */

/* DT_* that point to what may have been evicted. */
static const int64_t follows[] = {
	DT_GNU_HASH, DT_HASH,   DT_SYMTAB,  DT_STRTAB,
	DT_VERSYM,   DT_VERDEF, DT_VERNEED, DT_RELA,
};

static int put_dynamic(struct output *o, struct err *e)
{
	uint64_t value, at;

	for (size_t i = 0; i < sizeof(follows) / sizeof(*follows); i++) {
		uint64_t off, now;

		if (!dyn_find(o->img, follows[i], &value, &at))
			continue;
		off = image_offset(o->img, value);
		now = value;
		if (evicted_move(o->room, &off, &now))
			put(o, at, &now, sizeof(now));
	}
	if (!o->ed->init)
		return 0;
	if (!dyn_find(o->img, DT_INIT, &value, &at))
		return fail(e, o->img->path, NOWHERE, "has no DT_INIT");
	put(o, at, &o->ed->init, sizeof(o->ed->init));
	return 0;
}

size_t symbols_follow(const struct image *img, const struct room *room,
		      uint8_t *table, size_t size)
{
	Elf64_Sym s;
	size_t n = 0;

	for (size_t at = 0; at + sizeof(s) <= size; at += sizeof(s)) {
		const struct section *in;
		uint64_t off, vaddr;

		memcpy(&s, table + at, sizeof(s));
		if (!s.st_shndx || s.st_shndx >= img->nsec)
			continue;
		in = &img->sec[s.st_shndx];
		off = in->off;
		if (in->type == SHT_NOBITS || !(in->flags & SHF_ALLOC) ||
		    !evicted_move(room, &off, &vaddr))
			continue;
		s.st_value += vaddr - in->addr;
		memcpy(table + at, &s, sizeof(s));
		n++;
	}
	return n;
}

/* .dynsym, whether it has moved or not. */
static void put_dynsym(struct output *o)
{
	for (size_t i = 0; o->room->nevicted && i < o->img->nsec; i++) {
		const struct section *s = &o->img->sec[i];
		uint64_t off = s->off, vaddr;
		uint8_t *copy;

		if (s->type != SHT_DYNSYM)
			continue;
		copy = arena_dup(o->a, o->img->file.p + s->off, s->size);
		if (!symbols_follow(o->img, o->room, copy, s->size))
			continue;
		if (!evicted_move(o->room, &off, &vaddr))
			put(o, s->off, copy, s->size);
		else if (o->p)
			memcpy(o->ed->rx + (off - o->room->rx_off), copy,
			       s->size);
	}
}

/* --- all of it ---------------------------------------------------------- */

/* The original's part; `tail` may be NULL when only asking. */
static int put_head(struct output *o, const struct tail *tail, struct err *e)
{
	Elf64_Ehdr h = ehdr_of(o->img);
	Elf64_Phdr *ph = arena_alloc(o->a, o->room->nphdr * sizeof(*ph));
	size_t n = make_phdrs(o, ph);

	h.e_phoff = o->room->phoff;
	h.e_phnum = (uint16_t)n;
	h.e_entry = o->ed->entry ? o->ed->entry : h.e_entry;
	h.e_shentsize = sizeof(Elf64_Shdr);
	if (tail) {
		h.e_shoff = tail->shoff;
		h.e_shnum = tail->shnum;
		h.e_shstrndx = tail->shstrndx;
	}
	put(o, 0, &h, sizeof(h));
	if (!o->room->move_table)
		put(o, o->room->phoff, ph, n * sizeof(*ph));
	else if (o->p)
		memcpy(o->ed->rx + (o->room->phoff - o->room->rx_off), ph,
		       n * sizeof(*ph));
	put_dynsym(o);
	return put_dynamic(o, e) || put_edits(o, e) ? -1 : 0;
}

/* What stands before the caller's part of RX.  put_head() adds the table. */
static void fill_rx(const struct image *img, const struct room *room,
		    uint8_t *rx)
{
	memset(rx, 0, room->rx_start);
	memcpy(rx, WELD_MAGIC, sizeof(WELD_MAGIC));
	for (size_t i = 0; i < room->nevicted; i++)
		memcpy(rx + room->evicted[i].at,
		       img->file.p + room->evicted[i].off,
		       room->evicted[i].size);
}

static int by_offset(const void *x, const void *y)
{
	const struct saved *a = x, *b = y;

	return a->off < b->off ? -1 : a->off > b->off;
}

/* Sort, and join what touches. */
static size_t join(const struct image *img, struct saved *s, size_t n)
{
	size_t out = 0;

	if (!n)
		return 0;
	qsort(s, n, sizeof(*s), by_offset);
	for (size_t i = 1; i < n; i++) {
		uint64_t end = s[out].off + s[out].bytes.n;

		if (s[i].off > end)
			s[++out] = s[i];
		else if (s[i].off + s[i].bytes.n > end)
			s[out].bytes.n = s[i].off + s[i].bytes.n - s[out].off;
		s[out].bytes.p = img->file.p + s[out].off;
	}
	return out + 1;
}

int emit_saved(struct arena *a, const struct image *img,
	       const struct room *room, const struct edits *ed,
	       struct saved **saved, size_t *nsaved, struct err *e)
{
	struct output o = { .a = a, .img = img, .room = room, .ed = ed };

	if (put_head(&o, NULL, e))
		return -1;
	*nsaved = join(img, o.touched, o.ntouched);
	*saved = o.touched;
	return 0;
}

int emit_write(struct arena *a, const struct image *img,
	       const struct room *room, const struct edits *ed, const char *out,
	       struct err *e)
{
	struct output o = { .a = a, .img = img, .room = room, .ed = ed };
	mode_t mode = img->mode;
	struct tail tail;
	struct bytes all;

	/* Some kernels mishandle a segment that has no bytes in the file. */
	assert(ed->rw_size || !ed->rw_memsz);
	assert(ed->rw_size <= ed->rw_memsz && ed->rx_size >= room->rx_start);
	if (tail_make(a, img, room, ed, &tail, e))
		return -1;
	all.n = tail.off + tail.n;
	all.p = o.p = arena_alloc(a, all.n);
	memcpy(o.p, img->file.p, img->file.n);
	fill_rx(img, room, ed->rx);
	if (put_head(&o, &tail, e))
		return -1;
	memcpy(o.p + room->rx_off, ed->rx, ed->rx_size);
	if (ed->rw_size)
		memcpy(o.p + rw_offset(room, ed), ed->rw, ed->rw_size);
	memcpy(o.p + tail.off, tail.p, tail.n);
	if (!ed->allow_setuid)
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	return file_write(out, all, mode, img->path, ed->allow_setuid, e);
}
