/* SPDX-License-Identifier: MIT */
/* unwind_write.c - frame descriptions for trampolines, and the lookup table.
 *
 * At a site in the middle of a function the frame is in some state: the CFA is
 * rsp + 24, say, with rbx and rbp saved at certain places below it.  The
 * trampoline starts in the same state: its FDE is what is left of the
 * function's CFA program at the site (cfa.c), then its own moves of rsp:
 *
 *   offset rbp at cfa-16
 *   def_cfa_offset 24
 *   offset rbx at cfa-24
 *   advance 8;  def_cfa_offset 24 + 136
 *   advance 9;  r12 at rsp+8
 *   advance 61; def_cfa_offset 24; same_value r12
 *   advance 1;  def_cfa_offset 32    from the function's program: `push %r12`
 *               offset r12 at cfa-32 was displaced and has been executed
 *
 * If the CFA is relative to another register, the moves do not matter.  If it
 * is computed from rsp or rip (as in a PLT) the result would be wrong here, and
 * no FDE is made.  The CIE has the function's CIE's program, because
 * DW_CFA_restore means the state after that.
 */
#include <stdlib.h>

#include "elf/buf.h"
#include "elf/cfa.h"
#include "elf/unwind.h"

/* --- records -------------------------------------------------------------- */

struct cie {
	struct bytes insns;
	uint64_t code_align;
	int64_t data_align;
	uint8_t ra_reg;
};

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

static bool same_cie(const struct cie *x, const struct cie *y)
{
	return x->code_align == y->code_align &&
	       x->data_align == y->data_align && x->ra_reg == y->ra_reg &&
	       x->insns.n == y->insns.n &&
	       (x->insns.p == y->insns.p ||
		!memcmp(x->insns.p, y->insns.p, x->insns.n));
}

