/* SPDX-License-Identifier: MIT */
/* emit_plan.c - find room for two or three more program headers.
 *
 * Linkers leave no gap behind the program-header table: .interp or the first
 * note follows at once.  Moving the table elsewhere is what most tools do and
 * what every strip breaks, so the table grows where it stands and its next
 * neighbours move instead:
 *
 *   before  | ehdr | phdrs ........ | .interp | notes | .gnu.hash ...
 *   after   | ehdr | phdrs .................. | notes | .gnu.hash ...
 *             RX:    weld header, .interp, ...
 *
 * A neighbour may move when all that refer to it are headers we can rewrite:
 *
 *   .interp, notes    program headers only.  Notes move together with all that
 *                     share their PT_NOTE, whose order and padding matter
 *   .gnu.hash, ...    one DT_* word
 *   anything else     code may address it: not moved.  So too a .rela.plt of a
 *                     static program, which is found by __rela_iplt_start
 *
 * A PT_NOTE that spans just what PT_GNU_PROPERTY spans tells nobody anything
 * and gives its slot away.  In Go and musl programs the table has room enough
 * behind it.  If something unmovable is in the way, or the table is somewhere
 * unusual, or there are no section headers to tell, the table moves into RX
 * after all.
 *
 * The third is PT_GNU_EH_FRAME in a static program that has none: libgcc knows
 * what crtbeginT.o has registered, and looks here for all else.  In those the
 * notes make room for a header and a half, so a property that asks for nothing
 * gives its slot away too; and where that is not enough, the table of frames
 * is not worth a table of headers that strip breaks.
 */
#include <assert.h>

#include "elf/emit_parts.h"

/* Tables that only the dynamic section points to. */
// clang-format off
static const struct {
	uint32_t type;
	int64_t tag, size_tag; /* its size must not go past the section's */
} movable[] = {
	{ SHT_GNU_HASH,    DT_GNU_HASH, 0         },
	{ SHT_HASH,        DT_HASH,     0         },
	{ SHT_DYNSYM,      DT_SYMTAB,   0         },
	{ SHT_STRTAB,      DT_STRTAB,   DT_STRSZ  },
	{ SHT_GNU_versym,  DT_VERSYM,   0         },
	{ SHT_GNU_verdef,  DT_VERDEF,   0         },
	{ SHT_GNU_verneed, DT_VERNEED,  0         },
	{ SHT_RELA,        DT_RELA,     DT_RELASZ },
};
// clang-format on

struct range {
	uint64_t lo, hi; /* file offsets */
};

static bool overlap(struct range r, uint64_t off, uint64_t size)
{
	return size && off < r.hi && r.lo < off + size;
}

bool evicted_move(const struct room *room, uint64_t *off, uint64_t *vaddr)
{
	for (size_t i = 0; i < room->nevicted; i++) {
		const struct evicted *u = &room->evicted[i];

		if (*off < u->off || *off >= u->off + u->size)
			continue;
		*vaddr = room->rx_vaddr + u->at + (*off - u->off);
		*off = room->rx_off + u->at + (*off - u->off);
		return true;
	}
	return false;
}

bool dyn_find(const struct image *img, int64_t tag, uint64_t *value,
	      uint64_t *off)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];
		Elf64_Dyn d;

		if (s->type != PT_DYNAMIC)
			continue;
		for (uint64_t at = 0; at + sizeof(d) <= s->filesz;
		     at += sizeof(d)) {
			const uint8_t *p =
				bytes_at(img->file, s->off + at, sizeof(d));

			if (!p)
				return false;
			memcpy(&d, p, sizeof(d));
			if (d.d_tag == DT_NULL)
				return false;
			if (d.d_tag != tag)
				continue;
			*value = d.d_un.d_val;
			*off = s->off + at + offsetof(Elf64_Dyn, d_un);
			return true;
		}
	}
	return false;
}

Elf64_Ehdr ehdr_of(const struct image *img)
{
	const uint8_t *p = bytes_at(img->file, 0, sizeof(Elf64_Ehdr));
	Elf64_Ehdr h;

	assert(p);
	memcpy(&h, p, sizeof(h));
	return h;
}

