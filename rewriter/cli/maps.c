/* SPDX-License-Identifier: MIT */
/* maps.c - find maps by name, sort and print their elements.
 *
 * The output has the shape that bpftool has taught everybody's scripts:
 *
 *     [{                                 typed, for people
 *             "key": 0,
 *             "value": 5
 *         }
 *     ]
 *     key: 00 00 00 00  value: 05 ..     without types
 *     [{"key":["0x00",..],"value":[..],  -j
 *       "formatted":{"key":0,"value":5}}]
 *
 * with four differences: hashes are sorted by key, so that two dumps can be
 * compared; it is always valid JSON; bit fields are numbers; and of the values
 * for each CPU, those are left out that are all zeroes.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "rewriter/cli/maps.h"
#include "rewriter/cli/symbols.h"
#include "rewriter/names.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/mem.h"
#include "runtime-stub/refs.h"

int maps_open(struct maps *maps, const char *welded, enum maps_region region,
	      struct err *e)
{
	struct manifest *m = &maps->m;

	if (manifest_read(&maps->arena, welded, m, NULL, e))
		return -1;
	maps->symbols = symbols_open(maps, welded);
	maps->btf = arena_alloc(&maps->arena, m->nobject * sizeof(*maps->btf));
	for (size_t i = 0; i < m->nobject; i++)
		maps->btf[i] = typed_open(m->object[i].btf);
	if (region == NO_REGION)
		return 0;
	if (reader_open_weld(&maps->arena, m,
			     region == REGION_TO_WRITE ? READER_WRITE
						       : READER_READ,
			     &maps->region, e) == 0)
		return 0;
	if (!e->file)
		e->file = welded;
	return -1;
}

void maps_close(struct maps *maps)
{
	for (size_t i = 0; maps->btf && i < maps->m.nobject; i++)
		typed_close(maps->btf[i]);
	symbols_close(maps->symbols);
	reader_close(&maps->region);
	arena_free(&maps->arena);
}

/* --- Names. */

static const char *object_name(const struct manifest *m, uint32_t map)
{
	return m->object[m->map[map].object].name;
}

static int no_such_map(struct maps *maps, const char *name, struct err *e)
{
	const struct manifest *m = &maps->m;
	const char **names =
		arena_alloc(&maps->arena, (m->nmap + 1) * sizeof(*names));

	for (size_t i = 0; i < m->nmap; i++)
		names[i] = m->map[i].name;
	return fail(e, NULL, NOWHERE, "no map is called '%s'%s", name,
		    names_closest(&maps->arena, name, names, m->nmap));
}

/* "'a:x' or 'b:x'": what to say instead of 'x'. */
static const char *full_names(struct maps *maps, const char *name)
{
	const struct manifest *m = &maps->m;
	const char *all = "", *one;
	uint32_t map;

	for (uint32_t i = 0; i < m->nmap; i++) {
		one = arena_printf(&maps->arena, "%s:%s", object_name(m, i),
				   name);
		if (manifest_find(m, one, &map) == 1 && map == i)
			all = arena_printf(&maps->arena, "%s%s'%s'", all,
					   *all ? " or " : "", one);
	}
	return all;
}

int maps_find(struct maps *maps, const char *name, uint32_t *map, struct err *e)
{
	const struct manifest *m = &maps->m;
	size_t equal = manifest_find(m, name, map);

	if (!equal)
		return no_such_map(maps, name, e);
	if (equal > 1)
		return fail(e, NULL, NOWHERE,
			    "%zu maps are called '%s': say %s", equal, name,
			    full_names(maps, name));
	return 0;
}

/* --- What a person writes. */

static int parse(struct maps *maps, uint32_t map, const char *what,
		 uint32_t type, size_t size, char *const *word, int nword,
		 const uint8_t **out, struct err *e)
{
	struct err why;

	if (!typed_parse(&maps->arena, maps->btf[maps->m.map[map].object], type,
			 size, word, nword, out, &why))
		return 0;
	return misuse(e, "%s of map %s: %s", what, maps->m.map[map].name,
		      why.what);
}

int maps_key(struct maps *maps, uint32_t map, char *const *word, int nword,
	     const uint8_t **key, struct err *e)
{
	const struct manifest_map *k = &maps->m.map[map];

	return parse(maps, map, "key", k->btf_key, k->map.key_size, word, nword,
		     key, e);
}

