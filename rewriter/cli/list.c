/* SPDX-License-Identifier: MIT */
/* list.c - bpfweld list TARGET [GLOB]: what can be probed.
 *
 * One line each: address, size, what knows of it (a frame description, a
 * symbol, both, or Go's function table alone), name.  A function of several
 * names is listed once, under the name that the glob matches; -j has all names.
 * USDT probes follow, a line a site, with their arguments as they stand in the
 * note.  System call instructions are shown on request only: all code must be
 * decoded to find them.
 */
#include <inttypes.h>

#include "elf/note.h"
#include "rewriter/cli/cli.h"
#include "rewriter/cli/explain.h"
#include "rewriter/named.h"
#include "rewriter/names.h"
#include "rewriter/site/site.h"
#include "rewriter/usdt/argspec.h"
#include "rewriter/weld.h"

static const char usage[] =
	"usage: bpfweld list TARGET [GLOB] [--usdt | --syscalls] [-j]\n"
	"Lists the functions of an ELF file: address, size, known from (fde,\n"
	"symbol, both, go, calls), name; and its USDT probes: address, usdt,\n"
	"PROVIDER:NAME, arguments.  --usdt lists only those; --syscalls the system\n"
	"call instructions: address, number, syscall, place.  GLOB (* ? [a-z] [!a-z])\n"
	"selects by any name of a function, or by PROVIDER:NAME.  A function without\n"
	"a symbol is called fn_ADDRESS; a fragment is a part of another function\n"
	"(.cold) and no entry.\n";

struct list {
	struct arena *a;
	const struct sites *s;
	const char *glob; /* or NULL */
	bool text;
	bool usdt, syscalls; /* nothing else */
	struct json j;
	size_t n;         /* shown */
	struct err *e;
};

struct name {
	const char *name, *version;
};

static bool by_symbol(const struct image *img, const struct func *f)
{
	for (uint32_t i = f->sym; i < f->sym + f->nsym; i++)
		if (img->sym[i].from != SYM_GO)
			return true;
	return false;
}

const char *known_from(const struct image *img, const struct func *f)
{
	const struct fde *fde = image_fde(img, f->addr);

	if (!fde || fde->start != f->addr)
		return by_symbol(img, f) ? "symbol" : f->go ? "go" : "calls";
	return f->named ? "both" : "fde";
}

static bool is_function_name(const struct symbol *y)
{
	return y->type == STT_FUNC || y->type == STT_GNU_IFUNC;
}

/* The name under which f is listed; false when the glob wants none of its. */
static bool pick(const struct image *img, const struct func *f,
		 const char *glob, struct name *out)
{
	*out = (struct name){ f->name, f->version };
	if (!glob || name_matches(f->name, glob))
		return true;
	for (uint32_t i = f->sym; i < f->sym + f->nsym; i++) {
		const struct symbol *y = &img->sym[i];

		if (!is_function_name(y) || !name_matches(y->name, glob))
			continue;
		*out = (struct name){ y->name, y->version };
		return true;
	}
	return false;
}

static void print_text(const struct image *img, const struct func *f,
		       const struct name *n)
{
	say("0x%012" PRIx64 " %8" PRIu64 " %-6s %s%s%s%s\n", f->addr, f->size,
	    known_from(img, f), n->name, n->version ? "@" : "",
	    n->version ? n->version : "", f->fragment ? " (fragment)" : "");
}

static void print_aliases(struct json *j, const struct image *img,
			  const struct func *f, const struct name *n)
{
	json_key(j, "aliases");
	json_array(j);
	for (uint32_t i = f->sym; i < f->sym + f->nsym; i++) {
		const struct symbol *y = &img->sym[i];
		bool again = strcmp(y->name, n->name) == 0;

		for (uint32_t k = f->sym; k < i && !again; k++)
			again = strcmp(y->name, img->sym[k].name) == 0;
		if (is_function_name(y) && y->name[0] && !again)
			json_string(j, y->name);
	}
	json_end(j);
}

static void print_json(struct json *j, const struct image *img,
		       const struct func *f, const struct name *n)
{
	json_object(j);
	json_str_at(j, "name", n->name);
	if (n->version)
		json_str_at(j, "version", n->version);
	json_hex_at(j, "addr", f->addr);
	json_u64_at(j, "size", f->size);
	json_str_at(j, "known_from", known_from(img, f));
	json_bool_at(j, "fragment", f->fragment);
	if (f->nsym > 1)
		print_aliases(j, img, f, n);
	json_end(j);
}

/* One more is shown.  The array begins with the first, so that an error is
 * not inside it. */
static void next(struct list *l)
{
	if (!l->text && !l->n)
		json_array(&l->j);
	l->n++;
}

static void functions(struct list *l)
{
	struct name n;

	for (size_t i = 0; i < l->s->nfunc; i++) {
		const struct func *f = &l->s->func[i];

		if (!pick(l->s->img, f, l->glob, &n))
			continue;
		next(l);
		if (l->text)
			print_text(l->s->img, f, &n);
		else
			print_json(&l->j, l->s->img, f, &n);
	}
}

static void argument_json(struct json *j, const struct operand *o)
{
	json_object(j);
	json_str_at(j, "operand", o->text);
	json_u64_at(j, "size", o->size);
	json_bool_at(j, "signed", o->is_signed);
	json_bool_at(j, "float", o->is_float);
	if (o->why)
		json_str_at(j, "unreadable", o->why);
	json_end(j);
}

