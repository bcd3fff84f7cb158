/* SPDX-License-Identifier: MIT */
/* follow - read a welded program from C: what is in its maps, how often its
 * probes were hit, and the records of a ring buffer, as they come.
 *
 *     cc -O2 -o follow follow.c $(pkg-config --cflags --libs bpfweld)
 *     ./follow words.weld                maps and probes
 *     ./follow app.weld events event     and records of ring `events`, which
 * are of struct event
 */
#include <bpfweld/reader.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_value(const struct bpfweld_type *type, const void *value,
			size_t size)
{
	char text[512];

	if (type &&
	    bpfweld_type_format(type, value, size, text, sizeof(text)) > 0)
		printf("%s", text);
	else
		printf("%zu bytes", size);
}

static void print_map(struct bpfweld_map *map)
{
	const struct bpfweld_type *key_type = bpfweld_map_key_type(map);
	const struct bpfweld_type *value_type = bpfweld_map_value_type(map);
	struct bpfweld_map_info info;
	void *key, *value, *before = NULL;

	bpfweld_map_info(map, &info, sizeof(info));
	printf("%s: %" PRIu64 " elements\n", info.name, info.count);
	if (!info.key_size || info.cpus > 1)
		return;
	key = malloc(info.key_size);
	value = malloc(info.value_bytes);
	while (key && value &&
	       !bpfweld_map_get_next_key(map, before, key, info.key_size)) {
		before = key;
		/* Somebody may have deleted it meanwhile. */
		if (bpfweld_map_lookup_elem(map, key, info.key_size, value,
					    info.value_bytes, 0))
			continue;
		printf("  ");
		print_value(key_type, key, info.key_size);
		printf(": ");
		print_value(value_type, value, info.value_bytes);
		printf("\n");
	}
	free(key);
	free(value);
}

static void print_probes(struct bpfweld *w)
{
	struct bpfweld_probe_info info;

	for (size_t i = 0; i < bpfweld_probe_count(w); i++)
		if (!bpfweld_probe_info(w, i, &info, sizeof(info)))
			printf("%s at %s: %" PRIu64 " hits\n", info.program,
			       info.spec, info.hits);
}

static int print_record(void *ctx, void *data, size_t size)
{
	print_value((const struct bpfweld_type *)ctx, data, size);
	printf("\n");
	return 0;
}

static int follow(struct bpfweld *w, const char *name, const char *type)
{
	struct bpfweld_map *map = bpfweld_map_find(w, name);
	const struct bpfweld_type *t = bpfweld_map_struct(map, type, 0);
	struct bpfweld_ring *ring =
		bpfweld_ring_new(map, print_record, (void *)t);
	uint64_t lost;
	int n = 0;

	while (ring && n >= 0) {
		n = bpfweld_ring_poll(ring, -1);
		fflush(stdout);
		lost = bpfweld_ring_lost(ring);
		if (lost)
			fprintf(stderr, "%" PRIu64 " records lost\n", lost);
	}
	bpfweld_ring_free(ring);
	return -1;
}

int main(int argc, char **argv)
{
	struct bpfweld *w;
	int bad = 0;

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: follow WELDED [RING STRUCT]\n");
		return 2;
	}
	w = bpfweld_open(argv[1], argc == 4 ? BPFWELD_WRITE : 0);
	if (!w) {
		fprintf(stderr, "follow: %s\n", bpfweld_error());
		return 1;
	}
	for (size_t i = 0; i < bpfweld_map_count(w); i++)
		print_map(bpfweld_map_at(w, i));
	print_probes(w);
	if (argc == 4)
		bad = follow(w, argv[2], argv[3]);
	if (bad)
		fprintf(stderr, "follow: %s\n", bpfweld_error());
	bpfweld_close(w);
	return bad ? 1 : 0;
}
