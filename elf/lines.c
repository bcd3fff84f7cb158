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
 * offset into the section has to change.  Where the next row has no room for
 * more, rows move to the end of the patch instead; where neither can be, they
 * are left alone.
 * Source: DWARF 5 §6.2.
 */
#include <assert.h>

#include "elf/lines.h"

/* DW_LNS_*, DW_LNE_*, those that matter. */
enum {
	LNS_COPY = 1,
	LNS_ADVANCE_PC = 2,
	LNS_CONST_ADD_PC = 8,
	LNS_FIXED_ADVANCE_PC = 9,
};
enum {
	LNE_END_SEQUENCE = 1,
	LNE_SET_ADDRESS = 2,
};

/* An advance that can be changed. */
struct op {
	enum { SPECIAL, LEB, HALF } kind;
	uint64_t at, len; /* in the section */
	uint64_t by;
};

struct unit {
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

	uint8_t *place;     /* where the rows of a range go */

	/* One program: */
	struct unit u;
	struct cursor c;
	uint64_t address;
	bool any;           /* there was a row in this sequence */
	uint64_t row, moved; /* the last one, and where it is now */
	struct op op[4];    /* since then */
	size_t nop;
	struct {            /* when a row last was where it had been */
		struct cursor c;
		uint64_t address;
		bool any;
		size_t nedit;
	} settled;
};
enum { TO_START, TO_END, NOWHERE_ELSE };

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

enum { NONE = -1 };

/* The range that has the address inside, not at its start. */
static int64_t range_of(const struct mover *m, uint64_t addr)
{
	size_t lo = 0, hi = m->nrange;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->range[mid].at < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr < m->range[lo - 1].end ? (int64_t)(lo - 1) : NONE;
}

static uint64_t place_of(const struct mover *m, uint64_t addr)
{
	int64_t r = m->any ? range_of(m, addr) : NONE;

	if (r == NONE || m->place[r] == NOWHERE_ELSE)
		return addr;
	return m->place[r] == TO_START ? m->range[r].at : m->range[r].end;
}

static void settle(struct mover *m)
{
	m->settled.c = m->c;
	m->settled.address = m->address;
	m->settled.any = m->any;
	m->settled.nedit = m->nedit;
}

/* From the last settled row again, with another place for those behind it. */
static void try_again(struct mover *m)
{
	int64_t r = range_of(m, m->row);

	if (r == NONE || m->place[r] == NOWHERE_ELSE)
		r = range_of(m, m->address);
	assert(r != NONE && m->place[r] != NOWHERE_ELSE);
	m->place[r]++;
	m->c = m->settled.c;
	m->address = m->row = m->moved = m->settled.address;
	m->any = m->settled.any;
	m->nedit = m->settled.nedit;
	m->nop = 0;
}

static void row(struct mover *m, bool end)
{
	uint64_t to = end ? m->address : place_of(m, m->address);
	int64_t by = (int64_t)((to - m->moved) - (m->address - m->row));

	if (m->any && by && !stretch(m, by)) {
		try_again(m);
		return;
	}
	m->any = !end;
	m->row = m->address;
	m->moved = to;
	m->nop = 0;
	if (to == m->address)
		settle(m);
}

static void advance(struct mover *m, int kind, uint64_t at, uint64_t len,
		    uint64_t by)
{
	m->address += by;
	if (m->nop < sizeof(m->op) / sizeof(*m->op))
		m->op[m->nop++] = (struct op){ kind, at, len, by };
}

/* --- programs -------------------------------------------------------------- */

/* A new sequence, or a part of one that knows nothing of what was before. */
static void start_at(struct mover *m, uint64_t address)
{
	m->address = m->row = m->moved = address;
	m->any = false;
	m->nop = 0;
	settle(m);
}

static void extended(struct mover *m)
{
	struct cursor *c = &m->c;
	uint64_t len = cur_uleb(c), end = c->at + len;
	struct cursor operand = *c;
	uint8_t op = len ? cur_u8(&operand) : 0;

	if (end < c->at)
		c->bad = true;
	cur_take(c, len);
	if (op == LNE_END_SEQUENCE)
		row(m, true);
	else if (op == LNE_SET_ADDRESS && len == 9)
		start_at(m, cur_u64(&operand));
}

static void standard(struct mover *m, uint8_t op)
{
	struct cursor *c = &m->c;
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

static void program(struct mover *m)
{
	struct cursor *c = &m->c;

	start_at(m, 0);
	while (c->at < c->b.n && !c->bad) {
		uint64_t at = c->at;
		uint8_t op = cur_u8(c);

		if (op >= m->u.opcode_base) {
			advance(m, SPECIAL, at, 1,
				(uint64_t)(op - m->u.opcode_base) /
					m->u.line_range);
			row(m, false);
		} else if (op) {
			standard(m, op);
		} else {
			extended(m);
		}
	}
	m->nedit = m->settled.nedit;
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
	cur_u8(&h);         /* line_base */
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
	struct mover m = { .a = a, .s = s, .range = r, .nrange = n,
			   .place = arena_alloc(a, n + 1) };
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
		if (!header(&unit, is64, &m.u))
			continue;
		m.c = unit;
		program(&m);
	}
	*edit = m.edit;
	*nedit = m.nedit;
}
