/* SPDX-License-Identifier: MIT */
/* site.h - every place a probe can go, and what is known about the code there.
 *
 * In:   the image.
 * Out:  functions sorted by address, and an oracle for the window proof.
 * Then: a function's extent is what FDEs and symbols say; a function that only
 *       an FDE names is called fn_HEXADDR; nothing here is guessed.  Go's
 *       functions are those of its table, whatever symbols there are.
 * The expensive parts (disassembling everything) run on first need.
 */
#ifndef BPFWELD_SITE_H
#define BPFWELD_SITE_H

#include "elf/image.h"
#include "rewriter/site/insn.h"

struct func {
	uint64_t addr, size;  /* size from FDE (and code that goes on behind
				 it), else symbol; may be 0: then nobody
				 knows, and func_limit() stands in */
	const char *name;     /* best name: global before weak before local */
	const char *version;  /* symbol version or NULL */
	uint32_t sym, nsym;   /* aliases: image.sym[sym .. sym+nsym), all
				 symbols of the address, of any type */
	bool fragment;        /* a .cold part or a nameless signal frame:
				 not an entry */
	bool named;           /* by a symbol, not fn_HEX */
	bool found;           /* by calls or pointers only: no ground for what
				 nobody asked to have patched */
	bool copied;          /* V8's embedded builtins, which it copies to
				 another address to run them there */
	const struct go_func *go; /* in Go's function table: Go code, or NULL */
};

struct sites {
	const struct image *img;
	struct func *func;    /* sorted by addr, unique addresses */
	size_t nfunc;
	bool go_once;         /* entry probes of Go functions count calls */
	bool allow_trap;      /* a site without room may trap */
	bool frame_table;     /* unwinders will find new code's frames */
	struct targets *targets; /* opaque; see target_in() */
};

int sites_find(struct arena *a, const struct image *img, struct sites *out,
	       struct err *e);

/* What to add where something is not found in a file of which nothing is known;
 * "" where there are functions. */
static inline const char *sites_nothing(const struct sites *s)
{
	if (s->nfunc)
		return "";
	return s->img->nsym || s->img->nfde
		       ? ": the file has no function"
		       : ": the file has neither symbols nor unwind tables, "
			 "and no function was found by its code";
}

/* The function that starts at / contains addr, or NULL.  Where functions nest
 * (a second entry), the innermost contains it. */
const struct func *func_at(const struct sites *s, uint64_t addr);
const struct func *func_around(const struct sites *s, uint64_t addr);
/* First byte after the function that belongs to something else: the next
 * function, symbol or the end of the segment.  Bytes between the function's
 * end and this are padding when code_is_padding() says so. */
uint64_t func_limit(const struct sites *s, const struct func *f);
bool code_is_padding(const struct sites *s, uint64_t from, uint64_t to);
/* Padding behind a function, and nothing gets there: the function does not go
 * on behind its end, and nothing leads in. */
bool code_is_dead(const struct sites *s, uint64_t from, uint64_t to);

/* Is `at` an instruction boundary?  1 yes, 0 no, -1 cannot be known (no
 * function covers it).  *before and *after get the boundaries on either side
 * when 0. */
int code_boundary(const struct sites *s, uint64_t at, uint64_t *before,
		  uint64_t *after);

/* The boundaries before `at` in its function, nearest first: at most n. */
size_t code_before(const struct sites *s, uint64_t at, uint64_t *out, size_t n);
/* Does an instruction begin here, for sure?  Data among the code decodes as
 * well; who changes what nobody asked for has to know. */
bool code_is_sure(const struct sites *s, uint64_t at);

/* Why an address may be reached other than by falling into it. */
enum target_why {
	TARGET_NONE,      /* proven: nothing we can see goes there */
	TARGET_BRANCH,    /* a direct branch or call */
	TARGET_MAYBE,     /* bytes no function covers could be such a branch */
	TARGET_TABLE,     /* a jump table */
	TARGET_POINTER,   /* relocation, RELR, init array, data word, lea */
	TARGET_SYMBOL,
	TARGET_LANDING,   /* landing pad of an exception */
	TARGET_CALLSITE,  /* boundary of an exception call site */
	TARGET_RETURN,    /* right after a call */
	TARGET_ENDBR,
};
const char *target_why_name(enum target_why why);
/* The window proof: the first address in (lo, hi), exclusive on both sides,
 * that something may reach, and why.  TARGET_NONE when there is none. */
