/* SPDX-License-Identifier: MIT */
/* reach.c - what leads to an address, and from where.
 *
 * The oracle (site/site.h) says that something does; where it stands is found
 * by looking at all bytes that could name the address, and then at the
 * instruction that they are part of.  One pass over the file for each address,
 * which is cheap enough for the few that somebody asks about.
 */
#include <inttypes.h>
#include <string.h>

#include "elf/dynamic.h"
#include "rewriter/cli/explain.h"

enum { LONGEST = 15, REL8_REACH = 130 };

const char *reach_name(struct arena *a, const struct sites *s, uint64_t at)
{
	const struct func *f = func_around(s, at);

	if (!f)
		return arena_printf(a, "0x%" PRIx64, at);
	return arena_printf(a, "%s+0x%" PRIx64, f->name, at - f->addr);
}

/* The instruction around `at`, when it is known to be one. */
static bool insn_around(const struct sites *s, uint64_t at, struct insn *out)
{
	uint64_t start = at, after, room;
	int known = code_boundary(s, at, &start, &after);

	if (known < 0)
		return false;
	if (known == 1)
		start = at;
	room = image_room(s->img, start);
	return insn_decode(image_at(s->img, start, 1),
			   room < LONGEST ? room : LONGEST, start, out);
}

/* Does an instruction with its operand at `at` name the address? */
static bool names(const struct sites *s, uint64_t at, uint64_t addr,
		  struct insn *in)
{
	return insn_around(s, at, in) && in->target == addr &&
	       (in->rip_off || in->rel_off);
}

/* The displacement at p + i, if it leads to addr. */
static bool displaces(const struct segment *g, const uint8_t *p, uint64_t i,
		      uint64_t addr)
{
	uint64_t at = g->vaddr + i;
	int32_t rel;

	if (addr - at + REL8_REACH < 2 * REL8_REACH &&
	    at + 1 + (uint64_t)(int64_t)(int8_t)p[i] == addr)
		return true;
	if (g->filesz - i < sizeof(rel))
		return false;
	memcpy(&rel, p + i, sizeof(rel));
	return at + sizeof(rel) + (uint64_t)(int64_t)rel == addr;
}

/* Bytes that nobody knows to be code, and that would be a branch. */
static bool perhaps(const struct sites *s, uint64_t at)
{
	const uint8_t *p = image_at(s->img, at - 2, 2);
	uint64_t before, after;

	if (!p || code_boundary(s, at, &before, &after) >= 0)
		return false;
	return (p[1] & 0xf0) == 0x70 || (p[1] & 0xfc) == 0xe8 ||
	       (p[1] & 0xfc) == 0xe0 || (p[0] == 0x0f && (p[1] & 0xf0) == 0x80);
}

static const char *insn_says(struct arena *a, const struct sites *s,
			     const struct insn *in)
{
	char text[96];

	insn_print(image_at(s->img, in->at, in->len), in->len, in->at, text,
		   sizeof(text));
	return arena_printf(a, "%s at 0x%" PRIx64 " (%s)", text, in->at,
			    reach_name(a, s, in->at));
}

/* The instruction that branches to `addr` or takes it; `maybe`, the bytes that
 * could be one; or NULL. */
static const char *insn_naming(struct arena *a, const struct sites *s,
			       uint64_t addr, bool maybe)
{
	const struct image *img = s->img;
	struct insn in;

	for (size_t k = 0; k < img->nseg; k++) {
		const struct segment *g = &img->seg[k];
		const uint8_t *p = image_at(img, g->vaddr, g->filesz);

		if (g->type != PT_LOAD || !(g->flags & PF_X) || !p)
			continue;
		for (uint64_t i = 0; i < g->filesz; i++) {
			if (!displaces(g, p, i, addr))
				continue;
			if (names(s, g->vaddr + i, addr, &in))
				return insn_says(a, s, &in);
			if (maybe && perhaps(s, g->vaddr + i))
				return arena_printf(
					a, "the bytes before 0x%" PRIx64
					", which no function covers",
					g->vaddr + i);
		}
	}
	return NULL;
}

/* A word at `at` names the address; in the relocations, it is for another. */
static const char *word_says(struct arena *a, const struct image *img,
			     uint64_t at)
{
	uint64_t rela = 0, size = 0, word;
	const uint8_t *p;

	if (!dynamic_get(img, DT_RELA, &rela) ||
	    !dynamic_get(img, DT_RELASZ, &size) || at - rela >= size)
		return arena_printf(a, "the word at 0x%" PRIx64, at);
	p = image_at(img, at - (at - rela) % sizeof(Elf64_Rela), sizeof(word));
	if (!p)
		return NULL;
	memcpy(&word, p, sizeof(word));
	return arena_printf(a, "the word at 0x%" PRIx64 ", when relocated",
			    word);
}

static const char *word_naming(struct arena *a, const struct image *img,
			       uint64_t addr)
{
	uint64_t word;

	for (size_t k = 0; k < img->nseg; k++) {
		const struct segment *g = &img->seg[k];
		const uint8_t *p = image_at(img, g->vaddr, g->filesz);

		if (g->type != PT_LOAD || !p)
			continue;
		for (uint64_t i = -g->vaddr & 7; i + 8 <= g->filesz; i += 8) {
			memcpy(&word, p + i, sizeof(word));
			if (word == addr)
				return word_says(a, img, g->vaddr + i);
		}
	}
	return NULL;
}

static const char *symbol_at(struct arena *a, const struct image *img,
			     uint64_t addr)
{
	for (size_t i = 0; i < img->nsym; i++)
		if (img->sym[i].addr == addr)
			return arena_strdup(a, img->sym[i].name);
	return "a frame description that begins here";
}

static const char *call_before(struct arena *a, const struct sites *s,
			       uint64_t addr)
{
	uint64_t at;

	if (!code_before(s, addr, &at, 1))
		return NULL;
	return arena_printf(a, "the call at 0x%" PRIx64, at);
}

static const char *origin(struct arena *a, const struct sites *s,
			  const struct reach *r)
{
	const char *from;

	switch (r->why) {
	case TARGET_BRANCH:
		return insn_naming(a, s, r->at, false);
	case TARGET_MAYBE:
		return insn_naming(a, s, r->at, true);
	case TARGET_POINTER:
		from = word_naming(a, s->img, r->at);
		return from ? from : insn_naming(a, s, r->at, false);
	case TARGET_SYMBOL:
		return symbol_at(a, s->img, r->at);
	case TARGET_RETURN:
		return call_before(a, s, r->at);
	default:
		return NULL;
	}
}

size_t reach_find(struct arena *a, const struct sites *s, uint64_t lo,
		  uint64_t hi, struct reach **out)
{
	size_t n = 0;
	uint64_t where;

	*out = NULL;
	for (uint64_t at = lo; at < hi; at++) {
		struct reach r = { .at = at };

		r.why = target_in(s, at - 1, at + 1, &where);
		if (r.why == TARGET_NONE)
			continue;
		r.from = origin(a, s, &r);
		*out = arena_push(a, *out, n, sizeof(**out));
		(*out)[n++] = r;
	}
	return n;
}