int maps_value(struct maps *maps, uint32_t map, char *const *word, int nword,
	       const uint8_t **value, struct err *e)
{
	const struct manifest_map *k = &maps->m.map[map];

	return parse(maps, map, "value", k->btf_value, k->map.value_size, word,
		     nword, value, e);
}

/* --- Lists. */

/* Of a pinned map, what there is to know. */
static void pinned_text(const struct reader *region, uint32_t map)
{
	const struct reader_pin *p = region ? reader_pin(region, map) : NULL;
	uint32_t n = region ? reader_unshared(region, map) : 0;

	fputs("  pinned", stdout);
	if (p && p->fault)
		say(", not shown: %s", p->fault);
	if (n)
		say(", not used by %u start%s", n, n == 1 ? "" : "s");
}

static void pinned_json(struct json *j, const struct reader *region,
			uint32_t map)
{
	const struct reader_pin *p = region ? reader_pin(region, map) : NULL;

	json_bool_at(j, "pinned", true);
	if (!region)
		return;
	if (p && p->fault)
		json_str_at(j, "fault", p->fault);
	json_u64_at(j, "unshared", reader_unshared(region, map));
}

void maps_failed_text(uint64_t failed)
{
	if (failed)
		say("  %" PRIu64 " failed run%s", failed,
		    failed == 1 ? "" : "s");
	putchar('\n');
}

void maps_list_text(const struct manifest *m, const struct reader *region)
{
	say("  %-24s %-12s %6s %8s %10s %10s\n", "name", "type", "key", "value",
	    "max", "count");
	for (uint32_t i = 0; i < m->nmap; i++) {
		const struct region_map *k = &m->map[i].map;

		say("  %-24s %-12s %6u %8u %10u ", m->map[i].name,
		    cli_map_type(k->type), k->key_size, k->value_size,
		    k->max_entries);
		if (region)
			say("%10" PRIu64, reader_count(region, i));
		else
			say("%10s", "-");
		if (k->pinned)
			pinned_text(region, i);
		putchar('\n');
	}
}

void maps_list_json(struct json *j, const struct manifest *m,
		    const struct reader *region)
{
	json_array(j);
	for (uint32_t i = 0; i < m->nmap; i++) {
		const struct region_map *k = &m->map[i].map;

		json_object(j);
		json_str_at(j, "type", cli_map_type(k->type));
		json_str_at(j, "name", m->map[i].name);
		json_str_at(j, "object", object_name(m, i));
		json_u64_at(j, "flags", k->flags);
		json_u64_at(j, "bytes_key", k->key_size);
		json_u64_at(j, "bytes_value", k->value_size);
		json_u64_at(j, "max_entries", k->max_entries);
		if (region)
			json_u64_at(j, "count", reader_count(region, i));
		if (k->pinned)
			pinned_json(j, region, i);
		json_end(j);
	}
	json_end(j);
}

/* --- Elements. */

static bool is_stacks(const struct maps *maps, uint32_t map)
{
	return maps->m.map[map].map.type == BPF_MAP_TYPE_STACK_TRACE;
}

struct order {
	const struct btf *btf;
	uint32_t type, size;
};

static int by_key(const void *a, const void *b, void *arg)
{
	const struct reader_elem *x = a, *y = b;
	const struct order *o = arg;

	return typed_compare(o->btf, o->type, x->key, y->key, o->size);
}

int maps_elems(struct maps *maps, uint32_t map, struct reader_elem **elem,
	       size_t *n, struct err *e)
{
	const struct manifest_map *k = &maps->m.map[map];
	struct order o = { maps->btf[k->object], k->btf_key, k->map.key_size };
	struct reader_elem *v;
	size_t kept = 0;

	if (reader_elems(&maps->arena, &maps->region, map, elem, n, e))
		return -1;
	v = *elem;
	if (!o.size) /* they have an order */
		return 0;
	if (*n > 1 && !is_stacks(maps, map)) /* those are in order */
		qsort_r(v, *n, sizeof(*v), by_key, &o);
	/* A key that was deleted and came back during the walk is there twice.
	 */
	for (size_t i = 0; i < *n; i++)
		if (!kept || memcmp(v[kept - 1].key, v[i].key, o.size) != 0)
			v[kept++] = v[i];
	*n = kept;
	return 0;
}

