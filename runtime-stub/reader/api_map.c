/* SPDX-License-Identifier: MIT */
/* api_map.c - <bpfweld/reader.h>: maps and their elements. */
#include <inttypes.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/reader/api.h"

size_t bpfweld_map_count(const struct bpfweld *w)
{
	return w ? w->m.nmap : 0;
}

struct bpfweld_map *bpfweld_map_at(struct bpfweld *w, size_t index)
{
	if (w && index < w->m.nmap)
		return &w->map[index];
	if (w)
		api_fail(EINVAL, "there is no map %zu", index);
	else
		api_fail(EINVAL, "nothing is open");
	return NULL;
}

struct bpfweld_map *bpfweld_map_find(struct bpfweld *w, const char *name)
{
	uint32_t map;

	if (!w || !name) {
		api_fail(EINVAL, w ? "no name" : "nothing is open");
		return NULL;
	}
	switch (manifest_find(&w->m, name, &map)) {
	case 0:
		api_fail(ENOENT, "no map is called '%s'", name);
		return NULL;
	case 1:
		return &w->map[map];
	}
	api_fail(ENOTUNIQ, "several maps are called '%s'", name);
	return NULL;
}

int bpfweld_map_info(const struct bpfweld_map *map,
		     struct bpfweld_map_info *info, size_t size)
{
	struct bpfweld_map_info is;
	const struct region_map *m;

	if (!map)
		return api_fail(EINVAL, "no map");
	m = api_shape(map);
	is = (struct bpfweld_map_info){
		.name = api_about(map)->name,
		.object = map->w->m.object[api_about(map)->object].name,
		.type = m->type,
		.key_size = m->key_size,
		.value_size = m->value_size,
		.max_entries = m->max_entries,
		.flags = m->flags,
		.cpus = map_is_percpu(m->type) ? map->w->r.head.cpu_count : 1,
		.value_bytes = reader_value_size(&map->w->r, m),
		.count = reader_count(&map->w->r, map->index),
	};
	return api_fill(info, size, &is, sizeof(is));
}

/* --- Elements. */

static int key_check(const struct bpfweld_map *map, const void *key,
		     size_t key_size)
{
	if (!map)
		return api_fail(EINVAL, "no map");
	if (key_size != api_shape(map)->key_size)
		return api_fail(EINVAL, "keys of map %s have %u bytes, not %zu",
				api_about(map)->name, api_shape(map)->key_size,
				key_size);
	return key || !key_size ? 0 : api_fail(EINVAL, "no key");
}

static int elem_check(const struct bpfweld_map *map, const void *key,
		      size_t key_size, const void *value, size_t value_size)
{
	int bad = key_check(map, key, key_size);
	size_t wanted;

	if (bad)
		return bad;
	wanted = reader_value_size(&map->w->r, api_shape(map));
	if (value_size != wanted)
		return api_fail(EINVAL,
				"a value of map %s has %zu bytes, not %zu",
				api_about(map)->name, wanted, value_size);
	return value || !value_size ? 0 : api_fail(EINVAL, "no value");
}

/* The result of reader_update() and the like. */
static int result(const struct bpfweld_map *map, long ret)
{
	const char *name = api_about(map)->name, *why = "it is not possible";

	switch (ret) {
	case 0:
		return 0;
	case -EINVAL:
		why = "maps of its type have no such operation";
		break;
	case -EPERM:
		why = !map->w->r.writes
			      ? "the region was opened to be read only"
		      : reader_is_frozen(api_shape(map))
			      ? "it is frozen"
			      : "only programs may write it";
		break;
	case -E2BIG:
	case -ENOSPC:
		why = "it is full, or has no such index";
		break;
	case -ENOENT:
		why = "there is no such element";
		break;
	case -EEXIST:
		why = "there is such an element already";
		break;
	case -EBUSY:
		why = "it is damaged, or too busy";
		break;
	case -ENXIO:
		why = "it is pinned, and its file is not there";
		break;
	}
	return api_fail((int)-ret, "map %s: %s", name, why);
}

struct looking {
	const struct bpfweld_map *map;
	const void *key;
	void *to;
	size_t size;
};

