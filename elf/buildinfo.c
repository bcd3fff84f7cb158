/* SPDX-License-Identifier: MIT */
/* buildinfo.c - which Go version a file was built by.
 *
 *   .go.buildinfo: "\xff Go buildinf:", pointer size, flags
 *     flags bit 1 set (1.18 on): at 32 the version, its length before it as a
 *                                varint
 *     else:                      at 16 the address of a string header
 *
 * It stands at a multiple of 16 in the writable data, so that it is found
 * without sections too.
 */
#include "elf/image_parts.h"

enum { ALIGN = 16, FLAGS = 15, POINTER = 16, INLINE = 32, IS_INLINE = 2 };
enum { VERSION_MAX = 100 };
static const char magic[] = "\xff Go buildinf:";
enum { MAGIC = sizeof(magic) - 1 };

static struct bytes find_in(struct bytes b, uint64_t vaddr)
{
	for (uint64_t at = -vaddr & (ALIGN - 1); at + MAGIC <= b.n;
	     at += ALIGN)
		if (!memcmp(b.p + at, magic, MAGIC))
			return (struct bytes){ b.p + at, b.n - at };
	return (struct bytes){ 0 };
}

static struct bytes find(const struct image *img)
{
	const struct section *s = image_section(img, ".go.buildinfo");
	struct bytes b = { 0 };

	if (s)
		b = find_in(section_bytes(img, s), s->addr);
	for (size_t i = 0; i < img->nseg && !b.n; i++) {
		const struct segment *g = &img->seg[i];

		if (g->type == PT_LOAD && g->flags & PF_W && g->filesz)
			b = find_in(image_from(img, g->vaddr), g->vaddr);
	}
	return b;
}

static const char *text(struct arena *a, const uint8_t *p, uint64_t n)
{
	if (!p || !n || n > VERSION_MAX)
		return NULL;
	for (uint64_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] > '~')
			return NULL;
	return arena_printf(a, "%.*s", (int)n, (const char *)p);
}

const char *go_version(struct arena *a, const struct image *img, bool *is_go)
{
	struct bytes b = find(img);
	struct cursor c = cursor_at(b, INLINE);
	uint64_t at, str[2];

	*is_go = b.n != 0;
	if (b.n < INLINE)
		return NULL;
	if (b.p[FLAGS] & IS_INLINE) {
		uint64_t n = cur_uleb(&c);

		return c.bad ? NULL : text(a, bytes_at(b, c.at, n), n);
	}
	/* In a PIE the loader fills these in; then the table has to tell. */
	if (!bytes_get(b, POINTER, &at, sizeof(at)) ||
	    !bytes_get(image_from(img, at), 0, str, sizeof(str)))
		return NULL;
	return text(a, image_at(img, str[0], str[1]), str[1]);
}
