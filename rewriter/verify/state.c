/* SPDX-License-Identifier: MIT */
/* state.c - states as values: made, copied, compared, widened. */
#include "elf/arena.h"
#include "rewriter/verify/state.h"

#include <stdlib.h>
#include <string.h>

static void *room(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		arena_full(NULL);
	return p;
}

/* --- registers --------------------------------------------------------- */

void reg_nothing(struct reg *r)
{
	memset(r, 0, sizeof(*r));
	r->from = r->added = NO_INSN;
}

void reg_number(struct reg *r, struct range n, uint32_t from)
{
	reg_nothing(r);
	r->kind = NUMBER;
	r->n = n;
	r->from = from;
}

void reg_pointer(struct reg *r, enum kind kind, uint32_t from)
{
	reg_nothing(r);
	r->kind = kind;
	r->n = range_const(0);
	r->from = from;
}

void reg_spoilt(struct reg *r, uint32_t from)
{
	reg_number(r, range_any(), from);
	r->spoilt = true;
}

/* --- states ------------------------------------------------------------ */

static size_t frame_size(uint32_t nslot)
{
	return offsetof(struct frame, slot) + nslot * sizeof(struct slot);
}

struct frame *frame_push(struct state *s, uint32_t sub, uint32_t call)
{
	struct frame *f = room(sizeof(*f));

	for (unsigned r = 0; r < 10; r++)
		reg_nothing(&f->r[r]);
	reg_pointer(&f->r[10], FRAME, NO_INSN);
	f->r[10].frame = s->nframe;
	f->sub = sub;
	f->call = call;
	s->frame[s->nframe++] = f;
	return f;
}

void frame_pop(struct state *s)
{
	free(s->frame[--s->nframe]);
}

struct state *state_new(void)
{
	struct state *s = room(sizeof(*s));

	frame_push(s, 0, NO_INSN);
	return s;
}

static struct state *copy(const struct state *s, bool whole)
{
	struct state *c = room(sizeof(*c));

	*c = *s;
	c->branches = 0;
	for (uint32_t i = 0; i < s->nframe; i++) {
		size_t size = frame_size(s->frame[i]->nslot);

		c->frame[i] = room(whole ? sizeof(struct frame) : size);
		memcpy(c->frame[i], s->frame[i], size);
	}
	return c;
}

struct state *state_copy(const struct state *s)
{
	return copy(s, true);
}

struct state *state_keep(const struct state *s)
{
	return copy(s, false);
}

void state_free(struct state *s)
{
	if (!s)
		return;
	while (s->nframe)
		frame_pop(s);
	free(s);
}

static bool spilled(const struct slot *s)
{
	return s->byte[0] == SPILL;
}

void state_each(struct state *s, void (*f)(struct reg *r, void *arg), void *arg)
{
	for (uint32_t i = 0; i < s->nframe; i++) {
		struct frame *fr = s->frame[i];

		for (unsigned r = 0; r < 10; r++)
			f(&fr->r[r], arg);
		for (uint32_t k = 0; k < fr->nslot; k++)
			if (spilled(&fr->slot[k]))
				f(&fr->slot[k].reg, arg);
	}
}

size_t state_size(const struct state *s, bool whole)
{
	size_t size = sizeof(*s);

	for (uint32_t i = 0; i < s->nframe; i++)
		size += whole ? sizeof(struct frame)
			      : frame_size(s->frame[i]->nslot);
	return size;
}

/* --- comparing --------------------------------------------------------- */

/* Ids are names: they may differ as long as they differ alike. */
enum {
	IDS = 128
};
struct ids {
	uint32_t n, old[IDS], now[IDS];
	bool similar; /* numbers that do not matter were passed over */
};

static bool ids_match(struct ids *m, uint32_t old, uint32_t now, bool alone)
{
	if (!old || !now)
		return old == now;
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->old[i] == old)
			return m->now[i] == now;
		if (alone && m->now[i] == now)
			return false;
	}
	if (m->n == IDS)
		return false;
	m->old[m->n] = old;
	m->now[m->n++] = now;
	return true;
}

static bool number_covers(const struct reg *old, const struct reg *now,
			  bool same, bool care, struct ids *m)
{
	if (same)
		return range_equal(&old->n, &now->n) &&
		       ids_match(m, old->id, now->id, true);
	/* Copies of numbers that do matter may be compared in their place. */
	if (old->id && !ids_match(m, old->id, now->id, false))
		return false;
	if (range_within(&now->n, &old->n))
		return true;
	m->similar |= !care;
	return !care;
}

/* A number of which nothing is known is a case of any pointer, too: what is
 * right for all numbers is right for those that are addresses. */
static bool is_any(const struct reg *r)
{
	const struct range any = range_any();

	/* Of which no bit is known, there may still be bounds. */
	return r->kind == NUMBER && !r->id && !~r->n.bits.mask &&
	       range_equal(&r->n, &any);
}

