/* SPDX-License-Identifier: MIT */
/* note.c - read .note.stapsdt (its format: note.h). */
#include "elf/image_parts.h"
#include "elf/note.h"

enum { STAPSDT = 3, ALIGN = 4, WORDS = 24 };
static const char owner[] = "stapsdt";

struct notes {
	struct arena *a;
	const struct image *img;
	uint64_t moved; /* .stapsdt.base's address, or 0 */
	struct sdt_note *v;
	size_t n;
	struct err *e;
};

static int bad_note(const struct notes *l, const uint8_t *at, const char *what)
{
	return fail(l->e, l->img->path, file_offset(l->img, at),
		    ".note.stapsdt: %s", what);
}

static int desc_read(struct notes *l, struct bytes desc)
{
	struct cursor c = cursor_at(desc, 0);
	struct sdt_note note = { .addr = cur_u64(&c) };
	uint64_t base = cur_u64(&c);

	note.sema = cur_u64(&c);
	note.at = file_offset(l->img, desc.p);
	note.provider = bytes_str(desc, WORDS);
	note.name = note.provider
		? bytes_str(desc, WORDS + strlen(note.provider) + 1) : NULL;
	note.args = note.name
		? bytes_str(desc, (uint64_t)((const uint8_t *)note.name -
					     desc.p) + strlen(note.name) + 1)
		: NULL;
	if (c.bad || !note.args)
		return bad_note(l, desc.p, "a probe's description is cut off");
	if (!*note.provider || !*note.name)
		return bad_note(l, desc.p, "a probe without a name");
	if (base && l->moved)
		note.moved = l->moved - base;
	note.addr += note.moved;
	if (!image_is_code(l->img, note.addr))
		return 0;
	l->v = arena_push(l->a, l->v, l->n, sizeof(*l->v));
	l->v[l->n++] = note;
	return 0;
}

static int section_read(struct notes *l, struct bytes b)
{
	struct cursor c = cursor_at(b, 0);

	while (c.at < b.n) {
		const uint8_t *start = b.p + c.at;
		uint64_t namesz = cur_u32(&c), descsz = cur_u32(&c);
		uint32_t type = cur_u32(&c);
		const uint8_t *name = cur_take(&c, align_up(namesz, ALIGN));
		const uint8_t *desc = cur_take(&c, descsz);

		if (c.bad)
			return bad_note(l, start, "a note is cut off");
		if (type == STAPSDT && namesz == sizeof(owner) &&
		    !memcmp(name, owner, sizeof(owner)) &&
		    desc_read(l, (struct bytes){ desc, descsz }))
			return -1;
		c.at = align_up(c.at, ALIGN);
	}
	return 0;
}

int sdt_notes_read(struct arena *a, const struct image *img,
		   struct sdt_note **out, size_t *n, struct err *e)
{
	const struct section *base = image_section(img, ".stapsdt.base");
	struct notes l = { .a = a, .img = img, .e = e };

	l.moved = base ? base->addr : 0;
	for (size_t i = 1; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];

		if (s->type == SHT_NOTE && !strcmp(s->name, ".note.stapsdt") &&
		    section_read(&l, section_bytes(img, s)))
			return -1;
	}
	*out = l.v;
	*n = l.n;
	return 0;
}
