/* SPDX-License-Identifier: MIT */
/* compare.c - the runs' snapshots, field by field.
 *
 * The maps of all runs are sorted by key and walked together, a key a row:
 *
 *     in the welded run and in all twins   its fields are compared
 *     in the original's run only           depends on the layout: no matter
 *     else                                 put aside
 *
 * When all twins have the same keys, what was put aside is what the welded run
 * lacks or has too much.  When they have not, keys vary (a pid is in them), and
 * what was put aside is compared by rank: fields whose values, all elements
 * together, are not the same in all twins are masked, the rest is sorted.
 *
 * After two kernel runs nobody knows what varies.  Then every value that
 * neither of them has is counted as open.
 */
#include <stdlib.h>

#include "rewriter/diff/diff.h"
#include "rewriter/names.h"

enum {
	SIDES = 9,            /* kernel, twins, welded: diff_result.run + 1 */
	KEY_GROUPS = 1 << 16, /* more groups than a key has */
};

struct list {
	const uint8_t **elem;
	size_t n;
};

struct compare {
	struct arena *a;
	const struct weld *w;
	struct verdict *v;
	const struct diff_options *opt;
	size_t nrun; /* side[nrun] is the welded one */
	/* The map at hand: */
	uint32_t map, key_size, elem_size;
	const struct snap_map *side[SIDES];
	struct list aside[SIDES];
	bool keys_vary;
	struct field *field; /* the key's, then the value's; offsets count
				from the key's start */
	bool *ignored;       /* per field */
	size_t nkey, nfield;
};

static const uint8_t *elem_at(const struct snap_map *m, size_t i)
{
	return m->elem + i * (m->key_size + m->value_size);
}

static bool same(const uint8_t *x, const uint8_t *y, const struct field *f)
{
	return !memcmp(x + f->off, y + f->off, f->size);
}

/* --- what comes out. */

static struct difference *difference(struct compare *c,
				     enum difference_kind kind)
{
	struct verdict *v = c->v;
	struct difference *d;

	v->different++;
	v->diff = arena_push(c->a, v->diff, v->ndiff, sizeof(*v->diff));
	d = &v->diff[v->ndiff++];
	*d = (struct difference){ .kind = kind, .map = c->map };
	return d;
}

static void differs(struct compare *c, const struct field *f,
		    const uint8_t *kernel, const uint8_t *welded)
{
	struct difference *d = difference(c, DIFF_FIELD);
	uint32_t at = f->off;

	while (kernel[at] == welded[at])
		at++;
	d->field = f;
	d->index = (at - f->off) / f->step;
	d->kernel = kernel;
	d->welded = welded;
}

static void element_differs(struct compare *c, const uint8_t *kernel,
			    const uint8_t *welded)
{
	struct difference *d = difference(c, DIFF_ELEMENT);

	d->kernel = kernel;
	d->welded = welded;
}

static void masked(struct compare *c, const char *field, size_t n)
{
	struct verdict *v = c->v;

	v->masked += n;
	for (size_t i = 0; i < v->nmask; i++)
		if (v->mask[i].map == c->map && v->mask[i].field == field) {
			v->mask[i].values += n;
			return;
		}
	v->mask = arena_push(c->a, v->mask, v->nmask, sizeof(*v->mask));
	v->mask[v->nmask++] = (struct mask){ c->map, field, n };
}

static bool is_ignored(const struct compare *c, const char *map,
		       const char *field)
{
	const char *both = arena_printf(c->a, "%s.%s", map, field);

	for (size_t i = 0; i < c->opt->nignore; i++)
		if (name_matches_plain(map, c->opt->ignore[i]) ||
		    name_matches_plain(both, c->opt->ignore[i]))
			return true;
	return false;
}

/* Is all of this map left out, whichever elements it has? */
static bool map_is_ignored(const struct compare *c, const char *map)
{
	for (size_t i = 0; i < c->opt->nignore; i++)
		if (name_matches_plain(map, c->opt->ignore[i]))
			return true;
	return false;
}

/* --- elements that have a key in common. */

static bool any_run_has(const struct compare *c, const uint8_t *const *row,
			const struct field *f)
{
	for (size_t s = 0; s < c->nrun; s++)
		if (row[s] && same(row[s], row[c->nrun], f))
			return true;
	return false;
}

/* Do the twins disagree on this field, or on one that goes with it? */
static bool twins_vary(const struct compare *c, const uint8_t *const *row,
		       const struct field *f)
{
	for (size_t i = 0; i < c->nfield; i++) {
		const struct field *o = &c->field[i];

		if (o->group != f->group)
			continue;
		for (size_t s = 2; s < c->nrun; s++)
			if (!same(row[1], row[s], o))
				return true;
	}
	return false;
}

