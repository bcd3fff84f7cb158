/* SPDX-License-Identifier: MIT */
/* core.c - apply CO-RE records.
 *
 * A record says: the number in this instruction describes a field, type or
 * enumerator of the kernel the program will meet.  In user space there is no
 * kernel to describe, with three exceptions: struct pt_regs, which ctx points
 * to, the few fields of task_struct that runtime-stub/task.h has, and what
 * every kernel has in the same place (uapi.h).  pt_regs is known under the
 * names of both the kernel's header and the uapi one.  Every other type and
 * field does not exist, and what needs it becomes a call of POISON + i, as
 * libbpf does.  The usual
 *
 *     if (bpf_core_field_exists(t->x)) v = BPF_CORE_READ(t, x);
 *
 * loses the call again when prune_dead() finds it unreachable; a poisoned call
 * that stays is a refusal, naming the field (load.c).
 *
 * Which loads are from a task is for the verifier to say (verify/program.c).
 */
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/object.h"
#include "rewriter/bpf/trail.h"
#include "rewriter/region.h"
#include "runtime-stub/abi.h"
#include "runtime-stub/task.h"

enum {
	ACCESS_MAX = 64
};

struct field {
	const char *name, *other;
	uint32_t offset, size;
	bool is_signed;
};

// clang-format off
static const struct field regs_field[] = {
	/* kernel    uapi's, or the newest kernels'
	                     offset size signed */
	{ "r15",     "r15",        0, 8, false },
	{ "r14",     "r14",        8, 8, false },
	{ "r13",     "r13",       16, 8, false },
	{ "r12",     "r12",       24, 8, false },
	{ "bp",      "rbp",       32, 8, false },
	{ "bx",      "rbx",       40, 8, false },
	{ "r11",     "r11",       48, 8, false },
	{ "r10",     "r10",       56, 8, false },
	{ "r9",      "r9",        64, 8, false },
	{ "r8",      "r8",        72, 8, false },
	{ "ax",      "rax",       80, 8, false },
	{ "cx",      "rcx",       88, 8, false },
	{ "dx",      "rdx",       96, 8, false },
	{ "si",      "rsi",      104, 8, false },
	{ "di",      "rdi",      112, 8, false },
	{ "orig_ax", "orig_rax", 120, 8, false },
	{ "ip",      "rip",      128, 8, false },
	{ "cs",      "csx",      136, 8, false },
	{ "flags",   "eflags",   144, 8, false },
	{ "sp",      "rsp",      152, 8, false },
	{ "ss",      "ssx",      160, 8, false },
};
// clang-format on

#define FIELD(name, is_signed)                                                 \
	{ #name, #name, TASK_FIELDS + offsetof(struct task, name),             \
	  sizeof(((struct task *)0)->name), is_signed },
static const struct field task_field[] = {
#include "runtime-stub/task.def"
};

static const struct target {
	const char *name;
	const struct field *field;
	size_t nfield;
	uint32_t size; /* 0: nobody may ask */
	bool rdonly;   /* only loaded, and as it is */
} targets[] = {
	{ "pt_regs", regs_field, sizeof(regs_field) / sizeof(*regs_field),
	  PT_REGS_SIZE, false },
	{ "task_struct", task_field, sizeof(task_field) / sizeof(*task_field),
	  0, true },
};

struct answer {
	bool known; /* else: poison */
	uint64_t value;
	uint32_t old_size; /* of the field as the object knows it, or 0 ... */
	uint32_t size;     /* ... and as it is */
	bool rdonly;       /* only loaded, and as it is */
};

/* What a record is about, in the object's own types. */
struct subject {
	const char *type; /* without ___flavor */
	bool is_struct, is_enum; /* an enum of uapi.h */
	const char *field; /* last named member, or NULL */
	uint32_t nfield;   /* named members on the way */
	uint32_t index;    /* element of the pointed-to array: a[index] */
	uint32_t size;     /* of the accessed member, bytes */
	uint32_t element;  /* of the member, when that is an array: a.b[i] */
	uint32_t bits;     /* of it, if that is a bit field */
	bool scalar, in_array, is_signed;
	const struct target *target; /* or NULL */
	const struct uapi *uapi;     /* or NULL */
	const char *enumerator;
	struct trail trail;
	char path[120];              /* "task_struct.mm.owner" for messages */
};

static int bad(const struct object *o, const struct obj_core *r, struct err *e)
{
	return fail(e, o->path, NOWHERE,
		    "bad CO-RE record: kind %u, type %u, access '%s'", r->kind,
		    r->type, r->access);
}

