/* SPDX-License-Identifier: MIT */
/* core.c - apply CO-RE records.
 *
 * A record says: the number in this instruction describes a field, type or
 * enumerator of the kernel the program will meet.  In user space there is no
 * kernel to describe, with one exception: struct pt_regs, which ctx points to.
 * So pt_regs is known here under the names of both the kernel's header and the
 * uapi one, every other type does not exist, and what needs it becomes a call
 * of POISON + i, as libbpf does.  The usual
 *
 *     if (bpf_core_field_exists(t->x)) v = BPF_CORE_READ(t, x);
 *
 * loses the call again when prune_dead() finds it unreachable; a poisoned call
 * that stays is a refusal, naming the field (load.c).
 */
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include "rewriter/bpf/object.h"
#include "runtime-stub/abi.h"

enum {
	ACCESS_MAX = 64
};

/* struct pt_regs of x86-64; every field is an unsigned 64-bit word. */
// clang-format off
static const struct {
	const char *kernel, *other; /* other: uapi's, or the newest kernels' */
	uint32_t offset;
} pt_regs[] = {
	/* kernel    other        offset */
	{ "r15",     "r15",         0 },
	{ "r14",     "r14",         8 },
	{ "r13",     "r13",        16 },
	{ "r12",     "r12",        24 },
	{ "bp",      "rbp",        32 },
	{ "bx",      "rbx",        40 },
	{ "r11",     "r11",        48 },
	{ "r10",     "r10",        56 },
	{ "r9",      "r9",         64 },
	{ "r8",      "r8",         72 },
	{ "ax",      "rax",        80 },
	{ "cx",      "rcx",        88 },
	{ "dx",      "rdx",        96 },
	{ "si",      "rsi",       104 },
	{ "di",      "rdi",       112 },
	{ "orig_ax", "orig_rax",  120 },
	{ "ip",      "rip",       128 },
	{ "cs",      "csx",       136 },
	{ "flags",   "eflags",    144 },
	{ "sp",      "rsp",       152 },
	{ "ss",      "ssx",       160 },
};
// clang-format on

struct answer {
	bool known; /* else: poison */
	uint64_t value;
	uint32_t old_size; /* of the field as the object knows it, or 0 */
};

/* What a record is about, in the object's own types. */
struct subject {
	const char *type; /* without ___flavor */
	bool is_struct;
	const char *field; /* last named member, or NULL */
	uint32_t nfield;   /* named members on the way */
	uint32_t index;    /* element of the pointed-to array: a[index] */
	uint32_t size;     /* of the accessed member, bytes */
	bool scalar;
	char path[120]; /* "task_struct.mm.owner" for messages */
};

static const struct btf_type *plain(const struct btf *btf, uint32_t *id)
{
	const struct btf_type *t = btf__type_by_id(btf, *id);

	while (btf_is_mod(t) || btf_is_typedef(t)) {
		*id = t->type;
		t = btf__type_by_id(btf, *id);
	}
	return t;
}

static size_t essential(const char *name)
{
	const char *p = strstr(name, "___");

	return p && p != name ? (size_t)(p - name) : strlen(name);
}

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
static int walk(const struct object *o, const struct obj_core *r,
		const uint32_t *at, uint32_t n, struct subject *s,
		struct err *e)
{
	uint32_t id = r->type, i;
	const struct btf_type *t = plain(o->btf, &id);
	int64_t size;

	s->index = at[0];
	for (i = 1; i < n; i++) {
		if (btf_is_array(t)) {
			id = btf_array(t)->type;
		} else if (btf_is_composite(t) && at[i] < btf_vlen(t)) {
			const struct btf_member *m = btf_members(t) + at[i];
			const char *name =
				btf__name_by_offset(o->btf, m->name_off);

			id = m->type;
			if (*name) {
				s->field = name;
				s->nfield++;
				append(s, name);
			}
		} else {
			return bad(o, r, e);
		}
		t = plain(o->btf, &id);
	}
	size = btf__resolve_size(o->btf, id);
	s->size = size > 0 ? size : 0;
	s->scalar = btf_is_int(t) || btf_is_any_enum(t) || btf_is_ptr(t);
	return 0;
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
	t = plain(o->btf, &id);
	name = btf__name_by_offset(o->btf,
				   btf__type_by_id(o->btf, r->type)->name_off);
	if (!*name)
		name = btf__name_by_offset(o->btf, t->name_off);
	s->type = arena_printf(a, "%.*s", (int)essential(name), name);
	s->is_struct = btf_is_struct(t);
	append(s, *s->type ? s->type : "(anonymous)");
	if (r->kind <= BPF_CORE_FIELD_RSHIFT_U64)
		return walk(o, r, at, n, s, e);
	if (r->kind == BPF_CORE_ENUMVAL_EXISTS ||
	    r->kind == BPF_CORE_ENUMVAL_VALUE) {
		uint32_t off;

		if (!btf_is_any_enum(t) || n != 1 || at[0] >= btf_vlen(t))
			return bad(o, r, e);
		off = btf_is_enum(t) ? btf_enum(t)[at[0]].name_off
				     : ((const __u32 *)(t + 1))[3 * at[0]];
		append(s, btf__name_by_offset(o->btf, off));
	}
	return 0;
}

