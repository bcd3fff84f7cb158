/* SPDX-License-Identifier: MIT */
/* report.c - the verdict, as lines or as JSON.
 *
 *     seen[{"text":"be"}].count: kernel 2, welded 3
 *     .bss.commands: kernel 5, welded 4
 *     command: exit status: kernel 0, welded 139
 *     14 values equal, 1 masked, 3 different (10 hits, 4 runs)
 *
 * Values are shown by their C types, as `map dump` does; in lines, large
 * numbers are hexadecimal, because they are addresses.
 */
#include <bpf/btf.h>
#include <inttypes.h>

#include "rewriter/diff/diff.h"
#include "runtime-stub/reader/typed.h"

enum {
	LINES_MAX = 50,
	TEXT_MAX = 120
};

struct printer {
	FILE *to;
	const struct weld *w;
	struct json *json; /* NULL: lines */
};

static const struct bpf_map_def *map_of(const struct printer *p, uint32_t map)
{
	return &p->w->set.map[map];
}

static const struct btf *btf_of(const struct printer *p, uint32_t map)
{
	return p->w->set.object[map_of(p, map)->object].btf;
}

static const char *object_of(const struct printer *p, uint32_t map)
{
	return p->w->set.object[map_of(p, map)->object].name;
}

static uint64_t number(struct bytes b)
{
	uint64_t v = 0;

	memcpy(&v, b.p, b.n < sizeof(v) ? b.n : sizeof(v));
	return v;
}

static bool is_unsigned(const struct btf *btf, uint32_t type)
{
	int real = btf && type ? btf__resolve_type(btf, type) : -1;
	const struct btf_type *t =
		real > 0 ? btf__type_by_id(btf, (uint32_t)real) : NULL;

	return t && btf_is_int(t) && !btf_int_encoding(t);
}

/* A call chain: addresses up to the first that is 0. */
static void chain_json(struct json *j, struct bytes b)
{
	uint64_t addr;

	json_array(j);
	for (; b.n >= sizeof(addr); b.p += sizeof(addr), b.n -= sizeof(addr)) {
		memcpy(&addr, b.p, sizeof(addr));
		if (!addr)
			break;
		json_hex(j, addr);
	}
	json_end(j);
}

static void value_json(struct json *j, const struct btf *btf, uint32_t type,
		       struct bytes b)
{
	if (btf && type)
		typed_json(j, btf, type, b);
	else if (b.n <= 8)
		json_u64(j, number(b));
	else
		json_bytes(j, b);
}

static void value_line(FILE *to, const struct btf *btf, uint32_t type,
		       struct bytes b)
{
	struct json j = json_to(to, false);

	if (b.n == 8 && number(b) >> 32 && (!type || is_unsigned(btf, type)))
		say_to(to, "0x%" PRIx64, number(b));
	else
		value_json(&j, btf, type, b);
}

static struct bytes part(const struct difference *d, const uint8_t *elem)
{
	const struct field *f = d->field;
	uint32_t off = d->index * f->step;

	return (struct bytes){ elem + f->off + off, f->size - off < f->step
							    ? f->size - off
							    : f->step };
}

/* --- lines. */

/* "map[key]" or ".bss"; "object:" in front where there are several. */
static void place_line(const struct printer *p, const struct difference *d)
{
	const struct bpf_map_def *m = map_of(p, d->map);
	const uint8_t *key = d->kernel ? d->kernel : d->welded;

	if (p->w->set.nobject > 1)
		say_to(p->to, "%s:", object_of(p, d->map));
	say_to(p->to, "%s", map_label(m));
	if (m->data != DATA_NONE || !key)
		return;
	fputc('[', p->to);
	value_line(p->to, btf_of(p, d->map), m->btf_key,
		   (struct bytes){ key, m->key_size });
	fputc(']', p->to);
}

/* Is it what lies behind a text that differs? */
static bool behind_nul(const struct difference *d)
{
	const struct field *f = d->field;

	return f->text && !strncmp((const char *)d->kernel + f->off,
				   (const char *)d->welded + f->off, f->size);
}

