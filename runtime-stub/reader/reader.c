/* SPDX-License-Identifier: MIT */
/* reader.c - open a region and check it; its probes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-stub/reader/elems.h"

/* --- Finding and opening. */

/* Whose rights the program has when we start it. */
static uint32_t user_of(const struct manifest *m)
{
	return m->is_setuid ? m->owner : geteuid();
}

/* The variable, or NULL; with other rights than ours a program does not read it
 * (AT_SECURE). */
static const char *chosen(const struct manifest *m)
{
	const char *env = getenv("BPFWELD_REGION");

	return env && *env && user_of(m) == geteuid() ? env : NULL;
}

static bool is_off(const char *env)
{
	return env && !strcmp(env, "off");
}

static bool is_private(const char *env)
{
	return env && !strcmp(env, "private");
}

static const char *path_chosen(const struct manifest *m)
{
	const char *env = chosen(m);

	return is_off(env) || is_private(env) ? NULL : env;
}

const char *reader_path(struct arena *a, const struct manifest *m)
{
	const char *env = path_chosen(m);
	char hex[33];

	if (env)
		return arena_strdup(a, env);
	for (int i = 0; i < 16; i++)
		sprintf(hex + 2 * i, "%02x", m->weld_id[i]);
	return arena_printf(a, "/dev/shm/bpfweld-%u/%s", (unsigned)user_of(m),
			    hex);
}

/* Why no program has this file for its region, though it could be one; NULL: they
 * do (runtime-stub/file.c).  With BPFWELD_REGION the file may be another user's. */
static const char *unused(const struct manifest *m, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return NULL;
	if (S_ISLNK(st.st_mode))
		return "a symbolic link, which welded programs do not follow";
	if (!S_ISREG(st.st_mode))
		return "no regular file, so welded programs do not use it";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "others may write to it, so welded programs do not use "
		       "it";
	if (!path_chosen(m) && st.st_uid != user_of(m))
		return "it belongs to another user, so welded programs do not "
		       "use it";
	return NULL;
}

bool reader_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool reader_found(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || errno == EACCES;
}

static bool has_directory(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	return !slash || slash == path ||
	       (stat(arena_printf(a, "%.*s", (int)(slash - path), path), &st) ==
			0 &&
		S_ISDIR(st.st_mode));
}

const char *reader_never(struct arena *a, const struct manifest *m)
{
	const char *env = chosen(m);

	if (is_off(env))
		return "BPFWELD_REGION is off in the environment, so that no "
		       "probe runs: start the program without it";
	if (is_private(env))
		return "BPFWELD_REGION is private in the environment, so that "
		       "programs share none: start the program without it";
	if (env && !has_directory(a, env))
		return "BPFWELD_REGION names a directory that is not there, so "
		       "that programs make none: make the directory";
	return NULL;
}

const char *reader_none(struct arena *a, const struct manifest *m)
{
	const char *path = reader_path(a, m), *never = reader_never(a, m);

	return never ? arena_printf(a, "no region at %s: %s", path, never)
		     : arena_printf(a, "has not run yet: no region at %s",
				    path);
}

static const char *header_fault(const struct region_header *h, uint64_t size)
{
	if (h->magic != REGION_MAGIC)
		return "not a region of a welded program";
	if (h->version != REGION_VERSION)
		return "a region of another version of bpfweld";
	if (h->header_size < sizeof(*h) || h->size != size)
		return "damaged region: its size is wrong";
	if (!region_has(h, h->gates, h->probe_count, 1) ||
	    !region_has(h, h->counts,
		    h->probe_count * (uint64_t)sizeof(struct region_count), 8))
		return "damaged region: probes outside of it";
	if (!region_has(h, h->maps,
		    h->map_count * (uint64_t)sizeof(struct region_map), 8))
		return "damaged region: map table outside of it";
	if (!region_has(h, h->cpus,
			h->cpu_count * (uint64_t)sizeof(struct region_cpu), 8))
		return "damaged region: CPUs outside of it";
	return NULL;
}

static int maps_copy(struct arena *a, struct reader *r, struct err *e)
{
	uint32_t n = r->head.map_count;
	struct region_map *map =
		arena_dup(a, r->base + r->head.maps, n * sizeof(*map));

	for (uint32_t i = 0; i < n; i++) {
		map[i].name[sizeof(map[i].name) - 1] = 0;
		if (!reader_fits(&r->head, &map[i]))
			return fail(e, r->path, NOWHERE,
				    "damaged region: map %u (%s) does not fit",
				    i, map[i].name);
	}
	r->map = map;
	return 0;
}

