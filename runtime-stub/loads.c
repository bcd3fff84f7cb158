/* SPDX-License-Identifier: MIT */
/* loads.c - tell readers of the region where this process has mapped code, so
 * that they can name the addresses in call chains when it is gone.
 *
 * That is done once, when the region is armed: then the process may still open
 * /proc/self/maps, whatever it forbids itself later.  What it maps later
 * (dlopen) is not told.  Under address randomisation each process adds its own
 * until the table is full.  Nothing here waits for anybody (layout.h).
 */
#include "runtime-stub/mappings.h"
#include "runtime-stub/stub.h"

struct recording {
	struct region_loads *to;
	struct mapped_file file;
	bool has_id;
	char path[LOAD_PATH];
};

static uint32_t taken(const uint64_t *count, uint32_t most)
{
	uint64_t n = __atomic_load_n(count, __ATOMIC_ACQUIRE);

	return n < most ? (uint32_t)n : most;
}

/* The number of a new entry, or `most`: there is none. */
static uint32_t take(uint64_t *count, uint32_t most)
{
	uint64_t n = most;

	if (taken(count, most) < most)
		n = __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	return n < most ? (uint32_t)n : most;
}

static uint32_t flags_of(const struct recording *r)
{
	return FILE_COUNTS | (r->has_id ? FILE_HAS_ID : 0);
}

static bool is_file(const struct recording *r, const struct region_file *f)
{
	uint32_t flags = __atomic_load_n(&f->flags, __ATOMIC_ACQUIRE);

	return (flags & ~(uint32_t)FILE_IS_WELD) == flags_of(r) &&
	       f->device == r->file.device && f->inode == r->file.inode &&
	       mem_equal(f->build_id, r->file.id, BUILD_ID);
}

static uint32_t file_add(struct recording *r)
{
	uint32_t i = take(&r->to->nfile, LOAD_FILES);
	struct region_file *f = &r->to->file[i];

	if (i == LOAD_FILES)
		return 0;
	f->device = r->file.device;
	f->inode = r->file.inode;
	mem_copy(f->build_id, r->file.id, BUILD_ID);
	mem_copy(f->path, r->path, LOAD_PATH);
	__atomic_store_n(&f->flags, flags_of(r), __ATOMIC_RELEASE);
	return i + 1;
}

/* The mapping's file, 1 and up; 0: no room. */
static uint32_t file_number(struct recording *r)
{
	for (uint32_t i = 0; i < taken(&r->to->nfile, LOAD_FILES); i++)
		if (is_file(r, &r->to->file[i]))
			return i + 1;
	return file_add(r);
}

static bool is_known(const struct region_loads *to, const struct mapping *m,
		     uint32_t file)
{
	for (uint32_t i = 0; i < taken(&to->nload, LOADS); i++) {
		const struct region_load *l = &to->load[i];

		if (__atomic_load_n(&l->file, __ATOMIC_ACQUIRE) == file &&
		    l->start == m->start && l->end == m->end &&
		    l->offset == m->offset)
			return true;
	}
	return false;
}

static bool see(void *arg, const struct mapping *m)
{
	struct recording *r = arg;
	struct region_load *l;
	uint32_t file, i;

	mapped_follow(&r->file, m);
	if (!m->exec || !m->inode)
		return true;
	r->has_id = mapped_id(&r->file, m);
	if (!r->has_id) /* or it is a file whose offset 0 was not seen */
		r->file = (struct mapped_file){ .device = m->device,
						.inode = m->inode,
						.asked = true };
	file = file_number(r);
	if (file && (uint64_t)&weld_info - m->start < m->end - m->start)
		__atomic_fetch_or(&r->to->file[file - 1].flags, FILE_IS_WELD,
				  __ATOMIC_RELAXED);
	if (!file || is_known(r->to, m, file))
		return true;
	i = take(&r->to->nload, LOADS);
	if (i == LOADS)
		return false;
	l = &r->to->load[i];
	l->start = m->start;
	l->end = m->end;
	l->offset = m->offset;
	__atomic_store_n(&l->file, file, __ATOMIC_RELEASE);
	return true;
}

void weld_loads(void)
{
	struct recording r;

	r.to = (struct region_loads *)(weld_region + weld_info.loads);
	mem_zero(&r.file, sizeof(r.file));
	mem_zero(r.path, LOAD_PATH);
	mappings_each(see, &r, r.path, LOAD_PATH);
}
