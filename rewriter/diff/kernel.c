/* SPDX-License-Identifier: MIT */
/* kernel.c - attach links as kernel uprobes and read the maps back.
 *
 * The programs go through libbpf unchanged, but they are attached by file
 * offset, one link of ours at a time and in the same order, so that nothing
 * depends on libbpf's reading of SEC().  A program with many links is loaded
 * for uprobe_multi instead (libbpf 1.1 does not know it, hence the raw call):
 * each perf uprobe costs an eighth of a second when it is removed.  A link
 * waits for entries or for returns, so a program that has both kinds gets two
 * such links; what runs at an entry and what runs at a return do not meet, and
 * each list keeps its order.
 * Source: kernel/trace/bpf_trace.c bpf_uprobe_multi_link_attach().
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rewriter/diff/diff.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/refs.h"

enum {
	MULTI_FROM = 8,
	ATTACH_UPROBE_MULTI = 48,
	ATTACH_UPROBE_SESSION = 57,
	MULTI_RETURN = 1, /* BPF_F_UPROBE_MULTI_RETURN */
	KINDS = 2         /* enum link_when */
};

struct kernel {
	struct bpf_object **object; /* same order as bpf_set.object */
	size_t nobject;
	struct bpf_link **link;
	size_t nlink;
	int *multi_fd; /* up to KINDS for each program */
	size_t nmulti;
	size_t multi_from; /* programs with so many links use uprobe_multi */
	struct perf { /* per map; buffer NULL: it is none */
		struct perf_buffer *buffer;
		struct records {
			struct arena *a;
			struct snap_map *out;
		} to;
	} *perf;
	size_t nperf;
};

/* libbpf gives its print function no context.  What it prints when a program
 * is refused is the verifier's log; the reason stands in front of its last
 * line, "processed N insns ...". */
static char refusal[200];

static int listen(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char *text = NULL, *end, *line;

	if (level != LIBBPF_WARN || !strstr(fmt, "BEGIN PROG LOAD LOG") ||
	    vasprintf(&text, fmt, ap) < 0)
		return 0;
	end = strstr(text, "\nprocessed ");
	if (end) {
		*end = 0;
		line = strrchr(text, '\n');
		snprintf(refusal, sizeof(refusal), "%s", line ? line + 1 : "");
	}
	free(text);
	return 0;
}

/* A program that does nothing, loaded for what uprobes need. */
bool kernel_usable(const char **why)
{
	struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd;

	libbpf_set_print(listen);
	fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "usable", "GPL", nothing, 2,
			   NULL);
	if (fd < 0) {
		*why = fd == -EPERM || fd == -EACCES
			       ? "loading BPF programs is not permitted (root?)"
			       : "the kernel does not load BPF programs";
		return false;
	}
	close(fd);
	if (access("/sys/bus/event_source/devices/uprobe/type", R_OK)) {
		*why = "the kernel has no uprobes "
		       "(/sys/bus/event_source/devices/uprobe)";
		return false;
	}
	return true;
}

/* The object's program behind one that was made for a link. */
static uint32_t program_of(const struct weld *w, const struct link *l)
{
	return w->set.prog[l->prog].of;
}

static size_t links_of(const struct weld *w, uint32_t prog)
{
	size_t n = 0;

	for (size_t i = 0; i < w->links.nlink; i++)
		n += program_of(w, &w->links.link[i]) == prog &&
		     w->probe_of[i] != UINT32_MAX;
	return n;
}

/* All programs that share a map of programs have to be of one kind: then they
 * are attached one by one. */
static bool wants_multi(const struct weld *w, const struct kernel *k,
			uint32_t prog)
{
	for (uint32_t i = 0; i < w->set.nmap; i++)
		if (w->set.map[i].object == w->set.prog[prog].object &&
		    map_has_progs(w->set.map[i].type))
			return false;
	return links_of(w, prog) >= k->multi_from;
}

static int program_prepare(const struct weld *w, const struct kernel *k,
			   struct bpf_object *obj, uint32_t prog, struct err *e)
{
	const struct bpf_prog *p = &w->set.prog[prog];
	struct bpf_program *bp = bpf_object__find_program_by_name(obj, p->name);
	size_t n = links_of(w, prog);

