/* SPDX-License-Identifier: MIT */
/* reader.c - open a region, check it, copy things out of it.
 *
 * Walking a hash that others change (layout.h has the format).  A bucket's
 * list is followed from element to element; an element counts when
 *
 *     state was odd (in the map)
 *     its `next` had no mark
 *     key and value were copied
 *     state is the same as before     else it was deleted or reused meanwhile
 *
 * and the bucket counts when the list ended with this bucket's number; else
 * the walk followed a reused element into another list, drops what it has of
 * this bucket and starts it again.  All steps of one walk are paid from one
 * purse, so that a list that leads in a circle ends as an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-stub/reader/reader.h"

enum {
	RETRIES = 64
}; /* of one bucket; then what was found is taken */

/* --- Finding and opening. */

const char *reader_path(struct arena *a, const uint8_t weld_id[16])
{
	const char *env = getenv("BPFWELD_REGION");
	char hex[33];

	if (env && *env && strcmp(env, "private") != 0 &&
	    strcmp(env, "off") != 0)
		return arena_strdup(a, env);
	for (int i = 0; i < 16; i++)
		sprintf(hex + 2 * i, "%02x", weld_id[i]);
	return arena_printf(a, "/dev/shm/bpfweld-%u/%s", (unsigned)geteuid(),
			    hex);
}

bool reader_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Does [off, off+len) lie in the region, at this alignment? */
static bool inside(const struct region_header *h, uint64_t off, uint64_t len,
		   uint64_t align)
{
	return off % align == 0 && off <= h->size && len <= h->size - off;
}

static const char *header_fault(const struct region_header *h, uint64_t size)
{
	if (h->magic != REGION_MAGIC)
		return "not a region of a welded program";
	if (h->version != REGION_VERSION)
		return "a region of another version of bpfweld";
	if (h->header_size < sizeof(*h) || h->size != size)
		return "damaged region: its size is wrong";
	if (!inside(h, h->gates, h->probe_count, 1) ||
	    !inside(h, h->counts,
		    h->probe_count * (uint64_t)sizeof(struct region_count), 8))
		return "damaged region: probes outside of it";
	if (!inside(h, h->maps,
		    h->map_count * (uint64_t)sizeof(struct region_map), 8))
		return "damaged region: map table outside of it";
	return NULL;
}

/* Offset of a value in a hash's element. */
static uint64_t value_at(const struct region_map *m)
{
	return sizeof(struct hash_elem) + align_up(m->key_size, 8);
}

static uint64_t elems_at(const struct region_map *m)
{
	return sizeof(struct hash_head) + m->buckets * UINT64_C(8);
}

bool reader_can_walk(const struct region_map *m)
{
	return m->type == BPF_MAP_TYPE_ARRAY || m->type == BPF_MAP_TYPE_HASH;
}

static bool map_fits(const struct region_header *h, const struct region_map *m)
{
	uint64_t elems = (uint64_t)m->max_entries * m->stride;

	if (!inside(h, m->data, m->size, 8))
		return false;
	if (m->type == BPF_MAP_TYPE_ARRAY)
		return m->key_size == 4 && m->stride && m->stride % 8 == 0 &&
		       m->stride >= m->value_size && elems <= m->size;
	if (m->type == BPF_MAP_TYPE_HASH)
		return m->buckets && (m->buckets & (m->buckets - 1)) == 0 &&
		       m->stride % 8 == 0 &&
		       m->stride >= value_at(m) + m->value_size &&
		       elems_at(m) <= m->size && elems <= m->size - elems_at(m);
	return true;
}

static int maps_copy(struct arena *a, struct reader *r, struct err *e)
{
	uint32_t n = r->head.map_count;
	struct region_map *map =
		arena_dup(a, r->base + r->head.maps, n * sizeof(*map));

	for (uint32_t i = 0; i < n; i++) {
		map[i].name[sizeof(map[i].name) - 1] = 0;
		if (!map_fits(&r->head, &map[i]))
			return fail(e, r->path, NOWHERE,
				    "damaged region: map %u (%s) does not fit",
				    i, map[i].name);
	}
	r->map = map;
	return 0;
}

static int region_check(struct arena *a, struct reader *r, uint64_t size,
			struct err *e)
{
	const char *fault;

	memcpy(&r->head, r->base, sizeof(r->head));
	fault = header_fault(&r->head, size);
	if (fault)
		return fail(e, r->path, NOWHERE, "%s", fault);
	return maps_copy(a, r, e);
}

