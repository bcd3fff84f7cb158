/* SPDX-License-Identifier: MIT */
/* pin.c - maps that welds share: LIBBPF_PIN_BY_NAME.
 *
 * With libbpf, programs that pin a map by one name find the same map through
 * /sys/fs/bpf.  Here its data lies in a file beside the region's (layout.h),
 * which is mapped behind the region, so compiled code reaches it as it reaches
 * all maps.  Like libbpf we take a map only if its definition is ours (libbpf's
 * bpf_object__reuse_map()); but where libbpf fails, the process keeps what is
 * there without a file: zero pages of its own, an empty map.
 *
 * Which one it is must be settled before a program runs, and then stay: a map
 * that is exchanged under a running program would lose what that has written,
 * and get words that belong to the other.  So the first thread to be sure
 * leaves a word, which others respect: the file's inode, or that there is none.
 * Mapping the same file again changes nothing.
 */
#include <linux/errno.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

/* In a map's word, besides 0 and the inode that is mapped. */
#define OUR_OWN UINT64_MAX            /* it could not be had ... */
#define OUR_OWN_TOLD (UINT64_MAX - 1) /* ... which the region knows */

static const struct weld_pin *pin_of(uint32_t pin)
{
	const uint8_t *info = (const uint8_t *)&weld_info;

	return (const struct weld_pin *)(info + weld_info.pin) + pin;
}

static const struct region_map *map_of(uint32_t pin)
{
	const uint8_t *info = (const uint8_t *)&weld_info;

	return (const struct region_map *)(info + weld_info.map) +
	       pin_of(pin)->map;
}

static uint64_t *word_of(uint32_t pin)
{
	return (uint64_t *)(weld_region + weld_info.pin_words) + pin;
}

void pin_fill(uint8_t *to, const struct region_map *m)
{
	struct pin_header *h = (struct pin_header *)to;

	h->version = PIN_VERSION;
	h->header_size = PIN_HEADER;
	h->size = pin_size(m);
	mem_copy(&h->map, m, sizeof(h->map));
	h->map.data = PIN_HEADER;
	h->magic = PIN_MAGIC;
}

bool pin_is_right(long fd, const struct region_map *m)
{
	struct pin_header h;

	if (sys4(__NR_pread64, fd, (long)&h, sizeof(h), 0) != sizeof(h) ||
	    h.magic != PIN_MAGIC || h.version != PIN_VERSION ||
	    h.header_size != PIN_HEADER || h.size != pin_size(m) ||
	    h.map.data != PIN_HEADER)
		return false;
	h.map.data = m->data;
	return mem_equal(&h.map, m, sizeof(h.map));
}

/* Our pid will be in the map's records: of what namespace is it? */
static void pid_space_note(struct pin_header *h)
{
	uint32_t us = (uint32_t)(own_self() >> 32), was = 0;

	if (!us)
		us = PIN_MIXED;
	if (!__atomic_compare_exchange_n(&h->pid_space, &was, us, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
	    was != us)
		__atomic_store_n(&h->pid_space, PIN_MIXED, __ATOMIC_RELEASE);
}

/* Is the map to be this?  False: it is something else already. */
static bool claim(uint64_t *word, uint64_t what)
{
	uint64_t was = 0;

	return __atomic_compare_exchange_n(word, &was, what, false,
					   __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE) ||
	       was == what;
}

static __attribute__((noinline)) void pin_map(long dir, uint32_t pin)
{
	const struct region_map *m = map_of(pin);
	struct shared s = {
		.name = pin_of(pin)->file,
		.size = pin_size(m),
		.at = weld_region + m->data - PIN_HEADER,
		.pin = m,
	};
	long fd = shared_open(dir, &s);

	if (fd < 0) {
		claim(word_of(pin), OUR_OWN);
		return;
	}
	if (claim(word_of(pin), s.ino)) {
		if (shared_over(fd, &s))
			pid_space_note((struct pin_header *)s.at);
		else
			__atomic_store_n(word_of(pin), OUR_OWN,
					 __ATOMIC_RELEASE);
	}
	sys1(__NR_close, fd);
}

void pins_map(long dir)
{
	for (uint32_t i = 0; i < weld_info.pin_count; i++)
		pin_map(dir, i);
}

/* Nobody else is told. */
void pins_tell(void)
{
	struct region_map *map = (void *)(weld_region + weld_info.maps);

	for (uint32_t i = 0; i < weld_info.pin_count; i++) {
		uint64_t was = OUR_OWN;

		if (__atomic_compare_exchange_n(word_of(i), &was, OUR_OWN_TOLD,
						false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			__atomic_fetch_add(&map[pin_of(i)->map].pinned, PIN_START,
					   __ATOMIC_RELAXED);
	}
}