	if (!bp)
		return fail(e, w->set.object[p->object].path, NOWHERE,
			    "libbpf does not find program %s", p->name);
	if (p->session == SESSION_RETURN)
		return 0; /* to the kernel, it is the one before */
	/* libbpf puts it into its map when it loads the object. */
	bpf_program__set_autoload(bp, n > 0 || bpf_in_map(&w->set, prog));
	bpf_program__set_type(bp, BPF_PROG_TYPE_KPROBE);
	bpf_program__set_expected_attach_type(
		bp, p->session	       ? ATTACH_UPROBE_SESSION
		    : wants_multi(w, k, prog) ? ATTACH_UPROBE_MULTI
					      : 0);
	if (prog_sleeps(p)) /* libbpf 1.1 knows of two such sections */
		bpf_program__set_flags(bp, BPF_F_SLEEPABLE);
	return 0;
}

/* --set has already changed the initial bytes on our side. */
static int data_prepare(const struct weld *w, struct bpf_object *obj,
			uint32_t object, struct err *e)
{
	for (uint32_t i = 0; i < w->set.nmap; i++) {
		const struct bpf_map_def *d = &w->set.map[i];
		struct bpf_map *m;

		if (d->object != object)
			continue;
		m = bpf_object__find_map_by_name(obj, d->name);
		if (m && bpf_map__max_entries(m) != d->max_entries)
			bpf_map__set_max_entries(m, d->max_entries);
		if (d->data != DATA_DATA && d->data != DATA_RODATA)
			continue;
		if (!m ||
		    bpf_map__set_initial_value(m, d->initial.p, d->initial.n))
			return fail(e, w->set.object[object].path, NOWHERE,
				    "libbpf does not take the initial value "
				    "of %s",
				    d->name);
	}
	return 0;
}

/* Arrays that we have filled: libbpf has no initial value for those. */
static int arrays_fill(const struct weld *w, struct bpf_object *obj,
		       uint32_t object, struct err *e)
{
	for (uint32_t i = 0; i < w->set.nmap; i++) {
		const struct bpf_map_def *d = &w->set.map[i];
		uint64_t stride = align_up(d->value_size, 8);
		int fd;

		if (d->object != object || d->data || !d->initial.n)
			continue;
		fd = bpf_object__find_map_fd_by_name(obj, d->name);
		for (uint32_t k = 0; k < d->max_entries; k++)
			if (bpf_map_update_elem(fd, &k,
						d->initial.p + k * stride, 0))
				return fail(e, w->set.object[object].path,
					    NOWHERE,
					    "map %s cannot be filled: %s",
					    d->name, strerror(errno));
	}
	return 0;
}

/* Nothing may stay behind, or be there from an earlier run. */
static void maps_unpin(struct bpf_object *obj)
{
	struct bpf_map *m;

	bpf_object__for_each_map(m, obj) bpf_map__set_pin_path(m, NULL);
}

static int object_load(const struct weld *w, struct kernel *k, uint32_t i,
		       struct err *e)
{
	const struct bpf_object_file *f = &w->set.object[i];
	struct bpf_object *obj;
	int err;

	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = f->name);
	obj = bpf_object__open_mem(f->bytes.p, f->bytes.n, &opts);
	if (!obj)
		return fail(e, f->path, NOWHERE, "libbpf cannot open it: %s",
			    strerror(errno));
	k->object[k->nobject++] = obj;
	for (uint32_t p = 0; p < w->set.nprog; p++)
		if (w->set.prog[p].object == i && w->set.prog[p].of == p &&
		    program_prepare(w, k, obj, p, e))
			return -1;
	if (data_prepare(w, obj, i, e))
		return -1;
	maps_unpin(obj);
	refusal[0] = 0;
	err = bpf_object__load(obj);
	if (err)
		return fail(e, f->path, NOWHERE, "the kernel refuses it: %s",
			    refusal[0] ? refusal : strerror(-err));
	return arrays_fill(w, obj, i, e);
}

/* Where in the file the kernel counts a USDT probe's users; 0: nowhere. */
static uint64_t semaphore_offset(const struct weld *w, const struct link *l)
{
	return l->note && l->note->sema ? image_offset(&w->img, l->note->sema)
					: 0;
}

