/* SPDX-License-Identifier: MIT */
/* reloc.c - every code address that data or relocations name: where execution
 * may arrive other than by a branch in the code.
 *
 * A position-independent file must tell the loader about each pointer, so its
 * relocations are complete.  An ET_EXEC need not: there any aligned word that
 * could be one is taken for one.  Too many are harmless (fewer places can be
 * patched), one too few is not.
 *
 * Some of them are more than that: they are called, or run first.  Here one too
 * many would be taken for code, so a word of an array counts only as it is at
 * run time, and a library's entry point does not (linkers have set it to
 * .text's start).
 */
#include "elf/image_parts.h"

struct search {
	struct arena *a;
	const struct image *img;
	struct addrs found, begin;
	struct range { /* arrays of functions to call */
		uint64_t lo, hi;
	} *array;
	size_t narray;
	bool resolves;
	struct bytes sym; /* from DT_SYMTAB to the end of its segment */
	uint64_t lo, hi;  /* all code lies in [lo, hi) */
};

static void consider(struct search *s, uint64_t addr)
{
	if (addr >= s->lo && addr < s->hi && image_is_code(s->img, addr))
		addrs_add(s->a, &s->found, addr);
}

/* Execution begins there, or a call leads there. */
static void begins(struct search *s, uint64_t addr)
{
	consider(s, addr);
	if (image_is_code(s->img, addr))
		addrs_add(s->a, &s->begin, addr);
}

/* What will stand at vaddr. */
static void placed(struct search *s, uint64_t vaddr, uint64_t addr)
{
	for (size_t i = 0; i < s->narray; i++)
		if (vaddr >= s->array[i].lo && vaddr < s->array[i].hi) {
			begins(s, addr);
			return;
		}
	consider(s, addr);
}

/* The word that stands at vaddr in the file. */
static void consider_at(struct search *s, uint64_t vaddr)
{
	uint64_t word;

	if (bytes_get(image_from(s->img, vaddr), 0, &word, sizeof(word)))
		placed(s, vaddr, word);
}

static void find_code(struct search *s)
{
	s->lo = UINT64_MAX;
	for (size_t i = 0; i < s->img->nseg; i++) {
		const struct segment *g = &s->img->seg[i];

		if (g->type != PT_LOAD || !(g->flags & PF_X) || !g->filesz)
			continue;
		s->lo = g->vaddr < s->lo ? g->vaddr : s->lo;
		s->hi = g->vaddr + g->filesz;
	}
}

/* A table that PT_DYNAMIC names by address and size. */
static int table(const struct search *s, uint64_t vaddr, uint64_t size,
		 const char *what, struct bytes *out, struct err *e)
{
	*out = (struct bytes){ 0 };
	if (!vaddr || !size)
		return 0;
	*out = image_from(s->img, vaddr);
	if (size > out->n)
		return fail(e, s->img->path, vaddr, "%s runs past its segment",
			    what);
	out->n = size;
	return 0;
}

static uint64_t symbol_value(const struct search *s, uint64_t i)
{
	Elf64_Sym sym;

	/* An undefined function with a value is the program's own PLT entry
	 * for it. */
	if (!bytes_get(s->sym, i * sizeof(sym), &sym, sizeof(sym)))
		return 0;
	return sym.st_value;
}

static void rela(struct search *s, struct bytes b)
{
	Elf64_Rela r;

	for (uint64_t at = 0; bytes_get(b, at, &r, sizeof(r));
	     at += sizeof(r)) {
		uint64_t i = ELF64_R_SYM(r.r_info);

		switch (ELF64_R_TYPE(r.r_info)) {
		case R_X86_64_IRELATIVE:
			s->resolves = true;
			begins(s, (uint64_t)r.r_addend);
			break;
		case R_X86_64_RELATIVE:
			placed(s, r.r_offset, (uint64_t)r.r_addend);
			break;
		case R_X86_64_64:
			consider(s, symbol_value(s, i) + (uint64_t)r.r_addend);
			break;
		case R_X86_64_GLOB_DAT:
			consider(s, symbol_value(s, i));
			break;
		case R_X86_64_JUMP_SLOT:
			consider(s, symbol_value(s, i));
			/* While lazily bound: back into the PLT. */
			consider_at(s, r.r_offset);
			break;
		}
	}
}

/* DT_RELR: an even word is the address of a word to relocate, an odd one a
 * bitmap of the 63 words that follow the last. */
static void relr(struct search *s, struct bytes b)
{
	uint64_t entry, next = 0;

	for (uint64_t at = 0; bytes_get(b, at, &entry, sizeof(entry));
	     at += sizeof(entry)) {
		if (!(entry & 1)) {
			consider_at(s, entry);
			next = entry + 8;
			continue;
		}
		for (unsigned i = 0; i < 63; i++)
			if (entry >> (i + 1) & 1)
				consider_at(s, next + 8 * i);
		next += 63 * 8;
	}
}

