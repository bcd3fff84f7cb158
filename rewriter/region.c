/* SPDX-License-Identifier: MIT */
/* region.c - lay out the shared region, and write struct weld_info.
 *
 *   region (layout.h)          weld_info in RX (abi.h)
 *     header                     struct weld_info
 *     gates, one byte a probe    struct region_map[]
 *     struct region_map[]        struct init_record[]
 *     counts, a line a probe     the bytes the records name
 *     trace ring
 *     map data
 *
 * Parts are aligned to a cache line, map data larger than a page to a page.
 * The ring has slots only if some program prints.  Initial bytes are kept
 * without the zeroes at either end, as a fresh region is zero.
 */
#include "rewriter/region.h"

#include "runtime-stub/hash.h"
#include "runtime-stub/ring.h"

enum { LINE = 64, PAGE = 4096, PERF_RING = 256 << 10 };
#define REGION_MAX (UINT64_C(1) << 30)

static bool prints(const struct bpf_set *set)
{
	for (uint32_t i = 0; i < set->nprog; i++) {
		const struct bpf_prog *p = &set->prog[i];

		for (uint32_t k = 0; k < p->ninsn; k++)
			if (p->insn[k].code == (BPF_JMP | BPF_CALL) &&
			    p->insn[k].src_reg == 0 &&
			    p->insn[k].imm == BPF_FUNC_trace_printk)
				return true;
	}
	return false;
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static void ring_size(struct region_map *m, uint32_t bytes)
{
	m->stride = bytes;
	m->buckets = ring_slots(bytes);
	m->size = ring_data(m->buckets) + 2 * (uint64_t)bytes;
}

/* kernel/bpf/ringbuf.c, ringbuf_map_alloc() */
static int ring_shape(const struct bpf_map_def *def, struct region_map *m,
		      struct err *e)
{
	uint32_t n = def->max_entries;

	if (def->key_size || def->value_size)
		return fail(e, def->name, NOWHERE,
			    "a ring buffer has no keys and values");
	if (!n || n % PAGE || (n & (n - 1)))
		return fail(e, def->name, NOWHERE,
			    "a ring buffer's size is a power of two of whole "
			    "pages, not %u", n);
	if (n > REGION_MAX / 4)
		return refuse(e, def->name, NOWHERE,
			      "the ring is larger than a region may have "
			      "(256 MiB)");
	ring_size(m, n);
	return 0;
}

/* One ring for all CPUs; its size is the consumer's choice in the kernel. */
static int perf_shape(const struct bpf_map_def *def, struct region_map *m,
		      struct err *e)
{
	if (def->key_size != 4 || def->value_size != 4)
		return fail(e, def->name, NOWHERE,
			    "keys and values of a perf event array have 4 "
			    "bytes");
	ring_size(m, PERF_RING);
	return 0;
}

/* Everything of a map but where its data lies. */
static int shape(const struct bpf_map_def *def, struct region_map *m,
		 struct err *e)
{
	uint64_t n = def->max_entries;

	snprintf(m->name, sizeof(m->name), "%s", def->name);
	m->type = def->type;
	m->key_size = def->key_size;
	m->value_size = def->value_size;
	m->max_entries = def->max_entries;
	m->flags = def->flags;
	if (def->type == BPF_MAP_TYPE_RINGBUF)
		return ring_shape(def, m, e);
	if (def->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY)
		return perf_shape(def, m, e);
	if (!n || !def->key_size || !def->value_size)
		return fail(e, def->name, NOWHERE,
			    "a map with no entries, keys or values");
	if (n > REGION_MAX || def->key_size > REGION_MAX ||
	    def->value_size > REGION_MAX)
		goto too_large;
	switch (def->type) {
	case BPF_MAP_TYPE_ARRAY:
		if (def->key_size != 4)
			return fail(e, def->name, NOWHERE,
				    "an array's key has 4 bytes, not %u",
				    def->key_size);
		m->stride = (uint32_t)align_up(def->value_size, 8);
		m->size = n * m->stride;
		break;
	case BPF_MAP_TYPE_HASH:
		m->stride = hash_stride(def->key_size, def->value_size);
		m->buckets = power_of_two(def->max_entries);
		m->size = hash_pool(m->buckets) + (n + HASH_SPARE) * m->stride;
		break;
	default:
		return refuse(e, def->name, NOWHERE,
			      "map type %u is not supported", def->type);
	}
	if (m->size <= REGION_MAX)
		return 0;
too_large:
	return refuse(e, def->name, NOWHERE,
		      "the map is larger than a region may be (1 GiB)");
}

/* Take `size` bytes of the region. */
static uint64_t take(struct region *r, uint64_t size)
{
	uint64_t at = align_up(r->size, size > PAGE ? PAGE : LINE);

	r->size = at + size;
	return at;
}

static int place(struct arena *a, const struct bpf_set *set, struct region *r,
		 uint64_t trace_size, struct err *e)
{
	r->size = sizeof(struct region_header);
	r->gates = take(r, r->nprobe);
	r->maps = take(r, (uint64_t)set->nmap * sizeof(struct region_map));
	r->counts = take(r, (uint64_t)r->nprobe * sizeof(struct region_count));
	r->trace = take(r, trace_size);
	r->nmap = set->nmap;
	r->map = arena_alloc(a, set->nmap * sizeof(*r->map));
	for (uint32_t i = 0; i < set->nmap; i++) {
		if (shape(&set->map[i], &r->map[i], e))
			return -1;
		r->map[i].data = take(r, r->map[i].size);
		if (r->size > REGION_MAX)
			return refuse(e, set->map[i].name, NOWHERE,
				      "all maps together are larger than a "
				      "region may be (1 GiB)");
	}
	r->size = align_up(r->size, PAGE);
	return 0;
}

/* The initial bytes of a map, from the first to the last that is not 0. */
static struct bytes initial(const struct bpf_map_def *def, uint32_t *skip)
{
	struct bytes b = def->initial;

	for (*skip = 0; b.n && !b.p[0]; b.n--, b.p++)
		++*skip;
	while (b.n && !b.p[b.n - 1])
		b.n--;
	return b;
}

static void write_info(struct arena *a, const struct bpf_set *set,
		       struct region *r, struct weld_info *w)
{
	size_t maps = sizeof(*r->map) * r->nmap, size, at;
	struct init_record *rec;
	uint32_t skip;
	uint8_t *p;

	size = sizeof(*w) + maps + set->nmap * sizeof(*rec);
	for (uint32_t i = 0; i < set->nmap; i++)
		size += initial(&set->map[i], &skip).n;
	p = arena_alloc(a, size);
	w->map = sizeof(*w);
	w->init = w->map + (uint32_t)maps;
	rec = (struct init_record *)(p + w->init);
	at = w->init + set->nmap * sizeof(*rec);
	for (uint32_t i = 0; i < set->nmap; i++) {
		struct bytes b = initial(&set->map[i], &skip);

		if (!b.n)
			continue;
		rec[w->init_count++] = (struct init_record){
			.to = r->map[i].data + skip,
			.from = (uint32_t)at,
			.len = (uint32_t)b.n,
		};
		memcpy(p + at, b.p, b.n);
		at += b.n;
	}
	memcpy(p, w, sizeof(*w));
	if (maps)
		memcpy(p + w->map, r->map, maps);
	r->info = (struct bytes){ p, size };
	r->info_maps = w->map;
}

int region_plan(struct arena *a, const struct bpf_set *set, uint32_t nprobe,
		const uint8_t weld_id[16], struct region *out, struct err *e)
{
	uint64_t trace = sizeof(struct region_trace);
	struct weld_info w = { 0 };

	if (prints(set))
		trace += TRACE_SLOTS * sizeof(struct region_trace_record);
	memset(out, 0, sizeof(*out));
	out->nprobe = nprobe;
	if (place(a, set, out, trace, e))
		return -1;
	memcpy(w.weld_id, weld_id, sizeof(w.weld_id));
	for (int i = 0; i < 16; i++)
		snprintf(w.weld_name + 2 * i, 3, "%02x", weld_id[i]);
	w.region_size = out->size;
	w.probe_count = nprobe;
	w.map_count = set->nmap;
	w.gates = out->gates;
	w.maps = out->maps;
	w.counts = out->counts;
	w.trace = out->trace;
	w.trace_size = trace;
	write_info(a, set, out, &w);
	return 0;
}
