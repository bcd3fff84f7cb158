/* SPDX-License-Identifier: MIT */
/* manifest.c - the manifest's packed form, both ways from one set of tables.
 *
 *   record   u32 tag, u32 length, `length` bytes, zeroes up to 8
 *   manifest a sequence of records
 *
 *     01 tool   02 target   03 engine   ...
 *     10 saved { count, 01 all offsets, 02 all bytes }
 *     13 probe { count, 01 all programs, 02 all kinds, ... }
 *
 * A list is stored column by column, which is what makes it compress well: a
 * file may have ten thousand probes, and is to grow by few bytes for each.
 *
 *   NUMBER   the difference to the element before, as SLEB128
 *   FIXED    as it lies in memory (little-endian on every machine this runs on)
 *   TEXT     with its NUL
 *   BLOB     all lengths as ULEB128, then all bytes
 *
 * Outside of lists there is one element.  A reader skips tags that it does not
 * know, so that a later version may add some; a tag that it does know must be
 * there once, with the size it expects.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "elf/buf.h"
#include "elf/deflate.h"
#include "runtime-stub/reader/manifest.h"
#include "runtime-stub/reader/section.h"

enum kind {
	NUMBER, /* of `size` bytes */
	FIXED, /* `size` bytes */
	TEXT,  /* const char * */
	BLOB,  /* struct bytes */
	LIST,  /* pointer and, at `count`, a size_t; at the top only */
};
struct field {
	const char *name;
	uint32_t tag;
	enum kind kind;
	size_t at, size, count;
	const struct shape *elem;
};
struct shape {
	const struct field *field;
	size_t nfield, size;
};

// clang-format off
#define F(type, member, tag, kind) { #member, tag, kind, \
	offsetof(struct type, member), \
	sizeof(((struct type *)0)->member), 0, NULL }
#define L(type, member, tag, shape) { #member, tag, LIST, \
	offsetof(struct type, member), \
	sizeof(void *), offsetof(struct type, n##member), shape }
#define SHAPE(name, type) static const struct shape name = { \
	name##_field, sizeof(name##_field) / sizeof(struct field), \
	sizeof(struct type) }

/* Tags are for ever: a new field gets a new one.  The order is that of writing:
 * saved offsets have the same differences as the addresses, and are within
 * reach of the compression behind those.
 *      struct           field          tag   kind or elements */
static const struct field saved_field[] = {
	F(saved,           off,           0x01, NUMBER),
	F(saved,           bytes,         0x02, BLOB),
};
SHAPE(saved, saved);
static const struct field object_field[] = {
	F(manifest_object, name,          0x01, TEXT),
	F(manifest_object, path,          0x02, TEXT),
	F(manifest_object, bytes,         0x03, BLOB),
	F(manifest_object, btf,           0x04, BLOB),
};
SHAPE(object, manifest_object);
static const struct field map_field[] = {
	F(manifest_map,    map,           0x01, FIXED),
	F(manifest_map,    name,          0x02, TEXT),
	F(manifest_map,    object,        0x03, NUMBER),
	F(manifest_map,    btf_key,       0x04, NUMBER),
	F(manifest_map,    btf_value,     0x05, NUMBER),
	F(manifest_map,    data,          0x06, NUMBER),
};
SHAPE(map, manifest_map);
static const struct field prog_field[] = {
	F(manifest_prog,   name,          0x01, TEXT),
};
SHAPE(prog, manifest_prog);
static const struct field probe_field[] = {
	F(manifest_probe,  prog,          0x01, TEXT),
	F(manifest_probe,  kind,          0x02, TEXT),
	F(manifest_probe,  func,          0x03, TEXT),
	F(manifest_probe,  offset,        0x05, NUMBER),
	F(manifest_probe,  patch,         0x06, NUMBER),
	F(manifest_probe,  bias,          0x07, NUMBER),
	F(manifest_probe,  tramp,         0x08, NUMBER),
	F(manifest_probe,  patch_len,     0x09, NUMBER),
	F(manifest_probe,  tactic,        0x0a, TEXT),
	F(manifest_probe,  addr,          0x04, NUMBER),
};
SHAPE(probe, manifest_probe);
static const struct field manifest_field[] = {
	F(manifest,        tool,          0x01, TEXT),
	F(manifest,        target,        0x02, TEXT),
	F(manifest,        engine,        0x03, TEXT),
	F(manifest,        weld_id,       0x04, FIXED),
	F(manifest,        original_size, 0x05, NUMBER),
	F(manifest,        original_hash, 0x06, FIXED),
	F(manifest,        region_size,   0x07, NUMBER),
	F(manifest,        fault,         0x08, TEXT),
	F(manifest,        fault_why,     0x09, TEXT),
	L(manifest,        object,        0x11, &object),
	L(manifest,        map,           0x12, &map),
	L(manifest,        prog,          0x14, &prog),
	L(manifest,        probe,         0x13, &probe),
	L(manifest,        saved,         0x10, &saved),
};
SHAPE(manifest, manifest);
// clang-format on
#undef F
#undef L
#undef SHAPE

