/* SPDX-License-Identifier: MIT */
/* func.c - functions, from what the file says about them.
 *
 * Three sources are merged: frame descriptions, which even stripped binaries
 * keep, symbols, and Go's function table, whose names come as symbols too.  The
 * sizes in that one include the int3 behind a function, which are cut off.  An
 * FDE's size wins over a symbol's, because assembly
 * often has no or wrong sizes.  Left out are FDEs of the PLT (one FDE covers
 * all its stubs).  A signal frame without a name begins one byte before the
 * code it is for and nobody calls it: it is marked a fragment.  So are FDEs
 * that begin with a nop and then a landing pad: gcc makes cold parts do so,
 * because a landing pad at offset 0 would mean none; and FDEs without a name
 * inside a function that has one (clone).
 *
 * What neither source names is found in found.c; what only looks like a
 * function, in cold.c.
 *
 * A function that only a symbol of size 0 names keeps size 0; its end is not
 * known, and where one is needed the next known start stands in for it
 * (func_limit).
 */
#include <stdlib.h>

#include "rewriter/site/targets.h"

static bool is_func(const struct symbol *y)
{
	return y->type == STT_FUNC || y->type == STT_GNU_IFUNC;
}

struct plt { /* address ranges of .plt, .plt.got, .plt.sec */
	uint64_t lo, hi;
};
enum {
	MAX_PLT = 8
};
struct plts {
	struct plt range[MAX_PLT];
	size_t n;
	bool by_shape; /* no section table: look at the code */
};

static void plts_find(const struct image *img, struct plts *out)
{
	*out = (struct plts){ .by_shape = img->nsec == 0 };
	for (size_t i = 0; i < img->nsec && out->n < MAX_PLT; i++) {
		const struct section *sec = &img->sec[i];

		if (!strncmp(sec->name, ".plt", 4) ||
		    !strcmp(sec->name, ".iplt"))
			out->range[out->n++] =
				(struct plt){ sec->addr,
					      sec->addr + sec->size };
	}
}

/* [endbr64] jmp *mem(%rip), or push mem(%rip) and such a jump. */
static bool plt_shape(const struct image *img, uint64_t addr)
{
	struct insn in;

	for (int i = 0; i < 3; i++) {
		uint64_t room = image_room(img, addr);
		const uint8_t *p = image_at(img, addr, room < 15 ? room : 15);

		if (!p || !insn_decode(p, room < 15 ? room : 15, addr, &in))
			return false;
		if (in.flow == FLOW_JMP_IND)
			return in.rip_off != 0;
		if (!in.endbr && !in.rip_off)
			return false;
		addr += in.len;
	}
	return false;
}

static bool in_plt(const struct image *img, const struct plts *plts,
		   uint64_t addr)
{
	if (plts->by_shape)
		return plt_shape(img, addr);
	for (size_t i = 0; i < plts->n; i++)
		if (addr >= plts->range[i].lo && addr < plts->range[i].hi)
			return true;
	return false;
}

bool func_in_plt(const struct image *img, uint64_t addr)
{
	struct plts plts;

	plts_find(img, &plts);
	return in_plt(img, &plts, addr);
}

/* In a section that holds data, as the file has it? */
bool func_in_data(const struct image *img, uint64_t at)
{
	for (size_t i = 0; i < img->nsec; i++) {
		const struct section *sec = &img->sec[i];

		if (sec->flags & SHF_ALLOC && !(sec->flags & SHF_TLS) &&
		    at - sec->addr < sec->size)
			return !(sec->flags & SHF_EXECINSTR);
	}
	return false;
}

static unsigned underscores(const char *s)
{
	return (unsigned)strspn(s, "_");
}

/* Order of preference among names of one address; smaller is better. */
static unsigned rank(const struct symbol *y)
{
	unsigned bind = y->bind == STB_LOCAL ? 2 : y->bind == STB_WEAK ? 1 : 0;

	return (y->type == STT_FUNC ? 0
		: is_func(y)        ? 1
				    : 2)
		       << 8 |
	       bind << 6 | (unsigned)y->hidden_version << 5 | y->from;
}