int reader_open(struct arena *a, const char *path, enum reader_access access,
		struct reader *out, struct err *e)
{
	bool write = access == READER_WRITE;
	struct stat st;
	int ret = -1, fd;

	*out = (struct reader){ .path = path };
	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(e, path, NOWHERE, "%s", strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < sizeof(out->head)) {
		fail(e, path, NOWHERE, "not a region of a welded program");
		goto out;
	}
	out->base =
		mmap(NULL, (size_t)st.st_size,
		     PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (out->base == MAP_FAILED) {
		out->base = NULL;
		fail(e, path, NOWHERE, "cannot map it: %s", strerror(errno));
		goto out;
	}
	ret = region_check(a, out, (uint64_t)st.st_size, e);
	if (ret) {
		munmap(out->base, (size_t)st.st_size);
		out->base = NULL;
	}
out:
	close(fd);
	return ret;
}

int reader_open_weld(struct arena *a, const struct manifest *m,
		     enum reader_access access, struct reader *out,
		     struct err *e)
{
	const char *path = reader_path(a, m->weld_id);

	if (!reader_exists(path))
		return fail(e, NULL, NOWHERE,
			    "has not run yet: no region at %s", path);
	if (reader_open(a, path, access, out, e))
		return -1;
	if (memcmp(out->head.weld_id, m->weld_id, sizeof(m->weld_id)) == 0 &&
	    out->head.size == m->region_size &&
	    out->head.map_count == m->nmap &&
	    out->head.probe_count == m->nprobe)
		return 0;
	reader_close(out);
	return fail(e, path, NOWHERE, "the region of another weld");
}

void reader_close(struct reader *r)
{
	if (r->base)
		munmap(r->base, r->head.size);
	r->base = NULL;
}

/* --- Copying. */

static uint64_t word_at(const uint8_t *p)
{
	return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
}

/* From shared memory, 8-aligned at `from`, in whole words while there are. */
static void copy_shared(uint8_t *to, const uint8_t *from, size_t n)
{
	for (; n >= 8; n -= 8, to += 8, from += 8) {
		uint64_t v = word_at(from);

		memcpy(to, &v, 8);
	}
	for (; n; n--)
		*to++ = __atomic_load_n(from++, __ATOMIC_ACQUIRE);
}

static const uint8_t *copy_out(struct arena *a, const uint8_t *from, size_t n)
{
	uint8_t *to = arena_alloc(a, n);

	copy_shared(to, from, n);
	return to;
}

/* --- Hashes. */

static uint64_t link_index(uint64_t link) /* + 1; 0: the end */
{
	return link & UINT32_MAX;
}

static bool link_marked(uint64_t link)
{
	return link >> 32 & 1;
}

static uint64_t link_tag(uint64_t link)
{
	return link >> 33;
}

struct walk {
	struct arena *a;
	const struct reader *r;
	const struct region_map *map;
	const uint8_t *want; /* only the element with this key */
	uint8_t *key;        /* the last one that was looked at */
	struct reader_elem *elem;
	size_t nelem;
	uint64_t steps; /* left in the purse */
};

static const uint8_t *data_at(const struct walk *w, uint64_t off)
{
	return w->r->base + w->map->data + off;
}

/* Add the element if it is in the map.  False: it was changed underneath. */
static bool elem_take(struct walk *w, const uint8_t *p, uint64_t next)
{
	uint64_t state = word_at(p + offsetof(struct hash_elem, state));
	const uint8_t *key_at = p + sizeof(struct hash_elem);
	struct reader_elem got;

	if (!(state & 1) || link_marked(next))
		return true;
	copy_shared(w->key, key_at, w->map->key_size);
	if (w->want && memcmp(w->key, w->want, w->map->key_size) != 0)
		return true;
	got.key = arena_dup(w->a, w->key, w->map->key_size);
	got.value = copy_out(w->a, p + value_at(w->map), w->map->value_size);
	if (word_at(p + offsetof(struct hash_elem, state)) != state)
		return false;
	w->elem = arena_push(w->a, w->elem, w->nelem, sizeof(*w->elem));
	w->elem[w->nelem++] = got;
	return true;
}

enum end {
	END_HERE,
	END_ELSEWHERE,
	END_DAMAGED
};

static enum end bucket_once(struct walk *w, uint32_t bucket)
{
	uint64_t link = word_at(
		data_at(w, sizeof(struct hash_head) + bucket * UINT64_C(8)));

