/* SPDX-License-Identifier: MIT */
/* typed.c - print values by their BTF type. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "runtime-stub/reader/typed_int.h"

enum {
	DEPTH = JSON_DEPTH / 2, /* of nested types */
	OUTERMOST = DEPTH - 4,  /* a data section is three levels of JSON */
	CHAIN = 32,             /* of typedef, const, volatile, ... */
};

struct btf *typed_open(struct bytes raw)
{
	libbpf_print_fn_t print;
	struct btf *btf;

	if (raw.n == 0 || raw.n > UINT32_MAX)
		return NULL;
	print = libbpf_set_print(NULL); /* no BTF is no news */
	btf = btf__new(raw.p, (uint32_t)raw.n);
	libbpf_set_print(print);
	return libbpf_get_error(btf) ? NULL : btf;
}

void typed_close(struct btf *btf)
{
	btf__free(btf);
}

const struct btf_type *type_strip(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf ? btf__type_by_id(btf, id) : NULL;

	for (int i = 0; t && i < CHAIN; i++) {
		if (!btf_is_mod(t) && !btf_is_typedef(t) && !btf_is_var(t) &&
		    !btf_is_type_tag(t))
			return btf_kind(t) ? t : NULL; /* 0: void */
		t = btf__type_by_id(btf, t->type);
	}
	return NULL;
}

static const char *name_at(const struct btf *btf, uint32_t off)
{
	const char *s = btf__name_by_offset(btf, off);

	return s ? s : "";
}

/* Bytes of a type; 0 when it has none or is broken.  `depth` bounds arrays of
 * arrays that contain themselves. */
uint64_t type_size(const struct btf *btf, uint32_t id, int depth)
{
	const struct btf_type *t = type_strip(btf, id);
	uint64_t elem;

	if (!t || depth == 0)
		return 0;
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_FLOAT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
		return t->size;
	case BTF_KIND_PTR:
		return 8;
	case BTF_KIND_ARRAY:
		elem = type_size(btf, btf_array(t)->type, depth - 1);
		return elem > UINT32_MAX ? 0 : elem * btf_array(t)->nelems;
	}
	return 0;
}

bool type_is_text(const struct btf *btf, const struct btf_type *t)
{
	const struct btf_type *elem;

	if (!btf_is_array(t))
		return false;
	elem = type_strip(btf, btf_array(t)->type);
	return elem && btf_is_int(elem) && elem->size == 1 &&
	       ((btf_int_encoding(elem) & BTF_INT_CHAR) ||
		strcmp(name_at(btf, elem->name_off), "char") == 0);
}

uint64_t bits_at(const uint8_t *p, size_t off, size_t n, bool sign)
{
	bool whole = off % 8 == 0 && n % 8 == 0;
	uint64_t v = 0;

	if (whole)
		memcpy(&v, p + off / 8, n / 8);
	for (size_t i = 0; !whole && i < n; i++)
		v |= (uint64_t)(p[(off + i) / 8] >> (off + i) % 8 & 1) << i;
	if (sign && n && n < 64 && v >> (n - 1))
		v |= ~UINT64_C(0) << n;
	return v;
}

/* --- One function a kind.  All hold to `value`: what is shorter than its type
 * is null. */
struct show {
	struct json *j;
	const struct btf *btf;
	const struct typed_names *names;
	uint64_t left; /* types still shown: a hostile BTF may nest unions
			  such that the output doubles with every level */
};

static void show(struct show *s, uint32_t id, struct bytes v, int depth);

static void show_number(struct show *s, uint64_t v, bool sign)
{
	if (sign)
		json_s64(s->j, (int64_t)v);
	else
		json_u64(s->j, v);
}

static void show_wide(struct show *s, struct bytes v)
{
	char text[2 + 2 * 16 + 1] = "0x";

	if (v.n > 16) {
		json_null(s->j);
		return;
	}
	for (size_t i = 0; i < v.n; i++)
		sprintf(text + 2 + 2 * i, "%02x", v.p[v.n - 1 - i]);
	json_string(s->j, text);
}

