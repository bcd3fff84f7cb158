/* SPDX-License-Identifier: MIT */
/* hold.c - the elements of a hash that are not in it, and the hands of the dead.
 *
 * As in the kernel, max_entries elements are for keys: a key that is new takes
 * one, and the map is full when there is none.  HASH_SPARE more are spare ones,
 * one for each holder: an update of a key that is there puts the spare one in
 * its element's place, which is the spare one then.
 *
 *      free ones  <-->  held  -->  in the map  -->  out  -->  free ones
 *                       spare -->                   out  -->  spare
 *
 * Before an element leaves a place where others find it, its holder mentions it,
 * and until it is in one again.  So an element that is in no list, no stack and
 * no living holder was in the hands of one that was killed: orphan() says so if
 * that is true before and after all places were searched, and the element, whose
 * state or link would have changed had it moved, is as it was.  Nothing else
 * needs to be known of how far the dead one had come.
 *
 * Whoever needs an element or a holder and finds none looks for dead holders:
 * takes one over, sees what became of what it mentions, and has it or lets it go.
 * One does so at a time, as an element may be mentioned by two dead ones; others
 * do not wait for it, but have found nothing.  What cannot be decided, because a
 * stack changed all the time, is left for the next one.
 */
#include <linux/bpf.h>

#include "runtime-stub/hold.h"
#include "runtime-stub/sys.h"

enum { PATIENCE = 32, SEARCHES = 4 };

static uint32_t told(const uint32_t *where)
{
	return __atomic_load_n(where, __ATOMIC_ACQUIRE);
}

static uint32_t number_of(const struct table *t, const struct hash_holder *h)
{
	return (uint32_t)(h - t->head->holder);
}

static bool is_dead(uint64_t owner, uint64_t us)
{
	return owner && owner != us && own_is_dead(owner, us);
}

/* --- Stacks of free elements. */

static uint64_t *stack_of(const struct table *t, uint64_t state)
{
	return state & STATE_SPARE ? &t->head->spare : &t->head->free;
}

void hold_give(const struct table *t, uint32_t low)
{
	struct hash_elem *e = hold_elem(t, low);
	uint64_t kind = load(&e->state) & STATE_SPARE, top;
	uint64_t *stack = stack_of(t, kind);

	store(&e->state, state_next(load(&e->state), kind | STATE_QUEUED));
	do {
		top = load(stack);
		store(&e->next, link_to(load(&e->next), (uint32_t)top));
	} while (!swap(stack, top, link_to(top, low)));
}

static uint32_t pop(const struct table *t, struct hash_holder *h,
		    uint64_t *stack, uint64_t kind)
{
	for (int i = 0; i < POOL_STEPS; i++) {
		uint64_t top = load(stack), next;
		uint32_t low = (uint32_t)top;
		struct hash_elem *e;

		if (!low || low > t->elems)
			break;
		e = hold_elem(t, low);
		mention(&h->held, low);
		next = load(&e->next);
		if (!swap(stack, top, link_to(top, (uint32_t)next)))
			continue;
		store(&e->state, state_next(load(&e->state), kind));
		return low;
	}
	mention(&h->held, 0);
	return 0;
}

static uint32_t take_fresh(const struct table *t, struct hash_holder *h)
{
	uint64_t n;

	while ((n = load(&t->head->taken)) < t->m->max_entries) {
		mention(&h->held, (uint32_t)n + 1);
		if (swap(&t->head->taken, n, n + 1))
			return (uint32_t)n + 1;
	}
	mention(&h->held, 0);
	return 0;
}

/* --- What the dead had in their hands. */

enum answer { NO, YES, UNKNOWN };

/* Has another one that lives this element in its hands?  UNKNOWN: it may have
 * only wanted to, and somebody was faster. */
static enum answer is_mentioned(const struct table *t,
				const struct hash_holder *us, uint32_t low,
				uint64_t self)
{
	enum answer is = NO;

	for (const struct hash_holder *h = t->head->holder;
	     h < t->head->holder + HASH_SPARE; h++) {
		uint64_t owner = load(&h->owner);

		if (h == us || is_dead(owner, self))
			continue;
		if (told(&h->spare) == low)
			return YES;
		if (owner && (told(&h->held) == low || told(&h->out) == low))
			is = UNKNOWN;
	}
	return is;
}

/* Is it in the list that begins at this word?  `bucket`: what it belongs to. */
static enum answer is_linked(const struct table *t, uint64_t *from,
			     uint32_t low)
{
	for (int i = 0; i < SEARCHES; i++) {
		uint64_t *link = from, anchor = load(link), word = anchor;
		uint32_t left = t->elems;

		while (!link_ends(word) && left--) {
			struct hash_elem *e;
			uint64_t next;

			if ((uint32_t)word > t->elems)
				return UNKNOWN;
			if ((uint32_t)word == low && load(link) == anchor)
				return YES;
			e = hold_elem(t, (uint32_t)word);
			next = load(&e->next);
			if (load(link) != anchor)
				break;
			if (!(next & LINK_MARK)) {
				link = &e->next;
				anchor = next;
			}
			word = next;
		}
		if (link_ends(word) && load(link) == anchor)
			return NO;
	}
	return UNKNOWN;
}

/* The stack stands still where its top, whose tag counts, does. */
static enum answer is_queued(const struct table *t, uint64_t *stack,
			     uint32_t low)
{
	for (int i = 0; i < SEARCHES; i++) {
		uint64_t top = load(stack), word = top;
		uint32_t left = t->elems;

		while ((uint32_t)word && (uint32_t)word != low &&
		       (uint32_t)word <= t->elems && left--)
			word = load(&hold_elem(t, (uint32_t)word)->next);
		if (load(stack) == top)
			return (uint32_t)word == low ? YES : NO;
	}
	return UNKNOWN;
}

