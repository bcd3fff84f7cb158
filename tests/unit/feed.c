/* SPDX-License-Identifier: MIT */
/* USER_RINGBUF: what a producer outside writes (reader/feed.c), programs drain
 * (user_ring.c), whoever is killed, and wherever. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime-stub/reader/reader.h"
#include "runtime-stub/user_ring.c"

#include <cmocka.h> /* last: it has a macro fail() */

bool region_is_private(void)
{
	return false;
}

enum {
	MAPS = 256,
	RING = 4096,
	SIZE = 8192,
	REGION = 32768,
	KILLS = 150
};

uint8_t weld_region[REGION] __attribute__((aligned(4096)));
uint64_t weld_own[512] __attribute__((aligned(4096)));
const struct weld_info weld_info = { .region_size = REGION };

static const struct region_map ring = {
	.name = "ring",
	.type = BPF_MAP_TYPE_USER_RINGBUF,
	.max_entries = SIZE,
	.stride = SIZE,
	.data = RING,
	.size = sizeof(struct user_ring_head) + 2 * SIZE,
};
static char path[] = "/tmp/bpfweld-unit.XXXXXX";
static struct arena arena;
static struct reader reader;

/* The file stands in the region's place, as in a welded process. */
static int setup(void **state)
{
	struct region_header h = {
		.magic = REGION_MAGIC,
		.version = REGION_VERSION,
		.header_size = sizeof(h),
		.size = REGION,
		.map_count = 1,
		.gates = MAPS,
		.counts = MAPS,
		.maps = MAPS,
	};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err e;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, REGION), 0);
	assert_ptr_equal(mmap(weld_region, REGION, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, fd, 0),
			 weld_region);
	close(fd);
	memcpy(weld_region, &h, sizeof(h));
	memcpy(weld_region + MAPS, &ring, sizeof(ring));
	assert_int_equal(reader_open(&arena, path, READER_WRITE, &reader, &e),
			 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	reader_close(&reader);
	return 0;
}

static struct reader_feed feed_open(void)
{
	struct reader_feed f;
	struct err e;

	assert_int_equal(reader_feed_open(&reader, 0, &f, &e), 0);
	return f;
}

static bool feed(const struct reader_feed *f, uint64_t number, uint32_t len)
{
	bool never;
	uint64_t *p = reader_feed_reserve(f, len, &never);

	if (!p)
		return false;
	memset(p, (int)number, len);
	*p = number;
	reader_feed_submit(p);
	return true;
}

/* --- Draining: the callback gets `next` as its ctx. */

static uint64_t expect(const void *self, uint64_t r1, uint64_t ctx, uint64_t r3,
		       uint64_t r4)
{
	const struct dynptr *p = (const struct dynptr *)r1;
	const uint8_t *bytes = (const uint8_t *)p->data;
	uint64_t *next = (uint64_t *)ctx;

	(void)self, (void)r3, (void)r4;
	assert_int_equal(*(const uint64_t *)bytes, *next);
	for (uint32_t i = 8; i < p->size; i++)
		assert_int_equal(bytes[i], (uint8_t)*next);
	++*next;
	return 0;
}

static long drain_with(callback_fn *call, uint64_t *ctx)
{
	return (long)user_ring_drain(&ring, 0, (uint64_t)ctx, call, NULL);
}

static void samples_come_in_order(void **state)
{
	struct reader_feed f = feed_open();
	uint64_t put = 0, got = 0, before;
	bool never;
	void *p;

	(void)state;
	srandom(1);
	for (int round = 0; round < 2000; round++) {
		while (random() % 8 &&
		       feed(&f, put, 8 + (uint32_t)random() % 900))
			put++;
		if (random() % 3 == 0) {
			p = reader_feed_reserve(&f, 24, &never);
			if (p)
				reader_feed_discard(p);
		}
		before = got;
		assert_true(reader_count(&reader, 0) >= put - before);
		assert_int_equal(drain_with(expect, &got), put - before);
		assert_int_equal(got, put);
		assert_int_equal(reader_count(&reader, 0), 0);
	}
	reader_feed_close(&f);
}

static void what_has_no_room_is_told(void **state)
{
	struct reader_feed f = feed_open();
	bool never;

	(void)state;
	assert_null(reader_feed_reserve(&f, SIZE, &never));
	assert_true(never);
	assert_null(reader_feed_reserve(&f, UINT32_MAX, &never));
	assert_true(never);
	assert_non_null(reader_feed_reserve(&f, SIZE - 8, &never));
	assert_null(reader_feed_reserve(&f, 0, &never));
	assert_false(never);
	reader_feed_close(&f);
}

static void one_producer_at_a_time(void **state)
{
	struct reader_feed f = feed_open(), g;
	struct err e;

	(void)state;
	assert_int_equal(reader_feed_open(&reader, 0, &g, &e), -1);
	assert_string_equal(e.what, "another process writes to ring");
	reader_feed_close(&f);
	g = feed_open();
	reader_feed_close(&g);
}