static void probe_json(struct list *l, const struct sdt_note *n)
{
	const struct func *f = func_around(l->s, n->addr);
	struct argspec args;

	json_object(&l->j);
	json_str_at(&l->j, "provider", n->provider);
	json_str_at(&l->j, "name", n->name);
	json_hex_at(&l->j, "addr", n->addr);
	json_str_at(&l->j, "known_from", "usdt");
	if (f) {
		json_str_at(&l->j, "function", f->name);
		json_u64_at(&l->j, "offset", n->addr - f->addr);
	}
	if (n->sema)
		json_hex_at(&l->j, "semaphore", n->sema);
	argspec_parse(l->a, l->s->img, n->args, &args);
	json_key(&l->j, "arguments");
	json_array(&l->j);
	for (uint32_t i = 0; i < args.n; i++)
		argument_json(&l->j, &args.arg[i]);
	json_end(&l->j);
	json_end(&l->j);
}

static void probes(struct list *l, const struct sdt_note *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct sdt_note *p = &v[i];
		const char *name = arena_printf(l->a, "%s:%s", p->provider,
						p->name);

		if (l->glob && !name_matches(name, l->glob))
			continue;
		next(l);
		if (l->text)
			say("0x%012" PRIx64 "        - usdt   %s%s%s%s\n",
			    p->addr, name, *p->args ? " " : "", p->args,
			    p->sema ? " (semaphore)" : "");
		else
			probe_json(l, p);
	}
}

static void syscall_show(struct list *l, const struct syscall_site *y)
{
	next(l);
	if (l->text) {
		say("0x%012" PRIx64 " %8s syscall %s+0x%" PRIx64 "\n", y->addr,
		    y->number < 0 ? "-"
				  : arena_printf(l->a, "%" PRId64, y->number),
		    y->func->name, y->addr - y->func->addr);
		return;
	}
	json_object(&l->j);
	json_hex_at(&l->j, "addr", y->addr);
	json_str_at(&l->j, "known_from", "syscall");
	json_str_at(&l->j, "function", y->func->name);
	json_u64_at(&l->j, "offset", y->addr - y->func->addr);
	if (y->number >= 0)
		json_u64_at(&l->j, "number", (uint64_t)y->number);
	json_end(&l->j);
}

static void syscalls(struct list *l)
{
	struct name name;
	size_t n;

	for (size_t i = 0; i < l->s->nfunc; i++) {
		const struct func *f = &l->s->func[i];
		const struct syscall_site *v;

		if (!pick(l->s->img, f, l->glob, &name))
			continue;
		v = syscalls_of(l->a, l->s, f, &n);
		for (size_t k = 0; k < n; k++)
			syscall_show(l, &v[k]);
	}
}

static int no_match(struct list *l, const struct sdt_note *note, size_t nnote)
{
	const struct sites *s = l->s;
	const char **name =
		arena_alloc(l->a, (s->nfunc + nnote + 1) * sizeof(*name));
	size_t n = 0;

	for (size_t i = 0; i < s->nfunc && !l->usdt; i++)
		name[n++] = s->func[i].name;
	for (size_t i = 0; i < nnote; i++)
		name[n++] = arena_printf(l->a, "%s:%s", note[i].provider,
					 note[i].name);
	return fail(l->e, s->img->path, NOWHERE, "no %s matches %s%s%s",
		    l->syscalls ? "function with a system call"
		    : l->usdt   ? "USDT probe"
				: "function",
		    l->glob, names_closest(l->a, l->glob, name, n),
		    l->usdt     ? ""
		    : !s->nfunc ? sites_nothing(s)
				: name_missing(l->a, s->img, l->glob));
}

/* No error: what was asked for is an empty list. */
static void warn_of_nothing(const struct list *l)
{
	const char *why = l->usdt ? "" : sites_nothing(l->s);

	if (!l->n && *why)
		fprintf(stderr, "bpfweld: %s%s\n", l->s->img->path, why);
}

static int list(struct list *l)
{
	struct sdt_note *note;
	size_t nnote;

	if (sdt_notes_read(l->a, l->s->img, &note, &nnote, l->e))
		return -1;
	if (l->syscalls)
		syscalls(l);
	if (!l->syscalls && !l->usdt)
		functions(l);
	if (!l->syscalls)
		probes(l, note, nnote);
	if (!l->n && l->glob)
		return no_match(l, note, nnote);
	warn_of_nothing(l);
	if (!l->text) {
		if (!l->n)
			json_array(&l->j);
		json_end(&l->j);
		json_done(&l->j);
	}
	return 0;
}

int cmd_list(int argc, char **argv)
{
	struct arena a = { 0 };
	struct image img = { 0 };
	struct sites s;
	struct cli cli;
	struct err e;
	struct list l = { .a = &a, .s = &s, .e = &e };
	int ret = 0;

	if (cli_parse(argc, argv, "jUS", &cli, &e))
		return cli_fail(&e, cli.json);
	if (cli.help) {
		cli_help(usage);
		return 0;
	}
	l.glob = cli.narg > 1 ? cli.arg[1] : NULL;
	l.text = !cli.json;
	l.usdt = cli.usdt;
	l.syscalls = cli.syscalls;
	l.j = json_to(stdout, false);
	if (cli.narg < 1 || cli.narg > 2)
		ret = misuse(&e, "list wants one target and perhaps a glob");
	else if (target_read(&a, cli.arg[0], true, &img, &e))
		ret = -1;
	else
		ret = sites_find(&a, &img, &s, &e) || list(&l);
	if (ret)
		ret = cli_fail(&e, cli.json);
	image_close(&img);
	arena_free(&a);
	return ret;
}
