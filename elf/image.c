/* SPDX-License-Identifier: MIT */
/* image.c - open a target file and read all of it; find things in it later.
 *
 * All reading is done with our own bounded readers and none with libelf: the
 * tool must survive any file, the structures are few and fixed (ELF64, little
 * endian), and half of what is wanted (files without section headers, .eh_frame
 * in its encodings, RELR) would be read by hand anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/image_parts.h"

static int parse(struct arena *a, struct image *img, bool seek_debug,
		 bool welded_too, struct err *e)
{
	struct dynamic d = { 0 };

	if (header_read(a, img, welded_too, e) || dynamic_read(img, &d, e) ||
	    symbols_read(a, img, &d, e))
		return -1;
	if (seek_debug)
		debugfile_read(a, img);
	if (go_read(a, img, &d, e))
		return -1;
	if (!img->sym) /* so that &sym[0] is a pointer, too */
		img->sym = arena_alloc(a, sizeof(*img->sym));
	symbols_sort(img);
	/* Beyond this point addresses can be looked up. */
	if (fdes_read(a, img, &d, e) || lsdas_read(a, img, e))
		return -1;
	go_landings(a, img);
	return codeptrs_read(a, img, &d, e);
}

int image_parse(struct arena *a, const char *name, struct bytes file,
		struct image *img, struct err *e)
{
	*img = (struct image){ .path = name, .file = file, .mode = 0755 };
	return parse(a, img, false, false, e);
}

static int map_file(const char *path, struct image *img, struct err *e)
{
	struct stat st;
	void *p;
	int fd, ret = -1;

	/* O_NONBLOCK: a FIFO shall be an error, not a long wait. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(e, path, NOWHERE, "%s", strerror(errno));
	if (fstat(fd, &st) < 0) {
		fail(e, path, NOWHERE, "%s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		refuse(e, path, NOWHERE, "not a regular file");
		goto out;
	}
	if (st.st_size == 0) {
		refuse(e, path, NOWHERE, "not an ELF file: it is empty");
		goto out;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED) {
		fail(e, path, NOWHERE, "cannot map: %s", strerror(errno));
		goto out;
	}
	img->file = (struct bytes){ p, (size_t)st.st_size };
	img->mode = st.st_mode & 07777;
	ret = 0;
out:
	close(fd);
	return ret;
}

static int read_file(struct arena *a, const char *path, bool welded_too,
		     struct image *img, struct err *e)
{
	*img = (struct image){ .path = path };
	if (map_file(path, img, e))
		return -1;
	if (parse(a, img, true, welded_too, e)) {
		image_close(img);
		return -1;
	}
	return 0;
}

int image_read(struct arena *a, const char *path, struct image *img,
	       struct err *e)
{
	return read_file(a, path, false, img, e);
}

int image_read_welded(struct arena *a, const char *path, struct image *img,
		      struct err *e)
{
	return read_file(a, path, true, img, e);
}

int image_read_names(struct arena *a, const char *path, struct image *img,
		     struct err *e)
{
	struct dynamic d = { 0 };

	*img = (struct image){ .path = path };
	if (map_file(path, img, e))
		return -1;
	if (header_read(a, img, true, e) || dynamic_read(img, &d, e) ||
	    symbols_read(a, img, &d, e) || go_read(a, img, &d, e)) {
		image_close(img);
		return -1;
	}
	debugfile_read(a, img);
	symbols_sort(img);
	return 0;
}

void image_close(struct image *img)
{
	if (img->file.p)
		munmap((void *)img->file.p, img->file.n);
	img->file = (struct bytes){ 0 };
}

/* The PT_LOAD whose file part holds vaddr. */
static const struct segment *load_at(const struct image *img, uint64_t vaddr)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type == PT_LOAD && vaddr >= s->vaddr &&
		    vaddr - s->vaddr < s->filesz)
			return s;
	}
	return NULL;
}

const uint8_t *image_at(const struct image *img, uint64_t vaddr, uint64_t len)
{
	const struct segment *s = load_at(img, vaddr);

	if (!s || len > s->filesz - (vaddr - s->vaddr))
		return NULL;
	return img->file.p + s->off + (vaddr - s->vaddr);
}

uint64_t image_room(const struct image *img, uint64_t vaddr)
{
	const struct segment *s = load_at(img, vaddr);

	return s ? s->filesz - (vaddr - s->vaddr) : 0;
}

bool image_is_code(const struct image *img, uint64_t vaddr)
{
	const struct segment *s = load_at(img, vaddr);

	return s && (s->flags & PF_X);
}

uint64_t image_offset(const struct image *img, uint64_t vaddr)
{
	const struct segment *s = load_at(img, vaddr);

	return s ? s->off + (vaddr - s->vaddr) : UINT64_MAX;
}

const struct section *image_section(const struct image *img, const char *name)
{
	for (size_t i = 1; i < img->nsec; i++)
		if (!strcmp(img->sec[i].name, name))
			return &img->sec[i];
	return NULL;
}

const struct need *image_need(const struct image *img, const char *name)
{
	for (size_t i = 0; i < img->nneed; i++)
		if (!strcmp(img->need[i].name, name))
			return &img->need[i];
	return NULL;
}

const struct fde *image_fde(const struct image *img, uint64_t pc)
{
	size_t lo = 0, hi = img->nfde;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct fde *f = &img->fde[mid];

		if (pc < f->start)
			hi = mid;
		else if (pc - f->start >= f->size)
			lo = mid + 1;
		else
			return f;
	}
	return NULL;
}

bool addr_between(const uint64_t *v, size_t n, uint64_t lo, uint64_t hi)
{
	size_t from = 0, to = n;

	while (from < to) { /* the first that is not below lo */
		size_t mid = from + (to - from) / 2;

		if (v[mid] < lo)
			from = mid + 1;
		else
			to = mid;
	}
	return from < n && v[from] < hi;
}

void addrs_add(struct arena *a, struct addrs *l, uint64_t addr)
{
	l->v = arena_push(a, l->v, l->n, sizeof(*l->v));
	l->v[l->n++] = addr;
}

static int by_value(const void *x, const void *y)
{
	const uint64_t *p = x, *q = y;

	return (*p > *q) - (*p < *q);
}

void addrs_sort(struct addrs *l)
{
	size_t kept = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_value);
	for (size_t i = 0; i < l->n; i++)
		if (!kept || l->v[i] != l->v[kept - 1])
			l->v[kept++] = l->v[i];
	l->n = kept;
}