/* What a producer has begun and left, the next one discards; garbage too. */
static void what_was_left_is_passed(void **state)
{
	struct user_ring_head *h = (void *)(weld_region + RING);
	struct reader_feed f = feed_open();
	uint64_t got = 1;
	bool never;

	(void)state;
	reader_feed_reserve(&f, 100, &never);
	assert_true(feed(&f, 1, 40));
	assert_int_equal(drain_with(expect, &got), 0);
	reader_feed_close(&f);
	f = feed_open();
	assert_int_equal(drain_with(expect, &got), 1);
	memset((uint8_t *)(h + 1) + h->producer, 100, 4);
	h->producer += 12;
	assert_int_equal(drain_with(expect, &got), -EINVAL);
	reader_feed_close(&f);
	f = feed_open();
	assert_true(feed(&f, 2, 50));
	assert_int_equal(drain_with(expect, &got), 1);
	h->producer = UINT64_MAX - 7;
	assert_int_equal(reader_count(&reader, 0), 0);
	reader_feed_close(&f);
	f = feed_open();
	assert_true(feed(&f, 3, 50));
	assert_int_equal(drain_with(expect, &got), 1);
	reader_feed_close(&f);
}

/* --- Death. */

/* One that does not outlive us. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static int go[2];

/* In the middle of a sample, until killed. */
static uint64_t stay(const void *self, uint64_t r1, uint64_t ctx, uint64_t r3,
		     uint64_t r4)
{
	(void)self, (void)r1, (void)ctx, (void)r3, (void)r4;
	assert_int_equal(write(go[1], "", 1), 1);
	pause();
	return 0;
}

static void who_is_killed_inside_is_replaced(void **state)
{
	struct reader_feed f = feed_open();
	uint64_t got = 7;
	char byte;
	pid_t pid;

	(void)state;
	assert_true(feed(&f, 7, 64));
	assert_int_equal(pipe(go), 0);
	pid = child();
	if (!pid) {
		drain_with(stay, NULL);
		_exit(1);
	}
	assert_int_equal(read(go[0], &byte, 1), 1);
	assert_int_equal(drain_with(expect, &got), -EBUSY);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(drain_with(expect, &got), 1);
	close(go[0]);
	close(go[1]);
	reader_feed_close(&f);
}

/* An exec leaves our thread's number with a program that is no more. */
static void what_was_ours_before_exec_is_left(void **state)
{
	struct user_ring_head *h = (void *)(weld_region + RING);
	struct reader_feed f = feed_open();
	uint64_t got = 3;

	(void)state;
	assert_true(feed(&f, 3, 64));
	h->drainer = own_self(); /* whose thread is the first */
	assert_int_equal(drain_with(expect, &got), 1);
	assert_int_equal(h->drainer, 0);
	reader_feed_close(&f);
}

struct progress { /* of all processes */
	uint64_t put, got, wrong;
};

static uint64_t note(const void *self, uint64_t r1, uint64_t ctx, uint64_t r3,
		     uint64_t r4)
{
	const struct dynptr *p = (const struct dynptr *)r1;
	struct progress *all = (struct progress *)ctx;
	uint64_t n = *(const uint64_t *)p->data;

	(void)self, (void)r3, (void)r4;
	for (uint32_t i = 8; i < p->size; i++)
		all->wrong += ((const uint8_t *)p->data)[i] != (uint8_t)n;
	all->wrong += n < all->got; /* the same again is what a kill leaves */
	all->got = n;
	return 0;
}

static void produce(struct progress *all)
{
	struct reader_feed f;
	struct err e;

	if (reader_feed_open(&reader, 0, &f, &e))
		_exit(2);
	for (;;)
		if (feed(&f, all->put + 1, 8 + (uint32_t)all->put % 300))
			all->put++;
}

static void consume(struct progress *all)
{
	for (;;)
		drain_with(note, (uint64_t *)all);
}

static pid_t start(void (*run)(struct progress *), struct progress *all)
{
	pid_t pid = child();

	if (pid)
		return pid;
	run(all);
	_exit(1);
}

static void nobody_waits_for_the_dead(void **state)
{
	struct progress *all = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void (*run[3])(struct progress *) = { produce, consume, consume };
	pid_t pid[3] = { start(produce, all), start(consume, all),
			 start(consume, all) };
	uint64_t at = 0, before = 0;
	int moved = 0, who;

	(void)state;
	srandom(2);
	for (int i = 0; i < KILLS; i++) {
		/* Every other time they have got on, however slow they are. */
		for (int t = 0; i % 2 && t < 10000 && all->got == before; t++)
			usleep(1000);
		usleep((unsigned)random() % 3000);
		who = (int)random() % 3;
		kill(pid[who], SIGKILL);
		waitpid(pid[who], NULL, 0);
		pid[who] = start(run[who], all);
		moved += all->got != before;
		before = all->got;
	}
	for (int i = 0; i < 10000 && (all->got == before || !all->put); i++)
		usleep(1000);
	at = all->got;
	for (who = 0; who < 3; who++) {
		kill(pid[who], SIGKILL);
		waitpid(pid[who], NULL, 0);
	}
	assert_true(at > before);
	assert_true(moved >= KILLS / 2);
	assert_int_equal(all->wrong, 0);
	munmap(all, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(samples_come_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_has_no_room_is_told, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_producer_at_a_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_left_is_passed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			who_is_killed_inside_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_was_ours_before_exec_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_for_the_dead,
						setup, teardown),
	};
	int failed, fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	arena_free(&arena);
	return failed;
}