	if (link_index(link) == 0)
		return END_HERE;
	while (link_index(link)) {
		uint64_t index = link_index(link) - 1;
		const uint8_t *p;

		if (index >= w->map->max_entries || w->steps-- == 0)
			return END_DAMAGED;
		p = data_at(w, elems_at(w->map) + index * w->map->stride);
		link = word_at(p + offsetof(struct hash_elem, next));
		if (!elem_take(w, p, link))
			return END_ELSEWHERE;
	}
	return link_tag(link) == bucket ? END_HERE : END_ELSEWHERE;
}

static bool bucket_walk(struct walk *w, uint32_t bucket)
{
	for (int i = 0;; i++) {
		size_t before = w->nelem;
		enum end end = bucket_once(w, bucket);

		if (end == END_DAMAGED)
			return false;
		if (end == END_HERE || i == RETRIES)
			return true;
		w->nelem = before;
	}
}

static int hash_walk(struct walk *w, struct err *e)
{
	const struct region_map *m = w->map;

	w->key = arena_alloc(w->a, m->key_size);
	w->steps = 8 * ((uint64_t)m->max_entries + m->buckets) + 4096;
	for (uint32_t b = 0; b < m->buckets; b++) {
		if (!bucket_walk(w, b))
			return fail(e, w->r->path, NOWHERE,
				    "damaged region: map %s is not a hash "
				    "table",
				    m->name);
		if (w->want && w->nelem)
			break;
	}
	return 0;
}

/* --- Maps. */

static const uint8_t *array_at(const struct reader *r,
			       const struct region_map *m, uint32_t index)
{
	return r->base + m->data + (uint64_t)index * m->stride;
}

static void array_walk(struct walk *w)
{
	const struct region_map *m = w->map;
	size_t n = m->max_entries;
	uint8_t *key = arena_alloc(w->a, n * sizeof(uint32_t));
	uint8_t *value = arena_alloc(w->a, n * m->stride);

	w->elem = arena_alloc(w->a, n * sizeof(*w->elem));
	w->nelem = n;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(key + i * sizeof(i), &i, sizeof(i));
		copy_shared(value + (size_t)i * m->stride, array_at(w->r, m, i),
			    m->value_size);
		w->elem[i] = (struct reader_elem){
			.key = key + i * sizeof(i),
			.value = value + (size_t)i * m->stride,
		};
	}
}

static int walkable(const struct reader *r, const struct region_map *m,
		    struct err *e)
{
	if (reader_can_walk(m))
		return 0;
	return refuse(e, r->path, NOWHERE,
		      "map %s is of type %u, which has "
		      "no elements to read",
		      m->name, m->type);
}

uint64_t reader_count(const struct reader *r, uint32_t map)
{
	const struct region_map *m = &r->map[map];

	if (m->type == BPF_MAP_TYPE_HASH)
		return word_at(r->base + m->data +
			       offsetof(struct hash_head, count));
	return m->max_entries;
}

int reader_elems(struct arena *a, const struct reader *r, uint32_t map,
		 struct reader_elem **elem, size_t *nelem, struct err *e)
{
	struct walk w = { .a = a, .r = r, .map = &r->map[map] };

	if (walkable(r, w.map, e))
		return -1;
	if (w.map->type == BPF_MAP_TYPE_ARRAY)
		array_walk(&w);
	else if (hash_walk(&w, e))
		return -1;
	*elem = w.elem;
	*nelem = w.nelem;
	return 0;
}

int reader_lookup(struct arena *a, const struct reader *r, uint32_t map,
		  const uint8_t *key, const uint8_t **value, struct err *e)
{
	struct walk w = { .a = a, .r = r, .map = &r->map[map], .want = key };
	uint32_t index;

	*value = NULL;
	if (walkable(r, w.map, e))
		return -1;
	if (w.map->type == BPF_MAP_TYPE_ARRAY) {
		memcpy(&index, key, sizeof(index));
		if (index < w.map->max_entries)
			*value = copy_out(a, array_at(r, w.map, index),
					  w.map->value_size);
		return 0;
	}
	if (hash_walk(&w, e))
		return -1;
	if (w.nelem)
		*value = w.elem[0].value;
	return 0;
}

/* --- Probes. */

struct reader_probe reader_probe(const struct reader *r, uint32_t probe)
{
	const uint8_t *c =
		r->base + r->head.counts + probe * sizeof(struct region_count);

	return (struct reader_probe){
		.enabled = __atomic_load_n(r->base + r->head.gates + probe,
					   __ATOMIC_RELAXED) != 0,
		.hits = word_at(c + offsetof(struct region_count, hits)),
		.misses = word_at(c + offsetof(struct region_count, misses)),
	};
}
