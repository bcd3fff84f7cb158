/* SPDX-License-Identifier: MIT */
/* api.c - <bpfweld/reader.h>: open and close, errors, probes, lines. */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime-stub/reader/api.h"

/* --- Errors. */

static _Thread_local char last[512];

int api_fail(int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last, sizeof(last), fmt, ap);
	va_end(ap);
	errno = error;
	return -error;
}

int api_err(int error, const struct err *e)
{
	if (e->file)
		return api_fail(error, "%s: %s", e->file, e->what);
	return api_fail(error, "%s", e->what);
}

const char *bpfweld_error(void)
{
	return last;
}

const char *bpfweld_version(void)
{
	return BPFWELD_VERSION;
}

int api_call(int (*call)(struct arena *a, void *arg), void *arg)
{
	struct arena a = { 0 };
	jmp_buf full;
	int ret;

	a.full = &full;
	if (setjmp(full))
		ret = api_fail(ENOMEM, "out of memory");
	else
		ret = call(&a, arg);
	arena_free(&a);
	return ret;
}

int api_fill(void *to, size_t size, const void *from, size_t have)
{
	if (!to)
		return api_fail(EINVAL, "nowhere to put it");
	memset(to, 0, size);
	memcpy(to, from, size < have ? size : have);
	return 0;
}

/* --- Opening. */

struct opening {
	struct bpfweld *w;
	const char *path;
	enum reader_access access;
	bool region; /* the path is a region's */
};

/* What a region tells of itself, where there is nothing else. */
static void manifest_guess(struct bpfweld *w)
{
	struct manifest *m = &w->m;

	m->nmap = w->r.head.map_count;
	m->nprobe = w->r.head.probe_count;
	m->nobject = 1;
	m->object = arena_alloc(&w->arena, sizeof(*m->object));
	m->object->name = "";
	m->map = arena_alloc(&w->arena, (m->nmap + 1) * sizeof(*m->map));
	for (size_t i = 0; i < m->nmap; i++) {
		m->map[i].map = w->r.map[i];
		m->map[i].name = w->r.map[i].name;
		m->map[i].data = strchr(m->map[i].name, '.') != NULL;
	}
}

static int open_region(struct opening *o)
{
	struct bpfweld *w = o->w;
	const char *path = arena_strdup(&w->arena, o->path);
	struct err e;

	if (access(path, o->access == READER_WRITE ? R_OK | W_OK : R_OK))
		return api_fail(errno, "%s: %s", path, strerror(errno));
	if (reader_open(&w->arena, path, o->access, &w->r, &e))
		return api_err(EIO, &e);
	manifest_guess(w);
	return 0;
}

static int open_welded(struct opening *o)
{
	struct bpfweld *w = o->w;
	const char *path = arena_strdup(&w->arena, o->path);
	struct err e;

	if (access(path, R_OK))
		return api_fail(errno, "%s: %s", path, strerror(errno));
	if (manifest_read(&w->arena, path, &w->m, NULL, &e))
		return api_err(EINVAL, &e);
	path = reader_path(&w->arena, &w->m);
	if (!reader_found(path))
		return api_fail(ENOENT, "%s: %s", o->path,
				reader_none(&w->arena, &w->m));
	if (access(path, o->access == READER_WRITE ? R_OK | W_OK : R_OK))
		return api_fail(errno, "%s: %s", path, strerror(errno));
	if (reader_open_weld(&w->arena, &w->m, o->access, &w->r, &e))
		return api_err(strstr(e.what, "another weld") ? ESTALE : EIO,
			       &e);
	return 0;
}

static void handles_make(struct bpfweld *w)
{
	struct manifest *m = &w->m;

	w->btf = arena_alloc(&w->arena, (m->nobject + 1) * sizeof(*w->btf));
	for (size_t i = 0; i < m->nobject; i++)
		w->btf[i] = typed_open(m->object[i].btf);
	w->map = arena_alloc(&w->arena, (m->nmap + 1) * sizeof(*w->map));
	for (uint32_t i = 0; i < m->nmap; i++) {
		const struct btf *btf = w->btf[m->map[i].object];

		w->map[i] = (struct bpfweld_map){
			.w = w,
			.index = i,
			.key = { btf, m->map[i].btf_key, NULL },
			.value = { btf, m->map[i].btf_value, NULL },
		};
	}
	w->spec = arena_alloc(&w->arena, (m->nprobe + 1) * sizeof(*w->spec));
	for (size_t i = 0; m->probe && i < m->nprobe; i++)
		w->spec[i] = manifest_spec(&w->arena, &m->probe[i]);
}

