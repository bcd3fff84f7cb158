/* SPDX-License-Identifier: MIT */
/* thunk.c - jumps that are written as jumps to a thunk.
 *
 * Against Spectre, compilers jump and call indirectly through a few common
 * pieces of code, one for each register (gcc's __x86_indirect_thunk_REG, LLVM's
 * __llvm_retpoline_REG and __llvm_lvi_thunk_REG):
 *
 *	call 1f                         or      [lfence]
 *   2:	pause; lfence; jmp 2b                   jmp *%REG
 *   1:	mov  %REG, (%rsp)
 *	ret
 *
 * They are known by what they do.  What stands behind the call is never run.
 * Those that a program has from a library (-mindirect-branch=thunk-extern) are
 * out of sight: there only the import's name tells.
 */
#include <string.h>

#include "rewriter/site/targets.h"

enum {
	LONGEST = 15,
	FENCES = 4, /* nops and the like in a row */
	FAR = 64,   /* the loop behind the call, and padding */
};

static const uint8_t *decode(const struct image *img, uint64_t at,
			     struct insn *in)
{
	uint64_t room = image_room(img, at);
	const uint8_t *p = room ? image_at(img, at, 1) : NULL;

	return p && insn_decode(p, room < LONGEST ? room : LONGEST, at, in)
		       ? p
		       : NULL;
}

static bool is_fence(const uint8_t *p, const struct insn *in)
{
	return in->nop || in->endbr ||
	       (in->len == 3 && p[0] == 0x0f && p[1] == 0xae && p[2] == 0xe8);
}

/* The first instruction that does something. */
static const uint8_t *decode_behind(const struct image *img, uint64_t at,
				    struct insn *in)
{
	const uint8_t *p = decode(img, at, in);

	for (int i = 0; i < FENCES && p && is_fence(p, in); i++)
		p = decode(img, in->at + in->len, in);
	return p;
}

/* jmp *%REG */
static int jump_register(const uint8_t *p, const struct insn *in)
{
	uint8_t rex;
	unsigned op = insn_opcode_at(p, in->len, &rex);
	uint8_t m = p[op + 1];

	if (p[op] != 0xff || m >> 3 != 0x1c)
		return -1;
	return (m & 7) | (rex & 1) << 3;
}

/* mov %REG, (%rsp) */
static int store_register(const uint8_t *p, const struct insn *in)
{
	if (in->len != 4 || (p[0] & 0xfb) != 0x48 || p[1] != 0x89 ||
	    (p[2] & 0xc7) != 0x04 || p[3] != 0x24)
		return -1;
	return (p[2] >> 3 & 7) | (p[0] & 4) << 1;
}

static bool is_name(const char *s)
{
	static const char *const v[] = { "__x86_indirect_thunk",
					 "__llvm_retpoline_",
					 "__llvm_lvi_thunk_" };

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++)
		if (!strncmp(s, v[i], strlen(v[i])))
			return true;
	return false;
}

bool thunk_imported(const struct image *img, uint64_t at)
{
	for (size_t i = 0; i < img->nneed; i++)
		if (is_name(img->need[i].name))
			return func_in_plt(img, at);
	return false;
}

int thunk_register(const struct image *img, uint64_t at)
{
	struct insn in;
	const uint8_t *p = decode_behind(img, at, &in);
	int reg = -1;

	if (p && in.flow == FLOW_JMP_IND)
		reg = jump_register(p, &in);
	if (p && in.flow == FLOW_CALL && in.target - at < FAR) {
		p = decode_behind(img, in.target, &in);
		reg = p ? store_register(p, &in) : -1;
		if (reg < 0 || !decode_behind(img, in.at + in.len, &in) ||
		    in.flow != FLOW_RET || in.len > 2)
			return -1;
	}
	return reg == RSP ? -1 : reg;
}
