/* SPDX-License-Identifier: MIT */
/* The stub's HASH maps, compiled for the host: results one by one, threads
 * against each other, and processes killed in the middle of it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime-stub/hash.c"
#include "runtime-stub/hold.c"
#include "runtime-stub/hash_each.c"

enum { REGION = 1 << 20 };
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

uint64_t own_writer(void)
{
	return UINT64_C(1) << 32 | (uint32_t)getpid();
}

bool own_is_dead(uint64_t owner, uint64_t us)
{
	(void)us;
	return kill((pid_t)owner, 0) != 0;
}

uint8_t weld_region[REGION] __attribute__((aligned(4096)));

struct value {
	uint64_t of_key, serial;
};

static struct region_map map;

/* A fresh map in shared memory, behind nothing. */
static void make(uint32_t key_size, uint32_t value_size, uint32_t max)
{
	void *p = mmap(weld_region, REGION, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	assert_ptr_equal(p, weld_region);
	map = (struct region_map){
		.type = BPF_MAP_TYPE_HASH,
		.key_size = key_size,
		.value_size = value_size,
		.max_entries = max,
		.key_at = hash_key_at(BPF_MAP_TYPE_HASH, value_size),
		.stride = hash_stride(BPF_MAP_TYPE_HASH, key_size,
				      value_size, 0),
		.buckets = 1,
	};
	while (map.buckets < max)
		map.buckets *= 2;
	map.size = hash_pool(map.buckets) + (max + HASH_SPARE) * map.stride;
	assert_true(map.size <= REGION);
}

/* Walk everything: every element in its own bucket, no key twice.  Returns how
 * many keys there are. */
static uint64_t whole(bool quiet)
{
	struct hash_head *h = (struct hash_head *)weld_region;
	uint64_t *bucket = (uint64_t *)(h + 1);
	uint8_t *pool = weld_region + hash_pool(map.buckets);
	uint64_t n = 0, linked = 0, w;
	struct hash_elem *e;
	uint8_t *key;

	for (uint32_t b = 0; b < map.buckets; b++) {
		for (w = bucket[b]; !link_ends(w); w = e->next) {
			uint64_t i = (uint32_t)w - 1;

			assert_true(i < map.max_entries + HASH_SPARE);
			e = (void *)(pool + i * map.stride);
			assert_true(++linked <= map.max_entries + HASH_SPARE);
			assert_int_equal(e->state & 1, 1);
			if (e->next & LINK_MARK)
				continue;
			key = (uint8_t *)e + map.key_at;
			assert_int_equal(hash_key(key, map.key_size) &
						 (map.buckets - 1),
					 b);
			if (quiet)
				assert_ptr_equal(hash_lookup(&map, key),
						 (uint8_t *)e +
							 hash_value_at(&map));
			n++;
		}
		assert_true((uint32_t)w == (LINK_END | b) || !bucket[b]);
	}
	return n;
}

static uint32_t note_list(uint8_t *places, uint64_t w)
{
	uint8_t *pool = weld_region + hash_pool(map.buckets);
	uint32_t n = 0;

	for (; !link_ends(w); n++) {
		assert_int_equal(places[(uint32_t)w]++, 0);
		w = *(uint64_t *)(pool + ((uint32_t)w - 1) * map.stride);
	}
	return n;
}

/* How many elements are in no place, once what the dead held is recovered. */
static uint32_t lost(uint32_t *recovered)
{
	static uint8_t places[1 << 16];
	struct hash_head *h = (struct hash_head *)weld_region;
	struct table t = table_in(&map, 0);
	uint32_t all = map.max_entries + HASH_SPARE, n;
	struct hash_holder *x;

	for (*recovered = 0; (x = recover_one(&t, own_writer())); ++*recovered)
		hold_release(x);
	memset(places, 0, sizeof(places));
	n = note_list(places, h->free) + note_list(places, h->spare) +
	    map.max_entries - (uint32_t)h->taken;
	for (uint32_t b = 0; b < map.buckets; b++)
		n += note_list(places, ((uint64_t *)(h + 1))[b]);
	for (uint32_t i = 0; i < HASH_SPARE; i++) {
		x = &h->holder[i];
		assert_true(!x->owner && !x->held && !x->out);
		if (x->spare == HOLD_NONE)
			continue;
		n++;
		assert_int_equal(
			places[x->spare ? x->spare : map.max_entries + i + 1]++,
			0);
	}
	return all - n;
}

static void results_are_the_kernels(void **state)
{
	uint32_t sizes[] = { 1, 3, 4, 7, 8, 12, 16, 23, 32 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint8_t k[32] = { 1 }, other[32] = { 2 }, third[32] = { 3 };
		struct value v = { 7, 8 }, w = { 9, 10 };

		k[sizes[i] - 1] = other[sizes[i] - 1] = third[sizes[i] - 1] = 9;
		k[0] = 1, other[0] = 2, third[0] = 3;
		make(sizes[i], sizeof(v), 2);
		assert_null(hash_lookup(&map, k));
		assert_int_equal(hash_delete(&map, k), -ENOENT);
		assert_int_equal(hash_update(&map, k, &v, BPF_EXIST), -ENOENT);
		assert_int_equal(hash_update(&map, k, &v, BPF_NOEXIST), 0);
		assert_int_equal(hash_update(&map, k, &v, BPF_NOEXIST),
				 -EEXIST);
		assert_memory_equal(hash_lookup(&map, k), &v, sizeof(v));
		assert_int_equal(hash_update(&map, k, &w, BPF_EXIST), 0);
		assert_memory_equal(hash_lookup(&map, k), &w, sizeof(w));
		assert_int_equal(hash_update(&map, other, &v, BPF_ANY), 0);
		assert_int_equal(hash_update(&map, third, &v, BPF_ANY), -E2BIG);
		assert_int_equal(hash_update(&map, k, &v, BPF_ANY), 0);
		assert_memory_equal(hash_lookup(&map, k), &v, sizeof(v));
		assert_int_equal(hash_delete(&map, other), 0);
		assert_int_equal(hash_update(&map, third, &v, BPF_ANY), 0);
		assert_null(hash_lookup(&map, other));
		assert_int_equal(whole(true), 2);
	}
}

static void an_odd_key_size_reads_no_further(void **state)
{
	uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t v = 1;

	(void)state;
	mprotect(page + 4096, 4096, PROT_NONE);
	for (uint32_t size = 1; size < 20; size++) {
		make(size, 8, 4);
		assert_int_equal(
			hash_update(&map, page + 4096 - size, &v, BPF_ANY), 0);
		assert_non_null(hash_lookup(&map, page + 4096 - size));
	}
	munmap(page, 8192);
}

static void buckets_are_used_evenly(void **state)
{
	enum { N = 4096 };
	static uint32_t used[N];
	const uint64_t step[] = { 1, 8, 64, 4096, UINT64_C(1) << 32,
				  UINT64_C(1) << 40, UINT64_C(0x100000001) };

	(void)state;
	for (size_t s = 0; s < sizeof(step) / sizeof(*step); s++) {
		uint32_t longest = 0;

		memset(used, 0, sizeof(used));
		for (uint64_t i = 0; i < N; i++) {
			uint64_t k = 0x7f0012345670 + i * step[s];
			uint32_t b = hash_key(&k, 8) & (N - 1);

			if (++used[b] > longest)
				longest = used[b];
		}
		assert_in_range(longest, 1, 10);
	}
}

/* --- Threads.  Keys below OWNED belong to one thread each (modulo): it knows
 * what must be there.  The rest are everybody's: for each, insertions that
 * succeeded less deletions that did is 1 or 0, and the map agrees at the end.
 */
enum { THREADS = 4, OWNED = 32, SHARED = 8, ROUNDS = 60000 };
static int64_t balance[SHARED];

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x >> 11;
}

