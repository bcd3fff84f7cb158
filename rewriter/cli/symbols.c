/* SPDX-License-Identifier: MIT */
/* symbols.c - from an address to a file, to a place in it, to a function. */
#include <elf.h>
#include <linux/bpf.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "elf/image.h"
#include "rewriter/cli/symbols.h"

struct opened {
	struct reader_load as; /* what was recorded */
	bool good;             /* img is that file */
	struct image img;
};

struct symbols {
	struct arena *a;
	const char *welded;
	const struct reader *region;
	uint64_t told; /* loads there were when they were read */
	struct reader_load *load;
	size_t nload;
	struct opened **file;
	size_t nfile;
};

struct symbols *symbols_open(struct maps *maps, const char *welded)
{
	struct symbols *s = arena_alloc(&maps->arena, sizeof(*s));

	s->a = &maps->arena;
	s->welded = welded;
	s->region = &maps->region;
	return s;
}

/* Processes may have come. */
static void loads_refresh(struct symbols *s)
{
	uint64_t told = reader_loads_told(s->region);

	if (told == s->told)
		return;
	s->nload = reader_loads(s->a, s->region, &s->load);
	s->told = told;
}

void symbols_close(struct symbols *s)
{
	for (size_t i = 0; s && i < s->nfile; i++)
		if (s->file[i]->good)
			image_close(&s->file[i]->img);
}

/* --- Files. */

static bool same_id(const uint8_t *x, const uint8_t *y)
{
	return x && y ? memcmp(x, y, 20) == 0 : x == y;
}

static bool same_file(const struct reader_load *x, const struct reader_load *y)
{
	return same_id(x->build_id, y->build_id) && x->inode == y->inode &&
	       x->device == y->device && x->is_weld == y->is_weld;
}

static bool has_id(const struct image *img, const uint8_t *id)
{
	uint8_t padded[20] = { 0 };

	if (img->build_id.n > sizeof(padded))
		return false;
	if (img->build_id.n)
		memcpy(padded, img->build_id.p, img->build_id.n);
	return memcmp(padded, id, sizeof(padded)) == 0;
}

/* Is it still the very same file? */
static bool is_inode(const char *path, const struct reader_load *l)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == l->inode &&
	       ((uint64_t)major(st.st_dev) << 32 | minor(st.st_dev)) ==
		       l->device;
}

static bool file_open(struct symbols *s, struct opened *f)
{
	const struct reader_load *l = &f->as;
	const char *path = l->is_weld ? s->welded : l->path;
	struct err e;

	if (!l->is_weld &&
	    (*path != '/' || (!l->build_id && !is_inode(path, l))))
		return false;
	if (image_read_names(s->a, path, &f->img, &e))
		return false;
	if (l->is_weld || !l->build_id || has_id(&f->img, l->build_id))
		return true;
	image_close(&f->img);
	return false;
}

static struct opened *file_of(struct symbols *s, const struct reader_load *l)
{
	struct opened *f;

	for (size_t i = 0; i < s->nfile; i++)
		if (same_file(&s->file[i]->as, l))
			return s->file[i];
	f = arena_alloc(s->a, sizeof(*f));
	f->as = *l;
	f->good = file_open(s, f);
	s->file = arena_push(s->a, s->file, s->nfile, sizeof(*s->file));
	s->file[s->nfile++] = f;
	return f;
}

/* --- Functions. */

static uint64_t vaddr_of(const struct image *img, uint64_t offset)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *g = &img->seg[i];

		if (g->type == PT_LOAD && offset >= g->off &&
		    offset - g->off < g->filesz)
			return g->vaddr + (offset - g->off);
	}
	return UINT64_MAX;
}

static bool is_function(const struct symbol *x)
{
	return (x->type == STT_FUNC || x->type == STT_GNU_IFUNC) && *x->name;
}

/* Of two names for a place: the one that others may use. */
static bool better(const struct symbol *x, const struct symbol *than)
{
	return !than || x->addr > than->addr ||
	       (x->addr == than->addr && x->bind == STB_GLOBAL &&
		than->bind != STB_GLOBAL);
}

