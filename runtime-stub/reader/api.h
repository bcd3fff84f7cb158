/* SPDX-License-Identifier: MIT */
/* api.h - the files behind <bpfweld/reader.h> among themselves.
 *
 * They turn the reader's structs into handles, its errors into errno and a
 * sentence, and its arenas into the callers' memory.  Nothing else of the
 * reader is visible outside of the library.
 */
#ifndef BPFWELD_API_H
#define BPFWELD_API_H

#define BPFWELD_API __attribute__((visibility("default")))
#include "include/bpfweld/reader.h"

#include <errno.h>
#include <pthread.h>

#include "runtime-stub/reader/reader.h"
#include "runtime-stub/reader/typed.h"

struct bpfweld_type {
	const struct btf *btf;
	uint32_t id;
	struct bpfweld_type *next; /* of those that were asked for by name */
};

struct bpfweld_map {
	struct bpfweld *w;
	uint32_t index;
	struct bpfweld_type key, value;
	bool consumed; /* by a ring of this process */
};

struct bpfweld {
	struct arena arena;
	struct manifest m; /* of a mere region: what can be known of it */
	struct reader r;
	struct btf **btf; /* per object */
	struct bpfweld_map *map;
	const char **spec;    /* per probe */
	pthread_mutex_t lock; /* of what changes: types, and who consumes */
	struct bpfweld_type *types;
};

/* Keep why, set errno, return -error. */
int api_fail(int error, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int api_err(int error, const struct err *e);

/* Call with an arena that is freed afterwards; -ENOMEM where it got none. */
int api_call(int (*call)(struct arena *a, void *arg), void *arg);

static inline const struct region_map *api_shape(const struct bpfweld_map *map)
{
	return &map->w->r.map[map->index];
}

static inline const struct manifest_map *
api_about(const struct bpfweld_map *map)
{
	return &map->w->m.map[map->index];
}

/* Copy what both know of a struct that the caller may know less or more of. */
int api_fill(void *to, size_t size, const void *from, size_t have);

#endif
