/* SPDX-License-Identifier: MIT */
/* The library on regions that somebody has written anything to: every call
 * comes back, and touches nothing but the region and what it was given. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "include/bpfweld/reader.h"
#include "runtime-stub/hash.h"
#include "runtime-stub/queue.h"
#include "runtime-stub/ring.h"

#include <cmocka.h>

enum {
	GATES = 512,
	MAPS = 1024,
	COUNTS = 4096,
	TRACE = 8192,
	CPUS = 16384,
	VALUES = 20480, /* of each CPU */
	STRIDE = 8192,
	DATA = 40960,
	EACH = 16384,
	ENTRIES = 8,
	BUCKETS = 8,
	NCPU = 2,
	ROUNDS = 400,
};

/* As rewriter/shape.c would have them, more or less. */
static const struct {
	uint32_t type, key, value;
} shapes[] = {
	{ BPF_MAP_TYPE_ARRAY, 4, 12 },
	{ BPF_MAP_TYPE_PERCPU_ARRAY, 4, 12 },
	{ BPF_MAP_TYPE_HASH, 8, 12 },
	{ BPF_MAP_TYPE_PERCPU_HASH, 8, 12 },
	{ BPF_MAP_TYPE_LRU_HASH, 8, 12 },
	{ BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, 12 },
	{ BPF_MAP_TYPE_LPM_TRIE, 8, 12 },
	{ BPF_MAP_TYPE_QUEUE, 0, 12 },
	{ BPF_MAP_TYPE_STACK, 0, 12 },
	{ BPF_MAP_TYPE_RINGBUF, 0, 0 },
	{ BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4 },
	{ BPF_MAP_TYPE_STACK_TRACE, 4, 64 },
	{ BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4 },
	{ 77, 4, 4 },
};
enum {
	NMAP = sizeof(shapes) / sizeof(*shapes),
	SIZE = DATA + NMAP * EACH
};

static char path[] = "/tmp/bpfweld-unit.XXXXXX";
static _Alignas(4096) uint8_t image[SIZE];
static uint8_t *region; /* the file, as a hostile process has it */

static void image_make(void)
{
	struct region_map *m = (struct region_map *)(image + MAPS);
	struct region_trace *t = (struct region_trace *)(image + TRACE);

	*(struct region_header *)image = (struct region_header){
		.magic = REGION_MAGIC,
		.version = REGION_VERSION,
		.header_size = sizeof(struct region_header),
		.size = SIZE,
		.probe_count = 2,
		.map_count = NMAP,
		.gates = GATES,
		.maps = MAPS,
		.counts = COUNTS,
		.trace = TRACE,
		.trace_size = 64 + 8 * sizeof(struct region_trace_record),
		.cpus = CPUS,
		.cpu_count = NCPU,
		.cpu_stride = STRIDE,
	};
	t->slots = 8;
	for (uint32_t i = 0; i < NMAP; i++, m++) {
		bool ring = ring_is(shapes[i].type);

		*m = (struct region_map){
			.type = shapes[i].type,
			.key_size = shapes[i].key,
			.value_size = shapes[i].value,
			.max_entries = ENTRIES,
			.stride = ring ? 1024
				       : hash_stride(shapes[i].type, 8,
						     shapes[i].value, 8),
			.key_at = hash_key_at(shapes[i].type, shapes[i].value),
			.data = DATA + i * EACH,
			.size = EACH,
			.buckets = ring ? ring_slots(1024) : BUCKETS,
			.values = VALUES + i * 8 * 64,
			.value_stride = 16,
		};
		m->name[0] = (char)('a' + i);
	}
}

static int on_sample(void *ctx, void *data, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += ((uint8_t *)data)[i];
	++*(size_t *)ctx;
	return sum == 255 && size == 3 ? -ECANCELED : 0;
}

static void on_perf(void *ctx, int cpu, void *data, __u32 size)
{
	assert_true(cpu >= 0 && cpu < 4096);
	on_sample(ctx, data, size);
}

static int on_line(void *ctx, const struct bpfweld_line *line)
{
	assert_int_equal(line->text[line->len], 0);
	++*(size_t *)ctx;
	return 0;
}

static uint8_t key[4096], value[1 << 16];

