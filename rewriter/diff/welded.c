/* SPDX-License-Identifier: MIT */
/* welded.c - the maps of a welded run, from its region file. */
#include "rewriter/diff/diff.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/reader/reader.h"
#include "runtime-stub/refs.h"

static void untouched_refs(struct arena *a, const struct bpf_map_def *d,
			   struct snap_map *out)
{
	size_t size = d->key_size + d->value_size;

	out->nelem = d->nslot;
	out->elem = arena_alloc(a, out->nelem * size);
	for (uint32_t i = 0; i < d->nslot; i++) {
		uint32_t value = d->slot[i].to + 1;

		memcpy(out->elem + i * size, &d->slot[i].key, sizeof(uint32_t));
		memcpy(out->elem + i * size + d->key_size, &value,
		       sizeof(value));
	}
}

/* A library that was never loaded has no region: its maps are as they began. */
static void untouched(struct arena *a, const struct bpf_map_def *d,
		      struct snap_map *out)
{
	size_t size = d->key_size + d->value_size;
	uint64_t stride = align_up(d->value_size, 8);

	if (map_has_refs(d->type))
		untouched_refs(a, d, out);
	if (d->type != BPF_MAP_TYPE_ARRAY &&
	    d->type != BPF_MAP_TYPE_PERCPU_ARRAY)
		return;
	out->nelem = d->max_entries;
	out->elem = arena_alloc(a, out->nelem * size);
	for (uint32_t i = 0; i < d->max_entries; i++) {
		memcpy(out->elem + i * size, &i, sizeof(i));
		if (d->initial.n)
			memcpy(out->elem + i * size + d->key_size,
			       d->initial.p + i * stride, d->value_size);
	}
}

/* perf's records are padded: with the word of their length before them, they
 * are whole words (kernel/events/core.c, perf_prepare_sample()). */
static void record_add(struct arena *a, const struct bpf_map_def *d,
		       const struct reader_record *record, struct snap_map *out)
{
	size_t n = record->len;
	uint8_t *padded;

	if (d->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY)
		n = align_up(n + 4, 8) - 4;
	padded = arena_alloc(a, n + 1);
	memcpy(padded, record->data, record->len);
	ring_record_add(a, out, padded, n);
}

static int read_ring(struct arena *a, const struct reader *r, uint32_t i,
		     const struct bpf_map_def *d, struct snap_map *out,
		     struct err *e)
{
	struct reader_record record;
	enum reader_ring what;

	for (;;) {
		if (reader_ring_next(r, i, &record, &what, e))
			return -1;
		if (what == RING_EMPTY || what == RING_WAIT)
			return 0;
		if (what == RING_RECORD)
			record_add(a, d, &record, out);
		reader_ring_done(r, i, &record);
	}
}

static void value_take(struct arena *a, const struct weld *w,
		       const struct reader *r, const struct bpf_map_def *d,
		       const uint8_t *value, uint8_t *to)
{
	if (map_is_percpu(d->type))
		percpu_fold(a, w, d, value, r->head.cpu_count,
			    align_up(d->value_size, 8), to);
	else
		memcpy(to, value, d->value_size);
}

static int read_map(struct arena *a, const struct weld *w,
		    const struct reader *r, uint32_t i, struct snap_map *out,
		    struct err *e)
{
	const struct bpf_map_def *d = &w->set.map[i];
	uint32_t key_size = snap_key_size(d);
	size_t size = key_size + d->value_size, n;
	struct reader_elem *elem;

	if (ring_is(d->type))
		return read_ring(a, r, i, d, out, e);
	if (!reader_can_walk(&r->map[i]))
		return 0;
	if (reader_elems(a, r, i, &elem, &n, e))
		return -1;
	out->nelem = n;
	out->elem = arena_alloc(a, n * size);
	for (uint32_t k = 0; k < n; k++) {
		memcpy(out->elem + k * size, d->key_size ? elem[k].key : (void *)&k,
		       key_size);
		value_take(a, w, r, d, elem[k].value,
			   out->elem + k * size + key_size);
	}
	return 0;
}

static void count_hits(const struct reader *r, struct snapshot *out)
{
	out->missed = r->head.lost;
	for (uint32_t i = 0; i < r->head.probe_count; i++) {
		struct reader_probe p = reader_probe(r, i);

		out->hits += p.hits;
		out->missed += p.misses;
		out->failed += p.failed;
	}
}

int welded_snapshot(struct arena *a, const struct weld *w, const char *region,
		    struct snapshot *out, struct err *e)
{
	bool found = reader_exists(region);
	struct reader r;
	int bad = 0;

	if (found && reader_open(a, region, READER_WRITE, &r, e))
		return -1;
	out->nmap = w->set.nmap;
	out->map = arena_alloc(a, (out->nmap + 1) * sizeof(*out->map));
	for (uint32_t i = 0; i < w->set.nmap && !bad; i++) {
		const struct bpf_map_def *d = &w->set.map[i];

		out->map[i].key_size = snap_key_size(d);
		out->map[i].value_size = snap_value_size(d);
		if (d->absent)
			continue;
		if (found)
			bad = read_map(a, w, &r, i, &out->map[i], e);
		else
			untouched(a, d, &out->map[i]);
	}
	if (found) {
		count_hits(&r, out);
		reader_close(&r);
	}
	return bad;
}
