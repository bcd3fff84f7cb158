/* SPDX-License-Identifier: MIT */
/* ringload - the other end of the rings that ringload.bpf.c writes and drains.
 *
 *   ringload ringbuf|perf WELDED   take records until SIGTERM and there are
 * none left; prints of each process its number, how many came and their sum;
 * and how many were lost.  Each must be whole, and a thread's in their order.
 *   ringload user_ring WELDED N    write N samples, numbered; more that are
 *     discarded
 */
#include <inttypes.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/bpfweld/reader.h"
#include "runtime-stub/reader/reader.h"

enum {
	PROCESSES = 4096,
	THREADS = 64 /* of each; number 64 is its signal handler */
};
struct event {
	uint64_t i, not_i, thrice;
};

static uint64_t next[PROCESSES][THREADS], got[PROCESSES], sum[PROCESSES], lost;
static volatile sig_atomic_t ends;

static void end(int sig)
{
	(void)sig;
	ends = 1;
}

static void stop(const char *why)
{
	fprintf(stderr, "ringload: %s\n", why);
	exit(1);
}

static int take(void *ctx, void *data, size_t size)
{
	const struct event *e = data;
	uint64_t process, thread, n;

	(void)ctx;
	if (size < sizeof(*e) || e->not_i != ~e->i || e->thrice != e->i * 3)
		stop("a record is not whole");
	process = e->i >> 48;
	thread = e->i >> 40 & 255;
	n = e->i & ((UINT64_C(1) << 40) - 1);
	if (process >= PROCESSES || thread > THREADS)
		stop("a record is nobody's");
	/* Handlers of two threads may run at once. */
	if (thread < THREADS && n < next[process][thread])
		stop("a record is not its thread's next");
	if (thread < THREADS)
		next[process][thread] = n + 1;
	got[process]++;
	sum[process] += e->i;
	return 0;
}

static void take_perf(void *ctx, int cpu, void *data, __u32 size)
{
	(void)cpu;
	take(ctx, data, size);
}

static void lost_perf(void *ctx, int cpu, __u64 n)
{
	(void)ctx;
	(void)cpu;
	lost += n;
}

/* (The signal ends a poll, too.) */
static int read_ring(struct bpfweld_map *map)
{
	struct bpfweld_ring *ring = bpfweld_ring_new(map, take, NULL);

	while (ring && !ends)
		bpfweld_ring_poll(ring, 100);
	while (ring && bpfweld_ring_consume(ring) > 0)
		continue;
	lost = bpfweld_ring_lost(ring);
	bpfweld_ring_free(ring);
	return ring ? 0 : -1;
}

static int read_perf(struct bpfweld_map *map)
{
	struct bpfweld_perf *perf =
		bpfweld_perf_new(map, take_perf, lost_perf, NULL);

	while (perf && !ends)
		bpfweld_perf_poll(perf, 100);
	while (perf && bpfweld_perf_consume(perf) > 0)
		continue;
	bpfweld_perf_free(perf);
	return perf ? 0 : -1;
}

static void take_all(const char *type, const char *welded)
{
	struct sigaction sa = { .sa_handler = end };
	struct bpfweld *w = bpfweld_open(welded, BPFWELD_WRITE);
	struct bpfweld_map *map = w ? bpfweld_map_find(w, type) : NULL;

	sigaction(SIGTERM, &sa, NULL);
	if (!map || (strcmp(type, "perf") ? read_ring : read_perf)(map))
		stop(bpfweld_error());
	for (int i = 0; i < PROCESSES; i++)
		if (got[i])
			printf("%d %" PRIu64 " %" PRIu64 "\n", i, got[i],
			       sum[i]);
	printf("lost %" PRIu64 " 0\n", lost);
	bpfweld_close(w);
}

/* --- Samples. */

static void put(const struct reader_feed *f, uint64_t i, bool discard)
{
	uint32_t len = sizeof(struct event) + i % 40;
	struct event *e;
	bool never;

	for (int k = 0; !(e = reader_feed_reserve(f, len, &never)); k++) {
		if (k == 600)
			stop("nobody drains samples");
		reader_feed_sleep(f, 100);
	}
	*e = (struct event){ i, ~i, i * 3 };
	if (discard) {
		e->thrice++;
		reader_feed_discard(e);
	} else {
		reader_feed_submit(e);
	}
}

static void feed(const char *welded, uint64_t n)
{
	struct arena a = { 0 };
	struct manifest m;
	struct reader_feed f;
	struct reader r;
	struct err e;
	uint32_t map = 0;

	if (manifest_read(&a, welded, &m, NULL, &e) ||
	    reader_open_weld(&a, &m, READER_WRITE, &r, &e))
		stop(e.what);
	while (map < r.head.map_count &&
	       r.map[map].type != BPF_MAP_TYPE_USER_RINGBUF)
		map++;
	if (reader_feed_open(&r, map, &f, &e))
		stop(e.what);
	for (uint64_t i = 0; i < n; i++) {
		if (i % 50 == 7)
			put(&f, i, true);
		put(&f, i, false);
	}
	reader_feed_close(&f);
	reader_close(&r);
	arena_free(&a);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		take_all(argv[1], argv[2]);
	else if (argc == 4)
		feed(argv[2], strtoull(argv[3], NULL, 0));
	else
		return 2;
	return 0;
}
