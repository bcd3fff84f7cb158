/* SPDX-License-Identifier: MIT */
/* RINGBUF maps under every schedule with few preemptions.
 *
 * The stub's ring.c and the reader's are compiled here with a hook in front of
 * each access to shared memory.  Two processes write and a reader reads, as
 * coroutines; a run follows a plan that says before which accesses who goes on
 * instead, and who is killed there.  All plans are tried, up to a number of
 * preemptions.  In the end, when the reader has taken all that is left:
 *
 *   records   every one that was committed was read, once and whole, each
 *             writer's in its order; nothing else was
 *             (the reader gives them back one by one, or several together)
 *   room      only a full ring refuses, and an empty one is empty: nobody who
 *             died keeps any of it
 *
 * RING_MODEL_DEPTH=3 tries three everywhere, not only in one case: for soak
 * runs.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime-stub/reader/reader.h"
#include "runtime-stub/stub.h"
#include "tests/unit/schedule.h"

static int model_kill(int pid);

/* Of the pid namespace: the same for all.  (The kernel takes longer to say so than
 * a run.) */
static int model_stat(struct stat *st)
{
	*st = (struct stat){ .st_ino = 1 };
	return 0;
}

// clang-format off
#define __atomic_load_n(p, order)      (schedule_step(), *(volatile __typeof__(*(p)) *)(p))
#define __atomic_store_n(p, v, order)  (schedule_step(), (void)(*(p) = (v)))
#define __atomic_fetch_add(p, v, order) (schedule_step(), (*(p) += (v)) - (v))
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
#define kill(pid, sig) model_kill(pid)
#define stat(path, st) model_stat(st)
#include "runtime-stub/ring.c"
#define ring reader_ring_of
#define ring_of reader_ring_of_
#include "runtime-stub/reader/ring.c"
#undef kill
#undef stat
#undef ring
#undef ring_of
// clang-format on

#include <cmocka.h>

enum {
	WRITERS = 2,
	THREADS = WRITERS + 1, /* the reader is the last */
	RECORDS = 3,           /* of each writer, at most */
	PID = 100,
	SIZE = 64, /* of the ring, with 4 slots */
};
uint8_t weld_region[8192] __attribute__((aligned(4096)));
uint64_t weld_own[512];
const struct weld_info weld_info;
uint32_t cpu_here(void)
{
	return 0;
}
static struct region_map map = {
	.name = "ring", .type = BPF_MAP_TYPE_RINGBUF, .stride = SIZE,
	.buckets = SIZE / 16, .data = 4096,
};
static struct reader reader = { .base = weld_region, .map = &map };

static struct {
	uint32_t want[WRITERS];      /* records to write */
	uint32_t lens[WRITERS];      /* and their content */
	uint32_t committed[WRITERS], refused[WRITERS];
	bool open[WRITERS];          /* one is being committed */
	uint32_t read[WRITERS];
	uint32_t together;           /* the reader gives so many back */
	const char *bad;
} m;

static long process;

long own_pid(void)
{
	return process;
}

/* Each thread is a process. */
static void switched(uint32_t to)
{
	process = PID + to;
}

static int model_kill(int pid)
{
	errno = ESRCH;
	return s.dead[pid - PID] ? -1 : 0;
}

/* --- who does what ------------------------------------------------------ */

/* A record says whose it is and which, over and over. */
static void write_one(uint32_t w)
{
	struct ring r = ring_of(&map);
	uint32_t len = m.lens[w];
	struct record to = reserve(&r, len);

	if (!to.header) {
		m.refused[w]++;
		return;
	}
	memset(to.header + RING_HEADER, (int)(w << 4 | (m.committed[w] + 1)),
	       len);
	m.open[w] = true;
	if (w) /* found by its sample, as bpf_ringbuf_submit() does */
		to = record_of(&r, to.header + RING_HEADER);
	commit(&r, &to, BPF_RB_NO_WAKEUP, RING_COMMITTED);
	m.open[w] = false;
	m.committed[w]++;
}

static void record_read(const struct reader_record *r)
{
	uint32_t w = r->data[0] >> 4, n = r->data[0] & 15;

	if (w >= WRITERS || r->len != m.lens[w] || n != m.read[w] + 1)
		m.bad = "a record is not the next of its writer";
	for (uint32_t i = 1; i < r->len; i++)
		if (r->data[i] != r->data[0])
			m.bad = "a record is not whole";
	if (w < WRITERS)
		m.read[w]++;
}

/* Until there is nothing, or `tries` times. */
static void read_some(uint32_t tries)
{
	struct reader_record r, last;
	enum reader_ring what;
	uint32_t n = 0;
	struct err e;

	while (tries--) {
		if (reader_ring_after(&reader, 0, n ? &last : NULL, &r, &what,
				      &e)) {
			m.bad = "the ring is damaged";
			return;
		}
		if (what == RING_RECORD)
			record_read(&r);
		if (what == RING_RECORD || what == RING_SKIPPED) {
			last = r;
			n++;
		} else if (what == RING_EMPTY && !s.running) {
			break;
		}
		if (n == m.together) {
			reader_ring_done(&reader, 0, &last);
			n = 0;
		}
	}
	if (n)
		reader_ring_done(&reader, 0, &last);
}

