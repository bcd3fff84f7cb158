/* SPDX-License-Identifier: MIT */
/* targets.h - the state behind the window proof; private to this folder.
 *
 * One byte of marks for each byte of executable file content.  Stage 1
 * (sweep) sets MARK_SUPER and MARK_ADDR for all that any byte could mean, and
 * MARK_TABLE and MARK_POINTER.  Stage 2 (settle) disassembles everything and
 * sets MARK_START, MARK_BRANCH, MARK_MAYBE and, for MARK_ADDR, MARK_POINTER.
 * All marks only ever get more.
 */
#ifndef BPFWELD_TARGETS_H
#define BPFWELD_TARGETS_H

#include "rewriter/site/site.h"

enum {
	MARK_SUPER = 1,  /* some byte, read as a branch, goes here */
	MARK_ADDR = 2,   /* ET_EXEC: some 4 bytes of code spell this address */
	MARK_BRANCH = 4, /* a decoded branch goes here */
	MARK_MAYBE = 8,  /* bytes that could not be decoded might */
	MARK_TABLE = 16, /* an entry of what looks like a jump table */
	MARK_POINTER = 32, /* lea, or an immediate of a decoded instruction */
	MARK_START = 64,   /* an instruction starts here */
	MARK_SEEN = 128,   /* in code found by following the flow */
};

struct span { /* the file part of one executable segment */
	uint64_t lo, hi;
	const uint8_t *p;
	uint8_t *mark; /* NULL until the sweep */
};

enum { TRAIL = 16 };
struct walked { /* where the last linear decoding of a function stood */
	const struct func *f;
	struct insn last; /* ends at `pos`, unless pos is f->addr */
	uint64_t pos;
	uint64_t trail[TRAIL]; /* where the instructions before pos began */
	size_t n;              /* how many there were; the last one is at
				  trail[(n - 1) % TRAIL] */
	bool stuck; /* nothing decodes at pos */
};

struct targets {
	struct arena *a;
	struct span *span;
	size_t nspan;
	uint64_t *reach; /* [i]: highest end of func[0..i] */
	uint64_t *edge;  /* where loaded sections begin and end; sorted */
	size_t nedge;
	struct walked cur;
	uint8_t *step; /* per function: step.c */
	struct crossings *crossings; /* exits.c; NULL until asked for */
	struct height *height; /* height.c: of height_of's bytes, with room */
	size_t height_room;    /* for so many */
	const struct func *height_of;
	bool swept, settled;
	bool gave_up; /* tables without end: everything may be a target */
};

/* func.c */
struct span *span_of(const struct targets *t, uint64_t addr);
/* The last function that starts at or before addr, or NULL. */
const struct func *func_before(const struct sites *s, uint64_t addr);
uint64_t func_end(const struct sites *s, const struct func *f);
/* The first address not below `from` in an array of n elements that is sorted
 * by address, or UINT64_MAX.  `v` is the address of the first element. */
uint64_t next_addr(const uint64_t *v, size_t n, size_t elem, uint64_t from);
uint64_t next_symbol(const struct image *img, uint64_t from);
uint64_t next_fde(const struct image *img, uint64_t from);

char *func_hex_name(struct arena *a, uint64_t addr);
bool func_in_plt(const struct image *img, uint64_t addr);
bool func_in_data(const struct image *img, uint64_t addr);

/* found.c: functions that only calls of known code name.  True: there are. */
bool funcs_find_more(struct arena *a, struct sites *s);

/* cold.c: cold parts that look like functions are fragments. */
void funcs_find_cold(struct arena *a, struct sites *s);

/* extent.c: code behind the end of a frame description that belongs to it. */
void extents_grow(struct sites *s);

/* code.c: decode f from its start to the first boundary >= at.  False when
 * something before does not decode. */
bool code_walk(const struct sites *s, const struct func *f, uint64_t at,
	       struct walked *out);

/* step.c: is this inside an instruction, for sure, so that a table, a pointer
 * or undecoded bytes that seem to lead here do not?  Known once all decoded
 * branches are marked. */
bool target_unmeant(const struct sites *s, uint64_t addr);

/* step.c: does decoding seem to be in step at x, the next instruction?  *open:
 * something leads here, or falls in; true where code begins.  Known once all
 * decoded branches are marked. */
bool step_holds(const struct sites *s, const struct insn *x, bool *open);

/* height.c: unwind_height() at a place in f, where f has no frame description,
 * or UNWIND_UNKNOWN. */
int32_t stack_height(const struct sites *s, const struct func *f, uint64_t at);

/* sweep.c */
void targets_sweep(const struct sites *s);
void scan_branches(const struct targets *t, const struct span *in,
		   uint64_t from, uint64_t to, uint8_t flag);
void scan_addresses(const struct targets *t, const struct span *in,
		    uint64_t from, uint64_t to, uint8_t flag);
/* The next offset from `i` on at which a branch's opcode could stand whose
 * target is marked with `flag`; *to is the target.  The span's size: none. */
uint64_t scan_next(const struct targets *t, const struct span *in, uint64_t i,
		   uint8_t flag, uint64_t *to);
/* table.c */
void targets_tables(const struct sites *s);
/* settle.c */
void targets_settle(const struct sites *s);

static inline bool is_compiled_go(const struct func *f)
{
	return f && f->go && !f->go->assembly;
}

static inline void mark_addr(const struct targets *t, uint64_t addr,
			     uint8_t flag)
{
	struct span *sp = span_of(t, addr);

	if (sp)
		sp->mark[addr - sp->lo] |= flag;
}

#endif
