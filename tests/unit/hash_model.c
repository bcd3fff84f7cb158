/* SPDX-License-Identifier: MIT */
/* The stub's HASH maps under every schedule with few preemptions.
 *
 * hash.c is compiled here with a hook in front of each access to shared memory.
 * Two or three threads, as coroutines, run short scripts; a run follows a plan
 * that says before which accesses who goes on instead, and who is killed there.
 * All plans are tried, up to a number of preemptions (a signal handler is one
 * that comes back when the handler is done).  After each run
 *
 *   results   are those of the operations one after another, in some order in
 *             which none comes before one that had ended when it began
 *   table     is whole: links, keys and elements
 *   elements  are in the map, free or some holder's, each once, when what killed
 *             threads held is recovered
 *
 * HASH_MODEL_DEPTH=3 tries one preemption more: for soak runs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HASH_SPARE 3 /* holders, one a thread */
#include "runtime-stub/hash.h"
#include "runtime-stub/stub.h"
#include "tests/unit/schedule.h"

static bool value_swap(uint64_t *state, uint64_t is, uint64_t was, uint64_t v)
{
	schedule_step();
	if (state[0] != is || state[1] != was)
		return false;
	state[1] = v;
	return true;
}

// clang-format off
#define __atomic_load_n(p, order)      (schedule_step(), *(p))
#define __atomic_store_n(p, v, order)  (schedule_step(), (void)(*(p) = (v)))
#define __atomic_fetch_add(p, v, order) (schedule_step(), (*(p) += (v)) - (v))
#define __atomic_fetch_sub(p, v, order) (schedule_step(), (*(p) -= (v)) + (v))
#define __atomic_compare_exchange_n(p, was, v, weak, yes, no) \
	(schedule_step(), *(p) == *(was) ? (*(p) = (v), true)                  \
					 : (*(was) = *(p), false))
#define value_swap value_swap
#define mem_copy(to, from, n)          (schedule_step(), (mem_copy)(to, from, n))
#define load64(p)                      (schedule_step(), (load64)(p))
// clang-format on
#define hold_first() 0
#include "runtime-stub/hold.c"
#include "runtime-stub/hash.c"
#include "runtime-stub/hash_each.c"
#undef load64

enum {
	THREADS = 3,
	OPS = 3,
	KEYS = 3,
	MAX = 3, /* max_entries, at most */
	BUCKETS = 2,
};
const struct weld_info weld_info;

/* (PERCPU_HASH is tested from end to end.) */
void *cpu_value(const struct region_map *m, uint64_t index, struct run *run)
{
	(void)m, (void)index, (void)run;
	return NULL;
}

bool cpu_put(const struct region_map *m, uint64_t index, const void *value,
	     struct run *run)
{
	(void)m, (void)index, (void)value, (void)run;
	return false;
}

/* Who looks at what is left when all have run is one more. */
uint64_t own_writer(void)
{
	return s.running ? s.now + 1 : THREADS + 1;
}

bool own_is_dead(uint64_t owner, uint64_t us)
{
	return owner != us && owner <= THREADS && s.dead[owner - 1];
}

uint8_t weld_region[4096] __attribute__((aligned(4096)));
static struct region_map map;
static uint32_t max_entries = 2;
/* Keys 1 and 2 share a bucket, key 3 has one for itself. */
static uint64_t real_key[KEYS + 1];

enum verb { END, INSERT, UPDATE, EXIST, PUT, DELETE, LOOKUP, WALK };
struct op {
	enum verb verb;
	uint64_t key;
};
struct done {
	struct op op;
	uint64_t begin, end; /* steps; end 0: killed in it */
	int64_t result;      /* LOOKUP: 0 or -ENOENT; WALK: how often each key
				was shown, a byte a key */
};

static struct {
	uint32_t gone;
	struct op script[THREADS][OPS + 1];
	struct done done[THREADS * OPS + 8];
	uint32_t ndone;
} m;

