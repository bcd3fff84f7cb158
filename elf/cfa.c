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
	[0x05 /* offset_ext */] = "uu", [0x06 /* restore_ext */] = "u",
	[0x07 /* undefined */] = "u", [0x08 /* same_value */] = "u",
	[0x09 /* register */] = "uu", [CFA_REMEMBER] = "",
	[CFA_RESTORE_STATE] = "",     [CFA_DEF_CFA] = "uu",
	[CFA_DEF_CFA_REGISTER] = "u", [CFA_DEF_CFA_OFFSET] = "u",
	[CFA_DEF_CFA_EXPRESSION] = "b", [CFA_EXPRESSION] = "ub",
	[0x11 /* offset_ext_sf */] = "us", [CFA_DEF_CFA_SF] = "us",
	[CFA_DEF_CFA_OFFSET_SF] = "s", [0x14 /* val_offset */] = "uu",
	[0x15 /* val_offset_sf */] = "us", [CFA_VAL_EXPRESSION] = "ub",
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

/* May the expression use rsp or rip?  Their DW_OP_breg, or a DW_OP_bregx;
 * an operand that only looks like one costs us an FDE, not its truth. */
static bool uses_moving(struct bytes expr)
{
	for (size_t i = 0; expr.p && i < expr.n; i++)
		if (expr.p[i] == 0x70 + CFA_REG_RSP ||
		    expr.p[i] == 0x70 + CFA_REG_RIP || expr.p[i] == 0x92)
			return true;
	return false;
}

static void remember(struct cfa *r)
{
	if (r->nkept == CFA_REMEMBERED) {
		r->lost = true;
		return;
	}
	r->kept[r->nkept] = r->now;
	r->kept[r->nkept].last = r->last;
	r->kept[r->nkept++].mark = r->prog.n;
	r->last = r->prog.n; /* nothing before the mark is overtaken */
}

/* Everything since the matching remember_state is undone: forget it. */
static void recall(struct cfa *r)
{
	if (!r->nkept) {
		r->lost = true;
		return;
	}
	r->now = r->kept[--r->nkept];
	r->prog.n = r->now.mark;
	r->last = r->now.last;
}

static void apply(struct cfa *r, uint8_t op, const struct operand *o,
		  int64_t data_align)
{
	struct cfa_state *now = &r->now;

	switch (op) {
	case CFA_DEF_CFA:
	case CFA_DEF_CFA_SF:
		now->reg = o[0].u;
		now->offset = (int64_t)o[1].u;
		if (op == CFA_DEF_CFA_SF)
			now->offset *= data_align;
		now->wrong_here = false;
		break;
	case CFA_DEF_CFA_REGISTER:
		now->reg = o[0].u;
		break;
	case CFA_DEF_CFA_OFFSET:
		now->offset = (int64_t)o[0].u;
		break;
	case CFA_DEF_CFA_OFFSET_SF:
		now->offset = (int64_t)o[0].u * data_align;
		break;
	case CFA_DEF_CFA_EXPRESSION:
		now->reg = NOWHERE;
		now->wrong_here = uses_moving(o[0].block);
		break;
	case CFA_EXPRESSION:
	case CFA_VAL_EXPRESSION:
		now->wrong_saved |= uses_moving(o[1].block);
		break;
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
		uint64_t at, uint64_t pc, bool emit)
{
	struct cursor c = { insns, 0, false };

	while (c.at < insns.n && !r->lost) {
		const uint8_t *from = insns.p + c.at;
		uint8_t byte = cur_u8(&c), op = byte & 0xc0;
		struct operand o[2] = { { 0, { NULL, 0 } } };
		const char *kinds = "";

		if (!op) {
			op = byte;
			kinds = operands[op];
		} else if (op == CFA_ADVANCE) {
			o[0].u = byte & 0x3f;
		} else if (op == CFA_OFFSET) {
			kinds = "u";
		}
		for (size_t i = 0; kinds && kinds[i]; i++)
			o[i] = read_operand(&c, kinds[i]);
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
			recall(r);
			break;
		case CFA_REMEMBER:
			remember(r);
			break;
		case CFA_NOP:
		case CFA_ARGS_SIZE: /* only for landing pads */
			break;
		default:
			apply(r, op, o, of->data_align);
			if (emit)
				emit_insn(r, from,
					  (size_t)(insns.p + c.at - from));
		}
	}
}

bool cfa_at(struct cfa *r, const struct fde *of, uint64_t pc)
{
	r->prog.n = r->last = r->nkept = 0;
	r->lost = of->signal_frame;
	memset(&r->now, 0, sizeof(r->now));
	run(r, of->cie_insns, of, of->start, UINT64_MAX, false);
	r->nkept = 0;
	run(r, of->insns, of, of->start, pc, true);
	return !r->lost && !r->now.wrong_here && !r->now.wrong_saved;
}
