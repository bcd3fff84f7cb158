/* SPDX-License-Identifier: MIT */
/* unwind_read.c - read .eh_frame: where functions begin and end, and how to
 * unwind through them (LSB 5.0 §10.6, DWARF 5 §6.4).
 *
 *   CIE  u32 length | u32 0     | version, augmentation, alignments, return
 *        register, what the augmentation announces | CFA program
 *   FDE  u32 length | u32 delta | first address, size (encoded as the CIE's
 *        'R' says), LSDA ('L') | CFA program
 *        delta counts back from its own field to the CIE.
 *
 * The records are listed first, then the CIEs that they name are read once
 * each, then the FDEs.  The list comes from walking the section; where there
 * are no section headers it comes from .eh_frame_hdr's table, because nothing
 * else says where .eh_frame ends.
 * An FDE whose CIE is of a kind we do not know is left out, as one is for code
 * that is not in the file: its code then belongs to no function, and the stages
 * behind treat it as code about which nothing is known.
 */
#include <stdlib.h>

#include "elf/image_parts.h"

enum {
	RECORD_HEAD = 8, /* length and id */
	CIE_MAX = 4096,  /* bytes; real ones have about 24 */
	AUG_MAX = 16,
};

/* The CFA at some point, as far as it tells entries from fragments. */
struct cfa {
	uint64_t reg;
	int64_t offset;
	bool expression;
	bool saved; /* some register other than the return address is saved */
};

struct cie {
	uint64_t at;
	bool known;
	bool has_aug, signal_frame;
	uint8_t ra_reg, ptr_enc, lsda_enc;
	uint64_t code_align;
	int64_t data_align;
	struct bytes insns;
	struct cfa cfa; /* behind its instructions */
};

struct record {
	uint64_t at, cie_at;
	struct bytes body; /* behind the id */
};

struct reader {
	struct arena *a;
	const struct image *img;
	uint64_t data; /* what data-relative pointers count from */
	struct record *record;
	size_t nrecord;
	struct cie *cie; /* sorted by at */
	size_t ncie;
};

static uint64_t cur_format(struct cursor *c, uint8_t format)
{
	switch (format) {
	case ENC_ABSPTR:
	case ENC_UDATA8:
	case ENC_SDATA8:
		return cur_u64(c);
	case ENC_UDATA2:
		return cur_u16(c);
	case ENC_SDATA2:
		return (uint64_t)(int16_t)cur_u16(c);
	case ENC_UDATA4:
		return cur_u32(c);
	case ENC_SDATA4:
		return (uint64_t)(int64_t)cur_s32(c);
	case ENC_ULEB:
		return cur_uleb(c);
	case ENC_SLEB:
		return (uint64_t)cur_sleb(c);
	default:
		c->bad = true;
		return 0;
	}
}

uint64_t cur_encoded(struct cursor *c, const struct image *img, uint8_t enc,
		     uint64_t vaddr, uint64_t data)
{
	uint64_t here = vaddr + c->at, v = cur_format(c, enc & ENC_FORMAT);

	if (c->bad || !v)
		return 0;
	switch (enc & ENC_RELATIVE) {
	case 0:
		break;
	case ENC_PCREL:
		v += here;
		break;
	case ENC_DATAREL:
		v += data;
		break;
	default:
		c->bad = true;
		return 0;
	}
	if ((enc & ENC_INDIRECT) &&
	    !bytes_get(image_from(img, v), 0, &v, sizeof(v)))
		c->bad = true;
	return c->bad ? 0 : v;
}

/* --- CFA programs ------------------------------------------------------- */

/* What an instruction with no opcode bits in 6..7 is followed by and does.
 *   operands  u ULEB, s SLEB, f SLEB times data_align, b block, 1 2 4 8 bytes,
 *             a address; NULL: not an instruction we know */
