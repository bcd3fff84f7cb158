/* SPDX-License-Identifier: MIT */
/* place.c - see place.h.  What a way is like does not depend on the run. */
#include "place.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	APART_MIN = JUDGE_STACK + 64,
	APART_STEPS = 64,
	ROOM = JUDGE_FRAMES * (APART_MIN + 8 * APART_STEPS)
};
#define LOW (UINT64_C(1) << 32)
#define HIGH (UINT64_C(1) << 47)

struct chance {
	uint64_t x;
};

static uint64_t chance(struct chance *c)
{
	uint64_t v = c->x += UINT64_C(0x9e3779b97f4a7c15);

	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

static uint64_t address(struct chance *c)
{
	return LOW + chance(c) % (HIGH - 2 * LOW) / PAGE * PAGE;
}

/* `size` bytes somewhere, 8 aligned, and no more than that. */
static void *somewhere(struct chance *c, size_t size)
{
	void *p = mmap((void *)address(c), size + PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return (uint8_t *)p + chance(c) % (PAGE / 8) * 8;
}

/* Upwards or downwards. */
static void place_frames(struct chance *c, bool up, uint8_t **frame)
{
	uint8_t *start = somewhere(c, ROOM);
	uint64_t apart = APART_MIN + 8 * (chance(c) % APART_STEPS);

	for (uint32_t k = 0; k < JUDGE_FRAMES; k++)
		frame[k] = start + apart * (up ? k : JUDGE_FRAMES - 1 - k);
}

const struct place *place_of(uint32_t way)
{
	static struct place place[PLACES];
	struct place *p = &place[way];
	struct chance c = { .x = way };

	if (p->ctx)
		return p;
	p->ctx = somewhere(&c, sizeof(*p->ctx));
	place_frames(&c, way & 1, p->frame);
	p->below = 8 * (uint32_t)(chance(&c) % PAGE);
	p->code = address(&c) + chance(&c) % PAGE;
	p->ip = chance(&c) % HIGH;
	p->sp = chance(&c) % HIGH / 8 * 8;
	p->fill = (uint8_t)chance(&c);
	return p;
}
