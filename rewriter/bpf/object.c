/* SPDX-License-Identifier: MIT */
/* object.c - read a BPF object's ELF tables, trusting nothing.
 *
 * libelf and libbpf read the same tables again later; what is checked here is
 * also what keeps them from tripping over a hostile file.
 */
#include <stdlib.h>

#include "rewriter/bpf/object.h"

enum {
	EM_BPF_ = 247,
	SECTION_MAX = 256 << 20, /* bytes a section may occupy at run time */
	R_64_64 = 1,
	R_64_32 = 10,
};

static bool is_source(const char *path)
{
	size_t n = strlen(path);

	return n > 2 && !strcmp(path + n - 2, ".c");
}

static int header(const struct object *o, Elf64_Ehdr *h, struct err *e)
{
	const uint8_t *p = bytes_at(o->file, 0, sizeof(*h));

	if (!o->file.n)
		return refuse(e, o->path, NOWHERE, "empty file");
	if (o->file.n < 4 || memcmp(o->file.p, ELFMAG, SELFMAG))
		return refuse(e, o->path, NOWHERE, "not an ELF file%s",
			      is_source(o->path)
				      ? ": compile it first (clang -target bpf "
					"-O2 -g -c)"
				      : "");
	if (!p)
		return fail(e, o->path, o->file.n, "truncated ELF header");
	memcpy(h, p, sizeof(*h));
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse(e, o->path, NOWHERE,
			      "big-endian (build it with -target bpfel)");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_BPF_)
		return refuse(e, o->path, NOWHERE,
			      "not a BPF object (build it with -target bpf)");
	if (h->e_type != ET_REL)
		return refuse(e, o->path, NOWHERE,
			      "not a relocatable object (e_type %u)",
			      h->e_type);
	if (h->e_shentsize != sizeof(Elf64_Shdr) || !h->e_shnum ||
	    h->e_shstrndx >= h->e_shnum)
		return fail(e, o->path, NOWHERE, "no usable section table");
	return 0;
}

static int section(struct arena *a, struct object *o, uint32_t i,
		   const Elf64_Shdr *sh, struct err *e)
{
	struct obj_section *s = &o->sec[i];
	const uint8_t *p;

	s->type = sh->sh_type;
	s->link = sh->sh_link;
	s->info = sh->sh_info;
	s->flags = sh->sh_flags;
	s->size = sh->sh_size;
	s->map = NO_MAP;
	if (s->type == SHT_NULL)
		return 0;
	if (s->size > SECTION_MAX)
		return fail(e, o->path, NOWHERE,
			    "section %u is larger than 256 MiB", i);
	if (s->flags & SHF_COMPRESSED)
		return fail(e, o->path, NOWHERE, "section %u is compressed", i);
	if (s->type == SHT_NOBITS)
		return 0;
	p = bytes_at(o->file, sh->sh_offset, s->size);
	if (!p)
		return fail(e, o->path, sh->sh_offset,
			    "section %u ends past the end of the file", i);
	s->bytes = (struct bytes){ p, s->size };
	if (s->type != SHT_PROGBITS || !(s->flags & SHF_EXECINSTR))
		return 0;
	if (s->size % INSN)
		return fail(e, o->path, sh->sh_offset,
			    "code section %u is not whole instructions", i);
	s->insn = arena_dup(a, p, s->size);
	s->ninsn = s->size / INSN;
	return 0;
}

static int sections(struct arena *a, struct object *o, const Elf64_Ehdr *h,
		    struct err *e)
{
	uint64_t bytes = (uint64_t)h->e_shnum * sizeof(Elf64_Shdr);
	const uint8_t *table = bytes_at(o->file, h->e_shoff, bytes);
	Elf64_Shdr *sh;
	uint32_t i;

	if (!table)
		return fail(e, o->path, h->e_shoff, "truncated section table");
	sh = arena_dup(a, table, bytes);
	o->nsec = h->e_shnum;
	o->sec = arena_alloc(a, o->nsec * sizeof(*o->sec));
	for (i = 0; i < o->nsec; i++)
		if (section(a, o, i, &sh[i], e))
			return -1;
	for (i = 0; i < o->nsec; i++) {
		struct obj_section *s = &o->sec[i];

		s->name = bytes_str(o->sec[h->e_shstrndx].bytes, sh[i].sh_name);
		if (!s->name)
			return fail(e, o->path, NOWHERE,
				    "section %u has no readable name", i);
		if (s->insn && !strcmp(s->name, ".text"))
			o->text = i;
	}
	return 0;
}