static uint64_t shown(const void *self, uint64_t m, uint64_t key, uint64_t value,
		      uint64_t sum)
{
	uint64_t id = KEYS;

	(void)self, (void)m, (void)value;
	while (id && real_key[id] != *(const uint64_t *)key)
		id--;
	*(int64_t *)sum += INT64_C(1) << 8 * id;
	return 0;
}

static int64_t walk_all(void)
{
	int64_t sum = 0;

	hash_each(&map, (uint64_t)&sum, shown, NULL, NULL);
	return sum;
}

/* A value: the key's number, and which operation wrote it. */
static int64_t perform(struct op op, uint64_t serial)
{
	static const uint64_t flags[] = { [INSERT] = BPF_NOEXIST,
					  [UPDATE] = BPF_ANY,
					  [EXIST] = BPF_EXIST };
	uint64_t key = real_key[op.key], value = op.key | serial << 8;

	switch (op.verb) {
	case DELETE:
		return hash_delete(&map, &key);
	case LOOKUP:
		return hash_lookup(&map, &key) ? 0 : -ENOENT;
	case WALK:
		return walk_all();
	case PUT:
		return hash_put(&map, &key, &value, BPF_ANY);
	default:
		return hash_update(&map, &key, &value, flags[op.verb]);
	}
}

static void run_op(struct op op)
{
	struct done *d = &m.done[m.ndone++];

	*d = (struct done){ .op = op, .begin = s.steps };
	d->result = perform(op, m.ndone);
	d->end = ++s.steps;
}

static void run_script(void)
{
	for (const struct op *o = m.script[s.now]; o->verb; o++)
		run_op(*o);
}

/* --- one run ----------------------------------------------------------- */

/* What is there when the threads start; deletions leave free elements. */
static const struct op histories[][6] = {
	{ { END, 0 } },
	{ { INSERT, 1 } },
	{ { INSERT, 1 }, { INSERT, 2 } },
	{ { INSERT, 2 }, { INSERT, 1 }, { DELETE, 2 } },
	{ { INSERT, 2 }, { INSERT, 1 }, { DELETE, 2 }, { DELETE, 1 } },
};

static void choose_keys(void)
{
	uint64_t k = 0;

	for (int id = 1; id <= KEYS; id++) {
		do
			k++;
		while ((hash_key(&k, 8) & (BUCKETS - 1)) != (id == 3));
		real_key[id] = k;
	}
}

static uint32_t elems_of(void)
{
	return map.max_entries + HASH_SPARE;
}

static void start(const struct op *history, uint32_t gone)
{
	struct hash_head *h = (struct hash_head *)weld_region;

	map = (struct region_map){
		.type = BPF_MAP_TYPE_HASH,
		.key_size = 8,
		.value_size = 8,
		.max_entries = max_entries,
		.key_at = hash_key_at(BPF_MAP_TYPE_HASH, 8),
		.stride = hash_stride(BPF_MAP_TYPE_HASH, 8, 8, 0),
		.buckets = BUCKETS,
	};
	memset(weld_region, 0, hash_pool(BUCKETS) + elems_of() * map.stride);
	m.gone = gone;
	for (uint32_t i = 0; gone && i < HASH_SPARE; i++)
		h->holder[i].spare = HOLD_NONE;
	memset(s.dead, 0, sizeof(s.dead));
	m.ndone = 0;
	s.steps = 0;
	s.running = false;
	for (; history->verb; history++)
		run_op(*history);
	s.steps = 0;
}

static void run(const struct op *history, uint32_t gone)
{
	start(history, gone);
	s.mortal = THREADS;
	schedule_run(run_script);
}

/* --- is it right ------------------------------------------------------- */

static bool writes(const struct done *d)
{
	return d->op.verb != LOOKUP && d->op.verb != WALK;
}

/* How many keys others may be about to put in or have just taken out. */
static uint32_t in_hands(const struct done *d)
{
	uint32_t n = 0;

	for (const struct done *o = m.done; o < m.done + m.ndone; o++)
		n += o != d && writes(o) &&
		     (!o->end || o->end > d->begin) && o->begin < d->end;
	return n;
}

/* Keys and values: a byte a key, 0 or THERE and who wrote it. */
enum { THERE = 0x80 };