static int attach_one(const struct weld *w, struct kernel *k,
		      const struct link *l, const char *file, struct err *e)
{
	const struct bpf_prog *p = &w->set.prog[l->prog];
	struct bpf_program *bp =
		bpf_object__find_program_by_name(k->object[p->object], p->name);
	struct bpf_link *link;

	LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = l->cookie,
		    .ref_ctr_offset = semaphore_offset(w, l),
		    .retprobe = l->when == WHEN_RETURNED);
	link = bpf_program__attach_uprobe_opts(
		bp, -1, file, image_offset(&w->img, l->addr), &opts);
	if (!link)
		return fail(e, file, l->addr, "the kernel cannot attach %s: %s",
			    p->name, strerror(errno));
	k->link[k->nlink++] = link;
	return 0;
}

/* A file descriptor, or -errno. */
static int multi_link(int prog, const char *file, uint32_t type,
		      uint32_t flags, const uint64_t *off,
		      const uint64_t *sema,
		      const uint64_t *cookie, size_t n)
{
	struct { /* union bpf_attr's link_create with its uprobe_multi */
		uint32_t prog_fd, target_fd, attach_type, flags;
		uint64_t path, offsets, ref_ctr_offsets, cookies;
		uint32_t cnt, multi_flags, pid, pad;
	} attr = {
		.prog_fd = (uint32_t)prog,
		.attach_type = type,
		.path = (uintptr_t)file,
		.offsets = (uintptr_t)off,
		.ref_ctr_offsets = (uintptr_t)sema,
		.cookies = (uintptr_t)cookie,
		.cnt = (uint32_t)n,
		.multi_flags = flags,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

static int attach_multi(struct arena *a, const struct weld *w, struct kernel *k,
			uint32_t prog, uint8_t when, const char *file,
			struct err *e)
{
	const struct bpf_prog *p = &w->set.prog[prog];
	const struct bpf_program *bp =
		bpf_object__find_program_by_name(k->object[p->object], p->name);
	size_t n = links_of(w, prog), at = 0;
	uint64_t *off = arena_alloc(a, n * sizeof(*off));
	uint64_t *cookie = arena_alloc(a, n * sizeof(*cookie));
	uint64_t *sema = arena_alloc(a, n * sizeof(*sema));
	int fd;

	/* Backwards: on one address the last one runs first. */
	for (size_t i = w->links.nlink; i-- > 0;) {
		const struct link *l = &w->links.link[i];

		if (program_of(w, l) != prog || l->when != when ||
		    w->probe_of[i] == UINT32_MAX)
			continue;
		off[at] = image_offset(&w->img, l->addr);
		sema[at] = semaphore_offset(w, l);
		cookie[at++] = l->cookie;
	}
	fd = multi_link(bpf_program__fd(bp), file,
			p->session ? ATTACH_UPROBE_SESSION
				   : ATTACH_UPROBE_MULTI,
			when == WHEN_RETURNED ? MULTI_RETURN : 0, off, sema,
			cookie,
			at);
	if (fd < 0)
		return fail(e, file, NOWHERE,
			    "the kernel cannot attach %s to %zu sites: %s",
			    p->name, at, strerror(-fd));
	k->multi_fd[k->nmulti++] = fd;
	return 0;
}

static int by_order(const void *x, const void *y)
{
	const struct link *a = *(const struct link *const *)x;
	const struct link *b = *(const struct link *const *)y;

	return a->order < b->order ? -1 : a->order > b->order;
}

/* In attach order, because the kernel runs the last attached first. */
static int attach_all(struct arena *a, const struct weld *w, struct kernel *k,
		      const char *file, struct err *e)
{
	size_t n = w->links.nlink;
	const struct link **v = arena_alloc(a, n * sizeof(*v));
	bool(*done)[KINDS] = arena_alloc(a, w->set.nprog * sizeof(*done));

	for (size_t i = 0; i < n; i++)
		v[i] = &w->links.link[i];
	qsort(v, n, sizeof(*v), by_order);
	for (size_t i = 0; i < n; i++) {
		uint32_t p = program_of(w, v[i]);
		uint8_t when = v[i]->when;

		if (w->probe_of[v[i] - w->links.link] == UINT32_MAX ||
		    done[p][when] ||
		    w->set.prog[p].session == SESSION_RETURN)
			continue;
		if (w->set.prog[p].session || wants_multi(w, k, p)) {
			done[p][when] = true;
			if (attach_multi(a, w, k, p, when, file, e))
				return -1;
		} else if (attach_one(w, k, v[i], file, e)) {
			return -1;
		}
	}
	return 0;
}

/* A link to something that is no file: -EBADF where uprobe_multi is known,
 * -EINVAL where it is not (Linux 6.5 and before). */
static bool has_multi(void)
{
	struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	uint64_t off = 0;
	int prog, fd;

	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type =
			    (enum bpf_attach_type)ATTACH_UPROBE_MULTI);
	prog = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "multi", "GPL", nothing, 2,
			     &opts);
	if (prog < 0)
		return false;
	fd = multi_link(prog, "/", ATTACH_UPROBE_MULTI, 0, &off, NULL, NULL,
			1);
	close(prog);
	return fd == -EBADF;
}