static void field_line(const struct printer *p, const struct difference *d)
{
	const struct field *f = d->field;
	const struct btf *btf = btf_of(p, d->map);

	place_line(p, d);
	if (*f->name)
		say_to(p->to, ".%s", f->name);
	if (f->step < f->size)
		say_to(p->to, "[%u]", d->index);
	fputs(": kernel ", p->to);
	value_line(p->to, btf, f->type, part(d, d->kernel));
	fputs(", welded ", p->to);
	value_line(p->to, btf, f->type, part(d, d->welded));
	if (behind_nul(d))
		fputs(": behind the NUL (--text does not look there)", p->to);
}

static void element_line(const struct printer *p, const struct difference *d)
{
	const struct bpf_map_def *m = map_of(p, d->map);
	const uint8_t *there = d->kernel ? d->kernel : d->welded;
	struct bytes value = { there + m->key_size, m->value_size };
	struct json j = json_to(p->to, false);

	place_line(p, d);
	say_to(p->to,
	       ": only in the %s run: ", d->kernel ? "kernel's" : "welded");
	if (m->type == BPF_MAP_TYPE_STACK_TRACE)
		chain_json(&j, value);
	else
		value_line(p->to, btf_of(p, d->map), m->btf_value, value);
}

static void text_line(FILE *to, const char *who, const char *text)
{
	struct json j = json_to(to, false);

	say_to(to, "\n  %s: ", who);
	if (text)
		json_printf(&j, "%.*s", TEXT_MAX, text);
	else
		fputs("ends here", to);
}

static void difference_line(const struct printer *p, const struct difference *d)
{
	switch (d->kind) {
	case DIFF_FIELD:
		field_line(p, d);
		break;
	case DIFF_ELEMENT:
		element_line(p, d);
		break;
	case DIFF_COUNT:
		place_line(p, d);
		say_to(p->to,
		       ": number of elements: kernel %" PRIu64
		       ", welded %" PRIu64,
		       d->number[0], d->number[1]);
		break;
	case DIFF_STATUS:
		say_to(p->to,
		       "command: exit status: kernel %" PRIu64
		       ", welded %" PRIu64,
		       d->number[0], d->number[1]);
		break;
	case DIFF_OUTPUT:
		say_to(p->to, "command: output differs in line %" PRIu64 ":",
		       d->number[0]);
		text_line(p->to, "kernel", d->text[0]);
		text_line(p->to, "welded", d->text[1]);
		break;
	}
	fputc('\n', p->to);
}

static void lines(const struct printer *p, const struct diff_options *opt,
		  const struct diff_result *r)
{
	const struct verdict *v = &r->verdict;
	size_t shown = v->ndiff;

	if (!opt->verbose && shown > LINES_MAX)
		shown = LINES_MAX;
	for (size_t i = 0; i < shown; i++)
		difference_line(p, &v->diff[i]);
	if (shown < v->ndiff)
		say_to(p->to, "... %zu more (-v shows them)\n",
		       v->ndiff - shown);
	for (size_t i = 0; opt->verbose && i < v->nmask; i++)
		say_to(p->to, "masked: %s%s%s: %zu\n",
		       map_label(map_of(p, v->mask[i].map)),
		       *v->mask[i].field ? "." : "", v->mask[i].field,
		       v->mask[i].values);
	say_to(p->to,
	       "%zu values equal, %zu masked, %zu different (%" PRIu64
	       " hit%s, %zu runs)\n",
	       v->equal, v->masked, v->different, r->welded.hits,
	       r->welded.hits == 1 ? "" : "s", r->nrun + 1);
}

/* --- JSON. */

static void place_json(const struct printer *p, const struct difference *d)
{
	const struct bpf_map_def *m = map_of(p, d->map);
	const uint8_t *key = d->kernel ? d->kernel : d->welded;

	json_str_at(p->json, "map", map_label(m));
	json_str_at(p->json, "object", object_of(p, d->map));
	if (!key)
		return;
	json_key(p->json, "key");
	value_json(p->json, btf_of(p, d->map), m->btf_key,
		   (struct bytes){ key, m->key_size });
}