static void *owner(void *arg)
{
	uint64_t me = (uintptr_t)arg, x = me * 77777 + 1, serial[OWNED] = { 0 };

	for (uint64_t n = 1; n < ROUNDS; n++) {
		uint64_t k = next_random(&x) % (OWNED / THREADS) * THREADS + me;
		uint64_t s = OWNED + next_random(&x) % SHARED;
		struct value v = { k, n }, u = { s, n }, *p;

		p = hash_lookup(&map, &k);
		if (!p != !serial[k] ||
		    (p && (p->of_key != k || p->serial != serial[k])))
			return "an owned key is not as its owner left it";
		switch (next_random(&x) % 3) {
		case 0:
			if (hash_update(&map, &k, &v, BPF_ANY))
				return "an update failed";
			serial[k] = n;
			break;
		case 1:
			if (hash_delete(&map, &k) != (serial[k] ? 0 : -ENOENT))
				return "a deletion failed";
			serial[k] = 0;
			break;
		}
		switch (next_random(&x) % 4) {
		case 0:
		case 1:
			if (!hash_update(&map, &s, &u, BPF_NOEXIST))
				__atomic_add_fetch(&balance[s - OWNED], 1, 5);
			break;
		case 2:
			if (!hash_delete(&map, &s))
				__atomic_sub_fetch(&balance[s - OWNED], 1, 5);
			break;
		case 3:
			hash_update(&map, &s, &u, BPF_EXIST);
		}
	}
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	uint32_t buckets[] = { 1, 4, 64 };

	(void)state;
	for (int round = 0; round < 3; round++) {
		pthread_t t[THREADS];
		uint64_t n = 0;
		uint32_t dead;

		make(8, sizeof(struct value), OWNED + SHARED);
		map.buckets = buckets[round];
		memset(balance, 0, sizeof(balance));
		for (uintptr_t i = 0; i < THREADS; i++)
			pthread_create(&t[i], NULL, owner, (void *)i);
		for (int i = 0; i < THREADS; i++) {
			void *bad;

			pthread_join(t[i], &bad);
			if (bad)
				fail_msg("%s", (char *)bad);
		}
		for (uint64_t k = 0; k < OWNED + SHARED; k++) {
			struct value *p = hash_lookup(&map, &k);

			n += p != NULL;
			if (p)
				assert_int_equal(p->of_key, k);
			if (k >= OWNED)
				assert_int_equal(balance[k - OWNED], p != NULL);
		}
		assert_int_equal(whole(true), n);
		assert_int_equal(lost(&dead), 0);
	}
}

