/* SPDX-License-Identifier: MIT */
/* map_write.c - bpfweld map update|delete|clear, while the program runs or
 * afterwards.
 *
 * An update of a whole value is what bpf(2) does.  Of single fields it is one
 * of the whole value in a hash, with what was there; in an array it writes
 * these fields only, as others may be counting in the rest.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "rewriter/cli/maps.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/refs.h"
#include "runtime-stub/ring.h"

static const struct region_map *shape_of(const struct request *r, uint32_t map)
{
	return &r->maps.region.map[map];
}

static const char *name_of(const struct request *r, uint32_t map)
{
	return r->maps.m.map[map].name;
}

static const struct btf *types_of(const struct request *r, uint32_t map)
{
	return r->maps.btf[r->maps.m.map[map].object];
}

static bool is_array(const struct region_map *m)
{
	return m->type == BPF_MAP_TYPE_ARRAY ||
	       m->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/* What an errno means here. */
static int failed(const struct request *r, uint32_t map, long error,
		  struct err *e)
{
	const struct region_map *m = shape_of(r, map);
	const char *name = name_of(r, map);

	switch (error) {
	case -EPERM:
		return fail(e, NULL, NOWHERE,
			    reader_is_frozen(m)
				    ? "map %s is frozen: the programs were "
				      "compiled with its values"
				    : "map %s is for programs only to write",
			    name);
	case -E2BIG:
	case -ENOSPC:
		return fail(e, NULL, NOWHERE,
			    is_array(m) ? "no such index in map %s: it has %u"
					: "map %s is full: it has %u elements",
			    name, m->max_entries);
	case -ENOENT:
		return fail(e, NULL, NOWHERE, "no such key in map %s", name);
	case -EBUSY:
		return fail(e, NULL, NOWHERE,
			    "map %s cannot be changed now: it is damaged, or "
			    "too busy",
			    name);
	case -ENXIO:
		return fail(e, NULL, NOWHERE,
			    "map %s is pinned, and its file is not there or "
			    "not its own: see map list",
			    name);
	}
	return fail(e, NULL, NOWHERE, "map %s of type %s has no such operation",
		    name, cli_map_type(m->type));
}

static int map_key(struct request *r, uint32_t map, int at, int *used,
		   const uint8_t **key, struct err *e)
{
	const struct manifest_map *k = &r->maps.m.map[map];
	int n = r->cli.narg - at;

	*used = 1;
	if (n > 0 && strcmp(r->cli.arg[at], "hex") == 0)
		*used = 1 + (int)k->map.key_size;
	if (n < *used)
		*used = n;
	return maps_key(&r->maps, map, r->cli.arg + at, *used, key, e);
}

/* --- Values. */

/* Is it FIELD=VALUE?  Text may have a '=', too; but a data section is none. */
static bool is_field(const struct request *r, uint32_t map, const char *word)
{
	const struct manifest_map *k = &r->maps.m.map[map];
	const char *is = strchr(word, '=');
	struct typed_field f;
	struct arena a = { 0 };
	bool yes;

	if (!is || is == word)
		return false;
	if (k->data)
		return true;
	word = arena_printf(&a, "%.*s", (int)(is - word), word);
	yes = typed_field(types_of(r, map), k->btf_value, k->map.value_size,
			  word, &f);
	arena_free(&a);
	return yes;
}

static int field_set(struct request *r, uint32_t map, const char *word,
		     struct typed_field *f, uint8_t *value, struct err *e)
{
	const struct manifest_map *k = &r->maps.m.map[map];
	const char *is = strchr(word, '='), *path;
	struct err why;

	if (!is || is == word)
		return misuse(e, "'%s' does not begin with a field of map %s",
			      word, name_of(r, map));
	path = arena_printf(&r->maps.arena, "%.*s", (int)(is - word), word);
	if (!typed_field(types_of(r, map), k->btf_value, k->map.value_size,
			 path, f))
		return misuse(e, "%s",
			      typed_no_field(&r->maps.arena, types_of(r, map),
					     k->btf_value, k->map.value_size,
					     path, name_of(r, map)));
	if (!typed_set(&r->maps.arena, types_of(r, map), f, is + 1, value,
		       &why))
		return 0;
	return misuse(e, "%s of map %s: %s", path, name_of(r, map), why.what);
}

