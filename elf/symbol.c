/* SPDX-License-Identifier: MIT */
/* symbol.c - the symbols that name an address in this file.
 *
 * .dynsym is found the way the loader finds it, through PT_DYNAMIC, so that
 * it is there without section headers; how many it has is what its section
 * says, else what the hash table implies (nothing in PT_DYNAMIC says it).
 * .symtab can only be found by its section, here or in a debug file.
 *
 * Versions: .gnu.version has a number for each dynamic symbol, bit 15 meaning
 * hidden (name@VER); the names of the numbers stand in .gnu.version_d (what
 * this file defines) and .gnu.version_r (what it needs: a program has defined
 * symbols with those, its copies of a library's variables).  In .symtab the
 * linker has written the version into the name.
 */
#include <stdlib.h>

#include "elf/image_parts.h"

enum {
	VERSIONS = 0x8000,
	HIDDEN = 0x8000
};

struct table {
	struct bytes sym, str;
	struct bytes versym;  /* n == 0: names carry their version */
	const char **version; /* by number, VERSIONS of them ... */
	const char **file;    /* ... and whose they are, of what is needed */
	enum symbol_from from;
};

/* In memory at run time?  Ends of segments (_end, _edata) are not. */
static bool in_segment(const struct image *img, uint64_t addr)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type == PT_LOAD && addr >= s->vaddr &&
		    addr - s->vaddr < s->memsz)
			return true;
	}
	return false;
}

static bool wanted(const struct image *img, const Elf64_Sym *s)
{
	switch (ELF64_ST_TYPE(s->st_info)) {
	case STT_NOTYPE:
	case STT_OBJECT:
	case STT_FUNC:
	case STT_GNU_IFUNC:
		break;
	case STT_TLS:
		return s->st_shndx != SHN_UNDEF;
	default:
		return false;
	}
	switch (s->st_shndx) {
	case SHN_UNDEF:
	case SHN_COMMON:
		return false;
	case SHN_ABS: /* a number, unless nothing is ever moved */
		return img->type == ET_EXEC && in_segment(img, s->st_value);
	default:
		return in_segment(img, s->st_value);
	}
}

/* "name@VER" is a hidden version, "name@@VER" the default one. */
static void split_name(struct arena *a, struct symbol *sym)
{
	const char *at = strchr(sym->name, '@');

	if (!at || at == sym->name || !at[1])
		return;
	sym->hidden_version = at[1] != '@';
	sym->version = at + (sym->hidden_version ? 1 : 2);
	sym->name = arena_printf(a, "%.*s", (int)(at - sym->name), sym->name);
}

static void number_version(const struct table *t, uint64_t i,
			   struct symbol *sym)
{
	uint16_t v;

	if (!bytes_get(t->versym, i * sizeof(v), &v, sizeof(v)))
		return;
	sym->version = t->version[v & (VERSIONS - 1)];
	sym->hidden_version = sym->version && (v & HIDDEN);
}

/* Thread-local symbols are no addresses: they have a list of their own. */
static void keep(struct arena *a, struct image *img, const struct symbol *s)
{
	struct symbol **v = s->type == STT_TLS ? &img->tls : &img->sym;
	size_t *n = s->type == STT_TLS ? &img->ntls : &img->nsym;

	*v = arena_push(a, *v, *n, sizeof(**v));
	(*v)[(*n)++] = *s;
}

static void need_add(struct arena *a, struct image *img, const struct table *t,
		     uint64_t i, const char *name)
{
	struct need n = { .name = name };
	uint16_t v;

	if (bytes_get(t->versym, i * sizeof(v), &v, sizeof(v)))
		n.file = t->file[v & (VERSIONS - 1)];
	img->need = arena_push(a, img->need, img->nneed, sizeof(*img->need));
	img->need[img->nneed++] = n;
}

