/* SPDX-License-Identifier: MIT */
/* link.c - make each program complete: relocate, append what it calls.
 *
 *   section uprobe/x:f      section .text              the program
 *   [ prog A | prog B ]     [ f | g | h ]      ->      [ A | g | h ]
 *
 * As the kernel wants it, a program carries its own copy of every subprogram
 * it calls, each once, in the order in which they are met.  Relocations are
 * those of LLVM (R_BPF_64_64 on lddw, R_BPF_64_32 on calls); a static function
 * called within its section needs none.
 */
#include <stdlib.h>

#include "rewriter/bpf/object.h"

enum {
	SUBS_MAX = 256,      /* the kernel's */
	INSNS_MAX = 1000000, /* the kernel's, too */
	LDDW = BPF_LD | BPF_IMM | BPF_DW,
	CALL = BPF_JMP | BPF_CALL,
};

struct job {
	struct arena *a;
	const struct object *o;
	const struct bpf_set *set;
	struct bpf_prog *p;
	const struct obj_func *placed[SUBS_MAX];
	struct err *e;
};

static int complain(struct job *j, const struct obj_func *f, uint32_t i,
		    const char *what, const char *name)
{
	return fail(j->e, j->o->path, NOWHERE, "program '%s' (%s+%u): %s '%s'",
		    j->p->name, j->o->sec[f->sec].name, (f->start + i) * INSN,
		    what, name);
}

static void copy_lines(struct job *j, const struct obj_func *f, uint32_t base)
{
	const struct object *o = j->o;
	struct bpf_prog *p = j->p;
	uint32_t lo = 0, hi = o->nline;

	while (lo < hi) { /* first line of the function */
		uint32_t mid = lo + (hi - lo) / 2;
		const struct obj_line *l = &o->line[mid];

		if (l->sec < f->sec || (l->sec == f->sec && l->insn < f->start))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < o->nline; lo++) {
		const struct obj_line *l = &o->line[lo];

		if (l->sec != f->sec || l->insn >= f->start + f->n)
			return;
		p->line = arena_push(j->a, p->line, p->nline, sizeof(*p->line));
		p->line[p->nline++] = (struct bpf_line){
			.insn = base + l->insn - f->start,
			.file = l->file,
			.text = l->text,
			.line = l->line,
			.column = l->column,
		};
	}
}

/* Append a function's instructions as they are; *sub is its number. */
static int place(struct job *j, const struct obj_func *f, uint32_t *sub)
{
	const struct bpf_insn *from = j->o->sec[f->sec].insn + f->start;
	struct bpf_prog *p = j->p;
	uint32_t i;

	if (p->nsub == SUBS_MAX)
		return fail(j->e, j->o->path, NOWHERE,
			    "program '%s' has more than %u subprograms",
			    p->name, SUBS_MAX);
	if (p->ninsn + f->n > INSNS_MAX)
		return fail(j->e, j->o->path, NOWHERE,
			    "program '%s' is longer than %u instructions",
			    p->name, INSNS_MAX);
	copy_lines(j, f, p->ninsn);
	j->placed[p->nsub] = f;
	*sub = p->nsub;
	p->sub = arena_push(j->a, p->sub, p->nsub, sizeof(*p->sub));
	p->api = arena_push(j->a, p->api, p->nsub, sizeof(*p->api));
	p->api[p->nsub] = (uint8_t)types_api(j->o->btf, f->name);
	p->sub[p->nsub++] = p->ninsn;
	for (i = 0; i < f->n; i++) {
		p->insn = arena_push(j->a, p->insn, p->ninsn, sizeof(*p->insn));
		p->insn[p->ninsn++] = from[i];
	}
	return 0;
}

static int relocate(struct job *j, uint32_t sub);