/* "0:1:2" -> { 0, 1, 2 }; 0 when it is not that. */
static uint32_t access_parse(const char *s, uint32_t at[ACCESS_MAX])
{
	uint32_t n = 0;
	char *end;

	for (;;) {
		if (*s < '0' || *s > '9' || n == ACCESS_MAX)
			return 0;
		at[n++] = strtoul(s, &end, 10);
		if (!*end)
			return n;
		if (*end != ':')
			return 0;
		s = end + 1;
	}
}

static void append(struct subject *s, const char *text)
{
	size_t n = strlen(s->path);

	snprintf(s->path + n, sizeof(s->path) - n, "%s%s", n ? "." : "", text);
}

/* Follow the access string from the root type to the member. */
static int walk(struct arena *a, const struct object *o,
		const struct obj_core *r, const uint32_t *at, uint32_t n,
		struct subject *s, struct err *e)
{
	uint32_t id = r->type, i;
	const struct btf_type *t = btf_plain(o->btf, &id);
	int64_t size;

	s->index = at[0];
	for (i = 1; i < n; i++) {
		if (btf_is_array(t)) {
			s->in_array = true;
			s->element = at[i];
			id = btf_array(t)->type;
			trail_element(&s->trail, at[i],
				      btf__resolve_size(o->btf, id));
		} else if (btf_is_composite(t) && at[i] < btf_vlen(t)) {
			const struct btf_member *m = btf_members(t) + at[i];
			const char *name =
				btf__name_by_offset(o->btf, m->name_off);

			id = m->type;
			s->bits = btf_member_bitfield_size(t, at[i]);
			trail_member(a, o->btf, t, at[i], &s->trail);
			if (*name) {
				s->field = name;
				s->nfield++;
				append(s, name);
			}
		} else {
			return bad(o, r, e);
		}
		t = btf_plain(o->btf, &id);
	}
	size = btf__resolve_size(o->btf, id);
	s->size = size > 0 ? size : 0;
	s->scalar = btf_is_int(t) || btf_is_any_enum(t) || btf_is_ptr(t);
	s->is_signed = btf_is_any_enum(t) ||
		       (btf_is_int(t) && btf_int_encoding(t) & BTF_INT_SIGNED);
	return 0;
}