enum effect {
	KEEP,
	MOVE,
	SAVE,
	CFA,
	CFA_REG,
	CFA_OFFSET,
	CFA_EXPR
};
static const struct cfa_insn {
	const char *operands;
	enum effect effect;
} cfa_insns[64] = {
	// clang-format off
	[0x00] = { "",   KEEP },       /* nop */
	[0x01] = { "a",  MOVE },       /* set_loc */
	[0x02] = { "1",  MOVE },       /* advance_loc1 */
	[0x03] = { "2",  MOVE },       /* advance_loc2 */
	[0x04] = { "4",  MOVE },       /* advance_loc4 */
	[0x05] = { "uu", SAVE },       /* offset_extended */
	[0x06] = { "u",  KEEP },       /* restore_extended */
	[0x07] = { "u",  KEEP },       /* undefined */
	[0x08] = { "u",  KEEP },       /* same_value */
	[0x09] = { "uu", SAVE },       /* register */
	[0x0a] = { "",   KEEP },       /* remember_state */
	[0x0b] = { "",   KEEP },       /* restore_state */
	[0x0c] = { "uu", CFA },        /* def_cfa */
	[0x0d] = { "u",  CFA_REG },    /* def_cfa_register */
	[0x0e] = { "u",  CFA_OFFSET }, /* def_cfa_offset */
	[0x0f] = { "b",  CFA_EXPR },   /* def_cfa_expression */
	[0x10] = { "ub", SAVE },       /* expression */
	[0x11] = { "us", SAVE },       /* offset_extended_sf */
	[0x12] = { "uf", CFA },        /* def_cfa_sf */
	[0x13] = { "f",  CFA_OFFSET }, /* def_cfa_offset_sf */
	[0x14] = { "uu", SAVE },       /* val_offset */
	[0x15] = { "us", SAVE },       /* val_offset_sf */
	[0x16] = { "ub", SAVE },       /* val_expression */
	[0x1d] = { "8",  MOVE },       /* MIPS_advance_loc8 */
	[0x2e] = { "u",  KEEP },       /* GNU_args_size */
	[0x2f] = { "uu", SAVE },       /* GNU_negative_offset_extended */
	// clang-format on
};

static int64_t operand(struct cursor *c, const struct cie *cie, char kind)
{
	switch (kind) {
	case 'u':
		return (int64_t)cur_uleb(c);
	case 's':
		return cur_sleb(c);
	case 'f':
		return (int64_t)((uint64_t)cur_sleb(c) *
				 (uint64_t)cie->data_align);
	case 'b':
		cur_take(c, cur_uleb(c));
		return 0;
	default: /* only instructions that end the run */
		return 0;
	}
}

static void apply(struct cfa *s, const struct cie *cie, enum effect effect,
		  const int64_t v[2])
{
	switch (effect) {
	case SAVE:
		s->saved |= (uint64_t)v[0] != cie->ra_reg;
		break;
	case CFA:
		s->reg = (uint64_t)v[0];
		s->offset = v[1];
		s->expression = false;
		break;
	case CFA_REG:
		s->reg = (uint64_t)v[0];
		break;
	case CFA_OFFSET:
		s->offset = v[0];
		break;
	case CFA_EXPR:
		s->expression = true;
		break;
	case KEEP:
	case MOVE:
		break;
	}
}

/* Run a CFA program up to its first move to another address. */
static void run(struct cfa *s, const struct cie *cie, struct bytes insns)
{
	struct cursor c = cursor_at(insns, 0);

	while (c.at < insns.n) {
		uint8_t op = cur_u8(&c);
		const struct cfa_insn *i = &cfa_insns[op & 63];
		int64_t v[2] = { op & 63, 0 };

		if (op >> 6 == 1) /* advance_loc */
			return;
		if (op >> 6 == 2) { /* offset: register in the opcode */
			cur_uleb(&c);
			apply(s, cie, SAVE, v);
			continue;
		}
		if (op >> 6 == 3) /* restore */
			continue;
		if (!i->operands || i->effect == MOVE)
			return;
		for (size_t k = 0; i->operands[k]; k++)
			v[k] = operand(&c, cie, i->operands[k]);
		if (c.bad)
			return;
		apply(s, cie, i->effect, v);
	}
}

