/* SPDX-License-Identifier: MIT */
/* stub.c - a linker for one object: the embedded runtime stub.
 *
 *   stub.o           RX                        RW
 *   .text.NAME   ->  code, 16-aligned
 *   .rodata*     ->  between the code
 *   .eh_frame    ->  rebuilt, last
 *   .data*       ------------------------->    first, initialised
 *   .bss*        ------------------------->    zeroes behind it
 *   weld_returns --------------------------->   zeroes, too
 *   weld_own, weld_stacks, weld_region  -->    page aligned, last
 *
 * The stub is compiled with a section for each function and object, so what
 * the roots do not reach through relocations is left out, and its frame
 * descriptions with it.  Only PC-relative relocations exist (a test sees to
 * that): references inside RX are resolved at once, those to RW become fixups.
 * The object is ours, so its faults are bugs and not errors.
 */
#include <assert.h>
#include <elf.h>
#include <stdlib.h>

#include "rewriter/code/stub.h"
#include "runtime-stub/abi_asm.h"

extern const uint8_t stub_blob[], stub_blob_end[];

struct stub_symbol {
	const char *name;
	uint64_t vaddr;
};

enum in { NOWHERE_YET, IN_TEXT, IN_DATA, IN_ZERO };

struct piece { /* a section of the object */
	const Elf64_Shdr *sh;
	const Elf64_Rela *rela;
	size_t nrela;
	bool live;
	enum in in;
	uint64_t at;      /* offset in RX's buffer, or in RW */
};

struct link {
	struct code *rx;
	const uint8_t *obj;
	struct piece *piece;
	size_t npiece;
	const Elf64_Sym *sym;
	size_t nsym;
	const char *str, *shstr;
	struct piece *eh_frame;
	const struct stub_extern *ext;
	size_t next;
	struct stub *out;
	struct err *e;
};

static void object_open(struct link *l)
{
	const Elf64_Ehdr *eh = (const void *)stub_blob;
	const Elf64_Shdr *sh = (const void *)(stub_blob + eh->e_shoff);

	assert(stub_blob_end - stub_blob > (ptrdiff_t)sizeof(*eh));
	l->obj = stub_blob;
	l->npiece = eh->e_shnum;
	l->piece = arena_alloc(l->rx->a, l->npiece * sizeof(*l->piece));
	l->shstr = (const char *)l->obj + sh[eh->e_shstrndx].sh_offset;
	for (size_t i = 0; i < l->npiece; i++) {
		l->piece[i].sh = &sh[i];
		if (sh[i].sh_type == SHT_SYMTAB) {
			l->sym = (const void *)(l->obj + sh[i].sh_offset);
			l->nsym = sh[i].sh_size / sizeof(*l->sym);
			l->str = (const char *)l->obj +
				 sh[sh[i].sh_link].sh_offset;
		} else if (sh[i].sh_type == SHT_RELA) {
			struct piece *p = &l->piece[sh[i].sh_info];

			p->rela = (const void *)(l->obj + sh[i].sh_offset);
			p->nrela = sh[i].sh_size / sizeof(*p->rela);
		} else if (!strcmp(l->shstr + sh[i].sh_name, ".eh_frame")) {
			l->eh_frame = &l->piece[i];
		}
	}
	assert(l->sym);
}

/* The section a symbol is defined in, or NULL. */
static struct piece *piece_of(const struct link *l, const Elf64_Sym *s)
{
	if (s->st_shndx == SHN_UNDEF || s->st_shndx >= l->npiece)
		return NULL;
	return &l->piece[s->st_shndx];
}

static void keep(struct link *l, struct piece *p)
{
	if (!p || p->live)
		return;
	p->live = true;
	for (size_t i = 0; i < p->nrela; i++)
		keep(l, piece_of(l, &l->sym[ELF64_R_SYM(p->rela[i].r_info)]));
}

static int keep_root(struct link *l, const char *name)
{
	for (size_t i = 1; i < l->nsym; i++) {
		if (!strcmp(l->str + l->sym[i].st_name, name) &&
		    piece_of(l, &l->sym[i])) {
			keep(l, piece_of(l, &l->sym[i]));
			return 0;
		}
	}
	return fail(l->e, NULL, NOWHERE, "the runtime stub has no %s", name);
}

static struct bytes content(const struct link *l, const struct piece *p)
{
	return (struct bytes){ l->obj + p->sh->sh_offset, p->sh->sh_size };
}

static void place_text(struct link *l)
{
	for (struct piece *p = l->piece; p < l->piece + l->npiece; p++) {
		if (!p->live || (p->sh->sh_flags & SHF_WRITE))
			continue;
		code_align(l->rx, p->sh->sh_addralign,
			   p->sh->sh_flags & SHF_EXECINSTR ? 0xcc : 0);
		p->in = IN_TEXT;
		p->at = l->rx->n;
		code_bytes(l->rx, content(l, p).p, p->sh->sh_size);
	}
}

