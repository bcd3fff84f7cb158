/* SPDX-License-Identifier: MIT */
/* slots.c - what `values` of a map's definition says.
 *
 *     struct { ...; __array(values, int (void *)); } jumps SEC(".maps") = {
 *             .values = { [2] = (void *)&prog },
 *     };
 *
 * is a relocation in .maps against `prog`, at the place of values[2] (libbpf:
 * bpf_object__collect_map_relos).  A PROG_ARRAY names programs so, a map of
 * maps the maps that are in it at first; its definition of an inner map without
 * a name is a pattern for those and no map.
 */
#include <bpf/btf.h>

#include "rewriter/bpf/object.h"
#include "runtime-stub/refs.h"

enum {
	POINTER = 8
};
#define NOTHING UINT32_MAX

struct slots {
	struct arena *a;
	const struct object *o;
	struct bpf_set *set;
	struct err *e;
};

static int wrong(struct slots *s, const struct bpf_map_def *m, uint64_t key,
		 const char *what, const char *name)
{
	return fail(s->e, s->o->path, NOWHERE, "map '%s': values[%llu] %s '%s'",
		    m->name, (unsigned long long)key, what, name);
}

/* The variable that the byte `off` of section `sec` belongs to. */
static const struct obj_symbol *variable_at(const struct object *o,
					    uint32_t sec, uint64_t off)
{
	for (uint32_t i = 0; i < o->nsym; i++) {
		const struct obj_symbol *s = &o->sym[i];

		if (s->sec == sec && s->type == STT_OBJECT && s->value <= off &&
		    off - s->value < s->size)
			return s;
	}
	return NULL;
}

/* Where `values` begins in the definition; false: it has none. */
static bool values_at(const struct btf *btf, const char *name, uint64_t *off)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_VAR);
	const struct btf_type *t =
		id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	while (t && (btf_is_var(t) || btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	if (!t || !btf_is_struct(t))
		return false;
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const char *member =
			btf__name_by_offset(btf, btf_members(t)[i].name_off);

		if (member && !strcmp(member, "values")) {
			*off = btf_member_bit_offset(t, i) / 8;
			return true;
		}
	}
	return false;
}

static int unusable_ref(struct slots *s, const struct bpf_map_def *m,
			const struct bpf_unusable *u)
{
	if (u->wanted)
		return 0; /* that is an error already */
	return fail(s->e, s->o->path, NOWHERE, "map '%s': %s", m->name,
		    u->why.what);
}

static int program_ref(struct slots *s, const struct bpf_map_def *m,
		       uint64_t key, const struct obj_symbol *to,
		       uint32_t *index)
{
	*index = NOTHING;
	for (uint32_t i = 0; i < s->set->nprog; i++) {
		const struct bpf_prog *p = &s->set->prog[i];

		if (p->object != s->o->index || strcmp(p->name, to->name))
			continue;
		if (p->session)
			return wrong(
				s, m, key,
				"is a program for entry and return:", to->name);
		*index = i;
		return 0;
	}
	for (uint32_t i = 0; i < s->set->nunusable; i++)
		if (!strcmp(s->set->unusable[i].name, to->name))
			return unusable_ref(s, m, &s->set->unusable[i]);
	return wrong(s, m, key, "is no program:", to->name);
}

/* kernel/bpf/map_in_map.c, bpf_map_meta_equal(), and array_map_meta_equal() */
static bool alike(const struct bpf_map_def *a, const struct bpf_map_def *b)
{
	if (a->type != b->type || a->key_size != b->key_size ||
	    a->value_size != b->value_size || a->flags != b->flags)
		return false;
	return a->type != BPF_MAP_TYPE_ARRAY || a->flags & BPF_F_INNER_MAP ||
	       a->max_entries == b->max_entries;
}

static int map_ref(struct slots *s, const struct bpf_map_def *m, uint64_t key,
		   const struct obj_symbol *to, uint32_t *index)
{
	for (uint32_t i = 0; i < s->set->nmap; i++) {
		const struct bpf_map_def *d = &s->set->map[i];

		if (d->object != s->o->index || d->data ||
		    strcmp(d->name, to->name))
			continue;
		if (map_has_refs(d->type))
			return wrong(s, m, key,
				     "is a map of maps or programs:", to->name);
		if (!m->inner || !alike(m->inner, d))
			return wrong(s, m, key,
				     "is not as the definition says:",
				     to->name);
		*index = i;
		return 0;
	}
	return wrong(s, m, key, "is no map:", to->name);
}

