/* SPDX-License-Identifier: MIT */
/* gopclntab.c - Go's table of functions, which the runtime unwinds by and which
 * therefore even stripped programs have.
 *
 *   header    magic, 0, 0, 1, 8 (pointers), then words:
 *             nfunc [nfile [text] funcname cu file pc functab, as offsets from
 *             here]
 *   functab   nfunc times {entry, offset of its record}, and the end of the
 *             last function
 *   record    name, deferreturn, pcfile, cu: offsets; FuncID, flags
 *
 *   magic      by          entries             records and names count from
 *   fffffffb   1.2 - 1.15  addresses           the header
 *   fffffffa   1.16, 1.17  addresses           functab; funcname
 *   fffffff0   1.18, 1.19  32 bits, from text  functab; funcname
 *   fffffff1   1.20 on     the same, and a line number more in each record
 *
 * A section has it, or in what an external linker has made of Go code, and
 * where sections are gone, it is somewhere in the data: what begins like it is
 * believed to be it when the functions it names are in order and in executable
 * memory, and when moduledata, the runtime's root of everything, points to it.
 *
 * Which functions are assembly is said by a flag since 1.19, and always by the
 * name of the file that their first instruction is from: ".s".  C functions of
 * objects that Go's linker has taken in (the race detector) have no file.
 *
 * A file that is Go's and has no table that can be read is refused: without one
 * its functions would be taken for C.
 */
#include "elf/image_parts.h"

struct layout {
	uint32_t magic;
	const char *versions;
	uint8_t words;   /* of the header, nfunc first */
	uint8_t entry;   /* bytes of an entry, and of an offset */
	uint8_t name, deferreturn, pcfile, cu, id; /* in a record; the flags
						      follow the id */
};
enum { NFUNC, NFILE, TEXT, FUNCNAME = 3, CU, FILES, PC, FUNCTAB, NWORD };

// clang-format off
static const struct layout layouts[] = {
	/* magic      versions             words entry name defer file cu  id */
	{ 0xfffffffb, "go1.2 to go1.15",   1,    8,    8,   16,   24,  0,  36 },
	{ 0xfffffffa, "go1.16 or go1.17",  7,    8,    8,   16,   24,  36, 40 },
	{ 0xfffffff0, "go1.18 or go1.19",  8,    4,    4,   12,   20,  32, 36 },
	{ 0xfffffff1, "go1.20 or later",   8,    4,    4,   12,   20,  32, 40 },
};
// clang-format on
enum {
	NLAYOUT = sizeof(layouts) / sizeof(*layouts),
	HEADER = 8,
	MAX_TRIES = 16, /* of what begins like a table */
};
enum { TOP_FRAME = 1, SPWRITE = 2, ASM = 4 };

struct reader {
	struct arena *a;
	const struct image *img;
	const struct dynamic *d;
	const struct layout *l;
	uint64_t vaddr;        /* of the header */
	struct bytes b;        /* from there on */
	uint64_t word[NWORD];
	uint64_t end;          /* of functab */
	const uint8_t *fixed;  /* a copy up to there, relocated */
	uint64_t budget;       /* string bytes that may be looked at */
	uint8_t wrapper;       /* FuncID of what the compiler makes */
	struct go go;
};

static const struct layout *layout_of(struct bytes b)
{
	static const uint8_t rest[] = { 0, 0, 1, 8 };
	uint32_t magic;

	if (!bytes_get(b, 0, &magic, sizeof(magic)) || b.n < HEADER ||
	    memcmp(b.p + 4, rest, sizeof(rest)))
		return NULL;
	for (size_t i = 0; i < NLAYOUT; i++)
		if (layouts[i].magic == magic)
			return &layouts[i];
	return NULL;
}

/* Words that a format does not have are left out on the way. */
static bool header_words(struct reader *r)
{
	unsigned skip = 0;

	for (unsigned i = 0; i < NWORD; i++) {
		bool has = r->l->words == 8 || (r->l->words == 7 && i != TEXT) ||
			   i == NFUNC;

		skip += !has;
		if (has && !bytes_get(r->b, HEADER + (i - skip) * 8,
				      &r->word[i], 8))
			return false;
	}
	if (r->l->words == 1)
		r->word[FUNCTAB] = HEADER + 8;
	return r->word[FUNCTAB] <= r->b.n && r->word[NFUNC] &&
	       r->word[NFUNC] <= r->b.n / (2u * r->l->entry);
}

