/* SPDX-License-Identifier: MIT */
/* elements.c - read the maps of a run under kernel uprobes.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "rewriter/diff/attached.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/refs.h"

static void sample_take(void *to, int cpu, void *data, uint32_t len)
{
	struct records *r = to;

	(void)cpu;
	if (r->out)
		ring_record_add(r->a, r->out, data, len);
}

enum {
	PERF_PAGES = 64
};

int perf_open(struct arena *a, const struct weld *w, struct kernel *k,
	      struct err *e)
{
	k->perf = arena_alloc(a, (w->set.nmap + 1) * sizeof(*k->perf));
	for (k->nperf = 0; k->nperf < w->set.nmap; k->nperf++) {
		const struct bpf_map_def *d = &w->set.map[k->nperf];
		struct perf *p = &k->perf[k->nperf];

		if (d->type != BPF_MAP_TYPE_PERF_EVENT_ARRAY || d->absent)
			continue;
		p->buffer = perf_buffer__new(
			bpf_object__find_map_fd_by_name(k->object[d->object],
							d->name),
			PERF_PAGES, sample_take, NULL, &p->to, NULL);
		if (!p->buffer)
			return fail(e, w->set.object[d->object].path, NOWHERE,
				    "perf buffer %s cannot be opened: %s",
				    d->name, strerror(errno));
	}
	return 0;
}

static int record_take(void *to, void *data, size_t len)
{
	struct records *r = to;

	ring_record_add(r->a, r->out, data, len);
	return 0;
}

static int ring_snapshot(struct arena *a, int fd, const struct bpf_map_def *d,
			 struct snap_map *out, struct err *e)
{
	struct records r = { a, out };
	struct ring_buffer *rb = ring_buffer__new(fd, record_take, &r, NULL);
	int n = rb ? ring_buffer__consume(rb) : -errno;

	ring_buffer__free(rb);
	return n < 0 ? fail(e, NULL, NOWHERE, "ring %s cannot be read: %s",
			    d->name, strerror(-n))
		     : 0;
}

/* The value of a key; -1 and errno. */
static int value_read(struct arena *a, const struct weld *w, int fd,
		      const struct bpf_map_def *d, const uint8_t *key,
		      uint8_t *value)
{
	size_t one = align_up(d->value_size, 8);
	int n = libbpf_num_possible_cpus();
	uint8_t *all;

	if (!map_is_percpu(d->type))
		return bpf_map_lookup_elem(fd, key, value);
	all = n > 0 ? arena_alloc(a, n * one) : NULL;
	if (!all || bpf_map_lookup_elem(fd, key, all))
		return -1;
	percpu_fold(a, w, d, all, (size_t)n, one, value);
	return 0;
}

/* All that a queue or stack holds, by taking it out. */
static int queue_snapshot(struct arena *a, int fd, const struct bpf_map_def *d,
			  struct snap_map *out)
{
	size_t size = RING_KEY + d->value_size;
	uint8_t *at;

	for (uint32_t n = 0;; n++) {
		out->elem = arena_push(a, out->elem, out->nelem, size);
		at = out->elem + out->nelem * size;
		memcpy(at, &n, sizeof(n));
		if (bpf_map_lookup_and_delete_elem(fd, NULL, at + RING_KEY))
			return 0;
		out->nelem++;
	}
}

/* Listed, the kernel's prefixes have bits behind them, as they were inserted
 * with; a welded program's have none. */
static void prefixes_cut(const struct bpf_map_def *d, struct snap_map *m)
{
	uint32_t size = d->key_size - (uint32_t)sizeof(uint32_t), bits;

	for (size_t i = 0; i < m->nelem; i++) {
		uint8_t *key = m->elem + i * (m->key_size + m->value_size);
		uint8_t *data = key + sizeof(bits);

		memcpy(&bits, key, sizeof(bits));
		for (uint32_t at = bits / 8; at < size; at++)
			data[at] &= at == bits / 8
					    ? (uint8_t)(0xff00 >> bits % 8)
					    : 0;
	}
}

/* Elements may go while a process that the command left is still running. */
static int map_snapshot(struct arena *a, const struct weld *w, int fd,
			const struct bpf_map_def *d, struct perf *perf,
			struct snap_map *out, struct err *e)
{
	size_t size = d->key_size + d->value_size;
	uint8_t *key = NULL, *next = arena_alloc(a, d->key_size), *at;

	out->key_size = snap_key_size(d);
	out->value_size = snap_value_size(d);
	if (d->type == BPF_MAP_TYPE_RINGBUF)
		return ring_snapshot(a, fd, d, out, e);
	if (d->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY) {
		perf->to = (struct records){ a, out };
		perf_buffer__consume(perf->buffer);
		return 0;
	}
	if (d->type == BPF_MAP_TYPE_QUEUE || d->type == BPF_MAP_TYPE_STACK)
		return queue_snapshot(a, fd, d, out);
	while (bpf_map_get_next_key(fd, key, next) == 0) {
		out->elem = arena_push(a, out->elem, out->nelem, size);
		at = out->elem + out->nelem * size;
		key = memcpy(at, next, d->key_size);
		if (!value_read(a, w, fd, d, key, at + d->key_size))
			out->nelem++;
		else if (errno != ENOENT)
			return fail(e, NULL, NOWHERE,
				    "map %s cannot be read: %s", d->name,
				    strerror(errno));
	}
	if (d->type == BPF_MAP_TYPE_LPM_TRIE)
		prefixes_cut(d, out);
	return 0;
}

int kernel_snapshot(struct arena *a, const struct weld *w, struct kernel *k,
		    struct snapshot *out, struct err *e)
{
	out->nmap = w->set.nmap;
	out->map = arena_alloc(a, (out->nmap + 1) * sizeof(*out->map));
	for (uint32_t i = 0; i < w->set.nmap; i++) {
		const struct bpf_map_def *d = &w->set.map[i];
		struct bpf_map *m = bpf_object__find_map_by_name(
			k->object[d->object], d->name);

		if (!m)
			return fail(e, w->set.object[d->object].path, NOWHERE,
				    "libbpf has no map %s", d->name);
		if (d->absent)
			continue;
		if (map_snapshot(a, w, bpf_map__fd(m), d, &k->perf[i],
				 &out->map[i], e))
			return -1;
		if (map_has_refs(d->type))
			refs_number(w, k->object[d->object], d, &out->map[i]);
	}
	return 0;
}

int kernel_drain(const struct weld *w, struct kernel *k, size_t *n,
		 struct err *e)
{
	struct arena a = { 0 };
	int bad = 0;

	*n = 0;
	for (uint32_t i = 0; i < w->set.nmap && !bad; i++) {
		const struct bpf_map_def *d = &w->set.map[i];
		struct snap_map got = { 0 };

		if (!ring_is(d->type) || d->absent)
			continue;
		bad = map_snapshot(&a, w,
				   bpf_object__find_map_fd_by_name(
					   k->object[d->object], d->name),
				   d, &k->perf[i], &got, e);
		*n += got.nelem;
	}
	arena_free(&a);
	return bad;
}
