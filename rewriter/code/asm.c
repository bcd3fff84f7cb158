/* SPDX-License-Identifier: MIT */
/* asm.c - the growing run of code, and the references that leave it. */
#include "rewriter/code/asm.h"

#include <string.h>

static void make_room(struct code *c, size_t n)
{
	size_t room = c->room ? c->room : 256;
	uint8_t *p;

	if (c->n + n <= c->room)
		return;
	while (room < c->n + n)
		room *= 2;
	p = arena_alloc(c->a, room);
	if (c->n)
		memcpy(p, c->p, c->n);
	c->p = p;
	c->room = room;
}

void code_bytes(struct code *c, const void *p, size_t n)
{
	if (!n)
		return;
	make_room(c, n);
	memcpy(c->p + c->n, p, n);
	c->n += n;
}

void code_u8(struct code *c, uint8_t v)
{
	code_bytes(c, &v, sizeof(v));
}

void code_u32(struct code *c, uint32_t v)
{
	code_bytes(c, &v, sizeof(v));
}

void code_u64(struct code *c, uint64_t v)
{
	code_bytes(c, &v, sizeof(v));
}

void code_align(struct code *c, size_t to, uint8_t fill)
{
	while (code_here(c) % to)
		code_u8(c, fill);
}

static uint32_t distance(struct code *c, uint64_t from, uint64_t to)
{
	int64_t d = (int64_t)(to - from);

	if (d != (int32_t)d)
		c->too_far = true;
	return (uint32_t)d;
}

void code_rel32(struct code *c, uint64_t target, unsigned tail)
{
	code_u32(c, distance(c, code_here(c) + 4 + tail, target));
}

void code_rw32(struct code *c, uint64_t rw, unsigned tail)
{
	/* Unlike the code, this list grows by arena_push()'s rule: it has to
	 * be long before a rewind below a power of two costs a copy. */
	c->fix = arena_push(c->a, c->fix, c->nfix, sizeof(*c->fix));
	c->fix[c->nfix++] = (struct fixup){
		.at = (uint32_t)c->n,
		.next = (uint32_t)(c->n + 4 + tail),
		.rw = rw,
	};
	code_u32(c, 0);
}

struct moved *code_moved(const struct code *c, uint64_t from)
{
	size_t lo = 0, hi = c->nmoved;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->moved[mid].from < from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->nmoved && c->moved[lo].from == from ? &c->moved[lo]
							    : NULL;
}

/* A jump's rel32. */
static void jump_rel32(struct code *c, uint64_t target)
{
	if (code_moved(c, target)) {
		c->leap = arena_push(c->a, c->leap, c->nleap,
				     sizeof(*c->leap));
		c->leap[c->nleap++] = (struct fixup){
			.at = (uint32_t)c->n,
			.next = (uint32_t)(c->n + 4),
			.rw = target,
		};
	}
	code_rel32(c, target, 0);
}

void code_leaps_land(struct code *c)
{
	for (size_t i = 0; i < c->nleap; i++) {
		const struct fixup *f = &c->leap[i];
		uint32_t d = distance(c, c->vaddr + f->next,
				      code_moved(c, f->rw)->to);

		memcpy(c->p + f->at, &d, sizeof(d));
	}
}

void code_jmp(struct code *c, uint64_t target)
{
	code_u8(c, 0xe9);
	jump_rel32(c, target);
}

void code_call(struct code *c, uint64_t target)
{
	code_u8(c, 0xe8);
	code_rel32(c, target, 0);
}

void code_jcc(struct code *c, unsigned cond, uint64_t target)
{
	code_u8(c, 0x0f);
	code_u8(c, (uint8_t)(0x80 | cond));
	jump_rel32(c, target);
}

void code_land(struct code *c, size_t at)
{
	uint32_t d = distance(c, at + 4, c->n);

	memcpy(c->p + at, &d, sizeof(d));
}

size_t code_branch(struct code *c, unsigned cond)
{
	if (c->near) {
		code_u8(c, cond == COND_ALWAYS ? 0xeb : (uint8_t)(0x70 | cond));
		code_u8(c, 0);
	} else if (cond == COND_ALWAYS) {
		code_jmp(c, code_here(c));
	} else {
		code_jcc(c, cond, code_here(c));
	}
	return c->n;
}

/* `from`: behind the branch. */
static void branch_aim(struct code *c, size_t from, uint64_t target)
{
	uint32_t d = distance(c, c->vaddr + from, target);

	if (!c->near) {
		memcpy(c->p + from - sizeof(d), &d, sizeof(d));
		return;
	}
	c->p[from - 1] = (uint8_t)d;
	if ((int32_t)d != (int8_t)d)
		c->missed = true;
}

void code_branch_land(struct code *c, size_t from)
{
	branch_aim(c, from, code_here(c));
}

void code_branch_to(struct code *c, unsigned cond, uint64_t target)
{
	branch_aim(c, code_branch(c, cond), target);
}

void code_resolve(struct code *c, uint64_t rw_vaddr)
{
	for (size_t i = 0; i < c->nfix; i++) {
		const struct fixup *f = &c->fix[i];
		uint32_t d = distance(c, c->vaddr + f->next, rw_vaddr + f->rw);

		memcpy(c->p + f->at, &d, sizeof(d));
	}
}