static void run_thread(void)
{
	uint32_t t = s.now;

	if (t == WRITERS)
		read_some(4);
	for (uint32_t i = 0; t < WRITERS && i < m.want[t]; i++)
		write_one(t);
}

/* --- one run ------------------------------------------------------------ */

/* So many records have come and gone: the ring has turned, slots are old. */
static void start(uint32_t before)
{
	struct region_header *h = (struct region_header *)weld_region;

	memset(weld_region, 0, sizeof(weld_region));
	h->owner = UINT64_C(1) << 32;
	s.running = false;
	m.bad = NULL;
	memset(m.open, 0, sizeof(m.open));
	process = PID;
	for (uint32_t i = 0; i < before; i++) {
		memset(m.committed, 0, sizeof(m.committed));
		memset(m.read, 0, sizeof(m.read));
		write_one(0);
		read_some(9);
	}
	memset(m.committed, 0, sizeof(m.committed));
	memset(m.refused, 0, sizeof(m.refused));
	memset(m.read, 0, sizeof(m.read));
	s.steps = 0;
}

static void run(uint32_t before)
{
	start(before);
	s.nthread = THREADS;
	s.mortal = WRITERS; /* a reader that dies has read its record */
	s.switched = switched;
	schedule_run(run_thread);
}

static uint64_t runs, refusals, skipped;

static void tell(const char *what)
{
	schedule_tell();
	for (uint32_t w = 0; w < WRITERS; w++)
		printf("writer %u: %u committed, %u refused, %u read%s\n", w,
		       m.committed[w], m.refused[w], m.read[w],
		       s.dead[w] ? ", killed" : "");
	fail_msg("%s", what);
}

static void check(bool must_fit)
{
	struct ring r = ring_of(&map);

	runs++;
	if (m.bad)
		tell(m.bad);
	read_some(20);
	if (m.bad)
		tell(m.bad);
	for (uint32_t w = 0; w < WRITERS; w++) {
		bool perhaps = s.dead[w] && m.open[w];

		if (m.read[w] != m.committed[w] &&
		    !(perhaps && m.read[w] == m.committed[w] + 1))
			tell("records are lost or too many");
		refusals += m.refused[w];
		skipped += s.dead[w];
		if (must_fit && m.refused[w])
			tell("a ring with room refuses");
	}
	if (r.head->head.a != r.head->tail.a ||
	    r.head->head.b != ring_number(r.head->tail.b))
		tell("the empty ring is not empty");
}

static void explore(uint32_t before, uint32_t depth, bool kill, bool must_fit)
{
	uint64_t from = s.nplan ? s.plan[s.nplan - 1].at : 0, end;

	run(before);
	end = s.steps;
	check(must_fit);
	if (!depth)
		return;
	for (uint64_t at = from + 1; at <= end; at++)
		for (uint32_t to = 0; to < THREADS - 1; to++)
			for (int k = 0; k <= kill; k++) {
				s.plan[s.nplan++] =
					(struct preempt){ at, to, k };
				explore(before, depth - 1, kill && !k,
					must_fit);
				s.plan[--s.nplan] = (struct preempt){ 0 };
			}
}

static uint32_t more(void)
{
	const char *depth = getenv("RING_MODEL_DEPTH");

	return depth ? (uint32_t)atoi(depth) - 2 : 0;
}

/* One record each, in a ring that has room for both: a new one, and one that
 * was used, where slots and bytes have something in them. */
static void roomy(void **state)
{
	(void)state;
	m.want[0] = m.want[1] = 1;
	m.lens[0] = 8;
	m.lens[1] = 20;
	for (uint32_t before = 0; before < 5; before++)
		explore(before, 2 + more(), true, true);
	explore(5, 3, true, true);
}

/* Not all find room, and records go over the end. */
static void crowded(void **state)
{
	(void)state;
	m.want[0] = 2;
	m.want[1] = 1;
	m.lens[0] = 16;
	m.lens[1] = 40;
	explore(0, 3, true, false);
	explore(3, 2 + more(), true, false);
	m.together = 2;
	explore(3, 2 + more(), true, false);
	m.together = 1;
	assert_true(refusals > 0);
}

/* A store that comes late: one writer stands still before it, while the other
 * goes round the whole ring, and the reader with it. */
static void late(void **state)
{
	(void)state;
	m.want[0] = 1;
	m.want[1] = 4;
	m.lens[0] = m.lens[1] = 8;
	explore(0, 3, false, false);
	m.together = 3;
	explore(0, 2 + more(), false, false);
	m.together = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roomy),
		cmocka_unit_test(crowded),
		cmocka_unit_test(late),
	};
	int bad;

	m.together = 1;
	bad = cmocka_run_group_tests(tests, NULL, NULL);

	printf("%llu schedules, %llu refusals, %llu deaths\n",
	       (unsigned long long)runs, (unsigned long long)refusals,
	       (unsigned long long)skipped);
	return bad;
}