static uint64_t *bucket_of(const struct table *t, struct hash_elem *e)
{
	uint32_t hash =
		t->m->type == BPF_MAP_TYPE_STACK_TRACE
			? ((struct stack_elem *)e)->hash
			: hash_key((uint8_t *)e + t->key_at, t->m->key_size);

	return (uint64_t *)(t->head + 1) + (hash & (t->m->buckets - 1));
}

static enum answer is_placed(const struct table *t, uint32_t low,
			     uint64_t state)
{
	struct hash_elem *e = hold_elem(t, low);

	if (state & STATE_IN)
		return is_linked(t, bucket_of(t, e), low);
	if (state & STATE_QUEUED)
		return is_queued(t, stack_of(t, state), low);
	/* Never taken, from the end where all are fresh? */
	return !state && low <= t->m->max_entries &&
			       low > load(&t->head->taken)
		       ? YES
		       : NO;
}

static enum answer orphan(const struct table *t, const struct hash_holder *us,
			  uint32_t low, uint64_t self)
{
	struct hash_elem *e = hold_elem(t, low);
	uint64_t state = load(&e->state), next = load(&e->next);
	enum answer other = is_mentioned(t, us, low, self);

	if (other == NO)
		other = is_placed(t, low, state);
	if (other == NO)
		other = is_mentioned(t, us, low, self);
	if (other != NO)
		return other == YES ? NO : UNKNOWN;
	return load(&e->state) == state && load(&e->next) == next ? YES : NO;
}

/* An orphan's kind: what it was, or what it was marked as.  Then it is in
 * nobody's hands but ours. */
static uint64_t adopt(const struct table *t, uint32_t low)
{
	struct hash_elem *e = hold_elem(t, low);
	uint64_t state = load(&e->state), next = load(&e->next);
	uint64_t kind = state & STATE_SPARE;

	if (state & STATE_IN && next & LINK_MARK)
		kind = next & LINK_REPLACED ? STATE_SPARE : 0;
	store(&e->state, state_next(state, kind));
	return kind;
}

/* False: it cannot be told yet. */
static bool resolve(const struct table *t, struct hash_holder *h,
		   uint32_t *where, uint64_t self)
{
	uint32_t low = told(where);
	enum answer is = NO;

	if (low && low <= t->elems)
		is = orphan(t, h, low, self);
	if (is == UNKNOWN)
		return false;
	if (is == YES) {
		if (adopt(t, low) && where == &h->spare)
			return true;
		hold_give(t, low);
	}
	if (low)
		mention(where, where == &h->spare ? HOLD_NONE : 0);
	return true;
}

/* Is this holder ours now, with nothing in its hands? */
static bool recover(const struct table *t, struct hash_holder *h, uint64_t self)
{
	uint64_t owner = load(&h->owner);

	if (!is_dead(owner, self) || !swap(&h->owner, owner, self))
		return false;
	if (resolve(t, h, &h->held, self) && resolve(t, h, &h->out, self) &&
	    resolve(t, h, &h->spare, self))
		return true;
	store(&h->owner, owner); /* the next one may succeed */
	return false;
}

/* The first of the dead that there is; NULL: there is none, or another one
 * looks. */
static struct hash_holder *recover_one(const struct table *t, uint64_t self)
{
	uint64_t *mine = &t->head->recoverer, was = load(mine);
	struct hash_holder *h = t->head->holder, *end = h + HASH_SPARE;

	while (h < end && !is_dead(load(&h->owner), self))
		h++;
	if (h == end || (was && !is_dead(was, self)) || !swap(mine, was, self))
		return NULL;
	while (h < end && !recover(t, h, self))
		h++;
	store(mine, 0);
	return h < end ? h : NULL;
}

uint32_t hold_take(const struct table *t, struct hash_holder *h)
{
	struct hash_holder *dead;
	uint32_t low;

	for (;;) {
		low = pop(t, h, &t->head->free, 0);
		if (!low)
			low = take_fresh(t, h);
		if (low)
			return low;
		dead = recover_one(t, own_writer());
		if (!dead)
			return 0;
		hold_release(dead);
	}
}

uint32_t hold_spare(const struct table *t, struct hash_holder *h)
{
	uint32_t low = told(&h->spare);

	if (!low) {
		low = t->m->max_entries + number_of(t, h) + 1;
		store(&hold_elem(t, low)->state, STATE_SPARE);
	}
	if (low == HOLD_NONE)
		low = pop(t, h, &t->head->spare, STATE_SPARE);
	if (!low || low > t->elems)
		return 0;
	mention(&h->spare, low);
	mention(&h->held, 0);
	return low;
}

struct hash_holder *hold_claim_any(const struct table *t)
{
	struct hash_holder *all = t->head->holder, *dead;
	uint64_t self = own_writer();
	uint32_t first = hold_first();

	for (int i = 0; i < PATIENCE; i++) {
		for (uint32_t n = 0; n < HASH_SPARE; n++) {
			struct hash_holder *h = &all[(first + n) % HASH_SPARE];

			if (!load(&h->owner) && swap(&h->owner, 0, self))
				return h;
		}
		dead = recover_one(t, self);
		if (dead)
			return dead;
		sys0(__NR_sched_yield);
	}
	return NULL;
}
