/* SPDX-License-Identifier: MIT */
/* stack.c - parts of an instruction's encoding, and what it does to rsp. */
#include <string.h>

#include "rewriter/site/insn.h"

unsigned insn_opcode_at(const uint8_t *p, unsigned len, uint8_t *rex)
{
	static const uint8_t prefix[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					  0x66, 0x67, 0xf0, 0xf2, 0xf3 };
	unsigned i = 0;

	while (i + 1 < len && memchr(prefix, p[i], sizeof(prefix)))
		i++;
	*rex = 0;
	if (i + 1 < len && (p[i] & 0xf0) == 0x40)
		*rex = p[i++];
	return i;
}

bool insn_has_prefix(const uint8_t *p, unsigned opcode, uint8_t prefix)
{
	return memchr(p, prefix, opcode) != NULL;
}

int32_t insn_imm(const uint8_t *p, unsigned size)
{
	int32_t v;

	if (size == 1)
		return (int8_t)*p;
	memcpy(&v, p, sizeof(v));
	return v;
}

enum { REX_B = 1, POP_RSP = 0x5c };

/* Instructions that move rsp by a constant and read no memory below it. */
// clang-format off
static const struct {
	uint8_t op, mask, rex, modrm; /* modrm 0: has none */
	int8_t push;                  /* bytes, when imm is 0 */
	uint8_t imm;                  /* size of an immediate that is the change */
	int8_t sign;                  /* +1: rsp falls by the immediate */
} stack_ops[] = {
	/* op    mask  rex   modrm push imm sign */
	{ 0x50, 0xf8, 0,    0,     8,  0,  0 }, /* push reg */
	{ 0x58, 0xf8, 0,    0,    -8,  0,  0 }, /* pop reg */
	{ 0x6a, 0xff, 0,    0,     8,  0,  0 }, /* push $imm8 */
	{ 0x68, 0xff, 0,    0,     8,  0,  0 }, /* push $imm32 */
	{ 0x9c, 0xff, 0,    0,     8,  0,  0 }, /* pushfq */
	{ 0x9d, 0xff, 0,    0,    -8,  0,  0 }, /* popfq */
	{ 0x83, 0xff, 0x48, 0xec,  0,  1,  1 }, /* sub $imm8, %rsp */
	{ 0x81, 0xff, 0x48, 0xec,  0,  4,  1 }, /* sub $imm32, %rsp */
	{ 0x83, 0xff, 0x48, 0xc4,  0,  1, -1 }, /* add $imm8, %rsp */
	{ 0x81, 0xff, 0x48, 0xc4,  0,  4, -1 }, /* add $imm32, %rsp */
};
// clang-format on

enum stack_use insn_stack(const uint8_t *p, const struct insn *in, int32_t *by)
{
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);

	if (insn_has_prefix(p, op, 0x66) || (p[op] == POP_RSP && !(rex & REX_B)))
		return STACK_OTHER;
	for (size_t i = 0; i < sizeof(stack_ops) / sizeof(*stack_ops); i++) {
		if ((p[op] & stack_ops[i].mask) != stack_ops[i].op)
			continue;
		if (stack_ops[i].modrm && (rex != stack_ops[i].rex ||
					   p[op + 1] != stack_ops[i].modrm))
			continue;
		*by = stack_ops[i].push;
		if (!stack_ops[i].imm)
			return STACK_PUSH_POP;
		*by = stack_ops[i].sign *
		      insn_imm(p + op + 2, stack_ops[i].imm);
		return STACK_ADD_SUB;
	}
	return STACK_OTHER;
}
