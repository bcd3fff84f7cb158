/* SPDX-License-Identifier: MIT */
/* region.c - lay out the shared region, and write struct weld_info.
 *
 *   region (layout.h)          weld_info in RX (abi.h)
 *     header                     struct weld_info
 *     gates, one byte a probe    struct region_map[]
 *     struct region_map[]        struct init_record[]
 *     counts, a line a probe     what is frozen, whole: programs read it there
 *     trace ring                 other bytes that the records name
 *     loads
 *     map data
 *     owners of CPUs, a line each
 *     each CPU's values, all maps'
 *   pinned maps (pins.c)
 *
 * Parts are aligned to a cache line, map data larger than a page to a page.
 * The ring has slots only if some program prints; there are loads only if some
 * program takes call chains.  Initial bytes that are not frozen are kept
 * without the zeroes at either end, as a fresh region is zero.
 *
 * Who may write to the region is not to change what programs were proved with:
 * frozen data is in the region for readers only.
 */
#include "rewriter/region.h"
#include "runtime-stub/refs.h"

enum { LINE = 64, PAGE = 4096 };

static bool calls(const struct bpf_set *set, int32_t helper)
{
	for (uint32_t i = 0; i < set->nprog; i++)
		if (bpf_calls(&set->prog[i], helper))
			return true;
	return false;
}

static bool takes_chains(const struct bpf_set *set)
{
	return calls(set, BPF_FUNC_get_stack) ||
	       calls(set, BPF_FUNC_get_stackid);
}

/* Take `size` bytes of the region. */
static uint64_t take(struct region *r, uint64_t size)
{
	uint64_t at = align_up(r->size, size > PAGE ? PAGE : LINE);

	r->size = at + size;
	return at;
}

static int too_large(struct err *e, const char *map)
{
	return refuse(e, map, NOWHERE,
		      "all maps together are larger than a region may be "
		      "(1 GiB)");
}

/* The values that maps have for each CPU: of all maps for the first, then for
 * the second, ... */
static int place_cpus(const struct bpf_set *set, struct region *r,
		      uint32_t cpus, struct err *e)
{
	uint64_t area = 0;

	for (uint32_t i = 0; i < r->nmap; i++) {
		struct region_map *m = &r->map[i];

		if (!map_is_percpu(m->type))
			continue;
		m->values = area;
		area += align_up(map_values(m) * m->value_stride, LINE);
		if (area * cpus > REGION_MAX)
			return refuse(e, set->map[i].name, NOWHERE,
				      "values for %u CPUs are more than a "
				      "region may have (1 GiB); --cpus=N says "
				      "for how many", cpus);
	}
	if (!area)
		return 0;
	r->cpu_count = cpus;
	r->cpu_stride = area;
	r->cpus = take(r, (uint64_t)cpus * sizeof(struct region_cpu));
	area = take(r, cpus * r->cpu_stride);
	for (uint32_t i = 0; i < r->nmap; i++)
		if (map_is_percpu(r->map[i].type))
			r->map[i].values += area;
	return r->size > REGION_MAX ? too_large(e, "per-CPU maps") : 0;
}

static int place(struct arena *a, const struct bpf_set *set, struct region *r,
		 uint64_t trace_size, uint32_t cpus, struct err *e)
{
	r->size = sizeof(struct region_header);
	r->gates = take(r, r->nprobe);
	r->maps = take(r, (uint64_t)set->nmap * sizeof(struct region_map));
	r->counts = take(r, (uint64_t)r->nprobe * sizeof(struct region_count));
	r->trace = take(r, trace_size);
	if (takes_chains(set))
		r->loads = (uint32_t)take(r, sizeof(struct region_loads));
	r->nmap = set->nmap;
	r->map = arena_alloc(a, set->nmap * sizeof(*r->map));
	for (uint32_t i = 0; i < set->nmap; i++) {
		if (map_shape(&set->map[i], &r->map[i], e))
			return -1;
		if (set->map[i].pinned)
			continue;
		r->map[i].data = take(r, r->map[i].size);
		if (r->size > REGION_MAX)
			return too_large(e, set->map[i].name);
	}
	if (place_cpus(set, r, cpus, e))
		return -1;
	r->size = align_up(r->size, PAGE);
	return pins_place(a, set, r, e);
}

/* The initial bytes of a map, from the first to the last that is not 0, and
 * where they belong. */
