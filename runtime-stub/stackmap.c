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
 * So a chain is walked into an element that is nobody's, and then either linked
 * by one CAS, with which another one goes, or given back.  Readers copy an
 * element and believe it if its state and its bucket have not changed
 * meanwhile.
 *
 * The walk is most of the work, so who is killed has an element in hand more
 * often than in hash.c.  Until it is to be linked, an element says where its hash
 * and length will be whose it is: a pid, below its namespace, which is more than any
 * length.  Who finds the pool empty takes those of the dead.  Elsewhere who is
 * killed leaves an element unused, at most two, and hash_head.count one too
 * high, as in hash.c.
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

#include "runtime-stub/hash.h"
#include "runtime-stub/jhash.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/walk.h"

enum {
	TRIES = 64
};

struct search {
	const struct region_map *map;
	struct hash_head *head;
	uint8_t *pool;
	uint64_t *bucket;        /* the chain's */
	struct stack_elem *ours; /* NULL: it is in the map */
	uint32_t id, hash, n;
	uint32_t each; /* bytes of one address */
	bool ids, reserved;
	uint64_t flags;
	struct run *run;
};

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void give(const struct region_map *m, struct stack_elem *e)
{
	hash_elem_give(m, (struct hash_elem *)e);
}

/* What a bucket's word leads to, or NULL. */
static struct stack_elem *entry_at(const struct search *s, uint64_t word)
{
	uint32_t i = (uint32_t)word - 1;

	if (link_ends(word) || i >= s->map->max_entries + HASH_SPARE)
		return NULL;
	return (void *)(s->pool + (uint64_t)i * s->map->stride);
}

static uint32_t low_of(const struct search *s, const struct stack_elem *e)
{
	return (uint32_t)(((const uint8_t *)e - s->pool) / s->map->stride) + 1;
}

/* Where an element says whose it is: `hash` and `n` together. */
typedef uint64_t __attribute__((may_alias)) owner_word;
_Static_assert(offsetof(struct stack_elem, hash) % sizeof(owner_word) == 0,
	       "an owner is one word");

static owner_word *owner_of(struct stack_elem *e)
{
	return (owner_word *)&e->hash;
}

static struct stack_elem *take_dead(const struct search *s, uint64_t us)
{
	for (uint32_t i = 0; i < s->map->max_entries + HASH_SPARE; i++) {
		struct stack_elem *e = (void *)(s->pool +
						(uint64_t)i * s->map->stride);
		owner_word was =
			__atomic_load_n(owner_of(e), __ATOMIC_ACQUIRE);

		if (own_is_dead(was, us) &&
		    __atomic_compare_exchange_n(owner_of(e), &was, us, false,
						__ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return e;
	}
	return NULL;
}

/* An element that is ours, or NULL. */
static struct stack_elem *take(const struct search *s)
{
	struct hash_elem *e = hash_elem_take(s->map);
	struct stack_elem *ours = (struct stack_elem *)e;
	uint64_t us = own_self();

	if (!ours)
		return take_dead(s, us);
	__atomic_store_n(owner_of(ours), us, __ATOMIC_RELEASE);
	return ours;
}

static void give_ours(const struct search *s)
{
	__atomic_store_n(owner_of(s->ours), 0, __ATOMIC_RELEASE);
	give(s->map, s->ours);
}

/* Walk into our element.  0, or an error. */
static long chain_take(struct search *s, const struct hit *hit)
{
	struct stack_elem *e = s->ours;
	struct chain c = { .skip = s->flags & BPF_F_SKIP_FIELD_MASK,
			   .step = s->each / 8 };

	c.most = chain_most(s->map->value_size / s->each, c.skip);
	c.to = (any64 *)(e->chain +
			 (s->ids ? offsetof(struct bpf_stack_build_id, ip)
				 : 0));
	if (s->flags & BPF_F_USER_STACK)
		chain_walk(&c, hit, s->run);
	if (c.found <= c.skip)
		return -EFAULT;
	s->n = c.found - c.skip;
	s->hash = jhash_words(c.to, c.step, s->n);
	s->id = s->hash & (s->map->buckets - 1);
	s->bucket = (uint64_t *)(s->head + 1) + s->id;
	return 0;
}

/* Take room for one more.  False: the map is full. */
static bool reserve(struct search *s)
{
	uint64_t n = load(&s->head->count);

	while (!s->reserved && (int64_t)n < (int64_t)s->map->max_entries)
		s->reserved = __atomic_compare_exchange_n(
			&s->head->count, &n, n + 1, false, __ATOMIC_RELAXED,
			__ATOMIC_RELAXED);
	return s->reserved;
}

/* Put ours in the bucket, and out of it what was there. */
static bool publish(struct search *s, uint64_t word, struct stack_elem *old)
{
	uint64_t *next = &s->ours->next;

	__atomic_store_n(owner_of(s->ours), (uint64_t)s->n << 32 | s->hash,
			 __ATOMIC_RELEASE);
	__atomic_store_n(next, link_to(*next, LINK_END | s->id),
			 __ATOMIC_RELEASE);
	if (!__atomic_compare_exchange_n(
		    s->bucket, &word, link_to(word, low_of(s, s->ours)), false,
		    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	s->ours = NULL;
	s->reserved = old != NULL; /* one more is not needed then */
	if (old)
		give(s->map, old);
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
	return publish(s, word, e) ? (long)s->id : -EBUSY;
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
	uint8_t *data = weld_region + m->data;
	struct search s = {
		.map = m,
		.head = (struct hash_head *)data,
		.pool = data + hash_pool(m->buckets),
		.ids = m->flags & BPF_F_STACK_BUILD_ID,
		.flags = r3,
		.run = run,
	};
	long id;

	if (m->type != BPF_MAP_TYPE_STACK_TRACE ||
	    r3 & ~(uint64_t)(BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK |
			     BPF_F_FAST_STACK_CMP | BPF_F_REUSE_STACKID))
		return -EINVAL;
	s.each = s.ids ? sizeof(struct bpf_stack_build_id) : 8;
	s.ours = take(&s);
	if (!s.ours)
		return -ENOMEM;
	id = stack_id(&s, (const struct hit *)r1);
	if (s.ours)
		give_ours(&s);
	if (s.reserved)
		__atomic_fetch_sub(&s.head->count, 1, __ATOMIC_RELAXED);
	return (uint64_t)id;
}
