/* SPDX-License-Identifier: MIT */
/* object.c - references, and what lies on the stack but is not the program's:
 * dynptrs and iterators.
 *
 * Their bytes are written by helpers only.  A dynptr is two slots, an iterator
 * one.  Rules: kernel/bpf/verifier.c, process_dynptr_func() and
 * process_iter_arg().
 */
#include <assert.h>
#include <string.h>

#include "rewriter/verify/verifier.h"

enum {
	DYNPTR_SLOTS = 2,
	ITER_SLOTS = 1,
	ITER_NEW = 252 /* helpers.def */
};

/* --- references -------------------------------------------------------- */

static struct reference *reference_find(struct state *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->nref; i++)
		if (s->ref[i].id == id)
			return &s->ref[i];
	return NULL;
}

uint32_t reference_insn(const struct state *s, uint32_t ref)
{
	for (uint32_t i = 0; i < s->nref; i++)
		if (s->ref[i].id == ref)
			return s->ref[i].insn;
	return NO_INSN;
}

uint32_t reference_get(struct verify *v)
{
	struct state *s = v->s;

	if (s->nref == REFS) {
		refuse_at(v, -1, "give some back before",
			  "more than %d references are held", REFS);
		return 0;
	}
	s->ref[s->nref++] = (struct reference){
		.id = ++v->ids,
		.insn = v->i,
		.helper = v->p->insn[v->i].imm,
	};
	return v->ids;
}

void reference_null(struct state *s, uint32_t ref)
{
	struct reference *r = reference_find(s, ref);

	if (!r)
		return;
	s->nref--;
	memmove(r, r + 1, (size_t)(s->ref + s->nref - r) * sizeof(*r));
}

struct loss {
	uint32_t ref, insn;
};

/* The address is a number like others now, as in the kernel. */
static void lose(struct reg *r, void *arg)
{
	const struct loss *l = arg;

	if (r->ref == l->ref)
		reg_spoilt(r, l->insn);
}

void pointers_lost(struct verify *v, uint32_t ref)
{
	struct loss l = { ref, v->i };

	state_each(v->s, lose, &l);
}

void reference_put(struct verify *v, uint32_t ref)
{
	assert(reference_find(v->s, ref));
	reference_null(v->s, ref);
	pointers_lost(v, ref);
}

/* What should have been done with what the call at `insn` gave. */
static const char *give_back(const struct verify *v, uint32_t insn)
{
	switch (v->p->insn[insn].imm) {
	case BPF_FUNC_ringbuf_reserve:
		return "call bpf_ringbuf_submit() or bpf_ringbuf_discard() on "
		       "every path";
	case BPF_FUNC_ringbuf_reserve_dynptr:
		return "call bpf_ringbuf_submit_dynptr() or "
		       "bpf_ringbuf_discard_dynptr() on every path, also "
		       "where it failed";
	}
	return "call bpf_iter_num_destroy() on every path";
}

static int left(struct verify *v, const struct reference *r, const char *why)
{
	return refuse_at(v, -1, give_back(v, r->insn),
			 "Unreleased reference id=%u alloc_insn=%u%s", r->id,
			 r->insn, why);
}

int references_left(struct verify *v, const char *why)
{
	return v->s->nref ? left(v, &v->s->ref[0], why) : 0;
}

/* Does something in the frame lead to it, so that it may be given back? */
static bool frame_has(const struct frame *f, uint32_t ref)
{
	for (unsigned r = 0; r < 10; r++)
		if (f->r[r].ref == ref)
			return true;
	for (uint32_t k = 0; k < f->nslot; k++)
		switch (f->slot[k].byte[0]) {
		case SPILL:
		case DYNPTR_BYTE:
		case ITER_BYTE:
			if (f->slot[k].reg.ref == ref)
				return true;
		}
	return false;
}

static bool callers_have(const struct state *s, uint32_t ref)
{
	for (uint32_t i = 0; i + 1 < s->nframe; i++)
		if (frame_has(s->frame[i], ref))
			return true;
	return false;
}

int references_kept(struct verify *v)
{
	const struct state *s = v->s;

	for (uint32_t i = 0; i < s->nref; i++)
		if (!callers_have(s, s->ref[i].id))
			return left(v, &s->ref[i], "");
	return 0;
}

/* (An iterator is bytes of the stack, which go with the run.) */
bool reference_held(const struct verify *v)
{
	for (uint32_t i = 0; i < v->s->nref; i++)
		if (v->p->insn[v->s->ref[i].insn].imm != ITER_NEW)
			return true;
	return false;
}

/* --- places on the stack ----------------------------------------------- */

struct place {
	struct frame *f;
	uint32_t k; /* the lowest slot in memory, the highest in number */
};

/* Where register `no` points to, if `n` slots can be there. */
static int place_of(struct verify *v, unsigned no, const char *what, unsigned n,
		    struct place *out)
{
	const struct reg *r = reg(v, no);
	int64_t off = (int64_t)r->n.bits.value;

