/* SPDX-License-Identifier: MIT */
/* compare.c - three snapshots, field by field.
 *
 * K and T are the kernel's runs (original and twin), W is ours.  When K and T
 * have the same keys, elements are matched by key: a field that K and T agree
 * on must be the same in W; one they disagree on must equal T's, or it is
 * masked.  When their keys differ (a pid is in the key), elements are matched by
 * rank after sorting by value, and a field that K and T disagree on anywhere
 * is masked in the whole map.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rewriter/diff/diff.h"

struct compare {
	struct arena *a;
	FILE *to;
	bool json;
	struct verdict *v;
	const char *map;
	struct field *key, *value;
	size_t nkey, nvalue;
	uint32_t key_size, elem_size;
};

static void print_bytes(FILE *to, const uint8_t *p, uint32_t n)
{
	uint64_t v = 0;

	if (n <= 8) {
		memcpy(&v, p, n);
		fprintf(to, "%" PRIu64, v);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		fprintf(to, "%02x", p[i]);
}

static void print_key(const struct compare *c, const uint8_t *key)
{
	for (size_t i = 0; i < c->nkey; i++) {
		const char *name = c->key[i].name;

		if (i)
			fputs(", ", c->to);
		if (*name)
			fprintf(c->to, "%s=", name + (*name == '.'));
		print_bytes(c->to, key + c->key[i].off, c->key[i].size);
	}
}

static void report(struct compare *c, const uint8_t *elem,
		   const struct field *f, const uint8_t *kernel,
		   const uint8_t *welded)
{
	const char *name = f ? f->name : "";

	c->v->different++;
	fprintf(c->to, c->json ? "{\"map\":\"%s\",\"key\":\"" : "%s[", c->map);
	if (elem)
		print_key(c, elem);
	fprintf(c->to, c->json ? "\",\"field\":\"%s\",\"kernel\":\"" :
				 "]%s: kernel ",
		name);
	if (kernel)
		print_bytes(c->to, kernel, f ? f->size : 0);
	else
		fputs("has no such element", c->to);
	fputs(c->json ? "\",\"welded\":\"" : ", welded ", c->to);
	if (welded)
		print_bytes(c->to, welded, f ? f->size : 0);
	else
		fputs("has no such element", c->to);
	fputs(c->json ? "\"}\n" : "\n", c->to);
}

static const uint8_t *elem(const struct snap_map *m, size_t i)
{
	return m->elem + i * (m->key_size + m->value_size);
}

static _Thread_local struct {
	size_t from, len, size;
} sort_by;

static int by_bytes(const void *x, const void *y)
{
	const uint8_t *a = x, *b = y;
	int d = memcmp(a + sort_by.from, b + sort_by.from, sort_by.len);

	return d ? d : memcmp(a, b, sort_by.size);
}

static void sort_elems(struct snap_map *m, size_t from, size_t len)
{
	sort_by.from = from;
	sort_by.len = len;
	sort_by.size = m->key_size + m->value_size;
	if (m->nelem)
		qsort(m->elem, m->nelem, sort_by.size, by_bytes);
}

static bool same_keys(const struct snap_map *x, const struct snap_map *y)
{
	if (x->nelem != y->nelem)
		return false;
	for (size_t i = 0; i < x->nelem; i++)
		if (memcmp(elem(x, i), elem(y, i), x->key_size))
			return false;
	return true;
}

static void compare_elem(struct compare *c, const uint8_t *k, const uint8_t *t,
			 const uint8_t *w)
{
	for (size_t i = 0; i < c->nvalue; i++) {
		const struct field *f = &c->value[i];
		uint32_t at = c->key_size + f->off;

		if (memcmp(k + at, w + at, f->size) == 0 ||
		    memcmp(t + at, w + at, f->size) == 0)
			c->v->compared++;
		else if (memcmp(k + at, t + at, f->size) != 0)
			c->v->masked++;
		else
			report(c, k, f, k + at, w + at);
	}
}

static void compare_keyed(struct compare *c, const struct snap_map *k,
			  const struct snap_map *t, const struct snap_map *w)
{
	size_t i = 0, j = 0;

	while (i < k->nelem || j < w->nelem) {
		int d = i == k->nelem ? 1 :
			j == w->nelem ? -1 :
					memcmp(elem(k, i), elem(w, j),
					       c->key_size);

		if (d == 0) {
			compare_elem(c, elem(k, i), elem(t, i), elem(w, j));
			i++, j++;
		} else if (d < 0) {
			report(c, elem(k, i), &c->value[0],
			       elem(k, i) + c->key_size, NULL);
			i++;
		} else {
			report(c, elem(w, j), &c->value[0], NULL,
			       elem(w, j) + c->key_size);
			j++;
		}
	}
}

/* Zero the fields of W's and K's values that K and T disagree on. */
static void mask_varying(struct compare *c, struct snap_map *k,
			 struct snap_map *t, struct snap_map *w)
{
	struct snap_map *all[] = { k, t, w };