/* Writable sections of one type behind `end`; returns the new end. */
static uint64_t place_writable(struct link *l, uint32_t type, enum in in,
			       uint64_t end)
{
	for (struct piece *p = l->piece; p < l->piece + l->npiece; p++) {
		if (!p->live || !(p->sh->sh_flags & SHF_WRITE) ||
		    p->sh->sh_type != type)
			continue;
		p->in = in;
		p->at = align_up(end, p->sh->sh_addralign);
		end = p->at + p->sh->sh_size;
	}
	return end;
}

/* Does anything that is kept refer to it? */
static bool refers(const struct link *l, const char *name)
{
	for (size_t i = 0; i < l->npiece; i++) {
		const struct piece *p = &l->piece[i];

		for (size_t k = 0; p->live && k < p->nrela; k++) {
			const Elf64_Sym *s =
				&l->sym[ELF64_R_SYM(p->rela[k].r_info)];

			if (!strcmp(l->str + s->st_name, name))
				return true;
		}
	}
	return false;
}

static void place_data(struct link *l, uint64_t region_size,
		       uint64_t returns_size)
{
	bool stacks = refers(l, "weld_stacks");
	uint64_t data = place_writable(l, SHT_PROGBITS, IN_DATA, 0);
	uint64_t bss = place_writable(l, SHT_NOBITS, IN_ZERO, data);
	uint8_t *p = arena_alloc(l->rx->a, data + 1);

	for (size_t i = 0; i < l->npiece; i++)
		if (l->piece[i].in == IN_DATA)
			memcpy(p + l->piece[i].at, content(l, &l->piece[i]).p,
			       l->piece[i].sh->sh_size);
	l->out->data = (struct bytes){ p, data };
	l->out->returns_rw = align_up(bss, 64);
	if (returns_size)
		bss = l->out->returns_rw + returns_size;
	l->out->bss_size = bss - data;
	/* Never the first page: that one is of the file. */
	l->out->own_rw = align_up(bss + 1, 4096);
	l->out->stacks_rw = l->out->own_rw + 4096;
	l->out->region_rw = l->out->stacks_rw;
	if (stacks)
		l->out->region_rw += (PROBE_STACKS + 1) * PROBE_STACK_SIZE;
	l->out->rw_memsz = l->out->region_rw + region_size;
}

/* The 32-bit field at offset `at` of RX becomes vaddr + addend - its place. */
static void refer_rx(struct code *rx, uint64_t at, uint64_t vaddr, int64_t add)
{
	int64_t d = (int64_t)(vaddr + (uint64_t)add - (rx->vaddr + at));

	if (d != (int32_t)d)
		rx->too_far = true;
	memcpy(rx->p + at, &(int32_t){ (int32_t)d }, 4);
}

static void refer_rw(struct code *rx, uint64_t at, uint64_t rw, int64_t add)
{
	rx->fix = arena_push(rx->a, rx->fix, rx->nfix, sizeof(*rx->fix));
	rx->fix[rx->nfix++] = (struct fixup){
		.at = (uint32_t)at,
		.next = (uint32_t)at + 4,
		.rw = rw + (uint64_t)add + 4,
	};
}

static uint64_t extern_vaddr(const struct link *l, const struct stub_extern *x)
{
	for (size_t i = 1; x->alias && i < l->nsym; i++) {
		const struct piece *p = piece_of(l, &l->sym[i]);

		if (p && p->live &&
		    !strcmp(l->str + l->sym[i].st_name, x->alias))
			return l->rx->vaddr + p->at + l->sym[i].st_value;
	}
	return x->vaddr;
}

static int refer_extern(struct link *l, uint64_t at, const char *name,
			int64_t add)
{
	const struct {
		const char *name;
		uint64_t rw;
	} places[] = {
		{ "weld_own", l->out->own_rw },
		{ "weld_stacks", l->out->stacks_rw },
		{ "weld_region", l->out->region_rw },
		{ "weld_returns", l->out->returns_rw },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!strcmp(name, places[i].name)) {
			refer_rw(l->rx, at, places[i].rw, add);
			return 0;
		}
	for (size_t i = 0; i < l->next; i++) {
		if (!strcmp(l->ext[i].name, name)) {
			refer_rx(l->rx, at, extern_vaddr(l, &l->ext[i]), add);
			return 0;
		}
	}
	return fail(l->e, NULL, NOWHERE, "the runtime stub needs %s", name);
}

