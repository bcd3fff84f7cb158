/* SPDX-License-Identifier: MIT */
/* unwind_frame.c - the CFA programs of trampolines.
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
 *
 * Trampolines that stand end to end share an FDE: there may be ten thousand of
 * them.  Between two of them, the state is what the CIE says, if it is not
 * right as it is:
 *
 *   remember_state
 *   offset rbp at cfa-16 ...                  the first site's
 *   advance 37; def_cfa_offset 16 ...         the first trampoline
 *   advance 21; restore_state; remember_state
 *   offset rbx at cfa-16 ...                  the second site's
 */
#include "elf/cfa.h"
#include "elf/unwind_parts.h"

bool cie_same(const struct cie *x, const struct cie *y)
{
	return x->code_align == y->code_align &&
	       x->data_align == y->data_align && x->ra_reg == y->ra_reg &&
	       x->insns.n == y->insns.n &&
	       (x->insns.p == y->insns.p ||
		!memcmp(x->insns.p, y->insns.p, x->insns.n));
}

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
	int32_t sp;              /* the stored rsp it is relative to, or 0 */
	const struct kept *kept; /* registers that are in memory */
	size_t nkept;
};
struct snap {
	struct said said;
	struct cfa_state now;
};
struct writer {
	struct buf out;   /* the program so far */
	uint32_t at;      /* it has advanced to there */
	struct said said; /* what it says */
	struct cfa r;     /* the function's state; prog: this stretch's */
	struct snap start;       /* before anything of the site was executed */
	bool remembered;         /* that is on the unwinder's stack */
	bool restore;            /* before r.prog, which cfa_step() empties */
	struct snap begin;       /* where its frame began, */
	struct buf prefix;       /* and the program for that */
};

/* What r.prog holds takes effect at `at`. */
static void flush(struct writer *w, uint32_t at)
{
	if ((w->restore || w->r.prog.n) && at != w->at) {
		advance(&w->out, at - w->at);
		w->at = at;
	}
	if (w->restore)
		buf_u8(&w->out, CFA_RESTORE_STATE);
	w->restore = false;
	buf_put(&w->out, w->r.prog.p, w->r.prog.n);
	w->r.prog.n = 0;
}

/* The function's own instructions for what the target has done meanwhile. */
static bool put_done(struct writer *w, const struct frame_desc *d,
		     uint32_t from, uint32_t to)
{
	bool same = w->said.reg == w->r.now.reg &&
		    w->said.offset == w->r.now.offset;

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
static void put_cfa_kept(struct writer *w, int32_t at, int64_t offset)
{
	struct buf expr = { .a = w->out.a };

	put_slot(&expr, at);
	buf_u8(&expr, OP_DEREF);
	buf_u8(&expr, OP_CONSTS);
	buf_sleb(&expr, offset);
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
				put_cfa_kept(w, d->kept[i].at, offset);
			return;
		}
	if (reg == CFA_REG_RSP)
		offset += below;
	if (reg == CFA_REG_RSP && d->sp) {
		if (w->said.sp != d->sp || w->said.offset != offset)
			put_cfa_kept(w, d->sp, offset);
		w->said.sp = d->sp;
		w->said.offset = offset;
		return;
	}
	w->said.sp = 0;
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
	w->start = (struct snap){ w->said, w->r.now };
	w->remembered = true;
}

static void put_restore(struct writer *w)
{
	w->restore = true;
	w->said = w->start.said;
	w->r.now = w->start.now;
	w->remembered = false;
}

static const struct fde *fde_of(const struct frame_desc *d)
{
	return d->of ? d->of : &entry_fde;
}

static bool state_at(struct cfa *r, const struct frame_desc *d)
{
	return cfa_at(r, fde_of(d), d->of ? d->pc : 0);
}

/* The frame's stretches; it starts `base` bytes into the run. */
static bool put_stretches(struct writer *w, const struct frame_desc *d,
			  uint32_t base)
{
	uint32_t done = 0;

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
		flush(w, base + x->at);
	}
	return true;
}

/* An unwinder reads an FDE from its start: a kilobyte or two. */
enum { RUN_FRAMES = 128, GAP_MAX = 16 };

static struct cie cie_of(const struct frame_desc *d)
{
	const struct fde *of = fde_of(d);

	return (struct cie){ of->cie_insns, 1, of->data_align, of->ra_reg };
}

