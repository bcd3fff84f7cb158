/* SPDX-License-Identifier: MIT */
/* known.h - what is known at each instruction of one function (the program
 * itself or a subprogram) before any code is made; private to the compiler.
 *
 *   values.c   forwards: which registers hold ctx+n, the stack+n, a constant,
 *              a map or the address of a map's value; which branches are
 *              decided, which lookups are address arithmetic
 *   facts.c    backwards: which results are read at all.  What is not, is gone
 */
#ifndef BPFWELD_KNOWN_H
#define BPFWELD_KNOWN_H

#include "rewriter/code/compile.h"
#include "rewriter/code/helper.h"
#include "runtime-stub/guard.h"
#include "runtime-stub/task.h"

/* v4 instructions that the installed <linux/bpf.h> need not know. */
enum {
	INSN_MEMSX = 0x80,       /* mode of a sign-extending load */
	INSN_LOAD_ACQ = 0x100,   /* imm of BPF_ATOMIC */
	INSN_STORE_REL = 0x110,
};

enum val_kind {
	V_ANY,
	V_CONST, /* n */
	V_FP,    /* r10 + n */
	V_CTX,   /* the program's ctx + n */
	V_MAP,   /* the map `map` itself */
	V_VALUE, /* address n of the values of array `map` */
	V_WORD,  /* what `word` says of ctx + n, which nobody changes */
};
enum { WORD_SIGNED = 0x80 }; /* in val.word, beside the number of bytes */
struct val {
	uint8_t kind;
	bool may_ctx, may_fp; /* V_ANY that is such an address on some path */
	bool may_elem; /* ... in a value of a map that is no array */
	uint8_t word;
	uint32_t map;
	int64_t n;
};

enum taken { TAKEN_MAYBE, TAKEN_NEVER, TAKEN_ALWAYS };
enum call_as {
	CALL_REAL,
	CALL_LOOKUP,       /* in an array: address arithmetic */
	CALL_LOOKUP_HASH,  /* in a hash: the first element inline, else a call */
	CALL_LOOKUP_CPU,   /* in a PERCPU_ARRAY: inline once the run owns a CPU */
	CALL_UPDATE,       /* of an array's element: stores */
	CALL_LOOKUP_KNOWN, /* the result is a V_VALUE or 0 */
	CALL_CTX_FIELD,    /* get_func_ip, get_attach_cookie */
};

struct insn_fact {
	struct val dst;    /* of dst_reg (r0 of a call) before... */
	struct val src;    /* ... and of src_reg */
	struct val result; /* of the register written, after */
	struct val key;    /* CALL_LOOKUP*, _UPDATE: where the key is ... */
	struct val value;  /* ... and the value */
	uint32_t map;      /* of a call: which map, if map_known */
	bool map_known;
	uint16_t live;     /* registers read later; bit 10 is r10 */
	uint16_t before;   /* the same in front of it */
	uint16_t ctx_regs; /* registers that hold ctx, or may */
	uint16_t elem_regs; /* registers with may_elem, in front of it */
	uint8_t taken;     /* enum taken */
	uint8_t call;      /* enum call_as */
	bool reached;
	bool gone;         /* no code: unreachable, or nobody reads it */
	bool no_fetch;     /* atomic: the old value is not read */
	bool dead_store;   /* to stack bytes that nothing reads */
	bool put;          /* an update that may write where the value is */
	bool target;       /* something may jump here */
};

struct known {
	const struct bpf_set *set;
	const struct bpf_prog *p;
	uint32_t from, to;      /* this function's instructions */
	bool ctx;               /* r1 is ctx and does not exist as a pointer */
	bool result;            /* r0 is read at exit */
	bool fp_escapes;        /* a stack address is in memory or unknown */
	bool fp_computed;       /* ... with an offset that is not known */
	bool elems_kept;        /* addresses of elements' values, too, or in
				   frames of callers */
	struct insn_fact *fact; /* indexed by insn - from */
	uint16_t entry_live;
	bool ctx_escapes, calls;
	uint16_t used;          /* BPF registers that code touches */
	bool subs_run;          /* a subprogram calls what wants a struct run */
	bool run;               /* so does this function: it stands, or where it
				   is (in a subprogram), at the lower end of
				   `stack` */
	bool fails;             /* it has guards: a run may end there */
	bool budget;            /* ... so may it in a subprogram, or in a loop:
				   run.left has a meaning */
	bool signals;           /* the program may send some; then it has a run */
	uint32_t ctx_reads, fixed, stack, size;
	uint8_t scratch;        /* how many scratch registers are needed */
};

