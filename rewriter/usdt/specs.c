/* SPDX-License-Identifier: MIT */
/* specs.c - write arguments down as libbpf's programs expect them, in the
 * array __bpf_usdt_specs:
 *
 *     struct __bpf_usdt_spec {
 *             struct __bpf_usdt_arg_spec {
 *                     u64 val_off;          constant, or displacement
 *                     arg_type;             enum below
 *                     idx_reg_off, scale_bitshift;     since libbpf 1.7
 *                     s16 reg_off;          in pt_regs
 *                     bool arg_signed;
 *                     char arg_bitshift;    64 - 8 * size
 *             } args[12];
 *             u64 usdt_cookie;
 *             s16 arg_cnt;
 *     };
 *
 * Where the members are differs between versions of libbpf, and the newer ones
 * have bit fields: the object's BTF says it, by their names.
 *
 * There is no operand for a place in the image; but the word of the probed
 * address is a register like others, and how far the place is from there is
 * known.  What is left unsaid is thread-local, or needs members that the older
 * layout does not have.
 */
#include <bpf/btf.h>

#include "rewriter/usdt/usdt.h"

enum { ARG_CONST, ARG_REG, ARG_DEREF, ARG_SIB, ARG_UNSAID = 0x7f };

struct field {
	uint32_t bit, bits; /* bits 0: there is none */
};
struct layout {
	struct field args, cookie, count;     /* in the spec */
	uint32_t nargs, stride;               /* of args */
	struct field val, type, index, scale, reg, sign, shift; /* in each */
};

/* What modifiers and typedefs lead to: in a circle, or to nothing, if somebody
 * made it so.  (NULL.) */
static const struct btf_type *plain(const struct btf *btf, uint32_t id)
{
	int32_t end = btf__resolve_type(btf, id);

	return end < 0 ? NULL : btf__type_by_id(btf, (uint32_t)end);
}

static bool is_struct(const struct btf_type *t)
{
	return t && btf_is_struct(t);
}

/* The member of that name, if all of it is in the struct; its type's id in
 * *type. */
static struct field field(const struct btf *btf, const struct btf_type *t,
			  const char *name, uint32_t *type)
{
	struct field f = { 0 };
	int64_t size;

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;

		if (strcmp(btf__name_by_offset(btf, m->name_off), name))
			continue;
		f.bit = btf_member_bit_offset(t, i);
		f.bits = btf_member_bitfield_size(t, i);
		size = btf__resolve_size(btf, m->type);
		if (!f.bits && size > 0 && size <= t->size)
			f.bits = 8 * (uint32_t)size;
		*type = m->type;
	}
	if ((uint64_t)f.bit + f.bits > UINT64_C(8) * t->size)
		f.bits = 0;
	return f;
}

static struct field number(const struct btf *btf, const struct btf_type *t,
			   const char *name)
{
	uint32_t type;
	struct field f = field(btf, t, name, &type);

	return f.bits <= 64 ? f : (struct field){ 0 };
}

static bool arg_layout(const struct btf *btf, const struct btf_type *t,
		       struct layout *l)
{
	if (!is_struct(t))
		return false;
	l->stride = t->size;
	l->val = number(btf, t, "val_off");
	l->type = number(btf, t, "arg_type");
	l->reg = number(btf, t, "reg_off");
	l->sign = number(btf, t, "arg_signed");
	l->shift = number(btf, t, "arg_bitshift");
	l->index = number(btf, t, "idx_reg_off");
	l->scale = number(btf, t, "scale_bitshift");
	return l->val.bits && l->type.bits && l->reg.bits && l->sign.bits &&
	       l->shift.bits;
}

static bool spec_layout(const struct btf *btf, uint32_t id, struct layout *l)
{
	const struct btf_type *t = plain(btf, id);
	uint32_t args;

	if (!is_struct(t))
		return false;
	l->cookie = number(btf, t, "usdt_cookie");
	l->count = number(btf, t, "arg_cnt");
	l->args = field(btf, t, "args", &args);
	if (!l->cookie.bits || !l->count.bits || !l->args.bits)
		return false;
	t = plain(btf, args);
	if (!t || !btf_is_array(t))
		return false;
	l->nargs = btf_array(t)->nelems;
	return arg_layout(btf, plain(btf, btf_array(t)->type), l) &&
	       l->args.bits == UINT64_C(8) * l->nargs * l->stride;
}