Elf64_Phdr phdr_of(const struct image *img, size_t i)
{
	Elf64_Phdr h;
	const uint8_t *p = bytes_at(
		img->file, ehdr_of(img).e_phoff + i * sizeof(h), sizeof(h));

	assert(p);
	memcpy(&h, p, sizeof(h));
	return h;
}

Elf64_Shdr shdr_of(const struct image *img, size_t i)
{
	Elf64_Shdr h;
	const uint8_t *p = bytes_at(
		img->file, ehdr_of(img).e_shoff + i * sizeof(h), sizeof(h));

	assert(p);
	memcpy(&h, p, sizeof(h));
	return h;
}

/* Segments that name a range of data, as opposed to mapping or protecting it */
static bool names_data(uint32_t type)
{
	return type != PT_LOAD && type != PT_PHDR && type != PT_GNU_STACK &&
	       type != PT_GNU_RELRO && type != PT_NULL;
}

static bool in_file(const struct section *s)
{
	return s->type != SHT_NOBITS && s->type != SHT_NULL;
}

/* All that must move together with what is at r. */
static struct range unit_of(const struct image *img, struct range r)
{
	struct range was;

	do {
		was = r;
		for (size_t i = 0; i < img->nseg; i++) {
			const struct segment *s = &img->seg[i];

			if (!names_data(s->type) ||
			    !overlap(r, s->off, s->filesz))
				continue;
			r.lo = s->off < r.lo ? s->off : r.lo;
			if (s->off + s->filesz > r.hi)
				r.hi = s->off + s->filesz;
		}
		for (size_t i = 0; i < img->nsec; i++) {
			const struct section *s = &img->sec[i];

			if (!in_file(s) || !overlap(r, s->off, s->size))
				continue;
			r.lo = s->off < r.lo ? s->off : r.lo;
			if (s->off + s->size > r.hi)
				r.hi = s->off + s->size;
		}
	} while (was.lo != r.lo || was.hi != r.hi);
	return r;
}

static bool found_by_dynamic(const struct image *img, const struct section *s)
{
	for (size_t i = 0; i < sizeof(movable) / sizeof(*movable); i++) {
		uint64_t addr, size = 0, off;

		if (movable[i].type != s->type)
			continue;
		if (!dyn_find(img, movable[i].tag, &addr, &off) ||
		    addr != s->addr)
			return false;
		return !movable[i].size_tag ||
		       (dyn_find(img, movable[i].size_tag, &size, &off) &&
			size <= s->size);
	}
	return false;
}

static bool is_interp(const struct image *img, const struct section *s)
{
	for (size_t i = 0; i < img->nseg; i++)
		if (img->seg[i].type == PT_INTERP && img->seg[i].off == s->off)
			return true;
	return false;
}

/* Does a relocation point data of the program at something in here? */
static bool data_points_at(const struct image *img, uint64_t vaddr,
			   uint64_t size)
{
	for (size_t i = 0; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];
		Elf64_Rela r;

		if (s->type != SHT_RELA || !(s->flags & SHF_ALLOC))
			continue;
		for (uint64_t at = 0; at + sizeof(r) <= s->size;
		     at += sizeof(r)) {
			const uint8_t *p =
				bytes_at(img->file, s->off + at, sizeof(r));

			if (!p)
				break;
			memcpy(&r, p, sizeof(r));
			if (ELF64_R_TYPE(r.r_info) == R_X86_64_RELATIVE &&
			    (uint64_t)r.r_addend - vaddr < size)
				return true;
		}
	}
	return false;
}

static bool unit_movable(const struct image *img, struct range r)
{
	uint64_t vaddr = UINT64_MAX;

	if (!bytes_at(img->file, r.lo, r.hi - r.lo))
		return false;
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (!names_data(s->type) || !overlap(r, s->off, s->filesz))
			continue;
		if (s->type != PT_INTERP && s->type != PT_NOTE &&
		    s->type != PT_GNU_PROPERTY)
			return false;
	}
	for (size_t i = 0; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];

		if (!in_file(s) || !overlap(r, s->off, s->size))
			continue;
		if (!(s->flags & SHF_ALLOC) || (s->flags & SHF_WRITE))
			return false;
		if (s->type != SHT_NOTE && !is_interp(img, s) &&
		    !found_by_dynamic(img, s))
			return false;
		if (s->off == r.lo)
			vaddr = s->addr;
	}
	return vaddr != UINT64_MAX && !data_points_at(img, vaddr, r.hi - r.lo);
}

