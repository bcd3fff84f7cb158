/* SPDX-License-Identifier: MIT */
/* A region made by hand is read back; a damaged one is an error or an empty
 * answer, never a crash and never a loop without end. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime-stub/hash.h"
#include "runtime-stub/reader/reader.h"

#include <cmocka.h> /* last: it has a macro fail() */

enum {
	GATES = 256,
	MAPS = 320,
	COUNTS = 640,
	ARRAY = 1024,
	HASH = 2048,
	SIZE = 32768,
	ENTRIES = 4,
	BUCKETS = 4,
	KEY = 4,
	VALUE = 516, /* not a multiple of 8 */
	PROBES = 2,
};
static char path[] = "/tmp/bpfweld-unit.XXXXXX";
static _Alignas(8) uint8_t image[SIZE];

static struct region_header *header(void)
{
	return (struct region_header *)image;
}

static struct region_map *maps(void)
{
	return (struct region_map *)(image + MAPS);
}

static uint64_t *bucket(uint32_t b)
{
	return (uint64_t *)(image + HASH + hash_bucket(b));
}

static struct hash_elem *elem(uint32_t i)
{
	return (struct hash_elem *)(image + HASH + hash_pool(BUCKETS) +
				    i * hash_stride(BPF_MAP_TYPE_HASH, KEY, VALUE, 0));
}

/* Put element i in front of its bucket. */
static void insert(uint32_t i, uint32_t key, uint8_t value)
{
	uint32_t b = hash_key(&key, KEY) & (BUCKETS - 1);
	struct hash_elem *e = elem(i);

	memcpy((uint8_t *)e + maps()[1].key_at, &key, KEY);
	memset((uint8_t *)e + hash_value_at(&maps()[1]), value, VALUE);
	e->state = 1;
	e->next = *bucket(b) ? *bucket(b) : LINK_END | b;
	*bucket(b) = link_to(*bucket(b), i + 1);
}

static int setup(void **state)
{
	struct region_count *count = (struct region_count *)(image + COUNTS);

	(void)state;
	memset(image, 0, sizeof(image));
	*header() = (struct region_header){
		.magic = REGION_MAGIC,
		.version = REGION_VERSION,
		.header_size = sizeof(struct region_header),
		.weld_id = { 7 },
		.size = SIZE,
		.probe_count = PROBES,
		.map_count = 2,
		.gates = GATES,
		.maps = MAPS,
		.counts = COUNTS,
	};
	maps()[0] = (struct region_map){
		.name = "array",
		.type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 3,
		.stride = 8,
		.data = ARRAY,
		.size = 24,
	};
	maps()[1] = (struct region_map){
		.name = "hash",
		.type = BPF_MAP_TYPE_HASH,
		.key_size = KEY,
		.value_size = VALUE,
		.max_entries = ENTRIES,
		.key_at = hash_key_at(BPF_MAP_TYPE_HASH, VALUE),
		.stride = hash_stride(BPF_MAP_TYPE_HASH, KEY, VALUE, 0),
		.data = HASH,
		.size = SIZE - HASH,
		.buckets = BUCKETS,
	};
	image[GATES] = 1;
	count[0].hits = 5;
	count[1].misses = 6;
	count[1].failed = 7;
	for (uint64_t i = 0; i < 3; i++)
		((uint64_t *)(image + ARRAY))[i] = i * 100;
	for (uint32_t i = 0; i < ENTRIES; i++)
		insert(i, 1000 + i, (uint8_t)(i + 1));
	return 0;
}

static void store(void)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image, SIZE), SIZE);
	close(fd);
}

static int open_it(struct arena *a, struct reader *r, struct err *e)
{
	store();
	return reader_open(a, path, READER_READ, r, e);
}

