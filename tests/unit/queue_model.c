/* SPDX-License-Identifier: MIT */
/* The stub's QUEUE and STACK maps under every schedule with few preemptions.
 *
 * Threads push and pop; a run follows a plan (schedule.h).  After each run
 *
 *   values    each is whole, and was pushed by somebody who was told so, or was
 *             killed in doing it; it comes out once, or is there still
 *   order     what one thread pushed comes out in that order of a queue, when
 *             one takes it all
 *   room      a push is refused only where the map can have been full, a pop
 *             only where it can have been empty
 *   pool      whoever was killed, somebody else can have all elements
 *
 * There are as many elements as fit, or some more: with few, elements are taken
 * from who is about to put them there.
 *
 * QUEUE_MODEL_DEPTH=3 tries one preemption more: for soak runs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime-stub/pool.h"
#include "runtime-stub/stub.h"
#include "tests/unit/schedule.h"

// clang-format off
#define __atomic_load_n(p, order) \
	(schedule_step(), *(volatile __typeof__(*(p)) *)(p))
#define load(p)        (schedule_step(), (load)(p))
#define store(p, v)    (schedule_step(), (store)(p, v))
#define swap(p, was, v) (schedule_step(), (swap)(p, was, v))
#define mem_copy(to, from, n) (schedule_step(), (mem_copy)(to, from, n))
#define ring_swap ring_swap
static bool ring_swap(struct ring_pair *p, struct ring_pair was,
		      struct ring_pair v)
{
	schedule_step();
	if (p->a != was.a || p->b != was.b)
		return false;
	*p = v;
	return true;
}
static uint32_t spare;
#define QUEUE_SPARE spare
#include "runtime-stub/queue.c"
// clang-format on

enum { THREADS = 2, OPS = 3, SLOTS = 4, VALUES = 64, OTHER = 99 };
struct value {
	uint64_t a, b;
};
uint8_t weld_region[8192] __attribute__((aligned(4096)));
const struct weld_info weld_info;
static struct region_map map;

static struct {
	const char *script[THREADS]; /* + push, ! push over the oldest, - pop */
	uint32_t number;             /* of the next value */
	uint32_t there[VALUES];      /* how often it may be in the map: 0, 1 */
	bool perhaps[VALUES];        /* who pushed or popped it was killed */
	uint32_t over, refused, empty; /* over: pushes that may push one out */
	const char *bad;
} m;

/* Each thread is a process, and one more is who starts and checks. */
uint64_t own_self(void)
{
	return UINT64_C(0xf0000000) << 32 | (s.running ? s.now + 1 : OTHER);
}

bool own_is_dead(uint64_t owner, uint64_t us)
{
	schedule_step();
	return owner >> 32 == us >> 32 && (uint32_t)owner != OTHER &&
	       s.dead[(uint32_t)owner - 1];
}

static void push(uint64_t flags)
{
	uint32_t n = m.number++;
	struct value v = { n, ~(uint64_t)n };
	long ret;

	m.perhaps[n] = true;
	ret = queue_push(&map, &v, flags);
	m.there[n] = ret == 0 && m.perhaps[n]; /* it may be out again */
	m.perhaps[n] = false;
	m.over += flags == BPF_EXIST;
	m.refused += ret != 0;
	if (ret && ret != -E2BIG)
		m.bad = "a push fails otherwise";
}

static void taken(const struct value *v)
{
	if (v->a >= m.number || v->b != ~v->a)
		m.bad = "a value is not whole";
	else if (!m.there[v->a] && !m.perhaps[v->a])
		m.bad = "a value is there that nobody pushed, or twice";
	else
		m.there[v->a] = m.perhaps[v->a] = false;
}

static bool pop(void)
{
	struct value v;
	long ret = queue_pop(&map, &v);

	if (!ret)
		taken(&v);
	else if (ret != -ENOENT || v.a || v.b)
		m.bad = "a pop fails otherwise";
	return !ret;
}

static void run_script(void)
{
	for (const char *op = m.script[s.now]; *op; op++) {
		if (*op == '-')
			m.empty += !pop();
		else
			push(*op == '!' ? BPF_EXIST : BPF_ANY);
	}
}

