/* SPDX-License-Identifier: MIT */
/* regs.c - where BPF registers live.
 *
 * Two ways.  A program that calls gets the C calling convention's registers,
 * so that arguments and results need no moves; everything caller-saved is
 * lost anyhow, hence r9 to r11 serve as scratch.  A program that does not call
 * gets whatever is dead at its site, and the registers that some of its
 * instructions insist on are kept out of the way: they hold no BPF register.
 */
#include "rewriter/code/compile.h"

#include <string.h>

enum {
	CALLER_SAVED = REG_BIT(RAX) | REG_BIT(RCX) | REG_BIT(RDX) |
		       REG_BIT(RSI) | REG_BIT(RDI) | REG_BIT(R8) | REG_BIT(R9) |
		       REG_BIT(R10) | REG_BIT(R11),
	CALLEE_SAVED = REG_BIT(RBX) | REG_BIT(RBP) | REG_BIT(R12) |
		       REG_BIT(R13) | REG_BIT(R14) | REG_BIT(R15),
};

/* Shortest encodings first: the low registers need no REX prefix in 32-bit
 * instructions, r13 always a displacement, r12 a SIB byte.  rbp comes last:
 * profilers follow the chain of frame pointers. */
static const uint8_t order[] = { RAX, RCX, RDX, RSI, RDI, RBX, R8, R9,
				 R10, R11, R14, R15, R13, R12, RBP };

/* Cheapest register that is not taken: one that is dead; then one that is dead
 * but read through ctx (saved, not restored); then one that has to be saved
 * and restored. */
static int take(uint32_t *taken, uint32_t from, uint32_t free_regs,
		uint32_t keep)
{
	uint32_t sets[] = { free_regs & ~keep, free_regs, ~keep, ~0u };

	for (size_t s = 0; s < sizeof(sets) / sizeof(*sets); s++)
		for (size_t i = 0; i < sizeof(order); i++)
			if (REG_BIT(order[i]) & sets[s] & from & ~*taken) {
				*taken |= REG_BIT(order[i]);
				return order[i];
			}
	return -1;
}

static void assign_calls(const struct facts *f, uint32_t free_regs,
			 uint32_t keep, struct regmap *out)
{
	static const int8_t abi[6] = { RAX, RDI, RSI, RDX, RCX, R8 };
	uint32_t taken = 0;

	memcpy(out->of, abi, sizeof(abi));
	out->scratch[0] = R10;
	out->scratch[1] = R11;
	for (int r = 6; r < 10; r++)
		if (f->regs_used >> r & 1)
			out->of[r] = (int8_t)take(&taken, CALLEE_SAVED,
						  free_regs, keep);
	out->clobbers = CALLER_SAVED | taken;
}

void code_assign(const struct facts *f, uint32_t free_regs, uint32_t keep,
		 struct regmap *out)
{
	uint32_t taken = f->fixed;

	memset(out, -1, sizeof(*out));
	if (f->calls) {
		assign_calls(f, free_regs, keep, out);
		return;
	}
	for (int r = 0; r < 10; r++)
		if (f->regs_used >> r & 1)
			out->of[r] =
				(int8_t)take(&taken, ALL_REGS, free_regs, keep);
	for (int s = 0; s < f->scratch; s++)
		out->scratch[s] =
			(int8_t)take(&taken, ALL_REGS, free_regs, keep);
	out->clobbers = taken;
}