static void sample_take(void *to, int cpu, void *data, uint32_t len)
{
	struct records *r = to;

	(void)cpu;
	if (r->out)
		ring_record_add(r->a, r->out, data, len);
}

enum { PERF_PAGES = 64 };

/* A perf event array takes nothing before somebody listens. */
static int perf_open(struct arena *a, const struct weld *w, struct kernel *k,
		     struct err *e)
{
	k->perf = arena_alloc(a, (w->set.nmap + 1) * sizeof(*k->perf));
	for (k->nperf = 0; k->nperf < w->set.nmap; k->nperf++) {
		const struct bpf_map_def *d = &w->set.map[k->nperf];
		struct perf *p = &k->perf[k->nperf];

		if (d->type != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
			continue;
		p->buffer = perf_buffer__new(
			bpf_object__find_map_fd_by_name(k->object[d->object],
							d->name),
			PERF_PAGES, sample_take, NULL, &p->to, NULL);
		if (!p->buffer)
			return fail(e, w->set.object[d->object].path, NOWHERE,
				    "perf buffer %s cannot be opened: %s",
				    d->name, strerror(errno));
	}
	return 0;
}

static int attach(struct arena *a, const struct weld *w, const char *file,
		  size_t multi_from, struct kernel **out, struct err *e)
{
	struct kernel *k = arena_alloc(a, sizeof(*k));

	k->multi_from = multi_from;
	k->object = arena_alloc(a, w->set.nobject * sizeof(*k->object));
	k->link = arena_alloc(a, w->links.nlink * sizeof(*k->link));
	k->multi_fd =
		arena_alloc(a, w->set.nprog * KINDS * sizeof(*k->multi_fd));
	*out = k;
	for (uint32_t i = 0; i < w->set.nobject; i++)
		if (object_load(w, k, i, e))
			goto fail;
	if (perf_open(a, w, k, e) || attach_all(a, w, k, file, e))
		goto fail;
	return 0;
fail:
	kernel_detach(k);
	return -1;
}

int kernel_attach(struct arena *a, const struct weld *w, const char *file,
		  struct kernel **out, struct err *e)
{
	return attach(a, w, file, has_multi() ? MULTI_FROM : SIZE_MAX, out, e);
}

int kernel_attach_many(struct arena *a, const struct weld *w, const char *file,
		       struct kernel **out, struct err *e)
{
	return attach(a, w, file, has_multi() ? 1 : SIZE_MAX, out, e);
}

void kernel_detach(struct kernel *k)
{
	for (size_t i = 0; i < k->nlink; i++)
		bpf_link__destroy(k->link[i]);
	for (size_t i = 0; i < k->nmulti; i++)
		close(k->multi_fd[i]);
	for (size_t i = 0; i < k->nperf; i++)
		perf_buffer__free(k->perf[i].buffer);
	for (size_t i = 0; i < k->nobject; i++)
		bpf_object__close(k->object[i]);
	k->nlink = k->nperf = k->nmulti = k->nobject = 0;
}

static int record_take(void *to, void *data, size_t len)
{
	struct records *r = to;

	ring_record_add(r->a, r->out, data, len);
	return 0;
}

static int ring_snapshot(struct arena *a, int fd, const struct bpf_map_def *d,
			 struct snap_map *out, struct err *e)
{
	struct records r = { a, out };
	struct ring_buffer *rb = ring_buffer__new(fd, record_take, &r, NULL);
	int n = rb ? ring_buffer__consume(rb) : -errno;