static void reads_everything(void **state)
{
	struct arena a = { 0 };
	struct reader_elem *v;
	struct reader_probe p;
	uint32_t sum = 0, key;
	struct reader r;
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(open_it(&a, &r, &e), 0);
	p = reader_probe(&r, 0);
	assert_true(p.enabled && p.hits == 5 && p.misses == 0 &&
		    p.failed == 0);
	p = reader_probe(&r, 1);
	assert_true(!p.enabled && p.hits == 0 && p.misses == 6 &&
		    p.failed == 7);
	assert_int_equal(reader_count(&r, 0), 3);
	assert_int_equal(reader_elems(&a, &r, 0, &v, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(*(const uint32_t *)v[2].key, 2);
	assert_int_equal(*(const uint64_t *)v[2].value, 200);
	assert_int_equal(reader_count(&r, 1), ENTRIES);
	assert_int_equal(reader_elems(&a, &r, 1, &v, &n, &e), 0);
	assert_int_equal(n, ENTRIES);
	for (size_t i = 0; i < n; i++) {
		memcpy(&key, v[i].key, KEY);
		assert_int_equal(v[i].value[0], key - 999);
		assert_int_equal(v[i].value[VALUE - 1], key - 999);
		sum += key;
	}
	assert_int_equal(sum, 4006);
	reader_close(&r);
	arena_free(&a);
}

static const uint8_t *lookup(struct arena *a, uint32_t map, uint32_t key)
{
	const uint8_t *value;
	struct reader r;
	struct err e;

	assert_int_equal(open_it(a, &r, &e), 0);
	assert_int_equal(
		reader_lookup(a, &r, map, (const uint8_t *)&key, &value, &e),
		0);
	reader_close(&r);
	return value;
}

static void looks_up(void **state)
{
	struct arena a = { 0 };

	(void)state;
	assert_int_equal(*(const uint64_t *)lookup(&a, 0, 1), 100);
	assert_null(lookup(&a, 0, 3));
	for (uint32_t i = 0; i < ENTRIES; i++)
		assert_int_equal(lookup(&a, 1, 1000 + i)[0], i + 1);
	assert_null(lookup(&a, 1, 999));
	/* Marked, an element is not in the map. */
	elem(2)->next |= LINK_MARK;
	assert_null(lookup(&a, 1, 1002));
	assert_int_equal(lookup(&a, 1, 1003)[0], 4);
	arena_free(&a);
}

static void refuses_what_is_not_this_weld(void **state)
{
	struct manifest_map map[] = { { .map = maps()[0] },
				      { .map = maps()[1] } };
	struct manifest m = { .weld_id = { 7 },
			      .region_size = SIZE,
			      .map = map,
			      .nmap = 2,
			      .nprobe = PROBES };
	struct arena a = { 0 };
	struct reader r;
	struct err e;

	(void)state;
	setenv("BPFWELD_REGION", path, 1);
	unlink(path);
	assert_int_equal(reader_open_weld(&a, &m, READER_READ, &r, &e), -1);
	assert_non_null(strstr(e.what, "has not run yet: no region at /tmp/"));
	store();
	assert_int_equal(reader_open_weld(&a, &m, READER_READ, &r, &e), 0);
	reader_close(&r);
	map[1].map.key_size++;
	assert_int_equal(reader_open_weld(&a, &m, READER_READ, &r, &e), -1);
	assert_non_null(strstr(e.what, "its maps are not those"));
	m.weld_id[3] = 1;
	assert_int_equal(reader_open_weld(&a, &m, READER_READ, &r, &e), -1);
	assert_string_equal(e.what,
			    "the region of another weld, so programs of this "
			    "one do not use it: let BPFWELD_REGION, which "
			    "names it, name another path, or remove it when "
			    "nothing uses it");
	unsetenv("BPFWELD_REGION");
	m.weld_id[15] = 0xab;
	assert_non_null(strstr(reader_path(&a, &m),
			       "/0700000100000000000000000000"
			       "00ab"));
	arena_free(&a);
}

/* "no region at PATH: WHY" when the variable is so; NULL: "has not run yet". */
static void none_because(const char *value, const char *why)
{
	struct manifest m = { .weld_id = { 7, [15] = 0xcd } };
	struct arena a = { 0 };
	const char *none;

	setenv("BPFWELD_REGION", value, 1);
	none = reader_none(&a, &m);
	if (why)
		assert_string_equal(none,
				    arena_printf(&a, "no region at %s: %s",
						 reader_path(&a, &m), why));
	else
		assert_non_null(strstr(none, "has not run yet: no region at "));
	/* Another user's setuid program does not read it. */
	m.is_setuid = true;
	m.owner = geteuid() + 1;
	assert_null(reader_never(&a, &m));
	unsetenv("BPFWELD_REGION");
	arena_free(&a);
}

static void says_why_there_will_be_none(void **state)
{
	(void)state;
	none_because("", NULL);
	none_because("no-such-file", NULL);
	none_because("/no-such-file", NULL);
	none_because("./no-such-file", NULL);
	none_because("off", "BPFWELD_REGION is off in the environment, so that "
			    "no probe runs: start the program without it");
	none_because("private",
		     "BPFWELD_REGION is private in the environment, so that "
		     "programs share none: start the program without it");
	none_because("/no/such/file",
		     "BPFWELD_REGION names a directory that is not there, so "
		     "that programs make none: make the directory");
	none_because("/dev/null/file",
		     "BPFWELD_REGION names a directory that is not there, so "
		     "that programs make none: make the directory");
}

static void hash_in_a_circle(void **state)
{
	struct arena a = { 0 };
	struct reader_elem *v;
	struct reader r;
	struct err e;
	size_t n;

	(void)state;
	*bucket(0) = 1;
	elem(0)->next = 2;
	elem(1)->next = 1;
	assert_int_equal(open_it(&a, &r, &e), 0);
	assert_int_equal(reader_elems(&a, &r, 1, &v, &n, &e), -1);
	assert_non_null(strstr(e.what, "is not a hash table"));
	reader_close(&r);
	arena_free(&a);
}

static void use_all(struct arena *a, struct reader *r)
{
	const uint8_t key[64] = { 0xe8, 3 }, *value;
	struct reader_elem *v;
	struct err e;
	size_t n;

	for (uint32_t i = 0; i < r->head.probe_count; i++)
		reader_probe(r, i);
	for (uint32_t i = 0; i < r->head.map_count; i++) {
		reader_count(r, i);
		reader_elems(a, r, i, &v, &n, &e);
		if (r->map[i].key_size <= sizeof(key))
			reader_lookup(a, r, i, key, &value, &e);
	}
}

/* Every byte of header, maps and hash set to hostile values in turn. */
static void damaged_anywhere(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	size_t end =
		HASH + hash_pool(BUCKETS) + ENTRIES * hash_stride(BPF_MAP_TYPE_HASH, KEY, VALUE, 0);
	struct reader r;
	struct err e;
	int fd;

	(void)state;
	store();
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (size_t i = 0; i < end; i++)
		for (size_t k = 0; k < sizeof(values); k++) {
			struct arena a = { 0 };

			if (i >= COUNTS && i < HASH)
				continue;
			assert_int_equal(pwrite(fd, &values[k], 1, i), 1);
			if (reader_open(&a, path, READER_READ, &r, &e) == 0) {
				use_all(&a, &r);
				reader_close(&r);
			}
			assert_int_equal(pwrite(fd, image + i, 1, i), 1);
			arena_free(&a);
		}
	close(fd);
}

static void not_regions(void **state)
{
	struct arena a = { 0 };
	struct reader r;
	struct err e;

	(void)state;
	assert_int_equal(reader_open(&a, "/dev/null", READER_READ, &r, &e), -1);
	assert_int_equal(reader_open(&a, "/tmp", READER_READ, &r, &e), -1);
	store();
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(reader_open(&a, path, READER_READ, &r, &e), -1);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(reader_open(&a, path, READER_READ, &r, &e), -1);
	assert_string_equal(e.what, "damaged region: its size is wrong");
	arena_free(&a);
}

/* While others delete and insert, what stays is always seen, and no element
 * has the value of another key. */
static volatile int stop;

static void *churn(void *base)
{
	uint8_t *data = (uint8_t *)base + HASH;
	struct hash_elem *e = (struct hash_elem *)(data + hash_pool(BUCKETS) +
						   3 * hash_stride(BPF_MAP_TYPE_HASH, KEY, VALUE, 0));

	for (uint32_t i = 0; !stop; i++) {
		uint32_t key = 1003 + i % 64 * ENTRIES;
		uint32_t b = hash_key(&key, KEY) & (BUCKETS - 1);
		uint64_t *word = (uint64_t *)(data + hash_bucket(b)), was = *word;

		/* Only this thread writes: no CAS needed, but the order. */
		memcpy((uint8_t *)e + maps()[1].key_at, &key, KEY);
		memset((uint8_t *)e + hash_value_at(&maps()[1]), (uint8_t)key,
		       VALUE);
		__atomic_store_n(&e->state, e->state + 1, __ATOMIC_RELEASE);
		__atomic_store_n(&e->next,
				 link_to(e->next, was && !link_ends(was)
							  ? (uint32_t)was
							  : LINK_END | b),
				 __ATOMIC_RELEASE);
		__atomic_store_n(word, link_to(was, 4), __ATOMIC_RELEASE);
		for (volatile uint32_t k = 0; k < i % 128; k++)
			; /* let it be seen */
		__atomic_store_n(&e->next, e->next | LINK_MARK,
				 __ATOMIC_RELEASE);
		__atomic_store_n(word, link_to(*word, (uint32_t)e->next),
				 __ATOMIC_RELEASE);
		__atomic_store_n(&e->state, e->state + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void under_load(void **state)
{
	struct reader_elem *v;
	struct arena a = { 0 };
	struct reader r;
	pthread_t thread;
	uint32_t key;
	struct err e;
	size_t n;

	(void)state;
	setup(NULL);
	/* Three elements stay; the fourth comes and goes. */
	memset(bucket(0), 0, 8 * BUCKETS);
	memset(elem(0), 0, ENTRIES * hash_stride(BPF_MAP_TYPE_HASH, KEY, VALUE, 0));
	for (uint32_t i = 0; i < 3; i++)
		insert(i, 1000 + i, (uint8_t)(1000 + i));
	store();
	assert_int_equal(reader_open(&a, path, READER_WRITE, &r, &e), 0);
	stop = 0;
	assert_int_equal(pthread_create(&thread, NULL, churn, r.base), 0);
	for (int i = 0; i < 20000; i++) {
		struct arena b = { 0 };
		unsigned seen = 0;

		assert_int_equal(reader_elems(&b, &r, 1, &v, &n, &e), 0);
		for (size_t k = 0; k < n; k++) {
			memcpy(&key, v[k].key, KEY);
			assert_int_equal(v[k].value[0], (uint8_t)key);
			assert_int_equal(v[k].value[VALUE - 1], (uint8_t)key);
			seen |= key < 1003 ? 1u << (key - 1000) : 0;
		}
		assert_int_equal(seen, 7);
		arena_free(&b);
	}
	stop = 1;
	pthread_join(thread, NULL);
	reader_close(&r);
	arena_free(&a);
}

static int begin(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd < 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_everything, setup),
		cmocka_unit_test_setup(looks_up, setup),
		cmocka_unit_test_setup(refuses_what_is_not_this_weld, setup),
		cmocka_unit_test(says_why_there_will_be_none),
		cmocka_unit_test_setup(hash_in_a_circle, setup),
		cmocka_unit_test_setup(damaged_anywhere, setup),
		cmocka_unit_test_setup(not_regions, setup),
		cmocka_unit_test(under_load),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