/* --- CIEs --------------------------------------------------------------- */

/* The augmentation's data, letter by letter.  An unknown letter makes the
 * whole CIE unknown: what it announces may change the FDEs' meaning. */
static bool augmentation(struct cie *cie, const struct reader *r,
			 const char *aug, struct cursor *c, uint64_t vaddr)
{
	for (; *aug; aug++) {
		uint8_t enc;

		switch (*aug) {
		case 'R':
			cie->ptr_enc = cur_u8(c);
			break;
		case 'L':
			cie->lsda_enc = cur_u8(c);
			break;
		case 'P':
			/* Only to get past it: not where it leads. */
			enc = cur_u8(c) & ~ENC_INDIRECT;
			cur_encoded(c, r->img, enc, vaddr, r->data);
			break;
		case 'S':
			cie->signal_frame = true;
			break;
		default:
			return false;
		}
	}
	return !c->bad;
}

static void cie_read(struct cie *cie, const struct reader *r, struct bytes body,
		     uint64_t vaddr)
{
	struct cursor c = cursor_at(body, 0);
	uint8_t version = cur_u8(&c);
	const char *aug = (const char *)body.p + c.at;

	if ((version != 1 && version != 3) || c.bad ||
	    !memchr(aug, 0, body.n - 1 < AUG_MAX ? body.n - 1 : AUG_MAX))
		return;
	cur_take(&c, strlen(aug) + 1);
	cie->code_align = cur_uleb(&c);
	cie->data_align = cur_sleb(&c);
	cie->ra_reg = version == 1 ? cur_u8(&c) : (uint8_t)cur_uleb(&c);
	if (*aug == 'z') {
		uint64_t len = cur_uleb(&c);
		size_t end = c.at;
		struct cursor data = cursor_at(body, end);

		if (!cur_take(&c, len) ||
		    !augmentation(cie, r, aug + 1, &data, vaddr) ||
		    data.at > c.at)
			return;
		cie->has_aug = true;
	} else if (*aug) {
		return;
	}
	if (c.bad)
		return;
	cie->insns = (struct bytes){ body.p + c.at, body.n - c.at };
	run(&cie->cfa, cie, cie->insns);
	cie->known = true;
}

/* The body of the record at vaddr and its id; false when it is not whole.
 * The 64-bit form of length is not used for frames by anyone. */
static bool record_at(const struct image *img, uint64_t vaddr,
		      struct bytes *body, uint32_t *id)
{
	struct bytes b = image_from(img, vaddr);
	uint32_t head[2];

	if (!bytes_get(b, 0, head, sizeof(head)) || head[0] < 4 ||
	    head[0] > b.n - 4)
		return false;
	*id = head[1];
	*body = (struct bytes){ b.p + RECORD_HEAD, head[0] - 4 };
	return true;
}

static int cies_read(struct reader *r, struct err *e)
{
	struct addrs at = { 0 };

	for (size_t i = 0; i < r->nrecord; i++)
		if (!i || r->record[i].cie_at != r->record[i - 1].cie_at)
			addrs_add(r->a, &at, r->record[i].cie_at);
	addrs_sort(&at);
	r->cie = arena_alloc(r->a, at.n * sizeof(*r->cie));
	r->ncie = at.n;
	for (size_t i = 0; i < at.n; i++) {
		struct bytes body;
		uint32_t id;

		if (!record_at(r->img, at.v[i], &body, &id) || id ||
		    body.n > CIE_MAX)
			return fail(e, r->img->path,
				    image_offset(r->img, at.v[i]),
				    ".eh_frame: an FDE refers to 0x%llx, which "
				    "is no CIE",
				    (unsigned long long)at.v[i]);
		r->cie[i] = (struct cie){ .at = at.v[i], .lsda_enc = ENC_OMIT };
		cie_read(&r->cie[i], r, body, at.v[i] + RECORD_HEAD);
	}
	return 0;
}