static void show_int(struct show *s, const struct btf_type *t, struct bytes v)
{
	uint8_t encoding = btf_int_encoding(t);

	if (t->size > 8)
		show_wide(s, v);
	else if (encoding & BTF_INT_BOOL)
		json_bool(s->j, bits_at(v.p, 0, 8 * v.n, false) != 0);
	else
		show_number(s,
			    bits_at(v.p, 0, 8 * v.n, encoding & BTF_INT_SIGNED),
			    encoding & BTF_INT_SIGNED);
}

static void show_float(struct show *s, const struct btf_type *t, struct bytes v)
{
	double d;
	float f;

	if (t->size == sizeof(f)) {
		memcpy(&f, v.p, sizeof(f));
		json_double(s->j, f);
	} else if (t->size == sizeof(d)) {
		memcpy(&d, v.p, sizeof(d));
		json_double(s->j, d);
	} else {
		show_wide(s, v);
	}
}

const char *enum_name(const struct btf *btf, const struct btf_type *t,
		      uint64_t v, size_t bits)
{
	uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;

	for (int i = 0; i < btf_vlen(t); i++) {
		if (btf_is_enum64(t)) {
			const struct btf_enum64 *e = &btf_enum64(t)[i];

			if (((btf_enum64_value(e) ^ v) & mask) == 0)
				return name_at(btf, e->name_off);
		} else {
			const struct btf_enum *e = &btf_enum(t)[i];

			if ((((uint64_t)(int64_t)e->val ^ v) & mask) == 0)
				return name_at(btf, e->name_off);
		}
	}
	return NULL;
}

/* Also of a bit field: `off` and `bits` in the bytes of v. */
static void show_bits(struct show *s, const struct btf_type *t, struct bytes v,
		      size_t off, size_t bits)
{
	bool is_enum = btf_is_enum(t) || btf_is_enum64(t);
	bool sign =
		is_enum ? btf_kflag(t) : btf_int_encoding(t) & BTF_INT_SIGNED;
	uint64_t n;
	const char *name;

	if (bits > 64 || (off + bits + 7) / 8 > v.n) {
		json_null(s->j);
		return;
	}
	n = bits_at(v.p, off, bits, sign);
	name = is_enum ? enum_name(s->btf, t, n, bits) : NULL;
	if (name)
		json_string(s->j, name);
	else if (!is_enum && (btf_int_encoding(t) & BTF_INT_BOOL))
		json_bool(s->j, n);
	else
		show_number(s, n, sign);
}

static void show_array(struct show *s, const struct btf_type *t, struct bytes v,
		       int depth)
{
	const struct btf_array *a = btf_array(t);
	uint64_t size = type_size(s->btf, a->type, DEPTH);
	const uint8_t *end;

	if (type_is_text(s->btf, t)) {
		end = memchr(v.p, 0, v.n);
		v.n = end ? (size_t)(end - v.p) : v.n;
		json_text(s->j, v);
		return;
	}
	json_array(s->j);
	for (uint64_t i = 0; size && i < v.n / size; i++)
		show(s, a->type, (struct bytes){ v.p + i * size, size }, depth);
	json_end(s->j);
}

/* Is it a call chain, as bpf_get_stack() writes it? */
static bool is_chain(const struct show *s, const struct btf_type *t,
		     const char *name)
{
	const struct btf_type *elem;

	if (!s->names || !t || !btf_is_array(t) || !strcasestr(name, "stack"))
		return false;
	elem = type_strip(s->btf, btf_array(t)->type);
	return elem && btf_is_int(elem) && elem->size == 8;
}

static void show_chain(struct show *s, struct bytes v)
{
	uint64_t addr;

	json_array(s->j);
	for (size_t i = 0; i < v.n / 8; i++) {
		addr = bits_at(v.p + 8 * i, 0, 64, false);
		if (!addr)
			break;
		s->names->name(s->names->arg, s->j, addr, i > 0);
	}
	json_end(s->j);
}

/* The number of a call chain, as bpf_get_stackid() gives it? */
static bool is_chain_id(const struct show *s, const struct btf_type *t,
			const char *name)
{
	return s->names && s->names->chain && t && btf_is_int(t) &&
	       (t->size == 4 || t->size == 8) && strcasestr(name, "stack") &&
	       strcasestr(name, "id");
}

static void show_chain_of(struct show *s, const char *name, struct bytes id)
{
	char key[128];

	snprintf(key, sizeof(key), "%s.chain", name);
	json_key(s->j, key);
	s->names->chain(s->names->arg, s->j, bits_at(id.p, 0, 8 * id.n, true));
}

