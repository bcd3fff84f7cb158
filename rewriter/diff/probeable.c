/* SPDX-License-Identifier: MIT */
/* probeable.c - what the kernel's uprobes can do.
 *
 * Where they cannot, attaching succeeds and the probe never fires: the target
 * does not run yet, and uprobe_mmap() drops the error.  So links to such
 * instructions have to be left out of the comparison beforehand.
 * Source: arch/x86/kernel/uprobes.c, uprobe_init_insn() and good_insns_64.
 * What passes there can still break the target: pushf and syscall crash it, and
 * a VEX or EVEX instruction that has the opcode byte of a branch (vpshufd,
 * vpbroadcastb) is emulated as that branch, by branch_setup_xol_ops().
 * A return probe is a breakpoint on its function's entry, where the return
 * address is exchanged before the instruction runs: the same rules hold.
 */
#include "rewriter/diff/diff.h"
#include "rewriter/site/insn.h"
#include "rewriter/usdt/usdt.h"

enum {
	REX = 0x40,    /* to 0x4f */
	NARROW = 0x66, /* 16-bit operands */
	EVEX = 0x62,
	VEX3 = 0xc4,
	VEX2 = 0xc5,
	NOP = 0x90,
	INSN_MAX = 15,
};

/* Opcodes that good_insns_64 does not have, and pushf. */
static bool refused(uint8_t op)
{
	static const uint8_t bad[] = {
		// clang-format off
		0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37,
		0x3f, 0x60, 0x61, 0x62, 0x6c, 0x6d, 0x6e, 0x6f, 0x82, 0x9a,
		0x9c, 0xcc, 0xcd, 0xce, 0xcf, 0xd4, 0xd5, 0xd6, 0xe4, 0xe5,
		0xe6, 0xe7, 0xea, 0xec, 0xed, 0xee, 0xef, 0xf1, 0xf4, 0xfa,
		0xfb,
		// clang-format on
	};

	return memchr(bad, op, sizeof(bad)) != NULL;
}

/* Opcodes that are emulated and not stepped: branches and nop. */
static bool emulated(uint8_t op)
{
	return op == 0xe8 || op == 0xe9 || op == 0xeb || op == NOP ||
	       (op & 0xf0) == 0x70;
}

/* Prefixes: es cs ss ds and lock are refused, the others are skipped. */
static bool skip_prefixes(const uint8_t *p, size_t len, size_t *at,
			  bool *narrow)
{
	static const uint8_t never[] = { 0x26, 0x2e, 0x36, 0x3e, 0xf0 };
	static const uint8_t skipped[] = {
		0x64, 0x65, NARROW, 0x67, 0xf2, 0xf3
	};

	for (*at = 0; *at < len; ++*at) {
		if (memchr(never, p[*at], sizeof(never)))
			return false;
		if (!memchr(skipped, p[*at], sizeof(skipped)) &&
		    (p[*at] & 0xf0) != REX)
			return true;
		*narrow |= p[*at] == NARROW;
	}
	return false;
}

static bool opcode_probes(const uint8_t *p, size_t len, bool narrow)
{
	enum {
		SYSCALL = 0x05,
		SYSENTER = 0x34,
		MOV_SEG = 0x8e,
		SS = 2
	};
	size_t vex = p[0] == VEX2 ? 2 : p[0] == VEX3 ? 3 : 0;

	vex = p[0] == EVEX ? 4 : vex;
	if (vex) /* the opcode behind it is taken for one of the first map */
		return len > vex && !refused(p[vex]) && !emulated(p[vex]);
	if (p[0] == 0x0f)
		return len > 1 && p[1] != SYSCALL && p[1] != SYSENTER &&
		       !(narrow && (p[1] & 0xf0) == 0x80);
	if (p[0] == MOV_SEG && len > 1 && (p[1] >> 3 & 7) == SS)
		return false;
	if (narrow && emulated(p[0]) && p[0] != NOP)
		return false;
	return !refused(p[0]);
}

bool kernel_probes(const struct image *img, const struct link *l)
{
	uint64_t room = image_room(img, l->addr);
	const uint8_t *p;
	struct insn insn;
	bool narrow = false;
	size_t at;

	if (l->usdt && l->usdt->unsaid) /* it would find no such argument */
		return false;
	if (room > INSN_MAX)
		room = INSN_MAX;
	p = image_at(img, l->addr, room);
	if (!p || !insn_decode(p, room, l->addr, &insn))
		return false;
	return skip_prefixes(p, insn.len, &at, &narrow) &&
	       opcode_probes(p + at, insn.len - at, narrow);
}
