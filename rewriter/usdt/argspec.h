/* SPDX-License-Identifier: MIT */
/* argspec.h - where the arguments of a USDT probe are when its nop is reached.
 *
 * In:   the argument string of a note, and the image it is from.
 * Out:  one operand for each argument.
 * Then: registers are words of pt_regs, symbols are numbers.
 *
 * The string is what the assembler was given, so every operand of x86-64 may
 * be in it (AT&T syntax), each behind its size and an '@':
 *
 *     -4@%eax  8@%rdx  1@%ah           a register
 *     8@$-9  8@$table+16               a number, an address
 *     8@-24(%rbp)  4@(%rax,%rcx,4)     memory, by registers
 *     -4@limit+8(%rip)  4@table(,%rax,4)      by a symbol
 *     -4@%fs:errno@tpoff  8@%fs:-8     thread-local
 *
 * A minus before the size: signed; an f behind it: floating, and the bits are
 * taken as they are.  No size: 8 bytes.
 */
#ifndef BPFWELD_ARGSPEC_H
#define BPFWELD_ARGSPEC_H

#include "elf/image.h"

enum operand_kind {
	OPERAND_NONE,    /* cannot be had; `why` */
	OPERAND_CONST,   /* disp */
	OPERAND_REG,     /* base */
	OPERAND_ADDRESS, /* the address that the rest describes ... */
	OPERAND_MEMORY,  /* ... and what is there */
};
enum { WORD_NONE = 0xff, WORD_AX = 10, WORD_IP = 16, WORD_SP = 19 };

/* Address: disp + base + (index << shift), and where these are set, the load
 * address of the image (disp is then an address in a file that has one) or
 * fs_base. */
struct operand {
	uint8_t kind;
	uint8_t size;        /* 1, 2, 4 or 8 */
	bool is_signed, is_float;
	bool high;           /* OPERAND_REG: bits 8 to 15 of base */
	bool in_image, fs;
	uint8_t base, index; /* words of pt_regs, or WORD_NONE */
	uint8_t shift;       /* 0 to 3 */
	int64_t disp;
	const char *text;    /* as it is in the note */
	const char *why;
};

enum { ARGS_MAX = 12 }; /* of sys/sdt.h and of libbpf */
struct argspec {
	struct operand arg[ARGS_MAX];
	uint32_t n;
};

/* What cannot be understood or resolved is an OPERAND_NONE, so that the others
 * can be used all the same.  -1: more than ARGS_MAX of them. */
int argspec_parse(struct arena *a, const struct image *img, const char *text,
		  struct argspec *out);
/* The constant as its size and sign make it. */
int64_t operand_const(const struct operand *o);

#endif
