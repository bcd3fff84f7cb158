/* SPDX-License-Identifier: MIT */
/* typed_decl.c - a struct that a person writes, for records of which the object
 * has no type: compilers put into BTF what maps and functions have, not what a
 * program only has on its stack.
 *
 *     u32 pid; char str[80]        members as in C, at C's offsets
 *
 * A type is one of the row below, or any that the object has by that name
 * ("struct" may stand in front).
 */
#include <bpf/btf.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime-stub/reader/typed.h"

// clang-format off
static const struct plain {
	const char *name, *c; /* as the kernel and as C call it */
	int size, encoding;
} plains[] = {
	{ "u8",   "unsigned char",  1, 0 },
	{ "u16",  "unsigned short", 2, 0 },
	{ "u32",  "unsigned int",   4, 0 },
	{ "u64",  "unsigned long",  8, 0 },
	{ "s8",   "signed char",    1, BTF_INT_SIGNED },
	{ "s16",  "short",          2, BTF_INT_SIGNED },
	{ "s32",  "int",            4, BTF_INT_SIGNED },
	{ "s64",  "long",           8, BTF_INT_SIGNED },
	{ "char", "char",           1, BTF_INT_SIGNED },
	{ "bool", "_Bool",          1, BTF_INT_BOOL },
};
// clang-format on

static int plain_add(struct btf *btf, const char *type)
{
	const char *bare = strncmp(type, "__", 2) ? type : type + 2;

	for (size_t i = 0; i < sizeof(plains) / sizeof(*plains); i++)
		if (!strcmp(bare, plains[i].name) || !strcmp(type, plains[i].c))
			return btf__add_int(btf, plains[i].name, plains[i].size,
					    plains[i].encoding);
	return 0;
}

static int type_find(struct btf *btf, const char *type)
{
	int id = plain_add(btf, type);

	if (id)
		return id;
	if (!strncmp(type, "struct ", 7))
		type += 7;
	for (uint32_t i = 1; i < btf__type_cnt(btf); i++) {
		const struct btf_type *t = btf__type_by_id(btf, i);

		if ((btf_is_struct(t) || btf_is_union(t) || btf_is_typedef(t) ||
		     btf_is_int(t) || btf_is_any_enum(t)) &&
		    !strcmp(btf__name_by_offset(btf, t->name_off), type))
			return (int)i;
	}
	return 0;
}

struct member {
	char *type, *name;
	int id;
	uint32_t count; /* 0: no array */
	uint64_t at;    /* offset */
};

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\n");
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = 0;
	return s;
}

/* Cut "TYPE NAME[N]" into its parts. */
static bool member_cut(char *s, struct member *m)
{
	char *bracket = strchr(s, '['), *end;
	size_t n;

	m->count = 0;
	if (bracket) {
		errno = 0;
		m->count = (uint32_t)strtoul(bracket + 1, &end, 0);
		if (errno || !m->count || m->count > 1 << 20 || *end != ']' ||
		    end[1])
			return false;
		*bracket = 0;
	}
	s = trim(s);
	for (n = strlen(s);
	     n && (isalnum((unsigned char)s[n - 1]) || s[n - 1] == '_');)
		n--;
	if (!n || !s[n] || !isspace((unsigned char)s[n - 1]))
		return false;
	m->name = s + n;
	s[n - 1] = 0;
	m->type = trim(s);
	return true;
}

/* Types first: a struct's members follow it without a gap. */
static int member_type(struct btf *btf, struct member *m, struct err *e)
{
	int index;

	m->id = type_find(btf, m->type);
	if (m->id <= 0)
		return misuse(e, "--type: no type '%s'", m->type);
	if (!m->count)
		return 0;
	index = btf__add_int(btf, "u32", 4, 0);
	m->id = btf__add_array(btf, index, m->id, (int)m->count);
	return m->id > 0 ? 0 : misuse(e, "--type: no array of '%s'", m->type);
}

static int struct_add(struct btf *btf, const char *name, struct member *m,
		      size_t n, struct err *e)
{
	uint64_t at = 0, align, most = 1;
	int id;

	for (size_t i = 0; i < n; i++) {
		align = (uint64_t)btf__align_of(btf, (uint32_t)m[i].id);
		most = align > most ? align : most;
		m[i].at = align_up(at, align);
		at = m[i].at +
		     (uint64_t)btf__resolve_size(btf, (uint32_t)m[i].id);
	}
	id = btf__add_struct(btf, name, (uint32_t)align_up(at, most));
	for (size_t i = 0; id > 0 && i < n; i++)
		if (btf__add_field(btf, m[i].name, m[i].id,
				   8 * (uint32_t)m[i].at, 0))
			id = -1;
	return id > 0 ? 0 : misuse(e, "--type: cannot be a struct");
}

static int declare(struct arena *a, struct btf *btf, const char *name,
		   const char *text, struct err *e)
{
	char *copy = arena_strdup(a, text), *rest = copy, *part;
	struct member *m = NULL;
	size_t n = 0;

	while ((part = strsep(&rest, ";"))) {
		part = trim(part);
		if (!*part)
			continue;
		m = arena_push(a, m, n, sizeof(*m));
		if (!member_cut(part, &m[n]))
			return misuse(e,
				      "--type '%s': not 'TYPE NAME; TYPE "
				      "NAME[N]; ...'",
				      text);
		if (member_type(btf, &m[n], e))
			return -1;
		if (btf__align_of(btf, m[n].id) <= 0 ||
		    btf__resolve_size(btf, m[n].id) <= 0)
			return misuse(e, "--type: '%s' has no size", m[n].type);
		n++;
	}
	return n ? struct_add(btf, name, m, n, e)
		 : misuse(e, "--type '%s': has no member", text);
}

int typed_named(struct arena *a, struct btf *btf, const char *text,
		const char **name, struct err *e)
{
	static const char nobody[] = "(record)"; /* no struct is called so */

	*name = strncmp(text, "struct ", 7) ? text : text + 7;
	if (!**name)
		return misuse(e, "--type is empty");
	if (!strpbrk(*name, " ;["))
		return 0;
	*name = nobody;
	return btf && !typed_struct(btf, nobody, 0)
		       ? declare(a, btf, nobody, text, e)
		       : 0;
}
