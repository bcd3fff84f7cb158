/* SPDX-License-Identifier: MIT */
/* needs.c - undefined symbols, DT_NEEDED, and where libraries are.
 *
 * ld.so(8): DT_RPATH (of a file without DT_RUNPATH), DT_RUNPATH, the cache, the
 * system's directories.  The cache is not read: its directories are here.
 */
#include <string.h>
#include <unistd.h>

#include "elf/image_parts.h"
#include "elf/needs.h"

static void list_add(struct arena *a, const char ***v, size_t *n, const char *s)
{
	*v = arena_push(a, *v, *n, sizeof(**v));
	(*v)[(*n)++] = s;
}

static const char *string_at(const struct dynamic *d, uint64_t off)
{
	return off < d->str.n ? (const char *)d->str.p + off : "";
}

static void imports_read(struct arena *a, const struct image *img,
			 const struct dynamic *d, uint64_t count,
			 struct needs *out)
{
	struct bytes b = image_from(img, d->tag[DT_SYMTAB]);
	Elf64_Sym s;

	for (uint64_t i = 1; i < count; i++)
		if (bytes_get(b, i * sizeof(s), &s, sizeof(s)) &&
		    s.st_shndx == SHN_UNDEF && s.st_name)
			list_add(a, &out->import, &out->nimport,
				 string_at(d, s.st_name));
}

static void tags_read(struct arena *a, const struct image *img,
		      const struct dynamic *d, struct needs *out)
{
	const char *rpath = NULL;

	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];
		struct bytes b = image_from(img, s->vaddr);
		Elf64_Dyn dyn;

		if (s->type != PT_DYNAMIC)
			continue;
		for (uint64_t at = 0; bytes_get(b, at, &dyn, sizeof(dyn)) &&
				      dyn.d_tag != DT_NULL;
		     at += sizeof(dyn)) {
			const char *text = string_at(d, dyn.d_un.d_val);

			if (dyn.d_tag == DT_NEEDED)
				list_add(a, &out->lib, &out->nlib, text);
			else if (dyn.d_tag == DT_RUNPATH)
				out->path = text;
			else if (dyn.d_tag == DT_RPATH)
				rpath = text;
		}
	}
	if (!out->path)
		out->path = rpath;
}

int needs_read(struct arena *a, const struct image *img, struct needs *out,
	       struct err *e)
{
	struct image copy = *img;
	struct dynamic d = { 0 };
	uint64_t count = 0;

	*out = (struct needs){ 0 };
	copy.dynamic = false;
	if (dynamic_read(&copy, &d, e))
		return -1;
	if (d.tag[DT_SYMTAB] && !dynsym_count(img, &d, &count))
		return fail(e, img->path, d.tag[DT_SYMTAB],
			    "symbol hash table runs past its segment");
	imports_read(a, img, &d, count, out);
	tags_read(a, img, &d, out);
	return 0;
}

/* "$ORIGIN/../lib" -> the directory of the file it stands in and "/../lib". */
static const char *in_directory(struct arena *a, const struct image *img,
				const char *dir, size_t n, const char *lib)
{
	const char *slash = strrchr(img->path, '/');
	int origin = slash ? (int)(slash - img->path) : 0;
	size_t skip = 0;

	if (n >= 7 && !strncmp(dir, "$ORIGIN", 7))
		skip = 7;
	else if (n >= 9 && !strncmp(dir, "${ORIGIN}", 9))
		skip = 9;
	if (!skip)
		return arena_printf(a, "%.*s/%s", (int)n, dir, lib);
	return arena_printf(a, "%.*s%.*s/%s", origin ? origin : 1,
			    origin ? img->path : ".", (int)(n - skip),
			    dir + skip, lib);
}

const char *needs_find(struct arena *a, const struct image *img,
		       const struct needs *n, const char *lib)
{
	static const char system[] =
		"/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:"
		"/usr/lib64:/lib:/usr/lib:/usr/local/lib/x86_64-linux-gnu:"
		"/usr/local/lib64:/usr/local/lib";
	const char *const list[] = { n->path ? n->path : "", system };

	if (strchr(lib, '/'))
		return access(lib, R_OK) ? NULL : lib;
	for (size_t i = 0; i < 2; i++)
		for (const char *p = list[i]; *p;) {
			size_t len = strcspn(p, ":");
			const char *at = in_directory(a, img, p, len, lib);

			if (!access(at, R_OK))
				return at;
			p += len + (p[len] == ':');
		}
	return NULL;
}