/* The function that vaddr is in; one without a size reaches up to the next. */
static const struct symbol *function_at(const struct image *img, uint64_t vaddr)
{
	const struct symbol *best = NULL;
	size_t lo = 0, hi = img->nsym;

	while (lo < hi) { /* the first that begins behind it */
		size_t mid = lo + (hi - lo) / 2;

		if (img->sym[mid].addr <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo; i-- > 0;) {
		const struct symbol *x = &img->sym[i];

		if (best && x->addr < best->addr)
			break;
		if (!is_function(x))
			continue;
		if (x->size && vaddr - x->addr >= x->size)
			break;
		if (better(x, best))
			best = x;
	}
	return best;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static struct named name_in(const struct opened *f, uint64_t offset,
			    bool returns)
{
	struct named n = { .file = base_name(f->as.path), .in_file = offset };
	const struct symbol *x;
	uint64_t vaddr;

	if (!f->good)
		return n;
	vaddr = vaddr_of(&f->img, offset);
	if (vaddr == UINT64_MAX)
		return n;
	x = function_at(&f->img, vaddr - returns);
	if (!x)
		return n;
	n.func = x->name;
	n.in_func = vaddr - x->addr;
	return n;
}

/* --- Addresses. */

static bool same_place(const struct reader_load *x, const struct reader_load *y)
{
	return x->start - x->offset == y->start - y->offset && same_file(x, y);
}

struct named symbols_at(struct symbols *s, uint64_t addr, bool returns)
{
	const struct reader_load *found = NULL;

	loads_refresh(s);
	for (size_t i = 0; i < s->nload; i++) {
		const struct reader_load *l = &s->load[i];

		if (addr < l->start || addr >= l->end)
			continue;
		if (found && !same_place(found, l))
			return (struct named){ 0 };
		found = l;
	}
	if (!found)
		return (struct named){ 0 };
	return name_in(file_of(s, found), addr - found->start + found->offset,
		       returns);
}

/* (The welded file has the original's build id, and its code where that was.)
 */
struct named symbols_in(struct symbols *s, const uint8_t build_id[20],
			uint64_t offset, bool returns)
{
	loads_refresh(s);
	for (size_t i = 0; i < s->nload; i++)
		if (same_id(s->load[i].build_id, build_id))
			return name_in(file_of(s, &s->load[i]), offset,
				       returns);
	return (struct named){ .in_file = offset };
}

void named_json(struct json *j, const struct named *n, uint64_t addr)
{
	if (n->func)
		json_printf(j, "%s+0x%llx (%s)", n->func,
			    (unsigned long long)n->in_func, n->file);
	else if (n->file)
		json_printf(j, "0x%llx (%s)", (unsigned long long)n->in_file,
			    n->file);
	else
		json_hex(j, addr);
}

static struct frame_name
frame_of_id(struct symbols *s, const struct bpf_stack_build_id *b, bool returns)
{
	if (b->status == BPF_STACK_BUILD_ID_VALID)
		return (struct frame_name){ symbols_in(s, b->build_id,
						       b->offset, returns),
					    b->offset };
	return (struct frame_name){ symbols_at(s, b->ip, returns), b->ip };
}

size_t symbols_chain(struct symbols *s, const struct region_map *map,
		     const uint8_t *value, struct frame_name *out)
{
	bool ids = map->flags & BPF_F_STACK_BUILD_ID;
	size_t each = ids ? sizeof(struct bpf_stack_build_id) : 8, n;

	for (n = 0; n < map->value_size / each && n < CHAIN_MAX; n++) {
		const uint8_t *at = value + n * each;
		struct bpf_stack_build_id b;
		uint64_t ip;

		if (ids) {
			memcpy(&b, at, sizeof(b));
			if (b.status == BPF_STACK_BUILD_ID_EMPTY)
				break;
			out[n] = frame_of_id(s, &b, n > 0);
			continue;
		}
		memcpy(&ip, at, 8);
		if (!ip)
			break;
		out[n] = (struct frame_name){ symbols_at(s, ip, n > 0), ip };
	}
	return n;
}