static const struct cie *cie_of(const struct reader *r, uint64_t at)
{
	size_t lo = 0, hi = r->ncie;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->cie[mid].at <= at)
			lo = mid;
		else
			hi = mid;
	}
	return &r->cie[lo];
}

/* --- Lists of records --------------------------------------------------- */

static void add_record(struct reader *r, uint64_t at, struct bytes body,
		       uint32_t delta)
{
	r->record = arena_push(r->a, r->record, r->nrecord, sizeof(*r->record));
	r->record[r->nrecord++] = (struct record){
		.at = at,
		.cie_at = at + 4 - delta,
		.body = body,
	};
}

/* Walk [at, at + size).  Zero words end what the linker took from one input
 * file; others may follow. */
static int walk_section(struct reader *r, uint64_t at, uint64_t size,
			struct err *e)
{
	uint64_t end = at + size;

	while (end - at >= 4) {
		struct bytes body;
		uint32_t length, id;

		memcpy(&length, image_at(r->img, at, 4), 4);
		if (!length) {
			at += 4;
			continue;
		}
		if (!record_at(r->img, at, &body, &id) ||
		    body.n + RECORD_HEAD > end - at)
			return fail(e, r->img->path, image_offset(r->img, at),
				    ".eh_frame: record is cut short");
		if (id)
			add_record(r, at, body, id);
		at += body.n + RECORD_HEAD;
	}
	return 0;
}

/* Without section headers: the FDEs that .eh_frame_hdr's search table names.
 *   u8 version 1, u8 encodings of: .eh_frame's address, count, table; these */
static int walk_table(struct reader *r, struct err *e)
{
	uint64_t hdr = r->img->eh_frame_hdr, count, end = 0;
	struct cursor c = cursor_at(image_from(r->img, hdr), 0);
	struct addrs at = { 0 };
	uint8_t version = cur_u8(&c), ptr = cur_u8(&c), num = cur_u8(&c);
	uint8_t tab = cur_u8(&c);

	if (version != 1 || ptr == ENC_OMIT || num == ENC_OMIT ||
	    tab == ENC_OMIT)
		return 0; /* no table to go by */
	cur_encoded(&c, r->img, ptr, hdr, hdr);
	count = cur_encoded(&c, r->img, num, hdr, hdr);
	for (uint64_t i = 0; i < count && !c.bad; i++) {
		cur_encoded(&c, r->img, tab, hdr, hdr);
		addrs_add(r->a, &at, cur_encoded(&c, r->img, tab, hdr, hdr));
	}
	if (c.bad)
		return fail(e, r->img->path, image_offset(r->img, hdr),
			    ".eh_frame_hdr: table runs past its segment");
	addrs_sort(&at);
	for (size_t i = 0; i < at.n; i++) {
		struct bytes body;
		uint32_t id;

		if (!record_at(r->img, at.v[i], &body, &id) || !id ||
		    at.v[i] < end)
			return fail(e, r->img->path, image_offset(r->img, hdr),
				    ".eh_frame_hdr: 0x%llx is no FDE",
				    (unsigned long long)at.v[i]);
		add_record(r, at.v[i], body, id);
		end = at.v[i] + body.n + RECORD_HEAD;
	}
	return 0;
}

static int list_records(struct reader *r, struct err *e)
{
	const struct section *s = image_section(r->img, ".eh_frame");

	if (s && (s->flags & SHF_ALLOC) && s->type != SHT_NULL &&
	    s->type != SHT_NOBITS && s->size) {
		if (!image_at(r->img, s->addr, s->size))
			return fail(e, r->img->path, s->off,
				    ".eh_frame is not in a LOAD segment");
		return walk_section(r, s->addr, s->size, e);
	}
	return r->img->eh_frame_hdr ? walk_table(r, e) : 0;
}