static uint64_t unit_align(const struct image *img, struct range r)
{
	uint64_t align = 8;

	for (size_t i = 0; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];

		if (in_file(s) && overlap(r, s->off, s->size) &&
		    s->align > align && s->align <= PAGE)
			align = s->align;
	}
	return align;
}

static void evict(struct arena *a, const struct image *img, struct room *room,
		  struct range r)
{
	struct evicted *u;

	room->evicted = arena_push(a, room->evicted, room->nevicted,
				   sizeof(*room->evicted));
	u = &room->evicted[room->nevicted++];
	u->off = r.lo;
	u->size = r.hi - r.lo;
	for (size_t i = 0; i < img->nsec; i++)
		if (in_file(&img->sec[i]) && img->sec[i].off == r.lo &&
		    img->sec[i].size)
			u->vaddr = img->sec[i].addr;
	u->at = align_up(room->rx_start, unit_align(img, r));
	room->rx_start = u->at + u->size;
}

static const struct evicted *unit_at(const struct room *room, uint64_t off)
{
	for (size_t i = 0; i < room->nevicted; i++)
		if (off - room->evicted[i].off < room->evicted[i].size)
			return &room->evicted[i];
	return NULL;
}

/* Evict every section that begins or reaches into r; false if one cannot. */
static bool evict_from(struct arena *a, const struct image *img,
		       struct room *room, struct range r)
{
	for (size_t i = 1; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];
		struct range unit;

		if (!in_file(s) || !overlap(r, s->off, s->size) ||
		    unit_at(room, s->off))
			continue;
		unit.lo = s->off;
		unit.hi = s->off + s->size;
		unit = unit_of(img, unit);
		if (!unit_movable(img, unit))
			return false;
		evict(a, img, room, unit);
	}
	return true;
}

/* Is what is left in r nobody's?  Sections are gone; zeroes remain. */
static bool vacant(const struct image *img, const struct room *room,
		   struct range r)
{
	Elf64_Ehdr h = ehdr_of(img);

	if (overlap(r, h.e_shoff, (uint64_t)h.e_shnum * h.e_shentsize))
		return false;
	for (size_t i = 0; i < img->nseg; i++)
		if (names_data(img->seg[i].type) &&
		    overlap(r, img->seg[i].off, img->seg[i].filesz) &&
		    !unit_at(room, img->seg[i].off))
			return false;
	for (uint64_t off = r.lo; off < r.hi; off++)
		if (!unit_at(room, off) &&
		    (off >= img->file.n || img->file.p[off]))
			return false;
	return true;
}

/* Is the longer table in one PT_LOAD?  Some linkers end the first one with the
 * table (emit then lengthens it): is there nothing else behind it? */
static bool table_mapped(const struct image *img, struct range table)
{
	const struct segment *in = NULL;
	uint64_t end;

	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type == PT_LOAD && s->off <= table.lo &&
		    table.lo - s->off < s->filesz)
			in = s;
	}
	if (!in)
		return false;
	if (table.hi - in->off <= in->filesz)
		return true;
	end = in->vaddr + (table.hi - in->off);
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type == PT_LOAD && s != in &&
		    (overlap(table, s->off, s->filesz) ||
		     (s->vaddr > in->vaddr && s->vaddr / PAGE * PAGE < end)))
			return false;
	}
	return in->filesz == in->memsz;
}

static bool grow_in_place(struct arena *a, const struct image *img,
			  struct room *room)
{
	uint64_t phoff = ehdr_of(img).e_phoff;
	struct range table = { phoff,
			       phoff + room->nphdr * sizeof(Elf64_Phdr) };
	struct range grown = { phoff + img->nseg * sizeof(Elf64_Phdr),
			       table.hi };

	room->phoff = phoff;
	room->nevicted = 0;
	room->rx_start = WELD_HEADER_SIZE;
	return img->nsec && phoff == sizeof(Elf64_Ehdr) &&
	       table_mapped(img, table) && evict_from(a, img, room, grown) &&
	       vacant(img, room, grown);
}

