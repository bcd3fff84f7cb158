/* SPDX-License-Identifier: MIT */
/* debugfile.c - names from the separate debug file of a stripped target.
 *
 * Looked for where gdb does: by build-id, then by .gnu_debuglink in the
 * target's directory, its .debug/, and the same path under /usr/lib/debug.
 * A file found must prove that it belongs to the target, by its build-id or,
 * where the target has none, by the CRC in the link.  The names are a help
 * only: whatever is wrong with the debug file, the target is read without it.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/image_parts.h"

#define DEBUG_ROOT "/usr/lib/debug"

struct link { /* .gnu_debuglink */
	const char *name;
	uint32_t crc;
};

/* The CRC-32 of zlib and Ethernet, a nibble at a time. */
static uint32_t crc32(struct bytes b)
{
	uint32_t table[16], crc = ~UINT32_C(0);

	for (uint32_t i = 0; i < 16; i++) {
		table[i] = i;
		for (int bit = 0; bit < 4; bit++)
			table[i] =
				table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	}
	for (size_t i = 0; i < b.n; i++) {
		crc ^= b.p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static bool same_bytes(struct bytes x, struct bytes y)
{
	return x.n == y.n && !memcmp(x.p, y.p, x.n);
}

static bool belongs(const struct image *img, const struct image *debug,
		    const struct link *link)
{
	if (img->build_id.n) {
		struct bytes id = { 0 };

		for (size_t i = 1; i < debug->nsec && !id.n; i++) {
			const struct section *s = &debug->sec[i];

			if (s->type == SHT_NOTE)
				id = build_id_in(section_bytes(debug, s),
						 s->align);
		}
		return same_bytes(id, img->build_id);
	}
	return link && crc32(debug->file) == link->crc;
}

static bool map_debug(const char *path, struct bytes *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	void *p = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    st.st_size >= (off_t)sizeof(Elf64_Ehdr))
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
			 0);
	close(fd);
	if (p == MAP_FAILED)
		return false;
	*b = (struct bytes){ p, (size_t)st.st_size };
	return true;
}

static bool is_elf64(struct bytes b)
{
	return !memcmp(b.p, ELFMAG, SELFMAG) && b.p[EI_CLASS] == ELFCLASS64 &&
	       b.p[EI_DATA] == ELFDATA2LSB;
}

/* Take path's symbols if it is the right file. */
static bool try_file(struct arena *a, struct image *img, const char *path,
		     const struct link *link)
{
	struct image debug = { .path = path };
	size_t had = img->nsym, had_tls = img->ntls;
	struct err ignored;
	bool ok;

	if (!map_debug(path, &debug.file))
		return false;
	ok = is_elf64(debug.file) && !sections_read(a, &debug, &ignored) &&
	     belongs(img, &debug, link) &&
	     !symtab_read(a, &debug, img, SYM_DEBUG, &ignored);
	if (!ok) {
		img->nsym = had;
		img->ntls = had_tls;
	}
	munmap((void *)debug.file.p, debug.file.n);
	return ok;
}

static bool by_build_id(struct arena *a, struct image *img)
{
	char hex[2 * 64 + 1], *path;
	struct bytes id = img->build_id;

	if (id.n < 2 || id.n > 64)
		return false;
	for (size_t i = 0; i < id.n; i++)
		snprintf(hex + 2 * i, 3, "%02x", id.p[i]);
	path = arena_printf(a, DEBUG_ROOT "/.build-id/%.2s/%s.debug", hex,
			    hex + 2);
	return try_file(a, img, path, NULL);
}

/* Name, NUL, zeroes up to a multiple of 4, CRC. */
static bool link_read(const struct image *img, struct link *link)
{
	const struct section *s = image_section(img, ".gnu_debuglink");
	struct bytes b;

	if (!s)
		return false;
	b = section_bytes(img, s);
	link->name = bytes_str(b, 0);
	/* The target may not send us elsewhere: a plain file name only. */
	if (!link->name || !*link->name || strchr(link->name, '/'))
		return false;
	return bytes_get(b, align_up(strlen(link->name) + 1, 4), &link->crc,
			 sizeof(link->crc));
}

static void by_link(struct arena *a, struct image *img)
{
	static const char *const place[] = { "%s/%s", "%s/.debug/%s",
					     DEBUG_ROOT "%s/%s" };
	char real[PATH_MAX], path[PATH_MAX + 2 * NAME_MAX];
	const char *dir;
	struct link link;

	if (!link_read(img, &link) || !realpath(img->path, real))
		return;
	dir = dirname(real);
	for (size_t i = 0; i < sizeof(place) / sizeof(*place); i++) {
		int n = snprintf(path, sizeof(path), place[i], dir, link.name);

		if (n < (int)sizeof(path) && try_file(a, img, path, &link))
			return;
	}
}

void debugfile_read(struct arena *a, struct image *img)
{
	for (size_t i = 1; i < img->nsec; i++)
		if (img->sec[i].type == SHT_SYMTAB)
			return; /* it was not stripped */
	if (!by_build_id(a, img))
		by_link(a, img);
}
