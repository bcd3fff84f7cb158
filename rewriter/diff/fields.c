/* SPDX-License-Identifier: MIT */
/* fields.c - flatten a BTF type into named leaves. */
#include <bpf/btf.h>

#include "rewriter/diff/diff.h"

struct flat {
	struct arena *a;
	const struct btf *btf;
	uint32_t size;       /* of the whole value: leaves stay inside */
	struct field *field;
	size_t n;
};
enum { DEPTH_MAX = 16, FIELDS_MAX = 4096 };

static void leaf(struct flat *f, const char *name, uint32_t off, uint32_t size)
{
	if (f->n >= FIELDS_MAX || size == 0 || off > f->size ||
	    size > f->size - off)
		return;
	f->field = arena_push(f->a, f->field, f->n, sizeof(*f->field));
	f->field[f->n++] = (struct field){ name, off, size };
}

static void flatten(struct flat *f, const char *name, uint32_t id,
		    uint32_t off, int depth);

static void members(struct flat *f, const char *name, const struct btf_type *t,
		    uint32_t off, int depth)
{
	const struct btf_member *m = btf_members(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const char *part = btf__name_by_offset(f->btf, m[i].name_off);
		uint32_t bit = btf_member_bit_offset(t, i);

		flatten(f, part && *part ? arena_printf(f->a, "%s.%s", name,
							part)
					 : name,
			m[i].type, off + bit / 8, depth);
	}
}

/* A map's value is the section: variables, their offsets in the value. */
static void variables(struct flat *f, const struct btf_type *t)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_type *var = btf__type_by_id(f->btf, v[i].type);

		if (var)
			leaf(f, btf__name_by_offset(f->btf, var->name_off),
			     v[i].offset, v[i].size);
	}
}

static void elements(struct flat *f, const char *name,
		     const struct btf_type *t, uint32_t off, int depth)
{
	const struct btf_array *arr = btf_array(t);
	int64_t size = btf__resolve_size(f->btf, arr->type);

	if (size == 1) { /* text and byte strings stay whole */
		leaf(f, name, off, arr->nelems);
		return;
	}
	for (uint32_t i = 0; size > 0 && i < arr->nelems; i++) {
		if (f->n >= FIELDS_MAX)
			return;
		flatten(f, arena_printf(f->a, "%s[%u]", name, i), arr->type,
			off + i * (uint32_t)size, depth);
	}
}

static void flatten(struct flat *f, const char *name, uint32_t id,
		    uint32_t off, int depth)
{
	int real = btf__resolve_type(f->btf, id);
	const struct btf_type *t =
		real > 0 ? btf__type_by_id(f->btf, (uint32_t)real) : NULL;
	int64_t size = real > 0 ? btf__resolve_size(f->btf, (uint32_t)real) : 0;

	if (!t || depth > DEPTH_MAX)
		return;
	if (btf_is_composite(t))
		members(f, name, t, off, depth + 1);
	else if (btf_is_array(t))
		elements(f, name, t, off, depth + 1);
	else if (btf_is_datasec(t))
		variables(f, t);
	else if (size > 0)
		leaf(f, name, off, (uint32_t)size);
}

struct field *fields_of(struct arena *a, const struct btf *btf, uint32_t type,
			uint32_t size, size_t *n)
{
	struct flat f = { .a = a, .btf = btf, .size = size };

	if (btf && type)
		flatten(&f, "", type, 0, 0);
	if (!f.n) /* no type: one field */
		leaf(&f, "", 0, size);
	*n = f.n;
	return f.field;
}
