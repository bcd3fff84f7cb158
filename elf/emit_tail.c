/* SPDX-License-Identifier: MIT */
/* emit_tail.c - what no segment loads: the caller's unloaded sections, then
 * symbols, strings and the section-header table, all of them longer copies of
 * the original's.
 *
 * Old section headers keep their number where symbols refer to it; those whose
 * bytes have moved (the evicted ones, and .eh_frame_hdr, which is now the table
 * over old and new functions) say where they are now.  Only, patchelf looks for
 * what its own longer program-header table would overwrite in the order of the
 * section headers, and stops at the first that is far away.  So the evicted
 * ones step behind the tables they stood among:
 *
 *   before  .interp .note .note .gnu.hash .dynsym ... .rela.plt | .init .plt
 *   after   .note .gnu.hash .dynsym ... .rela.plt .interp .note | .init .plt
 *
 * New headers follow.  Every new range has one: strip keeps of a segment what
 * sections cover.  New symbols are global, because local ones would have to
 * stand before the old globals and renumber them.
 */
#include "elf/buf.h"
#include "elf/emit_parts.h"

struct make {
	struct arena *a;
	const struct image *img;
	const struct room *room;
	const struct edits *ed;
	Elf64_Shdr *sh;
	size_t nsh;
	uint32_t *to;                 /* old number -> new number */
	size_t new_sec;               /* number of ed->sec[0]'s header */
	size_t shstr, strtab, symtab; /* numbers; 0: there is none */
	size_t eh_frame_hdr;          /* likewise, the old one */
	struct buf names, strings, symbols, out;
	uint64_t off; /* of out.p[0] in the file */
};

static uint32_t add_string(struct buf *b, const char *s)
{
	uint32_t at = (uint32_t)b->n;

	buf_put(b, s, strlen(s) + 1);
	return at;
}

/* Good until the next one is added. */
static Elf64_Shdr *add_header(struct make *m, const char *name, uint32_t type,
			      uint64_t align)
{
	Elf64_Shdr *h;

	m->sh = arena_push(m->a, m->sh, m->nsh, sizeof(*m->sh));
	h = &m->sh[m->nsh++];
	memset(h, 0, sizeof(*h));
	h->sh_type = type;
	h->sh_addralign = align;
	if (type != SHT_NULL)
		h->sh_name = add_string(&m->names, name);
	return h;
}

static bool is_evicted(const struct make *m, const struct section *s)
{
	uint64_t off = s->off, vaddr;

	return (s->flags & SHF_ALLOC) && s->type != SHT_NOBITS &&
	       evicted_move(m->room, &off, &vaddr);
}

static bool dynsym_refers_below(const struct image *img, size_t end)
{
	for (size_t i = 0; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];
		Elf64_Sym sym;

		if (s->type != SHT_DYNSYM)
			continue;
		for (uint64_t at = 0; at + sizeof(sym) <= s->size;
		     at += sizeof(sym)) {
			memcpy(&sym, img->file.p + s->off + at, sizeof(sym));
			if (sym.st_shndx && sym.st_shndx < end)
				return true;
		}
	}
	return false;
}

/* Number the old sections: evicted ones behind the leading tables. */
static void number(struct make *m)
{
	const struct image *img = m->img;
	uint32_t end = 1, n = 1;

	m->to = arena_alloc(m->a, (img->nsec + 1) * sizeof(*m->to));
	for (uint32_t i = 0; i < img->nsec; i++)
		m->to[i] = i;
	while (end < img->nsec && (img->sec[end].flags & SHF_ALLOC) &&
	       (img->sec[end].type != SHT_PROGBITS ||
		is_evicted(m, &img->sec[end])))
		end++;
	if (dynsym_refers_below(img, end))
		return;
	for (int evicted = 0; evicted < 2; evicted++)
		for (uint32_t i = 1; i < end; i++)
			if (is_evicted(m, &img->sec[i]) == evicted)
				m->to[i] = n++;
}

static uint32_t renumber(const struct make *m, uint32_t section)
{
	return section < m->img->nsec ? m->to[section] : section;
}

