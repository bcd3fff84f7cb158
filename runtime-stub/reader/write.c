/* SPDX-License-Identifier: MIT */
/* write.c - change maps from outside, by the very code that programs change
 * them by: runtime-stub/map.c and its kin, compiled for the host (hosted.h).
 *
 * They are made for a region that others have scribbled over: indexes and the
 * steps of a walk are bounded, and sizes are never taken from the region.  Here
 * these are from the reader's own copy of the map table, which was checked.
 *
 * What differs from a program is what differs between it and bpf(2): a map that
 * programs may only read can be written, one that is frozen or is for programs
 * only cannot, and a map with values for each CPU gets all of them at once.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/reader/elems.h"
#include "runtime-stub/reader/hosted.h"
#include "runtime-stub/hold.h"
#include "runtime-stub/stub.h"

enum { TRIES = 64 };

_Thread_local struct hosted hosted;

/* cpu.c's two, for maps whose values are nobody's here. */
void *cpu_value(const struct region_map *m, uint64_t index, struct run *run)
{
	(void)run;
	return weld_region + m->values + index * m->value_stride;
}

bool cpu_put(const struct region_map *m, uint64_t index, const void *value,
	     struct run *run)
{
	uint8_t *to = cpu_value(m, index, run);
	const uint8_t *from = value;

	for (uint32_t i = 0; i < weld_info.cpu_count; i++)
		mem_copy(to + i * weld_info.cpu_stride,
			 from + i * align_up(m->value_size, 8), m->value_size);
	return true;
}

/* own.c's three, but nothing is kept. */
uint64_t own_self(void)
{
	struct stat st = { 0 };

	if (stat("/proc/self/ns/pid", &st))
		st.st_ino = 0;
	return (uint64_t)st.st_ino << 32 | (uint32_t)getpid();
}

uint64_t own_writer(void)
{
	return own_self();
}

bool own_is_dead(uint64_t owner, uint64_t us)
{
	return owner >> 32 && owner >> 32 == us >> 32 &&
	       kill((pid_t)(uint32_t)owner, 0) && errno == ESRCH;
}

bool reader_is_frozen(const struct region_map *m)
{
	/* As libbpf names .rodata and .kconfig; no variable has a dot. */
	return m->type == BPF_MAP_TYPE_ARRAY && m->max_entries == 1 &&
	       m->flags & BPF_F_RDONLY_PROG && strchr(m->name, '.');
}

/* Be at this region; 0, or why the map cannot be written. */
static long enter(const struct reader *r, uint32_t map,
		  enum reader_access access, struct region_map *m)
{
	*m = r->map[map];
	if (access == READER_WRITE &&
	    (!r->writes || m->flags & BPF_F_RDONLY || reader_is_frozen(m)))
		return -EPERM;
	if (access == READER_WRITE && !pin_is_there(r, map))
		return -ENXIO;
	m->flags &= ~(uint32_t)BPF_F_RDONLY_PROG;
	hosted.region = r->base;
	hosted.info.cpu_count = r->head.cpu_count;
	hosted.info.cpu_stride = r->head.cpu_stride;
	return 0;
}

#define CALL(name, ...) ((long)helper_##name((uint64_t)&m, __VA_ARGS__, NULL))

long reader_update(const struct reader *r, uint32_t map, const void *key,
		   const void *value, uint64_t flags)
{
	struct region_map m;
	long bad = enter(r, map, READER_WRITE, &m);

	if (bad)
		return bad;
	if (!m.key_size)
		return CALL(map_push_elem, (uint64_t)value, flags, 0, 0);
	return CALL(map_update_elem, (uint64_t)key, (uint64_t)value, flags, 0);
}

/* A call chain, out of the bucket of its number, as stackmap.c takes out one
 * that makes room for another.  (No program can, so it is not in the stub.) */
static long chain_take_out(const struct table *t, struct hash_holder *h)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t word = load(t->bucket);
		uint32_t low = (uint32_t)word;

		if (link_ends(word))
			return -ENOENT;
		if (low > t->elems)
			return -EBUSY;
		mention(&h->out, low);
		if (swap(t->bucket, word, link_to(word, t->end))) {
			hold_give(t, low);
			mention(&h->out, 0);
			return 0;
		}
		mention(&h->out, 0);
	}
	return -EBUSY;
}

static long chain_delete(const struct region_map *m, uint32_t id)
{
	struct table t = table_in(m, id);
	struct hash_holder *h;
	long ret;

	if (id >= m->buckets)
		return -E2BIG;
	h = hold_claim(&t);
	if (!h)
		return -EBUSY;
	ret = chain_take_out(&t, h);
	hold_release(h);
	return ret;
}

long reader_delete(const struct reader *r, uint32_t map, const void *key)
{
	struct region_map m;
	long bad = enter(r, map, READER_WRITE, &m);

	if (bad)
		return bad;
	if (m.type == BPF_MAP_TYPE_STACK_TRACE)
		return chain_delete(&m, load32(key));
	return m.key_size ? CALL(map_delete_elem, (uint64_t)key, 0, 0, 0)
			  : -EINVAL;
}

long reader_pop(const struct reader *r, uint32_t map, void *value, bool take)
{
	struct region_map m;
	long bad = enter(r, map, take ? READER_WRITE : READER_READ, &m);

	if (bad)
		return bad;
	if (take)
		return CALL(map_pop_elem, (uint64_t)value, 0, 0, 0);
	return CALL(map_peek_elem, (uint64_t)value, 0, 0, 0);
}

long reader_write(const struct reader *r, uint32_t map, const void *key,
		  uint32_t off, const void *bytes, uint32_t n)
{
	struct region_map m;
	long bad = enter(r, map, READER_WRITE, &m);
	uint8_t *value;

	if (bad)
		return bad;
	if (!m.key_size || map_is_percpu(m.type) || off > m.value_size ||
	    n > m.value_size - off)
		return -EINVAL;
	value = (uint8_t *)CALL(map_lookup_elem, (uint64_t)key, 0, 0, 0);
	if (!value)
		return -ENOENT;
	mem_copy(value + off, bytes, n);
	return 0;
}

bool reader_enable(const struct reader *r, uint32_t probe, bool enable)
{
	if (!r->writes)
		return false;
	__atomic_store_n(r->base + r->head.gates + probe, enable,
			 __ATOMIC_SEQ_CST);
	return true;
}