static bool better(const struct symbol *x, const struct symbol *y)
{
	unsigned rx = rank(x), ry = rank(y);
	size_t nx, ny;

	if (rx != ry)
		return rx < ry;
	rx = underscores(x->name);
	ry = underscores(y->name);
	if (rx != ry)
		return rx < ry;
	nx = strlen(x->name);
	ny = strlen(y->name);
	return nx != ny ? nx < ny : strcmp(x->name, y->name) < 0;
}

/* Labels without a type name a function only where an FDE begins. */
static const struct symbol *best_name(const struct symbol *y, size_t n,
				      bool untyped)
{
	const struct symbol *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!is_func(&y[i]) && !(untyped && y[i].type == STT_NOTYPE))
			continue;
		if (y[i].name[0] && (!best || better(&y[i], best)))
			best = &y[i];
	}
	return best;
}

char *func_hex_name(struct arena *a, uint64_t addr)
{
	char *s = arena_alloc(a, sizeof("fn_") + 16);
	int shift = 60;

	while (shift && !(addr >> shift & 15))
		shift -= 4;
	memcpy(s, "fn_", 3);
	for (char *p = s + 3; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[addr >> shift & 15];
	return s;
}

static const struct go_func *go_func_at(const struct image *img, uint64_t addr)
{
	const struct go *g = img->go;
	size_t lo = 0, hi = g ? g->nfunc : 0;

	while (lo < hi) { /* the last that is not above addr */
		size_t mid = lo + (hi - lo) / 2;

		if (g->func[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && g->func[lo - 1].addr == addr && !g->func[lo - 1].foreign
		       ? &g->func[lo - 1]
		       : NULL;
}

/* The size without int3 behind the last instruction.  That may end in the same
 * byte, when it is a short jump back by 52 bytes: then it takes decoding. */
static uint64_t size_without_fill(const struct image *img, uint64_t addr,
				  uint64_t size)
{
	const uint8_t *p = image_at(img, addr, size);
	uint64_t n = size, pos = 0;
	struct insn in;

	while (p && n && p[n - 1] == 0xcc)
		n--;
	if (!p || !n || n == size || p[n - 1] != 0xeb)
		return p && n ? n : size;
	while (pos < n && insn_decode(p + pos, size - pos, addr + pos, &in))
		pos += in.len;
	return pos > n ? pos : n;
}

/* A size for f from what there is, within the segment's file part. */
static uint64_t size_of(const struct image *img, const struct plts *plts,
			const struct fde *fde, const struct symbol *best,
			const struct func *f)
{
	uint64_t room = image_room(img, f->addr), size = 0;

	if (fde) {
		size = fde->size;
	} else {
		if (best)
			size = best->size;
		for (uint32_t i = f->sym; !size && i < f->sym + f->nsym; i++)
			if (is_func(&img->sym[i]))
				size = img->sym[i].size;
		fde = size ? NULL : image_fde(img, f->addr);
		if (fde && !in_plt(img, plts, fde->start))
			size = fde->start + fde->size - f->addr;
	}
	size = size < room ? size : room;
	if (f->go && size == f->go->size)
		size = size_without_fill(img, f->addr, size);
	return size;
}

/* A cold part whose first landing pad has been moved off its start. */
static bool pad_behind_nops(const struct image *img, uint64_t addr)
{
	struct insn in;

	while (image_is_code(img, addr)) {
		uint64_t room = image_room(img, addr);

		if (!insn_decode(image_at(img, addr, 1), room < 15 ? room : 15,
				 addr, &in) || !in.nop)
			return false;
		addr += in.len;
		if (addr_between(img->landing, img->nlanding, addr, addr + 1))
			return true;
	}
	return false;
}

static void func_fill(struct arena *a, const struct image *img,
		      const struct plts *plts, const struct fde *fde,
		      struct func *f)
{
	const struct symbol *best =
		best_name(&img->sym[f->sym], f->nsym, fde != NULL);

	f->go = go_func_at(img, f->addr);
	f->size = size_of(img, plts, fde, best, f);
	f->named = best != NULL;
	f->name = best ? best->name : func_hex_name(a, f->addr);
	f->version = best ? best->version : NULL;
	if (best && is_func(best))
		f->fragment = strstr(f->name, ".cold") != NULL;
	else
		f->fragment = fde && (fde->fragment || fde->signal_frame ||
				      pad_behind_nops(img, f->addr));
}

static bool any_func(const struct symbol *y, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_func(&y[i]))
			return true;
	return false;
}

/* Merge the two sorted lists, an address at a time. */
static void merge(struct arena *a, const struct image *img, struct sites *out)
{
	struct plts plts;
	size_t y = 0, d = 0, n = 0;

	plts_find(img, &plts);
	out->func = arena_alloc(a, (img->nsym + img->nfde + 1) *
					   sizeof(*out->func));
	while (y < img->nsym || d < img->nfde) {
		const struct fde *fde = NULL;
		uint64_t at = y < img->nsym ? img->sym[y].addr : UINT64_MAX;
		size_t first = y;

		if (d < img->nfde && img->fde[d].start <= at) {
			fde = &img->fde[d++];
			at = fde->start;
		}
		while (y < img->nsym && img->sym[y].addr == at)
			y++;
		if (fde && in_plt(img, &plts, at))
			fde = NULL;
		if (!(fde && fde->size) &&
		    !any_func(&img->sym[first], y - first))
			continue;
		if (!image_is_code(img, at) || !image_room(img, at))
			continue;
		out->func[n] = (struct func){ .addr = at,
					      .sym = (uint32_t)first,
					      .nsym = (uint32_t)(y - first) };
		func_fill(a, img, &plts, fde, &out->func[n++]);
	}
	out->nfunc = n;
}

static void spans_find(struct arena *a, const struct image *img,
		       struct targets *t)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *g = &img->seg[i];
		const uint8_t *p;

		if (g->type != PT_LOAD || !(g->flags & PF_X) || !g->filesz)
			continue;
		p = image_at(img, g->vaddr, g->filesz);
		if (!p)
			continue;
		t->span = arena_push(a, t->span, t->nspan, sizeof(*t->span));
		t->span[t->nspan++] = (struct span){ .lo = g->vaddr,
						     .hi = g->vaddr + g->filesz,
						     .p = p };
	}
}

static int by_value(const void *x, const void *y)
{
	const uint64_t *p = x, *q = y;

	return (*p > *q) - (*p < *q);
}

static void edges_find(struct arena *a, const struct image *img,
		       struct targets *t)
{
	t->edge = arena_alloc(a, (2 * img->nsec + 1) * sizeof(*t->edge));
	for (size_t i = 0; i < img->nsec; i++) {
		if (!(img->sec[i].flags & SHF_ALLOC))
			continue;
		t->edge[t->nedge++] = img->sec[i].addr;
		t->edge[t->nedge++] = img->sec[i].addr + img->sec[i].size;
	}
	qsort(t->edge, t->nedge, sizeof(*t->edge), by_value);
}

/* A jump out of code that is run from a copy leads nowhere.  V8 does so with
 * the builtins behind this symbol; nothing but their names tells. */
static void mark_copied(const struct image *img, struct sites *out)
{
	static const char blob[] = "v8_Default_embedded_blob_code_";
	uint64_t from = UINT64_MAX;

	for (size_t i = 0; i < img->nsym; i++)
		if (strcmp(img->sym[i].name, blob) == 0)
			from = img->sym[i].addr;
	for (size_t i = 0; i < out->nfunc; i++)
		out->func[i].copied =
			out->func[i].addr >= from &&
			strncmp(out->func[i].name, "Builtins_", 9) == 0;
}

static void reach_find(struct arena *a, struct sites *s)
{
	struct targets *t = s->targets;
	uint64_t reach = 0;

	t->reach = arena_alloc(a, (s->nfunc + 1) * sizeof(*t->reach));
	for (size_t i = 0; i < s->nfunc; i++) {
		uint64_t end = func_end(s, &s->func[i]);

		reach = end > reach ? end : reach;
		t->reach[i] = reach;
	}
}

int sites_find(struct arena *a, const struct image *img, struct sites *out,
	       struct err *e)
{
	struct targets *t = arena_alloc(a, sizeof(*t));

	(void)e;
	*out = (struct sites){ .img = img, .targets = t };
	t->a = a;
	spans_find(a, img, t);
	edges_find(a, img, t);
	merge(a, img, out);
	extents_grow(out);
	reach_find(a, out);
	if (funcs_find_more(a, out))
		reach_find(a, out);
	funcs_find_cold(a, out);
	mark_copied(img, out);
	t->step = arena_alloc(a, out->nfunc + 1);
	return 0;
}

struct span *span_of(const struct targets *t, uint64_t addr)
{
	for (size_t i = 0; i < t->nspan; i++)
		if (addr - t->span[i].lo < t->span[i].hi - t->span[i].lo)
			return &t->span[i];
	return NULL;
}

/* Number of functions that start at or before addr. */
static size_t funcs_to(const struct sites *s, uint64_t addr)
{
	size_t lo = 0, hi = s->nfunc;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->func[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct func *func_before(const struct sites *s, uint64_t addr)
{
	size_t n = funcs_to(s, addr);

	return n ? &s->func[n - 1] : NULL;
}

const struct func *func_at(const struct sites *s, uint64_t addr)
{
	const struct func *f = func_before(s, addr);

	return f && f->addr == addr ? f : NULL;
}

uint64_t func_end(const struct sites *s, const struct func *f)
{
	return f->size ? f->addr + f->size : func_limit(s, f);
}

/* Functions may nest (a second entry inside an FDE): the innermost counts. */
const struct func *func_around(const struct sites *s, uint64_t addr)
{
	for (size_t n = funcs_to(s, addr); n && s->targets->reach[n - 1] > addr;
	     n--)
		if (addr < func_end(s, &s->func[n - 1]))
			return &s->func[n - 1];
	return NULL;
}

uint64_t next_addr(const uint64_t *v, size_t n, size_t elem, uint64_t from)
{
	const char *base = (const char *)v;
	size_t lo = 0, hi = n;
	uint64_t addr = UINT64_MAX;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		memcpy(&addr, base + mid * elem, sizeof(addr));
		if (addr < from)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == n)
		return UINT64_MAX;
	memcpy(&addr, base + lo * elem, sizeof(addr));
	return addr;
}

uint64_t next_fde(const struct image *img, uint64_t from)
{
	return img->nfde ? next_addr(&img->fde->start, img->nfde,
				     sizeof(*img->fde), from)
			 : UINT64_MAX;
}

uint64_t next_symbol(const struct image *img, uint64_t from)
{
	return img->nsym ? next_addr(&img->sym->addr, img->nsym,
				     sizeof(*img->sym), from)
			 : UINT64_MAX;
}

static uint64_t lowest(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

uint64_t func_limit(const struct sites *s, const struct func *f)
{
	uint64_t from = f->addr + (f->size ? f->size : 1);
	struct span *sp = span_of(s->targets, f->addr);
	uint64_t limit = sp ? sp->hi : from;

	limit = lowest(limit, next_fde(s->img, from));
	limit = lowest(limit, next_symbol(s->img, from));
	limit = lowest(limit, next_addr(&s->func->addr, s->nfunc,
					sizeof(*s->func), from));
	return lowest(limit, next_addr(s->targets->edge, s->targets->nedge,
				       sizeof(*s->targets->edge), from));
}