static void worker_process(uint64_t seed)
{
	uint64_t x = seed * 7919 + 1;

	for (;;) {
		uint64_t k = next_random(&x) % 32;
		struct value v = { k, x };

		switch (next_random(&x) % 3) {
		case 0:
			hash_update(&map, &k, &v, BPF_ANY);
			break;
		case 1:
			hash_delete(&map, &k);
			break;
		case 2:
			hash_lookup(&map, &k);
		}
	}
}

static pid_t start_worker(uint64_t seed)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		worker_process(seed);
	return pid;
}

static void a_killed_process_blocks_nobody(void **state)
{
	enum { KILLS = 150, WORKERS = 3 };
	pid_t pid[WORKERS];
	uint32_t dead;
	uint64_t k;
	struct value v = { 0, 0 };

	(void)state;
	make(8, sizeof(struct value), 1000);
	map.buckets = 8;
	for (int i = 0; i < WORKERS; i++)
		pid[i] = start_worker(i);
	for (int i = 0; i < KILLS; i++) {
		usleep(1000 + i * 13 % 700);
		kill(pid[i % WORKERS], SIGKILL);
		waitpid(pid[i % WORKERS], NULL, 0);
		if (i < KILLS - WORKERS)
			pid[i % WORKERS] = start_worker(100 + i);
	}
	whole(false);
	assert_int_equal(lost(&dead), 0);
	/* Everything goes on working, and what was left behind is cleared. */
	for (k = 0; k < 32; k++) {
		v.of_key = k;
		assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), 0);
		assert_memory_equal(hash_lookup(&map, &k), &v, sizeof(v));
		assert_int_equal(hash_delete(&map, &k), 0);
		assert_null(hash_lookup(&map, &k));
	}
	assert_int_equal(whole(false), 0);
}

