/* SPDX-License-Identifier: MIT */
/* compile.h - BPF programs to x86-64.
 *
 * In:   a linked program (bpf.h), where its registers may live and where the
 *       values of the probed site's registers are to be found.
 * Out:  code appended to a struct code.
 * Then: it touches no register outside its clobber set, no memory but what the
 *       program names, and neither SSE nor x87; DF stays clear.
 *
 * Two forms.  Inline: the body of a program inside a trampoline; ctx does not
 * exist, a load from ctx+off is the register itself (or its saved slot), r10 is
 * an offset from rsp.  Function: rdi = ctx (or r1..r5 in rdi, rsi, rdx, rcx,
 * r8 for subprograms), result in rax, callee-saved registers kept; used for
 * bpf-to-bpf calls, for programs too large to stand at every site, and by
 * bpf_plugin.
 */
#ifndef BPFWELD_COMPILE_H
#define BPFWELD_COMPILE_H

#include "rewriter/bpf/bpf.h"
#include "rewriter/code/asm.h"
#include "rewriter/code/stub.h"
#include "rewriter/region.h"

/* What the compiler and the trampoline need to know of a program.  Computed
 * once per program by code_facts(). */
struct facts {
	uint32_t ctx_reads;   /* bit i: 8-byte word i of pt_regs is loaded by
				 the program directly (bits 0..20) */
	bool ctx_escapes;     /* ctx is passed on, stored or computed with:
				 a real struct hit must be built */
	bool calls;           /* a call remains in the code: helpers that are
				 not inlined, or subprograms.  All caller-saved
				 registers are clobbered then */
	uint32_t regs_used;   /* bit r: BPF register r0..r9 is used */
	uint32_t stack;       /* bytes of BPF stack */
	uint32_t fixed;       /* REG_BITs that some instruction needs for itself
				 (rcx for shifts, rax and rdx for division...) */
	uint32_t size;        /* upper estimate of the inline form, bytes */
	uint8_t scratch;      /* scratch registers it needs: 0 to 2 */
	struct known *known;    /* private: what is known at each insn */
};
/* `set` tells the maps' types and sizes: lookups in arrays become address
 * arithmetic.  NULL: all helpers are called. */
int code_facts(struct arena *a, const struct bpf_set *set,
	       const struct bpf_prog *p, struct facts *out, struct err *e);

/* Where BPF registers live at one site.  `free_regs` are x86 registers dead at
 * the site; `keep` are registers whose original value the program reads through
 * ctx (it is better not to overwrite those).  clobbers = all that the body
 * overwrites, scratch registers included. */
struct regmap {
	int8_t of[10];      /* BPF r0..r9 -> x86 register, -1: unused */
	int8_t scratch[2];
	uint32_t clobbers;
};
void code_assign(const struct facts *f, uint32_t free_regs, uint32_t keep,
		 struct regmap *out);

/* The trampoline's frame while bodies run.  All offsets from rsp. */
struct frame {
	int32_t slot[NREG];  /* saved original value, or -1: in its register */
	int32_t flags;       /* RFLAGS of the site (8 bytes), or -1 */
	int32_t stack;       /* r10, the top end of the BPF stack */
	int32_t hit;         /* a complete struct hit, or -1 */
	int32_t other;       /* not 0: this is another stack than the site's,
				whose rsp is stored there and stands for rsp in
				the next two */
	uint32_t below;      /* the site's rsp is rsp + below */
	uint32_t sp;         /* what ctx has as sp is rsp + sp */
	int32_t ip;          /* what it has as ip, or -1: it is `site` */
	uint64_t site;       /* address of the probed instruction */
	uint64_t cookie, func_ip;
	bool push_rbp;       /* the probed instruction is one; not at returns */
	uint32_t probe;      /* whose failed runs are counted */
};

/* Where an inline form's run may fail (runtime-stub/guard.h): branches that wait
 * for code_failed(), out of the way. */
struct code_fails {
	size_t *at; /* of their rel32 */
	uint32_t n;
	uint64_t end; /* where the run ends */
	int8_t r0;    /* FORM_TEST: the register of the result, or -1 */
	uint32_t probe;
};

/* dst = what ctx has as sp. */
void frame_sp(struct code *c, int dst, const struct frame *fr);

/* Where function forms went, for unwinding through them: from `enter` up to
 * and including the instruction before `leave`, rsp is `below` bytes below
 * what it was at `start`; from `kept` on, the registers `saved` are on the
 * stack, the first of them uppermost. */
struct code_gap {
	uint32_t from, to; /* rsp is what it was at `start` here, too */
};
struct code_shape {
	uint64_t start, size;
	uint32_t enter, kept, leave, below; /* offsets from start; below may
					       be 0 */
	uint32_t cold;                      /* 0, or from there on all is again
					       as it was before `leave` */
	uint32_t saved;                     /* REG_BITs */
	struct code_gap *gap;               /* offsets from start, in order */
	uint32_t ngap;
};
struct code_shapes {
	struct code_shape *v;
	size_t n;
};

struct code_env {
	const struct bpf_set *set;
	const struct region *region;
	const struct stub *stub;
	uint64_t info_vaddr;   /* of struct weld_info in RX */
	uint64_t region_rw;    /* of the region in RW */
	uint64_t own_rw;       /* of weld_own in RW */
	const uint64_t *const *sub; /* sub[prog][k]: vaddr of subprogram k's
				       function form (k >= 1) */
	/* Hosted runs (bpf_plugin, tests): address of helper `id`, or 0.
	 * NULL when welding. */
	uint64_t (*helper)(uint32_t id);
	struct code_shapes *shapes; /* appended to by function forms, or NULL */
};

/* Inline form of program `p`: falls out of its end on exit.  `fails` may be NULL
 * where the program has no guards. */
int code_inline(struct code *c, const struct code_env *env, uint32_t prog,
		const struct bpf_prog *p, const struct facts *f,
		const struct regmap *m, const struct frame *fr,
		struct code_fails *fails, struct err *e);
/* Its failed runs: counts them, and leads to their end.  Changes flags. */
void code_failed(struct code *c, const struct code_env *env,
		 const struct code_fails *fails);
/* Function form of subprogram `sub` of `p` (0: the program itself).  Returns
 * its address through *vaddr. */
int code_function(struct code *c, const struct code_env *env, uint32_t prog,
		  const struct bpf_prog *p, uint32_t sub, uint64_t *vaddr,
		  struct err *e);
/* The function forms of all subprograms of `p`, which may call each other in
 * any order; fills sub[1 .. p->nsub), which must be env->sub[prog]. */
int code_subprograms(struct code *c, const struct code_env *env, uint32_t prog,
		     const struct bpf_prog *p, uint64_t *sub, struct err *e);

/* The stub's functions that the code calls (helpers that are not inlined), added
 * to a list without doubles: roots for stub_link(). */
struct code_names {
	const char **v;
	size_t n;
};
void code_helpers(struct arena *a, const struct bpf_set *set,
		  const struct bpf_prog *p, bool vm, struct code_names *to);
const char *helper_name(uint32_t id); /* "map_lookup_elem"; NULL: unknown */

#endif
