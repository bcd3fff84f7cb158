/* SPDX-License-Identifier: MIT */
/* types.c - prove BTF sound, and read .BTF.ext.
 *
 * libbpf 1.1 checks the sizes of BTF records but not what they refer to: an
 * id past the end, a string past the end or a typedef of itself would crash
 * or hang it.  After types_check() every id names a type, every string offset
 * a string, and every walk from a type to what it is made of ends.  (Pointers
 * and function prototypes are where such walks stop; they may form cycles.)
 *
 * .BTF.ext, linux/btf.h and libbpf's documentation: a header, then per kind
 * of information a record size, and per section {name, count, records}.
 */
#include <linux/btf.h>
#include <stdlib.h>

#include "rewriter/bpf/object.h"

enum {
	DEPTH_MAX = 64
};

struct graph {
	const char *file;
	struct bytes strs;
	uint32_t *at; /* offset of each type; [0] is void */
	uint32_t n;
	uint8_t *state; /* 0 not visited, 1 on the path, 2 ends */
	const uint8_t *types;
};

/* Bytes behind struct btf_type: fixed, and for each of its vlen. */
// clang-format off
static const struct {
	uint8_t known, fixed, each;
} shape[32] = {
	/*                      known fixed each */
	[BTF_KIND_INT]        = { 1,  4,    0 },
	[BTF_KIND_PTR]        = { 1,  0,    0 },
	[BTF_KIND_ARRAY]      = { 1, 12,    0 },
	[BTF_KIND_STRUCT]     = { 1,  0,   12 },
	[BTF_KIND_UNION]      = { 1,  0,   12 },
	[BTF_KIND_ENUM]       = { 1,  0,    8 },
	[BTF_KIND_FWD]        = { 1,  0,    0 },
	[BTF_KIND_TYPEDEF]    = { 1,  0,    0 },
	[BTF_KIND_VOLATILE]   = { 1,  0,    0 },
	[BTF_KIND_CONST]      = { 1,  0,    0 },
	[BTF_KIND_RESTRICT]   = { 1,  0,    0 },
	[BTF_KIND_FUNC]       = { 1,  0,    0 },
	[BTF_KIND_FUNC_PROTO] = { 1,  0,    8 },
	[BTF_KIND_VAR]        = { 1,  4,    0 },
	[BTF_KIND_DATASEC]    = { 1,  0,   12 },
	[BTF_KIND_FLOAT]      = { 1,  0,    0 },
	[BTF_KIND_DECL_TAG]   = { 1,  4,    0 },
	[BTF_KIND_TYPE_TAG]   = { 1,  0,    0 },
	[BTF_KIND_ENUM64]     = { 1,  0,   12 },
};
// clang-format on

static uint32_t word(const struct graph *g, uint32_t off)
{
	uint32_t v;

	memcpy(&v, g->types + off, sizeof(v));
	return v;
}

static uint32_t kind_of(const struct graph *g, uint32_t id)
{
	return id ? BTF_INFO_KIND(word(g, g->at[id] + 4)) : 0;
}

static int bad_type(const struct graph *g, uint32_t id, const char *why,
		    struct err *e)
{
	return fail(e, g->file, NOWHERE, "bad BTF: type %u %s", id, why);
}

static int check_strings(const struct graph *g, uint32_t id, struct err *e)
{
	uint32_t at = g->at[id], info = word(g, at + 4), i;
	uint32_t kind = BTF_INFO_KIND(info), each = shape[kind].each;

	if (word(g, at) >= g->strs.n)
		return bad_type(g, id, "has its name past the strings", e);
	if (!each || kind == BTF_KIND_DATASEC)
		return 0;
	for (i = 0; i < BTF_INFO_VLEN(info); i++)
		if (word(g, at + 12 + i * each) >= g->strs.n)
			return bad_type(g, id,
					"has a member's name past the "
					"strings",
					e);
	return 0;
}

static bool wants_name(uint32_t kind)
{
	return kind == BTF_KIND_VAR || kind == BTF_KIND_DATASEC ||
	       kind == BTF_KIND_FUNC || kind == BTF_KIND_TYPEDEF;
}

static int64_t ref(const struct graph *g, uint32_t off)
{
	return word(g, off);
}

/* The k-th type that `id` refers to, or -1 when there are fewer. */
static int64_t refers(const struct graph *g, uint32_t id, uint32_t k)
{
	uint32_t at = g->at[id], info = word(g, at + 4);
	uint32_t vlen = BTF_INFO_VLEN(info);

	switch (BTF_INFO_KIND(info)) {
	case BTF_KIND_ARRAY:
		return k < 2 ? ref(g, at + 12 + 4 * k) : -1;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return k < vlen ? ref(g, at + 12 + 12 * k + 4) : -1;
	case BTF_KIND_DATASEC:
		return k < vlen ? ref(g, at + 12 + 12 * k) : -1;
	case BTF_KIND_FUNC_PROTO:
		if (k)
			return k <= vlen ? ref(g, at + 8 * k + 8) : -1;
		return ref(g, at + 8);
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FWD:
	case BTF_KIND_FLOAT:
		return -1;
	default:
		return k ? -1 : ref(g, at + 8);
	}
}

