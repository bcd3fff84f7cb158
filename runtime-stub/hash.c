/* SPDX-License-Identifier: MIT */
/* hash.c - HASH maps and their kin: lock-free lists in shared memory (layout.h).
 *
 * Processes may be killed between any two instructions here, so there is no
 * lock, and every step leaves a table that is whole:
 *
 *   insert   take an element from the pool, write it, make its state odd,
 *            link it in front of its bucket with one CAS
 *   replace  the same, but linked with the CAS that marks the old element:
 *
 *              pred --> old -----> succ       pred --> old* -> new --> succ
 *
 *   put      or, where nobody could tell, write over a value that stands beside
 *            the state: one CAS on both
 *
 *   delete   mark: a CAS on the element's own next
 *   both     then unlink what is marked: a CAS on its predecessor
 *
 * Keys are unique because the CAS on the bucket word fails if anything was
 * put in front since the list was searched: the word's tag counts.  A marked
 * next never changes again, so nothing can be linked behind a deleted element.
 * Whoever meets a marked element while writing unlinks it and, having done so,
 * owns it: it goes back to the pool.  Lookups write nothing.
 *
 * hash_head.count is taken before a new key is linked and given back after one
 * was marked: -E2BIG exactly when max_entries keys are there.  A process killed
 * in between leaves it off by one, and two elements unused, at most;
 * HASH_SPARE elements make up for that and for those in writers' hands.  With
 * none left an update writes over the old value: readers may see half of a long
 * one, and when just then the key is deleted and another one put in its place,
 * that one gets a word of the value.  So it is in programs that write to what
 * bpf_map_lookup_elem() gave them, under the kernel as well.
 *
 * PERCPU_HASH: elements have no value; it is at the element's number among each
 * CPU's values, and an update writes it there.  A new element's are zeroed first.
 *
 * LRU_HASH: a full table gives up an element that was not looked up since the
 * hand of a clock last passed it (a word behind the value).  The kernel's lists
 * do the same with other words: which element goes is nobody's promise.
 *
 * tests/unit/hash_model.c tries all schedules of two or three threads.
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/look.h"

struct place {
	uint64_t first;        /* the bucket's word when the search began */
	uint64_t *link;        /* the word that leads to */
	uint64_t word;         /* (its value) */
	struct hash_elem *elem;
	uint64_t next, state;  /* of the element, when it was found */
};

/* One try costs a step even where it read nothing. */
static inline void spend(struct table *t)
{
	t->steps -= t->steps != 0;
}

static inline uint8_t *elem_at(const struct region_map *m, uint32_t low)
{
	return weld_region + m->data + hash_pool(m->buckets) +
	       (uint64_t)(low - 1) * m->stride;
}

static inline void *value_at(const struct region_map *m, uint32_t low)
{
	if (!low)
		return NULL;
	return elem_at(m, low) + hash_value_at(m);
}

void *hash_lookup(const struct region_map *m, const void *key)
{
	return value_at(m, seek_any(m, key));
}

void *percpu_hash_lookup(const struct region_map *m, const void *key,
			 struct run *run)
{
	uint32_t low = seek_any(m, key);

	return low ? cpu_value(m, low - 1, run) : NULL;
}

/* --- LRU: the word behind the value says that it was looked up. */