static void start(uint32_t type, uint32_t max, const char *history)
{
	map = (struct region_map){
		.type = type,
		.value_size = sizeof(struct value),
		.max_entries = max,
		.buckets = SLOTS,
		.stride = 8 + sizeof(struct value),
	};
	memset(weld_region, 0, sizeof(weld_region));
	memset(m.there, 0, sizeof(m.there));
	memset(m.perhaps, 0, sizeof(m.perhaps));
	m.number = m.over = m.refused = m.empty = 0;
	m.bad = NULL;
	for (; *history; history++)
		if (*history == '-')
			pop();
		else
			push(BPF_ANY);
	s.steps = 0;
}

static uint64_t runs, refusals, empties, deaths;

static void tell(const char *what)
{
	schedule_tell();
	printf("type %u, scripts '%s' and '%s'\n", map.type, m.script[0],
	       m.script[1]);
	fail_msg("%s", what);
}

/* Elements that cannot be had of a map that is empty. */
static uint32_t lost(void)
{
	struct queue q = queue_of(&map);
	struct ring_pair now = q.head->now;
	uint32_t n = map.max_entries + QUEUE_SPARE;

	while (n && take(&q, &now))
		n--;
	return n;
}

/* All that is in there comes out; then nothing is missing. */
static void check(void)
{
	uint32_t missing = 0;

	runs++;
	refusals += m.refused;
	empties += m.empty;
	deaths += schedule_deaths();
	while (!m.bad && pop())
		continue;
	for (uint32_t n = 0; n < m.number; n++)
		missing += m.there[n];
	/* Who pops takes one along when killed. */
	if (!m.bad && missing > m.over + schedule_deaths())
		m.bad = "a value is lost";
	if (!m.bad && lost())
		m.bad = "an element is lost";
	if (m.bad)
		tell(m.bad);
}

static void explore(uint32_t type, uint32_t max, const char *history,
		    uint32_t depth, bool kill)
{
	uint64_t from = s.nplan ? s.plan[s.nplan - 1].at : 0, end;

	start(type, max, history);
	s.nthread = s.mortal = THREADS;
	schedule_run(run_script);
	end = s.steps;
	check();
	for (uint64_t at = from + 1; depth && at <= end; at++)
		for (int k = 0; k <= kill; k++) {
			s.plan[s.nplan++] = (struct preempt){ at, 0, k };
			explore(type, max, history, depth - 1, kill && !k);
			s.plan[--s.nplan] = (struct preempt){ 0 };
		}
}

static uint32_t depth(void)
{
	const char *more = getenv("QUEUE_MODEL_DEPTH");

	return more ? (uint32_t)atoi(more) : 2;
}

static void all(uint32_t type)
{
	static const char *const scripts[][THREADS] = {
		{ "+", "+" },  { "+", "-" },   { "-", "-" },
		{ "+-", "-+" }, { "++", "--" }, { "!", "-" },
		{ "!", "!" },  { "!-", "+-" },  { "+", "-++" },
	};
	static const char *const histories[] = { "", "+", "++", "+++", "+++--",
						 "++-++--+" };

	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
		for (size_t h = 0; h < sizeof(histories) / sizeof(*histories);
		     h++) {
			memcpy(m.script, scripts[i], sizeof(m.script));
			explore(type, 3, histories[h], depth(), true);
			if (h < 2)
				explore(type, 1, histories[h], depth(), true);
		}
	m.script[0] = "+-";
	m.script[1] = "+!";
	explore(type, 2, "+", 3, false);
}

static void both(uint32_t type)
{
	spare = 0;
	all(type);
	spare = THREADS;
	all(type);
}

static void queues(void **state)
{
	(void)state;
	both(BPF_MAP_TYPE_QUEUE);
}

static void stacks(void **state)
{
	(void)state;
	both(BPF_MAP_TYPE_STACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues),
		cmocka_unit_test(stacks),
	};
	int bad = cmocka_run_group_tests(tests, NULL, NULL);

	printf("%llu schedules, %llu refusals, %llu times empty, %llu deaths\n",
	       (unsigned long long)runs, (unsigned long long)refusals,
	       (unsigned long long)empties, (unsigned long long)deaths);
	return bad;
}