static const struct target *target_find(const char *name)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		if (!strcmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

static int subject(struct arena *a, const struct object *o,
		   const struct obj_core *r, struct subject *s, struct err *e)
{
	uint32_t at[ACCESS_MAX], n = access_parse(r->access, at);
	uint32_t id = r->type;
	const struct btf_type *t;
	const char *name;

	memset(s, 0, sizeof(*s));
	if (!n || !r->type || r->type >= btf__type_cnt(o->btf))
		return bad(o, r, e);
	t = btf_plain(o->btf, &id);
	name = btf__name_by_offset(o->btf,
				   btf__type_by_id(o->btf, r->type)->name_off);
	if (!*name)
		name = btf__name_by_offset(o->btf, t->name_off);
	s->type = arena_printf(a, "%.*s", (int)btf_essential(name), name);
	s->is_struct = btf_is_struct(t);
	s->target = s->is_struct ? target_find(s->type) : NULL;
	s->uapi = s->is_struct ? uapi_find(btf_type_name(a, o->btf, t)) : NULL;
	s->trail.in = s->uapi;
	s->is_enum = btf_is_any_enum(t) && (uapi_enum(s->type) ||
					    !strcmp(s->type, "bpf_func_id"));
	append(s, *s->type ? s->type : "(anonymous)");
	if (r->kind <= BPF_CORE_FIELD_RSHIFT_U64)
		return walk(a, o, r, at, n, s, e);
	if (r->kind == BPF_CORE_ENUMVAL_EXISTS ||
	    r->kind == BPF_CORE_ENUMVAL_VALUE) {
		uint32_t off;

		if (!btf_is_any_enum(t) || n != 1 || at[0] >= btf_vlen(t))
			return bad(o, r, e);
		off = btf_is_enum(t) ? btf_enum(t)[at[0]].name_off
				     : ((const __u32 *)(t + 1))[3 * at[0]];
		name = btf__name_by_offset(o->btf, off);
		s->enumerator = arena_printf(
			a, "%.*s", (int)btf_essential(name), name);
		append(s, name);
	}
	return 0;
}

static const struct field *field_find(const struct subject *s)
{
	const struct target *t = s->target;

	for (size_t i = 0; t && s->nfield == 1 && i < t->nfield; i++)
		if (!strcmp(t->field[i].name, s->field) ||
		    !strcmp(t->field[i].other, s->field))
			return &t->field[i];
	return NULL;
}

/* Is the member what the field is: a number, or an array of bytes? */
static bool has_shape(const struct subject *s, const struct field *f)
{
	if (f->size <= 8)
		return s->scalar && !s->in_array;
	return s->in_array ? s->size == 1 && s->element < f->size : !s->scalar;
}

static struct answer field_answer(uint32_t kind, const struct subject *s)
{
	struct answer no = { .known = kind == BPF_CORE_FIELD_EXISTS };
	struct answer yes = { .known = true };
	const struct field *f = field_find(s);

	if (!f || !has_shape(s, f) || (s->index && !s->target->size) ||
	    (s->bits && s->target->rdonly))
		return no;
	yes.size = s->in_array ? 1 : f->size;
	switch (kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
		yes.value = f->offset + s->element +
			    (uint64_t)s->index * s->target->size;
		yes.old_size = s->size;
		yes.rdonly = s->target->rdonly;
		break;
	case BPF_CORE_FIELD_BYTE_SIZE:
		yes.value = yes.size;
		break;
	case BPF_CORE_FIELD_EXISTS:
		yes.value = 1;
		break;
	case BPF_CORE_FIELD_SIGNED:
		yes.value = f->is_signed;
		break;
	default: /* shifts: the field is the low end of a word */
		yes.value = f->size < 8 ? 64 - 8 * f->size : 0;
	}
	return yes;
}

static struct answer uapi_answer(uint32_t kind, const struct subject *s)
{
	struct answer no = { .known = kind == BPF_CORE_FIELD_EXISTS };
	struct answer yes = { .known = true };
	uint64_t at = s->trail.at / 8;
	uint32_t size = s->size, bits = s->bits;

	if (!s->trail.in || (s->index && s->uapi->grows) ||
	    (bits && !trail_word(&s->trail, bits, &at, &size)))
		return no;
	bits = bits ? bits : 8 * size;
	switch (kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
		yes.value = at + (uint64_t)s->index * s->uapi->size;
		break;
	case BPF_CORE_FIELD_BYTE_SIZE:
		yes.value = size;
		break;
	case BPF_CORE_FIELD_EXISTS:
		yes.value = 1;
		break;
	case BPF_CORE_FIELD_SIGNED:
		yes.value = s->is_signed;
		break;
	case BPF_CORE_FIELD_LSHIFT_U64:
		yes.value = 64 - (s->trail.at + bits - 8 * at);
		break;
	default:
		yes.value = 64 - bits;
	}
	return yes;
}

/* Of the enums that say what there is, what there is here: who asks would use
 * it.  All others have the value that they always have. */
static struct answer enum_answer(uint32_t kind, const struct subject *s)
{
	const struct uapi_value *v = uapi_value(s->type, s->enumerator);
	bool there = v;
	int64_t value = v ? v->value : 0;

	if (!strcmp(s->type, "bpf_func_id")) {
		value = helper_id(s->enumerator);
		v = NULL;
		there = helper_offered(value);
	} else if (v && !strcmp(s->type, "bpf_map_type")) {
		there = map_type_known(value);
	}
	if (kind == BPF_CORE_ENUMVAL_EXISTS)
		return (struct answer){ .known = true, .value = there };
	return (struct answer){ .known = v || value, .value = value };
}

static bool is_word(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf_plain(btf, &id);

	return btf_is_int(t) && t->size == 8 &&
	       !(btf_int_encoding(t) & BTF_INT_SIGNED);
}

/* Is all that the object's struct pt_regs has in ours, under the kernel's
 * names? */
static bool matches_regs(const struct object *o, uint32_t type)
{
	const struct btf_type *t = btf_plain(o->btf, &type);
	size_t n = sizeof(regs_field) / sizeof(*regs_field), k;

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *name = btf__name_by_offset(o->btf, m->name_off);

		for (k = 0; k < n && strcmp(regs_field[k].name, name); k++)
			;
		if (k == n || !is_word(o->btf, m->type))
			return false;
	}
	return true;
}

static bool matches(struct arena *a, const struct object *o, uint32_t type,
		    const struct subject *s)
{
	if (s->uapi)
		return trail_matches(a, o->btf, type, &s->trail);
	return s->target && s->target->field == regs_field &&
	       matches_regs(o, type);
}

static struct answer type_size(const struct subject *s)
{
	if (s->uapi)
		return (struct answer){ .known = !s->uapi->grows,
					.value = s->uapi->size };
	if (s->is_enum)
		return (struct answer){ .known = true, .value = 4 };
	return (struct answer){ .known = !s->target || s->target->size,
				.value = s->target ? s->target->size : 0 };
}

