/* SPDX-License-Identifier: MIT */
/* Any bytes as the region of a welded program, and every function of
 * bpfweld/reader.h that takes one: no access outside, nothing endless.
 *
 * Good first inputs are the regions of programs that have run.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/bpfweld/reader.h"

enum {
	ELEMENTS = 64,
	VALUE_MAX = 1 << 20,
	KEY_MAX = 1 << 16
};

/* Every byte is read, so that ASan sees where they are. */
static volatile uint64_t seen;

static void touch(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seen += ((const uint8_t *)p)[i];
}

static int on_record(void *ctx, void *data, size_t size)
{
	(void)ctx;
	touch(data, size);
	return 0;
}

static void on_sample(void *ctx, int cpu, void *data, uint32_t size)
{
	(void)ctx, (void)cpu;
	touch(data, size);
}

static int on_line(void *ctx, const struct bpfweld_line *line)
{
	(void)ctx;
	touch(line->text, line->len + 1);
	return 0;
}

static void use_rings(struct bpfweld_map *map)
{
	struct bpfweld_ring *ring = bpfweld_ring_new(map, on_record, NULL);
	struct bpfweld_perf *perf =
		bpfweld_perf_new(map, on_sample, NULL, NULL);

	if (ring) {
		bpfweld_ring_consume(ring);
		seen += bpfweld_ring_lost(ring);
		bpfweld_ring_poll(ring, 0);
	}
	if (perf)
		bpfweld_perf_consume(perf);
	bpfweld_ring_free(ring);
	bpfweld_perf_free(perf);
}

static void use_elements(struct bpfweld_map *map,
			 const struct bpfweld_map_info *i)
{
	size_t nkey = i->key_size, nvalue = i->value_bytes;
	uint8_t *key = calloc(1, nkey + 1), *next = calloc(1, nkey + 1);
	uint8_t *value = calloc(1, nvalue + 1);
	const void *at = NULL;

	for (int k = 0; nkey && k < ELEMENTS; k++) {
		if (bpfweld_map_get_next_key(map, at, next, nkey))
			break;
		memcpy(key, next, nkey);
		at = key;
		if (bpfweld_map_lookup_elem(map, key, nkey, value, nvalue, 0))
			continue;
		touch(value, nvalue);
		if (k % 4 == 1)
			bpfweld_map_update_elem(map, key, nkey, value, nvalue,
						0);
		if (k % 4 == 2)
			bpfweld_map_write(map, key, nkey, nvalue / 2, value, 1);
		if (k % 4 == 3)
			bpfweld_map_delete_elem(map, key, nkey, 0);
	}
	for (size_t k = 0; k < nkey; k++)
		key[k] = (uint8_t)(k + 1);
	bpfweld_map_lookup_elem(map, key, nkey, value, nvalue, 0);
	bpfweld_map_update_elem(map, key, nkey, value, nvalue, 0);
	bpfweld_map_lookup_and_delete_elem(map, key, nkey, value, nvalue, 0);
	free(key);
	free(next);
	free(value);
}

static void use_map(struct bpfweld_map *map)
{
	struct bpfweld_map_info i;

	if (bpfweld_map_info(map, &i, sizeof(i)))
		return;
	touch(i.name, strlen(i.name));
	if (i.key_size <= KEY_MAX && i.value_bytes <= VALUE_MAX)
		use_elements(map, &i);
	use_rings(map);
}

static void use(struct bpfweld *w)
{
	struct bpfweld_probe_info p;
	uint64_t next = 0;

	for (size_t k = 0; k < bpfweld_map_count(w) && k < ELEMENTS; k++)
		use_map(bpfweld_map_at(w, k));
	for (size_t k = 0; k < bpfweld_probe_count(w) && k < ELEMENTS; k++) {
		bpfweld_probe_info(w, k, &p, sizeof(p));
		bpfweld_probe_enable(w, k, k % 2);
	}
	bpfweld_lines(w, &next, NULL, on_line, NULL);
	seen += (uint64_t)bpfweld_is_current(w);
}

static char path[64];

static void remove_it(void)
{
	unlink(path);
}

/* A file that is there from one input to the next. */
static int file(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/dev/shm/bpfweld-fuzz-%d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	atexit(remove_it);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bpfweld *w;
	int fd = file();

	if (fd < 0 || ftruncate(fd, 0) || ftruncate(fd, (off_t)size) ||
	    pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	w = bpfweld_open_region(path, BPFWELD_WRITE);
	if (w)
		use(w);
	bpfweld_close(w);
	return 0;
}
