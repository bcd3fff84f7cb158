/* SPDX-License-Identifier: MIT */
/* hash.c - HASH maps and their kin: lock-free lists in shared memory (layout.h).
 *
 * Processes may be killed between any two instructions here, so there is no
 * lock, and every step leaves a table that is whole:
 *
 *   insert   take an element that is free, write it, make its state odd,
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
 * owns it: it is free then.  Lookups write nothing.
 *
 * hold.c has the elements that are not in the map: a key that is new takes one of
 * max_entries, -E2BIG says that there is none, and what the dead had comes back.
 * An update that finds no spare element writes over the old value: readers may
 * see half of a long one, and when just then the key is deleted and another one
 * put in its place, that one gets a word of the value.  So it is in programs that
 * write to what bpf_map_lookup_elem() gave them, under the kernel as well.
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
#include "runtime-stub/hold.h"
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

/* Take a marked element out; then it is ours, to be freed. */
static bool take_out(struct table *t, struct hash_holder *h, struct place *p)
{
	uint64_t word = link_to(p->word, (uint32_t)p->next);
	uint32_t low = low_of(t, p->elem);
	bool spare = p->next & LINK_REPLACED;

	mention(&h->out, low);
	if (swap(p->link, p->word, word)) {
		p->word = word;
		store(&p->elem->state, state_next(load(&p->elem->state),
						  spare ? STATE_SPARE : 0));
		if (spare && h->spare == HOLD_NONE)
			mention(&h->spare, low);
		else
			hold_give(t, low);
		mention(&h->out, 0);
		return true;
	}
	mention(&h->out, 0);
	return false;
}

enum found { GONE_ASTRAY = -1, NOT_FOUND, FOUND };

/* Find the key; what is marked on the way is taken out. */
static enum found find(struct table *t, struct hash_holder *h, struct place *p,
		       const void *key)
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
			if (!take_out(t, h, p))
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
static bool mark(struct table *t, struct hash_holder *h, struct place *p,
		 uint64_t next, const void *key)
{
	if (!swap(&p->elem->next, p->next, next))
		return false;
	p->next = next;
	if (next & LINK_REPLACED)
		mention(&h->spare, HOLD_NONE); /* it is in the map */
	if (!take_out(t, h, p))
		find(t, h, p, key);
	return true;
}

static bool remove_found(struct table *t, struct hash_holder *h,
			 struct place *p, const void *key)
{
	return mark(t, h, p, link_to(p->next, (uint32_t)p->next) | LINK_MARK,
		    key);
}

/* Give up an element that was not used lately.  It may have been freed, and its
 * key be another one's, while we look: then it is found elsewhere, or not.  The
 * steps are those of the update that wants room. */
static bool evict(const struct region_map *m, struct hash_holder *h,
		  uint32_t *steps)
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
		if (find(&t, h, &p, key) == FOUND && p.elem == e &&
		    p.state == state && remove_found(&t, h, &p, key))
			return true;
		spend(&t);
		*steps = t.steps;
	}
	return false;
}