	ring_buffer__free(rb);
	return n < 0 ? fail(e, NULL, NOWHERE, "ring %s cannot be read: %s",
			    d->name, strerror(-n))
		     : 0;
}

/* The value of a key; -1 and errno. */
static int value_read(struct arena *a, const struct weld *w, int fd,
		      const struct bpf_map_def *d, const uint8_t *key,
		      uint8_t *value)
{
	size_t one = align_up(d->value_size, 8);
	int n = libbpf_num_possible_cpus();
	uint8_t *all;

	if (!map_is_percpu(d->type))
		return bpf_map_lookup_elem(fd, key, value);
	all = n > 0 ? arena_alloc(a, n * one) : NULL;
	if (!all || bpf_map_lookup_elem(fd, key, all))
		return -1;
	percpu_fold(a, w, d, all, (size_t)n, one, value);
	return 0;
}

/* All that a queue or stack holds, by taking it out. */
static int queue_snapshot(struct arena *a, int fd, const struct bpf_map_def *d,
			  struct snap_map *out)
{
	size_t size = RING_KEY + d->value_size;
	uint8_t *at;

	for (uint32_t n = 0;; n++) {
		out->elem = arena_push(a, out->elem, out->nelem, size);
		at = out->elem + out->nelem * size;
		memcpy(at, &n, sizeof(n));
		if (bpf_map_lookup_and_delete_elem(fd, NULL, at + RING_KEY))
			return 0;
		out->nelem++;
	}
}

/* Elements may go while a process that the command left is still running. */
static int map_snapshot(struct arena *a, const struct weld *w, int fd,
			const struct bpf_map_def *d, struct perf *perf,
			struct snap_map *out, struct err *e)
{
	size_t size = d->key_size + d->value_size;
	uint8_t *key = NULL, *next = arena_alloc(a, d->key_size), *at;

	out->key_size = snap_key_size(d);
	out->value_size = snap_value_size(d);
	if (d->type == BPF_MAP_TYPE_RINGBUF)
		return ring_snapshot(a, fd, d, out, e);
	if (d->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY) {
		perf->to = (struct records){ a, out };
		perf_buffer__consume(perf->buffer);
		return 0;
	}
	if (d->type == BPF_MAP_TYPE_QUEUE || d->type == BPF_MAP_TYPE_STACK)
		return queue_snapshot(a, fd, d, out);
	while (bpf_map_get_next_key(fd, key, next) == 0) {
		out->elem = arena_push(a, out->elem, out->nelem, size);
		at = out->elem + out->nelem * size;
		key = memcpy(at, next, d->key_size);
		if (!value_read(a, w, fd, d, key, at + d->key_size))
			out->nelem++;
		else if (errno != ENOENT)
			return fail(e, NULL, NOWHERE,
				    "map %s cannot be read: %s", d->name,
				    strerror(errno));
	}
	return 0;
}

int kernel_snapshot(struct arena *a, const struct weld *w, struct kernel *k,
		    struct snapshot *out, struct err *e)
{
	out->nmap = w->set.nmap;
	out->map = arena_alloc(a, (out->nmap + 1) * sizeof(*out->map));
	for (uint32_t i = 0; i < w->set.nmap; i++) {
		const struct bpf_map_def *d = &w->set.map[i];
		struct bpf_map *m = bpf_object__find_map_by_name(
			k->object[d->object], d->name);

		if (!m)
			return fail(e, w->set.object[d->object].path, NOWHERE,
				    "libbpf has no map %s", d->name);
		if (d->absent)
			continue;
		if (map_snapshot(a, w, bpf_map__fd(m), d, &k->perf[i],
				 &out->map[i], e))
			return -1;
		if (map_has_refs(d->type))
			refs_number(w, k->object[d->object], d,
				    &out->map[i]);
	}
	return 0;
}

int kernel_drain(const struct weld *w, struct kernel *k, size_t *n,
		 struct err *e)
{
	struct arena a = { 0 };
	int bad = 0;

	*n = 0;
	for (uint32_t i = 0; i < w->set.nmap && !bad; i++) {
		const struct bpf_map_def *d = &w->set.map[i];
		struct snap_map got = { 0 };

		if (!ring_is(d->type))
			continue;
		bad = map_snapshot(
			&a, w,
			bpf_object__find_map_fd_by_name(k->object[d->object],
							d->name),
			d, &k->perf[i], &got, e);
		*n += got.nelem;
	}
	arena_free(&a);
	return bad;
}
