/* SPDX-License-Identifier: MIT */
/* Fuzzer for the window proof.  The input becomes a small image: code, data,
 * frame descriptions and symbols.  Whatever it is, nothing may crash, and
 *
 *   - no branch is missed that decoding finds, starting at a function and going
 *     straight on; nor any that could stand in bytes nobody could decode, nor
 *     a pointer, but for those to the inside of an instruction of a function
 *     that is described, decodes to its end, and has nothing else amiss;
 *   - an answer does not depend on what was asked before;
 *   - the first target in a window is the first of its addresses' targets;
 *   - an instruction boundary is one to a naive decoding, too.
 *
 * Layout of the input: 1 byte of flags, 1 byte count of functions, for each 3
 * bytes (gap, size, kind), then code; the last quarter of it is data.
 */
#include <stdlib.h>

#include "rewriter/site/targets.h"

#define TEXT UINT64_C(0x401000)
#define DATA UINT64_C(0x420000)
#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x))                                                      \
			abort();                                               \
	} while (0)

enum {
	MAX_FUNC = 32,
	MAX_CODE = 2048,
	LONGEST = 15
};

struct made {
	struct image img;
	struct segment seg[2];
	struct symbol sym[MAX_FUNC];
	struct fde fde[MAX_FUNC];
	uint64_t codeptr[1];
	const uint8_t *code;
	size_t ncode;
};

static void make_functions(struct made *m, struct cursor *c, unsigned n)
{
	uint64_t at = TEXT, covered = 0;

	for (unsigned i = 0; i < n && i < MAX_FUNC; i++) {
		uint8_t step = cur_u8(c), size = cur_u8(c), kind = cur_u8(c);

		at += step % 64;
		if (kind & 1 && at >= covered && size) {
			m->fde[m->img.nfde++] = (struct fde){
				.start = at,
				.size = size,
				.fragment = kind & 4,
			};
			covered = at + size;
		}
		if (kind & 2)
			m->sym[m->img.nsym++] = (struct symbol){
				.name = kind & 8 ? "f.cold" : "f",
				.addr = at,
				.size = kind & 16 ? size : 0,
				.type = kind & 32 ? STT_NOTYPE : STT_FUNC,
			};
	}
}

static bool make(struct made *m, const uint8_t *p, size_t n)
{
	struct cursor c = { .b = { p, n } };
	uint8_t flags = cur_u8(&c);
	size_t left;

	*m = (struct made){ 0 };
	make_functions(m, &c, cur_u8(&c) % MAX_FUNC);
	if (c.bad || n - c.at < 8 || n - c.at > MAX_CODE)
		return false;
	left = n - c.at;
	m->code = p + c.at;
	m->ncode = left - left / 4;
	m->seg[0] = (struct segment){ .type = PT_LOAD,
				      .flags = PF_X,
				      .off = c.at,
				      .vaddr = TEXT,
				      .filesz = m->ncode,
				      .memsz = m->ncode };
	m->seg[1] = (struct segment){ .type = PT_LOAD,
				      .flags = PF_R,
				      .off = c.at + m->ncode,
				      .vaddr = DATA,
				      .filesz = left / 4,
				      .memsz = left / 4 };
	m->img.type = flags & 1 ? ET_EXEC : ET_DYN;
	m->img.file = (struct bytes){ p, n };
	m->img.seg = m->seg;
	m->img.nseg = 2;
	m->img.fde = m->fde;
	m->img.sym = m->sym;
	m->codeptr[0] = TEXT + flags;
	m->img.codeptr = m->codeptr;
	m->img.ncodeptr = flags & 2 ? 1 : 0;
	return true;
}

static bool decode(const struct made *m, uint64_t at, struct insn *in)
{
	uint64_t i = at - TEXT;

	return i < m->ncode &&
	       insn_decode(m->code + i,
			   m->ncode - i < LONGEST ? m->ncode - i : LONGEST, at,
			   in);
}

