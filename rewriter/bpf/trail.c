/* SPDX-License-Identifier: MIT */
/* trail.c - the way of a CO-RE record through types of uapi.h. */
#include <stdio.h>
#include <string.h>

#include "rewriter/bpf/trail.h"

const struct btf_type *btf_plain(const struct btf *btf, uint32_t *id)
{
	const struct btf_type *t = btf__type_by_id(btf, *id);

	while (btf_is_mod(t) || btf_is_typedef(t)) {
		*id = t->type;
		t = btf__type_by_id(btf, *id);
	}
	return t;
}

size_t btf_essential(const char *name)
{
	const char *p = strstr(name, "___");

	return p && p != name ? (size_t)(p - name) : strlen(name);
}

const char *btf_type_name(struct arena *a, const struct btf *btf,
			  const struct btf_type *t)
{
	const char *name = btf__name_by_offset(btf, t->name_off);

	return arena_printf(a, "%.*s", (int)btf_essential(name), name);
}

/* A struct or union by its place: one with a name in the table has fields of
 * its own, another's are those of what it is in. */
static void enter(struct arena *a, const struct btf *btf, uint32_t id,
		  struct trail *t, const char *member)
{
	const struct btf_type *type = btf_plain(btf, &id);
	const struct uapi *in;
	size_t n = strlen(t->inside);

	while (btf_is_array(type)) {
		id = btf_array(type)->type;
		type = btf_plain(btf, &id);
	}
	if (!btf_is_composite(type))
		return;
	in = uapi_find(btf_type_name(a, btf, type));
	if (in) {
		*t = (struct trail){ .in = in, .base = t->at, .at = t->at };
		return;
	}
	snprintf(t->inside + n, sizeof(t->inside) - n, "%s.", member);
}

void trail_member(struct arena *a, const struct btf *btf,
		  const struct btf_type *of, uint32_t i, struct trail *t)
{
	const struct btf_member *m = btf_members(of) + i;
	const char *name = btf__name_by_offset(btf, m->name_off);
	uint32_t bits = btf_member_bitfield_size(of, i), id = m->type;
	int64_t size = btf__resolve_size(btf, id);
	const struct uapi_field *f;
	bool flexible;

	if (!*name || !t->in)
		return;
	f = uapi_field(t->in, arena_printf(a, "%s%.*s", t->inside,
					   (int)btf_essential(name), name));
	flexible = btf_is_array(btf_plain(btf, &id)) &&
		   (!size || (f && !f->size));
	if (!f || bits != f->bits || (!bits && !flexible && size != f->size)) {
		t->in = NULL;
		return;
	}
	t->at = t->base + f->bit;
	enter(a, btf, m->type, t, name);
}

void trail_element(struct trail *t, uint32_t i, int64_t size)
{
	uint64_t bits = size > 0 ? (uint64_t)i * size * 8 : 0;

	t->base += bits;
	t->at += bits;
}

bool trail_matches(struct arena *a, const struct btf *btf, uint32_t id,
		   const struct trail *in)
{
	const struct btf_type *t = btf_plain(btf, &id);

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		struct trail here = *in;
		uint32_t of = m->type;

		trail_member(a, btf, t, i, &here);
		if (!here.in ||
		    (!*btf__name_by_offset(btf, m->name_off) &&
		     btf_is_composite(btf_plain(btf, &of)) &&
		     !trail_matches(a, btf, of, in)))
			return false;
	}
	return true;
}

bool trail_word(const struct trail *t, uint32_t bits, uint64_t *at,
		uint32_t *size)
{
	uint64_t end = t->at + bits;

	for (; *size && *size <= 8; *size *= 2) {
		*at = t->at / 8 / *size * *size;
		if (end <= 8 * (*at + *size))
			return true;
	}
	return false;
}
