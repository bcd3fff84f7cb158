/* SPDX-License-Identifier: MIT */
/* cold.c - fragments that look like functions: the cold part of a function
 * that has no frame there begins with the state that a function has, and in a
 * stripped file it has no name.
 *
 * It is a fragment when a conditional jump of another function leads to it and
 * nothing else does: no call, no lea, no pointer, and in ET_EXEC no four bytes
 * of code that spell its address.  Compilers make conditional jumps to cold
 * parts; to functions they jump unconditionally, and such a one may well be
 * reached by nothing but a jump.
 *
 * All bytes are looked at as if an instruction began there.  What only seems
 * to be a call makes a fragment look like a function, as it did before.
 */
#include <stdlib.h>

#include "rewriter/site/targets.h"

enum { DOUBTED = 1, JUMPED = 2, MEANT = 4 };

struct colds {
	struct sites *s;
	uint8_t **is; /* per span, a bit for 8 bytes: may a doubted one begin
			 there? */
	uint8_t *how; /* per function */
};

static const struct func *doubted_at(const struct colds *c, uint64_t addr)
{
	const struct targets *t = c->s->targets;
	const struct func *f;

	for (size_t i = 0; i < t->nspan; i++) {
		uint64_t off = addr - t->span[i].lo;

		if (off >= t->span[i].hi - t->span[i].lo)
			continue;
		if (!(c->is[i][off / 64] >> (off / 8 % 8) & 1))
			return NULL;
		f = func_at(c->s, addr);
		return f && c->how[f - c->s->func] ? f : NULL;
	}
	return NULL;
}

static bool doubt(struct colds *c, size_t i)
{
	const struct func *f = &c->s->func[i];
	const struct fde *fde = image_fde(c->s->img, f->addr);
	const struct targets *t = c->s->targets;

	if (f->named || f->fragment || !fde || fde->start != f->addr)
		return false;
	c->how[i] = DOUBTED;
	for (size_t k = 0; k < t->nspan; k++) {
		uint64_t off = f->addr - t->span[k].lo;

		if (off < t->span[k].hi - t->span[k].lo)
			c->is[k][off / 64] |= (uint8_t)(1 << (off / 8 % 8));
	}
	return true;
}

static void mean(struct colds *c, uint64_t addr)
{
	const struct func *f = doubted_at(c, addr);

	if (f)
		c->how[f - c->s->func] |= MEANT;
}

/* A conditional jump, if one stands at `at`, of a function other than f. */
static void jump(struct colds *c, uint64_t at, uint64_t target)
{
	const struct func *f = doubted_at(c, target), *g;
	uint64_t before, after;

	if (!f || c->how[f - c->s->func] & (JUMPED | MEANT))
		return;
	g = func_around(c->s, at);
	if (g && g != f && code_boundary(c->s, at, &before, &after) == 1)
		c->how[f - c->s->func] |= JUMPED;
}

static void sweep(struct colds *c, const struct span *in)
{
	bool absolute = c->s->img->type == ET_EXEC;
	int32_t rel;

	for (uint64_t at = in->lo; at + 7 <= in->hi; at++) {
		const uint8_t *p = in->p + (at - in->lo);
		uint64_t skip = (p[0] & 0xfe) == 0xe8 ? 5 : 0;

		if (absolute) {
			memcpy(&rel, p, sizeof(rel));
			mean(c, (uint32_t)rel);
		}
		if (p[0] == 0x0f && (p[1] & 0xf0) == 0x80) {
			memcpy(&rel, p + 2, sizeof(rel));
			jump(c, at, at + 6 + (uint64_t)rel);
		} else if (p[0] == 0x8d && (p[1] & 0xc7) == 0x05) {
			skip = 6;
		}
		if (!skip)
			continue;
		memcpy(&rel, p + skip - 4, sizeof(rel));
		mean(c, at + skip + (uint64_t)rel);
	}
}

void funcs_find_cold(struct arena *a, struct sites *s)
{
	struct targets *t = s->targets;
	struct colds c = { .s = s };
	bool any = false;

	c.how = arena_alloc(a, s->nfunc + 1);
	c.is = arena_alloc(a, (t->nspan + 1) * sizeof(*c.is));
	for (size_t i = 0; i < t->nspan; i++)
		c.is[i] = arena_alloc(a, (t->span[i].hi - t->span[i].lo) / 64 +
					       1);
	for (size_t i = 0; i < s->nfunc; i++)
		any |= doubt(&c, i);
	if (!any)
		return;
	for (size_t i = 0; i < s->img->ncodeptr; i++)
		mean(&c, s->img->codeptr[i]);
	for (size_t i = 0; i < t->nspan; i++)
		sweep(&c, &t->span[i]);
	for (size_t i = 0; i < s->nfunc; i++)
		if (c.how[i] == (DOUBTED | JUMPED))
			s->func[i].fragment = true;
}
