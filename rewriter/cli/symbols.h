/* SPDX-License-Identifier: MIT */
/* symbols.h - names for the addresses in call chains.
 *
 * In:   a welded file and its region, which says where processes had mapped
 *       what (reader_loads()), also those that have ended.
 * Out:  for an address the file, the place in it, and the function.
 * Then: nothing is guessed.  A file counts only if it is the welded one, has
 * the build id that was recorded, or had none and is the same inode.  An
 * address that processes had different files at, or that nobody told of, has no
 * name.
 */
#ifndef BPFWELD_SYMBOLS_H
#define BPFWELD_SYMBOLS_H

#include "rewriter/cli/maps.h"

struct symbols;

/* Files are opened when they are asked for.  Everything is in maps->arena but
 * the files, which symbols_close() unmaps. */
struct symbols *symbols_open(struct maps *maps, const char *welded);
void symbols_close(struct symbols *s); /* NULL is fine */

struct named {
	const char *func; /* NULL: not known */
	uint64_t in_func; /* bytes from its start */
	const char *file; /* base name; NULL: not known */
	uint64_t in_file; /* offset */
};
/* `returns`: it is where a call returns to, which may be the end of the caller.
 */
struct named symbols_at(struct symbols *s, uint64_t addr, bool returns);
struct named symbols_in(struct symbols *s, const uint8_t build_id[20],
			uint64_t offset, bool returns);

/* "leaf+0x1c (app)", "0x27230 (libc.so.6)", "0x7ffff7fb0000" */
void named_json(struct json *j, const struct named *n, uint64_t addr);

/* One element of a STACK_TRACE map: names of its addresses, innermost first. */
struct frame_name {
	struct named name;
	uint64_t addr; /* or offset */
};
size_t symbols_chain(struct symbols *s, const struct region_map *map,
		     const uint8_t *value, struct frame_name *out);
enum {
	CHAIN_MAX = 127
};

#endif