static int relocate(struct link *l, uint64_t at, const Elf64_Rela *r)
{
	const Elf64_Sym *s = &l->sym[ELF64_R_SYM(r->r_info)];
	const struct piece *to = piece_of(l, s);

	assert(ELF64_R_TYPE(r->r_info) == R_X86_64_PC32 ||
	       ELF64_R_TYPE(r->r_info) == R_X86_64_PLT32);
	if (!to)
		return refer_extern(l, at, l->str + s->st_name, r->r_addend);
	if (to->in == IN_TEXT)
		refer_rx(l->rx, at, l->rx->vaddr + to->at + s->st_value,
			 r->r_addend);
	else
		refer_rw(l->rx, at, to->at + s->st_value, r->r_addend);
	return 0;
}

static int relocate_all(struct link *l)
{
	for (size_t i = 0; i < l->npiece; i++) {
		const struct piece *p = &l->piece[i];

		assert(!p->nrela || p->in == IN_TEXT || !p->live);
		for (size_t k = 0; p->live && k < p->nrela; k++)
			if (relocate(l, p->at + p->rela[k].r_offset,
				     &p->rela[k]))
				return -1;
	}
	return 0;
}

/* The relocation of an FDE's first address, if its function was kept. */
static const Elf64_Rela *fde_code(const struct link *l, uint64_t field)
{
	const struct piece *eh = l->eh_frame;

	for (size_t i = 0; i < eh->nrela; i++) {
		const Elf64_Rela *r = &eh->rela[i];
		const struct piece *p;

		if (r->r_offset != field)
			continue;
		p = piece_of(l, &l->sym[ELF64_R_SYM(r->r_info)]);
		return p && p->live ? r : NULL;
	}
	return NULL;
}

/* Copy the records whose function survived, each CIE once.  A record is
 *     u32 length, u32 id (0: CIE; FDE: distance back to its CIE), ... */
static int copy_frames(struct link *l)
{
	struct bytes b = content(l, l->eh_frame);
	uint64_t *moved = arena_alloc(l->rx->a, (b.n + 1) * sizeof(*moved));
	struct code *rx = l->rx;
	uint32_t len, id;

	for (uint64_t at = 0; at + 8 <= b.n; at += 4 + len) {
		const Elf64_Rela *code;
		uint64_t cie, to;

		memcpy(&len, b.p + at, 4);
		memcpy(&id, b.p + at + 4, 4);
		if (!len)
			break;
		code = id ? fde_code(l, at + 8) : NULL;
		if (!code)
			continue;
		cie = at + 4 - id;
		if (!moved[cie]) {
			uint32_t n;

			memcpy(&n, b.p + cie, 4);
			moved[cie] = rx->n;
			code_bytes(rx, b.p + cie, 4 + (size_t)n);
		}
		to = rx->n;
		code_bytes(rx, b.p + at, 4 + (size_t)len);
		id = (uint32_t)(to + 4 - moved[cie]);
		memcpy(rx->p + to + 4, &id, 4);
		if (relocate(l, to + 8, code))
			return -1;
	}
	return 0;
}

static int make_frames(struct link *l)
{
	struct code *rx = l->rx;
	size_t from;

	code_align(rx, 8, 0);
	from = rx->n;
	l->out->eh_frame_vaddr = code_here(rx);
	if (l->eh_frame && copy_frames(l))
		return -1;
	l->out->eh_frame.n = rx->n - from;
	l->out->eh_frame.p = arena_dup(rx->a, rx->p + from, rx->n - from);
	code_u32(rx, 0); /* who reads on without knowing the size stops here */
	return 0;
}

static void list_symbols(struct link *l)
{
	struct stub *s = l->out;

	for (size_t i = 1; i < l->nsym; i++) {
		const Elf64_Sym *y = &l->sym[i];
		const struct piece *p = piece_of(l, y);

		if (!p || p->in != IN_TEXT ||
		    ELF64_ST_BIND(y->st_info) == STB_LOCAL)
			continue;
		s->sym = arena_push(l->rx->a, s->sym, s->nsym, sizeof(*s->sym));
		s->sym[s->nsym++] = (struct stub_symbol){
			.name = l->str + y->st_name,
			.vaddr = l->rx->vaddr + p->at + y->st_value,
		};
	}
}

int stub_link(struct code *rx, const char *const *root, size_t nroot,
	      const struct stub_extern *ext, size_t next, uint64_t region_size,
	      uint64_t returns_size, struct stub *out, struct err *e)
{
	struct link l = {
		.rx = rx, .ext = ext, .next = next, .out = out, .e = e,
	};

	memset(out, 0, sizeof(*out));
	object_open(&l);
	for (size_t i = 0; i < nroot; i++)
		if (keep_root(&l, root[i]))
			return -1;
	place_text(&l);
	place_data(&l, region_size, returns_size);
	/* Beyond this point every section has its place. */
	if (relocate_all(&l) || make_frames(&l))
		return -1;
	list_symbols(&l);
	return 0;
}

uint64_t stub_symbol(const struct stub *s, const char *name)
{
	for (size_t i = 0; i < s->nsym; i++)
		if (!strcmp(s->sym[i].name, name))
			return s->sym[i].vaddr;
	return 0;
}
