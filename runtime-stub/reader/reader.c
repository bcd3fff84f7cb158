/* SPDX-License-Identifier: MIT */
/* reader.c - open a region, check it, copy things out of it.
 *
 * Walking a hash that others change (layout.h has the format).  The anchor is
 * the last link that is not marked and led us here, at first the bucket.  An
 * element counts when, in this order,
 *
 *     its state, next and key were read
 *     the anchor is as it was         else it may be in another list by now
 *     next has no mark                else it is deleted: pass over it
 *     the value was read
 *     the state is as it was          else it was freed and reused meanwhile
 *
 * On "else it may" the walk drops what it has of this bucket and starts it
 * again.  The steps of all this are paid from one purse, and a list can be no
 * longer than the pool, so a damaged table ends as an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-stub/hash.h"
#include "runtime-stub/ring.h"
#include "runtime-stub/reader/reader.h"

enum {
	RETRIES = 1024, /* of one bucket; then what was found is taken */
	STEPS = 1 << 24,
};

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

/* Elements in a hash's pool. */
static uint64_t pool_size(const struct region_map *m)
{
	return (uint64_t)m->max_entries + HASH_SPARE;
}

bool reader_can_walk(const struct region_map *m)
{
	return m->type == BPF_MAP_TYPE_ARRAY || m->type == BPF_MAP_TYPE_HASH;
}

static bool map_fits(const struct region_header *h, const struct region_map *m)
{
	uint64_t pool = hash_pool(m->buckets);

	if (!inside(h, m->data, m->size, 8))
		return false;
	if (m->type == BPF_MAP_TYPE_ARRAY)
		return m->key_size == 4 && m->stride && m->stride % 8 == 0 &&
		       m->stride >= m->value_size &&
		       (uint64_t)m->max_entries * m->stride <= m->size;
	if (ring_is(m->type))
		return m->data % 64 == 0 && m->stride &&
		       (m->stride & (m->stride - 1)) == 0 && m->buckets &&
		       (m->buckets & (m->buckets - 1)) == 0 &&
		       ring_data(m->buckets) + 2 * (uint64_t)m->stride <=
			       m->size;
	if (m->type == BPF_MAP_TYPE_HASH)
		return m->buckets && (m->buckets & (m->buckets - 1)) == 0 &&
		       m->stride % 8 == 0 &&
		       m->stride >= value_at(m) + m->value_size &&
		       pool <= m->size &&
		       pool_size(m) * m->stride <= m->size - pool;
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

	*out = (struct reader){ .path = path, .fd = -1 };
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
	if (!r->base)
		return;
	munmap(r->base, r->head.size);
	if (r->fd >= 0)
		close(r->fd);
	r->base = NULL;
}

/* --- Copying. */

static uint64_t word_at(const void *p)
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

struct walk {
	struct arena *a;
	const struct reader *r;
	const struct region_map *map;
	const uint8_t *want; /* only the element with this key */
	uint8_t *key;        /* of the element that is looked at */
	struct reader_elem *elem;
	size_t nelem;
	uint64_t steps; /* left in the purse */
};

enum walked {
	WHOLE,
	AGAIN,
	DAMAGED
};

/* Add an element whose key is in w->key.  False: it was freed meanwhile. */
static bool elem_take(struct walk *w, const struct hash_elem *p, uint64_t state)
{
	const struct region_map *m = w->map;
	struct reader_elem got;

	if (!(state & 1))
		return false;
	if (w->want && memcmp(w->key, w->want, m->key_size) != 0)
		return true;
	got.key = arena_dup(w->a, w->key, m->key_size);
	got.value =
		copy_out(w->a, (const uint8_t *)p + value_at(m), m->value_size);
	if (word_at(&p->state) != state)
		return false;
	w->elem = arena_push(w->a, w->elem, w->nelem, sizeof(*w->elem));
	w->elem[w->nelem++] = got;
	return true;
}

static enum walked bucket_once(struct walk *w, uint32_t bucket)
{
	const uint8_t *data = w->r->base + w->map->data;
	const uint8_t *pool = data + hash_pool(w->map->buckets);
	const uint64_t *link = (const uint64_t *)(data + hash_pool(bucket));
	uint64_t anchor = word_at(link), word = anchor, n = 0;

	while (!link_ends(word)) {
		uint64_t index = (uint32_t)word - 1, state;
		const struct hash_elem *p;

		if (index >= pool_size(w->map) || n++ > pool_size(w->map) ||
		    w->steps-- == 0)
			return DAMAGED;
		p = (const struct hash_elem *)(pool + index * w->map->stride);
		state = word_at(&p->state);
		word = word_at(&p->next);
		copy_shared(w->key, p->key, w->map->key_size);
		if (word_at(link) != anchor)
			return AGAIN;
		if (word & LINK_MARK)
			continue;
		if (!elem_take(w, p, state))
			return AGAIN;
		link = &p->next;
		anchor = word;
	}
	return word_at(link) == anchor ? WHOLE : AGAIN;
}

static bool bucket_walk(struct walk *w, uint32_t bucket)
{
	size_t before = w->nelem;
	enum walked walked;

	for (int i = 0; i < RETRIES; i++) {
		w->nelem = before;
		walked = bucket_once(w, bucket);
		if (walked != AGAIN)
			return walked == WHOLE;
	}
	return true;
}

static int hash_walk(struct walk *w, struct err *e)
{
	const struct region_map *m = w->map;
	uint32_t from = 0, to = m->buckets;

	w->key = arena_alloc(w->a, m->key_size);
	w->steps = STEPS + 64 * (pool_size(m) + m->buckets);
	if (w->want) {
		from = hash_key(w->want, m->key_size) & (m->buckets - 1);
		to = from + 1;
	}
	for (uint32_t b = from; b < to; b++)
		if (!bucket_walk(w, b))
			return fail(e, w->r->path, NOWHERE,
				    "damaged region: map %s is not a hash "
				    "table",
				    m->name);
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

static uint64_t ring_pending(const struct reader *r, const struct region_map *m)
{
	const struct ring_head *h = (const void *)(r->base + m->data);

	return ring_number(ring_load(&h->tail).b) - ring_load(&h->head).b;
}

uint64_t reader_count(const struct reader *r, uint32_t map)
{
	const struct region_map *m = &r->map[map];
	const struct hash_head *h;
	uint64_t n;

	if (ring_is(m->type))
		return ring_pending(r, m);
	if (m->type != BPF_MAP_TYPE_HASH)
		return m->max_entries;
	h = (const struct hash_head *)(r->base + m->data);
	n = word_at(&h->count);
	/* A process that was killed may leave it off by one: below 0, too. */
	return (int64_t)n < 0 ? 0 : n;
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
	const struct region_count *c =
		(const struct region_count *)(r->base + r->head.counts) + probe;

	return (struct reader_probe){
		.enabled = __atomic_load_n(r->base + r->head.gates + probe,
					   __ATOMIC_RELAXED) != 0,
		.hits = word_at(&c->hits) + word_at(&c->own),
		.misses = word_at(&c->misses),
	};
}