static enum target_why one(const struct sites *s, uint64_t at)
{
	uint64_t where = 0;
	enum target_why why = target_in(s, at - 1, at + 1, &where);

	CHECK(!why || where == at);
	return why;
}

static bool branch(const struct made *m, uint64_t at, struct insn *in)
{
	return decode(m, at, in) && in->rel_off && in->target > TEXT &&
	       in->target < TEXT + m->ncode;
}

/* The branch at `at`, if there is one, has been seen. */
static void seen(const struct made *m, const struct sites *s, uint64_t at)
{
	struct insn in;

	if (branch(m, at, &in))
		CHECK(one(s, in.target));
}

static bool ends(const struct insn *in)
{
	return in->flow == FLOW_JMP || in->flow == FLOW_JMP_IND ||
	       in->flow == FLOW_RET || in->flow == FLOW_STOP ||
	       in->flow == FLOW_TRAP;
}

static bool starts_in(const struct image *img, uint64_t lo, uint64_t hi)
{
	for (size_t i = 0; i < img->nsym; i++)
		if (img->sym[i].addr >= lo && img->sym[i].addr < hi)
			return true;
	return false;
}

/* May one say that nothing at `to` can be meant? */
static bool unmeant(const struct made *m, const struct sites *s, uint64_t to)
{
	const struct func *f = func_around(s, to);
	const struct fde *fde = f ? image_fde(&m->img, f->addr) : NULL;
	uint64_t at, end = f ? f->addr + f->size : 0;
	bool inside = false, after = false;
	struct insn in, b;

	if (!fde || fde->start != f->addr)
		return false;
	for (at = f->addr; at < end; at += in.len) {
		if (!decode(m, at, &in) ||
		    starts_in(&m->img, at + 1, at + in.len))
			return false;
		inside |= to > at && to < at + in.len;
		after = after && !one(s, at); /* what leads to a nop counts */
		if (after && !in.nop && in.flow != FLOW_TRAP)
			return false;
		after = after || ends(&in);
		for (uint64_t from = f->addr; from < end; from += b.len) {
			if (!decode(m, from, &b))
				return false;
			if (b.rel_off && b.target > at &&
			    b.target < at + in.len)
				return false;
		}
	}
	return inside && at == end;
}

static uint64_t opcode_at(const struct made *m, const struct insn *in)
{
	uint64_t at = in->at + in->rel_off - 1;

	return at > in->at && in->rel_size == 4 &&
			       m->code[at - 1 - TEXT] == 0x0f
		       ? at - 1
		       : at;
}

/* The same of what only may be a branch.  Where only its prefixes are in the
 * function, the bytes behind it decide. */
static void seen_or_unmeant(const struct made *m, const struct sites *s,
			    uint64_t at, uint64_t end)
{
	struct insn in;

	if (branch(m, at, &in) && opcode_at(m, &in) < end &&
	    !one(s, in.target))
		CHECK(unmeant(m, s, in.target));
}

static void pointers(const struct made *m, const struct sites *s)
{
	uint64_t to = m->codeptr[0];

	if (m->img.ncodeptr && to > TEXT && to < TEXT + m->ncode &&
	    !one(s, to))
		CHECK(unmeant(m, s, to));
}

/* Straight on from a function's start.  True: it decoded to its very end. */
static bool straight(const struct made *m, const struct sites *s,
		     const struct func *f)
{
	uint64_t at = f->addr;
	struct insn in;

	while (at < f->addr + f->size && decode(m, at, &in)) {
		seen(m, s, at);
		at += in.len;
	}
	return at == f->addr + f->size;
}

static bool nests(const struct sites *s, size_t i)
{
	const struct func *f = &s->func[i];

	for (size_t k = 0; k < s->nfunc; k++)
		if (k != i && s->func[k].addr < f->addr + f->size &&
		    f->addr < s->func[k].addr + s->func[k].size)
			return true;
	return false;
}