static const void *pointer_at(const uint8_t *p)
{
	const void *v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static size_t count_at(const uint8_t *p)
{
	size_t n;

	memcpy(&n, p, sizeof(n));
	return n;
}

static uint64_t number_at(const uint8_t *p, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

/* --- Packing. ---------------------------------------------------------- */

/* The elements of a list, or the one whole. */
struct rows {
	const uint8_t *p;
	size_t n, stride;
};

static const uint8_t *row(const struct rows *r, const struct field *f, size_t i)
{
	return r->p + i * r->stride + f->at;
}

static void put_numbers(struct buf *b, const struct field *f,
			const struct rows *r)
{
	uint64_t before = 0, v;

	for (size_t i = 0; i < r->n; i++, before = v) {
		v = number_at(row(r, f, i), f->size);
		buf_sleb(b, (int64_t)(v - before));
	}
}

static void put_texts(struct buf *b, const struct field *f,
		      const struct rows *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *text = pointer_at(row(r, f, i));

		text = text ? text : "";
		buf_put(b, text, strlen(text) + 1);
	}
}

static void put_blobs(struct buf *b, const struct field *f,
		      const struct rows *r)
{
	struct bytes blob;

	for (size_t i = 0; i < r->n; i++) {
		memcpy(&blob, row(r, f, i), sizeof(blob));
		buf_uleb(b, blob.n);
	}
	for (size_t i = 0; i < r->n; i++) {
		memcpy(&blob, row(r, f, i), sizeof(blob));
		buf_put(b, blob.p, blob.n);
	}
}

static void put_fields(struct buf *b, const struct shape *s,
		       const struct rows *r);

static void put_list(struct buf *b, const struct field *f, const uint8_t *whole)
{
	struct rows r = { pointer_at(whole + f->at),
			  count_at(whole + f->count), f->elem->size };

	buf_u64(b, r.n);
	put_fields(b, f->elem, &r);
}

/* Records begin at multiples of 8, so those within one do, too. */
static void put_field(struct buf *b, const struct field *f,
		      const struct rows *r)
{
	size_t start = b->n + 8;

	buf_u32(b, f->tag);
	buf_u32(b, 0);
	switch (f->kind) {
	case NUMBER:
		put_numbers(b, f, r);
		break;
	case FIXED:
		for (size_t i = 0; i < r->n; i++)
			buf_put(b, row(r, f, i), f->size);
		break;
	case TEXT:
		put_texts(b, f, r);
		break;
	case BLOB:
		put_blobs(b, f, r);
		break;
	case LIST:
		put_list(b, f, r->p);
		break;
	}
	assert(b->n - start <= UINT32_MAX);
	memcpy(b->p + start - 4, &(uint32_t){ (uint32_t)(b->n - start) }, 4);
	buf_align(b, 8);
}

static void put_fields(struct buf *b, const struct shape *s,
		       const struct rows *r)
{
	for (size_t i = 0; i < s->nfield; i++)
		put_field(b, &s->field[i], r);
}

struct bytes manifest_pack(struct arena *a, const struct manifest *m)
{
	struct buf b = { .a = a };
	struct rows whole = { (const uint8_t *)m, 1, sizeof(*m) };

	put_fields(&b, &manifest, &whole);
	return (struct bytes){ b.p, b.n };
}

/* --- Parsing. ---------------------------------------------------------- */

struct in {
	struct arena *arena;
	const char *file;
	const uint8_t *start; /* of the whole, for the offsets in errors */
	struct err *e;
};

static int broken(struct in *in, const uint8_t *at, const char *what,
		  const char *name)
{
	return fail(in->e, in->file, NOWHERE,
		    "damaged manifest (at its byte 0x%zx): %s%s",
		    (size_t)(at - in->start), what, name);
}

/* Where elements go. */
struct to {
	uint8_t *p;
	size_t n, stride;
};

static uint8_t *to_row(const struct to *t, const struct field *f, size_t i)
{
	return t->p + i * t->stride + f->at;
}

static bool take_numbers(struct cursor *c, const struct field *f,
			 const struct to *to)
{
	uint64_t v = 0;

	for (size_t i = 0; i < to->n && !c->bad; i++) {
		v += (uint64_t)cur_sleb(c);
		memcpy(to_row(to, f, i), &v, f->size);
		if (number_at(to_row(to, f, i), f->size) != v)
			return false;
	}
	return true;
}

static bool take_texts(struct cursor *c, const struct field *f,
		       const struct to *to)
{
	for (size_t i = 0; i < to->n; i++) {
		const char *text = bytes_str(c->b, c->at);

		if (!text)
			return false;
		c->at += strlen(text) + 1;
		memcpy(to_row(to, f, i), &text, sizeof(text));
	}
	return true;
}

static bool take_blobs(struct cursor *c, const struct field *f,
		       const struct to *to)
{
	struct cursor len = *c;

	for (size_t i = 0; i < to->n && !c->bad; i++)
		cur_uleb(c);
	for (size_t i = 0; i < to->n && !c->bad; i++) {
		struct bytes blob = { NULL, cur_uleb(&len) };

		blob.p = cur_take(c, blob.n);
		memcpy(to_row(to, f, i), &blob, sizeof(blob));
	}
	return true;
}

static bool take_fixed(struct cursor *c, const struct field *f,
		       const struct to *to)
{
	for (size_t i = 0; i < to->n; i++) {
		const uint8_t *p = cur_take(c, f->size);

		if (!p)
			return false;
		memcpy(to_row(to, f, i), p, f->size);
	}
	return true;
}

static int take_fields(struct in *in, const struct shape *s, struct bytes b,
		       const struct to *to);

/* An element has at least one byte in the list's first column. */
static int take_list(struct in *in, const struct field *f, struct bytes b,
		     uint8_t *whole)
{
	struct cursor c = { .b = b };
	struct to to = { .n = cur_u64(&c), .stride = f->elem->size };

	if (c.bad || to.n > b.n)
		return broken(in, b.p, "wrong count of ", f->name);
	to.p = arena_alloc(in->arena, to.n * to.stride + 1);
	memcpy(whole + f->at, &to.p, sizeof(to.p));
	memcpy(whole + f->count, &to.n, sizeof(to.n));
	return take_fields(in, f->elem,
			   (struct bytes){ b.p + c.at, b.n - c.at }, &to);
}

static int take_field(struct in *in, const struct field *f, struct bytes b,
		      const struct to *to)
{
	struct cursor c = { .b = b };
	bool good = false;

	switch (f->kind) {
	case NUMBER:
		good = take_numbers(&c, f, to);
		break;
	case FIXED:
		good = take_fixed(&c, f, to);
		break;
	case TEXT:
		good = take_texts(&c, f, to);
		break;
	case BLOB:
		good = take_blobs(&c, f, to);
		break;
	case LIST:
		return take_list(in, f, b, to->p);
	}
	if (!good || c.bad || c.at != b.n)
		return broken(in, b.p, "wrong size of ", f->name);
	return 0;
}

static int take_fields(struct in *in, const struct shape *s, struct bytes b,
		       const struct to *to)
{
	struct cursor c = { .b = b };
	uint32_t seen = 0;

	while (c.at < b.n) {
		uint32_t tag = cur_u32(&c), len = cur_u32(&c);
		struct bytes content = { cur_take(&c, len), len };

		cur_take(&c, align_up(c.at, 8) - c.at);
		if (c.bad)
			return broken(in, b.p, "a record runs past the end",
				      "");
		for (size_t i = 0; i < s->nfield; i++) {
			const struct field *f = &s->field[i];

			if (f->tag != tag)
				continue;
			if (seen & 1u << i)
				return broken(in, content.p, "a second ",
					      f->name);
			seen |= 1u << i;
			if (take_field(in, f, content, to))
				return -1;
		}
	}
	for (size_t i = 0; i < s->nfield; i++)
		if (!(seen & 1u << i))
			return broken(in, b.p, "it has no ", s->field[i].name);
	return 0;
}

/* What tables cannot say. */
static int consistent(const char *file, struct manifest *m, struct err *e)
{
	uint64_t end = 0;

	for (size_t i = 0; i < m->nsaved; i++) {
		const struct saved *s = &m->saved[i];

		if (s->off < end || s->off > m->original_size ||
		    s->bytes.n > m->original_size - s->off)
			return fail(e, file, NOWHERE,
				    "damaged manifest: saved bytes at 0x%llx "
				    "overlap or lie outside the original",
				    (unsigned long long)s->off);
		end = s->off + s->bytes.n;
	}
	for (size_t i = 0; i < m->nmap; i++) {
		struct manifest_map *map = &m->map[i];

		map->map.name[sizeof(map->map.name) - 1] = 0;
		if (map->object >= m->nobject)
			return fail(e, file, NOWHERE,
				    "damaged manifest: map %s is of no object",
				    map->name);
	}
	return 0;
}

/* Functions that are known by their FDE only have no name in the target, and
 * need none here. */
static void names_make(struct arena *a, struct manifest *m)
{
	for (size_t i = 0; i < m->nprobe; i++) {
		struct manifest_probe *p = &m->probe[i];

		if (!*p->func)
			p->func = arena_printf(
				a, "fn_%llx",
				(unsigned long long)(p->addr - p->offset));
	}
}

int manifest_parse(struct arena *a, const char *file, struct bytes packed,
		   struct manifest *out, struct err *e)
{
	struct in in = { a, file, packed.p, e };

	const struct to whole = { (uint8_t *)out, 1, sizeof(*out) };

	memset(out, 0, sizeof(*out));
	if (take_fields(&in, &manifest, packed, &whole))
		return -1;
	names_make(a, out);
	return consistent(file, out, e);
}

/* How well a map answers to a name; the best answer wins if it is alone. */
static int answers(const struct manifest *m, uint32_t map, const char *name)
{
	const struct manifest_map *k = &m->map[map];
	const char *object = m->object[k->object].name;
	const char *dot = strchr(k->name, '.');
	size_t n = strlen(object);

	if (strncmp(name, object, n) == 0 && name[n] == ':' &&
	    (strcmp(name + n + 1, k->name) == 0 ||
	     (k->data && dot && strcmp(name + n + 1, dot) == 0)))
		return 3;
	if (strcmp(name, k->name) == 0)
		return 2;
	return k->data && dot && strcmp(name, dot) == 0;
}

size_t manifest_find(const struct manifest *m, const char *name, uint32_t *map)
{
	size_t equal = 0;
	int best = 0;

	for (uint32_t i = 0; i < m->nmap; i++) {
		int k = answers(m, i, name);

		if (k > best) {
			best = k;
			equal = 0;
			*map = i;
		}
		equal += k && k == best;
	}
	return equal;
}

const char *manifest_spec(struct arena *a, const struct manifest_probe *p)
{
	if (strchr(p->kind, ':'))
		return p->kind;
	if (p->offset)
		return arena_printf(a, "%s:%s+0x%llx", p->kind, p->func,
				    (unsigned long long)p->offset);
	return arena_printf(a, "%s:%s", p->kind, p->func);
}

/* Saved bytes are sorted, and what touches is one piece. */
struct bytes manifest_original(const struct manifest *m,
			       const struct manifest_probe *p)
{
	uint64_t off = p->addr + (uint64_t)p->patch - p->bias;
	size_t lo = 0, hi = m->nsaved;
	const struct saved *s;
	const uint8_t *at;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->saved[mid].off <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || !p->patch_len)
		return (struct bytes){ NULL, 0 };
	s = &m->saved[lo - 1];
	at = bytes_at(s->bytes, off - s->off, p->patch_len);
	return (struct bytes){ at, at ? p->patch_len : 0 };
}