static size_t notes_repeating_property(const struct image *img)
{
	size_t n = 0;

	for (size_t i = 0; i < img->nseg; i++)
		for (size_t j = 0; j < img->nseg; j++)
			n += img->seg[i].type == PT_NOTE &&
			     img->seg[j].type == PT_GNU_PROPERTY &&
			     img->seg[i].off == img->seg[j].off &&
			     img->seg[i].filesz == img->seg[j].filesz;
	return n;
}

static size_t properties(const struct image *img)
{
	size_t n = 0;

	for (size_t i = 0; i < img->nseg; i++)
		n += img->seg[i].type == PT_GNU_PROPERTY;
	return n;
}

/* What is done for room, the mildest first. */
// clang-format off
static const struct attempt {
	bool frame_table; /* a new one */
	bool evict, drop_note, drop_property;
} attempts[] = {
	{ .frame_table = true },
	{ .frame_table = true, .evict = true, .drop_note = true },
	{ .frame_table = true, .evict = true, .drop_note = true,
	  .drop_property = true },
	{ .evict = false },
	{ .evict = true, .drop_note = true },
};
// clang-format on

static void room_for(const struct image *img, struct room *room,
		     const struct attempt *t)
{
	room->drop_note = t->drop_note;
	room->drop_property = t->drop_property && !img->asks;
	room->frame_table = img->eh_frame_hdr || (t->frame_table && img->nfde);
	room->nphdr = img->nseg + NEW_SEGMENTS +
		      (room->frame_table && !img->eh_frame_hdr);
	if (room->drop_note)
		room->nphdr -= notes_repeating_property(img);
	if (room->drop_property)
		room->nphdr -= properties(img);
}

static bool grow(struct arena *a, const struct image *img, struct room *room)
{
	for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
		room_for(img, room, &attempts[i]);
		if (grow_in_place(a, img, room) &&
		    (attempts[i].evict || !room->nevicted))
			return true;
	}
	return false;
}

/* Kernels before 5.18 tell a program that its table is at e_phoff from the
 * first segment, so a table in RX must be at that address too. */
static void table_into_rx(const struct image *img, struct room *room,
			  const struct segment *first)
{
	uint64_t delta = first->vaddr - first->off;
	uint64_t least = delta + align_up(img->file.n, PAGE);

	room_for(img, room, &attempts[0]);
	room->move_table = true;
	room->nevicted = 0;
	if (room->rx_vaddr < least)
		room->rx_vaddr = least;
	room->rx_off = room->rx_vaddr - delta;
	room->phoff = room->rx_off + WELD_HEADER_SIZE;
	room->rx_start = WELD_HEADER_SIZE + room->nphdr * sizeof(Elf64_Phdr);
}

/* eu-elflint takes a relocation to change as many bytes as its symbol is long,
 * which from a .got at the end may reach into RX.  Addresses cost nothing. */
static uint64_t longest_export(const struct image *img)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < img->nsym; i++)
		if (img->sym[i].from == SYM_DYNSYM &&
		    img->sym[i].size > longest)
			longest = img->sym[i].size;
	return longest < 16 << 20 ? longest : 16 << 20;
}

int emit_plan(struct arena *a, const struct image *img, struct room *room,
	      struct err *e)
{
	const struct segment *first = NULL;
	uint64_t end = 0;

	memset(room, 0, sizeof(*room));
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type != PT_LOAD)
			continue;
		first = first ? first : s;
		if (s->vaddr + s->memsz > end)
			end = s->vaddr + s->memsz;
	}
	if (!first)
		return refuse(e, img->path, NOWHERE, "has no segment to load");
	if (img->nseg + NEW_SEGMENTS + 1 >= PN_XNUM || end >= UINT64_C(1) << 47)
		return refuse(e, img->path, NOWHERE,
			      "has no room for more segments");
	room->rx_vaddr = align_up(end + longest_export(img), PAGE);
	room->rx_off = align_up(img->file.n, PAGE);
	if (!grow(a, img, room))
		table_into_rx(img, room, first);
	room->rx_start = align_up(room->rx_start, 64);
	return 0;
}

uint64_t emit_rw_vaddr(const struct room *room, uint64_t rx_size)
{
	return align_up(room->rx_vaddr + rx_size, PAGE);
}

uint64_t rw_offset(const struct room *room, const struct edits *ed)
{
	return align_up(room->rx_off + ed->rx_size, PAGE);
}