/* However many were killed: then max_entries keys, and not one more. */
static void nothing_is_lost_to_kills(void **state)
{
	enum { KILLS = 1000, MAX = 40 };
	struct hash_head *h = (struct hash_head *)weld_region;
	struct value v = { 0, 0 };
	uint32_t dead = 0;
	pid_t pid[2];
	uint64_t k;

	(void)state;
	make(8, sizeof(struct value), MAX);
	pid[0] = start_worker(1);
	pid[1] = start_worker(2);
	for (int i = 0; i < KILLS; i++) {
		usleep(i * 13 % 400);
		kill(pid[i % 2], SIGKILL);
		waitpid(pid[i % 2], NULL, 0);
		for (int n = 0; n < HASH_SPARE; n++)
			dead += (uint32_t)h->holder[n].owner ==
				(uint32_t)pid[i % 2];
		if (i < KILLS - 2)
			pid[i % 2] = start_worker(100 + i);
	}
	assert_true(dead > 0); /* there was something to recover */
	for (k = 1000; k < 1000 + MAX; k++)
		hash_update(&map, &k, &v, BPF_ANY);
	assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), -E2BIG);
	for (k = 0; k < 32; k++)
		hash_delete(&map, &k);
	for (k = 1000; k < 1000 + MAX; k++)
		assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), 0);
	assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), -E2BIG);
	assert_int_equal(whole(true), MAX);
	assert_int_equal(lost(&dead), 0);
}

/* Who lives and has only wanted an element that a dead one had does not make it
 * that one's. */
static void what_two_want_is_not_forgotten(void **state)
{
	struct hash_head *h = (struct hash_head *)weld_region;
	struct value v = { 0, 0 };
	uint64_t k = 1;
	pid_t pid = start_worker(1);

	(void)state;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	make(8, sizeof(struct value), 1);
	h->taken = h->holder[3].held = h->holder[5].held = 1;
	h->holder[3].owner = UINT64_C(1) << 32 | (uint32_t)pid;
	h->holder[5].owner = own_writer();
	assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), -E2BIG);
	h->holder[5].held = 0;
	h->holder[5].owner = 0;
	assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), 0);
	assert_int_equal(whole(true), 1);
}

static void overwritten_memory_ends_a_walk(void **state)
{
	uint64_t k = 5, v = 6;

	(void)state;
	make(8, 8, 16);
	hash_update(&map, &k, &v, BPF_ANY);
	memset(weld_region, 0x55, hash_pool(map.buckets));
	assert_null(hash_lookup(&map, &k));
	assert_int_not_equal(hash_update(&map, &k, &v, BPF_ANY), 0);
	assert_int_not_equal(hash_delete(&map, &k), 0);
}

/* --- What a callback does to the elements that it is shown, where more of them
 * are in one bucket than are noted at once. */

enum { CROWD = 100 };
static uint32_t times[CROWD];

static uint64_t only_look(const void *self, uint64_t m, uint64_t key,
			  uint64_t value, uint64_t ctx)
{
	uint64_t k = *(const uint64_t *)key;

	(void)m;
	assert_true(k < CROWD);
	assert_int_equal(*(const uint64_t *)value, k * 3);
	assert_int_equal(ctx, 77);
	times[k]++;
	return self && times[k] == *(const uint32_t *)self;
}

static uint64_t erase(const void *self, uint64_t m, uint64_t key,
		      uint64_t value, uint64_t ctx)
{
	(void)self, (void)value, (void)ctx;
	times[*(const uint64_t *)key]++;
	assert_int_equal(hash_delete((void *)m, (void *)key), 0);
	return 0;
}

static uint64_t put_again(const void *self, uint64_t m, uint64_t key,
			  uint64_t value, uint64_t ctx)
{
	uint64_t v = *(const uint64_t *)value;

	(void)self, (void)ctx;
	times[*(const uint64_t *)key]++;
	assert_int_equal(hash_update((void *)m, (void *)key, &v, BPF_EXIST), 0);
	return 0;
}

static uint64_t show_all(callback_fn *call, const void *self)
{
	memset(times, 0, sizeof(times));
	return hash_each(&map, 77, call, self, NULL);
}

static void shown_once(uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		assert_int_equal(times[k], 1);
}

static void all_elements_are_shown(void **state)
{
	uint32_t first = 1;
	uint64_t v;

	(void)state;
	for (uint32_t buckets = 1; buckets <= CROWD; buckets *= 8) {
		make(8, 8, CROWD);
		map.buckets = buckets;
		assert_int_equal(show_all(only_look, NULL), 0);
		for (uint64_t k = 0; k < CROWD; k++) {
			v = k * 3;
			assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), 0);
		}
		assert_int_equal(show_all(only_look, NULL), CROWD);
		shown_once(CROWD);
		assert_int_equal(show_all(only_look, &first), 1);
		assert_int_equal(show_all(put_again, NULL), CROWD);
		shown_once(CROWD);
		assert_int_equal(show_all(erase, NULL), CROWD);
		shown_once(CROWD);
		assert_int_equal(show_all(erase, NULL), 0);
	}
}