static int open_it(struct opening *o)
{
	jmp_buf full;
	int ret;

	o->w->arena.full = &full;
	if (setjmp(full))
		return api_fail(ENOMEM, "out of memory");
	ret = o->region ? open_region(o) : open_welded(o);
	if (!ret)
		handles_make(o->w);
	return ret;
}

static struct bpfweld *open_new(const char *path, unsigned flags, bool region)
{
	struct opening o = {
		.path = path,
		.access = flags & BPFWELD_WRITE ? READER_WRITE : READER_READ,
		.region = region,
	};
	int error;

	if (!path || flags & ~(unsigned)BPFWELD_WRITE) {
		api_fail(EINVAL, path ? "unknown flags" : "no path");
		return NULL;
	}
	o.w = calloc(1, sizeof(*o.w));
	if (!o.w) {
		api_fail(ENOMEM, "out of memory");
		return NULL;
	}
	o.w->r.fd = -1;
	pthread_mutex_init(&o.w->lock, NULL);
	error = open_it(&o);
	o.w->arena.full = NULL;
	if (!error)
		return o.w;
	bpfweld_close(o.w);
	errno = -error;
	return NULL;
}

struct bpfweld *bpfweld_open(const char *welded, unsigned flags)
{
	return open_new(welded, flags, false);
}

struct bpfweld *bpfweld_open_region(const char *region, unsigned flags)
{
	return open_new(region, flags, true);
}

void bpfweld_close(struct bpfweld *w)
{
	struct bpfweld_type *t, *next;

	if (!w)
		return;
	for (t = w->types; t; t = next) {
		next = t->next;
		free(t);
	}
	for (size_t i = 0; w->btf && i < w->m.nobject; i++)
		typed_close(w->btf[i]);
	reader_close(&w->r);
	arena_free(&w->arena);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

const char *bpfweld_region_path(const struct bpfweld *w)
{
	return w ? w->r.path : NULL;
}

int bpfweld_is_current(const struct bpfweld *w)
{
	if (!w)
		return api_fail(EINVAL, "nothing is open");
	return reader_is_current(&w->r);
}

/* --- Probes. */

size_t bpfweld_probe_count(const struct bpfweld *w)
{
	return w ? w->m.nprobe : 0;
}

static int probe_check(const struct bpfweld *w, size_t probe)
{
	if (!w)
		return api_fail(EINVAL, "nothing is open");
	if (probe >= w->m.nprobe)
		return api_fail(EINVAL, "there is no probe %zu", probe);
	return 0;
}

int bpfweld_probe_info(const struct bpfweld *w, size_t probe,
		       struct bpfweld_probe_info *info, size_t size)
{
	struct bpfweld_probe_info is = { .program = "",
					 .spec = "",
					 .function = "" };
	struct reader_probe live;
	int bad = probe_check(w, probe);

	if (bad)
		return bad;
	if (w->m.probe) {
		is.program = w->m.probe[probe].prog;
		is.function = w->m.probe[probe].func;
		is.address = w->m.probe[probe].addr;
		is.spec = w->spec[probe];
	}
	live = reader_probe(&w->r, (uint32_t)probe);
	is.enabled = live.enabled;
	is.hits = live.hits;
	is.misses = live.misses;
	is.failed = live.failed;
	return api_fill(info, size, &is, sizeof(is));
}

int bpfweld_probe_enable(struct bpfweld *w, size_t probe, int enable)
{
	int bad = probe_check(w, probe);

	if (bad)
		return bad;
	return reader_enable(&w->r, (uint32_t)probe, enable)
		       ? 0
		       : api_fail(EPERM, "%s was opened to be read only",
				  w->r.path);
}

/* --- Lines. */

enum {
	LINES = 1 << 20
}; /* at once; there are not as many slots */

int bpfweld_lines(const struct bpfweld *w, uint64_t *next, uint64_t *missed,
		  bpfweld_line_fn line_cb, void *ctx)
{
	struct region_trace_record r;
	char text[TRACE_TEXT + 1];
	uint64_t gone = 0;
	int ret = 0;

	if (!w || !next || !line_cb)
		return api_fail(EINVAL, !w      ? "nothing is open"
					: !next ? "no number of the next line"
						: "no callback");
	for (int i = 0; !ret && i < LINES; i++) {
		if (!reader_line(&w->r, next, &r, &gone))
			break;
		memcpy(text, r.text, r.len);
		text[r.len] = 0;
		ret = line_cb(ctx,
			      &(struct bpfweld_line){ r.ns, r.tgid, r.tid,
						      r.cpu, r.len, text });
	}
	if (missed)
		*missed += gone;
	return ret;
}