/* (Where nothing is setuid, as in many containers, nobody heeds the bit.) */
static bool runs_as_owner(int fd, const struct stat *st)
{
	struct statvfs fs;

	return st->st_mode & S_ISUID &&
	       (fstatvfs(fd, &fs) < 0 || !(fs.f_flag & ST_NOSUID));
}

static int file_map(const char *path, struct bytes *out, struct manifest *m,
		    struct err *e)
{
	struct stat st;
	int ret = -1, fd;
	void *p;

	out->n = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(e, path, NOWHERE, "%s", strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fail(e, path, NOWHERE, "not a regular file");
		goto out;
	}
	if (st.st_size == 0) {
		fail(e, path, NOWHERE, "not a welded file");
		goto out;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED) {
		fail(e, path, NOWHERE, "cannot map it: %s", strerror(errno));
		goto out;
	}
	*out = (struct bytes){ p, (size_t)st.st_size };
	m->is_setuid = runs_as_owner(fd, &st);
	m->owner = st.st_uid;
	ret = 0;
out:
	close(fd);
	return ret;
}

int manifest_read(struct arena *a, const char *path, struct manifest *out,
		  struct bytes *whole_file, struct err *e)
{
	struct bytes file, packed;
	struct manifest of = { 0 };
	int ret = -1;

	if (file_map(path, &file, &of, e))
		return -1;
	packed = section_find(file, ".bpfweld.manifest");
	if (packed.n == 0) {
		fail(e, path, NOWHERE, "not a welded file");
		goto out;
	}
	if (!inflate_bytes(a, packed, &packed)) {
		fail(e, path, NOWHERE, "damaged manifest: it cannot be "
				       "decompressed");
		goto out;
	}
	if (whole_file)
		*whole_file =
			(struct bytes){ arena_dup(a, file.p, file.n), file.n };
	ret = manifest_parse(a, path, packed, out, e);
	out->is_setuid = of.is_setuid;
	out->owner = of.owner;
out:
	munmap((void *)file.p, file.n);
	return ret;
}

void content_hash(struct bytes b, uint8_t out[16])
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits(b.p, b.n));
	memcpy(out, c.digest, sizeof(c.digest));
}
