/* SPDX-License-Identifier: MIT */
/* lines.c - rewrite line-number programs in place.
 *
 * A row's address is the sum of the advances before it.  To move a row from
 * 0x1163 back to 0x1160, its own advance becomes three less and that of the
 * next row outside the patch three more:
 *
 *   special opcode: +0, line +10      0x1160  line 10
 *   special opcode: +3, line +1       0x1163  line 11   -> +0, 0x1160
 *   special opcode: +5, line +1       0x1168  line 12   -> +8, 0x1168
 *
 * A special opcode holds both advances in one byte, an advance_pc holds any
 * number in as many bytes as it had; so nothing changes its length, and no
 * offset into the section has to change.  Where the bytes do not suffice, the
 * rows of that patch are left as they are.
 * Source: DWARF 5 §6.2.
 */
#include "elf/lines.h"

enum { LNS_COPY = 1, LNS_ADVANCE_PC, LNS_ADVANCE_LINE, LNS_SET_FILE,
       LNS_SET_COLUMN, LNS_NEGATE_STMT, LNS_SET_BASIC_BLOCK,
       LNS_CONST_ADD_PC, LNS_FIXED_ADVANCE_PC };
enum { LNE_END_SEQUENCE = 1, LNE_SET_ADDRESS };

/* An advance that can be changed. */
struct op {
	enum { SPECIAL, LEB, HALF } kind;
	uint64_t at, len; /* in the section */
	uint64_t by;
};

struct unit {
	int8_t line_base;
	uint8_t line_range, opcode_base;
	const uint8_t *operands; /* how many LEB128s, by opcode from 1 on */
};

struct mover {
	struct arena *a;
	const struct section *s;
	struct bytes bytes; /* of the section */
	const struct line_range *range;
	size_t nrange;
	struct raw_edit *edit;
	size_t nedit;

	/* One sequence: */
	struct unit u;
	uint64_t address;
	bool any;           /* there was a row */
	uint64_t row, moved; /* the last one, and where it is now */
	struct op op[4];    /* since then */
	size_t nop;
	size_t settled;     /* edits, when a row last was where it had been */
	uint64_t given_up;  /* ranges that begin before stay as they are */
};

/* --- changing an advance -------------------------------------------------- */

static uint64_t op_limit(const struct mover *m, const struct op *o)
{
	uint8_t line_part;

	switch (o->kind) {
	case SPECIAL:
		line_part = (uint8_t)(m->bytes.p[o->at] -
				      o->by * m->u.line_range);
		return (uint64_t)(UINT8_MAX - line_part) / m->u.line_range;
	case LEB:
		return o->len > 4 ? INT32_MAX
				  : (UINT64_C(1) << (7 * o->len)) - 1;
	default:
		return UINT16_MAX;
	}
}

static void op_write(struct mover *m, const struct op *o, uint64_t by)
{
	uint8_t *b = arena_dup(m->a, m->bytes.p + o->at, o->len);
	uint16_t half = (uint16_t)by;

	switch (o->kind) {
	case SPECIAL:
		b[0] = (uint8_t)(b[0] + (by - o->by) * m->u.line_range);
		break;
	case LEB: /* padded to the length it had */
		for (uint64_t i = 0; i < o->len; i++, by >>= 7)
			b[i] = (uint8_t)((by & 0x7f) |
					 (i + 1 < o->len ? 0x80 : 0));
		break;
	default:
		memcpy(b, &half, sizeof(half));
	}
	m->edit = arena_push(m->a, m->edit, m->nedit, sizeof(*m->edit));
	m->edit[m->nedit++] = (struct raw_edit){ m->s->off + o->at, b, o->len };
}

/* Make the advances since the last row longer by `by`. */
static bool stretch(struct mover *m, int64_t by)
{
	for (size_t i = m->nop; i-- > 0 && by;) {
		const struct op *o = &m->op[i];
		uint64_t limit = op_limit(m, o), to = o->by + (uint64_t)by;

		if (by < 0 && (uint64_t)-by > o->by)
			to = 0;
		else if (to > limit)
			to = limit;
		if (to == o->by)
			continue;
		by -= (int64_t)(to - o->by);
		op_write(m, o, to);
	}
	return by == 0;
}

/* --- rows ------------------------------------------------------------------ */

/* The range that has the address inside, not at its start; or NULL. */
static const struct line_range *range_of(const struct mover *m, uint64_t addr)
{
	size_t lo = 0, hi = m->nrange;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->range[mid].at < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || addr >= m->range[lo - 1].end ||
	    m->range[lo - 1].at < m->given_up)
		return NULL;
	return &m->range[lo - 1];
}

static uint64_t place_of(const struct mover *m, uint64_t addr)
{
	const struct line_range *r = m->any ? range_of(m, addr) : NULL;

	return r ? r->at : addr;
}

/* Back to where all rows were right; their ranges are not tried again. */
static void give_up(struct mover *m)
{
	m->nedit = m->settled;
	m->moved = m->row;
	m->given_up = m->address + 1;
}