static int table_read(struct arena *a, const struct image *img,
		      const struct table *t, struct image *to, struct err *e)
{
	Elf64_Sym s;
	bool need;

	for (uint64_t i = 1; bytes_get(t->sym, i * sizeof(s), &s, sizeof(s));
	     i++) {
		struct symbol sym = {
			.addr = s.st_value,
			.size = s.st_size,
			.type = ELF64_ST_TYPE(s.st_info),
			.bind = ELF64_ST_BIND(s.st_info),
			.from = t->from,
		};

		need = s.st_shndx == SHN_UNDEF && t->from == SYM_DYNSYM;
		if (!s.st_name || (!need && !wanted(to, &s)))
			continue;
		if (s.st_name >= t->str.n)
			return fail(e, img->path,
				    file_offset(img, t->sym.p) + i * sizeof(s),
				    "symbol's name lies past its string "
				    "table");
		sym.name = (const char *)t->str.p + s.st_name;
		if (!*sym.name)
			continue;
		if (need) {
			need_add(a, to, t, i, sym.name);
			continue;
		}
		if (t->versym.n)
			number_version(t, i, &sym);
		else
			split_name(a, &sym);
		keep(a, to, &sym);
	}
	return 0;
}

int symtab_read(struct arena *a, const struct image *img, struct image *to,
		enum symbol_from from, struct err *e)
{
	struct table t = { .from = from };

	for (size_t i = 1; i < img->nsec; i++) {
		const struct section *s = &img->sec[i], *str;

		if (s->type != SHT_SYMTAB)
			continue;
		str = &img->sec[s->link < img->nsec ? s->link : 0];
		if (s->entsize != sizeof(Elf64_Sym) || str->type != SHT_STRTAB)
			return fail(e, img->path, s->off,
				    "symbol table without a string table or "
				    "with odd entries");
		t.sym = section_bytes(img, s);
		t.str = bytes_strings(section_bytes(img, str));
		if (from == SYM_DEBUG) /* its file will be unmapped */
			t.str.p = arena_dup(a, t.str.p, t.str.n);
		return table_read(a, img, &t, to, e);
	}
	return 0;
}

/* How many dynamic symbols DT_GNU_HASH implies: its buckets hold the first
 * symbol of each chain, the last symbol of a chain has bit 0 of its hash set,
 * and the highest chain ends the table. */
static bool count_gnu_hash(struct bytes b, uint64_t *count)
{
	struct cursor c = cursor_at(b, 0);
	uint32_t buckets = cur_u32(&c), first = cur_u32(&c);
	uint32_t bloom = cur_u32(&c), last = 0, hash;

	cur_u32(&c);
	cur_take(&c, (uint64_t)bloom * 8);
	for (uint32_t i = 0; i < buckets && !c.bad; i++) {
		uint32_t v = cur_u32(&c);

		last = v > last ? v : last;
	}
	*count = first;
	if (c.bad || last < first)
		return !c.bad; /* all chains empty: none is exported */
	cur_take(&c, (uint64_t)(last - first) * 4);
	do {
		hash = cur_u32(&c);
		last++;
	} while (!(hash & 1) && !c.bad);
	*count = last;
	return !c.bad;
}

bool dynsym_count(const struct image *img, const struct dynamic *d,
		  uint64_t *count)
{
	uint32_t head[2]; /* of DT_HASH: buckets, symbols */

	for (size_t i = 1; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];

		if (s->type == SHT_DYNSYM && s->addr == d->tag[DT_SYMTAB]) {
			*count = s->size / sizeof(Elf64_Sym);
			return true;
		}
	}
	if (d->tag[DT_HASH]) {
		struct bytes b = image_from(img, d->tag[DT_HASH]);

		if (!bytes_get(b, 0, head, sizeof(head)))
			return false;
		*count = head[1];
		return true;
	}
	*count = 0;
	return !d->gnu_hash ||
	       count_gnu_hash(image_from(img, d->gnu_hash), count);
}

/* .gnu.version_d: vd_next links the definitions, vd_aux goes to the name.
 * Offsets only go forward, so the walk ends. */
static void verdef_read(const struct image *img, const struct dynamic *d,
			const char **version)
{
	struct bytes b = image_from(img, d->verdef);
	uint64_t at = 0;
	Elf64_Verdef def;
	Elf64_Verdaux aux;

	while (bytes_get(b, at, &def, sizeof(def))) {
		if (bytes_get(b, at + def.vd_aux, &aux, sizeof(aux)) &&
		    aux.vda_name < d->str.n && !(def.vd_flags & VER_FLG_BASE))
			version[def.vd_ndx & (VERSIONS - 1)] =
				(const char *)d->str.p + aux.vda_name;
		if (!def.vd_next)
			break;
		at += def.vd_next;
	}
}