static void use_map(struct bpfweld_map *m)
{
	struct bpfweld_map_info info;
	struct bpfweld_ring *ring;
	struct bpfweld_perf *perf;
	size_t n = 0;

	assert_int_equal(bpfweld_map_info(m, &info, sizeof(info)), 0);
	ring = bpfweld_ring_new(m, on_sample, &n);
	if (ring) {
		bpfweld_ring_poll(ring, 0);
		bpfweld_ring_consume(ring);
		bpfweld_ring_lost(ring);
	}
	bpfweld_ring_free(ring);
	perf = bpfweld_perf_new(m, on_perf, NULL, &n);
	if (perf)
		bpfweld_perf_consume(perf);
	bpfweld_perf_free(perf);
	if (info.key_size > sizeof(key) || info.value_bytes > sizeof(value))
		return;
	for (uint64_t k = 0; k < 12; k++) {
		memset(key, 0, sizeof(key));
		key[0] = (uint8_t)k;
		bpfweld_map_update_elem(m, key, info.key_size, value,
					info.value_bytes, k % 4);
		bpfweld_map_lookup_elem(m, key, info.key_size, value,
					info.value_bytes, 0);
		bpfweld_map_write(m, key, info.key_size, k, value, 4);
		if (k % 2)
			bpfweld_map_delete_elem(m, key, info.key_size, 0);
		bpfweld_map_lookup_and_delete_elem(m, key, info.key_size, value,
						   info.value_bytes, 0);
	}
	for (int i = 0; i < 40; i++)
		if (bpfweld_map_get_next_key(m, i ? key : NULL, key,
					     info.key_size))
			break;
}

static void use_all(void)
{
	struct bpfweld *w = bpfweld_open_region(path, BPFWELD_WRITE);
	struct bpfweld_probe_info info;
	uint64_t next = 0, missed = 0;
	size_t n = 0;

	if (!w) {
		assert_int_equal(errno, EIO);
		return;
	}
	for (size_t i = 0; i < bpfweld_map_count(w); i++)
		use_map(bpfweld_map_at(w, i));
	for (size_t i = 0; i < bpfweld_probe_count(w) && i < 64; i++) {
		bpfweld_probe_info(w, i, &info, sizeof(info));
		bpfweld_probe_enable(w, i, 1);
	}
	bpfweld_lines(w, &next, &missed, on_line, &n);
	bpfweld_map_find(w, "a");
	bpfweld_close(w);
}

static uint64_t seed = 88172645463325252u;
static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void all_types_work(void **state)
{
	struct bpfweld *w;
	struct bpfweld_map *m;
	uint64_t k = 5;

	(void)state;
	memcpy(region, image, SIZE);
	w = bpfweld_open_region(path, BPFWELD_WRITE);
	assert_non_null(w);
	assert_int_equal(bpfweld_map_count(w), NMAP);
	for (size_t i = 0; i < 9; i++) {
		struct bpfweld_map_info info;

		m = bpfweld_map_at(w, i);
		bpfweld_map_info(m, &info, sizeof(info));
		memset(value, (int)i + 1, info.value_bytes);
		assert_int_equal(bpfweld_map_update_elem(m, &k, info.key_size,
							 value,
							 info.value_bytes, 0),
				 0);
		assert_int_equal(-EINVAL,
				 bpfweld_map_update_elem(m, &k, info.key_size,
							 value,
							 info.value_bytes,
							 4711));
		assert_non_null(strstr(bpfweld_error(), "flags 0x1267"));
		memset(value, 0, sizeof(value));
		assert_int_equal(bpfweld_map_lookup_elem(m, &k, info.key_size,
							 value,
							 info.value_bytes, 0),
				 0);
		for (uint32_t c = 0; c < info.cpus; c++)
			assert_int_equal(value[16 * c + 11], i + 1);
	}
	bpfweld_close(w);
}

/* Fields of maps and header; words of the data, small ones too, as those lead
 * somewhere. */
static void damage(void)
{
	static const uint64_t words[] = { 0,          1,         2,   7,
					  31,         40,        255, 1u << 31,
					  UINT32_MAX, UINT64_MAX };
	size_t from = any(2) ? DATA : 0, at;

	at = (from + any(any(4) ? SIZE - from : 4096 - from % 4096)) & ~7ul;
	if (any(2))
		memcpy(region + at, &words[any(10)], 8);
	else
		memcpy(region + at + any(2) * 4, &words[any(10)], 4);
}

static void damaged_anywhere(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		memcpy(region, image, SIZE);
		for (uint64_t n = 1 + any(3); n && i % 2; n--)
			damage();
		use_all(); /* so that there is something in the maps */
		for (uint64_t n = 1 + any(i % 4 ? 40 : 400); n; n--)
			damage();
		use_all();
	}
}

