/* SPDX-License-Identifier: MIT */
/* typed_field.c - find a part of a value by what its C program calls it. */
#include <bpf/btf.h>
#include <stdlib.h>

#include "runtime-stub/reader/typed_int.h"

enum {
	DEPTH = 16, /* of unnamed structs in each other */
	STEPS = 1 << 20,
};

uint64_t typed_size(const struct btf *btf, uint32_t type)
{
	return type_size(btf, type, DEPTH);
}

struct name {
	const char *s;
	size_t n;
};

static bool is_name(const struct btf *btf, uint32_t off, struct name name)
{
	const char *s = btf__name_by_offset(btf, off);

	return s && strlen(s) == name.n && memcmp(s, name.s, name.n) == 0;
}

static bool variable_find(const struct btf *btf, const struct btf_type *t,
			  struct name name, struct typed_field *f)
{
	const struct btf_var_secinfo *var = btf_var_secinfos(t);

	for (int i = 0; i < btf_vlen(t); i++, var++) {
		const struct btf_type *vt = btf__type_by_id(btf, var->type);

		if (!vt || !is_name(btf, vt->name_off, name))
			continue;
		f->type = var->type;
		f->bit += UINT64_C(8) * var->offset;
		return true;
	}
	return false;
}

static bool member_find(const struct btf *btf, const struct btf_type *t,
			struct name name, struct typed_field *f, int depth)
{
	uint64_t start = f->bit;

	for (uint32_t i = 0; i < btf_vlen(t) && f->steps++ < STEPS; i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const struct btf_type *mt = type_strip(btf, m->type);

		f->bit = start + btf_member_bit_offset(t, i);
		f->bits = btf_member_bitfield_size(t, i);
		f->type = m->type;
		if (is_name(btf, m->name_off, name))
			return true;
		if (is_name(btf, m->name_off, (struct name){ "", 0 }) && mt &&
		    btf_is_composite(mt) && depth > 0 &&
		    member_find(btf, mt, name, f, depth - 1))
			return true;
	}
	f->bit = start;
	return false;
}

/* One step: a name. */
static bool step_name(const struct btf *btf, struct name name,
		      struct typed_field *f)
{
	const struct btf_type *t = type_strip(btf, f->type);

	if (!t || !name.n || f->bits)
		return false;
	if (btf_kind(t) == BTF_KIND_DATASEC)
		return variable_find(btf, t, name, f);
	return btf_is_composite(t) && member_find(btf, t, name, f, DEPTH);
}

/* One step: an index, of which *path is behind the bracket. */
static bool step_index(const struct btf *btf, const char **path,
		       struct typed_field *f)
{
	const struct btf_type *t = type_strip(btf, f->type);
	char *end;
	unsigned long long i = strtoull(*path, &end, 10);

	if (!t || !btf_is_array(t) || **path < '0' || **path > '9' ||
	    *end != ']' || i >= btf_array(t)->nelems)
		return false;
	*path = end + 1;
	f->type = btf_array(t)->type;
	f->bit += 8 * i * typed_size(btf, f->type);
	return true;
}

bool typed_field(const struct btf *btf, uint32_t type, size_t size,
		 const char *path, struct typed_field *out)
{
	const char *p = path;

	*out = (struct typed_field){ .type = type };
	if (!btf || !type || !*p)
		return false;
	while (*p) {
		if (*p == '[') {
			p++;
			if (!step_index(btf, &p, out))
				return false;
			continue;
		}
		p += *p == '.' && p != path;
		if (!step_name(btf, (struct name){ p, strcspn(p, ".[") }, out))
			return false;
		p += strcspn(p, ".[");
	}
	if (!out->bits)
		out->bits = 8 * typed_size(btf, out->type);
	return out->bits && out->bit <= UINT64_C(8) * size &&
	       out->bits <= UINT64_C(8) * size - out->bit;
}

/* Is it "[N]"? */
static bool is_index(const char *step)
{
	size_t n = strspn(step + 1, "0123456789");

	return n && !strcmp(step + 1 + n, "]");
}

/* Why a step leads nowhere from a part of type t, which is called `from`. */
static const char *no_step(struct arena *a, const struct btf_type *t,
			   const char *step, const char *from)
{
	if (!t)
		return arena_printf(a, "the type of %s is not known", from);
	if (*step == '[' && !btf_is_array(t))
		return arena_printf(a, "%s is no array", from);
	if (*step == '[' && !is_index(step))
		return arena_printf(a, "%s is no index of %s", step, from);
	if (*step == '[')
		return arena_printf(a, "%s has %u element%s", from,
				    btf_array(t)->nelems,
				    btf_array(t)->nelems == 1 ? "" : "s");
	step += *step == '.';
	if (btf_kind(t) == BTF_KIND_DATASEC)
		return arena_printf(a, "there is no variable %s in %s", step,
				    from);
	if (!btf_is_composite(t))
		return arena_printf(a, "%s is no struct", from);
	return arena_printf(a, "there is no member %s in %s", step, from);
}

const char *typed_no_field(struct arena *a, const struct btf *btf,
			   uint32_t type, size_t size, const char *path,
			   const char *whole)
{
	struct typed_field f = { .type = type }, next;
	size_t at = 0, step;

	/* As far as it leads. */
	for (;; at += step, f = next) {
		step = path[at] ? 1 + strcspn(path + at + 1, ".[") : 0;
		if (!step)
			return arena_printf(a, "%s has no bytes", path);
		if (!typed_field(btf, type, size,
				 arena_printf(a, "%.*s", (int)(at + step),
					      path),
				 &next))
			break;
	}
	return no_step(a, type_strip(btf, f.type),
		       arena_printf(a, "%.*s", (int)step, path + at),
		       at ? arena_printf(a, "%.*s", (int)at, path) : whole);
}

bool typed_is_number(const struct btf *btf, const struct typed_field *f,
		     int *is_signed)
{
	const struct btf_type *t = type_strip(btf, f->type);

	*is_signed = 0;
	if (!t || f->bits > 64)
		return false;
	if (btf_is_int(t))
		*is_signed = (btf_int_encoding(t) & BTF_INT_SIGNED) != 0;
	else if (btf_is_enum(t) || btf_is_enum64(t))
		*is_signed = btf_kflag(t);
	else
		return btf_is_ptr(t);
	return true;
}

size_t typed_structs(const struct btf *btf, const char *name, uint32_t size,
		     uint32_t *type)
{
	size_t found = 0;

	for (uint32_t i = 1; btf && i < btf__type_cnt(btf); i++) {
		const struct btf_type *t = btf__type_by_id(btf, i);
		const char *is;

		if (!t || !btf_is_struct(t))
			continue;
		is = btf__name_by_offset(btf, t->name_off);
		if (!is ||
		    (name ? strcmp(is, name) != 0 : t->size != size || !*is))
			continue;
		if (!found++)
			*type = i;
	}
	return found;
}

uint32_t typed_struct(const struct btf *btf, const char *name, uint32_t size)
{
	uint32_t type;

	return typed_structs(btf, name, size, &type) == 1 ? type : 0;
}

int typed_set(struct arena *a, const struct btf *btf,
	      const struct typed_field *f, const char *word, uint8_t *value,
	      struct err *e)
{
	size_t size = f->bits / 8;
	char *words[] = { (char *)word };
	const uint8_t *p;

	if (f->bit % 8 || f->bits % 8)
		return misuse(e, "a bit field cannot be set alone");
	if (typed_parse(a, btf, f->type, size, words, 1, &p, e))
		return -1;
	memcpy(value + f->bit / 8, p, size);
	return 0;
}
