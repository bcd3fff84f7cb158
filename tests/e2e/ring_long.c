/* SPDX-License-Identifier: MIT */
/* ring_long WELDED EACH - take the events of two threads of ring.sh's program until
 * each has made EACH of them: in order, none twice, and what is missing is lost
 * and said to be. */
#include <bpfweld/reader.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 2 };
struct event {
	uint64_t thread, n;
	char text[16];
};
static uint64_t got[THREADS], next[THREADS];

static int take(void *ctx, void *data, size_t size)
{
	const struct event *e = data;

	(void)ctx;
	if (size < sizeof(*e) || e->thread >= THREADS ||
	    e->n < next[e->thread]) {
		fprintf(stderr, "thread %" PRIu64 ", %" PRIu64 " is not next\n",
			e->thread, e->n);
		exit(1);
	}
	got[e->thread]++;
	next[e->thread] = e->n + 1;
	return 0;
}

int main(int argc, char **argv)
{
	struct bpfweld *w = argc > 2 ? bpfweld_open(argv[1], BPFWELD_WRITE)
				     : NULL;
	struct bpfweld_map *map = w ? bpfweld_map_find(w, "events") : NULL;
	struct bpfweld_ring *ring = map ? bpfweld_ring_new(map, take, NULL)
					: NULL;
	uint64_t want = argc > 2 ? THREADS * strtoull(argv[2], NULL, 0) : 0;
	uint64_t lost = 0;
	int quiet = 0; /* seconds without a record */

	if (!ring) {
		fprintf(stderr, "ring_long: %s\n", bpfweld_error());
		return 1;
	}
	while (got[0] + got[1] + lost < want) {
		int n = bpfweld_ring_poll(ring, 1000);

		if (n < 0) {
			fprintf(stderr, "ring_long: %s\n", bpfweld_error());
			return 1;
		}
		lost += bpfweld_ring_lost(ring);
		quiet = n ? 0 : quiet + 1;
		if (quiet == 10) {
			fprintf(stderr,
				"%" PRIu64 " records and %" PRIu64
				" lost are not %" PRIu64 "\n",
				got[0] + got[1], lost, want);
			return 1;
		}
	}
	bpfweld_ring_consume(ring);
	printf("%" PRIu64 " records, %" PRIu64 " lost\n", got[0] + got[1],
	       lost);
	bpfweld_ring_free(ring);
	bpfweld_close(w);
	return got[0] + got[1] + lost != want;
}
