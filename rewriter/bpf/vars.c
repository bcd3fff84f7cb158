/* SPDX-License-Identifier: MIT */
/* vars.c - what the user and the weld decide about global variables.
 *
 * --set VAR=VALUE writes any variable of .rodata, .data and .bss by the name
 * that BTF knows; its type decides which values fit.  .kconfig externs get the
 * values below, the same for every weld: results must not depend on the
 * machine that ran the welder.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>

#include "rewriter/bpf/object.h"
#include "rewriter/names.h"

/* We behave as this kernel does. */
static const struct {
	const char *name;
	uint64_t value;
} kconfig[] = {
	{ "LINUX_KERNEL_VERSION", 6 << 16 | 12 << 8 },
	{ "LINUX_HAS_BPF_COOKIE", 1 },
	{ "LINUX_HAS_SYSCALL_WRAPPER", 1 },
};

struct var {
	const char *name;
	const struct btf_type *type; /* modifiers and typedefs removed */
	uint32_t offset, size;
};

static const struct btf_type *plain(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (btf_is_mod(t) || btf_is_typedef(t))
		t = btf__type_by_id(btf, t->type);
	return t;
}

static const struct btf_type *datasec(const struct object *o,
				      const struct bpf_map_def *m)
{
	return m->btf_value ? btf__type_by_id(o->btf, m->btf_value) : NULL;
}

/* Variable i of a map's DATASEC; false when it is not a usable one. */
static bool var_get(const struct object *o, const struct bpf_map_def *m,
		    uint32_t i, struct var *v)
{
	const struct btf_var_secinfo *s = btf_var_secinfos(datasec(o, m)) + i;
	const struct btf_type *t = btf__type_by_id(o->btf, s->type);

	if (!btf_is_var(t))
		return false;
	v->name = btf__name_by_offset(o->btf, t->name_off);
	v->type = plain(o->btf, t->type);
	v->offset = s->offset;
	v->size = s->size;
	return s->offset <= m->value_size &&
	       s->size <= m->value_size - s->offset;
}

/* libbpf gives offsets to global variables only.  Static ones are in BTF
 * too, at offset 0: take theirs from the symbol table. */
int vars_offsets(struct object *o, struct err *e)
{
	uint32_t i, k, n = btf__type_cnt(o->btf);

	for (i = 0; i < o->nsym; i++) {
		const struct obj_symbol *s = &o->sym[i];
		struct btf_type *sec;
		int id;

		if (s->type != STT_OBJECT || s->bind != STB_LOCAL || !s->sec ||
		    s->sec >= o->nsec || !data_section(o->sec[s->sec].name))
			continue;
		if (s->value > o->sec[s->sec].size)
			return fail(e, o->path, NOWHERE,
				    "variable '%s' is outside '%s'", s->name,
				    o->sec[s->sec].name);
		id = btf__find_by_name_kind(o->btf, o->sec[s->sec].name,
					    BTF_KIND_DATASEC);
		if (id <= 0 || (uint32_t)id >= n)
			continue;
		sec = (struct btf_type *)btf__type_by_id(o->btf, id);
		for (k = 0; k < btf_vlen(sec); k++) {
			struct btf_var_secinfo *v = btf_var_secinfos(sec) + k;
			const struct btf_type *t =
				btf__type_by_id(o->btf, v->type);

			if (!strcmp(btf__name_by_offset(o->btf, t->name_off),
				    s->name))
				v->offset = s->value;
		}
	}
	return 0;
}

static void put(const struct bpf_map_def *m, const struct var *v,
		const void *from, uint32_t size)
{
	uint8_t *to = (uint8_t *)m->initial.p + v->offset;

	memset(to, 0, v->size);
	memcpy(to, from, size < v->size ? size : v->size);
}

static bool is_weak(const struct object *o, const char *name)
{
	uint32_t i;

	for (i = 0; i < o->nsym; i++)
		if (o->sym[i].sec == SHN_UNDEF && !strcmp(o->sym[i].name, name))
			return o->sym[i].bind == STB_WEAK;
	return false;
}