static int symbol(struct object *o, struct bytes strs, const Elf64_Sym *from,
		  uint32_t i, struct err *e)
{
	struct obj_symbol *s = &o->sym[i];

	s->name = bytes_str(strs, from->st_name);
	s->value = from->st_value;
	s->size = from->st_size;
	s->sec = from->st_shndx;
	s->type = ELF64_ST_TYPE(from->st_info);
	s->bind = ELF64_ST_BIND(from->st_info);
	if (!s->name)
		return fail(e, o->path, NOWHERE,
			    "symbol %u has no readable name", i);
	if (s->sec < SHN_LORESERVE && s->sec >= o->nsec)
		return fail(e, o->path, NOWHERE,
			    "symbol %u ('%s') is in no section", i, s->name);
	if (s->type == STT_SECTION && s->sec < o->nsec)
		s->name = o->sec[s->sec].name;
	return 0;
}

static int symbols(struct arena *a, struct object *o, struct err *e)
{
	const struct obj_section *tab = NULL;
	Elf64_Sym *sym;
	uint32_t i;

	for (i = 0; i < o->nsec; i++) {
		if (o->sec[i].type != SHT_SYMTAB)
			continue;
		if (tab)
			return fail(e, o->path, NOWHERE, "two symbol tables");
		tab = &o->sec[i];
	}
	if (!tab || tab->bytes.n % sizeof(*sym) || tab->link >= o->nsec ||
	    o->sec[tab->link].type != SHT_STRTAB)
		return fail(e, o->path, NOWHERE, "no usable symbol table");
	o->nsym = tab->bytes.n / sizeof(*sym);
	o->sym = arena_alloc(a, o->nsym * sizeof(*o->sym));
	sym = arena_dup(a, tab->bytes.p, tab->bytes.n);
	for (i = 0; i < o->nsym; i++)
		if (symbol(o, o->sec[tab->link].bytes, &sym[i], i, e))
			return -1;
	return 0;
}

static int by_off(const void *x, const void *y)
{
	const struct obj_reloc *a = x, *b = y;

	return a->off < b->off ? -1 : a->off > b->off;
}

static int reloc_section(struct arena *a, struct object *o, uint32_t i,
			 struct err *e)
{
	const struct obj_section *from = &o->sec[i];
	struct obj_section *to;
	Elf64_Rel *rel;
	uint32_t k, n = from->bytes.n / sizeof(*rel);

	if (from->info >= o->nsec || from->bytes.n % sizeof(*rel))
		return fail(e, o->path, NOWHERE, "bad relocation section '%s'",
			    from->name);
	to = &o->sec[from->info];
	if (to->rel)
		return fail(e, o->path, NOWHERE,
			    "'%s' has two relocation sections", to->name);
	rel = arena_dup(a, from->bytes.p, from->bytes.n);
	to->rel = arena_alloc(a, n * sizeof(*to->rel));
	to->nrel = n;
	for (k = 0; k < n; k++) {
		struct obj_reloc *r = &to->rel[k];

		r->off = rel[k].r_offset;
		r->type = ELF64_R_TYPE(rel[k].r_info);
		r->sym = ELF64_R_SYM(rel[k].r_info);
		if (r->sym >= o->nsym || r->off >= to->size)
			return fail(e, o->path, NOWHERE,
				    "relocation %u of '%s' points nowhere", k,
				    to->name);
		if (to->insn && (r->off % INSN ||
				 (r->type != R_64_64 && r->type != R_64_32)))
			return fail(e, o->path, NOWHERE,
				    "relocation %u of '%s' has unknown type "
				    "%u or place",
				    k, to->name, r->type);
	}
	qsort(to->rel, n, sizeof(*to->rel), by_off);
	return 0;
}

