/* SPDX-License-Identifier: MIT */
/* Keys that change while they are looked at: programs may have them in a map, and
 * others may write there.  What was checked is what is used. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "rewriter/region.h"
#include "runtime-stub/reader/reader.h"

#include <cmocka.h> /* last: it has a macro fail() */

enum { SIZE = 1 << 16, TIMES = 1000000 };

static _Alignas(4096) uint8_t region[SIZE];
static struct { /* a prefix, or an index */
	volatile uint32_t word;
	uint32_t rest;
} key;
static const uint32_t good = 3, bad = 0xfffffff3;
static volatile bool stop;

static void *change(void *unused)
{
	/* Long enough that each is seen: else a line may go over with one of them
	 * only. */
	for (uint32_t n = 0; !stop; n++) {
		key.word = bad;
		for (uint32_t i = n & 15; i; i--)
			__builtin_ia32_pause();
		key.word = good;
		for (uint32_t i = n >> 4 & 15; i; i--)
			__builtin_ia32_pause();
	}
	return unused;
}

static void use(const struct bpf_map_def *def)
{
	struct region_map m = { 0 };
	struct reader r = { .base = region, .map = &m, .writes = true };
	uint64_t value = 7;
	pthread_t thread;
	long done = 0;
	struct err e;

	memset(region, 0, sizeof(region));
	assert_int_equal(map_shape(def, &m, &e), 0);
	m.data = SIZE / 2;
	assert_true(m.size <= SIZE / 2);
	key.word = good;
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, change, NULL), 0);
	/* Longer, if the other thread has been off its CPU since it wrote a bad
	 * one. */
	for (int i = 0; i < (done ? 1 : 100) * TIMES; i++) {
		done += !reader_update(&r, 0, &key, &value, BPF_ANY);
		reader_write(&r, 0, &key, 0, &value, sizeof(value));
		if (i % 8 == 0)
			reader_delete(&r, 0, &key);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_true(done > 0);
}

static void index_of_an_array(void **state)
{
	(void)state;
	use(&(struct bpf_map_def){ .name = "m", .type = BPF_MAP_TYPE_ARRAY,
				   .key_size = 4, .value_size = 8,
				   .max_entries = 4 });
}

static void length_of_a_prefix(void **state)
{
	(void)state;
	use(&(struct bpf_map_def){ .name = "m", .type = BPF_MAP_TYPE_LPM_TRIE,
				   .key_size = 8, .value_size = 8,
				   .max_entries = 16,
				   .flags = BPF_F_NO_PREALLOC });
}

static void key_of_a_hash(void **state)
{
	(void)state;
	use(&(struct bpf_map_def){ .name = "m", .type = BPF_MAP_TYPE_HASH,
				   .key_size = 8, .value_size = 8,
				   .max_entries = 16 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_of_an_array),
		cmocka_unit_test(length_of_a_prefix),
		cmocka_unit_test(key_of_a_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
