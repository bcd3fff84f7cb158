/* SPDX-License-Identifier: MIT */
/* loads.c - where processes had mapped code, as they told when they armed the
 * region (layout.h). */
#include "runtime-stub/reader/elems.h"

/* NULL: what it says is no file. */
static const struct region_file *
file_copy(struct arena *a, const struct region_loads *from, uint32_t number)
{
	const struct region_file *f = &from->file[number - 1];
	struct region_file *to;

	if (!number || number > LOAD_FILES ||
	    !(__atomic_load_n(&f->flags, __ATOMIC_ACQUIRE) & FILE_COUNTS))
		return NULL;
	to = arena_alloc(a, sizeof(*to));
	shared_copy((uint8_t *)to, (const uint8_t *)f, sizeof(*to));
	to->path[LOAD_PATH - 1] = 0;
	return to;
}

static void load_add(struct arena *a, const struct region_load *l,
		     const struct region_file *f, struct reader_load **out,
		     size_t *n)
{
	*out = arena_push(a, *out, *n, sizeof(**out));
	(*out)[(*n)++] = (struct reader_load){
		.start = l->start,
		.end = l->end,
		.offset = l->offset,
		.path = f->path,
		.build_id = f->flags & FILE_HAS_ID ? f->build_id : NULL,
		.is_weld = f->flags & FILE_IS_WELD,
		.device = f->device,
		.inode = f->inode,
	};
}

static const struct region_loads *loads_of(const struct reader *r)
{
	uint64_t at = r->head.loads;

	return at && region_has(&r->head, at, sizeof(struct region_loads), 8)
		       ? (const void *)(r->base + at)
		       : NULL;
}

uint64_t reader_loads_told(const struct reader *r)
{
	const struct region_loads *from = loads_of(r);

	return from ? shared_word(&from->nload) : 0;
}

size_t reader_loads(struct arena *a, const struct reader *r,
		    struct reader_load **out)
{
	const struct region_loads *from = loads_of(r);
	const struct region_file *file[LOAD_FILES + 1] = { 0 };
	size_t n = 0;

	*out = NULL;
	if (!from)
		return 0;
	for (uint32_t i = 0; i < LOADS; i++) {
		const struct region_load *l = &from->load[i];
		uint32_t f = __atomic_load_n(&l->file, __ATOMIC_ACQUIRE);

		if (!f || f > LOAD_FILES)
			continue;
		if (!file[f])
			file[f] = file_copy(a, from, f);
		if (file[f])
			load_add(a, l, file[f], out, &n);
	}
	return n;
}
