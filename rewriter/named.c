/* SPDX-License-Identifier: MIT */
/* named.c - the function that a name means, or why it means none. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "rewriter/named.h"
#include "rewriter/names.h"

struct lookup {
	struct arena *a;
	const struct sites *s;
	const struct image *img;
	struct err *e;
};

static bool version_is(const struct symbol *y, const char *want)
{
	return !want || (y->version && !strcmp(y->version, want));
}

/* Both "f" and the "f@VER" that .symtab may hold literally. */
static bool symbol_is(const struct symbol *y, const struct spec *sp)
{
	size_t n = strlen(sp->func);
	const char *rest;

	if (strncmp(y->name, sp->func, n))
		return false;
	rest = y->name + n;
	if (!*rest)
		return version_is(y, sp->version);
	if (*rest != '@' || !sp->version)
		return false;
	rest += strspn(rest, "@");
	return !strcmp(rest, sp->version);
}

/* Gives way to others of its name. */
static bool is_weak(const struct symbol *y, const struct spec *sp)
{
	return y->bind == STB_WEAK || (y->hidden_version && !sp->version);
}

static int ambiguous(struct lookup *l, const struct spec *sp, uint8_t from)
{
	const struct symbol *y = l->img->sym;
	const char *list = "";
	size_t i, n = 0;
	uint64_t last = 0;

	for (i = 0; i < l->img->nsym; i++) {
		if (y[i].from != from || y[i].type != STT_FUNC ||
		    is_weak(&y[i], sp) || !symbol_is(&y[i], sp) ||
		    (n && y[i].addr == last))
			continue;
		last = y[i].addr;
		if (++n <= 4)
			list = arena_printf(l->a, "%s%s0x%" PRIx64 "%s%s", list,
					    n > 1 ? ", " : "", y[i].addr,
					    y[i].version ? " @" : "",
					    y[i].version ? y[i].version : "");
	}
	return fail(l->e, l->img->path, NOWHERE,
		    "function '%s' is ambiguous: %s%s; give an address",
		    sp->func, list, n > 4 ? ", ..." : "");
}

static bool is_ifunc(const struct image *img, const struct spec *sp,
		     bool by_default)
{
	size_t i;

	for (i = 0; i < img->nsym; i++)
		if (img->sym[i].type == STT_GNU_IFUNC &&
		    !(by_default && img->sym[i].hidden_version) &&
		    symbol_is(&img->sym[i], sp))
			return true;
	return false;
}

/* `other`: a function of this name, of another version than the default one. */
static int refuse_ifunc(struct lookup *l, const struct spec *sp,
			const struct symbol *other)
{
	return refuse(l->e, l->img->path, NOWHERE,
		      "'%s' is an IFUNC: probe the function it chooses%s%s%s%s",
		      sp->func, other ? " ('" : "",
		      other ? arena_printf(l->a, "%s@", other->name) : "",
		      other ? other->version : "",
		      other ? "' is another one)" : "");
}

/* 1 found, 0 not there, -1 ambiguous, or an IFUNC. */
static int find_in(struct lookup *l, const struct spec *sp, uint8_t from,
		   uint64_t *addr)
{
	const struct symbol *best = NULL;
	size_t i;

	for (i = 0; i < l->img->nsym; i++) {
		const struct symbol *y = &l->img->sym[i];

		if (y->from != from || y->type != STT_FUNC || !symbol_is(y, sp))
			continue;
		if (best && best->addr != y->addr && !is_weak(best, sp) &&
		    !is_weak(y, sp))
			return ambiguous(l, sp, from);
		if (!best || (is_weak(best, sp) && !is_weak(y, sp)))
			best = y;
	}
	if (!best)
		return 0;
	if (best->hidden_version && !sp->version && is_ifunc(l->img, sp, true))
		return refuse_ifunc(l, sp, best);
	*addr = best->addr;
	return 1;
}

/* The last word of a name is what it has in common with the linker's. */
const char *name_hint(struct arena *a, const struct image *img,
		      const char *name)
{
	const char *word = NULL, *p;

	for (p = strstr(name, "::"); p; p = strstr(word, "::"))
		word = p + 2;
	if (!word)
		return NULL;
	for (p = word; isalnum((unsigned char)*p) || *p == '_'; p++)
		;
	return arena_printf(a,
			    ": names are the linker's, see bpfweld list %s "
			    "'*%.*s*'",
			    img->path, (int)(p - word), word);
}

static bool is_stripped(const struct image *img)
{
	for (size_t i = 0; i < img->nsym; i++)
		if (img->sym[i].from != SYM_DYNSYM)
			return false;
	return true;
}

const char *name_missing(struct arena *a, const struct image *img,
			 const char *name)
{
	const struct need *n = image_need(img, name);

	if (n)
		return arena_printf(a,
				    ": it is imported%s%s; weld the library "
				    "that has it",
				    n->file ? " from " : "",
				    n->file ? n->file : "");
	return is_stripped(img) ? ": the file is stripped" : "";
}

/* What to do where names are few; else the names that are like this one. */
static const char *no_function_hint(struct lookup *l, const struct spec *sp,
				    const char **name, size_t n)
{
	const char *hint = name_hint(l->a, l->img, sp->func);
	const char *missing = name_missing(l->a, l->img, sp->func);

	if (hint)
		return hint;
	if (!strncmp(sp->func, "0x", 2))
		return ", nor is it an address";
	if (image_need(l->img, sp->func))
		return missing;
	return arena_printf(l->a, "%s%s%s",
			    names_closest(l->a, sp->func, name, n), missing,
			    *missing ? ", list has what is left" : "");
}

static int no_function(struct lookup *l, const struct spec *sp)
{
	const char **name =
		arena_alloc(l->a, (l->s->nfunc + l->img->nsym) * sizeof(*name));
	size_t i, n = 0;

	if (is_ifunc(l->img, sp, false))
		return refuse_ifunc(l, sp, NULL);
	for (i = 0; i < l->img->nsym; i++)
		if (l->img->sym[i].type == STT_FUNC)
			name[n++] = l->img->sym[i].name;
	for (i = 0; i < l->s->nfunc; i++)
		if (l->s->func[i].name)
			name[n++] = l->s->func[i].name;
	return fail(l->e, l->img->path, NOWHERE, "no function '%s%s%s'%s",
		    sp->func, sp->version ? "@" : "",
		    sp->version ? sp->version : "",
		    no_function_hint(l, sp, name, n));
}

/* fn_HEX */
static const struct func *find_nameless(const struct sites *s, const char *name)
{
	for (size_t i = 0; i < s->nfunc; i++) {
		const struct func *f = &s->func[i];

		if (!(f->named && f->nsym) && f->name && !strcmp(f->name, name))
			return f;
	}
	return NULL;
}

int function_named(struct arena *a, const struct sites *s,
		   const struct spec *sp, uint64_t *addr, struct err *e)
{
	static const uint8_t tables[] = { SYM_DYNSYM, SYM_SYMTAB, SYM_DEBUG,
					  SYM_GO };
	struct lookup l = { a, s, s->img, e };
	const struct func *f;
	int found;

	for (size_t i = 0; i < sizeof(tables); i++) {
		found = find_in(&l, sp, tables[i], addr);
		if (found)
			return found < 0 ? -1 : 0;
	}
	f = sp->version ? NULL : find_nameless(s, sp->func);
	if (!f)
		return no_function(&l, sp);
	*addr = f->addr;
	return 0;
}