static void field_json(const struct printer *p, const struct difference *d)
{
	const struct field *f = d->field;
	const struct btf *btf = btf_of(p, d->map);

	place_json(p, d);
	json_key(p->json, "field");
	if (f->step < f->size)
		json_printf(p->json, "%s[%u]", f->name, d->index);
	else
		json_string(p->json, f->name);
	json_key(p->json, "kernel");
	value_json(p->json, btf, f->type, part(d, d->kernel));
	json_key(p->json, "welded");
	value_json(p->json, btf, f->type, part(d, d->welded));
}

static void element_json(const struct printer *p, const struct difference *d)
{
	const struct bpf_map_def *m = map_of(p, d->map);
	const uint8_t *elem[2] = { d->kernel, d->welded };

	place_json(p, d);
	for (int i = 0; i < 2; i++) {
		struct bytes value = { elem[i] ? elem[i] + m->key_size : NULL,
				       m->value_size };

		json_key(p->json, i ? "welded" : "kernel");
		if (!elem[i])
			json_null(p->json);
		else if (m->type == BPF_MAP_TYPE_STACK_TRACE)
			chain_json(p->json, value);
		else
			value_json(p->json, btf_of(p, d->map), m->btf_value,
				   value);
	}
}

static void difference_json(const struct printer *p, const struct difference *d)
{
	struct json *j = p->json;

	json_object(j);
	switch (d->kind) {
	case DIFF_FIELD:
		field_json(p, d);
		break;
	case DIFF_ELEMENT:
		element_json(p, d);
		break;
	case DIFF_COUNT:
		place_json(p, d);
		json_str_at(j, "field", "number of elements");
		break;
	case DIFF_STATUS:
		json_str_at(j, "command", "status");
		break;
	case DIFF_OUTPUT:
		json_str_at(j, "command", "output");
		json_u64_at(j, "line", d->number[0]);
		json_str_at(j, "kernel", d->text[0]);
		json_str_at(j, "welded", d->text[1]);
		break;
	}
	if (d->kind == DIFF_COUNT || d->kind == DIFF_STATUS) {
		json_u64_at(j, "kernel", d->number[0]);
		json_u64_at(j, "welded", d->number[1]);
	}
	json_end(j);
}

static void masks_json(const struct printer *p, const struct verdict *v)
{
	struct json *j = p->json;

	json_key(j, "masks");
	json_array(j);
	for (size_t i = 0; i < v->nmask; i++) {
		json_object(j);
		json_str_at(j, "map", map_label(map_of(p, v->mask[i].map)));
		json_str_at(j, "object", object_of(p, v->mask[i].map));
		json_str_at(j, "field", v->mask[i].field);
		json_u64_at(j, "values", v->mask[i].values);
		json_end(j);
	}
	json_end(j);
}

static void document(const struct printer *p, const struct diff_result *r)
{
	const struct verdict *v = &r->verdict;
	struct json *j = p->json;

	json_object(j);
	json_str_at(j, "target", p->w->img.path);
	json_u64_at(j, "equal", v->equal);
	json_u64_at(j, "masked", v->masked);
	json_u64_at(j, "different", v->different);
	json_u64_at(j, "hits", r->welded.hits);
	json_u64_at(j, "runs", r->nrun + 1);
	json_u64_at(j, "not_placed", p->w->plan.nrefusal);
	json_u64_at(j, "left_out", p->w->ndropped);
	json_key(j, "differences");
	json_array(j);
	for (size_t i = 0; i < v->ndiff; i++)
		difference_json(p, &v->diff[i]);
	json_end(j);
	masks_json(p, v);
	json_key(j, "warnings");
	json_array(j);
	for (size_t i = 0; i < r->nwarning; i++)
		json_string(j, r->warning[i]);
	json_end(j);
	json_end(j);
	json_done(j);
}

void diff_report(FILE *to, const struct weld *w, const struct diff_options *opt,
		 const struct diff_result *r)
{
	struct json j = json_to(to, false);
	struct printer p = { to, w, opt->json ? &j : NULL };

	if (opt->json) {
		document(&p, r);
		return;
	}
	for (size_t i = 0; i < r->nwarning; i++)
		say_to(stderr, "bpfweld: warning: %s\n", r->warning[i]);
	lines(&p, opt, r);
}
