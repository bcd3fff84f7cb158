/* SPDX-License-Identifier: MIT */
/* state.h - all that is known at one instruction on one path; private to
 * rewriter/verify.
 *
 * A state is a chain of frames, the running function's last.  A register holds
 * nothing, a number, or a pointer into something of a known size: which of its
 * bytes is again a number, reg.n.  A pointer that may be NULL has an id that
 * its copies share, so that one test tells of all.  Numbers have ids for the
 * same purpose: what a jump says of one is true of its copies.
 *
 * Of the stack each byte is known by its kind; eight bytes of SPILL are a
 * register that was stored.
 */
#ifndef BPFWELD_VERIFY_STATE_H
#define BPFWELD_VERIFY_STATE_H

#include "rewriter/bpf/bpf.h"
#include "rewriter/verify/range.h"

enum { FRAMES = 8, STACK = 512, SLOTS = STACK / 8, REFS = 32 };
#define NO_INSN UINT32_MAX
#define MANY UINT32_MAX /* more than are counted */

enum kind {
	NOTHING,  /* was never set */
	NUMBER,
	CTX,      /* struct pt_regs */
	FRAME,    /* the stack of frame `frame`; n is relative to its r10 */
	MAP,      /* a map; no bytes */
	VALUE,    /* one element's value in `map`: map->value_size bytes */
	MEM,      /* `size` bytes of something else: a ring record, a dynptr's
		     data, an iterator's number */
	FUNC,     /* a subprogram, at insn `size` */
	DYNPTR,   /* a dynptr that a helper gave a callback */
	TASK,     /* a task, or 0 all the same: loads from that are 0.  There are
		     no bytes (runtime-stub/task.h) */
};

struct reg {
	uint8_t kind;
	bool null;      /* it may be NULL instead (VALUE, MEM, MAP) */
	bool rdonly;    /* MEM, DYNPTR: may not be written */
	uint8_t frame;
	uint32_t id;    /* 0: none */
	uint32_t ref;   /* the reference that it is, or points into; 0: none */
	uint32_t size;
	uint32_t from;  /* insn that made it, for messages */
	uint32_t added; /* insn that last added something variable to a
			   pointer; NO_INSN: none did */
	bool by_src;    /* there, the pointer was in dst, the number in src */
	bool spoilt;    /* NUMBER: what is left of a pointer; `from`: since when.
			   Of a stored register: since then it is none */
	int64_t rest;   /* an upper bound of all else in its offset */
	const struct bpf_map_def *map;
	struct range n; /* the number, or a pointer's offset (signed) */
};

enum byte { UNSET, MISC, ZERO, SPILL, DYNPTR_BYTE, ITER_BYTE };

/* A dynptr is two slots, the lower one tells; an iterator is one. */
struct slot {
	uint8_t byte[8]; /* [0] is the lowest address */
	bool first;      /* of a dynptr */
	bool drained;    /* ITER_BYTE: next() said that it is at its end */
	struct reg reg;  /* SPILL: the register.  DYNPTR_BYTE, ITER_BYTE: its
			    `id`, `ref`, `rdonly`; `size`: how many numbers an
			    iterator has at most */
};

struct frame {
	struct reg r[11];
	uint32_t sub;    /* first insn of its function */
	uint32_t call;   /* insn of the call that made it; NO_INSN: the first */
	bool callback;   /* called by the helper at `call` ... */
	uint32_t lent;   /* ... which takes back what has this `ref` or, a
			    dynptr, this `id` */
	uint32_t helper; /* one id for each call of a helper that calls back */
	uint32_t calls;  /* how often that one has */
	uint32_t left;   /* how often it may from here on, at most, or MANY;
			    0 where no such helper is at work */
	bool again;      /* it has just returned to it */
	uint16_t care;   /* registers whose number matters (care.c) ... */
	uint64_t care_slots; /* ... and slots; of states that are compared */
	uint32_t nslot;  /* slots below r10 that were ever used */
	struct slot slot[SLOTS]; /* [k]: r10 - 8 * (k + 1); a state that
				    waits has room for nslot only */
};

struct reference {
	uint32_t id;
	uint32_t insn; /* that acquired it, ... */
	int32_t helper; /* ... calling this one */
	uint32_t moved; /* how many numbers an iterator gave */
};

struct state {
	uint32_t nframe;
	struct frame *frame[FRAMES];
	uint32_t nref;
	struct reference ref[REFS];

	/* For the walk: how many paths that begin in it are not at their end,
	 * and the state that it grew out of. */
	uint32_t insn, branches;
	long log_at;     /* where the log of the way here ends; -1: no log */
	struct state *parent;
	uint32_t node;   /* ends.c's number of a kept state */
	uint32_t budget; /* how much of it was used on the way here */
	uint64_t used, renewed; /* limits, since `parent` */
	uint64_t steps;         /* instructions since then */
	uint32_t most;          /* how much there was of what was used */
	uint32_t site; /* where a turn that was used is counted; NO_INSN: at
			  `parent` */
};

static inline struct frame *top(const struct state *s)
{
	return s->frame[s->nframe - 1];
}

struct state *state_new(void); /* one frame */
struct state *state_copy(const struct state *s); /* to go on with */
struct state *state_keep(const struct state *s); /* to wait; not changed */
void state_free(struct state *s);
size_t state_size(const struct state *s, bool whole); /* a copy; or kept: less */
struct frame *frame_push(struct state *s, uint32_t sub, uint32_t call);
void frame_pop(struct state *s);

/* Call `f` for each register and spilled register of a state. */
void state_each(struct state *s, void (*f)(struct reg *r, void *arg),
		void *arg);

/* Is whatever `now` stands for a case of what `old` stands for, so that a path
 * from `old` that was found good needs no second look?  EQUAL: they are the
 * same, but for ids.  SIMILAR: but for numbers that do not matter. */
enum covers { DIFFERENT, SIMILAR, COVERS, EQUAL };
enum covers state_covers(const struct state *old, const struct state *now,
			 bool same);

/* The same calls have led to both. */
bool state_same_place(const struct state *a, const struct state *b);

/* The same pointers are in the same places, and as much is held. */
bool state_alike(const struct state *a, const struct state *b);

/* What changed from `old` to `s` in numbers becomes unknown; both are in the same
 * place. */
void state_widen(struct state *s, const struct state *old);

/* Registers by what they hold; `from` is the insn. */
void reg_nothing(struct reg *r);
void reg_number(struct reg *r, struct range n, uint32_t from);
void reg_pointer(struct reg *r, enum kind kind, uint32_t from);
/* It was a pointer until `from`, and is a number now. */
void reg_spoilt(struct reg *r, uint32_t from);

#endif