/* Where this CIE is; written when it is the first of its kind. */
static size_t put_cie(struct frames *f, const struct cie *cie)
{
	struct buf *b = &f->b;
	size_t start = b->n;

	for (size_t i = 0; i < f->ncie; i++)
		if (same_cie(&f->cie[i].cie, cie))
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

/* --- frames of trampolines ------------------------------------------------ */

/* DW_OP_*, those we write. */
enum { OP_DEREF = 0x06, OP_CONSTS = 0x11, OP_PLUS = 0x22, OP_BREG0 = 0x70 };

/* def_cfa rsp+8; return address at cfa-8: any function as it is entered. */
static const uint8_t entry_insns[] = { CFA_DEF_CFA, CFA_REG_RSP, 8,
				       CFA_OFFSET | CFA_REG_RIP, 1 };
static const struct fde entry_fde = {
	.cie_insns = { entry_insns, sizeof(entry_insns) },
	.code_align = 1,
	.data_align = -8,
	.ra_reg = CFA_REG_RIP,
};

static void advance(struct buf *b, uint32_t by)
{
	if (by < 0x40) {
		buf_u8(b, (uint8_t)(CFA_ADVANCE | by));
	} else if (by <= UINT8_MAX) {
		buf_u8(b, CFA_ADVANCE1);
		buf_u8(b, (uint8_t)by);
	} else {
		buf_u8(b, CFA_ADVANCE4);
		buf_u32(b, by);
	}
}

/* A frame's FDE while it is written. */
struct said {
	uint64_t reg;            /* of the CFA; NOWHERE: else */
	int64_t offset;
	const struct kept *kept; /* registers that are in memory */
	size_t nkept;
};
struct writer {
	struct buf out;   /* the program so far */
	uint32_t at;      /* it has advanced to there */
	struct said said; /* what it says */
	struct cfa r;     /* the function's state; prog: this stretch's */
	struct {          /* before anything of the site was executed */
		struct said said;
		struct cfa_state now;
	} start;
};

/* What r.prog holds takes effect at `at`. */
static void flush(struct writer *w, uint32_t at)
{
	if (w->r.prog.n && at != w->at) {
		advance(&w->out, at - w->at);
		w->at = at;
	}
	buf_put(&w->out, w->r.prog.p, w->r.prog.n);
	w->r.prog.n = 0;
}

/* The function's own instructions for what the target has done meanwhile. */
static bool put_done(struct writer *w, const struct frame_desc *d,
		     uint32_t from, uint32_t to)
{
	bool same = w->said.reg == w->r.now.reg && w->said.offset == w->r.now.offset;

	if (!d->of || from == to)
		return true;
	if (!cfa_step(&w->r, d->of, d->pc + from, d->pc + to))
		return false;
	if (!w->r.prog.n)
		return true;
	/* They count on `out` saying the function's CFA; if it did not,
	 * put_cfa() has to say everything. */
	w->said.reg = same ? w->r.now.reg : NOWHERE;
	w->said.offset = w->r.now.offset;
	return true;
}

/* The place of rsp + at, in an expression. */
static void put_slot(struct buf *b, int32_t at)
{
	buf_u8(b, OP_BREG0 + CFA_REG_RSP);
	buf_sleb(b, at);
}

/* CFA = *(rsp + at) + offset: the register it is relative to is kept. */
static void put_cfa_kept(struct writer *w, int32_t at)
{
	struct buf expr = { .a = w->out.a };

	put_slot(&expr, at);
	buf_u8(&expr, OP_DEREF);
	buf_u8(&expr, OP_CONSTS);
	buf_sleb(&expr, w->r.now.offset);
	buf_u8(&expr, OP_PLUS);
	buf_u8(&w->r.prog, CFA_DEF_CFA_EXPRESSION);
	buf_uleb(&w->r.prog, expr.n);
	buf_put(&w->r.prog, expr.p, expr.n);
	w->said.reg = NOWHERE;
}

static void put_cfa(struct writer *w, const struct depth *d, int64_t below)
{
	struct buf *b = &w->r.prog;
	uint64_t reg = w->r.now.reg;
	int64_t offset = w->r.now.offset;

	if (reg == NOWHERE)
		return; /* computed, and not from rsp */
	for (size_t i = 0; i < d->nkept; i++)
		if (d->kept[i].reg == reg) {
			if (w->said.kept != d->kept)
				put_cfa_kept(w, d->kept[i].at);
			return;
		}
	if (reg == CFA_REG_RSP)
		offset += below;
	if (w->said.reg == reg && w->said.offset == offset)
		return;
	if (w->said.reg == reg) {
		buf_u8(b, CFA_DEF_CFA_OFFSET);
	} else {
		buf_u8(b, CFA_DEF_CFA);
		buf_uleb(b, reg);
	}
	buf_uleb(b, (uint64_t)offset);
	w->said.reg = reg;
	w->said.offset = offset;
}

enum { CALLEE_SAVED = 1 << 3 | 1 << 6 | 0xf000 }; /* rbx, rbp, r12 to r15 */

/* Those that the function has not yet put elsewhere: to its caller, they are
 * where the trampoline put them. */
static void put_kept(struct writer *w, const struct depth *d)
{
	uint32_t which = CALLEE_SAVED & ~w->r.now.saved;
	struct buf *b = &w->r.prog, expr = { .a = w->out.a };

	if (w->said.kept == d->kept)
		return;
	for (size_t i = 0; i < w->said.nkept; i++)
		if (which >> w->said.kept[i].reg & 1) {
			buf_u8(b, CFA_SAME_VALUE);
			buf_uleb(b, w->said.kept[i].reg);
		}
	for (size_t i = 0; i < d->nkept; i++)
		if (which >> d->kept[i].reg & 1) {
			expr.n = 0;
			put_slot(&expr, d->kept[i].at);
			buf_u8(b, CFA_EXPRESSION);
			buf_uleb(b, d->kept[i].reg);
			buf_uleb(b, expr.n);
			buf_put(b, expr.p, expr.n);
		}
	w->said.kept = d->kept;
	w->said.nkept = d->nkept;
}

/* The state from which the site goes on is wanted again for the cold path. */
static void put_remember(struct writer *w)
{
	buf_u8(&w->out, CFA_REMEMBER);
	w->start.said = w->said;
	w->start.now = w->r.now;
}

static void put_restore(struct writer *w)
{
	buf_u8(&w->r.prog, CFA_RESTORE_STATE);
	w->said = w->start.said;
	w->r.now = w->start.now;
}

static bool put_start(struct writer *w, const struct frame_desc *d)
{
	w->out.n = 0;
	w->at = 0;
	if (!cfa_at(&w->r, d->of ? d->of : &entry_fde, d->of ? d->pc : 0))
		return false;
	w->said = (struct said){ w->r.now.reg, w->r.now.offset, NULL, 0 };
	flush(w, 0);
	return true;
}

/* The new FDE's program into w->out; false when there can be none. */
static bool describe(struct writer *w, const struct frame_desc *d,
		     struct cie *cie)
{
	const struct fde *of = d->of ? d->of : &entry_fde;
	uint32_t done = 0;

	*cie = (struct cie){ of->cie_insns, 1, of->data_align, of->ra_reg };
	if (d->raw.n) {
		w->out.n = 0;
		buf_put(&w->out, d->raw.p, d->raw.n);
		return true;
	}
	if (!put_start(w, d))
		return false;
	for (size_t i = 0; i < d->ndepth; i++) {
		const struct depth *x = &d->depth[i];
		uint32_t below = x->below + (d->of ? 0 : x->moved);

		if (x->done && !done)
			put_remember(w);
		if (x->done < done) {
			put_restore(w);
			done = 0;
		}
		if (!put_done(w, d, done, x->done))
			return false;
		done = x->done;
		put_cfa(w, x, (int32_t)below);
		put_kept(w, x);
		flush(w, x->at);
	}
	return true;
}

uint32_t unwind_needs(struct arena *a, const struct fde *of, uint64_t pc)
{
	struct cfa r = { .prog = { .a = a } };

	cfa_at(&r, of, pc);
	return r.now.needs | (CALLEE_SAVED & ~r.now.saved);
}

int32_t unwind_height(const struct fde *of, uint64_t pc)
{
	struct arena own = { NULL };
	struct cfa r = { .prog = { .a = &own } };
	bool known = cfa_at(&r, of, pc);

	arena_free(&own);
	if (!known || r.now.reg != CFA_REG_RSP ||
	    r.now.offset != (int32_t)r.now.offset)
		return UNWIND_UNKNOWN;
	return (int32_t)r.now.offset;
}

static bool same_bytes(struct bytes x, struct bytes y)
{
	return x.n == y.n && (!x.n || memcmp(x.p, y.p, x.n) == 0);
}

bool unwind_same(struct arena *a, const struct fde *x, uint64_t px,
		 const struct fde *y, uint64_t py)
{
	struct cfa rx = { .prog = { .a = a } }, ry = { .prog = { .a = a } };

	return x->data_align == y->data_align && x->ra_reg == y->ra_reg &&
	       x->signal_frame == y->signal_frame &&
	       same_bytes(x->cie_insns, y->cie_insns) && cfa_at(&rx, x, px) &&
	       cfa_at(&ry, y, py) &&
	       same_bytes((struct bytes){ rx.prog.p, rx.prog.n },
			  (struct bytes){ ry.prog.p, ry.prog.n });
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

static bool stub_fde(struct cursor c, size_t end, size_t record, uint64_t vaddr,
		     struct table *t, struct frames *debug)
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
	return true;
}

static int add_stub(struct bytes stub, uint64_t vaddr, struct table *t,
		    struct frames *debug, struct err *e)
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
		     !stub_fde(body, end, record, vaddr, t, debug)))
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
	HDR_ENTRY = 8
};

