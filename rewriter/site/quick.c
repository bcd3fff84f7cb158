/* SPDX-License-Identifier: MIT */
/* quick.c - the instructions that make up nine tenths of all code, decoded
 * without the decoder library.
 *
 * The window proof may have to decode a whole program, and the library takes
 * some 40 ns an instruction; this takes 5.  Known here is what has no prefix
 * but REX and is the same instruction whatever its operands:
 *
 *   [REX] opcode [ModRM [SIB] [disp8 or disp32]] [imm8 or imm32]
 *   [REX] 0f opcode ...
 *
 * All else, and all that is not valid, is the library's.  tests/unit/quick.c
 * compares the two at every byte of some large libraries.
 */
#include <string.h>

#include "rewriter/site/quick.h"

enum { /* what belongs to an opcode */
       KNOWN = 1,
       MODRM = 2,
       IMM8 = 4,
       IMM32 = 8,
       REL = 16,    /* the immediate is a branch displacement */
       MEMORY = 32, /* not with a register for r/m */
       GROUP = 64,  /* ModRM's middle bits decide: groups[] */
       NOP = 128,
};
enum {
	M = KNOWN | MODRM,
	REL8 = KNOWN | IMM8 | REL,
	REL32 = KNOWN | IMM32 | REL,
};

// clang-format off
#define ARITHMETIC(op) \
	[op] = M, M, M, M, KNOWN | IMM8, KNOWN | IMM32

static const uint8_t one_byte[256] = {
	ARITHMETIC(0x00), ARITHMETIC(0x08), ARITHMETIC(0x10), ARITHMETIC(0x18),
	ARITHMETIC(0x20), ARITHMETIC(0x28), ARITHMETIC(0x30), ARITHMETIC(0x38),
	[0x50 ... 0x5f] = KNOWN,        /* push, pop */
	[0x63] = M,                     /* movslq */
	[0x68] = KNOWN | IMM32,         /* push */
	[0x69] = M | IMM32,             /* imul */
	[0x6a] = KNOWN | IMM8,          /* push */
	[0x6b] = M | IMM8,              /* imul */
	[0x70 ... 0x7f] = REL8,         /* jcc */
	[0x80] = M | IMM8,
	[0x81] = M | IMM32,
	[0x83] = M | IMM8,
	[0x84 ... 0x8b] = M,            /* test, xchg, mov */
	[0x8d] = M | MEMORY,            /* lea */
	[0x90] = KNOWN | NOP,           /* with REX perhaps xchg */
	[0x98 ... 0x99] = KNOWN,        /* cltq, cqto */
	[0xa8] = KNOWN | IMM8,          /* test */
	[0xa9] = KNOWN | IMM32,
	[0xb0 ... 0xb7] = KNOWN | IMM8, /* mov */
	[0xb8 ... 0xbf] = KNOWN | IMM32, /* with REX.W 8 bytes */
	[0xc0 ... 0xc1] = M | IMM8,     /* shifts */
	[0xc3] = KNOWN,                 /* ret */
	[0xc6] = M | IMM8 | GROUP,      /* mov */
	[0xc7] = M | IMM32 | GROUP,
	[0xc9] = KNOWN,                 /* leave */
	[0xd0 ... 0xd3] = M,            /* shifts */
	[0xe8 ... 0xe9] = REL32,        /* call, jmp */
	[0xeb] = REL8,                  /* jmp */
	[0xf6 ... 0xf7] = M | GROUP,    /* test has an immediate: not here */
	[0xfe ... 0xff] = M | GROUP,    /* inc, dec, call, jmp, push */
};

static const uint8_t two_byte[256] = { /* behind 0f */
	[0x10 ... 0x11] = M,            /* movups */
	[0x1f] = M | GROUP | NOP,
	[0x28 ... 0x29] = M,            /* movaps */
	[0x40 ... 0x4f] = M,            /* cmovcc */
	[0x57] = M,                     /* xorps */
	[0x80 ... 0x8f] = REL32,        /* jcc */
	[0x90 ... 0x9f] = M,            /* setcc */
	[0xa3] = M, [0xab] = M,         /* bt, bts */
	[0xaf] = M,                     /* imul */
	[0xb3] = M, [0xbb] = M,         /* btr, btc */
	[0xb6 ... 0xb7] = M,            /* movz */
	[0xbe ... 0xbf] = M,            /* movs */
};