/* Some fields, in place. */
static int write_fields(struct request *r, uint32_t map, const uint8_t *key,
			int at, struct err *e)
{
	uint32_t size = shape_of(r, map)->value_size;
	uint8_t *value = arena_alloc(&r->maps.arena, size);
	int n = r->cli.narg - at;
	struct typed_field *f =
		arena_alloc(&r->maps.arena, (size_t)n * sizeof(*f));

	for (int i = 0; i < n; i++)
		if (field_set(r, map, r->cli.arg[at + i], &f[i], value, e))
			return -1;
	for (int i = 0; i < n; i++) {
		uint32_t off = (uint32_t)(f[i].bit / 8);
		long bad = reader_write(&r->maps.region, map, key, off,
					value + off, (uint32_t)(f[i].bits / 8));

		if (bad)
			return failed(r, map, bad == -ENOENT ? -E2BIG : bad, e);
	}
	return 0;
}

/* Some fields, and the rest as it was. */
static int merge_fields(struct request *r, uint32_t map, const uint8_t *key,
			int at, uint8_t *value, struct err *e)
{
	const struct region_map *m = shape_of(r, map);
	const uint8_t *old = NULL;
	struct typed_field f;

	if (map_is_percpu(m->type))
		return misuse(e,
			      "map %s has values for each CPU: give a whole "
			      "value",
			      name_of(r, map));
	if (m->key_size &&
	    reader_lookup(&r->maps.arena, &r->maps.region, map, key, &old, e))
		return -1;
	if (old)
		memcpy(value, old, m->value_size);
	for (int i = at; i < r->cli.narg; i++)
		if (field_set(r, map, r->cli.arg[i], &f, value, e))
			return -1;
	return 0;
}

static int whole_value(struct request *r, uint32_t map, int at, uint8_t *value,
		       struct err *e)
{
	size_t size = r->maps.m.map[map].map.value_size, all;
	const uint8_t *one;

	if (maps_value(&r->maps, map, r->cli.arg + at, r->cli.narg - at, &one,
		       e))
		return -1;
	/* The same for each CPU. */
	all = reader_value_size(&r->maps.region, shape_of(r, map));
	for (size_t i = 0; i + size <= all; i += align_up(size, 8))
		memcpy(value + i, one, size);
	return 0;
}

static int update(struct request *r, uint32_t map, const uint8_t *key, int at,
		  struct err *e)
{
	const struct region_map *m = shape_of(r, map);
	bool fields = is_field(r, map, r->cli.arg[at]);
	uint8_t *value;
	long bad;

	if (fields && m->type == BPF_MAP_TYPE_ARRAY)
		return write_fields(r, map, key, at, e);
	value = arena_alloc(&r->maps.arena,
			    reader_value_size(&r->maps.region, m));
	if (fields ? merge_fields(r, map, key, at, value, e)
		   : whole_value(r, map, at, value, e))
		return -1;
	bad = reader_update(&r->maps.region, map, key, value, BPF_ANY);
	return bad ? failed(r, map, bad, e) : 0;
}

/* --- The sub-commands. */

static int open_one(struct request *r, uint32_t *map, struct err *e)
{
	return maps_open(&r->maps, r->cli.arg[0], REGION_TO_WRITE, e) ||
			       maps_find(&r->maps, r->cli.arg[1], map, e)
		       ? -1
		       : 0;
}

static int done(const struct request *r)
{
	cli_done("the map is changed");
	if (r->cli.json)
		puts("null"); /* as bpftool does */
	return 0;
}

int map_update(struct request *r, struct err *e)
{
	static const uint8_t first[sizeof(uint32_t)];
	const struct region_map *m;
	const uint8_t *key = NULL;
	int used = 0;
	uint32_t map;

	if (open_one(r, &map, e))
		return -1;
	m = shape_of(r, map);
	if (ring_is(m->type) || map_has_refs(m->type))
		return failed(r, map, -EINVAL, e);
	if (reader_is_frozen(m))
		return failed(r, map, -EPERM, e);
	if (r->maps.m.map[map].data && is_field(r, map, r->cli.arg[2]))
		key = first;
	else if (m->key_size && map_key(r, map, 2, &used, &key, e))
		return -1;
	if (2 + used >= r->cli.narg)
		return misuse(e, "map update: the value is missing");
	return update(r, map, key, 2 + used, e) ? -1 : done(r);
}