int unwind_size(const struct frame_desc *d, size_t n, const struct image *img,
		size_t stub_fdes, size_t *eh_frame, size_t *hdr)
{
	struct arena a = { NULL };
	struct frames f = { .b = { .a = &a } };
	struct writer w = { .out = { .a = &a }, .r.prog = { .a = &a } };
	struct cie cie;

	*eh_frame = *hdr = 0;
	if (!img->eh_frame_hdr)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (describe(&w, &d[i], &cie))
			put_fde(&f, &cie, 0, 0,
				(struct bytes){ w.out.p, w.out.n });
	*eh_frame = f.b.n + 4;
	*hdr = HDR_HEAD + HDR_ENTRY * (img->nfde + stub_fdes + n);
	arena_free(&a);
	return 0;
}

/* The descriptions themselves, and where they are.  Returns how many there
 * cannot be. */
static size_t put_frames(const struct frame_desc *d, size_t n,
			 struct frames *eh, struct frames *debug,
			 struct table *t)
{
	struct writer w = { .out = { .a = t->a }, .r.prog = { .a = t->a } };
	size_t skipped = 0;

	for (size_t i = 0; i < n; i++) {
		struct bytes prog;
		struct cie cie;
		size_t at;

		if (!describe(&w, &d[i], &cie)) {
			skipped++;
			continue;
		}
		prog = (struct bytes){ w.out.p, w.out.n };
		at = put_fde(eh, &cie, d[i].start, d[i].size, prog);
		add_entry(t, d[i].start, eh->vaddr + at);
		put_fde(debug, &cie, d[i].start, d[i].size, prog);
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
	uint64_t old;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < img->nfde; i++)
		add_entry(&t, img->fde[i].start, img->fde[i].at);
	if (add_stub(stub, stub_vaddr, &t, &debug, e))
		return -1;
	out->skipped = put_frames(d, n, &eh, &debug, &t);
	if (!image_section(img, ".debug_frame"))
		out->debug_frame = (struct bytes){ debug.b.p, debug.b.n };
	if (!img->eh_frame_hdr)
		return 0;
	old = old_eh_frame(img);
	if (put_table(img, &t, hdr_vaddr, old ? old : eh_frame_vaddr, &hdr, e))
		return -1;
	out->eh_frame = (struct bytes){ eh.b.p, eh.b.n };
	out->eh_frame_hdr = (struct bytes){ hdr.p, hdr.n };
	return 0;
}
