/* SPDX-License-Identifier: MIT */
/* gen.h - one function while its code is made; private to the compiler.
 *
 * Each kind of instruction has its file: alu.c, mem.c, atomic.c, branch.c,
 * call.c, hash.c and guard.c.  gen_function() in compile.c runs over the
 * instructions.
 */
#ifndef BPFWELD_GEN_H
#define BPFWELD_GEN_H

#include "rewriter/code/known.h"
#include "rewriter/code/x86.h"

struct jump {
	uint32_t at;     /* offset in code of the displacement */
	uint32_t target; /* insn, or f->to: the end */
	bool wide;       /* rel32 */
};

struct gen {
	struct code *c;
	const struct code_env *env;
	const struct known *f;
	const struct frame *fr; /* inline form; NULL: function form */
	struct err *e;
	uint32_t prog;
	int8_t of[11];      /* BPF register -> x86; of[10] is -1 */
	int8_t scratch[3];  /* the third one only with calls */
	uint32_t mapped;    /* REG_BITs that hold a BPF register */
	int32_t stack, hit; /* r10 and ctx as offsets from rsp */
	int32_t run;        /* struct run, or of a subprogram where it is */
	bool sub;           /* this is one: it came in r9 */
	int32_t ctx;        /* function form that may fail: where ctx is */
	size_t *fail;       /* offsets in code of rel32s to where it fails */
	uint32_t nfail;

	/* Function form: its frame, and where it is given up in between. */
	uint32_t saved, frame; /* REG_BITs; bytes */
	size_t start;
	struct code_gap *gap;
	uint32_t ngap;

	/* Offsets of each instruction's code in the previous round, then the
	 * end; what decides which jumps are short. */
	const uint32_t *at;
	struct jump *jump;
	uint32_t njump;
};

int gen_fail(struct gen *g, uint32_t insn, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static inline const struct bpf_insn *gen_insn(const struct gen *g, uint32_t at)
{
	return &g->f->p->insn[at];
}
static inline const struct insn_fact *gen_fact(const struct gen *g, uint32_t at)
{
	return &g->f->fact[at - g->f->from];
}

/* mem.c: values, addresses and operands */
struct mem gen_address(const struct gen *g, const struct val *v, int64_t off);
struct mem gen_memory(const struct gen *g, const struct val *base, int reg,
		      int16_t off);
int gen_value(struct gen *g, uint32_t at, int dst, const struct val *v);
/* The x86 register that holds BPF register r; r10 is computed into scratch. */
int gen_reg(struct gen *g, int r);

/* One instruction each; `at` is its number. */
int gen_alu(struct gen *g, uint32_t at);
int gen_lddw(struct gen *g, uint32_t at);
int gen_load(struct gen *g, uint32_t at);
int gen_store(struct gen *g, uint32_t at);
int gen_atomic(struct gen *g, uint32_t at);
int gen_jump(struct gen *g, uint32_t at);
/* A call; *done is how many instructions it covered (a NULL test right behind
 * a lookup is part of it). */
int gen_call(struct gen *g, uint32_t at, uint32_t *done);

/* run.c: what is done about a struct run at the beginning, before a call (r9
 * is where it is then) and at the end, which keeps rax. */
void gen_run_begin(struct gen *g);
void gen_run_pass(struct gen *g);
void gen_run_end(struct gen *g);
/* The struct run as an operand; in a subprogram relative to r9, which is loaded. */
struct mem gen_run_at(struct gen *g);

/* guard.c: a guard; what is done about them at the beginning of a function form,
 * and where its guards lead, behind its ret.  `end`: what stands in front of
 * gen_run_end(). */
int gen_guard(struct gen *g, uint32_t at);
void gen_fail_begin(struct gen *g);
void gen_fail_end(struct gen *g, uint64_t end);

/* function.c: a tail call. */
int gen_tail(struct gen *g, uint32_t at);

/* call.c: the call of the helper that the instruction names. */
int gen_helper(struct gen *g, uint32_t at);
/* BPF_JEQ or BPF_JNE: "if (r0 == NULL)" or its contrary, right behind a call
 * and not reached otherwise.  0: neither. */
uint8_t gen_null_test(const struct gen *g, uint32_t at);
/* hash.c: a lookup in a hash map. */
int gen_lookup_hash(struct gen *g, uint32_t at, uint32_t *done);
/* ... or in an array with values for each CPU. */
int gen_lookup_cpu(struct gen *g, uint32_t at, uint32_t *done);

/* Nothing stands between `from` and a later `target`. */
bool gen_leads_nowhere(const struct gen *g, uint32_t from, uint32_t target);
/* A jump to an instruction, or to the end (f->to); cond may be ALWAYS. */
void gen_goto(struct gen *g, uint32_t from, int cond, uint32_t target);

/* compile.c: registers into g, then all instructions of g->f. */
void gen_init(struct gen *g, const struct regmap *m);
int gen_function(struct gen *g);

#endif