/* May a type of `kind` refer to one of kind `to`? */
static bool may_refer(uint32_t kind, uint32_t to)
{
	bool declared = to == BTF_KIND_VAR || to == BTF_KIND_FUNC;

	if (to == BTF_KIND_DATASEC || to == BTF_KIND_DECL_TAG)
		return false;
	if (kind == BTF_KIND_DATASEC)
		return declared;
	if (kind == BTF_KIND_FUNC)
		return to == BTF_KIND_FUNC_PROTO;
	return !declared || kind == BTF_KIND_DECL_TAG;
}

static int check_refs(const struct graph *g, uint32_t id, struct err *e)
{
	uint32_t kind = kind_of(g, id), k;
	int64_t to;

	if (wants_name(kind) && !g->strs.p[word(g, g->at[id])])
		return bad_type(g, id, "has no name", e);
	for (k = 0; (to = refers(g, id, k)) >= 0; k++) {
		if (to >= g->n)
			return bad_type(g, id, "refers to no type", e);
		if (!may_refer(kind, kind_of(g, to)))
			return bad_type(g, id,
					"refers to a type of the wrong "
					"kind",
					e);
	}
	return 0;
}

/* Depth first along everything a type is made of by value. */
static int check_ends(struct graph *g, uint32_t id, unsigned depth,
		      struct err *e)
{
	uint32_t kind = kind_of(g, id), k;
	int64_t to;

	if (!id || g->state[id] == 2)
		return 0;
	if (g->state[id] == 1 || depth > DEPTH_MAX)
		return bad_type(g, id,
				"contains itself, or is nested too "
				"deeply",
				e);
	g->state[id] = 1;
	if (kind != BTF_KIND_PTR && kind != BTF_KIND_FUNC_PROTO)
		for (k = 0; (to = refers(g, id, k)) >= 0; k++)
			if (check_ends(g, to, depth + 1, e))
				return -1;
	g->state[id] = 2;
	return 0;
}

static int index_types(struct arena *a, struct graph *g, uint32_t len,
		       struct err *e)
{
	uint32_t off = 0, info, kind;
	uint64_t size;

	g->at = arena_push(a, g->at, 0, sizeof(*g->at));
	g->n = 1;
	while (off < len) {
		if (len - off < 12)
			return bad_type(g, g->n, "is truncated", e);
		info = word(g, off + 4);
		kind = BTF_INFO_KIND(info);
		if (!shape[kind].known)
			return bad_type(g, g->n, "is of unknown kind", e);
		size = 12 + shape[kind].fixed +
		       (uint64_t)shape[kind].each * BTF_INFO_VLEN(info);
		if (size > len - off)
			return bad_type(g, g->n, "is truncated", e);
		g->at = arena_push(a, g->at, g->n, sizeof(*g->at));
		g->at[g->n++] = off;
		off += size;
	}
	return 0;
}

int types_check(struct arena *a, const char *file, struct bytes btf,
		struct bytes *strs, struct err *e)
{
	struct graph g = { .file = file };
	struct btf_header h;
	uint32_t id;

	if (btf.n < sizeof(h))
		return fail(e, file, NOWHERE, "bad BTF: truncated header");
	memcpy(&h, btf.p, sizeof(h));
	if (h.magic != BTF_MAGIC || h.version != BTF_VERSION ||
	    h.hdr_len < sizeof(h) || h.hdr_len > btf.n)
		return fail(e, file, NOWHERE, "bad BTF: unknown header");
	btf.p += h.hdr_len;
	btf.n -= h.hdr_len;
	g.types = bytes_at(btf, h.type_off, h.type_len);
	g.strs.p = bytes_at(btf, h.str_off, h.str_len);
	g.strs.n = h.str_len;
	if (!g.types || !g.strs.p || h.type_off % 4 || h.type_len % 4)
		return fail(e, file, NOWHERE, "bad BTF: truncated");
	if (!h.str_len || g.strs.p[0] || g.strs.p[h.str_len - 1])
		return fail(e, file, NOWHERE, "bad BTF: strings do not end");
	if (index_types(a, &g, h.type_len, e))
		return -1;
	for (id = 1; id < g.n; id++)
		if (check_strings(&g, id, e) || check_refs(&g, id, e))
			return -1;
	g.state = arena_alloc(a, g.n);
	for (id = 1; id < g.n; id++)
		if (check_ends(&g, id, 0, e))
			return -1;
	*strs = g.strs;
	return 0;
}

/* --- .BTF.ext ---------------------------------------------------------- */

static uint32_t section_named(const struct object *o, const char *name)
{
	uint32_t i;

	for (i = 1; name && i < o->nsec; i++)
		if (o->sec[i].insn && !strcmp(o->sec[i].name, name))
			return i;
	return 0;
}

