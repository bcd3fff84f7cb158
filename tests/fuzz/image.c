/* SPDX-License-Identifier: MIT */
/* image.c - any bytes at all given to the ELF reader, and then every promise
 * of image.h used: each table walked, each address looked up.
 *
 * Seeds: small programs and libraries of all kinds, with and without sections.
 */
#include <stdlib.h>

#include "elf/dynamic.h"
#include "elf/image.h"
#include "elf/note.h"

/* Reads every byte, so that ASan sees where they are. */
static volatile uint64_t seen;

static void touch(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		seen += b.p[i];
}

static void touch_string(const char *s)
{
	seen += s ? strlen(s) : 0;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void walk_go(const struct image *img)
{
	const struct go *g = img->go;

	touch_string(g->version);
	for (size_t i = 0; i < g->nfunc; i++) {
		const struct go_func *f = &g->func[i];

		check(!i || g->func[i - 1].addr <= f->addr);
		check(image_is_code(img, f->addr));
		seen += (uint64_t)go_pc_value(g, f, f->pcsp, f->addr);
		seen += (uint64_t)go_pc_value(g, f, f->unsafe,
					      f->addr + f->size - 1);
	}
}

static void walk_file(const struct image *img)
{
	uint64_t v;

	if (img->go)
		walk_go(img);
	touch_string(img->soname);
	touch_string(img->interp);
	touch(img->build_id);
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type != PT_LOAD || !s->filesz)
			continue;
		check(image_room(img, s->vaddr) == s->filesz);
		check(image_at(img, s->vaddr, s->filesz) ==
		      img->file.p + s->off);
		check(image_offset(img, s->vaddr) == s->off);
		seen += *image_at(img, s->vaddr + s->filesz - 1, 1);
	}
	for (size_t i = 0; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];

		check(image_section(img, s->name) || !i || !*s->name);
		if (s->type != SHT_NULL && s->type != SHT_NOBITS && s->size)
			seen += img->file.p[s->off + s->size - 1];
	}
	if (dynamic_get(img, DT_NEEDED, &v))
		seen += v;
}

static void walk_symbols(const struct image *img)
{
	for (size_t i = 0; i < img->nsym; i++) {
		check(!i || img->sym[i - 1].addr <= img->sym[i].addr);
		touch_string(img->sym[i].name);
		touch_string(img->sym[i].version);
	}
}

static void walk_addrs(const struct image *img, const uint64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check(!i || v[i - 1] < v[i]);
		check(addr_between(v, n, v[i], v[i] + 1));
		seen += image_is_code(img, v[i]);
	}
}

static void walk_fdes(const struct image *img)
{
	uint64_t end = 0;

	for (size_t i = 0; i < img->nfde; i++) {
		const struct fde *f = &img->fde[i];

		check(f->size && f->start >= end);
		check(image_at(img, f->start, f->size));
		check(image_at(img, f->at, 8));
		check(image_fde(img, f->start) == f);
		touch(f->cie_insns);
		touch(f->insns);
		end = f->start + f->size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void walk_notes(struct arena *a, const struct image *img)
{
	struct sdt_note *v;
	struct err e;
	size_t n;

	if (sdt_notes_read(a, img, &v, &n, &e))
		return;
	for (size_t i = 0; i < n; i++) {
		check(image_is_code(img, v[i].addr));
		check(*v[i].provider && *v[i].name);
		check(v[i].at + 8 <= img->file.n);
		touch_string(v[i].args);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct image img;
	struct err e;

	if (!image_parse(&a, "fuzz", (struct bytes){ data, size }, &img, &e)) {
		walk_file(&img);
		walk_symbols(&img);
		walk_fdes(&img);
		walk_addrs(&img, img.codeptr, img.ncodeptr);
		walk_addrs(&img, img.landing, img.nlanding);
		walk_addrs(&img, img.callsite, img.ncallsite);
		walk_notes(&a, &img);
	}
	arena_free(&a);
	return 0;
}