static bool is_in(uint32_t have, uint64_t key)
{
	return have >> 8 * key & THERE;
}

static uint32_t how_many(uint32_t have)
{
	return (uint32_t)__builtin_popcount(have & THERE * 0x01010101u);
}

/* What is there all the while is shown, once; what is not, is not.  A key that
 * somebody writes meanwhile may be shown or not. */
static bool walk_follows(const struct done *d, uint32_t have)
{
	for (uint32_t key = 1; key <= KEYS; key++) {
		const struct done *o = m.done, *end = o + m.ndone;

		while (o < end && (!writes(o) || o->op.key != key ||
				   (o->end && o->end <= d->begin) ||
				   o->begin >= d->end))
			o++;
		if (o == end &&
		    (d->result >> 8 * key & 0xff) != is_in(have, key))
			return false;
	}
	return true;
}

/* An operation on the keys `have`: may it give d's result? */
static bool follows(const struct done *d, uint32_t *have)
{
	uint32_t at = 8 * (uint32_t)d->op.key;
	bool there = is_in(*have, d->op.key);
	int64_t want = 0;

	switch (d->op.verb) {
	case WALK:
		return !d->end || walk_follows(d, *have);
	case LOOKUP:
		want = there ? 0 : -ENOENT;
		break;
	case DELETE:
		want = there ? 0 : -ENOENT;
		*have &= ~(0xffu << at);
		break;
	default:
		if (there && d->op.verb == INSERT)
			want = -EEXIST;
		else if (!there && d->op.verb == EXIST)
			want = -ENOENT;
		else if (!there && d->result == -E2BIG)
			return how_many(*have) + in_hands(d) >= max_entries;
		else
			*have = (*have & ~(0xffu << at)) |
				(uint32_t)(THERE | (d - m.done + 1)) << at;
		if (how_many(*have) > max_entries)
			return false;
	}
	return !d->end || d->result == want;
}

/* Is there an order that explains all results and ends with `final`? */
static bool explained(uint32_t left, uint32_t have, uint32_t final)
{
	if (!left)
		return have == final;
	for (uint32_t i = 0; i < m.ndone; i++) {
		uint32_t now = have;
		bool first = left >> i & 1;

		for (uint32_t k = 0; k < m.ndone && first; k++)
			first = !(left >> k & 1) || !m.done[k].end ||
				m.done[k].end > m.done[i].begin;
		if (!first)
			continue;
		if (!m.done[i].end && explained(left & ~(1u << i), have, final))
			return true;
		if (follows(&m.done[i], &now) &&
		    explained(left & ~(1u << i), now, final))
			return true;
	}
	return false;
}

static const char *elem_fault(const struct hash_elem *e, uint32_t bucket,
			      uint32_t *keys)
{
	const uint8_t *p = (const uint8_t *)e;
	uint64_t key = *(const uint64_t *)(p + map.key_at);
	uint64_t value = *(const uint64_t *)(p + hash_value_at(&map)), id = 1;

	if (!(e->state & 1))
		return "a free element is linked";
	while (id <= KEYS && real_key[id] != key)
		id++;
	if (id > KEYS || (id == 3) != bucket)
		return "a key is in another's list";
	if ((value & 0xff) != id)
		return "a value is another key's";
	if (e->next & LINK_MARK)
		return NULL;
	if (is_in(*keys, id))
		return "a key is there twice";
	*keys |= (uint32_t)(THERE | value >> 8) << 8 * id;
	return NULL;
}