/* Which values of ModRM's middle bits are known, bit by bit. */
static uint8_t groups(bool two, uint8_t opcode)
{
	if (two)
		return 1 << 0; /* nop */
	switch (opcode) {
	case 0xc6: case 0xc7:
		return 1 << 0; /* mov */
	case 0xf6: case 0xf7:
		return 0xfc;   /* not, neg, mul, imul, div, idiv */
	case 0xfe:
		return 0x03;   /* inc, dec */
	}
	return 0x57;           /* ff: inc, dec, call, jmp, push */
}
// clang-format on

struct quick {
	const uint8_t *p;
	uint8_t n; /* bytes read so far */
	uint8_t kind, opcode, rex, rip_off;
	uint8_t middle; /* of ModRM */
	bool two;       /* 0f stood before the opcode */
};
enum { LOOKED_AT = 5 }; /* REX, 0f, opcode, ModRM, SIB */

static bool opcode_read(struct quick *q)
{
	const uint8_t *p = q->p;

	q->rex = (p[0] & 0xf0) == 0x40 ? p[0] : 0;
	q->n = q->rex != 0;
	q->two = p[q->n] == 0x0f;
	q->n += q->two;
	q->opcode = p[q->n++];
	q->kind = (q->two ? two_byte : one_byte)[q->opcode];
	return q->kind && !(q->rex && q->kind & NOP);
}

/* Step over ModRM, SIB and displacement. */
static bool operand_read(struct quick *q)
{
	uint8_t modrm = q->p[q->n++], mod = modrm >> 6, rm = modrm & 7;

	q->middle = modrm >> 3 & 7;
	if (q->kind & GROUP && !(groups(q->two, q->opcode) >> q->middle & 1))
		return false;
	if (mod == 3)
		return !(q->kind & MEMORY);
	if (rm == 4) {
		uint8_t base = q->p[q->n++] & 7;

		q->n += mod == 0 && base == 5 ? 4 : 0;
	} else if (mod == 0 && rm == 5) {
		q->rip_off = q->n;
		q->n += 4;
	}
	q->n += mod == 1 ? 1 : mod == 2 ? 4 : 0;
	return true;
}

static uint8_t immediate_size(const struct quick *q)
{
	if (!q->two && (q->opcode & 0xf8) == 0xb8 && q->rex & 8)
		return 8;
	return q->kind & IMM8 ? 1 : q->kind & IMM32 ? 4 : 0;
}

static enum insn_flow flow_of(const struct quick *q)
{
	if (q->two)
		return q->kind & REL ? FLOW_JCC : FLOW_NEXT;
	switch (q->opcode) {
	case 0x70 ... 0x7f:
		return FLOW_JCC;
	case 0xc3:
		return FLOW_RET;
	case 0xe8:
		return FLOW_CALL;
	case 0xe9:
	case 0xeb:
		return FLOW_JMP;
	case 0xff:
		return q->middle == 2   ? FLOW_CALL_IND
		       : q->middle == 4 ? FLOW_JMP_IND
					: FLOW_NEXT;
	}
	return FLOW_NEXT;
}

static uint64_t displacement(const uint8_t *p, unsigned size)
{
	int32_t v;

	if (size == 1)
		return (uint64_t)(int8_t)*p;
	memcpy(&v, p, sizeof(v));
	return (uint64_t)v;
}

bool insn_quick(const uint8_t *p, size_t len, uint64_t at, struct insn *out)
{
	struct quick q = { .p = p };
	uint8_t imm;

	if (len < LOOKED_AT || !opcode_read(&q) ||
	    (q.kind & MODRM && !operand_read(&q)))
		return false;
	imm = immediate_size(&q);
	if (q.n + imm > len)
		return false;
	*out = (struct insn){
		.at = at,
		.len = q.n + imm,
		.flow = (uint8_t)flow_of(&q),
		.cond = q.opcode & 15,
		.nop = q.kind & NOP,
		.rip_off = q.rip_off,
	};
	if (q.kind & REL) {
		out->rel_off = q.n;
		out->rel_size = imm;
		out->target = at + out->len + displacement(p + q.n, imm);
	} else if (q.rip_off) {
		out->target = at + out->len + displacement(p + q.rip_off, 4);
	}
	return true;
}