/* Bits of `value` at to + f; false: they do not fit there. */
static bool put(uint8_t *to, uint32_t at, struct field f, int64_t value)
{
	for (uint32_t i = 0; i < f.bits; i++) {
		uint32_t bit = 8 * at + f.bit + i;

		to[bit / 8] &= (uint8_t)~(1u << bit % 8);
		to[bit / 8] |= (uint8_t)((value >> i & 1) << bit % 8);
	}
	return f.bits != 0;
}

/* type, registers and value; false: it cannot be said. */
static bool put_place(const struct layout *l, const struct usdt_spec *spec,
		      const struct operand *o, uint8_t *to, uint32_t at)
{
	bool based = o->base != WORD_NONE, indexed = o->index != WORD_NONE;
	int64_t val = o->disp;
	uint8_t reg = o->base;

	if (o->kind == OPERAND_CONST)
		return put(to, at, l->type, ARG_CONST) &&
		       put(to, at, l->val, o->disp);
	if (o->kind == OPERAND_REG)
		return put(to, at, l->type, ARG_REG) &&
		       put(to, at, l->reg, 8 * reg + o->high);
	if (o->kind != OPERAND_MEMORY || o->fs || (o->in_image && based) ||
	    (indexed && !l->index.bits))
		return false;
	if (!based) {
		reg = WORD_IP;
		val -= (int64_t)spec->site;
	}
	if (indexed && !(put(to, at, l->index, 8 * o->index) &&
			 put(to, at, l->scale, o->shift)))
		return false;
	return put(to, at, l->type, indexed ? ARG_SIB : ARG_DEREF) &&
	       put(to, at, l->reg, 8 * reg) && put(to, at, l->val, val);
}

static struct bpf_map_def *specs_map(struct bpf_set *set, uint32_t object)
{
	for (uint32_t i = 0; i < set->nmap; i++)
		if (set->map[i].object == object &&
		    !strcmp(set->map[i].name, "__bpf_usdt_specs"))
			return &set->map[i];
	return NULL;
}

/* Room for this spec: the array grows where libbpf would give up. */
static uint8_t *element(struct arena *a, struct bpf_map_def *m, uint32_t id)
{
	uint64_t stride = align_up(m->value_size, 8);
	uint8_t *grown;

	if (id >= m->max_entries)
		m->max_entries = id + 1;
	if (m->initial.n < (id + 1) * stride) {
		grown = arena_alloc(a, m->max_entries * stride);
		if (m->initial.n)
			memcpy(grown, m->initial.p, m->initial.n);
		m->initial = (struct bytes){ grown, m->max_entries * stride };
	}
	return (uint8_t *)m->initial.p + id * stride;
}

int specs_write(struct arena *a, struct bpf_set *set, struct usdt_spec *spec,
		struct err *e)
{
	const struct bpf_object_file *o = &set->object[spec->object];
	struct bpf_map_def *m = specs_map(set, spec->object);
	struct layout l = { 0 };
	uint8_t *to;

	if (!m) /* the object does not use usdt.bpf.h */
		return 0;
	if (m->type != BPF_MAP_TYPE_ARRAY ||
	    !spec_layout(o->btf, m->btf_value, &l) ||
	    plain(o->btf, m->btf_value)->size > m->value_size)
		return refuse(e, o->path, NOWHERE,
			      "%s has a layout that is not libbpf's", m->name);
	to = element(a, m, spec->id);
	put(to, 0, l.cookie, (int64_t)spec->cookie);
	put(to, 0, l.count, spec->args.n);
	for (uint32_t i = 0; i < spec->args.n && i < l.nargs; i++) {
		const struct operand *arg = &spec->args.arg[i];
		uint32_t at = l.args.bit / 8 + i * l.stride;

		put(to, at, l.sign, arg->is_signed);
		put(to, at, l.shift, 64 - 8 * arg->size);
		if (put_place(&l, spec, arg, to, at))
			continue;
		put(to, at, l.type, ARG_UNSAID);
		if (!spec->unsaid)
			spec->unsaid = arg;
	}
	return 0;
}