static const struct btf *types_of(const struct maps *maps, uint32_t map)
{
	const struct manifest_map *k = &maps->m.map[map];

	if (map_has_refs(k->map.type))
		return maps->btf[k->object];
	/* A data section has no key to speak of, a queue has none. */
	return k->btf_value && (k->btf_key || k->data || !k->map.key_size)
		       ? maps->btf[k->object]
		       : NULL;
}

/* Can its elements be shown as something better than bytes? */
static bool is_typed(const struct maps *maps, uint32_t map)
{
	return is_stacks(maps, map) || types_of(maps, map);
}

static struct bytes key_of(const struct maps *maps, uint32_t map,
			   const struct reader_elem *elem)
{
	return (struct bytes){ elem->key, maps->m.map[map].map.key_size };
}

/* Of a map with values for each CPU, that of one. */
static struct bytes value_of(const struct maps *maps, uint32_t map,
			     const struct reader_elem *elem, uint32_t cpu)
{
	uint32_t size = maps->m.map[map].map.value_size;

	return (struct bytes){ elem->value + cpu * align_up(size, 8), size };
}

static bool is_percpu(const struct maps *maps, uint32_t map)
{
	return map_is_percpu(maps->m.map[map].map.type);
}

static uint32_t cpus_of(const struct maps *maps, uint32_t map)
{
	return is_percpu(maps, map) ? maps->region.head.cpu_count : 1;
}

/* The first value is always shown. */
static bool is_shown(struct bytes value, uint32_t cpu)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i])
			return true;
	return cpu == 0;
}

typedef void value_json(struct json *j, const struct maps *maps, uint32_t map,
			struct bytes value);

static void raw_value(struct json *j, const struct maps *maps, uint32_t map,
		      struct bytes value)
{
	(void)maps, (void)map;
	json_bytes(j, value);
}

/* The program or the map that a value stands for. */
static const char *ref_name(const struct maps *maps,
			    const struct manifest_map *k, struct bytes value)
{
	uint32_t n = 0;

	if (value.n == sizeof(n))
		memcpy(&n, value.p, sizeof(n));
	if (map_has_progs(k->map.type))
		return n && n <= maps->m.nprog ? maps->m.prog[n - 1].name
					       : NULL;
	return n && n <= maps->m.nmap ? maps->m.map[n - 1].name : NULL;
}

static void chain_json(struct json *j, const struct maps *maps,
		       const struct region_map *map, const uint8_t *value)
{
	struct frame_name frame[CHAIN_MAX];
	size_t n = symbols_chain(maps->symbols, map, value, frame);

	json_array(j);
	for (size_t i = 0; i < n; i++)
		named_json(j, &frame[i].name, frame[i].addr);
	json_end(j);
}

/* What has names in an object's values. */
struct naming {
	const struct maps *maps;
	uint32_t stacks; /* the object's map of chains */
};

static void name_address(void *arg, struct json *j, uint64_t addr, bool returns)
{
	const struct naming *naming = arg;
	struct named n = symbols_at(naming->maps->symbols, addr, returns);

	named_json(j, &n, addr);
}

static void name_chain(void *arg, struct json *j, uint64_t id)
{
	const struct naming *n = arg;
	const struct region_map *map = &n->maps->m.map[n->stacks].map;
	struct arena own = { 0 };
	const uint8_t *value = NULL;
	uint32_t key = (uint32_t)id;
	struct err e;

	if (id < map->buckets)
		reader_lookup(&own, &n->maps->region, n->stacks,
			      (const uint8_t *)&key, &value, &e);
	if (value)
		chain_json(j, n->maps, map, value);
	else
		json_null(j);
	arena_free(&own);
}

/* Does the object have one map of chains, and no other? */
static bool stacks_of(const struct maps *maps, uint32_t object, uint32_t *map)
{
	int n = 0;

	for (uint32_t i = 0; i < maps->m.nmap; i++)
		if (maps->m.map[i].object == object && is_stacks(maps, i)) {
			*map = i;
			n++;
		}
	return n == 1;
}

void maps_typed_json(struct json *j, const struct maps *maps, uint32_t object,
		     uint32_t type, struct bytes value, bool chains)
{
	struct naming n = { .maps = maps };
	struct typed_names names = { .name = name_address, .arg = &n };

	if (chains && stacks_of(maps, object, &n.stacks))
		names.chain = name_chain;
	typed_json_named(j, maps->btf[object], type, value, &names);
}

static void typed_value(struct json *j, const struct maps *maps, uint32_t map,
			struct bytes value)
{
	const struct manifest_map *k = &maps->m.map[map];

