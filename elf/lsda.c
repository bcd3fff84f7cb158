/* SPDX-License-Identifier: MIT */
/* lsda.c - exception tables: where an exception can land.
 *
 * An FDE names its function's LSDA (in .gcc_except_table).  Its format belongs
 * to the personality routine, but GCC, clang, Rust, Ada and D share one:
 *
 *   u8 encoding, landing pads' base     (0xff: the function's start)
 *   u8 encoding, ULEB size of types     (0xff: none)
 *   u8 encoding, ULEB size of call sites
 *   call sites: start, length, landing pad (0: none), ULEB action
 *
 * A call in no record ends the program when an exception passes it.  So each
 * edge of a record is a boundary over which a call must not be moved, except
 * where two records that say the same touch.
 */
#include "elf/image_parts.h"

struct pads {
	struct arena *a;
	const struct image *img;
	struct addrs landing, callsite;
	struct away *away;
	size_t naway;
	uint64_t budget; /* bytes of tables that may still be read */
};

struct call_site {
	uint64_t start, end, pad, action;
};

static int damaged(const struct pads *p, const struct fde *f, struct err *e)
{
	return fail(e, p->img->path, image_offset(p->img, f->lsda),
		    "malformed exception table of the function at 0x%llx",
		    (unsigned long long)f->start);
}

static void leave(struct pads *p, const struct call_site *last)
{
	if (last->start != last->end)
		addrs_add(p->a, &p->callsite, last->end);
}

static void enter(struct pads *p, struct call_site *last,
		  const struct call_site *s)
{
	if (last->end == s->start && last->pad == s->pad &&
	    last->action == s->action && last->start != last->end) {
		last->end = s->end;
		return;
	}
	leave(p, last);
	addrs_add(p->a, &p->callsite, s->start);
	*last = *s;
}

static void pad_add(struct pads *p, const struct fde *f, uint64_t pad)
{
	addrs_add(p->a, &p->landing, pad);
	if (pad - f->start < f->size)
		return;
	p->away = arena_push(p->a, p->away, p->naway, sizeof(*p->away));
	p->away[p->naway++] = (struct away){ pad, f->start };
}

static int call_sites(struct pads *p, const struct fde *f, uint8_t enc,
		      uint64_t base, struct bytes table, struct err *e)
{
	struct cursor c = cursor_at(table, 0);
	struct call_site last = { 0 };

	while (c.at < table.n) {
		uint64_t start =
			cur_encoded(&c, p->img, enc & ENC_FORMAT, 0, 0);
		uint64_t len = cur_encoded(&c, p->img, enc & ENC_FORMAT, 0, 0);
		uint64_t pad = cur_encoded(&c, p->img, enc & ENC_FORMAT, 0, 0);
		struct call_site s = { .action = cur_uleb(&c) };

		if (c.bad || start > f->size || len > f->size - start)
			return damaged(p, f, e);
		if (pad && !image_is_code(p->img, base + pad))
			return damaged(p, f, e);
		if (pad)
			pad_add(p, f, base + pad);
		s.start = f->start + start;
		s.end = s.start + len;
		s.pad = pad;
		if (len)
			enter(p, &last, &s);
	}
	leave(p, &last);
	return 0;
}

static int lsda_read(struct pads *p, const struct fde *f, struct err *e)
{
	struct cursor c = cursor_at(image_from(p->img, f->lsda), 0);
	uint64_t base = f->start, size;
	const uint8_t *table;
	uint8_t enc;

	enc = cur_u8(&c);
	if (enc != ENC_OMIT)
		base = cur_encoded(&c, p->img, enc, f->lsda, 0);
	enc = cur_u8(&c);
	if (enc != ENC_OMIT)
		cur_uleb(&c);
	enc = cur_u8(&c);
	size = cur_uleb(&c);
	table = cur_take(&c, size);
	/* Honest tables do not overlap (but for a folded function or two);
	 * others must not cost more than reading the file a few times. */
	if (!table || size > p->budget)
		return damaged(p, f, e);
	p->budget -= size;
	return call_sites(p, f, enc, base, (struct bytes){ table, size }, e);
}

int lsdas_read(struct arena *a, struct image *img, struct err *e)
{
	struct pads p = { .a = a, .img = img, .budget = 4 * img->file.n };

	for (size_t i = 0; i < img->nfde; i++)
		if (img->fde[i].lsda && lsda_read(&p, &img->fde[i], e))
			return -1;
	addrs_sort(&p.landing);
	addrs_sort(&p.callsite);
	img->landing = p.landing.v;
	img->nlanding = p.landing.n;
	img->callsite = p.callsite.v;
	img->ncallsite = p.callsite.n;
	img->away = p.away;
	img->naway = p.naway;
	return 0;
}