static void old_headers(struct make *m)
{
	const struct image *img = m->img;
	size_t shstr = ehdr_of(img).e_shstrndx;

	if (!shstr || shstr >= img->nsec ||
	    img->sec[shstr].type != SHT_STRTAB) {
		buf_u8(&m->names, 0);
	} else {
		buf_put(&m->names, img->file.p + img->sec[shstr].off,
			img->sec[shstr].size);
		m->shstr = shstr;
	}
	number(m);
	for (size_t i = 0; i < img->nsec; i++)
		m->sh = arena_push(m->a, m->sh, m->nsh++, sizeof(*m->sh));
	for (size_t i = 0; i < img->nsec; i++) {
		Elf64_Shdr h = shdr_of(img, i);

		if (is_evicted(m, &img->sec[i]))
			evicted_move(m->room, &h.sh_offset, &h.sh_addr);
		if (h.sh_type == SHT_SYMTAB)
			m->symtab = i;
		h.sh_link = renumber(m, h.sh_link);
		if (h.sh_type == SHT_RELA || (h.sh_flags & SHF_INFO_LINK))
			h.sh_info = renumber(m, h.sh_info);
		m->sh[m->to[i]] = h;
	}
	if (!img->nsec)
		add_header(m, "", SHT_NULL, 0);
}

static void eh_frame_header(struct make *m)
{
	const struct edits *ed = m->ed;
	const struct image *img = m->img;
	Elf64_Shdr *h;

	if (!ed->eh_frame_hdr_size)
		return;
	for (size_t i = 1; i < img->nsec; i++)
		if (img->sec[i].addr == img->eh_frame_hdr && img->sec[i].size &&
		    img->eh_frame_hdr)
			m->eh_frame_hdr = i;
	if (m->eh_frame_hdr)
		h = &m->sh[m->eh_frame_hdr];
	else
		h = add_header(m, ".eh_frame_hdr", SHT_PROGBITS, 4);
	h->sh_flags = SHF_ALLOC;
	h->sh_addr = m->room->rx_vaddr + ed->eh_frame_hdr;
	h->sh_offset = m->room->rx_off + ed->eh_frame_hdr;
	h->sh_size = ed->eh_frame_hdr_size;
}

/* Where a section or symbol is, in memory and in the file. */
static void place(const struct make *m, enum new_in in, uint64_t at,
		  uint64_t *addr, uint64_t *off)
{
	const struct room *room = m->room;
	uint64_t rw = emit_rw_vaddr(room, m->ed->rx_size);
	uint64_t rw_off = rw_offset(room, m->ed);

	*addr = in == IN_RX ? room->rx_vaddr + at : rw + at;
	*off = in == IN_RX   ? room->rx_off + at
	       : in == IN_RW ? rw_off + at
			     : rw_off + m->ed->rw_size;
}

static uint64_t flags_of(const struct new_section *s)
{
	if (s->in == NOT_LOADED)
		return s->compressed ? SHF_COMPRESSED : 0;
	if (s->in != IN_RX)
		return SHF_ALLOC | SHF_WRITE;
	return s->data || s->type == SHT_NOTE ? SHF_ALLOC
					      : SHF_ALLOC | SHF_EXECINSTR;
}

static void new_headers(struct make *m)
{
	Elf64_Shdr *h = add_header(m, ".bpfweld", SHT_PROGBITS, 64);

	h->sh_flags = SHF_ALLOC;
	h->sh_size = WELD_HEADER_SIZE;
	place(m, IN_RX, 0, &h->sh_addr, &h->sh_offset);
	m->new_sec = m->nsh;
	for (size_t i = 0; i < m->ed->nsec; i++) {
		const struct new_section *s = &m->ed->sec[i];

		h = add_header(m, s->name, s->type, s->align);
		h->sh_flags = flags_of(s);
		h->sh_size = s->in == NOT_LOADED ? s->content.n : s->size;
		if (s->in != NOT_LOADED) {
			place(m, s->in, s->at, &h->sh_addr, &h->sh_offset);
			continue;
		}
		buf_align(&m->out, s->align ? s->align : 1);
		h->sh_offset = m->off + m->out.n;
		buf_put(&m->out, s->content.p, s->content.n);
	}
}

/* The header that covers a new symbol. */
static uint16_t section_of(const struct make *m, const struct new_symbol *s)
{
	bool rx = s->in == IN_RX;

	for (size_t i = 0; i < m->ed->nsec; i++) {
		const struct new_section *in = &m->ed->sec[i];
		bool there = rx ? in->in == IN_RX
				: in->in == IN_RW || in->in == IN_BSS;

		if (there && s->at >= in->at && s->at - in->at < in->size)
			return (uint16_t)(m->new_sec + i);
	}
	return SHN_ABS;
}

/* Some tools keep symbol names among the section names; then so do we. */
static struct buf *symbol_strings(struct make *m)
{
	return m->strtab == m->shstr ? &m->names : &m->strings;
}

/* Old symbols in sections that have another number or place now.  GNU ld
 * names the start of .eh_frame_hdr. */
