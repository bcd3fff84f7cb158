/* SPDX-License-Identifier: MIT */
/* sizes.c - --set MAP.max_entries=N and --set MAP.value_size=N.
 *
 * Loaders written for libbpf give maps their sizes before they load the object
 * (bpf_map__set_max_entries(), bpf_map__set_value_size()); it is no whole map
 * without.  What is set is not looked at here: map_shape() does that with all
 * sizes, wherever they are from.
 *
 * A value of another size than its type's has none: so it is in the kernel, to
 * which libbpf then gives the map without types.
 */
#include <bpf/btf.h>

#include "rewriter/bpf/object.h"
#include "rewriter/names.h"

enum size { MAX_ENTRIES, VALUE_SIZE, SIZES };
static const char *const names[SIZES] = { "max_entries", "value_size" };

struct assignment {
	const char *text; /* all of it */
	const char *map;
	enum size size;
	uint32_t n;
};

/* Length of MAP; 0: not of this kind. */
static size_t split(const char *text, enum size *size)
{
	size_t len = strcspn(text, "="), n;

	for (unsigned i = 0; i < SIZES; i++) {
		n = strlen(names[i]);
		if (len <= n + 1 || text[len - n - 1] != '.' ||
		    memcmp(text + len - n, names[i], n))
			continue;
		*size = (enum size)i;
		return len - n - 1;
	}
	return 0;
}

bool sizes_name(const char *assignment)
{
	enum size size;

	return split(assignment, &size) != 0;
}

static int wrong(struct err *e, const struct assignment *s, const char *what)
{
	return misuse(e, "--set %s: %s", s->text, what);
}

static int value(struct assignment *s, struct err *e)
{
	const char *at = strchr(s->text, '=');
	bool negative;
	uint64_t n;

	if (!at)
		return wrong(e, s, "not MAP.max_entries=N or MAP.value_size=N");
	if (!vars_number(at + 1, &n, &negative))
		return wrong(e, s, "not a number");
	if (negative || n > UINT32_MAX)
		return wrong(e, s, "out of range, 0 to 4294967295");
	s->n = (uint32_t)n;
	return 0;
}

/* libbpf names it after its map of maps. */
static bool is_inner(const struct bpf_map_def *m, const char *name)
{
	size_t n = strlen(m->name);

	return m->inner && !strncmp(name, m->name, n) &&
	       !strcmp(name + n, ".inner");
}

static void put(const struct object *o, struct bpf_map_def *m,
		const struct assignment *s)
{
	if (s->size == MAX_ENTRIES) {
		m->max_entries = s->n;
		return;
	}
	m->value_size = s->n;
	if (m->btf_value && btf__resolve_size(o->btf, m->btf_value) != s->n) {
		m->btf_value = 0;
		m->not_traced = NULL;
	}
}

static int unknown(struct arena *a, const struct bpf_set *set,
		   const struct assignment *s, struct err *e)
{
	const char **known = arena_alloc(a, (set->nmap + 1) * sizeof(*known));
	uint32_t n = 0;

	for (uint32_t i = 0; i < set->nmap; i++)
		if (!set->map[i].data)
			known[n++] = set->map[i].name;
	return misuse(e, "--set: no map '%s'%s", s->map,
		      names_closest(a, s->map, known, n));
}

/* In every object that has one of that name, as with variables. */
int sizes_set(struct arena *a, const struct object *o, struct bpf_set *set,
	      const char *assignment, struct err *e)
{
	struct assignment s = { .text = assignment };
	size_t len = split(assignment, &s.size);
	char *name = arena_dup(a, assignment, len + 1);
	bool found = false;

	name[len] = 0;
	s.map = name;
	if (value(&s, e))
		return -1;
	for (uint32_t i = 0; i < set->nmap; i++) {
		struct bpf_map_def *m = &set->map[i];

		if (is_inner(m, name))
			return wrong(e, &s, "is a pattern for maps, and no map");
		if (strcmp(m->name, name))
			continue;
		if (m->data)
			return wrong(e, &s,
				     "is a data section, as large as its "
				     "variables");
		put(&o[m->object], m, &s);
		found = true;
	}
	return found ? 0 : unknown(a, set, &s, e);
}
