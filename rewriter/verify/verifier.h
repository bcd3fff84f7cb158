/* SPDX-License-Identifier: MIT */
/* verifier.h - the parts of the verifier among themselves; private to
 * rewriter/verify.
 *
 *   walk.c    paths: which instruction next, what was seen before, loops
 *   step.c    one instruction: dispatch and ALU
 *   branch.c  conditional jumps: what each side knows
 *   memory.c  loads, stores and all memory that helpers are given
 *   stack.c   bytes of the stack: spills, fills, zeros
 *   call.c    helpers, by helpers.def; subprograms, callbacks, exits
 *   args.c    what helpers are given (call.h)
 *   cost.c    how long they take
 *   object.c  dynptrs, iterators, references
 *   depth.c   what nested calls need of the stack
 *   say.c     messages and the log
 *   ends.c    does every run end?
 *   longest.c and when?
 *   live.c    which registers and stack bytes are read again
 *
 * A function that returns int: 0, or -1 with the verdict set: refused (v->e),
 * or `want`: a guard that would help.
 */
#ifndef BPFWELD_VERIFY_VERIFIER_H
#define BPFWELD_VERIFY_VERIFIER_H

#include <stdio.h>

#include "rewriter/bpf/flow.h"
#include "rewriter/verify/state.h"

enum {
	TASK_STEPS = 1 << 15, /* to ask /proc for a field of a task */
	LOOPS_MAX = 8 << 20, /* BPF_MAX_LOOPS */
	BY_TURNS_MAX = 50000, /* instructions looked at by turns */
};

/* What cannot be proved, but can be made sure of at run time: that register
 * `reg`, before instruction `insn`, is at most `max`; that a loop ends. */
enum want_kind { WANT_NOTHING, WANT_RANGE, WANT_LOOP };
struct want {
	enum want_kind kind;
	uint32_t insn;
	uint8_t reg;
	uint32_t max;
};

/* What a load is from. */
enum base { BASE_TASK = 1, BASE_OTHER = 2 };

struct verify {
	struct arena *a; /* for this program only */
	const struct bpf_set *set;
	const struct bpf_prog *p;
	const char *file;
	struct err *e;
	FILE *log;          /* or NULL */
	/* For tests: called before each step. */
	void (*watch)(void *arg, const struct verify *v);
	void *watch_arg;
	const char *where;  /* the source line that it showed last */

	bool by_turns;      /* loops are walked turn by turn for a while
			       (program.c) */

	struct state *s;    /* where we are */
	uint32_t i;         /* the instruction that is looked at */
	uint32_t ids;       /* the last id given */
	struct want want;
	uint64_t processed; /* instructions looked at, this time through */
	uint64_t spent;     /* and all times */
	uint8_t *base;      /* per instruction: enum base, of a load */
	bool *decided;      /* per instruction: a jump that was, by a number */
	bool careless;      /* a path was ended though numbers were other */
	bool more_decided;  /* than when care_find() was asked */
	struct live *live;
	struct walk *walk;
	struct ends *ends;
	uint32_t *need;   /* per instruction, where a function begins: bytes of
			     stack that it uses */
	uint64_t *turn;   /* per instruction, where a turn of a loop begins: its
			     instructions, at most; else 0 */
	bool *held;       /* there, it would leave something reserved to fail */
	const bool *apart; /* NULL, or calls that take long are counted by
			      themselves, but for these */
	uint64_t longest; /* of all runs: instructions, none `apart` */
	uint64_t once;    /* of these, those that belong to no turn */
};

static inline struct reg *reg(struct verify *v, unsigned r)
{
	return &top(v->s)->r[r];
}

/* say.c: the program cannot run; always -1.  `r`: the register to blame, whose
 * origin is told, or -1; `hint`: what to add, or NULL. */
