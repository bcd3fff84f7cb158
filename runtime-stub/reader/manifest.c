/* SPDX-License-Identifier: MIT */
/* manifest.c - the manifest's packed form, both ways from one set of tables.
 *
 *   record   u32 tag, u32 length, `length` bytes, zeroes up to 8
 *   manifest a sequence of records; a list's element is a record that holds
 *            records in turn:
 *
 *     01 tool   02 target   03 engine   ...
 *     10 saved { 01 offset, 02 bytes }   10 saved { ... }
 *     13 probe { 01 program, 02 spec, ... }
 *
 * A field is stored as it lies in memory (numbers are little-endian on every
 * machine this runs on), a string with its NUL.  A reader skips tags that it
 * does not know, so that a later version may add some; a tag that it does know
 * must be there once, with the size it expects.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "runtime-stub/reader/manifest.h"
#include "runtime-stub/reader/section.h"

enum kind {
	FIXED, /* `size` bytes */
	TEXT,  /* const char * */
	BLOB,  /* struct bytes */
	LIST,  /* pointer and, at `count`, a size_t */
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

/* Tags are for ever: a new field gets a new one.
 *      struct           field          tag   kind or elements */
static const struct field saved_field[] = {
	F(saved,           off,           0x01, FIXED),
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
	F(manifest_map,    object,        0x03, FIXED),
	F(manifest_map,    btf_key,       0x04, FIXED),
	F(manifest_map,    btf_value,     0x05, FIXED),
	F(manifest_map,    data,          0x06, FIXED),
};
SHAPE(map, manifest_map);
static const struct field probe_field[] = {
	F(manifest_probe,  prog,          0x01, TEXT),
	F(manifest_probe,  spec,          0x02, TEXT),
	F(manifest_probe,  func,          0x03, TEXT),
	F(manifest_probe,  addr,          0x04, FIXED),
	F(manifest_probe,  offset,        0x05, FIXED),
	F(manifest_probe,  patch_at,      0x06, FIXED),
	F(manifest_probe,  tramp,         0x07, FIXED),
	F(manifest_probe,  patch_len,     0x08, FIXED),
	F(manifest_probe,  tactic,        0x09, TEXT),
	F(manifest_probe,  original,      0x0a, BLOB),
};
SHAPE(probe, manifest_probe);
static const struct field manifest_field[] = {
	F(manifest,        tool,          0x01, TEXT),
	F(manifest,        target,        0x02, TEXT),
	F(manifest,        engine,        0x03, TEXT),
	F(manifest,        weld_id,       0x04, FIXED),
	F(manifest,        original_size, 0x05, FIXED),
	F(manifest,        original_hash, 0x06, FIXED),
	F(manifest,        region_size,   0x07, FIXED),
	L(manifest,        saved,         0x10, &saved),
	L(manifest,        object,        0x11, &object),
	L(manifest,        map,           0x12, &map),
	L(manifest,        probe,         0x13, &probe),
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

/* --- Packing.  Run once without an output to learn the size, then with one:
 * a manifest holds whole objects, which are better not copied at each level. */
struct out {
	uint8_t *p; /* NULL: only count */
	size_t n;
};

static void put(struct out *o, const void *p, size_t n)
{
	if (o->p && n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void put_record(struct out *o, uint32_t tag, const void *p, size_t n)
{
	uint32_t head[2] = { tag, (uint32_t)n };

	assert(n <= UINT32_MAX);
	put(o, head, sizeof(head));
	put(o, p, n);
	o->n = align_up(o->n, 8); /* the arena's zeroes are the padding */
}

static void put_shape(struct out *o, const struct shape *s,
		      const uint8_t *from);

static void put_list(struct out *o, const struct field *f, const uint8_t *from)
{
	const uint8_t *elem = pointer_at(from + f->at);
	size_t n = count_at(from + f->count);

	for (size_t i = 0; i < n; i++, elem += f->elem->size) {
		struct out inner = { 0 };
		uint32_t head[2] = { f->tag, 0 };

		put_shape(&inner, f->elem, elem);
		assert(inner.n <= UINT32_MAX);
		head[1] = (uint32_t)inner.n;
		put(o, head, sizeof(head));
		put_shape(o, f->elem, elem);
	}
}

static void put_field(struct out *o, const struct field *f, const uint8_t *from)
{
	const char *text;
	struct bytes blob;

	switch (f->kind) {
	case FIXED:
		put_record(o, f->tag, from + f->at, f->size);
		break;
	case TEXT:
		text = pointer_at(from + f->at);
		text = text ? text : "";
		put_record(o, f->tag, text, strlen(text) + 1);
		break;
	case BLOB:
		memcpy(&blob, from + f->at, sizeof(blob));
		put_record(o, f->tag, blob.p, blob.n);
		break;
	case LIST:
		put_list(o, f, from);
		break;
	}
}

static void put_shape(struct out *o, const struct shape *s, const uint8_t *from)
{
	for (size_t i = 0; i < s->nfield; i++)
		put_field(o, &s->field[i], from);
}

struct bytes manifest_pack(struct arena *a, const struct manifest *m)
{
	struct out o = { 0 };

	put_shape(&o, &manifest, (const uint8_t *)m);
	o.p = arena_alloc(a, o.n);
	o.n = 0;
	put_shape(&o, &manifest, (const uint8_t *)m);
	return (struct bytes){ o.p, o.n };
}

/* --- Parsing. */
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

static int take_shape(struct in *in, const struct shape *s, struct bytes b,
		      uint8_t *to);

static int take_elem(struct in *in, const struct field *f, struct bytes b,
		     uint8_t *to)
{
	size_t n = count_at(to + f->count);
	uint8_t *v = (uint8_t *)pointer_at(to + f->at);
	uint8_t *elem;

	v = arena_push(in->arena, v, n, f->elem->size);
	elem = v + n * f->elem->size;
	memset(elem, 0, f->elem->size);
	if (take_shape(in, f->elem, b, elem))
		return -1;
	n++;
	memcpy(to + f->at, &v, sizeof(v));
	memcpy(to + f->count, &n, sizeof(n));
	return 0;
}

static int take_field(struct in *in, const struct field *f, struct bytes b,
		      uint8_t *to)
{
	switch (f->kind) {
	case FIXED:
		if (b.n != f->size)
			return broken(in, b.p, "wrong size of ", f->name);
		memcpy(to + f->at, b.p, f->size);
		return 0;
	case TEXT:
		if (b.n == 0 || memchr(b.p, 0, b.n) != b.p + b.n - 1)
			return broken(in, b.p, "not a string: ", f->name);
		memcpy(to + f->at, &b.p, sizeof(b.p));
		return 0;
	case BLOB:
		memcpy(to + f->at, &b, sizeof(b));
		return 0;
	case LIST:
		return take_elem(in, f, b, to);
	}
	return 0;
}

static int take_shape(struct in *in, const struct shape *s, struct bytes b,
		      uint8_t *to)
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
			if (f->kind != LIST && (seen & 1u << i))
				return broken(in, content.p, "a second ",
					      f->name);
			seen |= 1u << i;
			if (take_field(in, f, content, to))
				return -1;
		}
	}
	for (size_t i = 0; i < s->nfield; i++)
		if (s->field[i].kind != LIST && !(seen & 1u << i))
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

int manifest_parse(struct arena *a, const char *file, struct bytes packed,
		   struct manifest *out, struct err *e)
{
	struct in in = { a, file, packed.p, e };

	memset(out, 0, sizeof(*out));
	if (take_shape(&in, &manifest, packed, (uint8_t *)out))
		return -1;
	return consistent(file, out, e);
}

static int file_map(const char *path, struct bytes *out, struct err *e)
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
	ret = 0;
out:
	close(fd);
	return ret;
}

int manifest_read(struct arena *a, const char *path, struct manifest *out,
		  struct bytes *whole_file, struct err *e)
{
	struct bytes file, packed;
	int ret = -1;

	if (file_map(path, &file, e))
		return -1;
	packed = section_find(file, ".bpfweld.manifest");
	if (packed.n == 0) {
		fail(e, path, NOWHERE, "not a welded file");
		goto out;
	}
	packed.p = arena_dup(a, packed.p, packed.n);
	if (whole_file)
		*whole_file =
			(struct bytes){ arena_dup(a, file.p, file.n), file.n };
	ret = manifest_parse(a, path, packed, out, e);
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