enum target_why target_in(const struct sites *s, uint64_t lo, uint64_t hi,
			  uint64_t *where);
/* What else reaches `at` than direct branches that were decoded. */
enum target_why target_besides(const struct sites *s, uint64_t at);

/* branches.c: all direct branches to any of n addresses, which are sorted;
 * sorted by `to`, then by address. */
struct branch {
	uint64_t to;
	struct insn in;
	bool sure; /* it is an instruction, and no data that looks like one */
};
struct branch *branches_to(struct arena *a, const struct sites *s,
			   const uint64_t *to, size_t n, size_t *nbranch);

/* --- exits.c: how control leaves a function --------------------------------
 *
 * A function's body is its own code and the fragments that belong to it alone.
 * It is left by a ret, or by a jump out of the body; a jump to its own entry
 * counts as one, as it makes what stands there happen again. */
enum exit_kind {
	EXIT_RET,
	EXIT_JMP, /* direct */
	EXIT_JCC, /* direct, perhaps not taken */
	EXIT_IND, /* through register or memory: perhaps stays in the body */
};
struct exit {
	uint64_t at;
	uint8_t kind;
};
struct part { /* of a body */
	uint64_t lo, hi;
};
struct body {
	const struct func *func;
	struct part *part; /* [0] is the function's own code */
	size_t npart;
	struct exit *exit; /* in no order */
	size_t nexit;
	size_t ntail;      /* of them, those that are jumps */
	bool uncalled;     /* it is entered in another way than by a call: what
			      its stack pointer points to is no return address */
	const char *why;   /* NULL, or why a ret here does not tell that the
			      function was called, or not all are known */
};
void body_find(const struct sites *s, const struct func *f, struct body *out);

/* thunk.c: a jump or call to `at` is one through this register; -1: it is not. */
int thunk_register(const struct image *img, uint64_t at);
/* May `at` lead to a thunk in another file? */
bool thunk_imported(const struct image *img, uint64_t at);

/* --- syscall.c: the system call instructions of a function. */
struct syscall_site {
	uint64_t addr;
	const struct func *func; /* around it */
	int64_t number;          /* of the call; -1: not known */
};
struct syscall_site *syscalls_of(struct arena *a, const struct sites *s,
				 const struct func *f, size_t *n);

/* go.c: do Go's tables claim the address, be it padding? */
bool go_holds(const struct image *img, uint64_t addr);
/* Does Go's runtime know the same about both places, which must be in one
 * function?  Then code may run at `hop` in the state of `at`. */
bool go_same_state(const struct sites *s, uint64_t at, uint64_t hop);
/* Is it called as Go calls functions: nothing in r12, r13 and r15, neither when
 * it is entered nor when it returns? */
bool go_is_callable(const struct sites *s, const struct func *f);
/* Why no probe may stand in the function; NULL: one may. */
const char *go_func_refusal(const struct func *f);
/* Where a probe of the entry is hit once a call, though the function be entered
 * again when its stack has grown: behind the check of the stack. */
uint64_t go_once(const struct sites *s, const struct func *f);
/* Why insn[n] may not be moved elsewhere, with the n before it, which are moved
 * as well; NULL: it may.  Other than Go code may. */
const char *go_insn_refusal(const struct sites *s, const struct func *f,
			    const struct insn *insn, unsigned n);

/* Which registers and flags may be read before they are written when
 * execution continues at `at` in function f.  Follows the code within f and
 * its fragments; whatever leaves it (calls, returns, indirect jumps) reads all
 * registers, but where Go calls Go.  Flags are dead at calls and returns, as the
 * ABI has it, and live at any other exit. */
struct live {
	uint32_t regs;  /* REG_BITs; RSP always */
	bool flags;
};
struct live live_at(const struct sites *s, const struct func *f, uint64_t at);

#endif