static bool reg_covers(const struct reg *old, const struct reg *now, bool same,
		       bool care, struct ids *m)
{
	if (old->kind == NOTHING)
		return !same || now->kind == NOTHING;
	/* An address is no number, whatever it is: arithmetic that numbers have
	 * is refused of it. */
	if (old->kind != now->kind)
		return false;
	if (!same && is_any(old))
		return true;
	if (old->kind == NUMBER)
		return number_covers(old, now, same, care, m);
	if (old->null != now->null || old->rdonly != now->rdonly ||
	    old->frame != now->frame || old->size != now->size ||
	    old->map != now->map)
		return false;
	if (same ? !range_equal(&old->n, &now->n)
		 : !range_within(&now->n, &old->n))
		return false;
	return ids_match(m, old->id, now->id, true) &&
	       ids_match(m, old->ref, now->ref, true);
}

static const struct slot UNSET_SLOT;

static bool all(const struct slot *s, uint8_t what)
{
	for (unsigned i = 0; i < 8; i++)
		if (s->byte[i] != what)
			return false;
	return true;
}

static unsigned spill_size(const struct slot *s)
{
	unsigned n = 0;

	while (n < 8 && s->byte[n] == SPILL)
		n++;
	return n;
}

static bool is_object(const struct slot *s)
{
	return s->byte[0] == DYNPTR_BYTE || s->byte[0] == ITER_BYTE;
}

static bool object_covers(const struct slot *old, const struct slot *now,
			  bool same, struct ids *m)
{
	bool fewer = !same && old->byte[0] == ITER_BYTE &&
		     old->reg.size > now->reg.size;

	return old->byte[0] == now->byte[0] && old->first == now->first &&
	       old->drained == now->drained &&
	       old->reg.rdonly == now->reg.rdonly &&
	       (fewer || old->reg.size == now->reg.size) &&
	       old->reg.kind == now->reg.kind &&
	       ids_match(m, old->reg.id, now->reg.id, true) &&
	       ids_match(m, old->reg.ref, now->reg.ref, true);
}

/* What a load of the spilled bytes would give. */
static struct reg slot_value(const struct slot *s, unsigned size)
{
	struct reg r;

	if (spilled(s) && spill_size(s) == size)
		return s->reg;
	reg_number(&r, range_load(size, false), NO_INSN);
	for (unsigned i = 0; i < size; i++)
		if (s->byte[i] != ZERO)
			return r;
	r.n = range_const(0);
	return r;
}

static bool byte_is_zero(const struct slot *s, unsigned i)
{
	return s->byte[i] == ZERO ||
	       (s->byte[i] == SPILL && s->reg.kind == NUMBER &&
		range_is_const(&s->reg.n) &&
		!(s->reg.n.bits.value >> 8 * i & 0xff));
}

static bool slot_covers(const struct slot *old, const struct slot *now,
			bool same, bool care, struct ids *m)
{
	struct reg value;

	if (all(old, UNSET))
		return !same || all(now, UNSET);
	if (is_object(old) || is_object(now))
		return object_covers(old, now, same, m);
	if (same && memcmp(old->byte, now->byte, sizeof(old->byte)))
		return false;
	if (spilled(old)) {
		value = slot_value(now, spill_size(old));
		if (!reg_covers(&old->reg, &value, same, care, m))
			return false;
	}
	for (unsigned i = 0; i < 8; i++)
		if (old->byte[i] == ZERO && !byte_is_zero(now, i)) {
			if (same || care)
				return false;
			m->similar = true;
		}
	return true;
}

static const struct slot *slot_of(const struct frame *f, uint32_t k)
{
	return k < f->nslot ? &f->slot[k] : &UNSET_SLOT;
}

static bool frame_covers(const struct frame *old, const struct frame *now,
			 bool same, struct ids *m)
{
	uint32_t n = old->nslot;

	/* Who may be called back more often may do more. */
	if (same ? now->left != old->left : now->left > old->left)
		return false;
	if (!ids_match(m, old->lent, now->lent, true))
		return false;
	for (unsigned r = 0; r < 10; r++)
		if (!reg_covers(&old->r[r], &now->r[r], same,
				now->care >> r & 1, m))
			return false;
	if (n < now->nslot) /* objects there do not go unseen */
		n = now->nslot;
	for (uint32_t k = 0; k < n; k++)
		if (!slot_covers(slot_of(old, k), slot_of(now, k), same,
				 now->care_slots >> k & 1, m))
			return false;
	return true;
}

static bool refs_cover(const struct state *old, const struct state *now,
		       struct ids *m)
{
	if (old->nref != now->nref)
		return false;
	for (uint32_t i = 0; i < old->nref; i++)
		if (old->ref[i].helper != now->ref[i].helper ||
		    !ids_match(m, old->ref[i].id, now->ref[i].id, true))
			return false;
	return true;
}

bool state_same_place(const struct state *a, const struct state *b)
{
	if (a->nframe != b->nframe)
		return false;
	for (uint32_t i = 0; i < a->nframe; i++)
		if (a->frame[i]->call != b->frame[i]->call ||
		    a->frame[i]->sub != b->frame[i]->sub)
			return false;
	return true;
}