static int look_up(struct arena *a, void *arg)
{
	struct looking *l = arg;
	const struct reader *r = &l->map->w->r;
	const uint8_t *key = l->key, *value;
	struct err e;

	if (!reader_can_walk(&r->map[l->map->index]))
		return result(l->map, -EINVAL);
	/* (Keys of 4 and 8 bytes are read as such.) */
	key = arena_dup(a, key, r->map[l->map->index].key_size);
	if (reader_lookup(a, r, l->map->index, key, &value, &e))
		return api_err(EIO, &e);
	if (!value)
		return result(l->map, -ENOENT);
	memcpy(l->to, value, l->size);
	return 0;
}

int bpfweld_map_lookup_elem(const struct bpfweld_map *map, const void *key,
			    size_t key_size, void *value, size_t value_size,
			    uint64_t flags)
{
	struct looking l = { map, key, value, value_size };
	int bad = elem_check(map, key, key_size, value, value_size);

	if (bad)
		return bad;
	if (flags)
		return api_fail(EINVAL, "unknown flags");
	if (!key_size)
		return result(map,
			      reader_pop(&map->w->r, map->index, value, false));
	return api_call(look_up, &l);
}

int bpfweld_map_update_elem(struct bpfweld_map *map, const void *key,
			    size_t key_size, const void *value,
			    size_t value_size, uint64_t flags)
{
	int bad = elem_check(map, key, key_size, value, value_size);
	long ret;

	if (bad)
		return bad;
	ret = reader_update(&map->w->r, map->index, key, value, flags);
	if (ret == -EINVAL && flags)
		return api_fail(EINVAL,
				"map %s: maps of its type have no update with "
				"flags 0x%" PRIx64,
				api_about(map)->name, flags);
	return result(map, ret);
}

int bpfweld_map_delete_elem(struct bpfweld_map *map, const void *key,
			    size_t key_size, uint64_t flags)
{
	int bad = key_check(map, key, key_size);

	if (bad)
		return bad;
	if (flags)
		return api_fail(EINVAL, "unknown flags");
	return result(map, reader_delete(&map->w->r, map->index, key));
}

int bpfweld_map_lookup_and_delete_elem(struct bpfweld_map *map, const void *key,
				       size_t key_size, void *value,
				       size_t value_size, uint64_t flags)
{
	int bad = elem_check(map, key, key_size, value, value_size);

	if (bad)
		return bad;
	if (flags)
		return api_fail(EINVAL, "unknown flags");
	if (key_size)
		return api_fail(EOPNOTSUPP, "map %s is no queue or stack",
				api_about(map)->name);
	return result(map, reader_pop(&map->w->r, map->index, value, true));
}

static int look_next(struct arena *a, void *arg)
{
	struct looking *l = arg;
	const uint8_t *key = NULL, *next;
	struct err e;

	if (l->key)
		key = arena_dup(a, l->key, l->size);
	if (!l->size)
		return api_fail(EINVAL, "map %s has no keys",
				api_about(l->map)->name);
	if (reader_next_key(a, &l->map->w->r, l->map->index, key, &next, &e))
		return api_err(e.kind == ERR_UNSUPPORTED ? EINVAL : EIO, &e);
	if (!next)
		return result(l->map, -ENOENT);
	memcpy(l->to, next, l->size);
	return 0;
}

int bpfweld_map_get_next_key(const struct bpfweld_map *map, const void *cur_key,
			     void *next_key, size_t key_size)
{
	struct looking l = { map, cur_key, next_key, key_size };
	int bad = key_check(map, next_key, key_size);

	return bad ? bad : api_call(look_next, &l);
}

int bpfweld_map_write(struct bpfweld_map *map, const void *key, size_t key_size,
		      size_t offset, const void *bytes, size_t size)
{
	int bad = key_check(map, key, key_size);
	size_t room = bad ? 0 : api_shape(map)->value_size;

	if (bad)
		return bad;
	if (size && !bytes)
		return api_fail(EINVAL, "no bytes");
	if (offset > room || size > room - offset)
		return api_fail(EINVAL,
				"map %s: bytes %zu to %zu are not in a value "
				"of %zu",
				api_about(map)->name, offset, offset + size,
				room);
	return result(map,
		      reader_write(&map->w->r, map->index, key,
				   (uint32_t)offset, bytes, (uint32_t)size));
}
