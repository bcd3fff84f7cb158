/* SPDX-License-Identifier: MIT */
/* stack.c - bytes of the stack.
 *
 * Offsets are relative to r10, so negative.  An access of the program's is
 * aligned (memory.c), so it is inside one slot.  A register that is stored at
 * the low end of a slot can be loaded again as it was; other bytes are known to
 * be zero, or only to be there.
 */
#include "rewriter/verify/verifier.h"

#include <string.h>

static uint32_t slot_index(int64_t off)
{
	return (uint32_t)((-off - 1) / 8);
}
static unsigned byte_index(int64_t off)
{
	return (unsigned)(off & 7);
}

static struct slot *slot_at(struct frame *f, int64_t off)
{
	uint32_t k = slot_index(off);

	while (f->nslot <= k)
		memset(&f->slot[f->nslot++], 0, sizeof(f->slot[0]));
	return &f->slot[k];
}

static bool is_object(const struct slot *s)
{
	return s->byte[0] == DYNPTR_BYTE || s->byte[0] == ITER_BYTE;
}

static unsigned spill_size(const struct slot *s)
{
	unsigned n = 0;

	while (n < 8 && s->byte[n] == SPILL)
		n++;
	return n;
}

/* --- reading ----------------------------------------------------------- */

/* Bytes of a stored register. */
static int read_spill(struct verify *v, const struct slot *s, unsigned at,
		      unsigned size, struct reg *out)
{
	struct range n, by = range_const(8 * at), fits;

	fits = range_load(size, false);
	if (!at &&
	    (size == spill_size(s) ||
	     (s->reg.kind == NUMBER && range_within(&s->reg.n, &fits)))) {
		*out = s->reg;
		return 0;
	}
	if (s->reg.kind != NUMBER)
		return refuse_at(v, -1, "load all eight bytes of it",
				 "invalid size of register fill");
	n = range_alu(BPF_RSH, true, 0, &s->reg.n, &by);
	by = range_const(size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1);
	reg_number(out, range_alu(BPF_AND, true, 0, &n, &by), v->i);
	return 0;
}

static bool all_are(const struct slot *s, unsigned at, unsigned size,
		    enum byte what)
{
	for (unsigned i = at; i < at + size; i++)
		if (s->byte[i] != what)
			return false;
	return true;
}

int stack_read(struct verify *v, struct frame *f, int64_t off, unsigned size,
	       struct reg *out)
{
	const struct slot *s = slot_at(f, off);
	unsigned at = byte_index(off);

	if (is_object(s))
		return refuse_at(v, -1, NULL,
				 "invalid read from stack off %lld+0 size %u",
				 (long long)off, size);
	if (all_are(s, at, size, SPILL))
		return read_spill(v, s, at, size, out);
	reg_number(out, range_load(size, false), v->i);
	if (size == 8 && s->reg.spoilt) {
		out->spoilt = true;
		out->from = s->reg.from;
	}
	if (all_are(s, at, size, ZERO))
		out->n = range_const(0);
	return 0;
}

/* --- writing ----------------------------------------------------------- */

/* To be told when it is used. */
static void pointer_spoilt(struct verify *v, struct slot *s)
{
	if (s->byte[0] != SPILL || s->reg.kind == NUMBER)
		return;
	s->reg.spoilt = true;
	s->reg.from = v->i;
}

/* What was an object, or a stored register, is bytes from now on. */
static int lay_open(struct verify *v, struct frame *f, int64_t off)
{
	struct slot *s = slot_at(f, off);

	if (is_object(s))
		return object_overwritten(v, f, slot_index(off));
	pointer_spoilt(v, s);
	for (unsigned i = 0; i < 8; i++)
		if (s->byte[i] == SPILL)
			s->byte[i] = MISC;
	return 0;
}

static bool is_zero(const struct reg *r)
{
	return r && r->kind == NUMBER && range_is_const(&r->n) &&
	       !r->n.bits.value;
}

static int check_pointer(struct verify *v, const struct frame *f,
			 const struct reg *value)
{
	if (!value || value->kind != FRAME || f == top(v->s))
		return 0;
	return refuse_at(v, -1, NULL,
			 "cannot spill pointers to stack into stack frame of "
			 "the caller");
}

int stack_write(struct verify *v, struct frame *f, int64_t off, unsigned size,
		const struct reg *value)
{
	struct slot *s = slot_at(f, off);
	unsigned at = byte_index(off);
	bool whole = size == 8
			     ? value->kind != DYNPTR /* it goes with its call */
			     : value->kind == NUMBER && !at;
	uint8_t what = is_zero(value) ? ZERO : whole ? SPILL : MISC;

	if (check_pointer(v, f, value) || lay_open(v, f, off))
		return -1;
	if (size < 8 && value->kind != NUMBER)
		return refuse_at(v, -1, "store all eight bytes of it",
				 "invalid size of register spill");
	memset(s->byte + at, what, size);
	if (size == 8)
		s->reg.spoilt = false; /* nothing is left of it */
	if (what != SPILL)
		return 0;
	s->reg = *value;
	if (size < 8) {
		struct range mask = range_const((1ull << 8 * size) - 1);

		s->reg.n = range_alu(BPF_AND, true, 0, &value->n, &mask);
		if (!range_equal(&s->reg.n, &value->n))
			s->reg.id = 0;
	}
	return 0;
}

int stack_clobber(struct verify *v, struct frame *f, int64_t min, int64_t max,
		  uint64_t size)
{
	bool sure = min == max;

	for (int64_t off = min; off < max + (int64_t)size; off++) {
		struct slot *s = slot_at(f, off);
		uint8_t *b = &s->byte[byte_index(off)];

		if (lay_open(v, f, off))
			return -1;
		if (sure || *b != UNSET)
			*b = MISC;
	}
	return 0;
}

int stack_given(struct verify *v, struct frame *f, int64_t min, int64_t max,
		uint64_t size, bool write)
{
	const char *helper = helper_at(v, v->i);

	for (int64_t off = min; off < max + (int64_t)size; off++)
		if (is_object(slot_at(f, off)))
			return refuse_at(
				v, -1,
				helper ? arena_printf(v->a, "%s %s there",
						      helper,
						      write ? "writes"
							    : "reads")
				       : NULL,
				"potential write to dynptr or iterator "
				"at off=%lld disallowed",
				(long long)off);
	return write ? stack_clobber(v, f, min, max, size) : 0;
}