static int kconfig_value(struct arena *a, const struct object *o,
			 struct bpf_set *set, const char *name,
			 uint64_t *value, struct err *e)
{
	size_t i;

	for (i = 0; i < sizeof(kconfig) / sizeof(*kconfig); i++)
		if (!strcmp(kconfig[i].name, name)) {
			*value = kconfig[i].value;
			return 0;
		}
	*value = 0;
	if (is_weak(o, name)) {
		bpf_note(a, set,
			 arena_printf(a, "%s: extern '%s' has no value in user "
				      "space: it is 0", o->path, name));
		return 0;
	}
	return refuse(e, o->path, NOWHERE,
		      "extern '%s' has no value in user space (declare it "
		      "__weak to get 0)",
		      name);
}

int vars_kconfig(struct arena *a, struct object *o, struct bpf_set *set,
		 struct err *e)
{
	const struct bpf_map_def *m;
	const struct btf_type *sec;
	uint64_t value;
	struct var v;
	uint32_t i;

	if (o->kconfig == NO_MAP)
		return 0;
	m = &set->map[o->kconfig];
	sec = datasec(o, m);
	for (i = 0; sec && i < btf_vlen(sec); i++) {
		if (!var_get(o, m, i, &v))
			return fail(e, o->path, NOWHERE,
				    "extern %u of .kconfig has no place", i);
		if (kconfig_value(a, o, set, v.name, &value, e))
			return -1;
		put(m, &v, &value, sizeof(value));
	}
	return 0;
}

bool vars_extern(const struct object *o, const struct bpf_set *set,
		 const char *name, uint32_t *off)
{
	const struct bpf_map_def *m;
	const struct btf_type *sec;
	struct var v;
	uint32_t i;

	if (o->kconfig == NO_MAP)
		return false;
	m = &set->map[o->kconfig];
	sec = datasec(o, m);
	for (i = 0; sec && i < btf_vlen(sec); i++)
		if (var_get(o, m, i, &v) && !strcmp(v.name, name)) {
			*off = v.offset;
			return true;
		}
	return false;
}

/* --- --set ------------------------------------------------------------- */

static int no_fit(struct err *e, const struct var *v, const char *value,
		  const char *what)
{
	return misuse(e, "--set %s=%s: %s", v->name, value, what);
}

static bool fits(uint64_t u, bool negative, bool is_signed, uint32_t bits)
{
	uint64_t top = UINT64_C(1) << (bits - 1); /* 2^(bits-1) */

	if (negative)
		return is_signed && -u <= top;
	if (is_signed)
		return u < top;
	return bits == 64 || u < top << 1;
}

bool vars_number(const char *s, uint64_t *u, bool *negative)
{
	char *end;

	errno = 0;
	*negative = *s == '-';
	if (*negative)
		s++;
	if (*s < '0' || *s > '9')
		return false;
	*u = strtoull(s, &end, 0);
	if (errno || *end || (*negative && *u > UINT64_C(1) << 63))
		return false;
	if (*negative)
		*u = -*u;
	*negative = *negative && *u;
	return true;
}

static int set_int(const struct bpf_map_def *m, const struct var *v,
		   const char *value, struct err *e)
{
	uint8_t enc = btf_int_encoding(v->type);
	bool negative, flag = enc & BTF_INT_BOOL;
	uint64_t u;

	if (v->size > 8 || !v->size || v->size != v->type->size)
		return no_fit(e, v, value,
			      "integers of this size cannot be "
			      "set");
	if (flag && (!strcmp(value, "true") || !strcmp(value, "false"))) {
		u = *value == 't';
		negative = false;
	} else if (value[0] == '\'' && value[1] && value[2] == '\'' &&
		   !value[3]) {
		u = (uint8_t)value[1];
		negative = false;
	} else if (!vars_number(value, &u, &negative)) {
		return no_fit(e, v, value,
			      flag ? "not true, false or a number"
				   : "not a number");
	}
	if (flag ? negative || u > 1
		 : !fits(u, negative, enc & BTF_INT_SIGNED, 8 * v->size))
		return no_fit(e, v, value, "out of range for its type");
	put(m, v, &u, sizeof(u));
	return 0;
}

