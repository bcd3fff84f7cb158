/* SPDX-License-Identifier: MIT */
/* pins.c - maps that are shared with other welds: LIBBPF_PIN_BY_NAME.
 *
 *   region        in the range it is mapped over
 *     ...
 *   a page of words, one for each of them (runtime-stub/pin.c)
 *   pin-NAME      header (layout.h) and data, whole pages
 *   pin-NAME2     ...
 *
 * What is in the file must be all of the map.  Two objects may pin one map, as
 * with libbpf, if they agree about it.
 */
#include "rewriter/region.h"

enum { PAGE = 4096 };

/* All that such a map has is in its data.  (The owners of CPUs are of one
 * region, and values that are programs or maps are numbers in one weld.) */
static bool is_whole(uint32_t type)
{
	switch (type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
	case BPF_MAP_TYPE_BLOOM_FILTER:
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
		return true;
	}
	return false;
}

/* It becomes the name of a file. */
static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n && n < sizeof(((struct region_map *)0)->name) &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789_") == n;
}

static int check(const struct bpf_map_def *d, struct err *e)
{
	if (map_is_percpu(d->type))
		return refuse(e, d->name, NOWHERE,
			      "is pinned: values for each CPU cannot be shared "
			      "with other welds (--no-pin keeps them to this "
			      "one)");
	if (!is_whole(d->type) || d->data || d->initial.n)
		return refuse(e, d->name, NOWHERE,
			      "is pinned: a map of type %u cannot be shared "
			      "with other welds (--no-pin keeps it to this "
			      "one)",
			      d->type);
	if (!is_name(d->name))
		return refuse(e, d->name, NOWHERE,
			      "is pinned: its name is longer than 63 "
			      "characters, or has others than letters, digits "
			      "and _");
	return 0;
}

/* The pinned map before this one that has its name; or NULL. */
static const struct region_map *same_name(const struct region *r,
					  const struct region_map *m)
{
	for (uint32_t i = 0; i < r->npin; i++)
		if (strcmp(r->map[r->pin[i].map].name, m->name) == 0)
			return &r->map[r->pin[i].map];
	return NULL;
}

static int share(const struct region_map *first, struct region_map *m,
		 struct err *e)
{
	m->data = first->data;
	if (memcmp(first, m, sizeof(*m)) == 0)
		return 0;
	return fail(e, m->name, NOWHERE,
		    "is pinned in two objects, which define it differently");
}

int pins_place(struct arena *a, const struct bpf_set *set, struct region *r,
	       struct err *e)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < set->nmap; i++)
		n += set->map[i].pinned;
	r->pin = arena_alloc(a, (n + 1) * sizeof(*r->pin));
	r->pin_words = r->size;
	r->range = align_up(r->size + n * sizeof(uint64_t), PAGE);
	for (uint32_t i = 0; i < set->nmap; i++) {
		struct region_map *m = &r->map[i];
		const struct region_map *first;
		struct weld_pin *pin;

		if (!set->map[i].pinned)
			continue;
		if (check(&set->map[i], e))
			return -1;
		m->pinned = PINNED;
		first = same_name(r, m);
		if (first && share(first, m, e))
			return -1;
		if (first)
			continue;
		m->data = r->range + PIN_HEADER;
		r->range += pin_size(m);
		pin = &r->pin[r->npin++];
		pin->map = i;
		snprintf(pin->file, sizeof(pin->file), PIN_PREFIX "%s", m->name);
		if (r->range > REGION_MAX)
			return refuse(e, m->name, NOWHERE,
				      "all maps together are larger than a "
				      "region may be (1 GiB)");
	}
	return 0;
}
