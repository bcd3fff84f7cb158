/* SPDX-License-Identifier: MIT */
/* bind.c - from what was said to addresses.
 *
 * An address that is not the beginning of an instruction is an error, where the
 * kernel would patch it and break the target.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rewriter/bind.h"
#include "rewriter/named.h"
#include "rewriter/names.h"

struct bind {
	struct arena *a;
	const struct sites *s;
	const struct image *img;
	const struct bpf_set *set;
	struct links *out;
	struct sdt_note *note; /* read when the first USDT probe is wanted */
	size_t nnote;
	const char *const *opt; /* of the command line */
	uint32_t nopt;
	uint32_t order, session;
	const char *homeless; /* what to add for programs without a target */
	const char *kernels;  /* SEC() of the first that names the kernel's */
	uint32_t nhomeless;
	bool rest; /* bind_rest() */
	struct err *e;
};
enum {
	HOMELESS_SHOWN = 4
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool same_file(const char *x, const char *y)
{
	struct stat a, b;

	return !stat(x, &a) && !stat(y, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Does the binary that a SEC() names mean this target? */
static bool is_target(const struct image *img, const char *binary)
{
	if (!binary || !*binary || !strcmp(binary, "/proc/self/exe"))
		return true;
	if (!strcmp(base_name(binary), base_name(img->path)))
		return true;
	if (img->soname && !strcmp(base_name(binary), img->soname))
		return true;
	return strchr(binary, '/') && same_file(binary, img->path);
}

static const struct func *function_of(const struct bind *b, uint64_t addr)
{
	const struct func *f = func_at(b->s, addr);

	return f ? f : func_around(b->s, addr);
}

/* --- links ------------------------------------------------------------- */

static void add_one(struct bind *b, uint32_t prog, const struct spec *sp,
		    const struct func *f, uint64_t addr, enum link_when when)
{
	struct links *l = b->out;

	l->link = arena_push(b->a, l->link, l->nlink, sizeof(*l->link));
	l->link[l->nlink++] = (struct link){
		.prog = prog,
		.when = (uint8_t)when,
		.addr = addr,
		.func = f,
		.offset = addr - f->addr,
		.cookie = sp->cookie,
		.order = b->order,
		.session = sp->kind == SPEC_SESSION ? b->session : 0,
		.glob = sp->glob,
	};
}

static void add_link(struct bind *b, uint32_t prog, const struct spec *sp,
		     const struct func *f, uint64_t addr)
{
	b->session++;
	if (sp->kind != SPEC_URETPROBE)
		add_one(b, prog, sp, f, addr, WHEN_REACHED);
	else
		add_one(b, prog, sp, f, addr, WHEN_RETURNED);
	if (sp->kind == SPEC_SESSION)
		add_one(b, prog + 1, sp, f, addr, WHEN_RETURNED);
}

static int bad_boundary(struct bind *b, uint64_t addr, uint64_t before,
			uint64_t after)
{
	return fail(b->e, b->img->path, addr,
		    "not the beginning of an instruction; the nearest are "
		    "0x%" PRIx64 " and 0x%" PRIx64,
		    before, after);
}

static int link_at(struct bind *b, uint32_t prog, const struct spec *sp,
		   uint64_t addr)
{
	const struct func *f = function_of(b, addr);
	uint64_t before = 0, after = 0;

	if (!f)
		return fail(b->e, b->img->path, addr,
			    "no function is known at this address%s",
			    sites_nothing(b->s));
	if (addr != f->addr &&
	    (sp->kind == SPEC_URETPROBE || sp->kind == SPEC_SESSION))
		return fail(b->e, b->img->path, addr,
			    "a return probe needs a function's entry; '%s' "
			    "begins at 0x%" PRIx64,
			    f->name, f->addr);
	if (addr != f->addr) {
		int ok = code_boundary(b->s, addr, &before, &after);

		if (!ok)
			return bad_boundary(b, addr, before, after);
		if (ok < 0)
			return fail(b->e, b->img->path, addr,
				    "cannot tell whether an instruction of "
				    "'%s' begins here",
				    f->name);
	}
	add_link(b, prog, sp, f, addr);
	return 0;
}

static int link_function(struct bind *b, uint32_t prog, const struct spec *sp)
{
	const struct func *f;
	uint64_t addr = 0;

	if (function_named(b->a, b->s, sp, &addr, b->e))
		return -1;
	f = function_of(b, addr);
	if (f && f->addr == addr && f->size && sp->offset >= f->size)
		return fail(b->e, b->img->path, addr,
			    "offset 0x%" PRIx64 " is past the end of '%s' "
			    "(0x%" PRIx64 " bytes)",
			    sp->offset, sp->func, f->size);
	return link_at(b, prog, sp, addr + sp->offset);
}

/* Any of the function's names, as a function. */
static bool any_name(const struct bind *b, const struct func *f,
		     const struct spec *sp)
{
	uint32_t i;

	for (i = f->sym; i < f->sym + f->nsym; i++)
		if (b->img->sym[i].type == STT_FUNC &&
		    sp->matches(b->img->sym[i].name, sp->func))
			return true;
	return (!f->named || !f->nsym) && f->name &&
	       sp->matches(f->name, sp->func);
}

/* Is a function called as the pattern is written? */
static bool is_name(const struct bind *b, const struct spec *sp)
{
	for (size_t i = 0; i < b->img->nsym; i++)
		if (b->img->sym[i].type == STT_FUNC &&
		    !strcmp(b->img->sym[i].name, sp->func))
			return true;
	return false;
}

static int link_glob(struct bind *b, uint32_t prog, const struct spec *sp)
{
	const char *hint = name_hint(b->a, b->img, sp->func);
	const char *nothing = sites_nothing(b->s);
	size_t i, n = b->out->nlink;

	if (sp->literal)
		return fail(b->e, b->img->path, NOWHERE,
			    "no function '%s', and only uprobe.multi and -p "
			    "take a pattern",
			    sp->func);
	if (sp->offset)
		return misuse(b->e, "'%s': a pattern takes no offset",
			      sp->func);
	for (i = 0; i < b->s->nfunc; i++) {
		const struct func *f = &b->s->func[i];

		if (!f->fragment && any_name(b, f, sp))
			add_link(b, prog, sp, f, f->addr);
	}
	if (b->out->nlink == n)
		return fail(b->e, b->img->path, NOWHERE,
			    "no function matches '%s'%s", sp->func,
			    hint       ? hint
			    : *nothing ? nothing
				       : name_missing(b->a, b->img, sp->func));
	return 0;
}

/* Prefix a message about the target with the program it is for. */
static int name_program(struct bind *b, uint32_t prog, bool skippable)
{
	const char *what = arena_strdup(b->a, b->e->what);
	const char *name = b->set->prog[prog].name;

	snprintf(b->e->what, sizeof(b->e->what), "program '%s': %s%s%s%s", name,
		 what, skippable ? "; -p " : "", skippable ? name : "",
		 skippable ? "=none leaves it out" : "");
	return -1;
}

static int no_probe(struct bind *b, const struct spec *sp)
{
	const char **name = arena_alloc(b->a, (b->nnote + 1) * sizeof(*name));

	for (size_t i = 0; i < b->nnote; i++)
		name[i] = arena_printf(b->a, "%s:%s", b->note[i].provider,
				       b->note[i].name);
	return fail(b->e, b->img->path, NOWHERE, "no USDT probe '%s'%s",
		    sp->func, names_closest(b->a, sp->func, name, b->nnote));
}

/* All sites of all probes that are meant. */
static int link_usdt(struct bind *b, uint32_t prog, const struct spec *sp)
{
	size_t before = b->out->nlink;

	if (!b->note && sdt_notes_read(b->a, b->img, &b->note, &b->nnote, b->e))
		return -1;
	for (size_t i = 0; i < b->nnote; i++) {
		const struct sdt_note *n = &b->note[i];
		const char *name =
			arena_printf(b->a, "%s:%s", n->provider, n->name);

		if (!sp->matches(name, sp->func))
			continue;
		if (link_at(b, prog, sp, n->addr))
			return -1;
		b->out->link[b->out->nlink - 1].note = n;
	}
	return b->out->nlink > before ? 0 : no_probe(b, sp);
}

static int link_spec(struct bind *b, uint32_t prog, const struct spec *sp)
{
	struct spec one = *sp;
	int bad;

	one.glob = sp->glob && !is_name(b, sp);
	bad = sp->kind == SPEC_USDT ? link_usdt(b, prog, sp)
	      : sp->by_addr         ? link_at(b, prog, &one, sp->addr)
	      : one.glob            ? link_glob(b, prog, &one)
				    : link_function(b, prog, &one);

	b->order++;
	return bad ? name_program(b, prog, false) : 0;
}

/* --- programs and options ---------------------------------------------- */

static bool option_for(const char *opt, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(opt, name, n) && opt[n] == '=';
}

static bool says_none(const char *opt)
{
	const char *eq = strchr(opt, '=');

	return eq && !strcmp(eq + 1, "none");
}

const char **bind_without(struct arena *a, const char *const *opt,
			  uint32_t nopt, uint32_t *n)
{
	const char **name = NULL;

	*n = 0;
	for (uint32_t i = 0; i < nopt; i++) {
		if (!says_none(opt[i]))
			continue;
		name = arena_push(a, name, *n, sizeof(*name));
		name[(*n)++] = arena_printf(a, "%.*s",
					    (int)strcspn(opt[i], "="), opt[i]);
	}
	return name;
}

static int unknown_program(struct bind *b, const char *opt, size_t len)
{
	const struct bpf_set *set = b->set;
	const char **known = arena_alloc(b->a, set->nprog * sizeof(*known));
	const char *name = arena_printf(b->a, "%.*s", (int)len, opt);
	uint32_t i;

	for (i = 0; i < set->nunusable; i++)
		if (!strcmp(set->unusable[i].name, name)) {
			if (says_none(opt))
				return 0;
			*b->e = set->unusable[i].why;
			return -1;
		}
	for (i = 0; i < set->nprog; i++)
		known[i] = set->prog[i].name;
	return misuse(b->e, "-p %s: no program '%s'%s", opt, name,
		      names_closest(b->a, name, known, set->nprog));
}

/* PROG=none, and no place besides. */
static int only_none(struct bind *b, const char *opt)
{
	size_t len = strcspn(opt, "=") + 1;

	for (uint32_t i = 0; i < b->nopt; i++)
		if (!strncmp(b->opt[i], opt, len) && !says_none(b->opt[i]))
			return misuse(b->e, "-p %s: but there is -p %s", opt,
				      b->opt[i]);
	return 0;
}

static int check_option(struct bind *b, const char *opt)
{
	size_t len = strcspn(opt, "=");
	const struct bpf_prog *found = NULL;
	uint32_t i;

	if (!len || !opt[len])
		return misuse(b->e, "-p %s: not PROGRAM=PROBE", opt);
	for (i = 0; i < b->set->nprog; i++) {
		const struct bpf_prog *p = &b->set->prog[i];

		if (!option_for(opt, p->name) || p->session == SESSION_RETURN)
			continue;
		if (found)
			return misuse(b->e,
				      "-p %s: two objects have a "
				      "program '%s'",
				      opt, p->name);
		found = p;
	}
	if (!found)
		return unknown_program(b, opt, len);
	if (says_none(opt))
		return only_none(b, opt);
	if (!spec_takes_regs(found->section))
		return refuse(b->e, NULL, NOWHERE,
			      "-p %s: a program of SEC(\"%s\") cannot run on "
			      "a uprobe",
			      opt, found->section);
	return 0;
}

static int bind_option(struct bind *b, uint32_t prog, const char *opt)
{
	struct spec sp;

	if (says_none(opt))
		return 0;
	if (spec_parse(b->a, strchr(opt, '=') + 1, &sp, b->e))
		return name_program(b, prog, false);
	if (!is_target(b->img, sp.binary))
		return misuse(b->e, "-p %s: '%s' is not the target '%s'", opt,
			      sp.binary, b->img->path);
	if (b->set->prog[prog].session == SESSION_ENTRY) {
		if (sp.kind != SPEC_UPROBE || sp.offset)
			return misuse(b->e,
				      "-p %s: a session is on entry and return "
				      "of a function: uprobe:FUNCTION",
				      opt);
		sp.kind = SPEC_SESSION;
	}
	return link_spec(b, prog, &sp);
}

/* It is judged all the same. */
static int homeless(struct bind *b, uint32_t prog)
{
	struct links *l = b->out;

	l->homeless = arena_push(b->a, l->homeless, l->nhomeless,
				 sizeof(*l->homeless));
	l->homeless[l->nhomeless++] = prog;
	return 0;
}

/* All of them are said at once, and how to go on. */
static void no_target(struct bind *b, uint32_t prog, const char *suggest)
{
	const struct bpf_prog *p = &b->set->prog[prog];

	if (!b->kernels && spec_is_kernels(p->section))
		b->kernels = arena_printf(b->a,
					  "SEC(\"%s\") names a function of the "
					  "kernel, and those are not probed; ",
					  p->section);
	if (b->nhomeless++ >= HOMELESS_SHOWN)
		return;
	b->homeless =
		arena_printf(b->a, "%s -p %s=%s",
			     b->homeless ? b->homeless : "", p->name, suggest);
}

static int without_target(struct bind *b)
{
	return misuse(b->e,
		      "%u program%s no target: %sadd%s%s (PROG=none leaves "
		      "one out)",
		      b->nhomeless, b->nhomeless == 1 ? " has" : "s have",
		      b->kernels ? b->kernels : "", b->homeless,
		      b->nhomeless > HOMELESS_SHOWN ? " ..." : "");
}

static int bind_section(struct bind *b, uint32_t prog)
{
	const struct bpf_prog *p = &b->set->prog[prog];
	const char *file = b->set->object[p->object].path;
	const char *suggest = spec_suggest(b->a, p->section);
	bool has_target;
	struct spec sp;
	int bad;

	if (p->optional)
		return 0;
	bad = spec_parse_sec(b->a, p->section, &sp, &has_target, b->e);
	if (b->rest && (bad || !has_target) &&
	    (suggest || bpf_in_map(b->set, prog)))
		return homeless(b, prog);
	if ((bad || !has_target) && bpf_in_map(b->set, prog))
		return 0;
	if (suggest && (bad || !has_target)) {
		no_target(b, prog, suggest);
		return 0;
	}
	if (bad) {
		b->e->file = file;
		return name_program(b, prog, true);
	}
	if (!is_target(b->img, sp.binary)) {
		b->out->nskipped++;
		return 0;
	}
	return link_spec(b, prog, &sp);
}

static int nothing_left(struct bind *b)
{
	const char *list = "";
	bool has_target;
	struct spec sp;
	struct err e;
	uint32_t i, n = 0;

	for (i = 0; i < b->set->nprog && n < 4; i++) {
		const struct bpf_prog *p = &b->set->prog[i];

		if (p->optional ||
		    spec_parse_sec(b->a, p->section, &sp, &has_target, &e) ||
		    !has_target)
			continue;
		list = arena_printf(b->a, "%s%s'%s' is for %s", list,
				    n++ ? ", " : ": ", p->name, sp.binary);
	}
	return fail(b->e, b->img->path, NOWHERE,
		    "no program is for this target%s", list);
}

static int by_addr(const void *x, const void *y)
{
	const struct link *a = x, *b = y;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	if (a->when != b->when)
		return a->when < b->when ? -1 : 1;
	return a->order > b->order ? -1 : a->order < b->order;
}

static int bind_program(struct bind *b, uint32_t prog)
{
	const struct bpf_prog *p = &b->set->prog[prog];
	bool named = false;

	if (p->session == SESSION_RETURN)
		return 0; /* comes with the one before it */
	for (uint32_t k = 0; k < b->nopt; k++) {
		if (!option_for(b->opt[k], p->name))
			continue;
		named = true;
		if ((b->rest && check_option(b, b->opt[k])) ||
		    bind_option(b, prog, b->opt[k]))
			return -1;
	}
	return named ? 0 : bind_section(b, prog);
}

int bind_links(struct arena *a, const struct sites *s,
	       const struct bpf_set *set, const char *const *opt, uint32_t nopt,
	       struct links *out, struct err *e)
{
	struct bind b = { .a = a,
			  .s = s,
			  .img = s->img,
			  .set = set,
			  .out = out,
			  .opt = opt,
			  .nopt = nopt,
			  .e = e };
	uint32_t prog, k;

	memset(out, 0, sizeof(*out));
	for (k = 0; k < nopt; k++)
		if (check_option(&b, opt[k]))
			return -1;
	for (prog = 0; prog < set->nprog; prog++)
		if (bind_program(&b, prog))
			return -1;
	if (b.nhomeless)
		return without_target(&b);
	if (!out->nlink)
		return nothing_left(&b);
	qsort(out->link, out->nlink, sizeof(*out->link), by_addr);
	return 0;
}

void bind_rest(struct arena *a, const struct sites *s,
	       const struct bpf_set *set, const char *const *opt, uint32_t nopt,
	       struct links *out)
{
	struct err e;
	struct bind b = { .a = a,
			  .s = s,
			  .img = s->img,
			  .set = set,
			  .out = out,
			  .opt = opt,
			  .nopt = nopt,
			  .rest = true,
			  .e = &e };

	memset(out, 0, sizeof(*out));
	for (uint32_t prog = 0; prog < set->nprog; prog++) {
		size_t before = out->nlink;

		if (!bind_program(&b, prog))
			continue;
		out->nlink = before;
		out->lost = arena_push(a, out->lost, out->nlost,
				       sizeof(*out->lost));
		out->lost[out->nlost++] =
			(struct lost){ .prog = prog, .why = e };
	}
	if (out->nlink)
		qsort(out->link, out->nlink, sizeof(*out->link), by_addr);
}
