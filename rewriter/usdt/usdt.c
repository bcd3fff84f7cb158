/* SPDX-License-Identifier: MIT */
/* usdt.c - give each link its spec, and each spec its program. */
#include <stdlib.h>

#include "rewriter/usdt/usdt.h"

#define SPECS "__bpf_usdt_specs"
#define IDS "__bpf_usdt_ip_to_spec_id"

struct usdt {
	struct arena *a;
	const struct image *img;
	struct bpf_set *set;
	struct usdt_spec **spec;
	size_t nspec;
	struct err *e;
};

/* Is any of its places told from the probed address? */
static bool by_site(const struct argspec *args)
{
	for (uint32_t i = 0; i < args->n; i++) {
		const struct operand *o = &args->arg[i];

		if (o->in_image || (o->kind == OPERAND_MEMORY &&
				    o->base == WORD_NONE && !o->fs))
			return true;
	}
	return false;
}

static bool shares(const struct usdt_spec *s, const struct link *l,
		   uint32_t object)
{
	return s->object == object && s->order == l->order &&
	       !strcmp(s->note->args, l->note->args) &&
	       (!s->by_site || s->site == l->addr);
}

static int spec_fill(struct usdt *u, const struct link *l, uint32_t object,
		     struct usdt_spec *s)
{
	if (l->note->sema && !image_at(u->img, l->note->sema, 2))
		return refuse(u->e, u->img->path, l->note->sema,
			      "the semaphore of %s:%s is not in the file's data",
			      l->note->provider, l->note->name);
	*s = (struct usdt_spec){ .note = l->note, .cookie = l->cookie,
				 .site = l->addr, .object = object,
				 .order = l->order, .prog = l->prog };
	if (argspec_parse(u->a, u->img, l->note->args, &s->args))
		return refuse(u->e, u->img->path, l->addr,
			      "%s:%s has more than %d arguments",
			      l->note->provider, l->note->name, ARGS_MAX);
	s->by_site = by_site(&s->args);
	for (size_t i = 0; i < u->nspec; i++)
		s->id += u->spec[i]->object == object;
	return 0;
}

static bool asks(const struct bpf_prog *p)
{
	for (uint32_t k = 1; k < p->nsub; k++)
		if (p->api[k])
			return true;
	return false;
}

/* Does the program name a map of that name? */
static bool names_map(const struct bpf_set *set, const struct bpf_prog *p,
		      const char *name)
{
	for (uint32_t i = 0; i < p->ninsn; i++) {
		const struct bpf_insn *insn = &p->insn[i];

		if (insn->code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		i++;
		if (insn->src_reg == BPF_PSEUDO_MAP_FD &&
		    !strcmp(set->map[insn->imm].name, name))
			return true;
	}
	return false;
}

/* The same program, for this spec. */
static int program_make(struct usdt *u, struct usdt_spec *s)
{
	struct bpf_set *set = u->set;
	struct bpf_prog p = set->prog[s->prog];

	if (asks(&p)) {
		if (fold_program(u->a, set, s, &p, u->e))
			return -1;
		set->prog = arena_push(u->a, set->prog, set->nprog,
				       sizeof(*set->prog));
		s->prog = set->nprog;
		set->prog[set->nprog++] = p;
	}
	if (s->unsaid && names_map(set, &p, SPECS))
		return refuse(u->e, set->object[p.object].path, NOWHERE,
			      "program '%s' reads %s by itself, "
			      "which cannot say '%s' of %s:%s",
			      p.name, SPECS, s->unsaid->text, s->note->provider,
			      s->note->name);
	return 0;
}

/* NULL: failed. */
static struct usdt_spec *spec_of(struct usdt *u, const struct link *l)
{
	uint32_t object = u->set->prog[l->prog].object;
	struct usdt_spec *s;

	for (size_t i = u->nspec; i-- > 0;) /* mostly one of the last */
		if (shares(u->spec[i], l, object))
			return u->spec[i];
	s = arena_alloc(u->a, sizeof(*s));
	if (spec_fill(u, l, object, s) || specs_write(u->a, u->set, s, u->e) ||
	    program_make(u, s))
		return NULL;
	u->spec = arena_push(u->a, u->spec, u->nspec, sizeof(*u->spec));
	u->spec[u->nspec++] = s;
	return s;
}

static bool is_read(const struct bpf_set *set, const struct links *links,
		    const char *name)
{
	for (size_t i = 0; i < links->nlink; i++)
		if (names_map(set, &set->prog[links->link[i].prog], name))
			return true;
	return false;
}

/* libbpf's maps are made for the worst case.  Where our answers have made them
 * superfluous they get as small as a map can be. */
static void maps_shrink(struct usdt *u, const struct links *links)
{
	bool specs = is_read(u->set, links, SPECS);
	bool ids = is_read(u->set, links, IDS);

	for (uint32_t m = 0; m < u->set->nmap; m++) {
		struct bpf_map_def *d = &u->set->map[m];
		uint32_t n = 0;

		for (size_t i = 0; i < u->nspec; i++)
			n += u->spec[i]->object == d->object;
		if (!specs && !strcmp(d->name, SPECS)) {
			d->max_entries = n ? n : 1;
			d->initial.n = n * align_up(d->value_size, 8);
		} else if (!ids && !strcmp(d->name, IDS)) {
			d->max_entries = 1;
		}
	}
}

static int by_order(const void *x, const void *y)
{
	const struct link *a = *(struct link *const *)x;
	const struct link *b = *(struct link *const *)y;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return a->note < b->note ? -1 : a->note > b->note;
}

int usdt_programs(struct arena *a, const struct image *img,
		  struct bpf_set *set, struct links *links, struct err *e)
{
	struct usdt u = { .a = a, .img = img, .set = set, .e = e };
	struct link **v = arena_alloc(a, (links->nlink + 1) * sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < links->nlink; i++)
		if (links->link[i].note)
			v[n++] = &links->link[i];
	if (n)
		qsort(v, n, sizeof(*v), by_order);
	for (size_t i = 0; i < n; i++) {
		const struct usdt_spec *s = spec_of(&u, v[i]);

		if (!s)
			return -1;
		v[i]->usdt = s;
		v[i]->cookie = s->id;
		v[i]->prog = s->prog;
	}
	if (n)
		maps_shrink(&u, links);
	return 0;
}
