/* SPDX-License-Identifier: MIT */
/* fields.c - flatten a BTF type into named leaves.
 *
 * Padding belongs to no field and is not compared: programs do not set it.
 * What cannot be named (no BTF, more leaves than FIELDS_MAX) is one field of
 * bytes, so that everything else is always compared.
 */
#include <bpf/btf.h>

#include "rewriter/diff/diff.h"
#include "runtime-stub/reader/typed.h"

struct flat {
	struct arena *a;
	const struct btf *btf;
	uint32_t size; /* of the whole value: leaves stay inside */
	struct field *field;
	size_t n;
	uint32_t group; /* of the array of structs around, or 0 */
	uint32_t last_group;
};
enum {
	DEPTH_MAX = 16,
	FIELDS_MAX = 4096
};

static void leaf(struct flat *f, struct field new)
{
	if (new.size == 0 || new.off >= f->size)
		return;
	if (new.size > f->size - new.off)
		new.size = new.step = f->size - new.off, new.type = 0;
	new.group = f->group ? f->group : ++f->last_group;
	f->field = arena_push(f->a, f->field, f->n, sizeof(*f->field));
	f->field[f->n++] = new;
}

static void flatten(struct flat *f, const char *name, uint32_t id, uint32_t off,
		    int depth);

static const char *join(struct flat *f, const char *name, const char *part)
{
	if (!part || !*part)
		return name;
	return *name ? arena_printf(f->a, "%s.%s", name, part) : part;
}

/* Bit fields are compared, and shown, by the bytes they lie in. */
static void members(struct flat *f, const char *name, const struct btf_type *t,
		    uint32_t off, int depth)
{
	const struct btf_member *m = btf_members(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const char *part = btf__name_by_offset(f->btf, m[i].name_off);
		uint32_t bit = btf_member_bit_offset(t, i);
		uint32_t bits = btf_member_bitfield_size(t, i);
		uint32_t from = off + bit / 8;

		part = join(f, name, part);
		if (bits)
			leaf(f, (struct field){ part, from,
						(bit % 8 + bits + 7) / 8,
						(bit % 8 + bits + 7) / 8, 0, 0,
						false });
		else
			flatten(f, part, m[i].type, from, depth);
	}
}

/* A map's value is the section: variables, their offsets in the value. */
static void variables(struct flat *f, const struct btf_type *t, int depth)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_type *var = btf__type_by_id(f->btf, v[i].type);

		if (var && btf_is_var(var))
			flatten(f, btf__name_by_offset(f->btf, var->name_off),
				var->type, v[i].offset, depth);
	}
}

static bool is_char(const struct btf *btf, uint32_t id)
{
	int real = btf__resolve_type(btf, id);
	const struct btf_type *t =
		real > 0 ? btf__type_by_id(btf, (uint32_t)real) : NULL;

	return t && btf_is_int(t) && t->size == 1 &&
	       !strcmp(btf__name_by_offset(btf, t->name_off), "char");
}

static bool is_composite(const struct btf *btf, uint32_t id)
{
	int real = btf__resolve_type(btf, id);
	const struct btf_type *t =
		real > 0 ? btf__type_by_id(btf, (uint32_t)real) : NULL;

	return t && (btf_is_composite(t) || btf_is_array(t));
}

static void elements(struct flat *f, const char *name, uint32_t id,
		     uint32_t off, int depth)
{
	const struct btf_array *arr = btf_array(btf__type_by_id(f->btf, id));
	int64_t size = btf__resolve_size(f->btf, arr->type);
	uint64_t all = size > 0 ? (uint64_t)size * arr->nelems : 0;
	uint32_t outer = f->group;

	if (all > f->size)
		all = f->size;
	if (size == 1) /* text and byte strings stay whole */
		leaf(f, (struct field){ name, off, (uint32_t)all, (uint32_t)all,
					id, 0, is_char(f->btf, arr->type) });
	else if (!is_composite(f->btf, arr->type) ||
		 f->n + arr->nelems > FIELDS_MAX)
		leaf(f, (struct field){ name, off, (uint32_t)all,
					(uint32_t)size, arr->type, 0, false });
	else {
		if (!outer)
			f->group = ++f->last_group;
		for (uint32_t i = 0; i < arr->nelems; i++)
			flatten(f, arena_printf(f->a, "%s[%u]", name, i),
				arr->type, off + i * (uint32_t)size, depth);
		f->group = outer;
	}
}