static struct answer answer(struct arena *a, const struct object *o,
			    const struct obj_core *r, const struct subject *s)
{
	bool there = s->target || s->uapi || s->is_enum;

	switch (r->kind) {
	case BPF_CORE_TYPE_ID_LOCAL:
		return (struct answer){ .known = true, .value = r->type };
	case BPF_CORE_TYPE_ID_TARGET: /* there are no kernel type ids */
		return (struct answer){ .known = !there };
	case BPF_CORE_TYPE_EXISTS:
		return (struct answer){ .known = true, .value = there };
	case BPF_CORE_TYPE_MATCHES:
		return (struct answer){ .known = true,
					.value = matches(a, o, r->type, s) };
	case BPF_CORE_TYPE_SIZE:
		return type_size(s);
	case BPF_CORE_ENUMVAL_EXISTS:
	case BPF_CORE_ENUMVAL_VALUE:
		return enum_answer(r->kind, s);
	default:
		return s->uapi ? uapi_answer(r->kind, s)
			       : field_answer(r->kind, s);
	}
}

/* A call that is refused if it is reached, with this reason. */
static void poison(struct arena *a, struct object *o, struct bpf_insn *insn,
		   const char *why)
{
	bool wide = insn->code == (BPF_LD | BPF_IMM | BPF_DW);

	o->missing =
		arena_push(a, o->missing, o->nmissing, sizeof(*o->missing));
	o->missing[o->nmissing] = why;
	insn[0] = insn[wide] = (struct bpf_insn){
		.code = BPF_JMP | BPF_CALL,
		.imm = POISON + (int)o->nmissing++,
	};
}

static const char *is_missing(struct arena *a, const struct obj_core *r,
			      const struct subject *s)
{
	const char *what = r->kind <= BPF_CORE_FIELD_RSHIFT_U64 ? "field"
			   : r->kind == BPF_CORE_ENUMVAL_VALUE  ? "enumerator"
								: "type";

	return arena_printf(
		a, "%s '%s' does not exist in user space%s", what, s->path,
		*what != 'f' || s->target
			? ""
			: " (if it means user memory, take the type from its "
			  "own header, not from vmlinux.h)");
}

/* Loads and stores change width where the field is a word; a task's fields
 * must be what they are. */
static bool access_patch(struct bpf_insn *insn, const struct answer *v)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 }; /* W, H, B, DW */
	uint8_t was = bytes[BPF_SIZE(insn->code) >> 3];

	if (v->rdonly)
		return BPF_CLASS(insn->code) == BPF_LDX &&
		       v->old_size == v->size;
	if (!v->old_size || v->old_size == v->size)
		return true;
	if (was != v->old_size)
		return false;
	insn->code = (insn->code & ~0x18) | BPF_DW;
	return true;
}

static bool patch(struct bpf_insn *insn, const struct answer *v)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		if (BPF_SRC(insn->code) != BPF_K || v->value > INT32_MAX)
			return false;
		insn->imm = v->value;
		return true;
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		if (v->value > INT16_MAX)
			return false;
		insn->off = v->value;
		return access_patch(insn, v);
	case BPF_LD:
		if (insn->code != (BPF_LD | BPF_IMM | BPF_DW))
			return false;
		insn[0].imm = (int32_t)v->value;
		insn[1].imm = v->value >> 32;
		return true;
	default:
		return false;
	}
}

static bool is_access(const struct bpf_insn *insn)
{
	uint8_t class = BPF_CLASS(insn->code);

	return class == BPF_LDX || class == BPF_ST || class == BPF_STX;
}

static int apply(struct arena *a, struct object *o, const struct obj_core *r,
		 struct err *e)
{
	struct obj_section *sec = &o->sec[r->sec];
	struct bpf_insn *insn = &sec->insn[r->insn];
	struct subject s;
	struct answer v;

	if (r->kind > BPF_CORE_TYPE_MATCHES)
		return refuse(e, o->path, NOWHERE, "CO-RE record of kind %u",
			      r->kind);
	if (insn->code == (BPF_LD | BPF_IMM | BPF_DW) &&
	    r->insn + 1 >= sec->ninsn)
		return bad(o, r, e);
	if (subject(a, o, r, &s, e))
		return -1;
	v = answer(a, o, r, &s);
	if (!v.known)
		poison(a, o, insn, is_missing(a, r, &s));
	else if (patch(insn, &v))
		return 0;
	else if (is_access(insn))
		poison(a, o, insn,
		       arena_printf(a,
				    "field '%s' has another size in user space, "
				    "or cannot be written",
				    s.path));
	else
		return fail(e, o->path, NOWHERE,
			    "CO-RE record for '%s' does not fit its "
			    "instruction (%s+%u)",
			    s.path, sec->name, r->insn * INSN);
	return 0;
}

int core_apply(struct arena *a, struct object *o, struct err *e)
{
	uint32_t i;

	for (i = 0; i < o->ncore; i++)
		if (apply(a, o, &o->core[i], e))
			return -1;
	return 0;
}
