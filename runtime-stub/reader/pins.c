/* SPDX-License-Identifier: MIT */
/* pins.c - the files of pinned maps, mapped behind the region as the welded
 * program has them, so that all else finds the maps' data where it looks.
 *
 * A program uses a file that is of its own user, has the map's size and defines
 * the map as it does (runtime-stub/pin.c), and so do we.  In the place of
 * another there is zero memory, which is an empty map of every type.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/reader/elems.h"

/* More than 1 GiB, which they may have together. */
#define RANGE_MAX (UINT64_C(2) << 30)

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n && strspn(s, "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

bool pin_fits(const struct region_header *h, const struct region_map *m)
{
	return !map_is_percpu(m->type) && is_name(m->name) &&
	       m->data % PIN_PAGE == 0 && m->data < RANGE_MAX &&
	       m->size <= RANGE_MAX - PIN_PAGE - m->data &&
	       m->data >= align_up(h->size, PIN_PAGE) + PIN_HEADER;
}

const char *reader_pin_path(struct arena *a, const char *region,
			    const char *name)
{
	const char *slash = strrchr(region, '/');
	int dir = slash ? (int)(slash + 1 - region) : 0;

	return arena_printf(a, "%.*s" PIN_PREFIX "%s", dir, region, name);
}

const struct reader_pin *reader_pin(const struct reader *r, uint32_t map)
{
	return r->pin && r->pin[map].path ? &r->pin[map] : NULL;
}

uint32_t pin_first(const struct reader *r, uint32_t map)
{
	uint32_t i = 0;

	while (r->map[i].data != r->map[map].data || !r->map[i].pinned)
		i++;
	return i;
}

uint32_t reader_unshared(const struct reader *r, uint32_t map)
{
	const struct region_map *m =
		(const struct region_map *)(r->base + r->head.maps);

	if (!r->map[map].pinned)
		return 0;
	map = pin_first(r, map);
	return __atomic_load_n(&m[map].pinned, __ATOMIC_RELAXED) / PIN_START;
}

int pin_check(const struct reader *r, uint32_t map, struct err *e)
{
	const struct reader_pin *p = reader_pin(r, map);

	if (!p || !p->fault)
		return 0;
	return fail(e, p->path, NOWHERE, "cannot be map %s: %s",
		    r->map[map].name, p->fault);
}

bool pins_are_current(const struct reader *r)
{
	struct stat st;

	for (uint32_t i = 0; r->pin && i < r->head.map_count; i++) {
		const struct reader_pin *p = reader_pin(r, i);

		if (p && stat(p->path, &st) == 0 &&
		    (st.st_dev != p->dev || st.st_ino != p->ino) && !p->fault)
			return false;
	}
	return true;
}

bool pin_is_there(const struct reader *r, uint32_t map)
{
	const struct reader_pin *p = reader_pin(r, map);

	return !p || (p->found && !p->fault);
}

/* --- Opening. */

static const char *definition_fault(struct arena *a, const struct region_map *m)
{
	return arena_printf(a,
			    "it has another definition (type %u, key %u, value "
			    "%u, max_entries %u, flags 0x%x)",
			    m->type, m->key_size, m->value_size, m->max_entries,
			    m->flags);
}

static const char *header_fault(struct arena *a, const struct pin_header *h,
				const struct region_map *m)
{
	struct region_map want = *m;

	want.data = PIN_HEADER;
	want.pinned = PINNED;
	if (h->magic != PIN_MAGIC)
		return "it is no pinned map's";
	if (h->version != PIN_VERSION)
		return "it is of another version of bpfweld";
	if (h->map.type != m->type || h->map.key_size != m->key_size ||
	    h->map.value_size != m->value_size ||
	    h->map.max_entries != m->max_entries || h->map.flags != m->flags)
		return definition_fault(a, &h->map);
	if (h->header_size != PIN_HEADER || h->size != pin_size(m) ||
	    memcmp(&h->map, &want, sizeof(want)) != 0)
		return "it is damaged";
	return NULL;
}

static const char *file_fault(struct arena *a, int fd,
			      const struct region_map *m, uint32_t owner,
			      struct reader_pin *p)
{
	struct pin_header h = { 0 };
	const char *fault;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "it is no regular file";
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	if (st.st_uid != owner)
		return "it belongs to another user";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "others may write to it";
	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		return "it is no pinned map's";
	/* Of another definition it may have another size, too. */
	fault = header_fault(a, &h, m);
	if (fault)
		return fault;
	return (uint64_t)st.st_size == pin_size(m) ? NULL : "its size is wrong";
}

static int place_pin(struct arena *a, struct reader *r, uint32_t i, bool write,
		     uint32_t owner, struct err *e)
{
	const struct region_map *m = &r->map[i];
	int prot = PROT_READ | (write ? PROT_WRITE : 0), flags = MAP_SHARED;
	uint8_t *at = r->base + m->data - PIN_HEADER;
	struct reader_pin *p = &r->pin[i];
	int fd, ret = 0;

	p->path = reader_pin_path(a, r->path, m->name);
	fd = open(p->path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC |
				   O_NOFOLLOW | O_NONBLOCK);
	p->found = fd >= 0 || errno != ENOENT;
	if (fd >= 0)
		p->fault = file_fault(a, fd, m, owner, p);
	else if (p->found)
		p->fault = arena_strdup(a, strerror(errno));
	if (!p->found || p->fault)
		flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	if (mmap(at, pin_size(m), prot, flags | MAP_FIXED,
		 flags == MAP_SHARED ? fd : -1, 0) == MAP_FAILED)
		ret = fail(e, p->path, NOWHERE, "cannot map it: %s",
			   strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Move the region to where there is room behind it. */
static int make_room(struct reader *r, struct err *e)
{
	size_t size = r->range, range = size;
	uint8_t *at;

	for (uint32_t i = 0; i < r->head.map_count; i++) {
		const struct region_map *m = &r->map[i];
		uint64_t end = m->data - PIN_HEADER + pin_size(m);

		if (m->pinned && end > range)
			range = end;
	}
	at = mmap(NULL, range, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return fail(e, r->path, NOWHERE, "cannot map it: %s",
			    strerror(errno));
	if (mremap(r->base, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at) ==
	    MAP_FAILED) {
		munmap(at, range);
		return fail(e, r->path, NOWHERE, "cannot map it: %s",
			    strerror(errno));
	}
	r->base = at;
	r->range = range;
	return 0;
}

int pins_open(struct arena *a, struct reader *r, enum reader_access access,
	      uint32_t owner, struct err *e)
{
	uint32_t n = r->head.map_count, npin = 0;

	for (uint32_t i = 0; i < n; i++)
		npin += r->map[i].pinned != 0;
	if (!npin)
		return 0;
	r->pin = arena_alloc(a, n * sizeof(*r->pin));
	for (uint32_t i = 0; i < n; i++)
		r->pin[i].fd = -1;
	if (make_room(r, e))
		return -1;
	for (uint32_t i = 0; i < n; i++)
		if (r->map[i].pinned &&
		    place_pin(a, r, i, access == READER_WRITE, owner, e))
			return -1;
	return 0;
}
