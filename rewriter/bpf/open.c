/* SPDX-License-Identifier: MIT */
/* open.c - let libbpf read maps and types.
 *
 * bpf_object__open_mem() parses .maps by the types in BTF, collects .kconfig
 * externs and gives every DATASEC its offsets.  It needs no kernel.  What it
 * prints is kept: its last warning ends our message when it refuses.  The
 * object is closed again at once; a copy of the BTF stays, owned by the set.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>

#include "rewriter/bpf/object.h"

static char last_warning[200];

static int keep_warning(enum libbpf_print_level level, const char *fmt,
			va_list ap)
{
	const char *from = last_warning;
	char text[256];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = 0;
	from = strncmp(text, "libbpf: ", 8) ? text : text + 8;
	snprintf(last_warning, sizeof(last_warning), "%.199s", from);
	return 0;
}

/* libbpf makes one internal map for each data section with content, in
 * section order, and .kconfig last. */
static struct obj_section *next_data(struct object *o, uint32_t *sec)
{
	while (++*sec < o->nsec) {
		struct obj_section *s = &o->sec[*sec];
		enum bpf_data data = data_section(s->name);

		if (data && s->size && !s->insn &&
		    s->type == (data == DATA_BSS ? SHT_NOBITS : SHT_PROGBITS))
			return s;
	}
	return NULL;
}

/* Pointers in data need a relocation that no BPF loader performs. */
static int no_pointers(const struct object *o, const struct obj_section *s,
		       struct err *e)
{
	if (!s->nrel)
		return 0;
	return refuse(e, o->path, NOWHERE,
		      "'%s' holds a pointer to '%s': pointers in data sections "
		      "are not supported",
		      s->name, o->sym[s->rel[0].sym].name);
}

static int internal_map(struct arena *a, struct object *o, uint32_t *sec,
			uint32_t index, struct bpf_map_def *m, struct err *e)
{
	struct obj_section *s = next_data(o, sec);
	const char *datasec = s ? s->name : ".kconfig";
	int id = btf__find_by_name_kind(o->btf, datasec, BTF_KIND_DATASEC);
	uint8_t *bytes;

	if (s ? m->value_size < s->size : o->kconfig != NO_MAP)
		return fail(e, o->path, NOWHERE,
			    "map '%s' matches no data section", m->name);
	m->btf_value = id > 0 ? id : 0;
	bytes = arena_alloc(a, m->value_size);
	m->initial = (struct bytes){ bytes, m->value_size };
	if (!s) {
		m->data = DATA_KCONFIG;
		o->kconfig = index;
		return 0;
	}
	m->data = data_section(s->name);
	s->map = index;
	if (s->bytes.n)
		memcpy(bytes, s->bytes.p, s->bytes.n);
	return no_pointers(o, s, e);
}

static const struct btf_type *plain_type(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = id ? btf__type_by_id(btf, id) : NULL;

	while (t && (btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

/* kernel/bpf/verifier.c, check_map_prog_compatibility(): a value that has one of
 * these is for programs of other types. */
static const char *not_traced(const struct btf *btf, uint32_t value)
{
	static const char *const types[] = { "bpf_spin_lock",
					     "bpf_res_spin_lock", "bpf_timer",
					     "bpf_wq", "bpf_list_head",
					     "bpf_rb_root" };
	const struct btf_type *t = plain_type(btf, value), *m;

	for (uint32_t i = 0; t && btf_is_struct(t) && i < btf_vlen(t); i++) {
		m = plain_type(btf, btf_members(t)[i].type);
		for (size_t k = 0; k < sizeof(types) / sizeof(*types); k++)
			if (m && btf_is_struct(m) &&
			    !strcmp(btf__name_by_offset(btf, m->name_off),
				    types[k]))
				return types[k];
	}
	return NULL;
}

/* What the maps in a map of maps are like; it is no map by itself. */
static struct bpf_map_def *inner_of(struct arena *a, const struct bpf_map *map)
{
	const struct bpf_map *inner =
		bpf_map__inner_map((struct bpf_map *)map);
	struct bpf_map_def *d;

	if (!inner)
		return NULL;
	d = arena_alloc(a, sizeof(*d));
	*d = (struct bpf_map_def){
		.type = bpf_map__type(inner),
		.key_size = bpf_map__key_size(inner),
		.value_size = bpf_map__value_size(inner),
		.max_entries = bpf_map__max_entries(inner),
		.flags = bpf_map__map_flags(inner),
	};
	return d;
}

static int maps(struct arena *a, struct object *o, struct bpf_object *obj,
		struct bpf_set *set, struct err *e)
{
	const struct bpf_map *map;
	uint32_t sec = 0;

	bpf_object__for_each_map(map, obj)
	{
		struct bpf_map_def *m;

		set->map =
			arena_push(a, set->map, set->nmap, sizeof(*set->map));
		m = &set->map[set->nmap];
		*m = (struct bpf_map_def){
			.name = arena_strdup(a, bpf_map__name(map)),
			.object = o->index,
			.type = bpf_map__type(map),
			.key_size = bpf_map__key_size(map),
			.value_size = bpf_map__value_size(map),
			.max_entries = bpf_map__max_entries(map),
			.flags = bpf_map__map_flags(map),
			.extra = bpf_map__map_extra(map),
			.btf_key = bpf_map__btf_key_type_id(map),
			.btf_value = bpf_map__btf_value_type_id(map),
			.inner = inner_of(a, map),
			.not_traced = not_traced(
				o->btf, bpf_map__btf_value_type_id(map)),
			.pinned = bpf_map__pin_path(map) != NULL,
		};
		if (bpf_map__is_internal(map) &&
		    internal_map(a, o, &sec, set->nmap, m, e))
			return -1;
		set->nmap++;
	}
	if (next_data(o, &sec))
		return fail(e, o->path, NOWHERE, "'%s' has no map",
			    o->sec[sec].name);
	return 0;
}

int object_open(struct arena *a, struct object *o, struct bpf_set *set,
		struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = o->name);
	libbpf_print_fn_t old = libbpf_set_print(keep_warning);
	struct bpf_object *obj;
	const void *raw;
	__u32 size;
	int ret = -1;

	last_warning[0] = 0;
	obj = bpf_object__open_mem(o->file.p, o->file.n, &opts);
	/* Some of its errors are no errnos and come out as wild pointers. */
	if ((intptr_t)obj <= 0) {
		obj = NULL;
		fail(e, o->path, NOWHERE, "%s",
		     *last_warning ? last_warning : "libbpf cannot open it");
		goto out;
	}
	raw = bpf_object__btf(obj) ? btf__raw_data(bpf_object__btf(obj), &size)
				   : NULL;
	o->btf = raw ? btf__new(raw, size) : NULL;
	if (!o->btf) {
		fail(e, o->path, NOWHERE, "libbpf cannot read its BTF");
		goto out;
	}
	set->object[o->index].btf = o->btf;
	ret = vars_offsets(o, e) || maps(a, o, obj, set, e) ? -1 : 0;
out:
	bpf_object__close(obj);
	libbpf_set_print(old);
	return ret;
}
