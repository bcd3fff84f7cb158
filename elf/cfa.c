/* SPDX-License-Identifier: MIT */
/* cfa.c - run a CFA program up to an address, and keep what is left of it.
 *
 *   function's FDE                     what is kept, site at f+60
 *     advance 1 to f+1                   -
 *     def_cfa_offset 16                  -           (overtaken)
 *     offset rbp at cfa-16               offset rbp at cfa-16
 *     advance 4 to f+5                   -
 *     def_cfa_offset 24                  def_cfa_offset 24
 *     offset rbx at cfa-24               offset rbx at cfa-24
 *     remember, ..., restore             -           (undone)
 *     advance 90 to f+95                 (behind the site: stop)
 */
#include "elf/cfa.h"

/* Operands of the opcodes below 0x40: u, s LEB128; 1, 2, 4 bytes; b block.
 * NULL is unknown, or set_loc, whose operand no compiler has ever written. */
// clang-format off
static const char *const operands[0x40] = {
	[CFA_NOP] = "",               [CFA_ADVANCE1] = "1",
	[CFA_ADVANCE2] = "2",         [CFA_ADVANCE4] = "4",
	[CFA_OFFSET_EXTENDED] = "uu", [CFA_RESTORE_EXTENDED] = "u",
	[CFA_UNDEFINED] = "u",        [CFA_SAME_VALUE] = "u",
	[CFA_REGISTER] = "uu",        [CFA_REMEMBER] = "",
	[CFA_RESTORE_STATE] = "",     [CFA_DEF_CFA] = "uu",
	[CFA_DEF_CFA_REGISTER] = "u", [CFA_DEF_CFA_OFFSET] = "u",
	[CFA_DEF_CFA_EXPRESSION] = "b", [CFA_EXPRESSION] = "ub",
	[CFA_OFFSET_EXTENDED_SF] = "us", [CFA_DEF_CFA_SF] = "us",
	[CFA_DEF_CFA_OFFSET_SF] = "s", [CFA_VAL_OFFSET] = "uu",
	[CFA_VAL_OFFSET_SF] = "us",   [CFA_VAL_EXPRESSION] = "ub",
	[CFA_ARGS_SIZE] = "u",        [0x2f /* GNU negative offset */] = "uu",
};
// clang-format on

struct operand {
	uint64_t u;
	struct bytes block;
};

static struct operand read_operand(struct cursor *c, char kind)
{
	struct operand o = { 0, { NULL, 0 } };

	switch (kind) {
	case '1':
		o.u = cur_u8(c);
		break;
	case '2':
		o.u = cur_u16(c);
		break;
	case '4':
		o.u = cur_u32(c);
		break;
	case 's':
		o.u = (uint64_t)cur_sleb(c);
		break;
	case 'u':
		o.u = cur_uleb(c);
		break;
	case 'b':
		o.block.n = cur_uleb(c);
		o.block.p = cur_take(c, o.block.n);
		break;
	}
	return o;
}

static uint32_t bit(uint64_t reg)
{
	return reg < 32 ? UINT32_C(1) << reg : 0;
}

/* Registers that the expression may use: those of its DW_OP_breg, or any if
 * there is a DW_OP_bregx.  An operand that only looks like one is counted. */
static uint32_t uses(struct bytes expr)
{
	uint32_t regs = 0;

	for (size_t i = 0; expr.p && i < expr.n; i++)
		if (expr.p[i] >= 0x70 && expr.p[i] < 0x90)
			regs |= bit(expr.p[i] - 0x70);
		else if (expr.p[i] == 0x92)
			regs = UINT32_MAX;
	return regs;
}

/* If it uses rsp or rip, it means something else in a trampoline; to be wrong
 * about that costs us an FDE, not its truth. */
static bool uses_moving(struct bytes expr)
{
	return uses(expr) & (bit(CFA_REG_RSP) | bit(CFA_REG_RIP));
}

static void remember(struct cfa *r, bool early)
{
	if (r->nkept == CFA_REMEMBERED) {
		r->lost = true;
		return;
	}
	r->kept[r->nkept] = r->now;
	r->kept[r->nkept].last = r->last;
	r->kept[r->nkept].early = early;
	r->kept[r->nkept++].mark = r->prog.n;
	r->last = r->prog.n; /* nothing before the mark is overtaken */
}

/* Everything since the matching remember_state is undone: forget it. */
static void recall(struct cfa *r, bool early)
{
	if (!r->nkept || r->kept[r->nkept - 1].early != early) {
		r->lost = true;
		return;
	}
	r->now = r->kept[--r->nkept];
	r->prog.n = r->now.mark;
	r->last = r->now.last;
}

