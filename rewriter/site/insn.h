/* SPDX-License-Identifier: MIT */
/* insn.h - one decoded x86-64 instruction; the only user of the decoder
 * library (Zydis).
 */
#ifndef BPFWELD_INSN_H
#define BPFWELD_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { /* general-purpose registers, in encoding order */
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
	R8, R9, R10, R11, R12, R13, R14, R15, NREG,
};
#define REG_BIT(r) (1u << (r))
#define ALL_REGS 0xffffu

enum insn_flow {
	FLOW_NEXT,     /* goes on to the next instruction */
	FLOW_JMP,      /* direct jmp: target */
	FLOW_JCC,      /* direct jcc, widenable: target, cond */
	FLOW_LOOP,     /* loop/jrcxz/xbegin: target, rel8 only or special */
	FLOW_CALL,     /* direct call: target */
	FLOW_JMP_IND,  /* jmp through register or memory */
	FLOW_CALL_IND,
	FLOW_RET,
	FLOW_STOP,     /* ud2, hlt: never goes on */
	FLOW_TRAP,     /* int3, int1: goes on when a handler returns */
	FLOW_SYSCALL,  /* syscall, sysenter, int n */
};

struct insn {
	uint64_t at;
	uint8_t len;
	uint8_t flow;      /* enum insn_flow */
	uint8_t cond;      /* low nibble of the jcc opcode */
	uint8_t rip_off;   /* offset of a RIP-relative disp32, 0: none */
	uint8_t rel_off;   /* offset of a branch displacement, 0: none */
	uint8_t rel_size;  /* its size: 1 or 4 */
	bool nop;          /* any nop, endbr64 not included */
	bool endbr;        /* endbr64 */
	bool prefixed;     /* lock, rep or segment prefix */
	uint64_t target;   /* of a direct branch, or of the RIP-relative
			      operand (rip_off != 0) */
};

/* What one instruction reads and writes; filled by insn_effects() only. */
struct effects {
	uint32_t reads, writes; /* REG_BITs; a partial write (8/16 bit) also
				   reads; a 32-bit write is a whole write */
	bool reads_flags;       /* any of CF PF AF ZF SF OF */
	bool writes_flags;      /* all six, with a defined or undefined value;
				   a partial or conditional write is no write */
};

/* Decode at most `len` bytes at address `at`.  False: no valid instruction. */
bool insn_decode(const uint8_t *p, size_t len, uint64_t at, struct insn *out);
/* Slower: registers and flags as well. */
bool insn_effects(const uint8_t *p, size_t len, struct effects *out);
/* --- stack.c: parts of the encoding.  Offset of the opcode, behind legacy
 * prefixes and REX, which goes to *rex (0: none). */
unsigned insn_opcode_at(const uint8_t *p, unsigned len, uint8_t *rex);
/* Is the prefix among the bytes before the opcode? */
bool insn_has_prefix(const uint8_t *p, unsigned opcode, uint8_t prefix);
/* A sign-extended immediate of 1 or 4 bytes. */
int32_t insn_imm(const uint8_t *p, unsigned size);
/* By how much an instruction lowers rsp, when that is a constant and it reads
 * no memory below rsp. */
enum stack_use { STACK_OTHER, STACK_PUSH_POP, STACK_ADD_SUB };
enum stack_use insn_stack(const uint8_t *p, const struct insn *in,
			  int32_t *by);

/* Why an instruction might fault; filled by insn_touches() only. */
struct touches {
	bool memory;       /* it reads or writes the operand described below */
	bool implicit;     /* string instructions and the like: anywhere */
	bool divides;
	bool tls;          /* fs or gs */
	bool rip;
	int8_t base, index; /* registers, or -1 */
	int32_t disp;
};
bool insn_touches(const uint8_t *p, size_t len, struct touches *out);
/* Text of one instruction for people ("mov %rsp, %rbp"). */
void insn_print(const uint8_t *p, size_t len, uint64_t at, char *buf,
		size_t size);

#endif