enum covers state_covers(const struct state *old, const struct state *now,
			 bool same)
{
	struct ids m;

	m.n = 0;
	m.similar = false;
	if (!state_same_place(old, now) || !refs_cover(old, now, &m))
		return DIFFERENT;
	for (uint32_t i = now->nframe; i--;)
		if (!frame_covers(old->frame[i], now->frame[i], same, &m))
			return DIFFERENT;
	return same ? EQUAL : m.similar ? SIMILAR : COVERS;
}

/* (What was never set counts as a number.) */
static bool reg_alike(const struct reg *a, const struct reg *b)
{
	uint8_t ka = a->kind == NOTHING ? NUMBER : a->kind;
	uint8_t kb = b->kind == NOTHING ? NUMBER : b->kind;

	return ka == kb && a->null == b->null && a->map == b->map;
}

static bool slot_alike(const struct slot *a, const struct slot *b)
{
	static const struct reg none;

	return is_object(a) == is_object(b) &&
	       reg_alike(spilled(a) ? &a->reg : &none,
			 spilled(b) ? &b->reg : &none);
}

static bool frame_alike(const struct frame *a, const struct frame *b)
{
	uint32_t n = a->nslot > b->nslot ? a->nslot : b->nslot;

	for (unsigned r = 0; r < 10; r++)
		if (!reg_alike(&a->r[r], &b->r[r]))
			return false;
	for (uint32_t k = 0; k < n; k++)
		if (!slot_alike(slot_of(a, k), slot_of(b, k)))
			return false;
	return true;
}

bool state_alike(const struct state *a, const struct state *b)
{
	if (a->nref != b->nref || !state_same_place(a, b))
		return false;
	for (uint32_t i = 0; i < a->nframe; i++)
		if (!frame_alike(a->frame[i], b->frame[i]))
			return false;
	return true;
}

/* --- widening ---------------------------------------------------------- */

enum {
	SMALL_BITS = 12
};

/* The next bound above: all ones, as many as there are in small numbers, and
 * then as in 31, 32, 63 or 64 bits.  A counter that is compared or masked comes
 * to rest at one of them. */
static uint64_t above(uint64_t v)
{
	static const uint8_t bits[] = { 31, 32, 63, 64 };
	unsigned n = v ? 64 - (unsigned)__builtin_clzll(v) : 0;

	for (unsigned i = 0; n > SMALL_BITS; i++)
		if (n <= bits[i]) {
			n = bits[i];
			break;
		}
	return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

static int64_t above_signed(int64_t v)
{
	return v < 0 ? -1 : (int64_t)above((uint64_t)v);
}

static int64_t below_signed(int64_t v)
{
	return v < 0 ? (int64_t)~above(~(uint64_t)v) : 0;
}

/* Bits that differ, and all that a carry from them may reach. */
static struct tnum widened_bits(struct tnum now, struct tnum old)
{
	uint64_t moved = (now.value ^ old.value) | now.mask | old.mask;
	uint64_t mask = above(moved) & -(moved & -moved);

	return (struct tnum){ old.value & ~mask, mask };
}

/* Bounds that did not move stay. */
static struct range widened(const struct range *now, const struct range *old)
{
	struct range r = *old;

	r.bits = widened_bits(now->bits, old->bits);
	if (now->umin < old->umin)
		r.umin = 0;
	if (now->umax > old->umax)
		r.umax = above(now->umax);
	if (now->smin < old->smin)
		r.smin = below_signed(now->smin);
	if (now->smax > old->smax)
		r.smax = above_signed(now->smax);
	if (now->umin32 < old->umin32)
		r.umin32 = 0;
	if (now->umax32 > old->umax32)
		r.umax32 = (uint32_t)above(now->umax32);
	if (now->smin32 < old->smin32)
		r.smin32 = (int32_t)below_signed(now->smin32);
	if (now->smax32 > old->smax32)
		r.smax32 = (int32_t)above_signed(now->smax32);
	range_settle(&r);
	return r;
}

static void widen(struct reg *r, const struct reg *old)
{
	if (r->kind != old->kind || r->kind == NOTHING ||
	    range_within(&r->n, &old->n))
		return;
	r->n = widened(&r->n, &old->n);
	if (r->kind == NUMBER)
		r->id = 0;
}

void state_widen(struct state *s, const struct state *old)
{
	for (uint32_t i = 0; i < s->nframe; i++) {
		struct frame *f = s->frame[i];
		const struct frame *o = old->frame[i];

		for (unsigned r = 0; r < 10; r++)
			widen(&f->r[r], &o->r[r]);
		for (uint32_t k = 0; k < f->nslot && k < o->nslot; k++) {
			struct slot *slot = &f->slot[k];
			struct reg was;

			if (!spilled(slot))
				continue;
			was = slot_value(&o->slot[k], spill_size(slot));
			widen(&slot->reg, &was);
		}
	}
}