int map_delete(struct request *r, struct err *e)
{
	const uint8_t *key;
	uint32_t map;
	int used;
	long bad;

	if (open_one(r, &map, e))
		return -1;
	if (!shape_of(r, map)->key_size || is_array(shape_of(r, map)))
		return failed(r, map, -EINVAL, e);
	if (map_key(r, map, 2, &used, &key, e))
		return -1;
	if (2 + used < r->cli.narg)
		return misuse(e, "map delete: too many arguments");
	bad = reader_delete(&r->maps.region, map, key);
	if (bad == -E2BIG) /* a stack id that none can have */
		bad = -ENOENT;
	return bad ? failed(r, map, bad, e) : done(r);
}

static long drain(struct request *r, uint32_t map)
{
	uint8_t *value =
		arena_alloc(&r->maps.arena, shape_of(r, map)->value_size);
	long bad = 0;

	/* As many as there are now. */
	for (uint64_t n = reader_count(&r->maps.region, map); n && !bad; n--)
		bad = reader_pop(&r->maps.region, map, value, true);
	return bad == -ENOENT ? 0 : bad;
}

static int clear(struct request *r, uint32_t map, struct err *e)
{
	const struct region_map *m = shape_of(r, map);
	const struct reader *region = &r->maps.region;
	struct reader_elem *v;
	const uint8_t *zero;
	long bad = 0;
	size_t n;

	if (!m->key_size) {
		bad = drain(r, map);
		return bad ? failed(r, map, bad, e) : 0;
	}
	if (reader_elems(&r->maps.arena, region, map, &v, &n, e))
		return -1;
	zero = arena_alloc(&r->maps.arena, reader_value_size(region, m));
	for (size_t i = 0; i < n && !bad; i++) {
		if (is_array(m))
			bad = reader_update(region, map, v[i].key, zero, 0);
		else
			bad = reader_delete(region, map, v[i].key);
		bad = bad == -ENOENT ? 0 : bad; /* somebody was faster */
	}
	return bad ? failed(r, map, bad, e) : 0;
}

/* .data begins with other values than 0, which `clear` would not give back. */
static bool is_initialised(const struct request *r, uint32_t map)
{
	const char *dot = strchr(name_of(r, map), '.');

	return r->maps.m.map[map].data && !(dot && !strncmp(dot, ".bss", 4));
}

/* Of the others, elements are not for anybody outside to remove. */
static bool can_clear(const struct region_map *m)
{
	switch (m->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
	case BPF_MAP_TYPE_STACK_TRACE:
		return !(m->flags & BPF_F_RDONLY);
	}
	return false;
}

static int clear_all(struct request *r, struct err *e)
{
	for (uint32_t i = 0; i < r->maps.m.nmap; i++) {
		const struct region_map *m = shape_of(r, i);

		if (!can_clear(m) || is_initialised(r, i))
			continue;
		if (clear(r, i, e))
			return -1;
	}
	return 0;
}

int map_clear(struct request *r, struct err *e)
{
	uint32_t map;

	if (r->cli.narg == 1) {
		if (maps_open(&r->maps, r->cli.arg[0], REGION_TO_WRITE, e) ||
		    clear_all(r, e))
			return -1;
		return done(r);
	}
	if (open_one(r, &map, e))
		return -1;
	if (reader_is_frozen(shape_of(r, map)))
		return failed(r, map, -EPERM, e);
	if (is_initialised(r, map))
		return fail(e, NULL, NOWHERE,
			    "map %s begins with other values than 0; update it",
			    name_of(r, map));
	if (!can_clear(shape_of(r, map)))
		return failed(r, map,
			      shape_of(r, map)->flags & BPF_F_RDONLY ? -EPERM
								     : -EINVAL,
			      e);
	return clear(r, map, e) ? -1 : done(r);
}