static int region_check(struct arena *a, struct reader *r, uint64_t size,
			struct err *e)
{
	const char *fault;

	memcpy(&r->head, r->base, sizeof(r->head));
	fault = header_fault(&r->head, size);
	if (fault)
		return fail(e, r->path, NOWHERE, "%s", fault);
	return maps_copy(a, r, e);
}

int reader_open(struct arena *a, const char *path, enum reader_access access,
		struct reader *out, struct err *e)
{
	bool write = access == READER_WRITE;
	struct stat st;
	int ret = -1, fd;

	*out = (struct reader){ .path = path, .writes = write, .fd = -1 };
	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(e, path, NOWHERE, "%s", strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < sizeof(out->head)) {
		fail(e, path, NOWHERE, "not a region of a welded program");
		goto out;
	}
	out->base =
		mmap(NULL, (size_t)st.st_size,
		     PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (out->base == MAP_FAILED) {
		out->base = NULL;
		fail(e, path, NOWHERE, "cannot map it: %s", strerror(errno));
		goto out;
	}
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->range = (size_t)st.st_size;
	ret = region_check(a, out, (uint64_t)st.st_size, e) ||
	      pins_open(a, out, access, st.st_uid, e);
	if (ret) {
		munmap(out->base, out->range);
		out->base = NULL;
		ret = -1;
	}
out:
	close(fd);
	return ret;
}

/* What callers know of the maps from the manifest holds for the region. */
static bool maps_agree(const struct reader *r, const struct manifest *m)
{
	for (size_t i = 0; i < m->nmap; i++) {
		const struct region_map *a = &r->map[i], *b = &m->map[i].map;

		if (a->type != b->type || a->key_size != b->key_size ||
		    a->value_size != b->value_size ||
		    a->max_entries != b->max_entries || a->flags != b->flags)
			return false;
	}
	return true;
}

int reader_open_weld(struct arena *a, const struct manifest *m,
		     enum reader_access access, struct reader *out,
		     struct err *e)
{
	const char *path = reader_path(a, m), *why = unused(m, path);

	if (why)
		return fail(e, path, NOWHERE, "%s", why);
	if (!reader_found(path))
		return fail(e, NULL, NOWHERE, "%s", reader_none(a, m));
	if (reader_open(a, path, access, out, e))
		return -1;
	if (memcmp(out->head.weld_id, m->weld_id, sizeof(m->weld_id)) != 0 ||
	    out->head.size != m->region_size ||
	    out->head.map_count != m->nmap ||
	    out->head.probe_count != m->nprobe)
		fail(e, path, NOWHERE,
		     "the region of another weld, so programs of this one do "
		     "not use it: %s",
		     path_chosen(m) ? "let BPFWELD_REGION, which names it, "
				      "name another path, or remove it when "
				      "nothing uses it"
				    : "remove it when nothing uses it");
	else if (!maps_agree(out, m))
		fail(e, path, NOWHERE,
		     "damaged region: its maps are not those of the weld");
	else
		return 0;
	reader_close(out);
	return -1;
}

bool reader_is_current(const struct reader *r)
{
	struct stat st;

	return stat(r->path, &st) == 0 && st.st_dev == r->dev &&
	       st.st_ino == r->ino && pins_are_current(r);
}

void reader_close(struct reader *r)
{
	if (!r->base)
		return;
	munmap(r->base, r->range);
	if (r->fd >= 0)
		close(r->fd);
	for (uint32_t i = 0; r->pin && i < r->head.map_count; i++)
		if (r->pin[i].fd >= 0)
			close(r->pin[i].fd);
	r->base = NULL;
}

/* --- Probes. */

struct reader_probe reader_probe(const struct reader *r, uint32_t probe)
{
	const struct region_count *c =
		(const struct region_count *)(r->base + r->head.counts) + probe;

	return (struct reader_probe){
		.enabled = __atomic_load_n(r->base + r->head.gates + probe,
					   __ATOMIC_RELAXED) != 0,
		.hits = shared_word(&c->hits) + shared_word(&c->own),
		.misses = shared_word(&c->misses),
		.failed = shared_word(&c->failed),
	};
}