/* .gnu.version_r: one record a library, and a chain of versions in each. */
static void verneed_read(const struct image *img, const struct dynamic *d,
			 const struct table *t)
{
	struct bytes b = image_from(img, d->verneed);
	uint64_t at = 0, budget = b.n / sizeof(Elf64_Vernaux);
	Elf64_Verneed need;
	Elf64_Vernaux aux;

	while (bytes_get(b, at, &need, sizeof(need))) {
		uint64_t x = at + need.vn_aux;

		/* Honest records do not overlap: the budget bounds others. */
		while (budget-- && bytes_get(b, x, &aux, sizeof(aux))) {
			uint16_t v = aux.vna_other & (VERSIONS - 1);

			if (aux.vna_name < d->str.n)
				t->version[v] =
					(const char *)d->str.p + aux.vna_name;
			if (need.vn_file < d->str.n)
				t->file[v] =
					(const char *)d->str.p + need.vn_file;
			if (!aux.vna_next)
				break;
			x += aux.vna_next;
		}
		if (!need.vn_next || budget == UINT64_MAX)
			break;
		at += need.vn_next;
	}
}

static int dynsym_read(struct arena *a, struct image *img,
		       const struct dynamic *d, struct err *e)
{
	struct table t = { .str = d->str, .from = SYM_DYNSYM };
	uint64_t at = d->tag[DT_SYMTAB], count;

	if (!at)
		return 0;
	if (!dynsym_count(img, d, &count))
		return fail(e, img->path, d->gnu_hash ? d->gnu_hash : at,
			    "symbol hash table runs past its segment");
	t.sym = image_from(img, at);
	if (count > t.sym.n / sizeof(Elf64_Sym))
		return fail(e, img->path, at,
			    "DT_SYMTAB runs past its segment");
	t.sym.n = count * sizeof(Elf64_Sym);
	if (d->versym) {
		t.versym = image_from(img, d->versym);
		if (count > t.versym.n / sizeof(uint16_t))
			return fail(e, img->path, d->versym,
				    "DT_VERSYM runs past its segment");
		t.version = arena_alloc(a, VERSIONS * sizeof(*t.version));
		verdef_read(img, d, t.version);
		t.file = arena_alloc(a, VERSIONS * sizeof(*t.file));
		verneed_read(img, d, &t);
	}
	return table_read(a, img, &t, img, e);
}

int symbols_read(struct arena *a, struct image *img, const struct dynamic *d,
		 struct err *e)
{
	if (dynsym_read(a, img, d, e))
		return -1;
	return symtab_read(a, img, img, SYM_SYMTAB, e);
}

static int order(const void *x, const void *y)
{
	const struct symbol *p = x, *q = y;
	int c;

	if (p->addr != q->addr)
		return p->addr < q->addr ? -1 : 1;
	c = p->name == q->name ? 0 : strcmp(p->name, q->name);
	if (c)
		return c;
	if (!p->version != !q->version) /* versioned ones first */
		return p->version ? -1 : 1;
	c = p->version ? strcmp(p->version, q->version) : 0;
	return c ? c : p->from - q->from;
}

/* Does `s` say what `kept` has said?  A debug file repeats .dynsym, mostly
 * without the versions. */
static bool repeats(const struct symbol *kept, const struct symbol *s)
{
	return kept->addr == s->addr && !strcmp(kept->name, s->name) &&
	       (!s->version ||
		(kept->version && !strcmp(kept->version, s->version)));
}

void symbols_sort(struct image *img)
{
	size_t kept = 0;

	if (img->nsym)
		qsort(img->sym, img->nsym, sizeof(*img->sym), order);
	for (size_t i = 0; i < img->nsym; i++)
		if (!kept || !repeats(&img->sym[kept - 1], &img->sym[i]))
			img->sym[kept++] = img->sym[i];
		else if (img->sym[i].from == SYM_DYNSYM)
			img->sym[kept - 1].from = SYM_DYNSYM;
	img->nsym = kept;
}
