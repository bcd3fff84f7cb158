/* SPDX-License-Identifier: MIT */
/* Processes that push and pop are killed, a thousand times: all their elements
 * come back. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime-stub/own.c"
#include "runtime-stub/queue.c"

#include <cmocka.h>

enum {
	REGION = 1 << 14,
	KILLS = 1000,
	TOGETHER = 8,
	MAX = 100
};
struct value {
	uint64_t a, b, c;
};
uint8_t weld_region[REGION] __attribute__((aligned(4096)));
uint64_t weld_own[512] __attribute__((aligned(4096)));

bool region_is_private(void)
{
	return false;
}
const struct weld_info weld_info = { .range = REGION };
static struct region_map map = {
	.value_size = sizeof(struct value),
	.max_entries = MAX,
	.buckets = 128,
	.stride = 8 + sizeof(struct value),
};

static long push(uint64_t a, uint64_t flags)
{
	struct value v = { a, ~a, a * 3 };

	return queue_push(&map, &v, flags);
}

static bool pop(uint64_t *a)
{
	struct value v;

	if (queue_pop(&map, &v))
		return false;
	if (v.b != ~v.a || v.c != v.a * 3)
		abort();
	*a = v.a;
	return true;
}

/* Do nothing else, until a timer kills us anywhere. */
static void work(long ns)
{
	struct sigevent kill = { .sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = SIGKILL };
	struct itimerspec once = { .it_value.tv_nsec = ns };
	timer_t timer;
	uint64_t a;

	if (timer_create(CLOCK_MONOTONIC, &kill, &timer) ||
	    timer_settime(timer, 0, &once, NULL))
		_exit(1);
	for (uint64_t i = 0;; i++) {
		push(i, i & 8 ? BPF_EXIST : BPF_ANY);
		if (i & 3)
			pop(&a);
	}
}

static void kill_some(long ns)
{
	pid_t pid[TOGETHER];
	int status;

	for (int i = 0; i < TOGETHER; i++) {
		pid[i] = fork();
		if (!pid[i])
			work(ns);
	}
	for (int i = 0; i < TOGETHER; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

static void killed(uint32_t type)
{
	void *shared = mmap(weld_region, REGION, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	struct queue q;
	uint64_t a;

	assert_ptr_equal(shared, weld_region);
	map.type = type;
	q = queue_of(&map);
	for (long i = 0; i < KILLS; i += TOGETHER)
		kill_some(100000 + i * 100);
	while (pop(&a))
		continue;
	for (uint64_t i = 0; i < MAX; i++)
		assert_int_equal(push(i, BPF_ANY), 0);
	assert_int_equal(push(0, BPF_ANY), -E2BIG);
	for (uint64_t i = 0; i < MAX; i++) {
		assert_true(pop(&a));
		assert_int_equal(a,
				 type == BPF_MAP_TYPE_QUEUE ? i : MAX - 1 - i);
	}
	assert_false(pop(&a));
	for (uint32_t i = 0; i < q.elems; i++)
		assert_true(take(&q, &q.head->now));
}

/* All elements are in this hand: can anything be pushed? */
static bool takes_from(uint64_t owner)
{
	struct queue q = queue_of(&map);

	q.head->now = (struct ring_pair){ 0 };
	for (uint32_t low = 1; low <= q.elems; low++)
		*elem_at(&q, low) = owner;
	return !push(1, BPF_ANY);
}

static void owners(void **state)
{
	uint64_t space = own_self() & ~(uint64_t)UINT32_MAX, dead;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	dead = (uint64_t)pid;
	assert_true(space);
	assert_true(takes_from(space | dead));
	assert_false(takes_from(own_self()));
	assert_false(takes_from(space | (uint64_t)getppid()));
	assert_false(takes_from((space ^ UINT64_C(1) << 32) | dead));
	assert_false(takes_from(dead)); /* of no known namespace */
}

static void queue(void **state)
{
	(void)state;
	killed(BPF_MAP_TYPE_QUEUE);
}

static void stack(void **state)
{
	(void)state;
	killed(BPF_MAP_TYPE_STACK);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners),
		cmocka_unit_test(queue),
		cmocka_unit_test(stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
