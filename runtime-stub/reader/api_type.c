/* SPDX-License-Identifier: MIT */
/* api_type.c - <bpfweld/reader.h>: values by their types. */
#include <stdlib.h>

#include "runtime-stub/reader/api.h"
#include "runtime-stub/reader/typed_int.h"

static const struct bpfweld_type *known(const struct bpfweld_map *map,
					const struct bpfweld_type *type)
{
	if (type->btf && type->id)
		return type;
	api_fail(ENODATA, "the types of map %s are not known",
		 api_about(map)->name);
	return NULL;
}

const struct bpfweld_type *bpfweld_map_key_type(const struct bpfweld_map *map)
{
	if (map)
		return known(map, &map->key);
	api_fail(EINVAL, "no map");
	return NULL;
}

const struct bpfweld_type *bpfweld_map_value_type(const struct bpfweld_map *map)
{
	if (map)
		return known(map, &map->value);
	api_fail(EINVAL, "no map");
	return NULL;
}

/* The handle of a type, which is made once. */
static const struct bpfweld_type *intern(struct bpfweld *w,
					 const struct btf *btf, uint32_t id)
{
	struct bpfweld_type *t;

	pthread_mutex_lock(&w->lock);
	for (t = w->types; t && (t->btf != btf || t->id != id); t = t->next)
		continue;
	if (!t && (t = malloc(sizeof(*t)))) {
		*t = (struct bpfweld_type){ btf, id, w->types };
		w->types = t;
	}
	pthread_mutex_unlock(&w->lock);
	if (!t)
		api_fail(ENOMEM, "out of memory");
	return t;
}

const struct bpfweld_type *bpfweld_map_struct(const struct bpfweld_map *map,
					      const char *name, size_t size)
{
	const struct btf *btf;
	size_t found;
	uint32_t id;

	if (!map || (!name && size > UINT32_MAX)) {
		api_fail(EINVAL, "no map, or too large a size");
		return NULL;
	}
	btf = map->w->btf[api_about(map)->object];
	found = typed_structs(btf, name, (uint32_t)size, &id);
	if (found == 1)
		return intern(map->w, btf, id);
	if (name)
		api_fail(found ? ENOTUNIQ : ENOENT, "%s struct %s",
			 found ? "more than one" : "no", name);
	else
		api_fail(found ? ENOTUNIQ : ENOENT, "%s struct of %zu bytes",
			 found ? "more than one" : "no", size);
	return NULL;
}

size_t bpfweld_type_size(const struct bpfweld_type *type)
{
	return type ? typed_size(type->btf, type->id) : 0;
}

int bpfweld_type_field(const struct bpfweld_type *type, const char *path,
		       struct bpfweld_field *field, size_t field_size)
{
	struct bpfweld_field is = { 0 };
	struct typed_field f;

	if (!type || !path)
		return api_fail(EINVAL, "no type, or no path");
	if (!typed_field(type->btf, type->id, bpfweld_type_size(type), path,
			 &f) ||
	    f.bit / 8 > UINT32_MAX || f.bits / 8 > UINT32_MAX)
		return api_fail(ENOENT, "there is no %s", path);
	is.offset = (uint32_t)(f.bit / 8);
	is.size = (uint32_t)((f.bit % 8 + f.bits + 7) / 8);
	if (f.bit % 8 || f.bits % 8) {
		is.bit_offset = f.bit % 8;
		is.bit_size = (uint32_t)f.bits;
	}
	is.is_number = typed_is_number(type->btf, &f, &is.is_signed);
	return api_fill(field, field_size, &is, sizeof(is));
}

int bpfweld_field_get(const struct bpfweld_field *field, const void *value,
		      size_t size, uint64_t *out)
{
	uint32_t bits;

	if (!field || !value || !out)
		return api_fail(EINVAL, "no field, or no value");
	bits = field->bit_size ? field->bit_size : 8 * field->size;
	if (!field->is_number || field->size > 8 + 1 || bits > 64 ||
	    field->bit_offset > 7 ||
	    (field->bit_offset + bits + 7) / 8 > field->size)
		return api_fail(EINVAL, "the field is no number");
	if (field->offset > size || field->size > size - field->offset)
		return api_fail(EINVAL, "the value is too short");
	*out = bits_at((const uint8_t *)value + field->offset,
		       field->bit_offset, bits, field->is_signed);
	return 0;
}

int bpfweld_type_get(const struct bpfweld_type *type, const char *path,
		     const void *value, size_t size, uint64_t *out)
{
	struct bpfweld_field field;
	int bad = bpfweld_type_field(type, path, &field, sizeof(field));

	return bad ? bad : bpfweld_field_get(&field, value, size, out);
}

int bpfweld_type_format(const struct bpfweld_type *type, const void *value,
			size_t size, char *text, size_t room)
{
	struct json j;
	char *all = NULL;
	size_t n = 0;
	FILE *to;
	bool bad;

	if (!type || (!value && size) || (!text && room))
		return api_fail(EINVAL, "no type, or no value");
	to = open_memstream(&all, &n);
	if (!to)
		return api_fail(ENOMEM, "out of memory");
	j = json_to(to, false);
	typed_json(&j, type->btf, type->id, (struct bytes){ value, size });
	bad = ferror(to);
	bad = fclose(to) || bad || n > INT32_MAX;
	if (!bad && room) {
		size_t fits = n < room ? n : room - 1;

		memcpy(text, all, fits);
		text[fits] = 0;
	}
	free(all);
	return bad ? api_fail(ENOMEM, "out of memory") : (int)n;
}

struct parsing {
	const struct bpfweld_type *type;
	const char *text;
	void *to;
	size_t size;
};

static int parse(struct arena *a, void *arg)
{
	struct parsing *p = arg;
	char *words[] = { arena_strdup(a, p->text) };
	const uint8_t *value;
	struct err e;

	if (typed_parse(a, p->type->btf, p->type->id, p->size, words, 1, &value,
			&e))
		return api_err(EINVAL, &e);
	memcpy(p->to, value, p->size);
	return 0;
}

int bpfweld_type_parse(const struct bpfweld_type *type, const char *text,
		       void *value, size_t size)
{
	struct parsing p = { type, text, value, size };

	if (!type || !text || !value)
		return api_fail(EINVAL, "no type, text or value");
	if (!size || size != bpfweld_type_size(type))
		return api_fail(EINVAL, "the type has %zu bytes, not %zu",
				bpfweld_type_size(type), size);
	return api_call(parse, &p);
}