	for (size_t i = 0; i < c->nvalue; i++) {
		const struct field *f = &c->value[i];
		uint32_t at = c->key_size + f->off;
		bool varies = false;

		for (size_t j = 0; j < k->nelem && j < t->nelem; j++)
			varies |= memcmp(elem(k, j) + at, elem(t, j) + at,
					 f->size) != 0;
		if (!varies)
			continue;
		for (size_t s = 0; s < 3; s++)
			for (size_t j = 0; j < all[s]->nelem; j++)
				memset(all[s]->elem + j * c->elem_size + at, 0,
				       f->size);
		c->v->masked += w->nelem;
	}
}

static void compare_ranked(struct compare *c, struct snap_map *k,
			   struct snap_map *t, struct snap_map *w)
{
	struct snap_map *all[] = { k, t, w };

	for (int pass = 0; pass < 2; pass++) {
		for (size_t s = 0; s < 3; s++)
			sort_elems(all[s], c->key_size, all[s]->value_size);
		if (pass == 0)
			mask_varying(c, k, t, w);
	}
	if (k->nelem != t->nelem) { /* the number itself varies */
		c->v->masked += w->nelem;
		return;
	}
	for (size_t i = 0; i < k->nelem && i < w->nelem; i++)
		compare_elem(c, elem(k, i), elem(k, i), elem(w, i));
	if (k->nelem != w->nelem) {
		static const struct field count = { " number of elements", 0,
						    8 };
		uint64_t nk = k->nelem, nw = w->nelem;

		report(c, NULL, &count, (uint8_t *)&nk, (uint8_t *)&nw);
	}
}

static struct snap_map sorted_copy(struct arena *a, const struct snap_map *m)
{
	struct snap_map copy = *m;

	copy.elem = arena_dup(a, m->elem,
			      m->nelem * (m->key_size + m->value_size));
	sort_elems(&copy, 0, m->key_size);
	return copy;
}

static void compare_map(struct compare *c, const struct weld *w, uint32_t i,
			const struct snap_map *kernel,
			const struct snap_map *twin,
			const struct snap_map *welded)
{
	const struct bpf_map_def *d = &w->set.map[i];
	const struct btf *btf = w->set.object[d->object].btf;
	struct snap_map k = sorted_copy(c->a, kernel);
	struct snap_map t = sorted_copy(c->a, twin);
	struct snap_map o = sorted_copy(c->a, welded);

	c->map = d->name;
	c->key_size = d->key_size;
	c->elem_size = d->key_size + d->value_size;
	c->key = fields_of(c->a, btf, d->btf_key, d->key_size, &c->nkey);
	c->value = fields_of(c->a, btf, d->btf_value, d->value_size,
			     &c->nvalue);
	if (same_keys(&k, &t))
		compare_keyed(c, &k, &t, &o);
	else if (same_keys(&t, &o))
		compare_keyed(c, &t, &t, &o);
	else
		compare_ranked(c, &k, &t, &o);
}

static int status_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static bool same_output(const char *x, const char *y)
{
	FILE *a = fopen(x, "re"), *b = fopen(y, "re");
	int c, d;

	do {
		c = a ? getc(a) : EOF;
		d = b ? getc(b) : EOF;
	} while (c == d && c != EOF);
	if (a)
		fclose(a);
	if (b)
		fclose(b);
	return c == d;
}

static void compare_run(struct compare *c, const struct snapshot *k,
			const struct snapshot *t, const struct snapshot *w)
{
	static const struct field status = { " exit status", 0, 8 };
	uint64_t ks = (uint64_t)status_code(k->status);
	uint64_t ws = (uint64_t)status_code(w->status);

	c->map = "command";
	if (ks != ws)
		report(c, NULL, &status, (uint8_t *)&ks, (uint8_t *)&ws);
	if (same_output(k->output, w->output))
		return;
	if (!same_output(k->output, t->output)) {
		c->v->masked++;
		return;
	}
	c->v->different++;
	fprintf(c->to, c->json ? "{\"map\":\"command\",\"key\":\"\","
				 "\"field\":\"output\",\"kernel\":\"\","
				 "\"welded\":\"differs\"}\n"
			       : "command[] output differs\n");
}

int snapshots_compare(struct arena *a, const struct weld *w,
		      const struct snapshot *kernel,
		      const struct snapshot *twin,
		      const struct snapshot *welded, FILE *to, bool json,
		      struct verdict *out, struct err *e)
{
	struct compare c = { .a = a, .to = to, .json = json, .v = out };

	if (kernel->nmap != w->set.nmap || welded->nmap != w->set.nmap)
		return fail(e, w->img.path, NOWHERE,
			    "the runs do not have the same maps");
	compare_run(&c, kernel, twin, welded);
	for (uint32_t i = 0; i < w->set.nmap; i++)
		if (w->set.map[i].data != DATA_KCONFIG &&
		    w->set.map[i].data != DATA_RODATA)
			compare_map(&c, w, i, &kernel->map[i], &twin->map[i],
				    &welded->map[i]);
	return 0;
}
