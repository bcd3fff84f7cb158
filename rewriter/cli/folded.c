/* SPDX-License-Identifier: MIT */
/* folded.c - see folded.h.  Equal lines are one, and lines are sorted. */
#include <bpf/btf.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/cli/folded.h"
#include "rewriter/cli/symbols.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/reader/typed_int.h"

/* A number, or a string, in a key or value. */
struct field {
	bool found;
	uint32_t off, bits; /* of a string: bytes, and 8 times its size */
	bool sign;
};

struct line {
	const char *text;
	uint64_t count;
};

struct folding {
	struct maps *maps;
	struct arena *a;
	uint32_t stacks, counts;
	const uint8_t **chain; /* by number; NULL: there is none */
	const char *target;
	struct field id, count, comm;
	bool id_in_value;
	bool id_by_size; /* the key is a number: nothing says which */
	struct line *line;
	size_t nline;
};

/* --- where things are -------------------------------------------------- */

typedef bool wanted(const struct btf *btf, const struct btf_type *t,
		    const char *name, uint32_t bits);

static bool is_id(const struct btf *btf, const struct btf_type *t,
		  const char *name, uint32_t bits)
{
	(void)btf;
	return btf_is_int(t) && (bits == 32 || bits == 64) &&
	       strcasestr(name, "stack") && !strcasestr(name, "kern");
}

static bool is_number(const struct btf *btf, const struct btf_type *t,
		      const char *name, uint32_t bits)
{
	return btf_is_int(t) && bits <= 64 && !is_id(btf, t, name, 32);
}

static bool is_text(const struct btf *btf, const struct btf_type *t,
		    const char *name, uint32_t bits)
{
	(void)name, (void)bits;
	return type_is_text(btf, t);
}

static uint32_t bits_of(const struct btf *btf, const struct btf_type *t)
{
	if (btf_is_int(t))
		return 8 * t->size;
	if (btf_is_array(t) && type_is_text(btf, t))
		return 8 * btf_array(t)->nelems;
	return 0;
}

/* The first member that is wanted, in structs that are members, too. */
static struct field member_find(const struct btf *btf, uint32_t type,
				uint32_t at, wanted *is, int depth)
{
	const struct btf_type *t = type_strip(btf, type);
	struct field f = { 0 };

	if (!t || !btf_is_composite(t) || !depth)
		return f;
	for (uint32_t i = 0; i < btf_vlen(t) && !f.found; i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const struct btf_type *mt = type_strip(btf, m->type);
		uint32_t off = at + btf_member_bit_offset(t, i);
		uint32_t bits = btf_member_bitfield_size(t, i);
		const char *name = btf__name_by_offset(btf, m->name_off);

		if (!mt)
			continue;
		bits = bits ? bits : bits_of(btf, mt);
		if (bits && is(btf, mt, name ? name : "", bits))
			f = (struct field){ true, off, bits,
					    btf_is_int(mt) &&
						    btf_int_encoding(mt) &
							    BTF_INT_SIGNED };
		else
			f = member_find(btf, m->type, off, is, depth - 1);
	}
	return f;
}

enum {
	DEPTH = 8
};

/* The whole thing, if it is a number; or its first member that is wanted. */
static struct field field_find(const struct btf *btf, uint32_t type,
			       uint32_t size, wanted *is)
{
	const struct btf_type *t = type_strip(btf, type);

	if (is != is_text && (!t || btf_is_int(t)) && (size == 4 || size == 8))
		return (struct field){ true, 0, 8 * size,
				       t && btf_int_encoding(t) &
						       BTF_INT_SIGNED };
	if (is == is_text && t && type_is_text(btf, t))
		return (struct field){ true, 0, 8 * size, false };
	return member_find(btf, type, 0, is, DEPTH);
}

static int fields_find(struct folding *f, struct err *e)
{
	const struct manifest_map *k = &f->maps->m.map[f->counts];
	const struct btf *btf = f->maps->btf[k->object];

	f->id = field_find(btf, k->btf_key, k->map.key_size, is_id);
	f->id_by_size = f->id.found &&
			!member_find(btf, k->btf_key, 0, is_id, DEPTH).found;
	f->comm = field_find(btf, k->btf_key, k->map.key_size, is_text);
	f->id_in_value = member_find(btf, k->btf_value, 0, is_id, DEPTH).found;
	if (f->id_in_value)
		f->id = member_find(btf, k->btf_value, 0, is_id, DEPTH);
	f->count = field_find(btf, k->btf_value, k->map.value_size, is_number);
	if (f->id.found && f->count.found)
		return 0;
	return fail(e, NULL, NOWHERE,
		    f->id.found ? "map %s: its values have no number"
				: "map %s: its keys and values have no stack "
				  "id",
		    k->name);
}

/* `size` is what there is of v. */
static uint64_t field_get(const struct field *f, const uint8_t *v,
			  uint32_t size)
{
	if (((uint64_t)f->off + f->bits + 7) / 8 > size)
		return 0;
	return bits_at(v, f->off, f->bits, f->sign);
}

/* --- lines ------------------------------------------------------------- */

static const char *frame_label(struct arena *a, const struct frame_name *n)
{
	if (n->name.func)
		return n->name.func;
	if (n->name.file)
		return arena_printf(a, "[%s]", n->name.file);
	return "[unknown]";
}

