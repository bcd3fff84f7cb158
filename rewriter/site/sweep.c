/* SPDX-License-Identifier: MIT */
/* sweep.c - stage 1 of the window proof: trust no disassembly.
 *
 * Every byte of executable memory is read as if an instruction's opcode stood
 * there.  If it would be a branch, its target is marked.  A prefix does not
 * change where a branch goes, so opcode bytes are all that matters:
 *
 *   70-7f xx        jcc rel8         0f 80-8f xxxxxxxx  jcc rel32
 *   eb xx           jmp rel8         e9 xxxxxxxx        jmp rel32
 *   e0-e3 xx        loop, jrcxz      e8 xxxxxxxx        call rel32
 *                                    c7 f8 xxxxxxxx     xbegin rel32
 *
 * An address without a mark is the target of no direct branch, whatever is
 * code and whatever is data here.  About 1.5 ns a byte; it objects to 1 to 7
 * windows in a hundred, and only then is anything disassembled (settle.c).
 *
 * In ET_EXEC code may hold its own addresses as 32-bit immediates, and tables
 * of words may stand in an executable segment: any 4 bytes that spell an
 * executable address mark it.
 */
#include "rewriter/site/targets.h"

enum {
	NO,
	REL8,
	REL32,
	TWO_0F,
	TWO_C7
};

// clang-format off
static const uint8_t kind[256] = {
	[0x0f] = TWO_0F,
	[0x70] = REL8, REL8, REL8, REL8, REL8, REL8, REL8, REL8,
		 REL8, REL8, REL8, REL8, REL8, REL8, REL8, REL8,
	[0xc7] = TWO_C7,
	[0xe0] = REL8, REL8, REL8, REL8,
	[0xe8] = REL32, REL32,
	[0xeb] = REL8,
};
// clang-format on

static int32_t rel32(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Where a branch whose opcode is at `i` would go, as an offset into the span
 * (it may wrap out of it); false when there is none. */
static inline bool branch_at(const struct span *in, uint64_t i, uint64_t *to)
{
	const uint8_t *p = in->p;
	uint64_t n = in->hi - in->lo;

	switch (kind[p[i]]) {
	case REL8:
		if (n - i < 2)
			return false;
		*to = i + 2 + (uint64_t)(int8_t)p[i + 1];
		return true;
	case TWO_0F:
		if (n - i < 6 || (p[i + 1] & 0xf0) != 0x80)
			return false;
		*to = i + 6 + (uint64_t)rel32(p + i + 2);
		return true;
	case TWO_C7:
		if (n - i < 6 || p[i + 1] != 0xf8)
			return false;
		*to = i + 6 + (uint64_t)rel32(p + i + 2);
		return true;
	case REL32:
		if (n - i < 5)
			return false;
		*to = i + 5 + (uint64_t)rel32(p + i + 1);
		return true;
	}
	return false;
}

/* Mark the targets of all branches whose opcode could stand in [from, to). */
void scan_branches(const struct targets *t, const struct span *in,
		   uint64_t from, uint64_t to, uint8_t flag)
{
	uint64_t n = in->hi - in->lo, off;

	for (uint64_t i = from - in->lo; i < to - in->lo; i++) {
		if (!kind[in->p[i]] || !branch_at(in, i, &off))
			continue;
		if (off < n)
			in->mark[off] |= flag;
		else if (t->nspan > 1)
			mark_addr(t, in->lo + off, flag);
	}
}

uint64_t scan_next(const struct targets *t, const struct span *in, uint64_t i,
		   uint8_t flag, uint64_t *to)
{
	uint64_t n = in->hi - in->lo, off;

	for (; i < n; i++) {
		const struct span *sp = in;

		if (!kind[in->p[i]] || !branch_at(in, i, &off))
			continue;
		*to = in->lo + off;
		if (off >= n)
			sp = t->nspan > 1 ? span_of(t, *to) : NULL;
		if (sp && sp->mark[*to - sp->lo] & flag)
			return i;
	}
	return n;
}

/* Mark what any 4 bytes in [from, to) spell. */
void scan_addresses(const struct targets *t, const struct span *in,
		    uint64_t from, uint64_t to, uint8_t flag)
{
	uint64_t lo = UINT64_MAX, hi = 0;

	for (size_t i = 0; i < t->nspan; i++) {
		lo = t->span[i].lo < lo ? t->span[i].lo : lo;
		hi = t->span[i].hi > hi ? t->span[i].hi : hi;
	}
	for (uint64_t at = from; at < to && in->hi - at >= 4; at++) {
		uint32_t v = (uint32_t)rel32(in->p + (at - in->lo));

		if (v - lo < hi - lo)
			mark_addr(t, v, flag);
	}
}

void targets_sweep(const struct sites *s)
{
	struct targets *t = s->targets;

	if (t->swept)
		return;
	t->swept = true;
	for (size_t i = 0; i < t->nspan; i++)
		t->span[i].mark =
			arena_alloc(t->a, t->span[i].hi - t->span[i].lo);
	for (size_t i = 0; i < t->nspan; i++) {
		struct span *in = &t->span[i];

		scan_branches(t, in, in->lo, in->hi, MARK_SUPER);
		if (s->img->type == ET_EXEC)
			scan_addresses(t, in, in->lo, in->hi, MARK_ADDR);
	}
	targets_tables(s);
}
