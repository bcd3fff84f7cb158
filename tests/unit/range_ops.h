/* SPDX-License-Identifier: MIT */
/* range_ops.h - the instructions, for range.c and range_sharp.c. */
#ifndef BPFWELD_TESTS_RANGE_OPS_H
#define BPFWELD_TESTS_RANGE_OPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <linux/bpf.h>

#include "rewriter/verify/range.h"

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct op {
	const char *name;
	uint8_t op;
	int16_t off;
};
// clang-format off
static const struct op alu[] = {
	{ "+", BPF_ADD, 0 }, { "-", BPF_SUB, 0 }, { "*", BPF_MUL, 0 },
	{ "&", BPF_AND, 0 }, { "|", BPF_OR, 0 }, { "^", BPF_XOR, 0 },
	{ "<<", BPF_LSH, 0 }, { ">>", BPF_RSH, 0 }, { "s>>", BPF_ARSH, 0 },
	{ "/", BPF_DIV, 0 }, { "s/", BPF_DIV, 1 },
	{ "%", BPF_MOD, 0 }, { "s%", BPF_MOD, 1 },
	{ "neg", BPF_NEG, 0 }, { "mov", BPF_MOV, 0 },
	{ "mov s8", BPF_MOV, 8 }, { "mov s16", BPF_MOV, 16 },
	{ "mov s32", BPF_MOV, 32 },
};
static const struct op jumps[] = {
	{ "==", BPF_JEQ, 0 }, { "!=", BPF_JNE, 0 }, { "&", BPF_JSET, 0 },
	{ ">", BPF_JGT, 0 }, { ">=", BPF_JGE, 0 },
	{ "<", BPF_JLT, 0 }, { "<=", BPF_JLE, 0 },
	{ "s>", BPF_JSGT, 0 }, { "s>=", BPF_JSGE, 0 },
	{ "s<", BPF_JSLT, 0 }, { "s<=", BPF_JSLE, 0 },
};
// clang-format on

static inline void print(const char *name, const struct range *r)
{
	print_error("%s: bits %#lx/%#lx u %#lx..%#lx s %ld..%ld "
		    "u32 %#x..%#x s32 %d..%d\n",
		    name, r->bits.value, r->bits.mask, r->umin, r->umax,
		    r->smin, r->smax, r->umin32, r->umax32, r->smin32,
		    r->smax32);
}

#endif