	if (!range_is_const(&r->n))
		return refuse_at(v, (int)no, NULL,
				 "%s has to be at a constant offset", what);
	if (off % 8 || off > -8 * (int64_t)n)
		return refuse_at(v, (int)no, NULL,
				 "cannot pass in %s at an offset=%lld", what,
				 (long long)off);
	if (off < -STACK)
		return refuse_at(v, (int)no, NULL,
				 "invalid write to stack R%u off=%lld size=8",
				 no, (long long)off);
	out->f = v->s->frame[r->frame];
	depth_uses(v, out->f, off);
	out->k = (uint32_t)(-off / 8 - 1);
	return 0;
}

/* Slot k of f and those above it. */
static void slots_set(const struct place *p, unsigned n, uint8_t byte)
{
	for (unsigned i = 0; i < n; i++) {
		struct slot *s = &p->f->slot[p->k - i];

		memset(s, 0, sizeof(*s));
		memset(s->byte, byte, sizeof(s->byte));
	}
	if (p->f->nslot <= p->k)
		p->f->nslot = p->k + 1;
}

/* Bytes of an object are never set in part. */
static bool holds(const struct place *p, uint8_t byte)
{
	for (unsigned i = 0; i < 8; i++)
		if (p->f->slot[p->k].byte[i] != byte)
			return false;
	return true;
}

/* --- dynptrs ----------------------------------------------------------- */

static int dynptr_overwritten(struct verify *v, struct place p)
{
	uint32_t id;

	if (!p.f->slot[p.k].first)
		p.k++;
	if (p.f->slot[p.k].reg.ref)
		return refuse_at(v, -1, "submit or discard it first",
				 "cannot overwrite referenced dynptr");
	id = p.f->slot[p.k].reg.id;
	slots_set(&p, DYNPTR_SLOTS, UNSET);
	pointers_lost(v, id);
	return 0;
}

int object_overwritten(struct verify *v, struct frame *f, uint32_t slot)
{
	struct place p = { f, slot };

	if (holds(&p, DYNPTR_BYTE))
		return dynptr_overwritten(v, p);
	if (holds(&p, ITER_BYTE))
		return refuse_at(v, -1, "call bpf_iter_num_destroy() before",
				 "cannot overwrite an iterator");
	return 0;
}

static int dynptr_expected(struct verify *v, unsigned no)
{
	return refuse_at(v, (int)no,
			 "a struct bpf_dynptr is a variable of the function's",
			 "arg#%u expected pointer to stack or const struct "
			 "bpf_dynptr",
			 no - 1);
}

static void dynptr_put(struct verify *v, const struct place *p, uint32_t ref,
		       bool rdonly)
{
	uint32_t id = ++v->ids;

	slots_set(p, DYNPTR_SLOTS, DYNPTR_BYTE);
	p->f->slot[p->k].first = true;
	for (unsigned i = 0; i < DYNPTR_SLOTS; i++) {
		struct reg *r = &p->f->slot[p->k - i].reg;

		r->id = id;
		r->ref = ref;
		r->rdonly = rdonly;
	}
}

int dynptr_make(struct verify *v, unsigned no, enum dynptr_way way,
		const struct handle *of)
{
	uint8_t kind = reg(v, no)->kind;
	struct place p;
	uint32_t ref = 0;

	if (kind == DYNPTR)
		return refuse_at(v, (int)no, NULL,
				 "Dynptr has to be an uninitialized dynptr");
	if (kind != FRAME)
		return dynptr_expected(v, no);
	if (place_of(v, no, "dynptr", DYNPTR_SLOTS, &p) ||
	    object_overwritten(v, p.f, p.k) ||
	    object_overwritten(v, p.f, p.k - 1))
		return -1;
	if (way == DYNPTR_CLONE)
		ref = of->ref;
	else if (way == DYNPTR_RING && !(ref = reference_get(v)))
		return -1;
	dynptr_put(v, &p, ref, way == DYNPTR_CLONE && of->rdonly);
	return 0;
}

static bool is_dynptr(const struct place *p)
{
	struct place upper = { p->f, p->k - 1 };

	return holds(p, DYNPTR_BYTE) && p->f->slot[p->k].first &&
	       holds(&upper, DYNPTR_BYTE) && !p->f->slot[upper.k].first;
}

static struct handle handle_of(const struct reg *r, struct slot *s)
{
	return (struct handle){ r->id, r->ref, r->rdonly, s };
}

int dynptr_find(struct verify *v, unsigned no, struct handle *out)
{
	const struct reg *r = reg(v, no);
	struct place p;

	if (r->kind == DYNPTR) {
		*out = handle_of(r, NULL);
		return 0;
	}
	if (r->kind != FRAME)
		return dynptr_expected(v, no);
	if (place_of(v, no, "dynptr", DYNPTR_SLOTS, &p))
		return -1;
	if (!is_dynptr(&p))
		return refuse_at(v, (int)no,
				 "make it by bpf_dynptr_from_mem() or "
				 "bpf_ringbuf_reserve_dynptr() first",
				 "Expected an initialized dynptr as arg #%u",
				 no - 1);
	*out = handle_of(&p.f->slot[p.k].reg, &p.f->slot[p.k]);
	return 0;
}