/* May y be described behind x, the last frame of the run?  Its state into r. */
static bool joins(const struct run *run, const struct frame_desc *x,
		  const struct frame_desc *y, struct cfa *r)
{
	struct cie cie = cie_of(y);
	uint64_t end = x->start + x->size;

	return !x->raw.n && !y->raw.n && y->start >= end &&
	       y->start - end < GAP_MAX && cie_same(&cie, &run->cie) &&
	       state_at(r, y);
}

static bool back_at_begin(const struct writer *w, const struct frame_desc *d)
{
	if (!d->ndepth)
		return true;
	return !d->depth[d->ndepth - 1].done && !w->said.nkept &&
	       w->said.reg == w->begin.said.reg &&
	       w->said.offset == w->begin.said.offset;
}

/* A frame begins, in the state r. */
static void begin(struct writer *w, const struct cfa *r)
{
	struct buf prog = w->r.prog;

	w->prefix.n = 0;
	buf_put(&w->prefix, r->prog.p, r->prog.n);
	buf_put(&prog, r->prog.p, r->prog.n);
	w->r = *r;
	w->r.prog = prog;
	w->said = (struct said){ .reg = r->now.reg, .offset = r->now.offset };
	w->begin = (struct snap){ w->said, r->now };
	w->remembered = false;
}

/* The same behind frame x. */
static void put_join(struct writer *w, const struct frame_desc *x,
		     const struct cfa *r)
{
	struct buf *b = &w->r.prog;

	if (back_at_begin(w, x) && w->prefix.n == r->prog.n &&
	    (!r->prog.n || !memcmp(w->prefix.p, r->prog.p, r->prog.n))) {
		begin(w, r);
		b->n = 0;
		return;
	}
	if (w->remembered) /* and not wanted */
		buf_u8(b, CFA_RESTORE_STATE);
	buf_u8(b, CFA_RESTORE_STATE);
	buf_u8(b, CFA_REMEMBER);
	begin(w, r);
}

/* The frames behind the first, which has been begun; returns how many are in
 * the run. */
static size_t run_extend(struct writer *w, const struct frame_desc *d,
			 size_t n, struct run *out)
{
	struct cfa r = { .prog.a = w->out.a };
	size_t i;

	if (n > 1 && joins(out, &d[0], &d[1], &r))
		buf_u8(&w->out, CFA_REMEMBER);
	else
		n = 1;
	flush(w, 0);
	if (!put_stretches(w, d, 0))
		return 0;
	for (i = 1; i < n && i < RUN_FRAMES; i++) {
		uint32_t base = (uint32_t)(d[i].start - out->start);
		struct writer before = *w;

		if (!joins(out, &d[i - 1], &d[i], &r))
			break;
		put_join(w, &d[i - 1], &r);
		flush(w, base);
		if (put_stretches(w, &d[i], base))
			continue;
		*w = before; /* that one says nothing */
		break;
	}
	out->size = d[i - 1].start + d[i - 1].size - out->start;
	return i;
}

static size_t run_write(struct writer *w, const struct frame_desc *d, size_t n,
			struct run *out)
{
	struct cfa r = { .prog.a = w->out.a };

	w->out.n = w->r.prog.n = 0;
	w->at = 0;
	if (d->raw.n) {
		buf_put(&w->out, d->raw.p, d->raw.n);
		return 1;
	}
	if (!state_at(&r, d))
		return 0;
	begin(w, &r);
	return run_extend(w, d, n, out);
}

size_t run_describe(struct writer *w, const struct frame_desc *d, size_t n,
		    struct run *out)
{
	size_t count;

	*out = (struct run){ .cie = cie_of(d), .start = d->start,
			     .size = d->size };
	count = run_write(w, d, n, out);
	out->lost = !count;
	out->insns = (struct bytes){ w->out.p, w->out.n };
	return count ? count : 1;
}

struct writer *writer_new(struct arena *a)
{
	struct writer *w = arena_alloc(a, sizeof(*w));

	w->out.a = w->r.prog.a = w->prefix.a = a;
	return w;
}

uint32_t unwind_needs(struct arena *a, const struct fde *of, uint64_t pc)
{
	struct cfa r = { .prog = { .a = a } };

	cfa_at(&r, of, pc);
	return r.now.needs | (CALLEE_SAVED & ~r.now.saved);
}

int32_t unwind_height(const struct fde *of, uint64_t pc)
{
	struct arena own = { 0 };
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
