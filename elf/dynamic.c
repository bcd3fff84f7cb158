/* SPDX-License-Identifier: MIT */
/* dynamic.c - what the program headers say about the whole file: PT_DYNAMIC,
 * the interpreter, the build-id, and from them whether it is a program or a
 * shared object.  Nothing here needs section headers.
 */
#include "elf/dynamic.h"
#include "elf/image_parts.h"

/* The entry at *off, and on to the next; false behind the last. */
static bool next_entry(struct bytes b, uint64_t *off, Elf64_Dyn *dyn)
{
	if (!bytes_get(b, *off, dyn, sizeof(*dyn)) || dyn->d_tag == DT_NULL)
		return false;
	*off += sizeof(*dyn);
	return true;
}

static struct bytes entries(const struct image *img, const struct segment *s)
{
	struct bytes b = image_from(img, s->vaddr);

	b.n = s->filesz < b.n ? s->filesz : b.n;
	return b;
}

bool dynamic_get(const struct image *img, int64_t tag, uint64_t *value)
{
	for (size_t i = 0; i < img->nseg; i++) {
		uint64_t off = 0;
		Elf64_Dyn dyn;

		if (img->seg[i].type != PT_DYNAMIC)
			continue;
		while (next_entry(entries(img, &img->seg[i]), &off, &dyn)) {
			if (dyn.d_tag != tag)
				continue;
			*value = dyn.d_un.d_val;
			return true;
		}
		break;
	}
	return false;
}

static void take(struct dynamic *d, const Elf64_Dyn *dyn)
{
	switch (dyn->d_tag) {
	case DT_GNU_HASH:
		d->gnu_hash = dyn->d_un.d_ptr;
		break;
	case DT_FLAGS_1:
		d->flags_1 = dyn->d_un.d_val;
		break;
	case DT_VERSYM:
		d->versym = dyn->d_un.d_ptr;
		break;
	case DT_VERDEF:
		d->verdef = dyn->d_un.d_ptr;
		break;
	case DT_VERNEED:
		d->verneed = dyn->d_un.d_ptr;
		break;
	default:
		if (dyn->d_tag >= 0 && dyn->d_tag < DT_NUM)
			d->tag[dyn->d_tag] = dyn->d_un.d_val;
	}
}

static int tags_read(struct image *img, const struct segment *s,
		     struct dynamic *d, struct err *e)
{
	uint64_t off = 0;
	Elf64_Dyn dyn;

	img->dynamic = true;
	if (s->filesz > image_room(img, s->vaddr))
		return fail(e, img->path, s->off,
			    "PT_DYNAMIC is not in a LOAD segment");
	while (next_entry(entries(img, s), &off, &dyn))
		take(d, &dyn);
	return 0;
}

static int strings_read(struct image *img, struct dynamic *d, struct err *e)
{
	uint64_t at = d->tag[DT_STRTAB], soname = d->tag[DT_SONAME];

	if (!at)
		return 0;
	d->str = image_from(img, at);
	if (d->tag[DT_STRSZ] > d->str.n)
		return fail(e, img->path, at,
			    "DT_STRTAB points past its segment");
	d->str.n = d->tag[DT_STRSZ];
	d->str = bytes_strings(d->str);
	if (!soname)
		return 0;
	if (soname >= d->str.n)
		return fail(e, img->path, at,
			    "DT_SONAME points past the string table");
	img->soname = (const char *)d->str.p + soname;
	return 0;
}

static int interp_read(struct image *img, const struct segment *s,
		       struct err *e)
{
	const uint8_t *p = bytes_at(img->file, s->off, s->filesz);

	if (!p || !s->filesz || !memchr(p, 0, s->filesz))
		return fail(e, img->path, s->off,
			    "PT_INTERP is not a string in the file");
	img->interp = (const char *)p;
	return 0;
}

/* The content of the first GNU note of this type. */
static struct bytes note_in(struct bytes b, uint64_t align, uint32_t type)
{
	uint64_t at = 0, to = align == 8 ? 8 : 4;
	Elf64_Nhdr h;