/* Pointers that the loader would fill in. */
static void relocate(const struct reader *r, uint8_t *copy)
{
	struct bytes b = image_from(r->img, r->d->tag[DT_RELA]);
	Elf64_Rela x;

	if (!r->d->tag[DT_RELA])
		return;
	if (b.n > r->d->tag[DT_RELASZ])
		b.n = r->d->tag[DT_RELASZ];
	for (uint64_t at = 0; bytes_get(b, at, &x, sizeof(x)); at += sizeof(x))
		if (ELF64_R_TYPE(x.r_info) == R_X86_64_RELATIVE &&
		    x.r_offset >= r->vaddr &&
		    x.r_offset - r->vaddr <= r->end - 8)
			memcpy(copy + (x.r_offset - r->vaddr), &x.r_addend, 8);
}

/* Since 1.26 `text` is 0; the symbol is what it was, and the section begins
 * there unless an external linker has put C code before. */
static uint64_t text_start(const struct reader *r)
{
	const struct section *s = image_section(r->img, ".text");
	uint64_t at;

	memcpy(&at, r->fixed + HEADER + TEXT * 8, 8);
	for (size_t i = 0; !at && i < r->img->nsym; i++)
		if (!strcmp(r->img->sym[i].name, "runtime.text"))
			at = r->img->sym[i].addr;
	return !at && s ? s->addr : at;
}

static uint64_t entry_word(const struct reader *r, uint64_t i)
{
	const uint8_t *p = r->fixed + r->word[FUNCTAB] + i * r->l->entry;
	uint64_t v = 0;

	memcpy(&v, p, r->l->entry);
	return v;
}

static bool addresses(struct reader *r)
{
	uint64_t n = r->word[NFUNC], text = 0, last = 0;
	struct go_func *f = arena_alloc(r->a, n * sizeof(*f));

	if (r->l->entry == 4)
		text = text_start(r);
	for (uint64_t i = 0; i <= n; i++) {
		uint64_t addr = text + entry_word(r, 2 * i);

		/* Two functions at one address: the first is empty. */
		if (i && addr < last)
			return false;
		if (i < n && !image_is_code(r->img, addr))
			return false;
		if (i)
			f[i - 1].size = addr - last;
		if (i < n)
			f[i].addr = addr;
		last = addr;
	}
	r->go.func = f;
	r->go.nfunc = n;
	return image_is_code(r->img, last - 1);
}

/* Strings may overlap: a hostile table could make each function's name the
 * whole file. */
static const char *string_at(struct reader *r, uint64_t off)
{
	uint64_t room = off < r->b.n ? r->b.n - off : 0;
	const uint8_t *s = room ? r->b.p + off : NULL, *end;

	if (room > r->budget)
		room = r->budget;
	end = room ? memchr(s, 0, room) : NULL;
	r->budget -= end ? (uint64_t)(end - s) + 1 : room;
	return end ? (const char *)s : NULL;
}

/* A function's record, or NULL. */
static const uint8_t *record(const struct reader *r, uint64_t i)
{
	uint64_t at = entry_word(r, 2 * i + 1);

	if (r->l->words > 1)
		at += r->word[FUNCTAB];
	return bytes_at(r->b, at, r->l->id + 2u);
}

static uint32_t field(const uint8_t *rec, uint8_t at)
{
	uint32_t v;

	memcpy(&v, rec + at, sizeof(v));
	return v;
}

/* The file of the first instruction: pcfile begins with the difference of its
 * number from -1, as a zigzag varint. */
static const char *file_of(struct reader *r, const uint8_t *rec)
{
	bool old = r->l->words == 1;
	struct cursor c = cursor_at(r->b, r->word[PC] + field(rec, r->l->pcfile));
	uint64_t v = cur_uleb(&c), no = (v >> 1 ^ -(v & 1)) - 1, base;
	uint32_t off;

	if (c.bad || no > UINT32_MAX)
		return NULL;
	if (!old) {
		base = r->word[CU] + 4 * (field(rec, r->l->cu) + no);
		if (!bytes_get(r->b, base, &off, sizeof(off)))
			return NULL;
		return string_at(r, r->word[FILES] + off);
	}
	/* Behind functab: the offset of a table of offsets. */
	if (!bytes_get(r->b, r->end, &off, sizeof(off)) ||
	    !bytes_get(r->b, off + 4 * no, &off, sizeof(off)))
		return NULL;
	return string_at(r, off);
}