/* Is the register in its place, or elsewhere? */
static void apply_saved(struct cfa *r, uint8_t op, uint64_t reg)
{
	switch (op) {
	case CFA_RESTORE:
	case CFA_RESTORE_EXTENDED:
		r->now.saved &= ~bit(reg) | r->cie_saved;
		break;
	case CFA_SAME_VALUE:
		r->now.saved &= ~bit(reg);
		break;
	default:
		r->now.saved |= bit(reg);
	}
}

static void apply(struct cfa *r, uint8_t op, const struct operand *o,
		  int64_t data_align)
{
	struct cfa_state *now = &r->now;

	switch (op) {
	case CFA_DEF_CFA:
	case CFA_DEF_CFA_SF:
		now->reg = o[0].u;
		now->needs = bit(now->reg);
		now->offset = (int64_t)o[1].u;
		if (op == CFA_DEF_CFA_SF)
			now->offset *= data_align;
		now->wrong_here = false;
		break;
	case CFA_DEF_CFA_REGISTER:
		now->reg = o[0].u;
		now->needs = bit(now->reg);
		break;
	case CFA_DEF_CFA_OFFSET:
		now->offset = (int64_t)o[0].u;
		break;
	case CFA_DEF_CFA_OFFSET_SF:
		now->offset = (int64_t)o[0].u * data_align;
		break;
	case CFA_DEF_CFA_EXPRESSION:
		now->reg = NOWHERE;
		now->needs = uses(o[0].block);
		now->wrong_here = uses_moving(o[0].block);
		break;
	case CFA_EXPRESSION:
	case CFA_VAL_EXPRESSION:
		now->wrong_saved |= uses_moving(o[1].block);
		apply_saved(r, op, o[0].u);
		break;
	default:
		apply_saved(r, op, o[0].u);
	}
}

static void emit_insn(struct cfa *r, const uint8_t *p, size_t n)
{
	bool overtakes = p[0] == CFA_DEF_CFA_OFFSET && r->last < r->prog.n &&
			 r->prog.p[r->last] == CFA_DEF_CFA_OFFSET;

	if (overtakes)
		r->prog.n = r->last;
	r->last = r->prog.n;
	buf_put(&r->prog, p, n);
}

/* Run `insns`, which begin at `at`, up to and including `pc`. */
static void run(struct cfa *r, struct bytes insns, const struct fde *of,
		uint64_t at, uint64_t pc)
{
	struct cursor c = { insns, 0, false };

	while (c.at < insns.n && !r->lost) {
		const uint8_t *from = insns.p + c.at;
		uint8_t byte = cur_u8(&c), op = byte & 0xc0;
		struct operand o[2] = { { 0, { NULL, 0 } } };
		const char *kinds = op == CFA_OFFSET ? "u" : "";
		size_t nop = 0;

		if (op) {
			o[nop++].u = byte & 0x3f;
		} else {
			op = byte;
			kinds = operands[op];
		}
		for (size_t i = 0; kinds && kinds[i]; i++)
			o[nop++] = read_operand(&c, kinds[i]);
		if (!kinds || c.bad) {
			r->lost = true;
			return;
		}
		switch (op) {
		case CFA_ADVANCE:
		case CFA_ADVANCE1:
		case CFA_ADVANCE2:
		case CFA_ADVANCE4:
			at += o[0].u * of->code_align;
			if (at > pc)
				return;
			break;
		case CFA_RESTORE_STATE:
			recall(r, at < r->first);
			break;
		case CFA_REMEMBER:
			remember(r, at < r->first);
			break;
		case CFA_NOP:
		case CFA_ARGS_SIZE: /* only for landing pads */
			break;
		default:
			apply(r, op, o, of->data_align);
			if (at >= r->first)
				emit_insn(r, from,
					  (size_t)(insns.p + c.at - from));
		}
	}
}

static bool cfa_run(struct cfa *r, const struct fde *of, uint64_t first,
		    uint64_t pc)
{
	r->prog.n = r->last = r->nkept = 0;
	r->lost = of->signal_frame;
	r->cie_saved = 0;
	memset(&r->now, 0, sizeof(r->now));
	r->first = UINT64_MAX;
	run(r, of->cie_insns, of, of->start, UINT64_MAX);
	r->nkept = 0;
	r->cie_saved = r->now.saved;
	r->first = first;
	run(r, of->insns, of, of->start, pc);
	return !r->lost && !r->now.wrong_here && !r->now.wrong_saved;
}

bool cfa_at(struct cfa *r, const struct fde *of, uint64_t pc)
{
	return cfa_run(r, of, of->start, pc);
}

bool cfa_step(struct cfa *r, const struct fde *of, uint64_t from, uint64_t pc)
{
	return cfa_run(r, of, from + 1, pc);
}