static void words(struct search *s, struct bytes b, uint64_t vaddr)
{
	uint64_t word;

	for (uint64_t at = -vaddr & 7; bytes_get(b, at, &word, sizeof(word));
	     at += sizeof(word))
		consider(s, word);
}

static void array_add(struct search *s, uint64_t vaddr, uint64_t size)
{
	s->array = arena_push(s->a, s->array, s->narray, sizeof(*s->array));
	s->array[s->narray++] = (struct range){ vaddr, vaddr + size };
}

/* Static programs have them by their linker's symbols alone. */
static void arrays_by_section(struct search *s)
{
	for (size_t i = 1; i < s->img->nsec; i++) {
		const struct section *x = &s->img->sec[i];

		if (x->type == SHT_INIT_ARRAY || x->type == SHT_FINI_ARRAY ||
		    x->type == SHT_PREINIT_ARRAY)
			if (x->size <= image_room(s->img, x->addr))
				array_add(s, x->addr, x->size);
	}
}

static int arrays(struct search *s, const struct dynamic *d, struct err *e)
{
	static const struct {
		int at, size;
		const char *name;
	} array[] = {
		{ DT_INIT_ARRAY, DT_INIT_ARRAYSZ, "DT_INIT_ARRAY" },
		{ DT_FINI_ARRAY, DT_FINI_ARRAYSZ, "DT_FINI_ARRAY" },
		{ DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ, "DT_PREINIT_ARRAY" },
	};
	struct bytes b;

	for (size_t i = 0; i < sizeof(array) / sizeof(*array); i++) {
		if (table(s, d->tag[array[i].at], d->tag[array[i].size],
			  array[i].name, &b, e))
			return -1;
		words(s, b, 0);
		array_add(s, d->tag[array[i].at], b.n);
	}
	if (!s->img->dynamic)
		arrays_by_section(s);
	/* Elsewhere a word that no relocation names is no address. */
	for (size_t i = 0; i < s->narray && s->img->type == ET_EXEC; i++)
		for (uint64_t at = s->array[i].lo; at < s->array[i].hi; at += 8)
			consider_at(s, at);
	return 0;
}

/* So are the relocations that a static program applies itself. */
static void resolvers_by_section(struct search *s)
{
	Elf64_Rela r;

	for (size_t i = 1; i < s->img->nsec; i++) {
		const struct section *x = &s->img->sec[i];
		struct bytes b = section_bytes(s->img, x);

		if (x->type != SHT_RELA || !(x->flags & SHF_ALLOC))
			continue;
		for (uint64_t at = 0; bytes_get(b, at, &r, sizeof(r));
		     at += sizeof(r))
			if (ELF64_R_TYPE(r.r_info) == R_X86_64_IRELATIVE)
				begins(s, (uint64_t)r.r_addend);
	}
}

static int relocations(struct search *s, const struct dynamic *d, struct err *e)
{
	struct bytes all, plt, packed;

	if (table(s, d->tag[DT_RELA], d->tag[DT_RELASZ], "DT_RELA", &all, e) ||
	    table(s, d->tag[DT_JMPREL], d->tag[DT_PLTRELSZ], "DT_JMPREL", &plt,
		  e) ||
	    table(s, d->tag[DT_RELR], d->tag[DT_RELRSZ], "DT_RELR", &packed, e))
		return -1;
	s->sym = image_from(s->img, d->tag[DT_SYMTAB]);
	rela(s, all);
	rela(s, plt);
	relr(s, packed);
	if (!s->img->dynamic)
		resolvers_by_section(s);
	return 0;
}

int codeptrs_read(struct arena *a, struct image *img, const struct dynamic *d,
		  struct err *e)
{
	struct search s = { .a = a, .img = img };

	find_code(&s);
	if (arrays(&s, d, e) || relocations(&s, d, e))
		return -1;
	consider(&s, img->entry);
	if (!img->dso)
		begins(&s, img->entry);
	begins(&s, d->tag[DT_INIT]);
	begins(&s, d->tag[DT_FINI]);
	for (size_t i = 0; i < img->nseg && img->type == ET_EXEC; i++) {
		const struct segment *g = &img->seg[i];

		if (g->type == PT_LOAD && g->filesz)
			words(&s, image_from(img, g->vaddr), g->vaddr);
	}
	img->resolves = s.resolves;
	addrs_sort(&s.found);
	img->codeptr = s.found.v;
	img->ncodeptr = s.found.n;
	addrs_sort(&s.begin);
	img->begin = s.begin.v;
	img->nbegin = s.begin.n;
	return 0;
}