/* The tables behind a record: as many as `npcdata`, 8 behind pcfile, says. */
static void pc_tables(const struct reader *r, const uint8_t *rec,
		      struct go_func *f)
{
	enum { SP = 4, NPCDATA = 8, IDS = 4 }; /* around pcfile; behind the id */
	uint32_t n = field(rec, r->l->pcfile + NPCDATA);
	uint64_t at = (uint64_t)(rec - r->b.p) + r->l->id + IDS;

	f->pcsp = field(rec, r->l->pcfile - SP);
	if (n)
		bytes_get(r->b, at, &f->unsafe, sizeof(f->unsafe));
}

static bool ends_in_s(const char *file)
{
	size_t n = file ? strlen(file) : 0;

	return n > 2 && !strcmp(file + n - 2, ".s");
}

/* What a record says, and the name as a symbol. */
static bool function(struct reader *r, struct image *img, uint64_t i)
{
	struct go_func *f = &r->go.func[i];
	const uint8_t *rec = record(r, i);
	const char *name, *file;
	bool wrapper = false;
	struct symbol y;
	uint8_t flags;

	if (!rec)
		return false;
	name = string_at(r, (r->l->words > 1 ? r->word[FUNCNAME] : 0) +
				    field(rec, r->l->name));
	if (!name)
		return false;
	file = file_of(r, rec);
	flags = r->l->words > 1 ? rec[r->l->id + 1] : 0;
	f->deferreturn = field(rec, r->l->deferreturn);
	f->id = rec[r->l->id];
	pc_tables(r, rec, f);
	f->foreign = field(rec, r->l->pcfile) == 0;
	f->assembly = flags & ASM || ends_in_s(file);
	f->writes_sp = flags & SPWRITE;
	f->top_frame = flags & TOP_FRAME;
	r->go.reg_abi |= flags != 0;
	if (file && !strcmp(file, "<autogenerated>")) {
		wrapper = true;
		r->wrapper |= f->id; /* or 0: made, but no wrapper */
	}
	if (!*name || !f->size)
		return true;
	/* Wrappers give way to what they wrap. */
	y = (struct symbol){
		.name = name, .addr = f->addr, .size = f->size,
		.type = STT_FUNC, .from = SYM_GO,
		.bind = wrapper ? STB_WEAK : STB_LOCAL,
	};
	img->sym = arena_push(r->a, img->sym, img->nsym, sizeof(y));
	img->sym[img->nsym++] = y;
	return true;
}

/* Is there a table at vaddr?  Its functions' addresses are good then. */
static bool table_at(struct reader *r, uint64_t vaddr)
{
	uint8_t *copy;

	r->vaddr = vaddr;
	r->b = image_from(r->img, vaddr);
	r->l = layout_of(r->b);
	memset(r->word, 0, sizeof(r->word));
	if (!r->l || !header_words(r))
		return false;
	r->end = r->word[FUNCTAB] +
		 (2 * r->word[NFUNC] + 1) * (uint64_t)r->l->entry;
	if (r->end > r->b.n)
		return false;
	copy = arena_dup(r->a, r->b.p, r->end);
	relocate(r, copy);
	r->fixed = copy;
	return addresses(r);
}

/* Does writable memory hold the table's address, as moduledata does? */
static bool is_named(const struct reader *r)
{
	const struct image *img = r->img;
	struct bytes rela = image_from(img, r->d->tag[DT_RELA]);
	Elf64_Rela x;

	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *g = &img->seg[i];
		struct bytes b = image_from(img, g->vaddr);
		uint64_t v;

		if (g->type != PT_LOAD || !(g->flags & PF_W))
			continue;
		for (uint64_t at = -g->vaddr & 7; bytes_get(b, at, &v, 8);
		     at += 8)
			if (v == r->vaddr)
				return true;
	}
	if (!r->d->tag[DT_RELA])
		return false;
	if (rela.n > r->d->tag[DT_RELASZ])
		rela.n = r->d->tag[DT_RELASZ];
	for (uint64_t at = 0; bytes_get(rela, at, &x, sizeof(x));
	     at += sizeof(x))
		if ((uint64_t)x.r_addend == r->vaddr)
			return true;
	return false;
}