/* An element for one more key; 0: the map is full. */
static uint32_t take(struct table *t, struct hash_holder *h)
{
	uint32_t low;

	for (;; spend(t)) {
		low = hold_take(t, h);
		if (low || !t->steps || !is_lru(t->m) ||
		    !evict(t->m, h, &t->steps))
			return low;
	}
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

/* Write an element of ours. */
static struct hash_elem *prepare(struct table *t, uint32_t low, const void *key,
				 const void *value, struct run *run)
{
	struct hash_elem *e = hold_elem(t, low);
	uint64_t state = load(&e->state);

	if (state & STATE_IN) /* it was to be in the map, before */
		store(&e->state, state = state_next(state, state & STATE_SPARE));
	mem_copy(key_of(t, e), key, t->key_size);
	if (map_is_percpu(t->m->type))
		prepare_percpu(t->m, low, value, run);
	else
		mem_copy(value_of(t, e), value, t->m->value_size);
	if (is_lru(t->m))
		store(used(t->m, low), 0);
	store(&e->next, link_to(load(&e->next), t->end));
	store(&e->state, state | STATE_IN);
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

/* `spare`: e is none of those for keys, and the old one will be none. */
static bool replace(struct table *t, struct hash_holder *h,
		    struct hash_elem *e, bool spare, struct place *p,
		    const void *key)
{
	uint64_t next = link_to(p->next, low_of(t, e)) | LINK_MARK;

	store(&e->next, link_to(e->next, (uint32_t)p->next));
	return mark(t, h, p, spare ? next | LINK_REPLACED : next, key);
}

/* What the flags say of a key that is there, or is not. */
static long forbidden(uint64_t flags, enum found f)
{
	if (f == FOUND)
		return flags == BPF_NOEXIST ? -EEXIST : 0;
	return flags == BPF_EXIST ? -ENOENT : 0;
}

struct change {
	const void *key, *value;
	uint64_t flags;
	struct run *run;
	struct hash_elem *ours; /* taken for a new key, and prepared */
};
enum { AGAIN = 1 };

static long change_found(struct table *t, struct hash_holder *h,
			 struct place *p, struct change *c)
{
	const struct region_map *m = t->m;
	struct hash_elem *e = c->ours;
	uint32_t spare;

	if (map_is_percpu(m->type)) {
		cpu_put(m, (uint32_t)p->word - 1, c->value, c->run);
		return 0;
	}
	if (e) {
		if (!replace(t, h, e, false, p, c->key))
			return AGAIN;
		c->ours = NULL;
		mention(&h->held, 0);
		return 0;
	}
	spare = hold_spare(t, h);
	if (!spare)
		return overwrite(t, p, c->value, m->value_size, m->type)
			       ? 0
			       : AGAIN;
	e = prepare(t, spare, c->key, c->value, c->run);
	return replace(t, h, e, true, p, c->key) ? 0 : AGAIN;
}

static long change_new(struct table *t, struct hash_holder *h, struct place *p,
		       struct change *c)
{
	uint32_t low;

	if (!c->ours) {
		low = take(t, h);
		if (!low)
			return -E2BIG;
		c->ours = prepare(t, low, c->key, c->value, c->run);
	}
	if (!insert(t, c->ours, p->first))
		return AGAIN;
	c->ours = NULL;
	mention(&h->held, 0);
	return 0;
}

static long change(struct table *t, struct hash_holder *h, struct change *c)
{
	long ret = -EBUSY;
	struct place p;
	enum found f;

	for (; t->steps; spend(t)) {
		f = find(t, h, &p, c->key);
		if (f == GONE_ASTRAY)
			continue;
		ret = forbidden(c->flags, f);
		if (ret)
			return ret;
		ret = f == FOUND ? change_found(t, h, &p, c)
				 : change_new(t, h, &p, c);
		if (ret != AGAIN)
			return ret;
		ret = -EBUSY;
	}
	return ret;
}

static long update(const struct region_map *m, const void *key,
		   const void *value, uint64_t flags, struct run *run)
{
	struct table t = table_of(m, key, m->key_size);
	struct change c = { key, value, flags, run, NULL };
	struct hash_holder *h;
	long ret;

	if (flags > BPF_EXIST)
		return -EINVAL;
	h = hold_claim(&t);
	if (!h)
		return -EBUSY;
	ret = change(&t, h, &c);
	if (c.ours) {
		hold_give(&t, low_of(&t, c.ours));
		mention(&h->held, 0);
	}
	hold_release(h);
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

static long delete_held(struct table *t, struct hash_holder *h, const void *key)
{
	struct place p;

	for (; t->steps; spend(t)) {
		switch (find(t, h, &p, key)) {
		case NOT_FOUND:
			return -ENOENT;
		case FOUND:
			if (remove_found(t, h, &p, key))
				return 0;
			continue;
		case GONE_ASTRAY:
			continue;
		}
	}
	return -EBUSY;
}

static __attribute__((noinline)) long delete_it(const struct region_map *m,
						const void *key)
{
	struct table t = table_of(m, key, m->key_size);
	struct hash_holder *h = hold_claim(&t);
	long ret;

	if (!h)
		return -EBUSY;
	ret = delete_held(&t, h, key);
	hold_release(h);
	return ret;
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