static bool covered(const struct sites *s, uint64_t at)
{
	for (size_t i = 0; i < s->nfunc; i++)
		if (at - s->func[i].addr < s->func[i].size)
			return true;
	return false;
}

/* Which bytes of the gaps are code for sure is the window proof's own word:
 * what runs there is then decoded, and nothing else of them is a branch. */
enum gap {
	COVERED,
	UNKNOWN,
	FOLLOWED,
	STARTS
};

static enum gap gap_at(const struct sites *settled, uint64_t at)
{
	uint8_t mark = settled->targets->span[0].mark[at - TEXT];

	if (covered(settled, at))
		return COVERED;
	if (!(mark & MARK_SEEN))
		return UNKNOWN;
	return mark & MARK_START ? STARTS : FOLLOWED;
}

static void gaps(const struct made *m, const struct sites *s,
		 const struct sites *settled)
{
	uint64_t end = TEXT + m->ncode;

	for (uint64_t lo = TEXT, hi; lo < end; lo = hi) {
		enum gap gap = gap_at(settled, lo);
		bool zero = true;

		for (hi = lo; hi < end && gap_at(settled, hi) == gap;)
			zero &= m->code[hi++ - TEXT] == 0;
		if (gap != STARTS && gap != UNKNOWN)
			continue;
		if (gap == UNKNOWN && (zero || code_is_padding(s, lo, hi)))
			continue;
		for (; lo < hi; lo++)
			if (gap == STARTS)
				seen(m, s, lo);
			else
				seen_or_unmeant(m, s, lo, UINT64_MAX);
	}
}

static void boundary(const struct made *m, const struct sites *s, uint64_t at)
{
	const struct func *f = func_around(s, at);
	uint64_t before = 0, after = 0, p;
	int got = code_boundary(s, at, &before, &after);
	struct insn in = { 0 };

	if (!f) {
		CHECK(got == -1);
		return;
	}
	for (p = f->addr; p < at && decode(m, p, &in);)
		p += in.len;
	CHECK(got == (p < at ? -1 : p == at));
	if (got == 0)
		CHECK(before == in.at && after == p && before < at &&
		      at < after);
}

static void windows(const struct made *m, const struct sites *s,
		    const struct sites *other)
{
	for (uint64_t lo = TEXT; lo + 6 <= TEXT + m->ncode; lo += 3) {
		uint64_t where = 0, first = lo + 1;
		enum target_why why = target_in(s, lo, lo + 6, &where);

		while (first < lo + 6 && !one(s, first))
			first++;
		CHECK(why ? where == first && why == one(s, first)
			  : first == lo + 6);
	}
	for (uint64_t at = TEXT + m->ncode - 1; at > TEXT; at--)
		CHECK(one(s, at) == one(other, at));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena a = { 0 };
	struct made m;
	struct sites s, other;
	struct err e;

	if (!make(&m, p, n))
		return 0;
	CHECK(sites_find(&a, &m.img, &s, &e) == 0);
	CHECK(sites_find(&a, &m.img, &other, &e) == 0);
	targets_sweep(&other);
	targets_settle(&other);
	for (size_t i = 0; i < s.nfunc; i++) {
		const struct func *f = &s.func[i];
		bool clean = straight(&m, &s, f);

		CHECK(func_limit(&s, f) >= f->addr + f->size);
		if (!clean && !nests(&s, i))
			for (uint64_t at = 0; at < f->size; at++)
				seen_or_unmeant(&m, &s, f->addr + at,
						f->addr + f->size);
	}
	pointers(&m, &s);
	gaps(&m, &s, &other);
	windows(&m, &s, &other);
	for (uint64_t at = TEXT; at < TEXT + m.ncode; at++) {
		const struct func *f = func_around(&s, at);

		boundary(&m, &s, at);
		if (f && at % 8 == 0)
			CHECK(live_at(&s, f, at).regs & REG_BIT(RSP));
	}
	arena_free(&a);
	return 0;
}
