/* SPDX-License-Identifier: MIT */
/* deflate.c - compressed sections, by zlib (which libelf needs as well).
 * Source: ELF gABI, "Section Compression"; RFC 1951.
 */
#include <assert.h>
#include <elf.h>
#include <zlib.h>

#include "elf/deflate.h"

/* Deflate makes no byte stand for more than this. */
enum { RATIO_MAX = 1032 };

struct bytes deflate_bytes(struct arena *a, struct bytes b, uint64_t align)
{
	Elf64_Chdr head = { .ch_type = ELFCOMPRESS_ZLIB,
			    .ch_size = b.n,
			    .ch_addralign = align };
	uLongf n = compressBound(b.n);
	uint8_t *p = arena_alloc(a, sizeof(head) + n);
	int bad;

	memcpy(p, &head, sizeof(head));
	bad = compress2(p + sizeof(head), &n, b.p, b.n,
			Z_DEFAULT_COMPRESSION);
	assert(bad == Z_OK); /* there is room, and memory */
	return (struct bytes){ p, sizeof(head) + n };
}

bool inflate_bytes(struct arena *a, struct bytes b, struct bytes *out)
{
	Elf64_Chdr head;
	uLongf n;
	uint8_t *p;

	if (b.n < sizeof(head))
		return false;
	memcpy(&head, b.p, sizeof(head));
	b.p += sizeof(head);
	b.n -= sizeof(head);
	if (head.ch_type != ELFCOMPRESS_ZLIB ||
	    head.ch_size / RATIO_MAX > b.n)
		return false;
	n = head.ch_size;
	p = arena_alloc(a, n + 1);
	if (uncompress(p, &n, b.p, b.n) != Z_OK || n != head.ch_size)
		return false;
	*out = (struct bytes){ p, n };
	return true;
}
