/* SPDX-License-Identifier: MIT */
/* kernel.c - attach links as kernel uprobes.
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
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rewriter/diff/attached.h"
#include "rewriter/kernel/kernel.h"
#include "runtime-stub/refs.h"

enum {
	MULTI_FROM = 8,
	MULTI_RETURN = 1, /* BPF_F_UPROBE_MULTI_RETURN */
	KINDS = 2	  /* enum link_when */
};

bool kernel_usable(const char **why)
{
	if (!kernel_loads(why))
		return false;
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
	kernel_kind(bp,
		    p->session		      ? ATTACH_UPROBE_SESSION
		    : wants_multi(w, k, prog) ? ATTACH_UPROBE_MULTI
					      : 0,
		    prog_sleeps(p));
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

/* As `check --verify=kernel` says it. */
static int refused(const char *path, const struct kernel_heard *heard, int err,
		   struct err *e)
{
	const char *why = *heard->reason ? heard->reason : strerror(-err);

	if (*heard->program)
		return fail(e, path, NOWHERE,
			    "the kernel refuses program %s: %s", heard->program,
			    why);
	return fail(e, path, NOWHERE, "the kernel refuses it: %s",
		    *heard->warning ? heard->warning : why);
}

static int object_load(const struct weld *w, struct kernel *k, uint32_t i,
		       struct err *e)
{
	const struct bpf_object_file *f = &w->set.object[i];
	const struct kernel_heard *heard = kernel_listen();
	struct bpf_object *obj = kernel_open(f->name, f->bytes);
	int err;

	if (!obj)
		return fail(e, f->path, NOWHERE, "libbpf cannot open it: %s",
			    *heard->warning ? heard->warning : "no object");
	k->object[k->nobject++] = obj;
	for (uint32_t p = 0; p < w->set.nprog; p++)
		if (w->set.prog[p].object == i && w->set.prog[p].of == p &&
		    program_prepare(w, k, obj, p, e))
			return -1;
	if (kernel_data(&w->set, i, obj, e))
		return -1;
	err = bpf_object__load(obj);
	if (err)
		return refused(f->path, heard, err, e);
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