/* The callback replaces all the others, or only its neighbour.  Keys differ in
 * their first byte. */
static uint32_t crowd;
static uint8_t some_key[40];

static uint64_t put_others(const void *only, uint64_t m, uint64_t key,
			   uint64_t value, uint64_t ctx)
{
	uint8_t shown = *(const uint8_t *)key;
	uint64_t v;

	(void)ctx;
	assert_true(shown < crowd);
	/* What it has now: by all that were shown before it. */
	v = *(const uint64_t *)value;
	for (uint32_t k = 0; !only && k < crowd; k++)
		v -= times[k];
	assert_int_equal(v, shown * 1000);
	times[shown]++;
	for (uint32_t k = 0; k < crowd; k++) {
		uint64_t *was;

		some_key[0] = (uint8_t)k;
		if (k == shown || (only && k != (shown ^ 1u)))
			continue;
		was = hash_lookup((void *)m, some_key);
		assert_non_null(was);
		v = only ? *was : *was + 1;
		assert_int_equal(hash_update((void *)m, some_key, &v,
					     BPF_EXIST), 0);
	}
	return 0;
}

static void others_are_replaced(uint32_t key_size, uint32_t n, uint32_t buckets)
{
	static const bool only = true;

	make(key_size, 8, n);
	map.buckets = buckets;
	crowd = n;
	for (uint32_t k = 0; k < n; k++) {
		uint64_t v = k * 1000;

		some_key[0] = (uint8_t)k;
		assert_int_equal(hash_update(&map, some_key, &v, BPF_ANY), 0);
	}
	assert_int_equal(show_all(put_others, &only), n);
	shown_once(n);
	assert_int_equal(show_all(put_others, NULL), n);
	shown_once(n);
}

static void replaced_elements_are_shown(void **state)
{
	static const uint32_t sizes[] = { 1, 4, 5, 8, 16, 40 },
			      numbers[] = { 2, 8, 16, CROWD };

	(void)state;
	for (int i = 0; i < 6; i++)
		for (int n = 0; n < 4; n++)
			for (uint32_t buckets = 1; buckets <= 64; buckets *= 8)
				others_are_replaced(sizes[i], numbers[n],
						    buckets);
}

/* Somebody writes over the element, so that it is searched for. */
static uint64_t deface(const void *self, uint64_t m, uint64_t key,
		       uint64_t value, uint64_t ctx)
{
	struct hash_elem *e = (struct hash_elem *)(value - sizeof(*e));

	(void)self, (void)m, (void)ctx;
	e->state += 2;
	++*(uint64_t *)key;
	return 0;
}

static void a_circle_ends_a_walk(void **state)
{
	uint64_t k = 5, v = 6, *bucket;
	struct hash_elem *e;

	(void)state;
	make(8, 8, 16);
	bucket = (uint64_t *)(weld_region + sizeof(struct hash_head));
	for (uint32_t b = 0; b < map.buckets; b++)
		bucket[b] = 1;
	e = (struct hash_elem *)(weld_region + hash_pool(map.buckets));
	e->next = 1;
	e->state = 1;
	assert_null(hash_lookup(&map, &k));
	assert_int_equal(hash_update(&map, &k, &v, BPF_ANY), -EBUSY);
	assert_int_equal(hash_delete(&map, &k), -EBUSY);
	assert_true(show_all(deface, NULL) <= 16 + HASH_SPARE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_are_the_kernels),
		cmocka_unit_test(an_odd_key_size_reads_no_further),
		cmocka_unit_test(buckets_are_used_evenly),
		cmocka_unit_test(threads_lose_nothing),
		cmocka_unit_test(a_killed_process_blocks_nobody),
		cmocka_unit_test(nothing_is_lost_to_kills),
		cmocka_unit_test(what_two_want_is_not_forgotten),
		cmocka_unit_test(overwritten_memory_ends_a_walk),
		cmocka_unit_test(all_elements_are_shown),
		cmocka_unit_test(replaced_elements_are_shown),
		cmocka_unit_test(a_circle_ends_a_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