/* NULL, or what is wrong with the table; *keys: what is in it. */
static const char *table_fault(uint32_t *keys, uint32_t *waste)
{
	struct hash_head *h = (struct hash_head *)weld_region;
	uint64_t *bucket = (uint64_t *)(h + 1), w;
	uint8_t *pool = weld_region + hash_pool(BUCKETS);
	bool seen[MAX + HASH_SPARE + 1] = { false };
	const char *bad;
	struct hash_elem *e;
	uint32_t live;

	*keys = *waste = 0;
	for (uint32_t b = 0; b < BUCKETS; b++)
		for (w = bucket[b]; !link_ends(w); w = e->next) {
			e = (void *)(pool + ((uint32_t)w - 1) * map.stride);
			if ((uint32_t)w > elems_of() || seen[(uint32_t)w])
				return "the list is a circle";
			seen[(uint32_t)w] = true;
			bad = elem_fault(e, b, keys);
			if (bad)
				return bad;
			*waste += (e->next & LINK_MARK) != 0;
		}
	for (w = h->free; (uint32_t)w; w = e->next) {
		e = (void *)(pool + ((uint32_t)w - 1) * map.stride);
		if ((uint32_t)w > elems_of() || seen[(uint32_t)w])
			return "a free element is there twice";
		seen[(uint32_t)w] = true;
	}
	live = how_many(*keys);
	return live > max_entries ? "more keys than max_entries" : NULL;
}

static uint8_t places[MAX + HASH_SPARE + 1]; /* where an element is */

/* All in a list, by kind: the map's, or spare ones. */
static void count_list(uint64_t word, uint32_t kind, uint32_t n[2])
{
	while (!link_ends(word)) {
		uint32_t low = (uint32_t)word;

		word = *(uint64_t *)(weld_region + hash_pool(BUCKETS) +
				     (low - 1) * map.stride);
		places[low]++;
		n[kind == 2 ? (word & LINK_REPLACED) != 0 : kind]++;
	}
}

/* NULL, or what is wrong with where elements are. */
static const char *pool_fault(uint32_t gone)
{
	struct hash_head *h = (struct hash_head *)weld_region;
	struct table t = table_in(&map, 0);
	struct hash_holder *x;
	uint32_t n[2] = { 0, 0 };

	while ((x = recover_one(&t, own_writer())))
		hold_release(x);
	memset(places, 0, sizeof(places));
	for (uint32_t b = 0; b < BUCKETS; b++)
		count_list(((uint64_t *)(h + 1))[b], 2, n);
	count_list(h->free, 0, n);
	count_list(h->spare, 1, n);
	for (uint32_t i = 0; i < HASH_SPARE; i++) {
		x = &h->holder[i];
		if (x->owner || x->held || x->out)
			return "somebody's hands are not empty";
		if (x->spare == HOLD_NONE)
			continue;
		places[x->spare ? x->spare : max_entries + i + 1]++;
		n[1]++;
	}
	for (uint32_t low = (uint32_t)h->taken + 1; low <= max_entries; low++) {
		places[low]++;
		n[0]++;
	}
	for (uint32_t low = 1; low <= max_entries + (gone ? 0 : HASH_SPARE);
	     low++)
		if (places[low] != 1)
			return places[low] ? "an element is in two places"
					   : "an element is lost";
	if (n[0] != max_entries || n[1] != (gone ? 0 : HASH_SPARE))
	return "a spare element is none, or another one is";
	return NULL;
}

static void tell(const char *what)
{
	static const char *const verb[] = { "",	      "insert", "update",
					    "exist", "put", "delete", "lookup",
					    "walk" };

	schedule_tell();
	for (uint32_t i = 0; i < m.ndone; i++)
		printf("%s %d: steps %d..%d, result %d\n",
		       verb[m.done[i].op.verb], (int)m.done[i].op.key,
		       (int)m.done[i].begin, (int)m.done[i].end,
		       (int)m.done[i].result);
	fail_msg("%s", what);
}

static uint64_t runs, most_waste;

static void check(uint32_t gone)
{
	uint32_t keys, waste;
	const char *bad = table_fault(&keys, &waste);

	runs++;
	if (waste > most_waste)
		most_waste = waste;
	if (bad)
		tell(bad);
	bad = pool_fault(gone);
	if (bad)
		tell(bad);
	if (!explained((1u << m.ndone) - 1, 0, keys))
		tell("no order explains the results");
}

