/* SPDX-License-Identifier: MIT */
/* stackmap.c - bpf_get_stackid and STACK_TRACE maps: call chains by number, as
 * kernel/bpf/stackmap.c has them.
 *
 * A chain's number is the low bits of its hash.  The map lies as a HASH does
 * (layout.h) with lists of one element, in the bucket of that number; an
 * element's key is hash and length:
 *
 *     bucket[id] --> next, state, hash, n, n addresses or build ids
 *
 * So a chain is walked into a holder's spare element (hold.c), and if it is new,
 * copied to one of the max_entries, which one CAS links, with which another one
 * goes.  Readers copy an element and believe it if its state and its bucket have
 * not changed meanwhile.
 *
 *   flags that do not exist                -EINVAL
 *   no address, or fewer than skip         -EFAULT
 *   the same chain is there                its number
 *     or one of the same hash, with BPF_F_FAST_STACK_CMP
 *   another one is, no BPF_F_REUSE_STACKID -EEXIST
 *   max_entries chains are there           -ENOMEM, also to reuse a number
 *     of build ids                         -ENOMEM, even if it is there
 *
 * Programs can do nothing else with such a map (check_map_func_compatibility()
 * in kernel/bpf/verifier.c).
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/hold.h"
#include "runtime-stub/jhash.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/walk.h"

enum {
	TRIES = 64
};

struct search {
	struct table t;
	struct hash_holder *holder;
	uint64_t *bucket;        /* the chain's */
	struct stack_elem *ours; /* where it is */
	uint32_t id, hash, n;
	uint32_t each; /* bytes of one address */
	bool ids;
	uint32_t room; /* number + 1 of an element for it, or 0 */
	uint64_t flags;
	struct run *run;
};

/* What a bucket's word leads to, or NULL. */
static struct stack_elem *entry_at(const struct search *s, uint64_t word)
{
	if (link_ends(word) || (uint32_t)word > s->t.elems)
		return NULL;
	return (void *)hold_elem(&s->t, (uint32_t)word);
}

/* Walk into our element.  0, or an error. */
static long chain_take(struct search *s, const struct hit *hit)
{
	struct stack_elem *e = s->ours;
	struct chain c = { .skip = s->flags & BPF_F_SKIP_FIELD_MASK,
			   .step = s->each / 8 };

	c.most = chain_most(s->t.m->value_size / s->each, c.skip);
	c.to = (any64 *)(e->chain +
			 (s->ids ? offsetof(struct bpf_stack_build_id, ip)
				 : 0));
	if (s->flags & BPF_F_USER_STACK)
		chain_walk(&c, hit, s->run);
	if (c.found <= c.skip)
		return -EFAULT;
	e->n = s->n = c.found - c.skip;
	e->hash = s->hash = jhash_words(c.to, c.step, s->n);
	s->id = s->hash & (s->t.m->buckets - 1);
	s->bucket = (uint64_t *)(s->t.head + 1) + s->id;
	return 0;
}

/* Take room for one more.  False: the map is full. */
static bool reserve(struct search *s)
{
	if (!s->room)
		s->room = hold_take(&s->t, s->holder);
	return s->room;
}

static void drop(struct search *s, uint32_t low, uint32_t *where)
{
	if (low)
		hold_give(&s->t, low);
	mention(where, 0);
}

/* Put a copy in the bucket, and out of it what was there. */
static bool publish(struct search *s, uint64_t word, uint32_t old)
{
	struct stack_elem *e = (void *)hold_elem(&s->t, s->room);

	e->hash = s->hash;
	e->n = s->n;
	mem_copy(e->chain, s->ours->chain, (uint64_t)s->n * s->each);
	store(&e->next, link_to(e->next, LINK_END | s->id));
	store(&e->state, e->state | STATE_IN);
	mention(&s->holder->out, old);
	if (!swap(s->bucket, word, link_to(word, s->room))) {
		mention(&s->holder->out, 0);
		return false;
	}
	s->room = 0;
	mention(&s->holder->held, 0);
	drop(s, old, &s->holder->out);
	return true;
}

static bool same_hash(const struct search *s)
{
	uint64_t word = load(s->bucket);
	const struct stack_elem *e = entry_at(s, word);

	return e && e->hash == s->hash && load(s->bucket) == word;
}

/* The chain's number, or an error; -EBUSY: the bucket has changed. */
static long settle(struct search *s)
{
	uint64_t word = load(s->bucket);
	struct stack_elem *e = entry_at(s, word);
	bool same = e && e->hash == s->hash && e->n == s->n &&
		    mem_equal(e->chain, s->ours->chain,
			      (uint64_t)s->n * s->each);

	if (load(s->bucket) != word)
		return -EBUSY;
	if (same)
		return s->id;
	if (e && !(s->flags & BPF_F_REUSE_STACKID))
		return -EEXIST;
	if (!reserve(s))
		return -ENOMEM;
	return publish(s, word, e ? (uint32_t)word : 0) ? (long)s->id : -EBUSY;
}

static long stack_id(struct search *s, const struct hit *hit)
{
	long id = chain_take(s, hit);

	if (id)
		return id;
	if (s->flags & BPF_F_FAST_STACK_CMP && same_hash(s))
		return s->id;
	if (s->ids && !reserve(s))
		return -ENOMEM;
	if (s->ids)
		chain_build_ids((void *)s->ours->chain, s->n);
	for (int i = 0; i < TRIES; i++) {
		id = settle(s);
		if (id != -EBUSY)
			break;
	}
	return id;
}

DEFINE_HELPER(get_stackid)
{
	const struct region_map *m = (const void *)r2;
	struct search s = {
		.t = table_in(m, 0),
		.ids = m->flags & BPF_F_STACK_BUILD_ID,
		.flags = r3,
		.run = run,
	};
	uint32_t spare;
	long id;

	if (m->type != BPF_MAP_TYPE_STACK_TRACE ||
	    r3 & ~(uint64_t)(BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK |
			     BPF_F_FAST_STACK_CMP | BPF_F_REUSE_STACKID))
		return -EINVAL;
	s.each = s.ids ? sizeof(struct bpf_stack_build_id) : 8;
	s.holder = hold_claim(&s.t);
	spare = s.holder ? hold_spare(&s.t, s.holder) : 0;
	s.ours = spare ? (void *)hold_elem(&s.t, spare) : NULL;
	id = s.ours ? stack_id(&s, (const struct hit *)r1) : -ENOMEM;
	if (s.room)
		drop(&s, s.room, &s.holder->held);
	if (s.holder)
		hold_release(s.holder);
	return (uint64_t)id;
}