static struct answer field_answer(uint32_t kind, const struct subject *s)
{
	struct answer no = { .known = kind == BPF_CORE_FIELD_EXISTS };
	struct answer yes = { .known = true };
	size_t i, n = sizeof(pt_regs) / sizeof(*pt_regs);

	if (strcmp(s->type, "pt_regs") || !s->is_struct || s->nfield != 1 ||
	    !s->scalar)
		return no;
	for (i = 0; i < n; i++)
		if (!strcmp(pt_regs[i].kernel, s->field) ||
		    !strcmp(pt_regs[i].other, s->field))
			break;
	if (i == n)
		return no;
	switch (kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
		yes.value =
			pt_regs[i].offset + (uint64_t)s->index * PT_REGS_SIZE;
		yes.old_size = s->size;
		break;
	case BPF_CORE_FIELD_BYTE_SIZE:
		yes.value = 8;
		break;
	case BPF_CORE_FIELD_EXISTS:
		yes.value = 1;
		break;
	default: /* unsigned; a whole word needs no shifts */
		yes.value = 0;
	}
	return yes;
}

static bool is_word(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = plain(btf, &id);

	return btf_is_int(t) && t->size == 8 &&
	       !(btf_int_encoding(t) & BTF_INT_SIGNED);
}

/* Is all that the object's struct pt_regs has in ours, under the kernel's
 * names? */
static bool matches(const struct object *o, uint32_t type)
{
	const struct btf_type *t = plain(o->btf, &type);
	size_t n = sizeof(pt_regs) / sizeof(*pt_regs), k;

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *name = btf__name_by_offset(o->btf, m->name_off);

		for (k = 0; k < n && strcmp(pt_regs[k].kernel, name); k++)
			;
		if (k == n || !is_word(o->btf, m->type))
			return false;
	}
	return true;
}

static struct answer answer(const struct object *o, const struct obj_core *r,
			    const struct subject *s)
{
	bool regs = s->is_struct && !strcmp(s->type, "pt_regs");

	switch (r->kind) {
	case BPF_CORE_TYPE_ID_LOCAL:
		return (struct answer){ .known = true, .value = r->type };
	case BPF_CORE_TYPE_ID_TARGET: /* there are no kernel type ids */
		return (struct answer){ .known = !regs };
	case BPF_CORE_TYPE_MATCHES:
		return (struct answer){ .known = true,
					.value = regs && matches(o, r->type) };
	case BPF_CORE_TYPE_EXISTS:
		return (struct answer){ .known = true, .value = regs };
	case BPF_CORE_TYPE_SIZE:
		return (struct answer){ .known = true,
					.value = regs ? PT_REGS_SIZE : 0 };
	case BPF_CORE_ENUMVAL_EXISTS:
		return (struct answer){ .known = true };
	case BPF_CORE_ENUMVAL_VALUE:
		return (struct answer){ .known = false };
	default:
		return field_answer(r->kind, s);
	}
}

static void poison(struct arena *a, struct object *o, struct bpf_insn *insn,
		   const struct obj_core *r, const struct subject *s)
{
	bool wide = insn->code == (BPF_LD | BPF_IMM | BPF_DW);
	const char *what = r->kind <= BPF_CORE_FIELD_RSHIFT_U64 ? "field"
			   : r->kind == BPF_CORE_ENUMVAL_VALUE  ? "enumerator"
								: "type";

	o->missing =
		arena_push(a, o->missing, o->nmissing, sizeof(*o->missing));
	o->missing[o->nmissing] = arena_printf(a, "%s '%s'", what, s->path);
	insn[0] = insn[wide] = (struct bpf_insn){
		.code = BPF_JMP | BPF_CALL,
		.imm = POISON + (int)o->nmissing++,
	};
}

/* Loads and stores change width with the field, where both are words. */
static bool resize(struct bpf_insn *insn, uint32_t old_size)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 }; /* W, H, B, DW */

	if (bytes[BPF_SIZE(insn->code) >> 3] != old_size)
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
		return !v->old_size || v->old_size == 8 ||
		       resize(insn, v->old_size);
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
	v = answer(o, r, &s);
	if (!v.known)
		poison(a, o, insn, r, &s);
	else if (!patch(insn, &v))
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