static int set_enum(const struct object *o, const struct bpf_map_def *m,
		    const struct var *v, const char *value, struct err *e)
{
	bool negative, is_signed = btf_kflag(v->type);
	uint32_t i;
	uint64_t u;

	for (i = 0; i < btf_vlen(v->type); i++) {
		uint32_t name = btf_is_enum(v->type)
					? btf_enum(v->type)[i].name_off
					: ((const __u32 *)(v->type + 1))[3 * i];

		if (strcmp(btf__name_by_offset(o->btf, name), value))
			continue;
		u = btf_is_enum(v->type)
			    ? (uint64_t)(int64_t)btf_enum(v->type)[i].val
			    : btf_enum64_value(
				      (const struct btf_enum64
					       *)((const __u32 *)(v->type + 1) +
						  3 * i));
		put(m, v, &u, sizeof(u));
		return 0;
	}
	if (!vars_number(value, &u, &negative))
		return no_fit(e, v, value, "no such enumerator");
	if (!v->size || v->size > 8 ||
	    !fits(u, negative, is_signed, 8 * v->size))
		return no_fit(e, v, value, "out of range for its type");
	put(m, v, &u, sizeof(u));
	return 0;
}

static int set_text(const struct object *o, const struct bpf_map_def *m,
		    const struct var *v, const char *value, struct err *e)
{
	const struct btf_type *c = plain(o->btf, btf_array(v->type)->type);
	size_t n = strlen(value);
	const char *from = value;

	if (!btf_is_int(c) || c->size != 1)
		return no_fit(e, v, value, "only arrays of char can be set");
	if (n >= 2 && *value == '"' && value[n - 1] == '"') {
		from++;
		n -= 2;
	}
	if (n >= v->size)
		return misuse(e, "--set %s=%s: has room for %u characters",
			      v->name, value, v->size ? v->size - 1 : 0);
	put(m, v, from, n);
	return 0;
}

static int set_var(const struct object *o, const struct bpf_map_def *m,
		   const struct var *v, const char *value, struct err *e)
{
	switch (btf_kind(v->type)) {
	case BTF_KIND_INT:
		return set_int(m, v, value, e);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return set_enum(o, m, v, value, e);
	case BTF_KIND_ARRAY:
		return set_text(o, m, v, value, e);
	default:
		return no_fit(e, v, value,
			      "only integers, bool, enums and "
			      "char arrays can be set");
	}
}

static bool settable(const struct bpf_map_def *m)
{
	return m->data && m->data != DATA_KCONFIG;
}

static int unknown(struct arena *a, const struct object *o,
		   const struct bpf_set *set, const char *name, struct err *e)
{
	const char **known = NULL;
	uint32_t i, k, n = 0;
	struct var v;

	for (i = 0; i < set->nmap; i++) {
		const struct bpf_map_def *m = &set->map[i];
		const struct object *of = &o[m->object];
		const struct btf_type *sec = datasec(of, m);

		for (k = 0; settable(m) && sec && k < btf_vlen(sec); k++) {
			if (!var_get(of, m, k, &v))
				continue;
			known = arena_push(a, known, n, sizeof(*known));
			known[n++] = v.name;
		}
	}
	return misuse(e, "--set: no global variable '%s'%s", name,
		      names_closest(a, name, known, n));
}

int vars_set(struct arena *a, const struct object *o, struct bpf_set *set,
	     const char *assignment, struct err *e)
{
	size_t len = strcspn(assignment, "=");
	char *name = arena_dup(a, assignment, len + 1);
	uint32_t i, k;
	bool found = false;
	struct var v;

	if (!len || assignment[len] != '=')
		return misuse(e, "--set %s: not VAR=VALUE", assignment);
	name[len] = 0;
	for (i = 0; i < set->nmap; i++) {
		const struct bpf_map_def *m = &set->map[i];
		const struct object *of = &o[m->object];
		const struct btf_type *sec = datasec(of, m);

		for (k = 0; settable(m) && sec && k < btf_vlen(sec); k++) {
			if (!var_get(of, m, k, &v) || strcmp(v.name, name))
				continue;
			found = true;
			if (set_var(of, m, &v, assignment + len + 1, e))
				return -1;
		}
	}
	return found ? 0 : unknown(a, o, set, name, e);
}
