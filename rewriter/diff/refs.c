/* SPDX-License-Identifier: MIT */
/* refs.c - what the kernel shows of maps of programs and maps, as we show it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "rewriter/diff/diff.h"
#include "runtime-stub/refs.h"

static uint32_t id_of(int fd)
{
	struct { /* struct bpf_prog_info or bpf_map_info */
		uint32_t type, id;
		uint8_t rest[512];
	} info = { 0 };
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

/* The kernel shows a program's or a map's id, we show its number + 1. */
static uint32_t number_of(const struct weld *w, const struct bpf_object *obj,
			  const struct bpf_map_def *d, uint32_t id)
{
	for (uint32_t i = 0; map_has_progs(d->type) && i < w->set.nprog; i++) {
		const struct bpf_prog *p = &w->set.prog[i];

		if (p->object == d->object && p->of == i &&
		    id_of(bpf_program__fd(bpf_object__find_program_by_name(
			    obj, p->name))) == id)
			return i + 1;
	}
	for (uint32_t i = 0; map_has_maps(d->type) && i < w->set.nmap; i++)
		if (w->set.map[i].object == d->object &&
		    id_of(bpf_object__find_map_fd_by_name(
			    obj, w->set.map[i].name)) == id)
			return i + 1;
	return 0;
}

void refs_number(const struct weld *w, const struct bpf_object *obj,
		 const struct bpf_map_def *d, struct snap_map *out)
{
	size_t size = d->key_size + d->value_size;
	uint32_t id;

	for (size_t i = 0; i < out->nelem; i++) {
		uint8_t *value = out->elem + i * size + d->key_size;

		memcpy(&id, value, sizeof(id));
		id = number_of(w, obj, d, id);
		memcpy(value, &id, sizeof(id));
	}
}