static void compare_row(struct compare *c, const uint8_t *const *row)
{
	for (size_t i = c->nkey; i < c->nfield; i++) {
		const struct field *f = &c->field[i];

		if (c->ignored[i])
			masked(c, f->name, 1);
		else if (any_run_has(c, row, f))
			c->v->equal++;
		else if (c->nrun == 2)
			c->v->open++;
		else if (twins_vary(c, row, f))
			masked(c, f->name, 1);
		else
			differs(c, f, row[1], row[c->nrun]);
	}
}

static bool next_row(const struct compare *c, size_t *at, const uint8_t **row)
{
	const uint8_t *least = NULL, *e;

	for (size_t s = 0; s <= c->nrun; s++) {
		row[s] = NULL;
		if (at[s] == c->side[s]->nelem)
			continue;
		e = elem_at(c->side[s], at[s]);
		if (!least || memcmp(e, least, c->key_size) < 0)
			least = e;
	}
	for (size_t s = 0; least && s <= c->nrun; s++) {
		if (at[s] == c->side[s]->nelem)
			continue;
		e = elem_at(c->side[s], at[s]);
		if (memcmp(e, least, c->key_size))
			continue;
		row[s] = e;
		at[s]++;
	}
	return least != NULL;
}

static void put_aside(struct compare *c, size_t side, const uint8_t *elem)
{
	struct list *l = &c->aside[side];

	l->elem = arena_push(c->a, l->elem, l->n, sizeof(*l->elem));
	l->elem[l->n++] = elem;
}

static void walk(struct compare *c)
{
	const uint8_t *row[SIDES];
	size_t at[SIDES] = { 0 };

	while (next_row(c, at, row)) {
		size_t twins = 0;

		for (size_t s = 1; s < c->nrun; s++)
			twins += row[s] != NULL;
		if (twins == c->nrun - 1 && row[c->nrun]) {
			compare_row(c, row);
			continue;
		}
		c->keys_vary |= twins && twins != c->nrun - 1;
		for (size_t s = 1; s <= c->nrun; s++)
			if (row[s])
				put_aside(c, s, row[s]);
	}
}

/* --- elements whose keys vary. */

struct order {
	size_t off, size;
};

static int by_bytes(const void *x, const void *y, void *ctx)
{
	const struct order *o = ctx;

	return memcmp((const uint8_t *)x + o->off, (const uint8_t *)y + o->off,
		      o->size);
}

/* All values that one field has on a side, sorted. */
static uint8_t *column(const struct compare *c, size_t side,
		       const struct field *f)
{
	const struct list *l = &c->aside[side];
	struct order o = { 0, f->size };
	uint8_t *v = arena_alloc(c->a, l->n * f->size);

	for (size_t i = 0; i < l->n; i++)
		memcpy(v + i * f->size, l->elem[i] + f->off, f->size);
	qsort_r(v, l->n, f->size, by_bytes, &o);
	return v;
}

static bool column_varies(const struct compare *c, const struct field *f)
{
	const uint8_t *first = column(c, 1, f);

	for (size_t s = 2; s < c->nrun; s++)
		if (memcmp(first, column(c, s, f), c->aside[1].n * f->size))
			return true;
	return false;
}

/* A side's elements with the varying fields blanked, sorted.  Behind each one
 * stands where it came from. */
static uint8_t *ranked(const struct compare *c, size_t side, const bool *varies)
{
	const struct list *l = &c->aside[side];
	struct order o = { 0, c->elem_size };
	size_t size = c->elem_size + sizeof(l->elem[0]);
	uint8_t *v = arena_alloc(c->a, l->n * size);

	for (size_t i = 0; i < l->n; i++) {
		uint8_t *r = v + i * size;

		/* Only fields: padding would disturb the order. */
		for (size_t k = 0; k < c->nfield; k++)
			if (!varies[k])
				memcpy(r + c->field[k].off,
				       l->elem[i] + c->field[k].off,
				       c->field[k].size);
		memcpy(r + c->elem_size, &l->elem[i], sizeof(l->elem[0]));
	}
	qsort_r(v, l->n, size, by_bytes, &o);
	return v;
}

