/* SPDX-License-Identifier: MIT */
/* flow.h - what is known of a program's registers before each instruction.
 *
 * A forward analysis over constants: a register holds a number, ctx plus a
 * number, r10 plus a number, a place in a data section, or anything.  Where
 * paths meet, different values become "anything" or "perhaps the stack".
 * A branch whose operands are numbers is followed on one side only, so that
 * what frozen data (.rodata, .kconfig) switches off is never reached.  Memory
 * is not followed: a value that was spilled to the stack comes back as
 * anything.
 *
 * Wants a program that passed check_shape().
 */
#ifndef BPFWELD_BPF_FLOW_H
#define BPFWELD_BPF_FLOW_H

#include <stdbool.h>

#include "rewriter/bpf/bpf.h"
#include "runtime-stub/task.h"

enum value_kind {
	VALUE_ANY,
	VALUE_NUMBER,
	VALUE_CTX,
	VALUE_FRAME, /* r10 + n */
	VALUE_DATA,
	VALUE_FUNC,  /* subprogram at insn n; SOME_FUNC: one of several */
	VALUE_STACK, /* perhaps an address in the frame: what becomes of a
			VALUE_FRAME that meets something else */
};
enum { SOME_FUNC = -1 };
struct value {
	uint8_t kind;
	uint32_t map; /* VALUE_DATA: index into bpf_set.map */
	int64_t n;
};
struct regs {
	struct value r[11];
};

struct flow {
	bool *reached;      /* per instruction; both slots of an lddw */
	uint8_t *branch;    /* per conditional jump: sides taken, a bit each */
	struct regs **at;   /* private: at the first of each straight piece */
};
enum { SIDE_NEXT = 1, SIDE_JUMP = 2 };

/* `set` may be NULL: then nothing is known of data. */
void flow_run(struct arena *a, const struct bpf_prog *p,
	      const struct bpf_set *set, struct flow *f);

/* Call `see` for every reached instruction with the registers before it, in
 * program order; stop when it is not 0 and return that. */
int flow_each(const struct bpf_prog *p, const struct bpf_set *set,
	      const struct flow *f,
	      int (*see)(void *arg, uint32_t i, const struct regs *r),
	      void *arg);

/* Where a jump goes. */
static inline uint32_t jump_target(const struct bpf_insn *insn, uint32_t i)
{
	if (insn->code == (BPF_JMP32 | BPF_JA))
		return i + 1 + insn->imm;
	return i + 1 + insn->off;
}
static inline bool is_jump(const struct bpf_insn *insn)
{
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL &&
	       op != BPF_EXIT;
}
static inline bool is_goto(const struct bpf_insn *insn)
{
	return is_jump(insn) && BPF_OP(insn->code) == BPF_JA;
}
static inline bool is_lddw(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}
static inline bool is_exit(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_EXIT);
}
/* An instruction that stood at `from` and shall stand at `at`: it names what it
 * named, at new[what was its number].  False: that is too far for it. */
bool insn_move(struct bpf_insn *insn, uint32_t from, uint32_t at,
	       const uint32_t *new);
/* Its address is in a task. */
static inline bool is_task_load(const struct bpf_insn *insn)
{
	return BPF_CLASS(insn->code) == BPF_LDX &&
	       (BPF_MODE(insn->code) == TASK_LOAD ||
		BPF_MODE(insn->code) == TASK_LOADSX);
}
static inline uint8_t task_load_of(uint8_t code)
{
	return (code & ~LOAD_MODE) |
	       (BPF_MODE(code) == BPF_MEM ? TASK_LOAD : TASK_LOADSX);
}
static inline bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL);
}
/* Helpers that call the subprogram in r2 back. */
static inline bool calls_back(const struct bpf_insn *insn)
{
	return is_call(insn) && !insn->src_reg &&
	       (insn->imm == BPF_FUNC_loop ||
		insn->imm == BPF_FUNC_for_each_map_elem ||
		insn->imm == BPF_FUNC_user_ringbuf_drain);
}
enum {
	ITER_NUM_NEXT = 253 /* helpers.def */
};
static inline bool is_iter_next(const struct bpf_insn *insn)
{
	return is_call(insn) && !insn->src_reg && insn->imm == ITER_NUM_NEXT;
}

#endif
