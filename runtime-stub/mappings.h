/* SPDX-License-Identifier: MIT */
/* mappings.h - what is mapped where in this process, by /proc/self/maps, and
 * the build ids of the files (mappings.c). */
#ifndef BPFWELD_MAPPINGS_H
#define BPFWELD_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime-stub/abi.h"

struct mapping {
	uint64_t start, end, offset, device, inode; /* inode 0: no file */
	bool exec;
};

/* The last file of which offset 0 was seen. */
struct mapped_file {
	uint64_t start, device, inode;
	bool asked, has_id; /* its header was looked at, and has one */
	uint8_t id[BUILD_ID];
};

/* See all mappings, in the order of their addresses, until one says false.
 * `path` takes the path of each, cut to n bytes with its NUL; or is NULL. */
typedef bool mapping_see(void *arg, const struct mapping *m);

#pragma GCC visibility push(hidden)
void mappings_each(mapping_see *see, void *arg, char *path, uint32_t n);
/* The same in larger pieces, without paths.  False: not read to the end. */
bool mappings_read(char *chunk, uint32_t size, mapping_see *see, void *arg);
/* To be told of every mapping; and asked about one: has its file a build id? It
 * is in f->id then. */
void mapped_follow(struct mapped_file *f, const struct mapping *m);
bool mapped_id(struct mapped_file *f, const struct mapping *m);
#pragma GCC visibility pop

#endif