static void compare_rank(struct compare *c, uint8_t *const *side, size_t at,
			 const bool *varies)
{
	const uint8_t *row[SIDES] = { NULL }, *kernel, *welded;

	for (size_t s = 1; s <= c->nrun; s++)
		row[s] = side[s] + at;
	memcpy(&kernel, row[1] + c->elem_size, sizeof(kernel));
	memcpy(&welded, row[c->nrun] + c->elem_size, sizeof(welded));
	for (size_t i = 0; i < c->nfield; i++) {
		const struct field *f = &c->field[i];
		bool in_key = i < c->nkey;

		if (varies[i])
			masked(c, f->name, !in_key);
		else if (any_run_has(c, row, f))
			c->v->equal += !in_key;
		else if (twins_vary(c, row, f))
			masked(c, f->name, !in_key);
		else
			differs(c, f, kernel, welded);
	}
}

static void compare_ranks(struct compare *c)
{
	size_t n = c->aside[1].n, mine = c->aside[c->nrun].n;
	size_t step = c->elem_size + sizeof(uint8_t *);
	bool *varies = arena_alloc(c->a, c->nfield);
	uint8_t *side[SIDES];

	for (size_t s = 2; s < c->nrun; s++)
		if (c->aside[s].n != n) { /* even their number varies */
			masked(c, "", mine * (c->nfield - c->nkey));
			return;
		}
	if (mine != n) {
		struct difference *d = difference(c, DIFF_COUNT);

		d->number[0] = c->side[1]->nelem;
		d->number[1] = c->side[c->nrun]->nelem;
	}
	for (size_t i = 0; i < c->nfield; i++)
		varies[i] = c->ignored[i] || column_varies(c, &c->field[i]);
	for (size_t s = 1; s <= c->nrun; s++)
		side[s] = ranked(c, s, varies);
	for (size_t i = 0; i < n && i < mine; i++)
		compare_rank(c, side, i * step, varies);
}

static void compare_aside(struct compare *c)
{
	const struct list *kernel = &c->aside[1], *mine = &c->aside[c->nrun];

	if (c->nrun == 2)
		c->v->open += kernel->n + mine->n;
	else if (c->keys_vary)
		compare_ranks(c);
	else {
		for (size_t i = 0; i < kernel->n; i++)
			element_differs(c, kernel->elem[i], NULL);
		for (size_t i = 0; i < mine->n; i++)
			element_differs(c, NULL, mine->elem[i]);
	}
}

/* --- one map. */

/* The length that all records of a ring have, or 0. */
static uint32_t records_len(const struct compare *c)
{
	uint32_t len = 0, n;

	for (size_t s = 0; s <= c->nrun; s++)
		for (size_t i = 0; i < c->side[s]->nelem; i++) {
			memcpy(&n, elem_at(c->side[s], i) + RING_KEY,
			       sizeof(n));
			if (len && n != len)
				return 0;
			len = n;
		}
	return len;
}

/* Blank what follows the NULs of a side's texts. */
static void texts_end(const struct compare *c, const struct snap_map *m)
{
	for (size_t i = 0; i < m->nelem; i++)
		for (size_t k = c->nkey; k < c->nfield; k++) {
			const struct field *f = &c->field[k];
			char *text = (char *)elem_at(m, i) + f->off;
			size_t n = f->text ? strnlen(text, f->size) : f->size;

			memset(text + n, 0, f->size - n);
		}
}

static void map_fields(struct compare *c, const struct bpf_map_def *d)
{
	const struct btf *btf = c->w->set.object[d->object].btf;
	struct field *key, *value;
	size_t nvalue;

	key = fields_of(c->a, btf, d->btf_key, snap_key_size(d), &c->nkey);
	value = ring_is(d->type) ? ring_fields(c->a, d, btf, c->opt->type,
					       records_len(c), &nvalue)
				 : fields_of(c->a, btf, d->btf_value,
					     d->value_size, &nvalue);
	c->nfield = c->nkey + nvalue;
	c->field = arena_alloc(c->a, c->nfield * sizeof(*c->field));
	c->ignored = arena_alloc(c->a, c->nfield * sizeof(*c->ignored));
	memcpy(c->field, key, c->nkey * sizeof(*key));
	for (size_t i = c->nkey; i < c->nfield; i++) {
		c->field[i] = value[i - c->nkey];
		c->field[i].off += snap_key_size(d);
		c->field[i].group += KEY_GROUPS;
		c->ignored[i] = is_ignored(c, map_label(d), c->field[i].name);
	}
}

