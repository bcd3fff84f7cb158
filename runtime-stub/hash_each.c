/* SPDX-License-Identifier: MIT */
/* hash_each.c - all elements of a hash, for a callback that may change it.
 *
 * A few of a bucket's elements are noted, then shown.  One that is not there
 * when its turn comes was deleted, or replaced: then its key is in the list
 * again, and what has it now is shown.  (Memory that was an old element's may
 * be another one's by then, so the key is noted too: whole where it fits a
 * word, else as 64 bits of hash.)
 *
 * A new element takes the old one's place in the list, and new keys are put in
 * front.  So the next few are those behind whatever is where the last one was,
 * and none of these was shown.  If that was deleted, it is the one before it;
 * if all of them were, the bucket begins with what was behind.
 *
 * A key that the callback deletes and inserts again may be shown again, and in a
 * bucket of more than a few all that was shown since, as it stands in front of
 * what is to come: the walk ends at as many as there can be.  What another thread writes just then may be shown or not, as in the kernel.
 */
#include <linux/bpf.h>

#include "runtime-stub/callback.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/table.h"

enum { FEW = 8 }; /* the stack is the target's */

struct noted { /* small: all of this stands on the target's stack */
	uint32_t low, state; /* of an element: its number + 1, and the low half */
	uint64_t key;
};

static struct hash_elem *noted_elem(const struct table *t,
				    const struct noted *x)
{
	return (struct hash_elem *)(t->pool +
				    (uint64_t)(x->low - 1) * t->stride);
}

static bool still_there(const struct table *t, const struct noted *x)
{
	const struct hash_elem *e = noted_elem(t, x);

	return (uint32_t)load(&e->state) == x->state &&
	       !(load(&e->next) & LINK_MARK);
}

struct spot { /* as in layout.h: a link word that is not marked, and the next */
	uint64_t *link, anchor, word;
};

static struct spot spot_at(uint64_t *link)
{
	uint64_t word = load(link);

	return (struct spot){ link, word, word };
}

enum met { NO_MORE, MET, ASTRAY };

/* Note the next element that is in the list.  Each costs a step. */
static inline __attribute__((always_inline)) enum met
meet(struct table *t, struct spot *s, struct noted *x)
{
	uint64_t state, next;
	struct hash_elem *e;
	uint32_t low;

	while (!link_ends(s->word)) {
		e = elem_of(t, s->word);
		if (!e)
			return NO_MORE;
		state = load(&e->state);
		next = load(&e->next);
		if (load(s->link) != s->anchor)
			return ASTRAY;
		low = (uint32_t)s->word;
		s->word = next;
		if (next & LINK_MARK)
			continue;
		*x = (struct noted){ low, (uint32_t)state, 0 };
		s->link = &e->next;
		s->anchor = next;
		return MET;
	}
	return NO_MORE;
}

/* False: it was not its key, as it is gone. */
static bool note_key(const struct table *t, struct noted *x)
{
	const uint8_t *key = key_of(t, noted_elem(t, x));

	if (t->key_size == 8)
		x->key = load64(key);
	else if (t->key_size == 4)
		x->key = load32(key);
	else if (t->key_size < 8)
		x->key = load_part(key, t->key_size);
	else
		x->key = hash_word(key, t->key_size);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return still_there(t, x);
}

/* Of n that are noted, can one be replaced before it is shown?  One that is
 * alone cannot, and values for each CPU are changed where they are. */
static bool need_keys(const struct table *t, uint32_t n)
{
	return n > 1 && !map_is_percpu(t->m->type);
}

static uint32_t note_few(struct table *t, uint64_t *from, struct noted *few)
{
	struct spot s;
	enum met met;
	uint32_t n, i;

again:
	s = spot_at(from);
	for (n = 0; n < FEW; n++) {
		met = meet(t, &s, &few[n]);
		if (met == ASTRAY)
			goto again;
		if (met == NO_MORE)
			break;
	}
	for (i = 0; need_keys(t, n) && i < n; i++)
		if (!note_key(t, &few[i]))
			goto again;
	return n;
}

/* Note what has its key now. */
static __attribute__((noinline)) bool find_again(struct table *t,
						 struct noted *x)
{
	struct spot s = spot_at(t->bucket);
	struct noted y;
	enum met met;

	while ((met = meet(t, &s, &y)) != NO_MORE) {
		if (met == ASTRAY) {
			s = spot_at(t->bucket);
		} else if (note_key(t, &y) && y.key == x->key) {
			*x = y;
			return true;
		}
	}
	return false;
}

/* One of n: it, or another one in its place, which is noted then. */
static bool is_there(struct table *t, struct noted *x, uint32_t n)
{
	return still_there(t, x) ||
	       (need_keys(t, n) && find_again(t, x));
}

struct tour {
	const struct region_map *m;
	uint64_t ctx, seen;
	callback_fn *call;
	const void *self;
	struct run *run;
};

/* False: the callback wants no more, or has seen more than there can be. */
static bool show(struct tour *to, struct table *t, struct noted *x, uint32_t n)
{
	struct hash_elem *e;
	void *value;

	if (!is_there(t, x, n))
		return true;
	e = noted_elem(t, x);
	value = value_of(t, e);
	if (map_is_percpu(to->m->type))
		value = cpu_value(to->m, x->low - 1, to->run);
	if (!value)
		return false;
	to->seen++;
	return !to->call(to->self, (uint64_t)to->m, (uint64_t)key_of(t, e),
			 (uint64_t)value, to->ctx) &&
	       to->seen < t->elems;
}

static bool show_bucket(struct tour *to, struct table *t)
{
	struct noted few[FEW];
	uint64_t *from = t->bucket;
	uint32_t n, i;

	do {
		n = note_few(t, from, few);
		for (i = 0; i < n; i++)
			if (!show(to, t, &few[i], n))
				return false;
		from = t->bucket;
		for (i = n; n == FEW && i-- > 0 && from == t->bucket;)
			if (is_there(t, &few[i], n))
				from = &noted_elem(t, &few[i])->next;
	} while (n == FEW);
	return true;
}

/* For all buckets together: as many again for a callback that replaces all the
 * others: in a full map one is found in 1.5 steps, as keys are spread. */
static uint32_t steps_for(const struct region_map *m)
{
	uint64_t steps = table_steps(m) + 2 * (uint64_t)m->max_entries;

	return steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX;
}

uint64_t hash_each(const struct region_map *m, uint64_t ctx, callback_fn *call,
		   const void *self, struct run *run)
{
	struct tour to = { m, ctx, 0, call, self, run };
	struct table t = table_in(m, 0);

	t.steps = steps_for(m);
	for (uint32_t b = 0; b < m->buckets; b++, t.bucket++)
		if (!link_ends(load(t.bucket)) && !show_bucket(&to, &t))
			break;
	return to.seen;
}
