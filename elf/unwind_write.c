/* SPDX-License-Identifier: MIT */
/* unwind_write.c - the new frame descriptions' sections, and the lookup table
 * over old and new ones.
 */
#include <stdlib.h>

#include "elf/buf.h"
#include "elf/unwind_parts.h"

/* --- records ------------------------------------------------------------ */

/* One of the two sections that we write. */
struct frames {
	struct buf b;
	bool debug;     /* .debug_frame */
	uint64_t vaddr; /* of .eh_frame */
	struct written {
		struct cie cie;
		size_t at;
	} * cie;
	size_t ncie;
};

/* A record's length is written last; both sections pad with DW_CFA_nop. */
static void end_record(struct buf *b, size_t start)
{
	uint32_t len;

	buf_align(b, 8);
	len = (uint32_t)(b->n - start - sizeof(len));
	memcpy(b->p + start, &len, sizeof(len));
}

/* Where this CIE is; written when it is the first of its kind. */
static size_t put_cie(struct frames *f, const struct cie *cie)
{
	struct buf *b = &f->b;
	size_t start = b->n;

	for (size_t i = 0; i < f->ncie; i++)
		if (cie_same(&f->cie[i].cie, cie))
			return f->cie[i].at;
	f->cie = arena_push(b->a, f->cie, f->ncie, sizeof(*f->cie));
	f->cie[f->ncie].cie = *cie;
	f->cie[f->ncie++].at = start;
	buf_u32(b, 0);
	buf_u32(b, f->debug ? UINT32_MAX : 0);
	buf_u8(b, 1); /* version */
	if (f->debug)
		buf_put(b, "", 1);
	else
		buf_put(b, "zR", 3);
	buf_uleb(b, cie->code_align);
	buf_sleb(b, cie->data_align);
	buf_u8(b, cie->ra_reg);
	if (!f->debug) {
		buf_u8(b, 1);
		buf_u8(b, 0x1b); /* pointers: pc-relative, 4 bytes */
	}
	buf_put(b, cie->insns.p, cie->insns.n);
	end_record(b, start);
	return start;
}

/* Returns the record's offset. */
static size_t put_fde(struct frames *f, const struct cie *cie, uint64_t start,
		      uint64_t size, struct bytes insns)
{
	size_t parent = put_cie(f, cie);
	struct buf *b = &f->b;
	size_t at = b->n;

	buf_u32(b, 0);
	if (f->debug) {
		buf_u32(b, (uint32_t)parent);
		buf_u64(b, start);
		buf_u64(b, size);
	} else {
		buf_u32(b, (uint32_t)(b->n - parent));
		buf_u32(b, (uint32_t)(start - (f->vaddr + b->n)));
		buf_u32(b, (uint32_t)size);
		buf_u8(b, 0); /* no augmentation data */
	}
	buf_put(b, insns.p, insns.n);
	end_record(b, at);
	return at;
}

/* --- the stub's .eh_frame --------------------------------------------------
 */

struct entry {
	uint64_t start, fde; /* vaddrs */
};

struct table {
	struct arena *a;
	struct entry *v;
	size_t n;
};

static void add_entry(struct table *t, uint64_t start, uint64_t fde)
{
	t->v = arena_push(t->a, t->v, t->n, sizeof(*t->v));
	t->v[t->n++] = (struct entry){ start, fde };
}

/* The stub is ours: its CIEs are the compiler's plain "zR", pc-relative. */
static bool stub_cie(struct bytes b, size_t at, struct cie *cie)
{
	struct cursor c = { b, at, false };
	uint32_t len = cur_u32(&c);
	size_t end = c.at + len;
	uint64_t aug;
	const uint8_t *name;

	cur_u32(&c); /* id */
	cur_u8(&c);  /* version */
	name = cur_take(&c, 3);
	if (!name || memcmp(name, "zR", 3))
		return false;
	cie->code_align = cur_uleb(&c);
	cie->data_align = cur_sleb(&c);
	cie->ra_reg = cur_u8(&c);
	aug = cur_uleb(&c);
	if (aug != 1 || cur_u8(&c) != 0x1b || end < c.at)
		return false;
	cie->insns.n = end - c.at;
	cie->insns.p = cur_take(&c, cie->insns.n);
	return !c.bad;
}

/* Of its own .eh_frame the program has none: ours may have that name, which is
 * all that debuggers go by where .debug_frame is the compiler's (Go). */
static bool is_first(const struct image *img, bool table)
{
	return img->nsec && !table && !image_section(img, ".eh_frame");
}

static bool stub_fde(struct cursor c, size_t end, size_t record, uint64_t vaddr,
		     struct table *t, struct frames *debug, struct frames *eh)
{
	struct bytes insns;
	struct cie cie;
	size_t id_at = c.at;
	uint32_t id = cur_u32(&c);
	uint64_t start = vaddr + c.at;
	uint64_t size;

	start += (uint64_t)(int64_t)cur_s32(&c);
	size = cur_u32(&c);
	cur_take(&c, cur_uleb(&c));
	if (c.bad || id > id_at || end < c.at ||
	    !stub_cie(c.b, id_at - id, &cie))
		return false;
	insns.n = end - c.at;
	insns.p = cur_take(&c, insns.n);
	if (c.bad)
		return false;
	add_entry(t, start, vaddr + record);
	put_fde(debug, &cie, start, size, insns);
	if (eh)
		put_fde(eh, &cie, start, size, insns);
	return true;
}

static int add_stub(struct bytes stub, uint64_t vaddr, struct table *t,
		    struct frames *debug, struct frames *eh, struct err *e)
{
	struct cursor c = { stub, 0, false };

