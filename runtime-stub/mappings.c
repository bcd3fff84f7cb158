/* SPDX-License-Identifier: MIT */
/* mappings.c - read /proc/self/maps, and the build ids of what is mapped.
 *
 * A file's ELF header is where its offset 0 is mapped, which is before its
 * code. The build id's note is found by its address: a welded file may have it
 * in its last segment.  Every byte is asked for before it is read.  Where there
 * is no /proc nothing is seen.
 */
#include <elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "runtime-stub/fault.h"
#include "runtime-stub/mappings.h"
#include "runtime-stub/sys.h"

enum {
	CHUNK = 128,
	FIRST_PAGE = 4096,
	NOTES = 64,
	GNU_BUILD_ID = 3
};

/* --- Lines: start-end perms offset dev inode path. */

enum field {
	START,
	END,
	PERMS,
	OFFSET,
	DEVICE,
	INODE,
	PATH,
	FIELDS
};

struct line {
	uint64_t v[FIELDS]; /* numbers so far */
	uint32_t field;
	bool exec;
	char *path;
	uint32_t len, room;
};

static bool line_end(struct line *l, mapping_see *see, void *arg)
{
	struct mapping m = {
		.start = l->v[START],
		.end = l->v[END],
		.offset = l->v[OFFSET],
		.device = l->v[DEVICE],
		.inode = l->v[INODE],
		.exec = l->exec,
	};

	if (l->path)
		l->path[l->len] = 0;
	l->len = 0;
	l->field = START;
	l->v[START] = 0;
	l->exec = false;
	return see(arg, &m);
}

static uint64_t digit(char c)
{
	return c <= '9' ? (uint64_t)c - '0' : (uint64_t)c - 'a' + 10;
}

static void line_char(struct line *l, char c)
{
	uint32_t base = l->field == INODE ? 10 : 16;

	if (l->field == PATH) {
		if (l->path && (l->len || c != ' ') && l->len + 1 < l->room)
			l->path[l->len++] = c;
	} else if (c == ' ' || (c == '-' && l->field == START)) {
		l->v[++l->field] = 0;
	} else if (l->field == PERMS) {
		l->exec |= c == 'x';
	} else if (c == ':') {
		l->v[DEVICE] <<= 32;
	} else {
		l->v[l->field] = l->v[l->field] * base + digit(c);
	}
}

static bool lines_read(char *chunk, long size, mapping_see *see, void *arg,
		       char *path, uint32_t n)
{
	long fd = sys4(__NR_openat, AT_FDCWD, (long)"/proc/self/maps",
		       O_RDONLY | O_CLOEXEC, 0);
	struct line l = { .path = path, .room = n };
	bool more = true;
	long got = 0;

	if (fd < 0)
		return false;
	while (more && (got = sys3(__NR_read, fd, (long)chunk, size)) > 0)
		for (long i = 0; i < got && more; i++)
			if (chunk[i] == '\n')
				more = line_end(&l, see, arg);
			else
				line_char(&l, chunk[i]);
	sys1(__NR_close, fd);
	return got >= 0;
}

void mappings_each(mapping_see *see, void *arg, char *path, uint32_t n)
{
	char chunk[CHUNK];

	lines_read(chunk, CHUNK, see, arg, path, n);
}

bool mappings_read(char *chunk, uint32_t size, mapping_see *see, void *arg)
{
	return lines_read(chunk, size, see, arg, NULL, 0);
}

/* --- Build ids. */

static bool fetch(void *to, uint64_t from, uint64_t n)
{
	if (!can_read(from, n))
		return false;
	mem_copy(to, (const void *)from, n);
	return true;
}

static uint64_t padded(uint32_t n)
{
	return (n + UINT64_C(3)) & ~UINT64_C(3);
}

/* In a segment of notes. */
static bool id_in_notes(struct mapped_file *f, uint64_t at, uint64_t end)
{
	const uint32_t gnu = 0x00554e47; /* "GNU\0" */
	struct {
		Elf64_Nhdr n;
		uint32_t name;
	} h;

	for (int i = 0; i < NOTES && at < end && end - at > sizeof(h); i++) {
		if (!fetch(&h, at, sizeof(h)))
			return false;
		if (h.n.n_type == NT_GNU_BUILD_ID &&
		    h.n.n_namesz == sizeof(gnu) && h.name == gnu &&
		    h.n.n_descsz && h.n.n_descsz <= BUILD_ID)
			return fetch(f->id, at + sizeof(h), h.n.n_descsz);
		at += sizeof(h.n) + padded(h.n.n_namesz) + padded(h.n.n_descsz);
	}
	return false;
}

/* The header is the file's; its addresses are `bias` below ours. */
static bool id_in_segments(struct mapped_file *f, const Elf64_Ehdr *h)
{
	uint64_t bias = 0, at = f->start + h->e_phoff;
	Elf64_Phdr p;

	if (!can_read(at, h->e_phnum * sizeof(p)))
		return false;
	for (int want_notes = 0; want_notes < 2; want_notes++)
		for (uint32_t i = 0; i < h->e_phnum; i++) {
			mem_copy(&p, (const void *)(at + i * sizeof(p)),
				 sizeof(p));
			if (!want_notes && p.p_type == PT_LOAD &&
			    p.p_offset < FIRST_PAGE)
				bias = f->start - (p.p_vaddr - p.p_offset);
			if (want_notes && p.p_type == PT_NOTE &&
			    id_in_notes(f, bias + p.p_vaddr,
					bias + p.p_vaddr + p.p_filesz))
				return true;
		}
	return false;
}

static bool id_find(struct mapped_file *f)
{
	Elf64_Ehdr h;

	return fetch(&h, f->start, sizeof(h)) &&
	       load32(h.e_ident) == 0x464c457f /* "\177ELF" */ &&
	       h.e_ident[EI_CLASS] == ELFCLASS64 &&
	       (h.e_type == ET_EXEC || h.e_type == ET_DYN) &&
	       id_in_segments(f, &h);
}

void mapped_follow(struct mapped_file *f, const struct mapping *m)
{
	if (!m->offset)
		*f = (struct mapped_file){ .start = m->start,
					   .device = m->device,
					   .inode = m->inode };
}

bool mapped_id(struct mapped_file *f, const struct mapping *m)
{
	if (!m->inode || m->inode != f->inode || m->device != f->device)
		return false;
	if (!f->asked)
		f->has_id = id_find(f);
	f->asked = true;
	return f->has_id;
}