int refuse_at(struct verify *v, int r, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
const char *kind_name(const struct reg *r); /* the kernel's: "map_value" */
/* What the instruction calls, "bpf_map_lookup_elem"; NULL: no helper. */
const char *helper_at(const struct verify *v, uint32_t insn);
/* What to say of a number that is used as a pointer: what became of that, or
 * `otherwise`. */
const char *number_hint(const struct verify *v, const struct reg *r,
			const char *otherwise);
void log_insn(struct verify *v);

/* A guard that would help; always -1.  v->e tells what is wrong without it. */
int want_range(struct verify *v, uint32_t insn, uint8_t reg, uint64_t max);
int want_loop(struct verify *v, uint32_t insn);

/* walk.c: look at the other way, too: `s` (given away) at `insn`.  A kept state
 * will do. */
int walk_later(struct verify *v, struct state *s, uint32_t insn);
/* All paths from the first instruction. */
int walk(struct verify *v);

/* ends.c: the walk keeps states and finds ways from one to another. */
struct ends *ends_new(void); /* state 0 is the beginning */
void ends_free(struct ends *e);
uint32_t ends_state(struct ends *e, uint32_t insn);
/* `s` has come that way; limits, steps and the like are what it has since. */
void ends_way(struct ends *e, uint32_t from, uint32_t to,
	      const struct state *s);
/* So many instructions, and a path was at its end. */
void ends_tail(struct ends *e, uint32_t from, uint64_t steps);
/* Every run ends: NO_INSN; else an instruction that may be met for ever.  To be
 * asked once. */
uint32_t ends_not(struct ends *e);
/* Limits, a bit each: what is used up, and may be renewed. */
uint64_t limit_budget(void);
uint64_t limit_helper(uint32_t frame); /* that it has called */
uint64_t limit_iter(struct ends *e, uint32_t frame, uint32_t slot);

/* longest.c, when ends_not() has said NO_INSN: how many instructions a run may
 * come to, or UINT64_MAX. */
uint64_t ends_longest(const struct ends *e);
/* `turn`, by instruction: what a turn that begins there takes, without the
 * turns of loops in it, but with those that cannot be counted, as they are
 * `held`; what is more is left.  The result is what the run takes without any
 * turns. */
uint64_t ends_turns(const struct ends *e, uint64_t *turn, const bool *held);

/* step.c: one instruction.  *next: where to go on, or NO_INSN: the path is at
 * its end. */
int step(struct verify *v, uint32_t *next);
int reg_is_set(struct verify *v, unsigned r);
/* A number and its copies are in `n`, too. */
void number_known(struct verify *v, struct reg *r, const struct range *n);

/* branch.c */
int step_branch(struct verify *v, uint32_t *next);
/* All copies of a pointer that may be NULL are NULL, or are not. */
void null_known(struct state *s, uint32_t id, bool null);

/* memory.c: may `r` (register number `no`, for messages) be read or written at
 * [off, off + size)?  access: what a load or store of the program does, or a
 * helper: any number of bytes, and stack bytes that are only written need not be
 * set.  AT_MOST: so many, or fewer. */
enum access {
	ACCESS_READ = 1,
	ACCESS_WRITE = 2,
	ACCESS_HELPER = 4,
	ACCESS_AT_MOST = 8,
};
int memory_check(struct verify *v, const struct reg *r, unsigned no,
		 int64_t off, uint64_t size, int access);
int step_load(struct verify *v);
int step_store(struct verify *v);
int step_atomic(struct verify *v);

/* stack.c: [off, off + size) of a frame, off relative to its r10, in bounds. */
int stack_read(struct verify *v, struct frame *f, int64_t off, unsigned size,
	       struct reg *out);
int stack_write(struct verify *v, struct frame *f, int64_t off, unsigned size,
		const struct reg *value);
/* Anywhere in [min, max + size): an offset that is not known. */
int stack_clobber(struct verify *v, struct frame *f, int64_t min, int64_t max,
		  uint64_t size);
/* A helper is given them, or the program does not know which: refuses bytes that
 * are dynptrs or iterators. */
int stack_given(struct verify *v, struct frame *f, int64_t min, int64_t max,
		uint64_t size, bool write);

/* depth.c: the frame is used from `off` on; and, when the walk has said so of all,
 * stack and frames of all chains of calls. */
void depth_uses(struct verify *v, const struct frame *f, int64_t off);
int depth_check(struct verify *v);

/* call.c: "bpf_map_lookup_elem"; of one that programs may call. */
const char *proto_name(uint32_t id);
/* Of a helper that calls back, at v->i: how often, at most; and what it
 * takes apart from that. */
uint32_t call_turns(struct verify *v);
/* The same of bpf_loop(), if these are few, and counted; else MANY. */
uint32_t call_rounds(struct verify *v);
uint64_t call_scan(struct verify *v);
/* A call at v->i; *next as in step(). */
int step_call(struct verify *v, uint32_t *next);
int step_exit(struct verify *v, uint32_t *next);

/* walk.c: something may be held where this turn begins. */
void turn_begins(struct verify *v, uint32_t insn);
/* What a helper takes is part of the path, or of a turn of its own. */
void call_takes(struct verify *v, uint64_t steps);

/* object.c: references.  What has one has to be given back on every path, once:
 * a ring's record, a dynptr of one, an iterator. */
uint32_t reference_get(struct verify *v);         /* 0: too many, refused */
/* What points there is gone. */
void reference_put(struct verify *v, uint32_t ref);
/* What points there is gone. */
void pointers_lost(struct verify *v, uint32_t ref);
/* It was none: NULL. */
void reference_null(struct state *s, uint32_t ref);
uint32_t reference_insn(const struct state *s, uint32_t ref); /* or NO_INSN */
/* Refuses if one is held. */
int references_left(struct verify *v, const char *why);
/* The running function is left: refuses if one is held that no caller knows
 * of. */
int references_kept(struct verify *v);

/* Dynptrs and iterators live on the stack, a register points there; a callback
 * is given a dynptr in a register.  What points into one has its reference or, if
 * it has none, its id as `ref`. */
struct handle {
	uint32_t id, ref;
	bool rdonly;
	struct slot *slot; /* NULL: of a callback */
};
enum dynptr_way { DYNPTR_LOCAL, DYNPTR_RING, DYNPTR_CLONE };
/* Register `no` points to where one is to be; `of`: of DYNPTR_CLONE. */
int dynptr_make(struct verify *v, unsigned no, enum dynptr_way way,
		const struct handle *of);
int dynptr_find(struct verify *v, unsigned no, struct handle *out);
int dynptr_end(struct verify *v, unsigned no);
/* The program writes to a slot that is part of one: a dynptr is gone, with all
 * that points into it; what has a reference may not go like that. */
int object_overwritten(struct verify *v, struct frame *f, uint32_t slot);
int iter_make(struct verify *v, unsigned no);
int iter_find(struct verify *v, unsigned no, struct handle *out);
int iter_end(struct verify *v, unsigned no);
uint32_t iter_ref(struct verify *v, unsigned no); /* 0: there is none */
/* It gave one more number. */
void iter_moved(struct verify *v, unsigned no);

static inline void state_used(struct state *s, uint64_t limit, uint32_t most)
{
	s->used |= limit;
	if (s->most < most)
		s->most = most;
}

/* Would something stay reserved for ever if the run ended here? */
bool reference_held(const struct verify *v);

/* live.c: before instruction i, which registers may be read before they are
 * written, a bit each; and of the function's stack, which slots. */
struct live *live_find(struct arena *a, const struct bpf_prog *p);
uint16_t live_regs(const struct live *l, uint32_t i);
bool live_slot(const struct live *l, uint32_t i, uint32_t slot);
/* Does it know that instruction i reads, or writes, [from, to) of its function's
 * stack, and no other part? */
bool live_follows(const struct live *l, const struct bpf_prog *p, uint32_t i,
		  int64_t from, int64_t to, bool writes);
/* That others may see the stack of i's function? */
bool live_lets_out(const struct live *l, const struct bpf_prog *p, uint32_t i);

/* care.c: of those, the numbers of which it matters what they are, as long as no
 * other jumps are decided than those said.  To be asked for again by
 * care_find() when there are more. */
void care_find(struct live *l, const struct bpf_prog *p, const bool *decided);
uint16_t care_regs(const struct live *l, uint32_t i);
uint64_t care_slots(const struct live *l, uint32_t i);

#endif
