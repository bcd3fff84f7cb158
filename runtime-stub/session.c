/* SPDX-License-Identifier: MIT */
/* session.c - what a session's entry leaves to its return: eight bytes, and that
 * there is to be a return at all.
 *
 * A call of a function is known by where its return address stands, until it
 * has returned; so cells are found by that address and the session's number, in
 * a table of our own (a forked child has a copy).
 *
 *     key   0: free; else address | number << 48
 *     cell  is looked for in WAYS places, from its hash on
 *
 * A call that is left by longjmp or an exception leaves its cell behind.  The
 * next call with the same key takes it over; others may when it must be dead: it
 * is below our stack pointer, in what is surely the same stack.  When nothing is
 * free, the entry gets a cell that no return will find, and the return is
 * missed.
 */
#include "runtime-stub/stub.h"

struct cell {
	uint64_t cookie;
	uint64_t key;
};
enum { CELLS = 4096, WAYS = 16, SAME_STACK = 1 << 16 };

#pragma GCC visibility push(hidden)
struct cell *weld_session_begin(uint64_t at, uint32_t session);
struct cell *weld_session_find(uint64_t at, uint32_t session);
void weld_session_end(struct cell *c);
#pragma GCC visibility pop

static struct cell cells[CELLS];
static struct cell nobodys[64]; /* threads seldom share one */

static uint64_t key_of(uint64_t at, uint32_t session)
{
	return at | (uint64_t)session << 48;
}

static struct cell *way(uint64_t key, uint32_t i)
{
	uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	return &cells[(h + i) % CELLS];
}

static bool take(struct cell *c, uint64_t was, uint64_t key)
{
	return __atomic_compare_exchange_n(&c->key, &was, key, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

struct cell *weld_session_find(uint64_t at, uint32_t session)
{
	uint64_t key = key_of(at, session);

	for (uint32_t i = 0; i < WAYS; i++)
		if (__atomic_load_n(&way(key, i)->key, __ATOMIC_ACQUIRE) == key)
			return way(key, i);
	return NULL;
}

/* Left behind in the stack that we are on: further down than our caller. */
static bool is_dead(uint64_t key, uint64_t at)
{
	uint64_t where = key << 16 >> 16;

	return where < at && at - where < SAME_STACK;
}

static struct cell *cell_take(uint64_t key, uint64_t at)
{
	for (uint32_t i = 0; i < WAYS; i++)
		if (take(way(key, i), 0, key))
			return way(key, i);
	for (uint32_t i = 0; i < WAYS; i++) {
		struct cell *c = way(key, i);
		uint64_t was = __atomic_load_n(&c->key, __ATOMIC_RELAXED);

		if (is_dead(was, at) && take(c, was, key))
			return c;
	}
	return NULL;
}

struct cell *weld_session_begin(uint64_t at, uint32_t session)
{
	uint64_t key = key_of(at, session);
	struct region_count *n = (void *)(weld_region + weld_info.counts);
	struct cell *c = NULL;

	if (session < weld_info.probe_count) {
		c = weld_session_find(at, session);
		if (!c)
			c = cell_take(key, at);
		if (!c)
			__atomic_fetch_add(&n[session].misses, 1,
					   __ATOMIC_RELAXED);
	}
	if (!c)
		c = &nobodys[at / 4096 % 64];
	c->cookie = 0;
	return c;
}

void weld_session_end(struct cell *c)
{
	__atomic_store_n(&c->key, 0, __ATOMIC_RELEASE);
}