enum form {
	FORM_INLINE,   /* ctx is not a pointer, nobody wants the result */
	FORM_FUNCTION, /* ordinary arguments and result */
	FORM_TEST,     /* inline, with a result */
};
int known_make(struct arena *a, const struct bpf_set *set,
	       const struct bpf_prog *p, uint32_t sub, enum form as,
	       struct known *out, struct err *e);
void known_facts(struct known *f, struct facts *out);

/* values.c */
void known_values(struct arena *a, struct known *f);
static inline bool val_ctx(const struct val *v)
{
	return v->kind == V_CTX || v->may_ctx;
}
static inline bool val_fp(const struct val *v)
{
	return v->kind == V_FP || v->may_fp;
}
/* Does this call leave a call in the code? */
static inline bool call_remains(uint8_t call)
{
	return call == CALL_REAL || call == CALL_LOOKUP_HASH ||
	       call == CALL_LOOKUP_CPU;
}
/* An address that an instruction can name without a register. */
static inline bool val_address(const struct val *v)
{
	return v->kind == V_FP || v->kind == V_CTX || v->kind == V_VALUE;
}
static inline bool val_imm(const struct val *v)
{
	return v->kind == V_CONST && v->n == (int32_t)v->n;
}

/* Of the map that a call names, or MAP_UNKNOWN. */
int insn_map_type(const struct known *f, const struct insn_fact *k);
enum { UPDATE_INLINE = 32 }; /* largest value, in bytes */
enum {
	HELPER_LOOKUP = 1,
	HELPER_UPDATE = 2,
	HELPER_TAIL = 12,
	HELPER_FUNC_IP = 173,
	HELPER_COOKIE = 174
};

/* The second operand of an ALU or jump instruction, or what a store stores,
 * when it is an immediate or a register known to hold one. */
static inline bool insn_operand(const struct bpf_insn *i,
				const struct insn_fact *fact, int32_t *imm)
{
	bool narrow = BPF_CLASS(i->code) == BPF_ALU ||
		      BPF_CLASS(i->code) == BPF_JMP32 ||
		      ((BPF_CLASS(i->code) | 1) == BPF_STX &&
		       BPF_SIZE(i->code) != BPF_DW);

	*imm = (int32_t)fact->src.n;
	return fact->src.kind == V_CONST && (narrow || val_imm(&fact->src));
}
/* A comparison whose first operand is the known one: it is turned around. */
static inline bool insn_swapped(const struct bpf_insn *i,
				const struct insn_fact *fact, int32_t *imm)
{
	*imm = (int32_t)fact->dst.n;
	return fact->dst.kind == V_CONST &&
	       (BPF_CLASS(i->code) == BPF_JMP32 || val_imm(&fact->dst));
}
/* 2^n in *n. */
static inline bool power_of_two(uint64_t v, unsigned *n)
{
	*n = v ? (unsigned)__builtin_ctzll(v) : 0;
	return v && !(v & (v - 1));
}

/* Where an instruction may go on: next and, for jumps, target. */
static inline bool insn_is_jump(const struct bpf_insn *i)
{
	uint8_t class = BPF_CLASS(i->code), op = BPF_OP(i->code);

	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL &&
	       op != BPF_EXIT;
}
static inline bool insn_is_ja(const struct bpf_insn *i)
{
	return insn_is_jump(i) && BPF_OP(i->code) == BPF_JA;
}
static inline uint32_t insn_target(const struct bpf_insn *insn, uint32_t at)
{
	const struct bpf_insn *i = &insn[at];
	int32_t d = i->code == (BPF_JMP32 | BPF_JA) ? i->imm : i->off;

	return at + 1 + (uint32_t)d;
}
static inline bool insn_is_lddw(const struct bpf_insn *i)
{
	return i->code == (BPF_LD | BPF_IMM | BPF_DW);
}
static inline uint64_t insn_imm64(const struct bpf_insn *i)
{
	return (uint32_t)i[0].imm | (uint64_t)(uint32_t)i[1].imm << 32;
}
static inline unsigned insn_bytes(const struct bpf_insn *i)
{
	static const uint8_t bytes[4] = {
		[BPF_W >> 3] = 4, [BPF_H >> 3] = 2,
		[BPF_B >> 3] = 1, [BPF_DW >> 3] = 8,
	};

	return bytes[BPF_SIZE(i->code) >> 3];
}
static inline bool insn_is_alu(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code) == BPF_ALU || BPF_CLASS(i->code) == BPF_ALU64;
}
/* A load that calls the stub. */
static inline bool insn_is_task_load(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code) == BPF_LDX &&
	       (BPF_MODE(i->code) == TASK_LOAD ||
		BPF_MODE(i->code) == TASK_LOADSX);
}
static inline bool insn_is_atomic(const struct bpf_insn *i)
{
	return BPF_CLASS(i->code) == BPF_STX &&
	       BPF_MODE(i->code) == BPF_ATOMIC;
}

#endif