/* Clones of what was released are nothing any more. */
static void clones_lost(struct state *s, uint32_t ref)
{
	for (uint32_t i = 0; i < s->nframe; i++)
		for (uint32_t k = 1; k < s->frame[i]->nslot; k++) {
			struct place p = { s->frame[i], k };

			if (is_dynptr(&p) && p.f->slot[k].reg.ref == ref)
				slots_set(&p, DYNPTR_SLOTS, UNSET);
		}
}

int dynptr_end(struct verify *v, unsigned no)
{
	struct place p;
	uint32_t ref;

	if (reg(v, no)->kind == DYNPTR)
		return refuse_at(v, (int)no, NULL,
				 "cannot release unowned const bpf_dynptr");
	if (reg(v, no)->kind != FRAME)
		return dynptr_expected(v, no);
	if (place_of(v, no, "dynptr", DYNPTR_SLOTS, &p))
		return -1;
	ref = is_dynptr(&p) ? p.f->slot[p.k].reg.ref : 0;
	if (!ref)
		return refuse_at(v, (int)no,
				 "only one of bpf_ringbuf_reserve_dynptr() is "
				 "submitted or discarded, once",
				 "arg %u is an unacquired reference", no);
	reference_put(v, ref);
	clones_lost(v->s, ref);
	return 0;
}

/* --- iterators --------------------------------------------------------- */

static int iter_place(struct verify *v, unsigned no, struct place *p)
{
	if (reg(v, no)->kind != FRAME)
		return refuse_at(v, (int)no,
				 "a struct bpf_iter_num is a variable of the "
				 "function's",
				 "arg#%u expected pointer to an iterator on "
				 "stack",
				 no - 1);
	return place_of(v, no, "iter", ITER_SLOTS, p);
}

static uint64_t limit_of(struct verify *v, unsigned no, const struct place *p)
{
	return limit_iter(v->ends, reg(v, no)->frame, p->k);
}

/* The next power of two: loops in which an iterator gets longer each time are
 * not walked through for that. */
static uint32_t numbers_of(const struct range *from, const struct range *to)
{
	int64_t n = (int64_t)to->smax32 - from->smin32;
	uint32_t most = 1;

	while (most < n && most < LOOPS_MAX)
		most *= 2;
	return most;
}

int iter_make(struct verify *v, unsigned no)
{
	struct place p;
	uint32_t ref;

	if (iter_place(v, no, &p))
		return -1;
	if (holds(&p, ITER_BYTE))
		return refuse_at(
			v, (int)no, "call bpf_iter_num_destroy() before",
			"expected uninitialized iter_num as arg #%u", no - 1);
	if (object_overwritten(v, p.f, p.k) || !(ref = reference_get(v)))
		return -1;
	slots_set(&p, ITER_SLOTS, ITER_BYTE);
	p.f->slot[p.k].reg.ref = ref;
	p.f->slot[p.k].reg.size = numbers_of(&reg(v, 2)->n, &reg(v, 3)->n);
	v->s->renewed |= limit_of(v, no, &p);
	return 0;
}

void iter_moved(struct verify *v, unsigned no)
{
	struct place p;
	struct reference *r;

	if (iter_place(v, no, &p))
		return;
	r = reference_find(v->s, p.f->slot[p.k].reg.ref);
	if (r)
		r->moved++;
	state_used(v->s, limit_of(v, no, &p), p.f->slot[p.k].reg.size);
}

int iter_find(struct verify *v, unsigned no, struct handle *out)
{
	struct place p;

	if (iter_place(v, no, &p))
		return -1;
	if (!holds(&p, ITER_BYTE))
		return refuse_at(v, (int)no, "call bpf_iter_num_new() before",
				 "expected an initialized iter_num as arg #%u",
				 no - 1);
	*out = handle_of(&p.f->slot[p.k].reg, &p.f->slot[p.k]);
	return 0;
}

uint32_t iter_ref(struct verify *v, unsigned no)
{
	const struct reg *r = reg(v, no);
	int64_t off = r->n.smin;
	const struct frame *f;
	uint32_t k = (uint32_t)(-off / 8 - 1);

	if (r->kind != FRAME || off >= 0 || off < -STACK)
		return 0;
	f = v->s->frame[r->frame];
	return k < f->nslot && f->slot[k].byte[0] == ITER_BYTE
		       ? f->slot[k].reg.ref
		       : 0;
}

int iter_end(struct verify *v, unsigned no)
{
	struct handle h;

	if (iter_find(v, no, &h))
		return -1;
	reference_put(v, h.ref);
	memset(h.slot, 0, sizeof(*h.slot));
	return 0;
}