static int by_place(const void *x, const void *y)
{
	const struct obj_func *a = x, *b = y;

	if (a->sec != b->sec)
		return a->sec < b->sec ? -1 : 1;
	return a->start < b->start ? -1 : a->start > b->start;
}

static int functions(struct arena *a, struct object *o, struct err *e)
{
	uint32_t i;

	for (i = 0; i < o->nsym; i++) {
		const struct obj_symbol *s = &o->sym[i];
		const struct obj_section *sec;

		if (s->type != STT_FUNC || s->sec == SHN_UNDEF ||
		    s->sec >= o->nsec || !o->sec[s->sec].insn)
			continue;
		sec = &o->sec[s->sec];
		if (s->value % INSN || s->size % INSN || !s->size ||
		    s->value > sec->size || s->size > sec->size - s->value)
			return fail(e, o->path, s->value,
				    "function '%s' does not fit into '%s'",
				    s->name, sec->name);
		o->func = arena_push(a, o->func, o->nfunc, sizeof(*o->func));
		o->func[o->nfunc++] = (struct obj_func){
			.name = s->name,
			.sec = s->sec,
			.start = s->value / INSN,
			.n = s->size / INSN,
			.global = s->bind != STB_LOCAL,
		};
	}
	if (!o->nfunc)
		return fail(e, o->path, NOWHERE, "no program in this object");
	qsort(o->func, o->nfunc, sizeof(*o->func), by_place);
	for (i = 1; i < o->nfunc; i++)
		if (o->func[i].sec == o->func[i - 1].sec &&
		    o->func[i].start < o->func[i - 1].start + o->func[i - 1].n)
			return fail(e, o->path, NOWHERE,
				    "functions '%s' and '%s' overlap",
				    o->func[i - 1].name, o->func[i].name);
	return 0;
}

static const struct obj_section *named(const struct object *o, const char *name)
{
	uint32_t i;

	for (i = 1; i < o->nsec; i++)
		if (o->sec[i].type == SHT_PROGBITS &&
		    !strcmp(o->sec[i].name, name))
			return &o->sec[i];
	return NULL;
}

static int types(struct arena *a, struct object *o, struct err *e)
{
	const struct obj_section *btf = named(o, ".BTF");
	const struct obj_section *ext = named(o, ".BTF.ext");

	if (!btf)
		return refuse(e, o->path, NOWHERE,
			      "object without BTF (build it with -g)");
	o->btf_bytes = btf->bytes;
	if (types_check(a, o->path, btf->bytes, &o->btf_strs, e))
		return -1;
	return ext ? types_ext(a, o, ext->bytes, e) : 0;
}

int object_read(struct arena *a, struct object *o, struct err *e)
{
	Elf64_Ehdr h;
	uint32_t i;

	o->kconfig = NO_MAP;
	if (header(o, &h, e) || sections(a, o, &h, e) || symbols(a, o, e))
		return -1;
	for (i = 0; i < o->nsec; i++)
		if (o->sec[i].type == SHT_REL && reloc_section(a, o, i, e))
			return -1;
	return functions(a, o, e) || types(a, o, e) ? -1 : 0;
}

const struct obj_reloc *object_reloc(const struct obj_section *s, uint64_t off)
{
	struct obj_reloc key = { .off = off };

	if (!s->nrel)
		return NULL;
	return bsearch(&key, s->rel, s->nrel, sizeof(key), by_off);
}

const struct obj_func *object_func(const struct object *o, uint32_t sec,
				   uint64_t start)
{
	struct obj_func key = { .sec = sec, .start = start };

	if (start > UINT32_MAX)
		return NULL;
	return bsearch(&key, o->func, o->nfunc, sizeof(key), by_place);
}

enum bpf_data data_section(const char *name)
{
	static const struct {
		const char *name;
		enum bpf_data data;
	} kinds[] = {
		{ ".rodata", DATA_RODATA },
		{ ".data", DATA_DATA },
		{ ".bss", DATA_BSS },
	};
	size_t i, n;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		n = strlen(kinds[i].name);
		if (!strncmp(name, kinds[i].name, n) &&
		    (!name[n] || name[n] == '.'))
			return kinds[i].data;
	}
	return DATA_NONE;
}