static void compare_map(struct compare *c, struct snapshot *const *run,
			const struct snapshot *welded, uint32_t map)
{
	const struct bpf_map_def *d = &c->w->set.map[map];

	c->map = map;
	c->key_size = snap_key_size(d);
	c->elem_size = c->key_size + snap_value_size(d);
	c->keys_vary = false;
	memset(c->aside, 0, sizeof(c->aside));
	for (size_t s = 0; s < c->nrun; s++)
		c->side[s] = &run[s]->map[map];
	c->side[c->nrun] = &welded->map[map];
	map_fields(c, d);
	for (size_t s = 0; c->opt->text && s <= c->nrun; s++)
		texts_end(c, c->side[s]);
	walk(c);
	if (map_is_ignored(c, map_label(d)))
		return;
	if (c->aside[1].n || c->aside[c->nrun].n || c->keys_vary)
		compare_aside(c);
}

/* --- the command. */

static void compare_status(struct compare *c, struct snapshot *const *run,
			   const struct snapshot *welded)
{
	struct difference *d;
	bool vary = false;

	if (is_ignored(c, "command", "status"))
		return;
	for (size_t s = 0; s < c->nrun; s++) {
		if (run[s]->status == welded->status)
			return;
		vary |= s > 1 && run[s]->status != run[1]->status;
	}
	if (c->nrun == 2)
		c->v->open++;
	if (vary || c->nrun == 2)
		return;
	d = difference(c, DIFF_STATUS);
	d->number[0] = (uint64_t)run[1]->status;
	d->number[1] = (uint64_t)welded->status;
}

struct line {
	char *text;
	size_t room;
	ssize_t len; /* -1: the file is at its end */
};

static bool next_lines(FILE *const *f, struct line *l)
{
	for (int i = 0; i < 2; i++)
		l[i].len = f[i] ? getline(&l[i].text, &l[i].room, f[i]) : -1;
	return l[0].len >= 0 && l[0].len == l[1].len &&
	       !memcmp(l[0].text, l[1].text, (size_t)l[0].len);
}

/* 0: the same; else the first line that differs, and its text (NULL: there is
 * no such line). */
static uint64_t output_differs(struct compare *c, const char *x, const char *y,
			       const char *text[2])
{
	FILE *f[2] = { fopen(x, "re"), fopen(y, "re") };
	struct line l[2] = { { 0 }, { 0 } };
	uint64_t n = 1;

	while (next_lines(f, l))
		n++;
	if (l[0].len < 0 && l[1].len < 0)
		n = 0;
	for (int i = 0; i < 2; i++) {
		if (l[i].len > 0 && l[i].text[l[i].len - 1] == '\n')
			l[i].text[l[i].len - 1] = 0;
		text[i] = l[i].len < 0 ? NULL : arena_strdup(c->a, l[i].text);
		free(l[i].text);
		if (f[i])
			fclose(f[i]);
	}
	return n;
}

static void compare_output(struct compare *c, struct snapshot *const *run,
			   const struct snapshot *welded)
{
	struct difference *d;
	const char *text[2];

	if (is_ignored(c, "command", "output"))
		return;
	for (size_t s = 0; s < c->nrun; s++)
		if (!output_differs(c, run[s]->output, welded->output, text))
			return;
	if (c->nrun == 2) {
		c->v->open++;
		return;
	}
	for (size_t s = 2; s < c->nrun; s++)
		if (output_differs(c, run[1]->output, run[s]->output, text)) {
			c->v->output_varies = true;
			return;
		}
	d = difference(c, DIFF_OUTPUT);
	d->number[0] =
		output_differs(c, run[1]->output, welded->output, d->text);
}

static void sort_maps(struct snapshot *s)
{
	for (size_t i = 0; i < s->nmap; i++) {
		struct snap_map *m = &s->map[i];
		struct order o = { 0, m->key_size };

		if (m->nelem)
			qsort_r(m->elem, m->nelem, m->key_size + m->value_size,
				by_bytes, &o);
	}
}

void snapshots_compare(struct arena *a, const struct weld *w,
		       struct snapshot *const *run, size_t nrun,
		       struct snapshot *welded, const struct diff_options *opt,
		       struct verdict *out)
{
	struct compare c = {
		.a = a, .w = w, .v = out, .opt = opt, .nrun = nrun
	};

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < nrun; i++)
		sort_maps(run[i]);
	sort_maps(welded);
	compare_status(&c, run, welded);
	compare_output(&c, run, welded);
	/* A .kconfig is the kernel's own on one side, fixed on the other. */
	for (uint32_t i = 0; i < w->set.nmap; i++)
		if (w->set.map[i].data != DATA_KCONFIG && !w->set.map[i].absent)
			compare_map(&c, run, welded, i);
}