	if (map_has_refs(k->map.type))
		json_string(j, ref_name(maps, k, value));
	else if (is_stacks(maps, map))
		chain_json(j, maps, &k->map, value.p);
	else
		maps_typed_json(j, maps, k->object, k->btf_value, value, false);
}

static void values(struct json *j, const struct maps *maps, uint32_t map,
		   const struct reader_elem *elem, value_json *print)
{
	if (!is_percpu(maps, map)) {
		json_key(j, "value");
		print(j, maps, map, value_of(maps, map, elem, 0));
		return;
	}
	json_key(j, "values");
	json_array(j);
	for (uint32_t c = 0; c < cpus_of(maps, map); c++) {
		struct bytes value = value_of(maps, map, elem, c);

		if (!is_shown(value, c))
			continue;
		json_object(j);
		json_u64_at(j, "cpu", c);
		json_key(j, "value");
		print(j, maps, map, value);
		json_end(j);
	}
	json_end(j);
}

static void typed_elem(struct json *j, const struct maps *maps, uint32_t map,
		       const struct reader_elem *elem)
{
	const struct manifest_map *k = &maps->m.map[map];
	const struct btf *btf = types_of(maps, map);

	json_object(j);
	if (!k->data && k->map.key_size) {
		json_key(j, "key");
		if (!k->btf_key && k->map.key_size == sizeof(uint32_t))
			json_u64(j, load32(elem->key));
		else
			typed_json(j, btf, k->btf_key, key_of(maps, map, elem));
	}
	values(j, maps, map, elem, typed_value);
	json_end(j);
}

void maps_elem_json(struct json *j, const struct maps *maps, uint32_t map,
		    const struct reader_elem *elem, bool raw)
{
	if (!raw) {
		typed_elem(j, maps, map, elem);
		return;
	}
	json_object(j);
	if (maps->m.map[map].map.key_size) {
		json_key(j, "key");
		json_bytes(j, key_of(maps, map, elem));
	}
	values(j, maps, map, elem, raw_value);
	if (is_typed(maps, map)) {
		json_key(j, "formatted");
		typed_elem(j, maps, map, elem);
	}
	json_end(j);
}

/* Sixteen bytes a line, a wider gap in the middle. */
static void hex_print(struct bytes b, bool lines)
{
	const char *gap;

	for (size_t i = 0; i < b.n; i++) {
		gap = i % 16 == 0 ? "\n" : i % 8 == 0 ? "  " : " ";
		printf("%s%02x", i ? gap : "", b.p[i]);
	}
	if (lines)
		putchar('\n');
}

static void untyped_elem(const struct maps *maps, uint32_t map,
			 const struct reader_elem *elem)
{
	struct bytes key = key_of(maps, map, elem);
	size_t size = maps->m.map[map].map.value_size;
	bool percpu = is_percpu(maps, map);
	bool lines = percpu || key.n > 16 || size > 16 || key.n + size > 24;

	if (key.n) {
		fputs(lines ? "key:\n" : "key: ", stdout);
		hex_print(key, lines);
	}
	for (uint32_t c = 0; c < cpus_of(maps, map); c++) {
		struct bytes value = value_of(maps, map, elem, c);

		if (!is_shown(value, c))
			continue;
		if (percpu)
			printf("value (CPU %02u):%c", c,
			       size > 16 ? '\n' : ' ');
		else
			fputs(lines ? "value:\n" : "  value: ", stdout);
		hex_print(value, true);
	}
}

void maps_elem_text(const struct maps *maps, uint32_t map,
		    const struct reader_elem *elem)
{
	struct json j = json_to(stdout, true);

	if (!is_typed(maps, map)) {
		untyped_elem(maps, map, elem);
		return;
	}
	typed_elem(&j, maps, map, elem);
	json_done(&j);
}

void maps_elems_text(const struct maps *maps, uint32_t map,
		     const struct reader_elem *elem, size_t n)
{
	struct json j = json_to(stdout, true);

	if (!is_typed(maps, map)) {
		for (size_t i = 0; i < n; i++)
			untyped_elem(maps, map, &elem[i]);
		say("Found %zu element%s\n", n, n == 1 ? "" : "s");
		return;
	}
	json_array(&j);
	for (size_t i = 0; i < n; i++)
		typed_elem(&j, maps, map, &elem[i]);
	json_end(&j);
	json_done(&j);
}