/* The first instruction of function `sec`+`start` in the program. */
static int sub_at(struct job *j, const struct obj_func *from, uint32_t i,
		  uint32_t sec, uint64_t start, uint32_t *at)
{
	const struct obj_func *f = object_func(j->o, sec, start);
	uint32_t sub;

	if (!f)
		return complain(j, from, i, "call into the middle of",
				sec < j->o->nsec ? j->o->sec[sec].name : "?");
	for (sub = 0; sub < j->p->nsub; sub++)
		if (j->placed[sub] == f) {
			*at = j->p->sub[sub];
			return 0;
		}
	if (place(j, f, &sub))
		return -1;
	*at = j->p->sub[sub];
	return relocate(j, sub);
}

static const struct obj_symbol *symbol_of(const struct job *j,
					  const struct obj_func *f, uint32_t i)
{
	const struct obj_reloc *r =
		object_reloc(&j->o->sec[f->sec], (f->start + i) * INSN);

	return r ? &j->o->sym[r->sym] : NULL;
}

static int call(struct job *j, const struct obj_func *f, uint32_t i,
		uint32_t at)
{
	const struct obj_symbol *s = symbol_of(j, f, i);
	struct bpf_insn *insn = &j->p->insn[at];
	uint32_t sec = f->sec, to;
	int64_t start = (int64_t)f->start + i + insn->imm + 1;

	if (s && s->sec == SHN_UNDEF) {
		if (session_call(j->p, insn, s->name) ||
		    kfunc_call(j->p, insn, s->name))
			return 0;
		if (s->bind != STB_WEAK)
			return refuse(j->e, j->o->path, NOWHERE,
				      "program '%s': kernel function '%s' is "
				      "not supported",
				      j->p->name, s->name);
		/* The program asked whether it exists and was told no. */
		*insn = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV };
		return 0;
	}
	if (s) {
		if (s->value % INSN)
			return complain(j, f, i, "misaligned call of", s->name);
		sec = s->sec;
		start = (int64_t)(s->value / INSN) + insn->imm + 1;
	}
	if (start < 0)
		return complain(j, f, i, "call out of", j->o->sec[f->sec].name);
	if (sub_at(j, f, i, sec, start, &to))
		return -1;
	insn = &j->p->insn[at]; /* may have moved */
	insn->src_reg = BPF_PSEUDO_CALL;
	insn->imm = (int64_t)to - at - 1;
	return 0;
}

static int func_pointer(struct job *j, const struct obj_func *f, uint32_t i,
			uint32_t at, const struct obj_symbol *s)
{
	int64_t off = (int64_t)s->value + j->p->insn[at].imm;
	uint32_t to;

	if (off < 0 || off % INSN)
		return complain(j, f, i, "pointer into the middle of", s->name);
	if (sub_at(j, f, i, s->sec, off / INSN, &to))
		return -1;
	j->p->insn[at].src_reg = BPF_PSEUDO_FUNC;
	j->p->insn[at].imm = to;
	j->p->insn[at + 1].imm = 0;
	return 0;
}

static uint32_t map_named(const struct job *j, const char *name)
{
	uint32_t i;

	for (i = 0; i < j->set->nmap; i++) {
		const struct bpf_map_def *m = &j->set->map[i];

		if (m->object == j->o->index && !m->data &&
		    !strcmp(m->name, name))
			return i;
	}
	return NO_MAP;
}

static int data_ref(struct job *j, const struct obj_func *f, uint32_t i,
		    struct bpf_insn *insn, const struct obj_symbol *s,
		    uint32_t map)
{
	int64_t off;

	if (__builtin_add_overflow(s->value, insn[0].imm, &off) || off < 0 ||
	    off > j->set->map[map].value_size)
		return complain(j, f, i, "reference outside", s->name);
	insn[0].src_reg = BPF_PSEUDO_MAP_VALUE;
	insn[0].imm = map;
	insn[1].imm = off;
	return 0;
}