static void flatten(struct flat *f, const char *name, uint32_t id, uint32_t off,
		    int depth)
{
	int real = btf__resolve_type(f->btf, id);
	const struct btf_type *t =
		real > 0 ? btf__type_by_id(f->btf, (uint32_t)real) : NULL;
	int64_t size = real > 0 ? btf__resolve_size(f->btf, (uint32_t)real) : 0;

	if (!t || f->n >= 2 * FIELDS_MAX)
		return;
	if (depth > DEPTH_MAX)
		leaf(f, (struct field){ name, off, (uint32_t)size,
					(uint32_t)size, 0, 0, false });
	else if (btf_is_composite(t))
		members(f, name, t, off, depth + 1);
	else if (btf_is_array(t))
		elements(f, name, (uint32_t)real, off, depth + 1);
	else if (btf_is_datasec(t))
		variables(f, t, depth + 1);
	else if (size > 0)
		leaf(f, (struct field){ name, off, (uint32_t)size,
					(uint32_t)size, id, 0, false });
}

/* perf's records are padded by up to seven bytes (diff/welded.c). */
static uint32_t record_type(const struct bpf_map_def *d, const struct btf *btf,
			    const char *name, uint32_t len)
{
	uint32_t least =
		d->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY ? len - 7 : len;
	uint32_t type = 0;

	if (name) {
		type = typed_struct(btf, name, 0);
		least = type ? btf__type_by_id(btf, type)->size : 0;
		return type && least <= len && len - least < 8 ? type : 0;
	}
	for (; !type && len && len >= least; len--)
		type = typed_struct(btf, NULL, len);
	return type;
}

struct field *ring_fields(struct arena *a, const struct bpf_map_def *d,
			  const struct btf *btf, const char *name, uint32_t len,
			  size_t *n)
{
	struct flat f = { .a = a, .btf = btf, .size = RING_VALUE };
	uint32_t type = len <= RING_BYTES ? record_type(d, btf, name, len) : 0;

	leaf(&f, (struct field){ "len", 0, 4, 4, 0, 0, false });
	if (type)
		flatten(&f, "", type, 4, 0);
	for (uint32_t at = 0; !type && at < RING_BYTES; at += 4)
		leaf(&f, (struct field){ arena_printf(a, "data+%u", at), 4 + at,
					 4, 4, 0, 0, false });
	*n = f.n;
	return f.field;
}

void ring_record_add(struct arena *a, struct snap_map *m, const void *data,
		     size_t len)
{
	uint32_t number = (uint32_t)m->nelem, n = (uint32_t)len;
	uint8_t *to;

	m->key_size = RING_KEY;
	m->value_size = RING_VALUE;
	m->elem = arena_push(a, m->elem, m->nelem, RING_KEY + RING_VALUE);
	to = m->elem + m->nelem++ * (RING_KEY + RING_VALUE);
	memset(to, 0, RING_KEY + RING_VALUE);
	memcpy(to, &number, sizeof(number));
	memcpy(to + RING_KEY, &n, sizeof(n));
	memcpy(to + RING_KEY + 4, data, len < RING_BYTES ? len : RING_BYTES);
}

struct field *fields_of(struct arena *a, const struct btf *btf, uint32_t type,
			uint32_t size, size_t *n)
{
	struct flat f = { .a = a, .btf = btf, .size = size };

	if (btf && type)
		flatten(&f, "", type, 0, 0);
	if (!f.n || f.n >= 2 * FIELDS_MAX) { /* no type: one field */
		f.n = 0;
		leaf(&f, (struct field){ "", 0, size, size, 0, 0, false });
	}
	*n = f.n;
	return f.field;
}

static uint64_t number(const uint8_t *p, uint32_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

static void fold(const struct field *f, const uint8_t *from, uint8_t *to)
{
	for (uint32_t at = f->off; at < f->off + f->size; at += f->step) {
		uint64_t v;

		if (f->type && (f->step == 1 || f->step == 2 || f->step == 4 ||
				f->step == 8)) {
			v = number(to + at, f->step) +
			    number(from + at, f->step);
			memcpy(to + at, &v, f->step);
			continue;
		}
		for (uint32_t i = 0; i < f->step; i++)
			if (from[at + i]) {
				memcpy(to + at, from + at, f->step);
				break;
			}
	}
}

void percpu_fold(struct arena *a, const struct weld *w,
		 const struct bpf_map_def *d, const uint8_t *all, size_t n,
		 size_t stride, uint8_t *out)
{
	size_t nfield;
	struct field *f = fields_of(a, w->set.object[d->object].btf,
				    d->btf_value, d->value_size, &nfield);

	memset(out, 0, d->value_size);
	for (size_t c = 0; c < n; c++)
		for (size_t i = 0; i < nfield; i++)
			fold(&f[i], all + c * stride, out);
}