/* All plans that continue the present one. */
static void explore(const struct op *history, uint32_t gone, uint32_t depth,
		    uint32_t kills)
{
	struct preempt *p = &s.plan[s.nplan];
	uint64_t from = s.nplan ? p[-1].at + 1 : 1, steps;

	p->at = 0;
	run(history, gone);
	check(gone);
	steps = s.steps;
	if (!depth)
		return;
	s.nplan++;
	for (uint64_t at = from; at <= steps; at++)
		for (uint32_t to = 0; to + 1 < s.nthread; to++) {
			*p = (struct preempt){ .at = at, .to = to };
			explore(history, gone, depth - 1, kills);
			if (!kills)
				continue;
			*p = (struct preempt){ .at = at, .to = to, .kill = 1 };
			explore(history, gone, depth - 1, kills - 1);
		}
	s.nplan--;
	*p = (struct preempt){ 0 };
}

static uint32_t depth_of(uint32_t usual)
{
	const char *more = getenv("HASH_MODEL_DEPTH");

	return more ? (uint32_t)atoi(more) - 2 + usual : usual;
}

static const struct op scripts[][OPS + 1] = {
	{ { INSERT, 1 } },
	{ { DELETE, 1 } },
	{ { UPDATE, 1 } },
	{ { PUT, 1 } },
	{ { LOOKUP, 1 } },
	{ { EXIST, 1 }, { LOOKUP, 1 } },
	{ { INSERT, 2 }, { DELETE, 1 } },
	{ { DELETE, 1 }, { INSERT, 1 } },
	{ { UPDATE, 2 }, { LOOKUP, 1 } },
	{ { DELETE, 2 }, { UPDATE, 1 } },
	{ { UPDATE, 1 }, { DELETE, 1 } },
	{ { INSERT, 3 } },
	{ { PUT, 1 }, { DELETE, 1 } },
	{ { DELETE, 2 }, { PUT, 1 } },
	{ { DELETE, 1 }, { INSERT, 3 } },
	{ { INSERT, 1 }, { INSERT, 2 }, { DELETE, 1 } },
	{ { WALK, 0 } },
	{ { UPDATE, 3 }, { WALK, 0 } },
};
enum { SCRIPTS = sizeof(scripts) / sizeof(*scripts) };
enum { HISTORIES = sizeof(histories) / sizeof(*histories) };

static void take_script(uint32_t thread, uint32_t script)
{
	memcpy(m.script[thread], scripts[script], sizeof(scripts[script]));
}

static void two_threads(uint32_t gone, uint32_t depth, bool kill)
{
	memset(&m, 0, sizeof(m));
	s.nthread = 2;
	max_entries = 2 + !kill - (gone > 0);
	for (uint32_t h = 0; h < HISTORIES; h++)
		for (uint32_t a = 0; a < SCRIPTS; a++)
			for (uint32_t b = kill ? 0 : a; b < SCRIPTS; b++) {
				take_script(0, a);
				take_script(1, b);
				explore(histories[h], gone, depth, kill ? 2 : 0);
			}
}

static void two_threads_agree(void **state)
{
	(void)state;
	two_threads(0, depth_of(2), false);
}

static void a_killed_thread_takes_nothing_with_it(void **state)
{
	(void)state;
	two_threads(0, depth_of(2), true);
}

/* As where all are in the hands of those that can be told from nobody. */
static void without_spare_elements(void **state)
{
	(void)state;
	two_threads(true, depth_of(2), false);
	two_threads(true, depth_of(2), true);
}

static void three_threads_agree(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	s.nthread = 3;
	max_entries = 2;
	for (uint32_t h = 0; h < HISTORIES; h++)
		for (uint32_t a = 0; a < 6; a++)
			for (uint32_t b = a; b < SCRIPTS; b++)
				for (uint32_t c = 0; c < 5; c++) {
					take_script(0, a);
					take_script(1, b);
					take_script(2, c);
					explore(histories[h], 0,
						depth_of(1), 0);
				}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_threads_agree),
		cmocka_unit_test(a_killed_thread_takes_nothing_with_it),
		cmocka_unit_test(without_spare_elements),
		cmocka_unit_test(three_threads_agree),
	};
	int ret;

	choose_keys();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	printf("%d runs, at most %d dead elements left linked\n", (int)runs,
	       (int)most_waste);
	return ret;
}