static struct bpf_map_def *map_of(struct slots *s, const char *name)
{
	for (uint32_t i = 0; i < s->set->nmap; i++) {
		struct bpf_map_def *m = &s->set->map[i];

		if (m->object == s->o->index && !m->data &&
		    !strcmp(m->name, name))
			return m;
	}
	return NULL;
}

static int slot(struct slots *s, uint32_t sec, const struct obj_reloc *r)
{
	const struct obj_symbol *var = variable_at(s->o, sec, r->off);
	const struct obj_symbol *to = &s->o->sym[r->sym];
	struct bpf_map_def *m = var ? map_of(s, var->name) : NULL;
	uint64_t off, key;
	uint32_t index = 0;

	if (!m || !map_has_refs(m->type) ||
	    !values_at(s->o->btf, var->name, &off) || r->off - var->value < off)
		return fail(s->e, s->o->path, NOWHERE,
			    "relocation against '%s' in .maps is for no value "
			    "of a map",
			    to->name);
	off = r->off - var->value - off;
	key = off / POINTER;
	if (off % POINTER || key >= m->max_entries)
		return wrong(s, m, key, "is past its end:", to->name);
	if (map_has_progs(m->type) ? program_ref(s, m, key, to, &index)
				   : map_ref(s, m, key, to, &index))
		return -1;
	if (index == NOTHING)
		return 0;
	m->slot = arena_push(s->a, m->slot, m->nslot, sizeof(*m->slot));
	m->slot[m->nslot++] =
		(struct bpf_slot){ .key = (uint32_t)key, .to = index };
	return 0;
}

int slots_read(struct arena *a, const struct object *o, struct bpf_set *set,
	       struct err *e)
{
	struct slots s = { a, o, set, e };

	for (uint32_t i = 1; i < o->nsec; i++) {
		const struct obj_section *sec = &o->sec[i];

		if (strcmp(sec->name, ".maps"))
			continue;
		for (uint32_t k = 0; k < sec->nrel; k++)
			if (slot(&s, i, &sec->rel[k]))
				return -1;
	}
	return 0;
}

/* --- Programs that others continue in ------------------------------------- */

bool bpf_in_map(const struct bpf_set *set, uint32_t prog)
{
	for (uint32_t i = 0; i < set->nmap; i++) {
		const struct bpf_map_def *m = &set->map[i];

		for (uint32_t k = 0; k < m->nslot; k++)
			if (map_has_progs(m->type) && m->slot[k].to == prog)
				return true;
	}
	return false;
}

bool bpf_refers(const struct bpf_prog *p, uint32_t map)
{
	for (uint32_t i = 0; i < p->ninsn; i++) {
		const struct bpf_insn *insn = &p->insn[i];

		if (insn->code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if ((insn->src_reg == BPF_PSEUDO_MAP_FD ||
		     insn->src_reg == BPF_PSEUDO_MAP_VALUE) &&
		    (uint32_t)insn->imm == map)
			return true;
		i++;
	}
	return false;
}

static bool add_from(const struct bpf_map_def *m, bool *tailed)
{
	bool more = false;

	for (uint32_t k = 0; k < m->nslot; k++) {
		more |= !tailed[m->slot[k].to];
		tailed[m->slot[k].to] = true;
	}
	return more;
}

void bpf_tailed(const struct bpf_set *set, const bool *start, bool *tailed)
{
	bool more = true;

	while (more) {
		more = false;
		for (uint32_t p = 0; p < set->nprog; p++) {
			if (!(start[p] || tailed[p]) ||
			    !bpf_calls(&set->prog[p], BPF_FUNC_tail_call))
				continue;
			for (uint32_t m = 0; m < set->nmap; m++)
				if (map_has_progs(set->map[m].type) &&
				    bpf_refers(&set->prog[p], m))
					more |= add_from(&set->map[m], tailed);
		}
	}
}
