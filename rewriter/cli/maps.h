/* SPDX-License-Identifier: MIT */
/* maps.h - a welded file's maps as info and map show them: the manifest's
 * description, the region's content, the objects' types.
 */
#ifndef BPFWELD_MAPS_H
#define BPFWELD_MAPS_H

#include "rewriter/cli/cli.h"
#include "runtime-stub/reader/reader.h"
#include "runtime-stub/reader/typed.h"

struct maps {
	struct arena arena;
	struct manifest m;
	struct reader region; /* base is NULL when it is not open */
	struct btf **btf;     /* per object; NULL where there is none */
	struct symbols *symbols;
};
/* Read the manifest and the types; the region too when it is wanted. */
enum maps_region { NO_REGION, REGION_TO_READ, REGION_TO_WRITE };
int maps_open(struct maps *maps, const char *welded, enum maps_region region,
	      struct err *e);
void maps_close(struct maps *maps);

/* The map called NAME, "OBJECT:NAME", or by a data section's own name
 * (".bss" for "x.bss"). */
int maps_find(struct maps *maps, const char *name, uint32_t *map,
	      struct err *e);

/* A map's key or value, as a person writes it (typed_parse()). */
int maps_key(struct maps *maps, uint32_t map, char *const *word, int nword,
	     const uint8_t **key, struct err *e);
int maps_value(struct maps *maps, uint32_t map, char *const *word, int nword,
	       const uint8_t **value, struct err *e);

/* One sub-command of `map`: its operands and what they open. */
struct request {
	struct cli cli;
	struct maps maps;
};
/* map_write.c: 0 or -1. */
int map_update(struct request *r, struct err *e);
int map_delete(struct request *r, struct err *e);
int map_clear(struct request *r, struct err *e);

/* The end of a probe's line: what of its runs has failed, if any. */
void maps_failed_text(uint64_t failed);
/* One line a map, with the number of elements when the region is there. */
void maps_list_text(const struct manifest *m, const struct reader *region);
void maps_list_json(struct json *j, const struct manifest *m,
		    const struct reader *region);

/* Elements of a map in the order of their keys. */
int maps_elems(struct maps *maps, uint32_t map, struct reader_elem **elem,
	       size_t *n, struct err *e);
/* One element: under -j its bytes and, where there are types, "formatted";
 * else only what the types say. */
void maps_elem_json(struct json *j, const struct maps *maps, uint32_t map,
		    const struct reader_elem *elem, bool raw);
/* A value by its type; addresses in it have names.  `chains`: behind a number of
 * a call chain stands the chain, where the object has one map of them. */
void maps_typed_json(struct json *j, const struct maps *maps, uint32_t object,
		     uint32_t type, struct bytes value, bool chains);
/* For people: pretty JSON where there are types, else "key: 01 .." lines. */
void maps_elems_text(const struct maps *maps, uint32_t map,
		     const struct reader_elem *elem, size_t n);
void maps_elem_text(const struct maps *maps, uint32_t map,
		    const struct reader_elem *elem);

#endif