/* --- FDEs --------------------------------------------------------------- */

static bool fde_read(const struct reader *r, const struct record *rec,
		     const struct cie *cie, struct fde *f)
{
	uint64_t vaddr = rec->at + RECORD_HEAD;
	struct cursor c = cursor_at(rec->body, 0);

	*f = (struct fde){
		.at = rec->at,
		.cie_insns = cie->insns,
		.code_align = cie->code_align,
		.data_align = cie->data_align,
		.ra_reg = cie->ra_reg,
		.ptr_enc = cie->ptr_enc,
		.signal_frame = cie->signal_frame,
	};
	f->start = cur_encoded(&c, r->img, cie->ptr_enc, vaddr, r->data);
	f->size = cur_format(&c, cie->ptr_enc & ENC_FORMAT);
	if ((cie->ptr_enc & ENC_FORMAT) == ENC_SDATA4)
		f->size = (uint32_t)f->size; /* a size has no sign */
	if (cie->has_aug) {
		uint64_t len = cur_uleb(&c);
		struct cursor aug = cursor_at(rec->body, c.at);

		if (!cur_take(&c, len))
			return false;
		if (cie->lsda_enc != ENC_OMIT && len)
			f->lsda = cur_encoded(&aug, r->img, cie->lsda_enc,
					      vaddr, r->data);
		if (aug.bad || aug.at > c.at)
			return false;
	}
	f->insns = (struct bytes){ rec->body.p + c.at, rec->body.n - c.at };
	return !c.bad;
}

/* Where a function is called, its frame is the return address.  (What all FDEs
 * of a CIE begin with, assemblers move into the CIE.) */
static bool begins_inside(const struct fde *f, const struct cie *cie)
{
	enum { RSP = 7, AT_CALL = 8 };
	struct cfa s = cie->cfa;

	run(&s, cie, f->insns);
	return s.saved || s.expression || s.reg != RSP || s.offset != AT_CALL;
}

static bool covers_code(const struct image *img, const struct fde *f)
{
	return f->size && image_is_code(img, f->start) &&
	       f->size <= image_room(img, f->start);
}

static int by_start(const void *x, const void *y)
{
	const struct fde *p = x, *q = y;

	if (p->start != q->start)
		return p->start < q->start ? -1 : 1;
	return (p->at > q->at) - (p->at < q->at);
}

/* Sort, and keep the first of those that overlap. */
static void settle(struct image *img)
{
	size_t kept = 0;
	uint64_t end = 0;

	if (img->nfde)
		qsort(img->fde, img->nfde, sizeof(*img->fde), by_start);
	for (size_t i = 0; i < img->nfde; i++) {
		const struct fde *f = &img->fde[i];

		if (f->start < end)
			continue;
		end = f->start + f->size;
		img->fde[kept++] = *f;
	}
	img->nfde = kept;
}

int fdes_read(struct arena *a, struct image *img, const struct dynamic *d,
	      struct err *e)
{
	struct reader r = { .a = a, .img = img, .data = d->tag[DT_PLTGOT] };

	if (list_records(&r, e) || cies_read(&r, e))
		return -1;
	img->fde = arena_alloc(a, r.nrecord * sizeof(*img->fde));
	for (size_t i = 0; i < r.nrecord; i++) {
		const struct record *rec = &r.record[i];
		const struct cie *cie = cie_of(&r, rec->cie_at);
		struct fde *f = &img->fde[img->nfde];

		if (!cie->known)
			continue;
		if (!fde_read(&r, rec, cie, f))
			return fail(e, img->path, image_offset(img, rec->at),
				    ".eh_frame: malformed FDE");
		if (!covers_code(img, f))
			continue;
		f->fragment = begins_inside(f, cie);
		img->nfde++;
	}
	settle(img);
	return 0;
}
