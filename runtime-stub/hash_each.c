/* SPDX-License-Identifier: MIT */
/* hash_each.c - all elements of a hash, for a callback that may change it.
 *
 * A bucket's elements are noted first, then shown, those that are still there:
 * what replaces one of them meanwhile is not met.  More than a few in one
 * bucket are rare; the search for the next few begins behind the last one that
 * is still there, else at the bucket again.
 *
 * What another thread writes just then may be shown or not, as in the kernel.
 */
#include <linux/bpf.h>

#include "runtime-stub/callback.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/table.h"

enum { FEW = 16 }; /* the stack is the target's */

struct noted { /* small: all of this stands on the target's stack */
	uint32_t low, state; /* of an element: its number + 1, and the low half */
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

static uint32_t note_few(struct table *t, uint64_t *from, struct noted *few)
{
	uint64_t *link, anchor, word, next, state;
	struct hash_elem *e;
	uint32_t n;

again:
	n = 0;
	link = from;
	anchor = word = load(link);
	while (!link_ends(word) && n < FEW) {
		e = elem_of(t, word);
		if (!e)
			return n;
		state = load(&e->state);
		next = load(&e->next);
		if (load(link) != anchor)
			goto again;
		if (!(next & LINK_MARK)) {
			few[n++] = (struct noted){ low_of(t, e),
						    (uint32_t)state };
			link = &e->next;
			anchor = next;
		}
		word = next;
	}
	return n;
}

struct tour {
	const struct region_map *m;
	uint64_t ctx, seen;
	callback_fn *call;
	const void *self;
	struct run *run;
	uint32_t steps; /* for all buckets together */
};

/* False: the callback wants no more, or has seen more than there can be. */
static bool show(struct tour *to, struct table *t, const struct noted *x)
{
	struct hash_elem *e = noted_elem(t, x);
	void *value = value_of(t, e);

	if (!still_there(t, x))
		return true;
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
			if (!show(to, t, &few[i]))
				return false;
		from = t->bucket;
		for (i = n; i-- > 0 && from == t->bucket;)
			if (still_there(t, &few[i]))
				from = &noted_elem(t, &few[i])->next;
	} while (n == FEW);
	return true;
}

uint64_t hash_each(const struct region_map *m, uint64_t ctx, callback_fn *call,
		   const void *self, struct run *run)
{
	struct tour to = { m, ctx, 0, call, self, run, table_steps(m) };

	for (uint32_t b = 0; b < m->buckets; b++) {
		struct table t = table_in(m, b);

		t.steps = to.steps;
		if (!show_bucket(&to, &t))
			break;
		to.steps = t.steps;
	}
	return to.seen;
}
