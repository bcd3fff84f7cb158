/* SPDX-License-Identifier: MIT */
/* targets.c - the window proof: may anything reach the inside of a window?
 *
 * A window's first instruction is replaced by a jump, the rest is covered by
 * it.  Whoever jumped into the rest would run half an address.  So every way
 * to name an address is asked, cheap ones first; all must say no.
 *
 *   stage 1   symbols, FDEs, exception tables, relocated words: they are in
 *             the image, sorted.  One sweep over the bytes gives possible
 *             branches, jump tables, leas (sweep.c, table.c).
 *   stage 2   only when the sweep objects: what is really decoded (settle.c),
 *             and what cannot be meant (step.c).
 *
 * A return address needs a call that ends there; bytes that look like one
 * are checked by decoding the function.
 *
 * Out of sight stay addresses that code computes, such as an entry into an
 * unrolled loop at base + 8 * n.  Compilers do not; assembly may.
 */
#include "rewriter/site/targets.h"

static const char *const names[] = {
	[TARGET_NONE] = "none",
	[TARGET_BRANCH] = "branch",
	[TARGET_MAYBE] = "possible branch",
	[TARGET_TABLE] = "jump table",
	[TARGET_POINTER] = "code pointer",
	[TARGET_SYMBOL] = "symbol",
	[TARGET_LANDING] = "landing pad",
	[TARGET_CALLSITE] = "call-site boundary",
	[TARGET_RETURN] = "return point",
	[TARGET_ENDBR] = "endbr64",
};

const char *target_why_name(enum target_why why)
{
	return names[why];
}

/* The best answer so far; the lowest address wins, then the earlier reason.
 * Reasons that a caller may wave through come last: they must not hide others
 * of the same address. */
struct found {
	uint64_t at;
	enum target_why why;
};

static void offer(struct found *f, uint64_t at, enum target_why why)
{
	if (at < f->at)
		*f = (struct found){ at, why };
}

static void offer_list(struct found *f, const uint64_t *v, size_t n,
		       uint64_t from, enum target_why why)
{
	offer(f, next_addr(v, n, sizeof(*v), from), why);
}

/* Could a call end right before offset i?  Prefixes do not matter. */
static bool call_before(const struct span *in, uint64_t i)
{
	if (i >= 5 && in->p[i - 5] == 0xe8)
		return true;
	for (uint64_t n = 2; n <= 7 && n <= i; n++) {
		const uint8_t *p = in->p + (i - n);

		/* ff /2 and ff /3 */
		if (p[0] == 0xff && (p[1] & 0x30) == 0x10)
			return true;
	}
	return false;
}

/* In padding behind a function: no call stands there. */
static bool between_functions(const struct sites *s, uint64_t addr)
{
	const struct func *f = func_before(s, addr);

	return f && f->size && addr >= f->addr + f->size &&
	       code_is_padding(s, f->addr + f->size, func_limit(s, f));
}

static bool is_return_point(const struct sites *s, const struct span *in,
			    uint64_t addr)
{
	const struct func *f;
	struct walked c;

	if (!call_before(in, addr - in->lo))
		return false;
	f = func_around(s, addr - 1);
	if (!f)
		return !between_functions(s, addr - 1);
	if (!code_walk(s, f, addr, &c))
		return true;
	return c.pos == addr && c.pos != f->addr &&
	       (c.last.flow == FLOW_CALL || c.last.flow == FLOW_CALL_IND);
}

static bool is_endbr(const struct span *in, uint64_t i)
{
	return in->hi - in->lo - i >= 4 &&
	       !memcmp(in->p + i, "\xf3\x0f\x1e\xfa", 4);
}

/* What the marks and the bytes at one address say.  `ignored`: of the marks. */
static enum target_why why_at(const struct sites *s, const struct span *in,
			      uint64_t addr, uint8_t ignored)
{
	uint64_t i = addr - in->lo;
	uint8_t m;

	if (in->mark[i])
		targets_settle(s);
	m = in->mark[i] & (uint8_t)~ignored;
	if (m & MARK_BRANCH)
		return TARGET_BRANCH;
	if (m & (MARK_MAYBE | MARK_TABLE | MARK_POINTER) &&
	    target_unmeant(s, addr))
		m = 0;
	if (m & MARK_MAYBE)
		return TARGET_MAYBE;
	if (m & MARK_TABLE)
		return TARGET_TABLE;
	if (m & MARK_POINTER)
		return TARGET_POINTER;
	if (is_endbr(in, i))
		return TARGET_ENDBR;
	return is_return_point(s, in, addr) ? TARGET_RETURN : TARGET_NONE;
}

/* The first of the addresses that data or relocations name, and mean. */
static uint64_t next_pointer(const struct sites *s, uint64_t from, uint64_t to)
{
	const struct image *img = s->img;
	uint64_t at = next_addr(img->codeptr, img->ncodeptr,
				sizeof(*img->codeptr), from);

	while (at < to) {
		targets_settle(s);
		if (!target_unmeant(s, at))
			break;
		at = next_addr(img->codeptr, img->ncodeptr,
			       sizeof(*img->codeptr), at + 1);
	}
	return at;
}

static enum target_why first_in(const struct sites *s, uint64_t lo,
				uint64_t hi, uint8_t ignored, uint64_t *where)
{
	const struct image *img = s->img;
	struct found f = { hi, TARGET_NONE };
	struct span *in;

	if (hi < 2 || lo >= hi - 1)
		return TARGET_NONE;
	targets_sweep(s);
	in = span_of(s->targets, lo);
	*where = lo + 1;
	if (!in || hi > in->hi || s->targets->gave_up)
		return TARGET_MAYBE;
	offer(&f, next_symbol(img, lo + 1), TARGET_SYMBOL);
	offer(&f, next_fde(img, lo + 1), TARGET_SYMBOL);
	offer_list(&f, img->landing, img->nlanding, lo + 1, TARGET_LANDING);
	for (uint64_t at = lo + 1; at < f.at; at++) {
		enum target_why why = why_at(s, in, at, ignored);

		if (why)
			offer(&f, at, why);
	}
	offer(&f, next_pointer(s, lo + 1, f.at), TARGET_POINTER);
	offer_list(&f, img->callsite, img->ncallsite, lo + 1, TARGET_CALLSITE);
	*where = f.at;
	return f.why;
}

enum target_why target_in(const struct sites *s, uint64_t lo, uint64_t hi,
			  uint64_t *where)
{
	return first_in(s, lo, hi, 0, where);
}

enum target_why target_besides(const struct sites *s, uint64_t at)
{
	uint64_t where;

	return first_in(s, at - 1, at + 1, MARK_BRANCH, &where);
}