static void add_line(struct arena *a, struct object *o, uint32_t sec,
		     struct cursor *c)
{
	struct bpf_line_info l = {
		.insn_off = cur_u32(c),
		.file_name_off = cur_u32(c),
		.line_off = cur_u32(c),
		.line_col = cur_u32(c),
	};
	const char *file = bytes_str(o->btf_strs, l.file_name_off);
	const char *text = bytes_str(o->btf_strs, l.line_off);

	/* Line 0 is code the compiler made up: the line before covers it.
	 * Only messages would miss a broken record. */
	if (c->bad || !file || l.insn_off / INSN >= o->sec[sec].ninsn ||
	    !BPF_LINE_INFO_LINE_NUM(l.line_col))
		return;
	text = text ? text + strspn(text, " \t") : "";
	o->line = arena_push(a, o->line, o->nline, sizeof(*o->line));
	o->line[o->nline++] = (struct obj_line){
		.sec = sec,
		.insn = l.insn_off / INSN,
		.file = file,
		.text = text,
		.line = BPF_LINE_INFO_LINE_NUM(l.line_col),
		.column = BPF_LINE_INFO_LINE_COL(l.line_col),
	};
}

static int add_core(struct arena *a, struct object *o, uint32_t sec,
		    struct cursor *c, struct err *e)
{
	struct obj_core r = { .sec = sec };
	uint32_t off = cur_u32(c);

	r.insn = off / INSN;
	r.type = cur_u32(c);
	r.access = bytes_str(o->btf_strs, cur_u32(c));
	r.kind = cur_u32(c);
	if (c->bad || off % INSN || r.insn >= o->sec[sec].ninsn || !r.access)
		return fail(e, o->path, NOWHERE,
			    "bad BTF.ext: CO-RE record %u points nowhere",
			    o->ncore);
	o->core = arena_push(a, o->core, o->ncore, sizeof(*o->core));
	o->core[o->ncore++] = r;
	return 0;
}

static int ext_info(struct arena *a, struct object *o, struct bytes b,
		    bool core, struct err *e)
{
	struct cursor all = { .b = b };
	uint32_t size = cur_u32(&all), i, n, sec;

	if (!b.n)
		return 0;
	if (all.bad || size < 16 || size % 4)
		return fail(e, o->path, NOWHERE, "bad BTF.ext: record size");
	while (all.at < b.n) {
		sec = section_named(o, bytes_str(o->btf_strs, cur_u32(&all)));
		n = cur_u32(&all);
		for (i = 0; i < n && !all.bad; i++) {
			const uint8_t *p = cur_take(&all, size);
			struct cursor one = { .b = { p, p ? size : 0 } };

			if (!p || !sec)
				continue;
			if (!core)
				add_line(a, o, sec, &one);
			else if (add_core(a, o, sec, &one, e))
				return -1;
		}
		if (all.bad)
			return fail(e, o->path, NOWHERE,
				    "bad BTF.ext: truncated");
	}
	return 0;
}

static int by_insn(const void *x, const void *y)
{
	const struct obj_line *a = x, *b = y;

	if (a->sec != b->sec)
		return a->sec < b->sec ? -1 : 1;
	return a->insn < b->insn ? -1 : a->insn > b->insn;
}

/* One of the tables that the header places: {offset, length}. */
static int ext_part(struct object *o, struct bytes body, struct cursor *h,
		    struct bytes *out, struct err *e)
{
	uint32_t off = cur_u32(h), len = cur_u32(h);

	if (h->bad) { /* an older header: the table is not there */
		*out = (struct bytes){ body.p, 0 };
		return 0;
	}
	out->p = bytes_at(body, off, len);
	out->n = len;
	if (!out->p)
		return fail(e, o->path, NOWHERE, "bad BTF.ext: truncated");
	return 0;
}

int types_ext(struct arena *a, struct object *o, struct bytes ext,
	      struct err *e)
{
	struct cursor h = { .b = ext };
	struct bytes body, func, line, core;
	uint16_t magic = cur_u16(&h);
	uint32_t hdr;

	cur_take(&h, 2); /* version, flags */
	hdr = cur_u32(&h);
	if (h.bad || magic != BTF_MAGIC || hdr > ext.n || hdr < h.at)
		return fail(e, o->path, NOWHERE, "bad BTF.ext: header");
	body = (struct bytes){ ext.p + hdr, ext.n - hdr };
	h.b.n = hdr;
	if (ext_part(o, body, &h, &func, e) ||
	    ext_part(o, body, &h, &line, e) || ext_part(o, body, &h, &core, e))
		return -1;
	if (ext_info(a, o, line, false, e) || ext_info(a, o, core, true, e))
		return -1;
	if (o->nline)
		qsort(o->line, o->nline, sizeof(*o->line), by_insn);
	return 0;
}