/* Lists that lead to themselves, counters without sense. */
static void full_of_one_word(void **state)
{
	static const uint64_t words[] = { 0,          1,
					  2,          0x0101010101010101,
					  UINT64_MAX, 1ul << 32 | 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		memcpy(region, image, SIZE);
		for (size_t at = DATA; at < SIZE; at += 8)
			memcpy(region + at, &words[i], 8);
		use_all();
	}
}

/* Each field of each map, alone. */
static void shapes_that_do_not_fit(void **state)
{
	static const uint32_t words[] = { 0, 1, 3, 4096, 1u << 30, UINT32_MAX };

	(void)state;
	for (size_t at = MAPS; at < MAPS + NMAP * sizeof(struct region_map);
	     at += at % sizeof(struct region_map) == 0 ? 64 : 4)
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
			memcpy(region, image, SIZE);
			memcpy(region + at, &words[i], 4);
			use_all();
		}
}

/* The same while we look. */
static volatile bool stop;

static void *scribble(void *arg)
{
	while (!stop)
		damage();
	return arg;
}

static void changed_meanwhile(void **state)
{
	pthread_t thread;

	(void)state;
	for (int i = 0; i < ROUNDS / 8; i++) {
		memcpy(region, image, SIZE);
		stop = false;
		assert_int_equal(pthread_create(&thread, NULL, scribble, NULL),
				 0);
		for (int k = 0; k < 4; k++)
			use_all();
		stop = true;
		pthread_join(thread, NULL);
	}
}

/* What was not given is said by its name. */
static void not_given(void **state)
{
	struct bpfweld_ring *ring;
	struct bpfweld_map *map;
	struct bpfweld *w;
	uint64_t next = 0;

	(void)state;
	memcpy(region, image, SIZE);
	w = bpfweld_open_region(path, BPFWELD_WRITE);
	assert_non_null(w);
	map = bpfweld_map_find(w, "j"); /* the RINGBUF */
	ring = bpfweld_ring_new(map, on_sample, NULL);
	assert_non_null(ring);
#define WITHOUT(call, why)                                                     \
	do {                                                                   \
		assert_true(call);                                             \
		assert_int_equal(errno, EINVAL);                               \
		assert_string_equal(bpfweld_error(), why);                     \
	} while (0)
	WITHOUT(!bpfweld_open_region(NULL, 0), "no path");
	WITHOUT(!bpfweld_open_region(path, 4), "unknown flags");
	WITHOUT(!bpfweld_map_find(NULL, "j"), "nothing is open");
	WITHOUT(!bpfweld_map_find(w, NULL), "no name");
	WITHOUT(!bpfweld_map_at(NULL, 0), "nothing is open");
	WITHOUT(!bpfweld_map_at(w, NMAP), "there is no map 14");
	WITHOUT(bpfweld_ring_add(NULL, map, on_sample, NULL), "no ring");
	WITHOUT(bpfweld_ring_add(ring, NULL, on_sample, NULL), "no map");
	WITHOUT(bpfweld_ring_add(ring, map, NULL, NULL), "no callback");
	WITHOUT(!bpfweld_ring_new(NULL, on_sample, NULL), "no map");
	WITHOUT(!bpfweld_perf_new(NULL, on_perf, NULL, NULL), "no map");
	WITHOUT(!bpfweld_perf_new(map, NULL, NULL, NULL), "no callback");
	WITHOUT(bpfweld_lines(NULL, &next, NULL, on_line, NULL),
		"nothing is open");
	WITHOUT(bpfweld_lines(w, NULL, NULL, on_line, NULL),
		"no number of the next line");
	WITHOUT(bpfweld_lines(w, &next, NULL, NULL, NULL), "no callback");
#undef WITHOUT
	bpfweld_ring_free(ring);
	bpfweld_close(w);
}

static int begin(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	image_make();
	if (fd < 0 || ftruncate(fd, SIZE))
		return -1;
	region = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return region == MAP_FAILED;
}

static int end(void **state)
{
	(void)state;
	munmap(region, SIZE);
	unlink(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_work),
		cmocka_unit_test(shapes_that_do_not_fit),
		cmocka_unit_test(full_of_one_word),
		cmocka_unit_test(damaged_anywhere),
		cmocka_unit_test(changed_meanwhile),
		cmocka_unit_test(not_given),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