static void fix_symbols(struct make *m)
{
	Elf64_Sym s;

	symbols_follow(m->img, m->room, m->symbols.p, m->symbols.n);
	for (size_t at = 0; at < m->symbols.n; at += sizeof(s)) {
		memcpy(&s, m->symbols.p + at, sizeof(s));
		if (m->eh_frame_hdr && s.st_shndx == m->eh_frame_hdr)
			s.st_value = m->sh[m->eh_frame_hdr].sh_addr;
		s.st_shndx = (uint16_t)renumber(m, s.st_shndx);
		memcpy(m->symbols.p + at, &s, sizeof(s));
	}
}

static void old_symbols(struct make *m)
{
	const struct image *img = m->img;

	if (!m->symtab) {
		Elf64_Shdr *h;

		m->symtab = m->nsh;
		m->strtab = m->nsh + 1;
		h = add_header(m, ".symtab", SHT_SYMTAB, 8);
		h->sh_link = (uint32_t)m->strtab;
		h->sh_entsize = sizeof(Elf64_Sym);
		h->sh_info = 1; /* no local but the null one */
		add_header(m, ".strtab", SHT_STRTAB, 1);
		buf_u8(&m->strings, 0);
		buf_room(&m->symbols, sizeof(Elf64_Sym));
		return;
	}
	m->strtab = m->sh[m->symtab].sh_link;
	buf_put(&m->symbols, img->file.p + img->sec[m->symtab].off,
		img->sec[m->symtab].size / sizeof(Elf64_Sym) *
			sizeof(Elf64_Sym));
	fix_symbols(m);
	if (m->strtab != m->shstr)
		buf_put(&m->strings, img->file.p + img->sec[m->strtab].off,
			img->sec[m->strtab].size);
}

static void new_symbols(struct make *m)
{
	for (size_t i = 0; i < m->ed->nsym; i++) {
		const struct new_symbol *s = &m->ed->sym[i];
		Elf64_Sym sym = { .st_size = s->size };
		uint64_t unused;

		sym.st_name = add_string(symbol_strings(m), s->name);
		sym.st_info = ELF64_ST_INFO(STB_GLOBAL, s->type);
		sym.st_shndx = section_of(m, s);
		place(m, s->in, s->at, &sym.st_value, &unused);
		buf_put(&m->symbols, &sym, sizeof(sym));
	}
}

static void append(struct make *m, size_t index, const struct buf *b)
{
	buf_align(&m->out, 8);
	m->sh[index].sh_offset = m->off + m->out.n;
	m->sh[index].sh_size = b->n;
	buf_put(&m->out, b->p, b->n);
}

static int check(const struct make *m, struct err *e)
{
	const struct image *img = m->img;
	size_t n = img->nsec + m->ed->nsec + 8;

	if (n >= SHN_LORESERVE)
		return refuse(e, img->path, NOWHERE, "has too many sections");
	for (size_t i = 0; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];

		if (s->type == SHT_SYMTAB_SHNDX)
			return refuse(e, img->path, NOWHERE,
				      "has an extended symbol table");
		if (s->type == SHT_SYMTAB &&
		    (!s->link || s->link >= img->nsec ||
		     img->sec[s->link].type != SHT_STRTAB))
			return refuse(e, img->path, s->off,
				      "symbol table without names");
	}
	return 0;
}

int tail_make(struct arena *a, const struct image *img, const struct room *room,
	      const struct edits *ed, struct tail *tail, struct err *e)
{
	struct make m = { .a = a, .img = img, .room = room, .ed = ed };

	if (check(&m, e))
		return -1;
	m.names.a = m.strings.a = m.symbols.a = m.out.a = a;
	m.off = align_up(rw_offset(room, ed) + ed->rw_size, 64);
	old_headers(&m);
	eh_frame_header(&m);
	new_headers(&m);
	if (!m.shstr) {
		m.shstr = m.nsh;
		add_header(&m, ".shstrtab", SHT_STRTAB, 1);
	}
	old_symbols(&m);
	new_symbols(&m);
	/* Beyond this point no section is added and no string. */
	append(&m, m.symtab, &m.symbols);
	if (m.strtab != m.shstr)
		append(&m, m.strtab, &m.strings);
	append(&m, m.shstr, &m.names);
	buf_align(&m.out, 8);
	tail->shoff = m.off + m.out.n;
	buf_put(&m.out, m.sh, m.nsh * sizeof(*m.sh));
	tail->off = m.off;
	tail->p = m.out.p;
	tail->n = m.out.n;
	tail->shnum = (uint16_t)m.nsh;
	tail->shstrndx = (uint16_t)m.shstr;
	return 0;
}