static struct bytes initial(struct arena *a, const struct bpf_map_def *def,
			    const struct region_map *m, uint64_t *to)
{
	struct bytes b = def->nslot ? refs_initial(a, def, m) : def->initial;

	for (*to = m->data; b.n && !b.p[0]; b.n--, b.p++)
		++*to;
	while (b.n && !b.p[b.n - 1])
		b.n--;
	return b;
}

/* From `at` on; returns where that ends. */
static size_t place_frozen(const struct bpf_set *set, struct region *r,
			   size_t at, struct weld_info *w)
{
	w->frozen = (uint32_t)align_up(at, 8);
	for (uint32_t i = 0; i < set->nmap; i++) {
		if (!bpf_frozen(&set->map[i]))
			continue;
		r->map[i].frozen = w->frozen + w->frozen_size;
		w->frozen_size += (uint32_t)r->map[i].size;
	}
	return w->frozen_size ? w->frozen + w->frozen_size : at;
}

static void write_info(struct arena *a, const struct bpf_set *set,
		       struct region *r, struct weld_info *w)
{
	size_t maps = sizeof(*r->map) * r->nmap, size, at;
	struct bytes *b = arena_alloc(a, (set->nmap + 1) * sizeof(*b));
	struct init_record *rec;
	uint64_t *to = arena_alloc(a, (set->nmap + 1) * sizeof(*to));
	uint8_t *p;

	w->map = sizeof(*w);
	w->init = w->map + (uint32_t)maps;
	w->progs = w->init + set->nmap * (uint32_t)sizeof(*rec);
	w->pin = w->progs + w->prog_count * (uint32_t)sizeof(int32_t);
	at = w->pin + r->npin * sizeof(*r->pin);
	size = at = place_frozen(set, r, at, w);
	for (uint32_t i = 0; i < set->nmap; i++) {
		b[i] = initial(a, &set->map[i], &r->map[i], &to[i]);
		if (!r->map[i].frozen)
			size += b[i].n;
	}
	p = arena_alloc(a, size);
	rec = (struct init_record *)(p + w->init);
	for (uint32_t i = 0; i < set->nmap; i++) {
		const struct region_map *m = &r->map[i];
		size_t from = m->frozen ? m->frozen + (to[i] - m->data) : at;

		if (!b[i].n)
			continue;
		rec[w->init_count++] = (struct init_record){
			.to = to[i],
			.from = (uint32_t)from,
			.len = (uint32_t)b[i].n,
		};
		memcpy(p + from, b[i].p, b[i].n);
		if (!m->frozen)
			at += b[i].n;
	}
	memcpy(p, w, sizeof(*w));
	if (maps)
		memcpy(p + w->map, r->map, maps);
	if (r->npin)
		memcpy(p + w->pin, r->pin, r->npin * sizeof(*r->pin));
	r->info = (struct bytes){ p, size };
	r->info_maps = w->map;
	r->info_progs = w->progs;
}

/* So many programs may be in a map. */
static uint32_t progs_in_maps(const struct bpf_set *set)
{
	for (uint32_t i = 0; i < set->nmap; i++)
		if (map_has_progs(set->map[i].type))
			return set->nprog;
	return 0;
}

int region_plan(struct arena *a, const struct bpf_set *set, uint32_t nprobe,
		uint32_t cpus, const uint8_t weld_id[16], struct region *out,
		struct err *e)
{
	uint64_t trace = sizeof(struct region_trace);
	struct weld_info w = { 0 };

	if (calls(set, BPF_FUNC_trace_printk) ||
	    calls(set, BPF_FUNC_trace_vprintk))
		trace += TRACE_SLOTS * sizeof(struct region_trace_record);
	memset(out, 0, sizeof(*out));
	out->nprobe = nprobe;
	if (place(a, set, out, trace, cpus, e))
		return -1;
	memcpy(w.weld_id, weld_id, sizeof(w.weld_id));
	for (int i = 0; i < 16; i++)
		snprintf(w.weld_name + 2 * i, 3, "%02x", weld_id[i]);
	w.region_size = out->size;
	w.range = out->range;
	w.probe_count = nprobe;
	w.map_count = set->nmap;
	w.prog_count = progs_in_maps(set);
	w.gates = out->gates;
	w.maps = out->maps;
	w.counts = out->counts;
	w.trace = out->trace;
	w.trace_size = trace;
	w.loads = out->loads;
	w.cpus = out->cpus;
	w.cpu_count = out->cpu_count;
	w.cpu_stride = out->cpu_stride;
	w.pin_count = out->npin;
	w.pin_words = out->pin_words;
	write_info(a, set, out, &w);
	return 0;
}