static int extern_ref(struct job *j, struct bpf_insn *insn,
		      const struct obj_symbol *s)
{
	uint32_t off;

	if (vars_extern(j->o, j->set, s->name, &off)) {
		insn[0].src_reg = BPF_PSEUDO_MAP_VALUE;
		insn[0].imm = j->o->kconfig;
		insn[1].imm = off;
		return 0;
	}
	if (s->bind != STB_WEAK && !kfunc_exists(s->name))
		return refuse(j->e, j->o->path, NOWHERE,
			      "program '%s': kernel symbol '%s' is not "
			      "supported",
			      j->p->name, s->name);
	insn[0].src_reg = 0; /* a weak symbol that is not there is NULL */
	insn[0].imm = kfunc_exists(s->name);
	insn[1].imm = 0;
	return 0;
}

static int lddw(struct job *j, const struct obj_func *f, uint32_t i,
		uint32_t at)
{
	const struct obj_symbol *s = symbol_of(j, f, i);
	struct bpf_insn *insn = &j->p->insn[at];
	const struct obj_section *sec;
	uint32_t map;

	if (!s) {
		if (insn->src_reg)
			return fail(j->e, j->o->path, NOWHERE,
				    "program '%s' (%s+%u): lddw of kind %u "
				    "without a relocation",
				    j->p->name, j->o->sec[f->sec].name,
				    (f->start + i) * INSN, insn->src_reg);
		return 0;
	}
	if (s->sec == SHN_UNDEF)
		return extern_ref(j, insn, s);
	if (s->sec >= j->o->nsec)
		return complain(j, f, i, "reference to absolute", s->name);
	sec = &j->o->sec[s->sec];
	if (sec->insn)
		return func_pointer(j, f, i, at, s);
	if (sec->map != NO_MAP)
		return data_ref(j, f, i, insn, s, sec->map);
	map = strcmp(sec->name, ".maps") ? NO_MAP : map_named(j, s->name);
	if (map == NO_MAP)
		return complain(j, f, i, "reference to unknown", s->name);
	if (j->set->map[map].not_traced)
		return refuse(j->e, j->o->path, NOWHERE,
			      "program '%s': the kernel lets no tracing program "
			      "have map '%s', as its values hold a struct %s",
			      j->p->name, s->name,
			      j->set->map[map].not_traced);
	insn[0].src_reg = BPF_PSEUDO_MAP_FD;
	insn[0].imm = map;
	insn[1].imm = 0;
	return 0;
}

/* Only symbols lead to these numbers. */
static bool is_ours(int32_t helper)
{
	return (helper >= HELPERS_OURS && helper < HELPERS_END) ||
	       helper == COOKIE_CALL;
}

/* Relocate one placed function, appending what it refers to. */
static int relocate(struct job *j, uint32_t sub)
{
	const struct obj_func *f = j->placed[sub];
	uint32_t base = j->p->sub[sub], i;

	for (i = 0; i < f->n; i++) {
		const struct bpf_insn *insn = &j->p->insn[base + i];

		if (insn->code == LDDW) {
			if (i + 1 >= f->n)
				return complain(j, f, i, "half an lddw in",
						f->name);
			if (lddw(j, f, i, base + i))
				return -1;
			i++;
		} else if (insn->code == CALL &&
			   (insn->src_reg == BPF_PSEUDO_CALL ||
			    insn->src_reg == BPF_PSEUDO_KFUNC_CALL ||
			    symbol_of(j, f, i))) {
			if (call(j, f, i, base + i))
				return -1;
		} else if (insn->code == CALL && is_ours(insn->imm)) {
			return fail(j->e, j->o->path, NOWHERE,
				    "program '%s': call of unknown helper #%d",
				    j->p->name, insn->imm);
		} else if (symbol_of(j, f, i)) {
			return complain(j, f, i,
					"relocation of an "
					"instruction against",
					symbol_of(j, f, i)->name);
		}
	}
	return 0;
}

int link_prog(struct arena *a, const struct object *o,
	      const struct bpf_set *set, const struct obj_func *main,
	      struct bpf_prog *p, struct err *e)
{
	struct job j = { .a = a, .o = o, .set = set, .p = p, .e = e };
	uint32_t sub;

	return place(&j, main, &sub) || relocate(&j, sub) ? -1 : 0;
}