static void show_members(struct show *s, const struct btf_type *t,
			 struct bytes v, int depth);

static void show_member(struct show *s, const struct btf_type *t, uint32_t i,
			struct bytes v, int depth)
{
	const struct btf_member *m = &btf_members(t)[i];
	uint32_t off = btf_member_bit_offset(t, i);
	uint32_t bits = btf_member_bitfield_size(t, i);
	const struct btf_type *mt = type_strip(s->btf, m->type);
	uint64_t size = type_size(s->btf, m->type, DEPTH);
	const char *name = name_at(s->btf, m->name_off);
	struct bytes part = { bytes_at(v, off / 8, size), size };

	if (!*name && mt && btf_is_composite(mt) && part.p && depth > 0) {
		show_members(s, mt, part, depth - 1);
		return;
	}
	if (!*name) /* padding */
		return;
	json_key(s->j, name);
	if (bits && mt &&
	    (btf_is_int(mt) || btf_is_enum(mt) || btf_is_enum64(mt)))
		show_bits(s, mt, v, off, bits);
	else if (bits || off % 8 || !part.p)
		json_null(s->j);
	else if (is_chain(s, mt, name))
		show_chain(s, part);
	else
		show(s, m->type, part, depth);
	if (!bits && off % 8 == 0 && part.p && is_chain_id(s, mt, name))
		show_chain_of(s, name, part);
}

static void show_members(struct show *s, const struct btf_type *t,
			 struct bytes v, int depth)
{
	for (uint32_t i = 0; i < btf_vlen(t) && s->left; i++) {
		s->left--;
		show_member(s, t, i, v, depth);
	}
}

static void show_section(struct show *s, const struct btf_type *t,
			 struct bytes v, int depth)
{
	const struct btf_var_secinfo *var = btf_var_secinfos(t);

	json_object(s->j);
	json_key(s->j, name_at(s->btf, t->name_off));
	json_array(s->j);
	for (int i = 0; i < btf_vlen(t); i++, var++) {
		const struct btf_type *vt = btf__type_by_id(s->btf, var->type);
		struct bytes part = { bytes_at(v, var->offset, var->size),
				      var->size };

		if (!vt)
			continue;
		json_object(s->j);
		json_key(s->j, name_at(s->btf, vt->name_off));
		if (part.p)
			show(s, var->type, part, depth);
		else
			json_null(s->j);
		json_end(s->j);
	}
	json_end(s->j);
	json_end(s->j);
}

static void show_kind(struct show *s, const struct btf_type *t, struct bytes v,
		      int depth)
{
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		show_int(s, t, v);
		break;
	case BTF_KIND_FLOAT:
		show_float(s, t, v);
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		show_bits(s, t, v, 0, 8 * v.n);
		break;
	case BTF_KIND_PTR:
		json_hex(s->j, bits_at(v.p, 0, 64, false));
		break;
	case BTF_KIND_ARRAY:
		show_array(s, t, v, depth);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		json_object(s->j);
		show_members(s, t, v, depth);
		json_end(s->j);
		break;
	case BTF_KIND_DATASEC: /* one in a type only a hostile BTF has */
		if (depth == OUTERMOST - 1)
			show_section(s, t, v, depth);
		else
			json_null(s->j);
		break;
	default:
		json_null(s->j);
	}
}

static void show(struct show *s, uint32_t id, struct bytes v, int depth)
{
	const struct btf_type *t = type_strip(s->btf, id);
	uint64_t size;

	if (!t || depth == 0 || s->left == 0) {
		json_null(s->j);
		return;
	}
	s->left--;
	size = type_size(s->btf, id, DEPTH);
	if (size > v.n) {
		json_null(s->j);
		return;
	}
	v.n = size;
	show_kind(s, t, v, depth - 1);
}

void typed_json_named(struct json *j, const struct btf *btf, uint32_t type,
		      struct bytes value, const struct typed_names *names)
{
	struct show s = { j, btf, names, (1 << 16) + 64 * value.n };

	if (btf && type)
		show(&s, type, value, OUTERMOST);
	else
		json_null(j);
}

void typed_json(struct json *j, const struct btf *btf, uint32_t type,
		struct bytes value)
{
	typed_json_named(j, btf, type, value, NULL);
}