static void line_add(struct folding *f, const char *comm, const uint8_t *chain,
		     uint64_t count)
{
	const struct region_map *m = &f->maps->m.map[f->stacks].map;
	struct frame_name frame[CHAIN_MAX];
	struct arena own = { 0 };
	const char *text = comm;
	size_t n = chain ? symbols_chain(f->maps->symbols, m, chain, frame) : 0;

	while (n--)
		text = arena_printf(&own, "%s;%s", text,
				    frame_label(&own, &frame[n]));
	if (!chain)
		text = arena_printf(&own, "%s;[no call chain]", text);
	f->line = arena_push(f->a, f->line, f->nline, sizeof(*f->line));
	f->line[f->nline++] = (struct line){ arena_strdup(f->a, text), count };
	arena_free(&own);
}

static int by_text(const void *x, const void *y)
{
	return strcmp(((const struct line *)x)->text,
		      ((const struct line *)y)->text);
}

static void lines_print(struct folding *f)
{
	if (f->nline)
		qsort(f->line, f->nline, sizeof(*f->line), by_text);
	for (size_t i = 0; i < f->nline;) {
		const char *text = f->line[i].text;
		uint64_t count = 0;

		for (; i < f->nline && !strcmp(f->line[i].text, text); i++)
			count += f->line[i].count;
		say("%s %" PRIu64 "\n", text, count);
	}
}

/* --- maps -------------------------------------------------------------- */

static int chains_read(struct folding *f, struct err *e)
{
	const struct region_map *m = &f->maps->m.map[f->stacks].map;
	struct reader_elem *elem;
	uint32_t id;
	size_t n;

	if (maps_elems(f->maps, f->stacks, &elem, &n, e))
		return -1;
	f->chain = arena_alloc(f->a, m->buckets * sizeof(*f->chain));
	for (size_t i = 0; i < n; i++) {
		memcpy(&id, elem[i].key, sizeof(id));
		if (id < m->buckets)
			f->chain[id] = elem[i].value;
	}
	return 0;
}

static uint64_t count_of(const struct folding *f, const struct reader_elem *x)
{
	const struct region_map *m = &f->maps->m.map[f->counts].map;
	uint32_t cpus =
		map_is_percpu(m->type) ? f->maps->region.head.cpu_count : 1;
	uint64_t sum = 0;

	for (uint32_t c = 0; c < cpus; c++)
		sum += field_get(&f->count,
				 x->value + c * align_up(m->value_size, 8),
				 m->value_size);
	return sum;
}

static const char *comm_of(struct folding *f, const struct reader_elem *x)
{
	const struct region_map *m = &f->maps->m.map[f->counts].map;
	uint32_t at = f->comm.off / 8, n = f->comm.bits / 8;
	char *comm;

	if (!f->comm.found || at + n > m->key_size)
		return f->target;
	comm = arena_printf(f->a, "%.*s", (int)n, (const char *)x->key + at);
	for (char *c = comm; *c; c++) /* what separates */
		*c = *c == ';' || *c == '\n' ? '_' : *c;
	return *comm ? comm : f->target;
}

/* A number is taken for an id where it is one: of `n` elements `named` had a
 * chain, or an error in its place. */
static int ids_check(const struct folding *f, size_t n, size_t named,
		     struct err *e)
{
	if (!f->id_by_size || f->id_in_value || named || !n)
		return 0;
	return fail(e, NULL, NOWHERE,
		    "map %s: none of its keys is the number of a call chain "
		    "in %s",
		    f->maps->m.map[f->counts].name,
		    f->maps->m.map[f->stacks].name);
}

static int counts_fold(struct folding *f, struct err *e)
{
	const struct manifest_map *stacks = &f->maps->m.map[f->stacks];
	const struct region_map *m = &f->maps->m.map[f->counts].map;
	struct reader_elem *elem;
	size_t n, named = 0;

	if (fields_find(f, e) || maps_elems(f->maps, f->counts, &elem, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		uint64_t id = f->id_in_value ? field_get(&f->id, elem[i].value,
							 m->value_size)
					     : field_get(&f->id, elem[i].key,
							 m->key_size);
		const uint8_t *chain = NULL;

		if (id < stacks->map.buckets)
			chain = f->chain[id];
		named += chain || (int64_t)id < 0;
		line_add(f, comm_of(f, &elem[i]), chain, count_of(f, &elem[i]));
	}
	return ids_check(f, n, named, e);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int folded_print(struct maps *maps, uint32_t stacks, const char *counts,
		 struct err *e)
{
	struct folding f = {
		.maps = maps,
		.a = &maps->arena,
		.stacks = stacks,
		.target = base_name(maps->m.target),
	};

	if (maps->m.map[stacks].map.type != BPF_MAP_TYPE_STACK_TRACE)
		return fail(e, NULL, NOWHERE,
			    "map %s holds no call chains: --folded is for a "
			    "stack_trace map, --counts names this one",
			    maps->m.map[stacks].name);
	if (chains_read(&f, e))
		return -1;
	if (counts &&
	    (maps_find(maps, counts, &f.counts, e) || counts_fold(&f, e)))
		return -1;
	for (uint32_t i = 0; !counts && i < maps->m.map[stacks].map.buckets;
	     i++)
		if (f.chain[i])
			line_add(&f, f.target, f.chain[i], 1);
	lines_print(&f);
	return 0;
}