static void row(struct mover *m, bool end)
{
	uint64_t to = end ? m->address : place_of(m, m->address);
	int64_t by = (int64_t)((to - m->moved) - (m->address - m->row));

	if (!m->any)
		by = 0;
	if (by && !stretch(m, by)) {
		give_up(m);
		to = m->address;
	}
	m->any = !end;
	m->row = m->address;
	m->moved = to;
	if (to == m->address)
		m->settled = m->nedit;
	m->nop = 0;
}

static void advance(struct mover *m, int kind, uint64_t at, uint64_t len,
		    uint64_t by)
{
	m->address += by;
	if (m->nop < sizeof(m->op) / sizeof(*m->op))
		m->op[m->nop++] = (struct op){ kind, at, len, by };
}

/* --- programs -------------------------------------------------------------- */

static void extended(struct mover *m, struct cursor *c)
{
	uint64_t len = cur_uleb(c), end = c->at + len;
	uint8_t op = len ? cur_u8(c) : 0;

	if (op == LNE_END_SEQUENCE) {
		row(m, true);
		m->address = m->given_up = 0;
	} else if (op == LNE_SET_ADDRESS && len == 9) {
		m->address = cur_u64(c);
		/* Rows before it cannot be made up for by those behind. */
		if (m->moved != m->row)
			give_up(m);
		m->any = false;
		m->nop = 0;
	}
	if (end < c->at)
		c->bad = true;
	else
		cur_take(c, end - c->at);
}

static void standard(struct mover *m, struct cursor *c, uint8_t op)
{
	uint64_t at = c->at, by;

	switch (op) {
	case LNS_COPY:
		row(m, false);
		break;
	case LNS_ADVANCE_PC:
		by = cur_uleb(c);
		advance(m, LEB, at, c->at - at, by);
		break;
	case LNS_CONST_ADD_PC:
		m->address += (UINT8_MAX - m->u.opcode_base) / m->u.line_range;
		break;
	case LNS_FIXED_ADVANCE_PC:
		by = cur_u16(c);
		advance(m, HALF, at, 2, by);
		break;
	default:
		for (uint8_t i = 0; i < m->u.operands[op - 1]; i++)
			cur_uleb(c);
	}
}

static void program(struct mover *m, struct cursor c)
{
	m->address = m->given_up = 0;
	m->row = m->moved = 0;
	m->any = false;
	m->nop = 0;
	m->settled = m->nedit;
	while (c.at < c.b.n && !c.bad) {
		uint64_t at = c.at;
		uint8_t op = cur_u8(&c);

		if (op >= m->u.opcode_base) {
			advance(m, SPECIAL, at, 1,
				(uint64_t)(op - m->u.opcode_base) /
					m->u.line_range);
			row(m, false);
		} else if (op) {
			standard(m, &c, op);
		} else {
			extended(m, &c);
		}
	}
	m->nedit = m->settled;
}

/* Reads a unit's header; the program is what is left of *c.  False: not one
 * that we understand. */
static bool header(struct cursor *c, bool is64, struct unit *u)
{
	uint16_t version = cur_u16(c);
	uint64_t length;
	struct cursor h;

	if (version >= 5)
		cur_u16(c); /* sizes of addresses and segments */
	length = is64 ? cur_u64(c) : cur_u32(c);
	h = *c;
	if (version < 2 || version > 5 || !cur_take(c, length))
		return false;
	if (cur_u8(&h) != 1)
		return false; /* minimum_instruction_length */
	if (version >= 4)
		cur_u8(&h); /* maximum_operations_per_instruction */
	cur_u8(&h);         /* default_is_stmt */
	u->line_base = (int8_t)cur_u8(&h);
	u->line_range = cur_u8(&h);
	u->opcode_base = cur_u8(&h);
	if (!u->line_range || u->opcode_base <= LNS_FIXED_ADVANCE_PC)
		return false;
	u->operands = cur_take(&h, u->opcode_base - 1u);
	return !h.bad;
}

void lines_move(struct arena *a, const struct image *img,
		const struct line_range *r, size_t n, struct raw_edit **edit,
		size_t *nedit)
{
	const struct section *s = image_section(img, ".debug_line");
	struct mover m = { .a = a, .s = s, .range = r, .nrange = n };
	struct cursor c = { { NULL, 0 }, 0, false };

	if (s && s->type == SHT_PROGBITS &&
	    !(s->flags & (SHF_COMPRESSED | SHF_ALLOC)))
		c.b = m.bytes = (struct bytes){ img->file.p + s->off, s->size };
	while (c.at < c.b.n && !c.bad) {
		uint64_t len = cur_u32(&c);
		bool is64 = len == UINT32_MAX;
		struct cursor unit = c;

		if (is64)
			len = cur_u64(&c);
		unit.at = c.at;
		if (!cur_take(&c, len))
			break;
		unit.b.n = c.at;
		if (header(&unit, is64, &m.u))
			program(&m, unit);
	}
	*edit = m.edit;
	*nedit = m.nedit;
}