	while (c.at < stub.n) {
		size_t record = c.at;
		uint32_t len = cur_u32(&c);
		size_t end = c.at + len;
		struct cursor body = c;

		if (!len)
			break;
		if (!cur_take(&c, len) ||
		    (cur_u32(&(struct cursor){ stub, body.at, false }) &&
		     !stub_fde(body, end, record, vaddr, t, debug, eh)))
			return fail(e, NULL, vaddr + record,
				    "the stub's .eh_frame cannot be read");
	}
	return 0;
}

/* --- the table --------------------------------------------------------------
 */

static int by_start(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Where the old table says that .eh_frame is. */
static uint64_t old_eh_frame(const struct image *img)
{
	const struct section *s = image_section(img, ".eh_frame");
	const uint8_t *p = image_at(img, img->eh_frame_hdr, 8);
	int32_t rel;

	if (!p || p[0] != 1 || p[1] != 0x1b)
		return s ? s->addr : 0;
	memcpy(&rel, p + 4, sizeof(rel));
	return img->eh_frame_hdr + 4 + (uint64_t)(int64_t)rel;
}

static bool near(uint64_t to, uint64_t from)
{
	return (int64_t)(to - from) == (int32_t)(to - from);
}

/* LSB 5.0 §10.6.2. */
static int put_table(const struct image *img, struct table *t, uint64_t vaddr,
		     uint64_t eh_frame, struct buf *b, struct err *e)
{
	static const uint8_t head[] = { 1,      /* version */
					0x1b,   /* eh_frame_ptr: pc, 4 bytes */
					0x03,   /* count: 4 bytes */
					0x3b }; /* table: from here, 4 bytes */

	qsort(t->v, t->n, sizeof(*t->v), by_start);
	buf_put(b, head, sizeof(head));
	buf_u32(b, (uint32_t)(eh_frame - (vaddr + 4)));
	buf_u32(b, (uint32_t)t->n);
	for (size_t i = 0; i < t->n; i++) {
		if (!near(t->v[i].start, vaddr) || !near(t->v[i].fde, vaddr))
			return refuse(e, img->path, t->v[i].start,
				      "function is out of reach of a new "
				      ".eh_frame_hdr");
		buf_u32(b, (uint32_t)(t->v[i].start - vaddr));
		buf_u32(b, (uint32_t)(t->v[i].fde - vaddr));
	}
	return 0;
}

enum {
	HDR_HEAD = 12,
	HDR_ENTRY = 8,
	STUB_RECORD = 32 /* for every 16 bytes of the stub's .eh_frame */
};

int unwind_size(const struct frame_desc *d, size_t n, const struct image *img,
		bool table, size_t stub_fdes, size_t *eh_frame, size_t *hdr)
{
	struct arena a = { 0 };
	struct frames f = { .b = { .a = &a } };
	struct writer *w;
	struct run run;
	size_t nrun = 0;

	*eh_frame = *hdr = 0;
	if (!table && !is_first(img, table))
		return 0;
	w = writer_new(&a);
	for (size_t i = 0; i < n; nrun++) {
		i += run_describe(w, &d[i], n - i, &run);
		if (!run.lost)
			put_fde(&f, &run.cie, 0, 0, run.insns);
	}
	*eh_frame = f.b.n + 4;
	if (table)
		*hdr = HDR_HEAD + HDR_ENTRY * (img->nfde + stub_fdes + nrun);
	else
		*eh_frame += STUB_RECORD * stub_fdes;
	arena_free(&a);
	return 0;
}

/* The descriptions themselves, and where they are.  Returns how many there
 * cannot be. */
static size_t put_frames(const struct frame_desc *d, size_t n,
			 struct frames *eh, struct frames *debug,
			 struct table *t)
{
	struct writer *w = writer_new(t->a);
	size_t skipped = 0;

	for (size_t i = 0; i < n;) {
		struct run run;
		size_t at;

		i += run_describe(w, &d[i], n - i, &run);
		if (run.lost) {
			skipped++;
			continue;
		}
		at = put_fde(eh, &run.cie, run.start, run.size, run.insns);
		add_entry(t, run.start, eh->vaddr + at);
		put_fde(debug, &run.cie, run.start, run.size, run.insns);
	}
	buf_u32(&eh->b, 0); /* the end, for those who read it through */
	return skipped;
}

int unwind_write(struct arena *a, const struct image *img,
		 const struct frame_desc *d, size_t n, struct bytes stub,
		 uint64_t stub_vaddr, uint64_t eh_frame_vaddr,
		 uint64_t hdr_vaddr, struct unwind *out, struct err *e)
{
	struct frames eh = { .b = { .a = a }, .vaddr = eh_frame_vaddr };
	struct frames debug = { .b = { .a = a }, .debug = true };
	struct table t = { .a = a };
	struct buf hdr = { .a = a };
	bool first = is_first(img, hdr_vaddr != 0);
	uint64_t old;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < img->nfde; i++)
		add_entry(&t, img->fde[i].start, img->fde[i].at);
	if (add_stub(stub, stub_vaddr, &t, &debug, first ? &eh : NULL, e))
		return -1;
	out->skipped = put_frames(d, n, &eh, &debug, &t);
	if (!image_section(img, ".debug_frame"))
		out->debug_frame = (struct bytes){ debug.b.p, debug.b.n };
	if (hdr_vaddr || first)
		out->eh_frame = (struct bytes){ eh.b.p, eh.b.n };
	if (!hdr_vaddr)
		return 0;
	old = old_eh_frame(img);
	if (put_table(img, &t, hdr_vaddr, old ? old : eh_frame_vaddr, &hdr, e))
		return -1;
	out->eh_frame_hdr = (struct bytes){ hdr.p, hdr.n };
	return 0;
}