static bool table_search(struct reader *r)
{
	unsigned tries = 0;

	for (size_t i = 0; i < r->img->nseg; i++) {
		const struct segment *g = &r->img->seg[i];
		struct bytes b = image_from(r->img, g->vaddr);

		if (g->type != PT_LOAD || !g->filesz)
			continue;
		for (uint64_t at = -g->vaddr & 7; at + HEADER <= b.n; at += 8) {
			struct bytes here = { b.p + at, b.n - at };

			if (!layout_of(here))
				continue;
			if (table_at(r, g->vaddr + at) && is_named(r))
				return true;
			if (++tries == MAX_TRIES)
				return false;
		}
	}
	return false;
}

/* -1: there is a section, and nothing good in it. */
static int table_in_section(struct reader *r)
{
	static const char *const names[] = { ".gopclntab",
					     ".data.rel.ro.gopclntab" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct section *s = image_section(r->img, names[i]);

		if (s && s->size)
			return table_at(r, s->addr) ? 1 : -1;
	}
	return 0;
}

int go_read(struct arena *a, struct image *img, const struct dynamic *d,
	    struct err *e)
{
	struct reader r = { .a = a, .img = img, .d = d };
	size_t nsym = img->nsym;
	bool is_go;
	const char *version = go_version(a, img, &is_go);
	int found = table_in_section(&r);

	if (found < 0 || (!found && !table_search(&r))) {
		if (found || is_go)
			return refuse(e, img->path, NOWHERE,
				      "a Go program%s%s whose function table "
				      "cannot be read",
				      version ? " of " : "",
				      version ? version : "");
		return 0;
	}
	r.go.reg_abi = r.l->entry == 4;
	r.budget = 32 * (uint64_t)r.b.n;
	for (uint64_t i = 0; i < r.go.nfunc; i++)
		if (!function(&r, img, i)) {
			img->nsym = nsym;
			return refuse(e, img->path,
				      image_offset(img, r.vaddr),
				      "Go's function table is damaged");
		}
	for (uint64_t i = 0; i < r.go.nfunc; i++)
		if (r.go.func[i].id == r.wrapper)
			r.go.func[i].id = 0;
	if (r.word[PC] < r.b.n)
		r.go.pctab = (struct bytes){ r.b.p + r.word[PC],
					     r.b.n - r.word[PC] };
	r.go.version = version ? version : r.l->versions;
	img->go = arena_dup(a, &r.go, sizeof(r.go));
	return 0;
}

/* Pairs of varints: the value's change, zigzag, and for how many bytes it then
 * stays; a change of 0 ends the table, unless it is the first. */
int32_t go_pc_value(const struct go *g, const struct go_func *f,
		    uint32_t table, uint64_t pc)
{
	struct cursor c = cursor_at(g->pctab, table);
	uint64_t at = f->addr;
	uint32_t value = UINT32_MAX;

	while (table && !c.bad && pc >= at && at - f->addr < f->size) {
		uint64_t change = cur_uleb(&c), for_bytes = cur_uleb(&c);

		if (!change && at != f->addr)
			break;
		value += (uint32_t)(change >> 1 ^ -(change & 1));
		at += for_bytes;
		if (!c.bad && for_bytes && pc < at)
			return (int32_t)value;
		if (!for_bytes && !change)
			break;
	}
	return GO_NO_VALUE;
}

void go_landings(struct arena *a, struct image *img)
{
	struct addrs l = { img->landing, img->nlanding };

	if (!img->go)
		return;
	for (size_t i = 0; i < img->go->nfunc; i++) {
		const struct go_func *f = &img->go->func[i];

		if (f->deferreturn && f->deferreturn < f->size)
			addrs_add(a, &l, f->addr + f->deferreturn);
	}
	addrs_sort(&l);
	img->landing = l.v;
	img->nlanding = l.n;
}
