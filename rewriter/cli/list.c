/* SPDX-License-Identifier: MIT */
/* list.c - bpfweld list TARGET [GLOB]: the functions that can be probed.
 *
 * One line each: address, size, what knows of it (a frame description, a
 * symbol, both), name.  A function of several names is listed once, under the
 * name that the glob matches; -j has all names.
 */
#include <inttypes.h>

#include "rewriter/cli/cli.h"
#include "rewriter/names.h"
#include "rewriter/site/site.h"

static const char usage[] =
	"usage: bpfweld list TARGET [GLOB] [-j]\n"
	"Lists the functions of an ELF file: address, size, known from (fde,\n"
	"symbol, both), name.  GLOB (* and ?) selects by any name of a function.\n"
	"A function without a symbol is called fn_ADDRESS; a fragment is a part\n"
	"of another function (.cold) and no entry.\n";

struct name {
	const char *name, *version;
};

static const char *known_from(const struct image *img, const struct func *f)
{
	const struct fde *fde = image_fde(img, f->addr);

	if (!fde || fde->start != f->addr)
		return "symbol";
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
	printf("0x%012" PRIx64 " %8" PRIu64 " %-6s %s%s%s%s\n", f->addr,
	       f->size, known_from(img, f), n->name, n->version ? "@" : "",
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

static int no_match(struct arena *a, const struct sites *s, const char *glob,
		    struct err *e)
{
	const char **name = arena_alloc(a, (s->nfunc + 1) * sizeof(*name));

	for (size_t i = 0; i < s->nfunc; i++)
		name[i] = s->func[i].name;
	return fail(e, s->img->path, NOWHERE, "no function matches %s%s", glob,
		    names_closest(a, glob, name, s->nfunc));
}

static int list(struct arena *a, const struct sites *s, const char *glob,
		bool as_json, struct err *e)
{
	struct json j = json_to(stdout, false);
	bool any = false;
	struct name n;

	for (size_t i = 0; i < s->nfunc; i++) {
		const struct func *f = &s->func[i];

		if (!pick(s->img, f, glob, &n))
			continue;
		if (!as_json) {
			print_text(s->img, f, &n);
		} else {
			if (!any)
				json_array(&j);
			print_json(&j, s->img, f, &n);
		}
		any = true;
	}
	if (!any && glob)
		return no_match(a, s, glob, e);
	if (as_json) {
		if (!any)
			json_array(&j);
		json_end(&j);
		json_done(&j);
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
	int ret = 0;

	if (cli_parse(argc, argv, "j", &cli, &e))
		return cli_fail(&e, cli.json);
	if (cli.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (cli.narg < 1 || cli.narg > 2)
		ret = misuse(&e, "list wants one target and perhaps a glob");
	else if (image_read(&a, cli.arg[0], &img, &e))
		ret = -1;
	else
		ret = sites_find(&a, &img, &s, &e) ||
		      list(&a, &s, cli.narg > 1 ? cli.arg[1] : NULL, cli.json,
			   &e);
	if (ret)
		ret = cli_fail(&e, cli.json);
	image_close(&img);
	arena_free(&a);
	return ret;
}