	/* A note that runs out of its segment ends the search: some tools
	 * leave padding behind the last one. */
	while (bytes_get(b, at, &h, sizeof(h))) {
		uint64_t name = at + sizeof(h);
		uint64_t desc = align_up(name + h.n_namesz, to);
		const uint8_t *p = bytes_at(b, desc, h.n_descsz);
		const uint8_t *n = bytes_at(b, name, h.n_namesz);

		if (!p || !n)
			break;
		if (h.n_type == type && h.n_namesz == 4 &&
		    !memcmp(n, "GNU", 4))
			return (struct bytes){ p, h.n_descsz };
		at = align_up(desc + h.n_descsz, to);
	}
	return (struct bytes){ 0 };
}

struct bytes build_id_in(struct bytes b, uint64_t align)
{
	return note_in(b, align, NT_GNU_BUILD_ID);
}

/* A bit of GNU_PROPERTY_X86_FEATURE_1_AND (x86-64 psABI, program properties). */
static bool has_property(struct bytes desc, uint32_t bit)
{
	struct cursor c = cursor_at(desc, 0);

	while (!c.bad && c.at < desc.n) {
		uint32_t type = cur_u32(&c), size = cur_u32(&c);
		struct cursor value = c;

		cur_take(&c, align_up(size, 8));
		if (type == GNU_PROPERTY_X86_FEATURE_1_AND && size == 4)
			return cur_u32(&value) & bit;
	}
	return false;
}

/* GNU_PROPERTY_X86_UINT32_OR_AND_LO and _HI, which elf.h lacks. */
enum { X86_USED_LO = 0xc0010000, X86_USED_HI = 0xc0017fff };

/* Does it ask for anything?  Bits that say what was used ask for nothing, and
 * the baseline of the instruction set is what there always is. */
static bool asks(struct bytes desc)
{
	struct cursor c = cursor_at(desc, 0);

	while (!c.bad && c.at < desc.n) {
		uint32_t type = cur_u32(&c), size = cur_u32(&c);
		struct cursor value = c;

		cur_take(&c, align_up(size, 8));
		if (type >= X86_USED_LO && type <= X86_USED_HI)
			continue;
		if (type != GNU_PROPERTY_X86_ISA_1_NEEDED || size != 4 ||
		    (cur_u32(&value) & ~GNU_PROPERTY_X86_ISA_1_BASELINE))
			return true;
	}
	return c.bad;
}

static void properties_read(struct image *img)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];
		const uint8_t *p = bytes_at(img->file, s->off, s->filesz);
		struct bytes note = { p, s->filesz };

		if (!p || s->type != PT_GNU_PROPERTY)
			continue;
		note = note_in(note, 8, NT_GNU_PROPERTY_TYPE_0);
		img->asks = !note.p || asks(note);
		img->shadow_stack = has_property(
			note, GNU_PROPERTY_X86_FEATURE_1_SHSTK);
	}
}

static void build_id_read(struct image *img)
{
	for (size_t i = 0; i < img->nseg && !img->build_id.n; i++) {
		const struct segment *s = &img->seg[i];
		const uint8_t *p = bytes_at(img->file, s->off, s->filesz);

		if (s->type == PT_NOTE && p)
			img->build_id = build_id_in(
				(struct bytes){ p, s->filesz }, s->align);
	}
	for (size_t i = 1; i < img->nsec && !img->build_id.n; i++) {
		const struct section *s = &img->sec[i];

		if (s->type == SHT_NOTE)
			img->build_id =
				build_id_in(section_bytes(img, s), s->align);
	}
}

int dynamic_read(struct image *img, struct dynamic *d, struct err *e)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type == PT_DYNAMIC && !img->dynamic &&
		    tags_read(img, s, d, e))
			return -1;
		if (s->type == PT_INTERP && !img->interp &&
		    interp_read(img, s, e))
			return -1;
		if (s->type == PT_GNU_EH_FRAME)
			img->eh_frame_hdr = s->vaddr;
	}
	if (strings_read(img, d, e))
		return -1;
	build_id_read(img);
	properties_read(img);
	/* Linkers have set DF_1_PIE since 2015; an older program is told by its
	 * interpreter.  A library that can also be run has a soname too. */
	img->dso = img->type == ET_DYN && !(d->flags_1 & DF_1_PIE) &&
		   (!img->interp || img->soname);
	return 0;
}