static bool is_lru(const struct region_map *m)
{
	return m->type == BPF_MAP_TYPE_LRU_HASH ||
	       m->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static uint64_t *used(const struct region_map *m, uint32_t low)
{
	return (uint64_t *)(elem_at(m, low) + m->stride) - 1;
}

static uint32_t seek_used(const struct region_map *m, const void *key)
{
	uint32_t low = seek_any(m, key);

	if (low && !load(used(m, low)))
		store(used(m, low), 1);
	return low;
}

void *lru_hash_lookup(const struct region_map *m, const void *key)
{
	return value_at(m, seek_used(m, key));
}

void *lru_percpu_hash_lookup(const struct region_map *m, const void *key,
			     struct run *run)
{
	uint32_t low = seek_used(m, key);

	return low ? cpu_value(m, low - 1, run) : NULL;
}

static struct pool pool_of(struct table *t)
{
	return (struct pool){ &t->head->free, &t->head->taken, t->pool,
			      t->stride, t->elems };
}

static void give_back(struct table *t, struct hash_elem *e)
{
	struct pool p = pool_of(t);

	store(&e->state, e->state + 1);
	pool_give(&p, low_of(t, e));
}

static struct hash_elem *take(struct table *t)
{
	struct pool p = pool_of(t);
	uint32_t low = pool_take(&p);

	return low ? (struct hash_elem *)pool_at(&p, low) : NULL;
}

/* Take a marked element out; then it is ours. */
static bool take_out(struct table *t, struct place *p)
{
	uint64_t word = link_to(p->word, (uint32_t)p->next);

	if (!swap(p->link, p->word, word))
		return false;
	give_back(t, p->elem);
	p->word = word;
	return true;
}

enum found { GONE_ASTRAY = -1, NOT_FOUND, FOUND };

/* Find the key; what is marked on the way is taken out. */
static enum found find(struct table *t, struct place *p, const void *key)
{
	struct hash_elem *e;

	p->link = t->bucket;
	p->first = p->word = load(t->bucket);
	while (!link_ends(p->word)) {
		p->elem = e = elem_of(t, p->word);
		if (!e)
			return GONE_ASTRAY;
		p->state = load(&e->state);
		p->next = load(&e->next);
		if (load(p->link) != p->word)
			return GONE_ASTRAY;
		if (p->next & LINK_MARK) {
			if (!take_out(t, p))
				return GONE_ASTRAY;
			continue;
		}
		if (key_is(t, e, key))
			return load(&e->state) == p->state ? FOUND
							   : GONE_ASTRAY;
		p->link = &e->next;
		p->word = p->next;
	}
	return load(p->link) == p->word ? NOT_FOUND : GONE_ASTRAY;
}

/* Mark the element found and let it lead to `low`; then take it out, or let
 * a second search do so. */
static bool remove_found(struct table *t, struct place *p, uint32_t low,
			 const void *key)
{
	uint64_t next = link_to(p->next, low) | LINK_MARK;

	if (!swap(&p->elem->next, p->next, next))
		return false;
	p->next = next;
	if (!take_out(t, p))
		find(t, p, key);
	return true;
}

/* Room for one more key?  Takes it. */
static bool reserve(struct hash_head *h, uint64_t max)
{
	uint64_t n = load(&h->count);

	do {
		if ((int64_t)n >= (int64_t)max)
			return false;
	} while (!__atomic_compare_exchange_n(&h->count, &n, n + 1, false,
					      __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

static void release(struct hash_head *h)
{
	__atomic_fetch_sub(&h->count, 1, __ATOMIC_RELAXED);
}

/* Give up an element that was not used lately.  It may have been freed, and its
 * key be another one's, while we look: then it is found elsewhere, or not.  The
 * steps are those of the update that wants room. */
static bool evict(const struct region_map *m, uint32_t *steps)
{
	struct table t = table_of(m, NULL, 0);
	uint32_t low;

	for (uint64_t n = 2 * (uint64_t)t.elems; n && *steps; n--) {
		struct hash_elem *e;
		struct place p;
		uint64_t state;
		void *key;

		low = (uint32_t)(__atomic_fetch_add(&t.head->hand, 1,
						    __ATOMIC_RELAXED) %
				 t.elems) + 1;
		e = (struct hash_elem *)elem_at(m, low);
		state = load(&e->state);
		if (!(state & 1) || load(&e->next) & LINK_MARK)
			continue;
		if (load(used(m, low))) {
			store(used(m, low), 0);
			continue;
		}
		key = key_of(&t, e);
		t = table_of(m, key, m->key_size);
		t.steps = *steps;
		if (find(&t, &p, key) == FOUND && p.elem == e &&
		    p.state == state &&
		    remove_found(&t, &p, (uint32_t)p.next, key)) {
			release(t.head);
			return true;
		}
		spend(&t);
		*steps = t.steps;
	}
	return false;
}

/* Room for one more key?  Takes it. */
static bool reserve_or_evict(struct table *t, const struct region_map *m)
{
	do
		if (reserve(t->head, m->max_entries))
			return true;
	while (is_lru(m) && evict(m, &t->steps));
	return false;
}

static void prepare_percpu(const struct region_map *m, uint32_t low,
			   const void *value, struct run *run)
{
	uint8_t *first = weld_region + m->values +
			 (uint64_t)(low - 1) * m->value_stride;

	for (uint32_t i = 0; i < weld_info.cpu_count; i++)
		mem_zero(first + i * weld_info.cpu_stride, m->value_stride);
	cpu_put(m, low - 1, value, run);
}

static struct hash_elem *prepare(struct table *t, const struct region_map *m,
				 const void *key, const void *value,
				 struct run *run)
{
	struct hash_elem *e = take(t);

	if (!e)
		return NULL;
	mem_copy(key_of(t, e), key, t->key_size);
	if (map_is_percpu(m->type))
		prepare_percpu(m, low_of(t, e), value, run);
	else
		mem_copy(value_of(t, e), value, m->value_size);
	if (is_lru(m))
		store(used(m, low_of(t, e)), 0);
	store(&e->state, e->state + 1);
	return e;
}

/* A value beside its element's state is changed where it is, if the element is
 * still what was found.  When the key was deleted or replaced just then, and the
 * element is not yet freed, that came right after this. */
#ifndef value_swap /* hash_model.c has its own */
static inline bool value_swap(uint64_t *state, uint64_t is, uint64_t was,
			      uint64_t value)
{
	struct {
		uint64_t state, value;
	} *p = (void *)state;
	uint64_t high = was;
	bool done;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(done), "+m"(*p), "+a"(is), "+d"(high)
			 : "b"(is), "c"(value)
			 : "memory");
	return done;
}
#endif

static uint64_t value_word(uint64_t was, const uint8_t *value, uint32_t size)
{
	uint64_t part = (UINT64_C(1) << 8 * size) - 1;

	return (was & ~part) | load_part(value, size);
}

static inline __attribute__((always_inline)) bool
put_there(const struct seen *s, const void *value, uint32_t size)
{
	uint64_t was = load((uint64_t *)s->elem->data);
	uint64_t v = size == 8
			     ? load64(value)
			     : value_word(was, value, size);

	return value_swap(&s->elem->state, s->state, was, v);
}

/* Write over the value of the element found, where it is.  False: the element
 * was freed meanwhile. */
static bool overwrite(struct table *t, const struct place *p,
		      const uint8_t *value, uint32_t size, uint32_t type)
{
	uint8_t *to = value_of(t, p->elem);
	struct seen seen = { p->elem, p->state };

	if (hash_beside(type, size)) {
		while (load(&p->elem->state) == p->state && t->steps) {
			if (put_there(&seen, value, size))
				return true;
			spend(t);
		}
		return false;
	}
	for (uint32_t at = 0; at < size; at += 8) {
		if (load(&p->elem->state) != p->state)
			return false;
		mem_copy(to + at, value + at, size - at < 8 ? size - at : 8);
	}
	return true;
}

/* Link e in front of the bucket, whose word was `first`. */
static bool insert(struct table *t, struct hash_elem *e, uint64_t first)
{
	store(&e->next, link_to(e->next, link_ends(first) ? t->end
							  : (uint32_t)first));
	return swap(t->bucket, first, link_to(first, low_of(t, e)));
}

static bool replace(struct table *t, struct hash_elem *e, struct place *p,
		    const void *key)
{
	store(&e->next, link_to(e->next, (uint32_t)p->next));
	return remove_found(t, p, low_of(t, e), key);
}

/* What the flags say of a key that is there, or is not. */
static long forbidden(uint64_t flags, enum found f)
{
	if (f == FOUND)
		return flags == BPF_NOEXIST ? -EEXIST : 0;
	return flags == BPF_EXIST ? -ENOENT : 0;
}

static long update(const struct region_map *m, const void *key,
		   const void *value, uint64_t flags, struct run *run)
{
	bool percpu = map_is_percpu(m->type);
	struct table t = table_of(m, key, m->key_size);
	struct hash_elem *e = NULL;
	bool reserved = false;
	struct place p;
	enum found f;
	long ret = -EBUSY;

	if (flags > BPF_EXIST)
		return -EINVAL;
	for (; t.steps; spend(&t)) {
		f = find(&t, &p, key);
		if (f == GONE_ASTRAY)
			continue;
		ret = forbidden(flags, f);
		if (ret)
			break;
		ret = f == FOUND ? -EBUSY : -E2BIG;
		if (f == NOT_FOUND && !reserved) {
			reserved = reserve_or_evict(&t, m);
			if (!reserved)
				break;
		}
		if (f == FOUND && percpu) {
			cpu_put(m, (uint32_t)p.word - 1, value, run);
			ret = 0;
			break;
		}
		if (!e)
			e = prepare(&t, m, key, value, run);
		if (!e && f == NOT_FOUND) {
			if (is_lru(m) && evict(m, &t.steps))
				continue;
			break;
		}
		if (!e && !overwrite(&t, &p, value, m->value_size, m->type))
			continue;
		if (!e) {
			ret = 0;
			break;
		}
		if (f == NOT_FOUND && insert(&t, e, p.first))
			return 0;
		if (f == FOUND && replace(&t, e, &p, key)) {
			e = NULL;
			ret = 0;
			break;
		}
		ret = -EBUSY;
	}
	if (e)
		give_back(&t, e);
	if (reserved)
		release(t.head);
	return ret;
}

long hash_update(const struct region_map *m, const void *key, const void *value,
		 uint64_t flags)
{
	return update(m, key, value, flags, NULL);
}

/* --- Where nobody in this run has the address of an old value (step_put() in
 * rewriter/code/values.c), it is changed where it is.  In the kernel an update
 * brings a new element, and who has looked the old one up goes on to see that.
 * (Not in LRU_HASH: which element goes would depend on the engine.) */

/* Where an element has two words and a key of one, much is constant. */
static inline __attribute__((always_inline)) struct table
table_beside(const struct region_map *m, const void *key, uint32_t key_size)
{
	struct table t = table_of(m, key, key_size);

	t.stride = sizeof(struct hash_elem) + 8 + 8;
	t.key_at = sizeof(struct hash_elem) + 8;
	return t;
}

/* (Where others change the value meanwhile, it is replaced after all.) */
static __attribute__((noinline)) long put(const struct region_map *m,
					  const void *key, const void *value,
					  uint64_t flags)
{
	uint32_t size = m->key_size, low = 0;
	struct seen seen;

	if (flags == BPF_ANY || flags == BPF_EXIST)
		low = walk_of(table_of(m, key, size), key, &seen);
	if (!low || low == (uint32_t)NO_ANSWER || 
	    !put_there(&seen, value, m->value_size))
		return hash_update(m, key, value, flags);
	return 0;
}

static inline __attribute__((always_inline)) long
put_sized(const struct region_map *m, const void *key, const void *value,
	  uint32_t key_size)
{
	struct table t = table_beside(m, key, key_size);
	struct seen seen;
	uint32_t low = look(&t, key, &seen);

	if (low && low != (uint32_t)NO_ANSWER &&
	    value_swap(&seen.elem->state, seen.state,
		       load((uint64_t *)seen.elem->data), load64(value)))
		return 0;
	return put(m, key, value, BPF_ANY);
}

long hash_put(const struct region_map *m, const void *key, const void *value,
	      uint64_t flags)
{
	if (flags == BPF_ANY && m->value_size == 8 && m->key_size == 4)
		return put_sized(m, key, value, 4);
	if (flags == BPF_ANY && m->value_size == 8 && m->key_size == 8)
		return put_sized(m, key, value, 8);
	return put(m, key, value, flags);
}

long percpu_hash_update(const struct region_map *m, const void *key,
			const void *value, uint64_t flags, struct run *run)
{
	uint32_t low;

	if (!cpu_value(m, 0, run))
		return -EBUSY;
	low = flags == BPF_ANY || flags == BPF_EXIST ? seek_any(m, key) : 0;
	if (low) {
		cpu_put(m, low - 1, value, run);
		return 0;
	}
	return update(m, key, value, flags, run);
}

static __attribute__((noinline)) long delete_it(const struct region_map *m,
						const void *key)
{
	struct table t = table_of(m, key, m->key_size);
	struct place p;

	for (; t.steps; spend(&t)) {
		switch (find(&t, &p, key)) {
		case NOT_FOUND:
			return -ENOENT;
		case FOUND:
			if (!remove_found(&t, &p, (uint32_t)p.next, key))
				continue;
			release(t.head);
			return 0;
		case GONE_ASTRAY:
			continue;
		}
	}
	return -EBUSY;
}

/* What is not there costs no more than a lookup. */
long hash_delete(const struct region_map *m, const void *key)
{
	uint32_t size = m->key_size, low;
	struct seen seen;
	struct table t;

	if (size == 4) {
		t = table_of(m, key, 4);
		low = look(&t, key, &seen);
	} else {
		low = walk_of(table_of(m, key, size), key, &seen);
	}
	return low ? delete_it(m, key) : -ENOENT;
}

/* --- The pool, for maps that lie as ours do (stackmap.c). */

struct hash_elem *hash_elem_take(const struct region_map *m)
{
	struct table t = table_of(m, NULL, 0);
	struct hash_elem *e = take(&t);

	if (e)
		store(&e->state, e->state + 1);
	return e;
}

void hash_elem_give(const struct region_map *m, struct hash_elem *e)
{
	struct table t = table_of(m, NULL, 0);

	give_back(&t, e);
}
