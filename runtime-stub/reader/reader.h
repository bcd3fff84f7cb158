/* SPDX-License-Identifier: MIT */
/* reader.h - read the shared region of a welded program, from outside.
 *
 * In:   a region file (layout.h), which running targets may be writing to.
 * Out:  its maps, their elements, the probes' counters: copies, in the arena.
 * Then: whatever the file holds, no access leaves the mapping and no walk is
 *       endless.  A region is shared memory that the target can scribble on,
 *       so nothing read from it is trusted twice: the header and the map table
 *       are copied and checked when it is opened, everything else when used.
 *
 *     struct arena a = { 0 };
 *     struct manifest m;
 *     struct reader r;
 *     if (manifest_read(&a, "app.weld", &m, NULL, &e) == 0 &&
 *         reader_open_weld(&a, &m, READER_READ, &r, &e) == 0) {
 *             ... reader_elems(&a, &r, map, &elem, &n, &e) ...
 *             reader_close(&r);
 *     }
 *
 * Pinned maps are looked for beside the region, and read like the others.
 * Values are copied eight bytes at a time, so that a counter is never torn;
 * two fields of one value may be from different hits.  Elements that come or
 * go during a walk may or may not be in its result; those that stay are.
 * The file must not be made shorter while it is open (nobody does: a region's
 * size is fixed at weld time); that would end the reader with SIGBUS.
 */
#ifndef BPFWELD_READER_H
#define BPFWELD_READER_H

#include "runtime-stub/reader/manifest.h"

enum reader_access {
	READER_READ,
	READER_WRITE
};

struct reader {
	const char *path;
	uint8_t *base;                /* shared with the running target */
	size_t range;                 /* that is mapped there, pinned maps' files
				         behind the region */
	struct region_header head;    /* as it was when checked */
	const struct region_map *map; /* head.map_count of them, checked */
	bool writes;                  /* opened with READER_WRITE */
	uint64_t dev, ino;            /* of the file that is mapped */
	struct reader_pin *pin;       /* as many; NULL: no map is pinned */
	int fd;                       /* of the lock, or -1 */
};
/* A pinned map's file.  While it is not there, or is not what the map should be,
 * the map is empty. */
struct reader_pin {
	const char *path;  /* NULL: this map is not pinned */
	const char *fault; /* why it is not used, though it is there; or NULL */
	bool found;        /* there is a file, good or bad ... */
	uint64_t dev, ino; /* ... and which */
	int fd;            /* of the lock, or -1 */
};

/* Where the region of this weld is when we start it: $BPFWELD_REGION when it
 * names a file, else /dev/shm/bpfweld-UID/WELD-ID, which it always is of
 * another user's setuid file. */
const char *reader_path(struct arena *a, const struct manifest *m);
bool reader_exists(const char *path);
/* Is there anything, though it may be no region, or not be for us to see?  Then
 * reader_open_weld() says what is wrong with it. */
bool reader_found(const char *path);
/* Why programs make none, as the environment says, and what to do; or NULL. */
const char *reader_never(struct arena *a, const struct manifest *m);
/* That there is none at reader_path(): "has not run yet: no region at PATH", or
 * why there never will be one. */
const char *reader_none(struct arena *a, const struct manifest *m);

/* Open any region file.  It describes itself. */
int reader_open(struct arena *a, const char *path, enum reader_access access,
		struct reader *out, struct err *e);
/* Open the region at reader_path(), which must belong to this very weld.
 * When there is none: reader_none(). */
int reader_open_weld(struct arena *a, const struct manifest *m,
		     enum reader_access access, struct reader *out,
		     struct err *e);
void reader_close(struct reader *r); /* unmap; the arena stays */
/* Is this region still the one at its path?  It is not when somebody removed it;
 * then the target's next start makes another one. */
bool reader_is_current(const struct reader *r);

/* --- pins.c: pinned maps.  NULL: this one is not pinned. */
const struct reader_pin *reader_pin(const struct reader *r, uint32_t map);
/* Starts of the weld that could not use the map's file, and kept their own. */
uint32_t reader_unshared(const struct reader *r, uint32_t map);
/* Where the file of a map with this name is, beside this region. */
const char *reader_pin_path(struct arena *a, const char *region,
			    const char *name);

struct reader_elem {
	const uint8_t *key, *value; /* key_size and reader_value_size() bytes */
};
/* value_size; in a map with values for each CPU that, rounded up to 8, as often
 * as the header says CPUs, one behind the other. */
size_t reader_value_size(const struct reader *r, const struct region_map *m);
/* Can this map be walked?  (Rings cannot.) */
bool reader_can_walk(const struct region_map *map);
/* Elements in the map now; an array is always full.  Of a ring, the records
 * that have not been read. */
uint64_t reader_count(const struct reader *r, uint32_t map);
/* All elements: of an array in index order, of a hash in none. */
int reader_elems(struct arena *a, const struct reader *r, uint32_t map,
		 struct reader_elem **elem, size_t *nelem, struct err *e);
/* The value of `key` (key_size bytes), or NULL: no such element.  In an LPM_TRIE
 * that of the longest prefix of it. */
int reader_lookup(struct arena *a, const struct reader *r, uint32_t map,
		  const uint8_t *key, const uint8_t **value, struct err *e);
/* The key behind `key`; the first one when that is NULL or not in the map; NULL
 * behind the last.  As long as others only add and replace, each key that is
 * there comes once. */
int reader_next_key(struct arena *a, const struct reader *r, uint32_t map,
		    const uint8_t *key, const uint8_t **next, struct err *e);

/* --- write.c: what bpf(2) does, with its results: 0 or -errno.  -EPERM where
 * the region was not opened to be written, and for maps that are frozen
 * (.rodata, .kconfig) or only for programs to write (BPF_F_RDONLY).  `value` has
 * reader_value_size() bytes.  QUEUE and STACK have no key: update pushes. */
bool reader_is_frozen(const struct region_map *map);
long reader_update(const struct reader *r, uint32_t map, const void *key,
		   const void *value, uint64_t flags);
long reader_delete(const struct reader *r, uint32_t map, const void *key);
long reader_pop(const struct reader *r, uint32_t map, void *value, bool take);
/* Write into the value that is there, as programs do by its address. */
long reader_write(const struct reader *r, uint32_t map, const void *key,
		  uint32_t off, const void *bytes, uint32_t n);

/* --- ring.c: RINGBUF maps.  One reader at a time takes records out; it needs
 * READER_WRITE.  A record is given back, and its room with it, by
 * reader_ring_done(), and those before it: until then whoever reads next gets
 * them again. */
enum reader_ring {
	RING_EMPTY,  /* nothing more now */
	RING_WAIT,   /* the next record is being written */
	RING_RECORD,
	RING_SKIPPED, /* it was discarded, or its writer died */
};
struct reader_record {
	const uint8_t *data; /* in the region, len bytes */
	uint32_t len;
	uint32_t cpu;        /* PERF_EVENT_ARRAY: where it was written */
	uint64_t number;     /* records before it */
	uint64_t end;        /* private */
};
/* -1 where the ring is damaged. */
int reader_ring_next(const struct reader *r, uint32_t map,
		     struct reader_record *out, enum reader_ring *what,
		     struct err *e);
/* The one behind `last` (which may be *out), which was not given back yet; NULL:
 * as reader_ring_next(). */
int reader_ring_after(const struct reader *r, uint32_t map,
		      const struct reader_record *last,
		      struct reader_record *out, enum reader_ring *what,
		      struct err *e);
void reader_ring_done(const struct reader *r, uint32_t map,
		      const struct reader_record *record);
/* Sleep until there may be more in one of them, or so long; -EINTR: a signal
 * came.  A record may be overlooked, as its writer spends no barrier on us: sleep
 * no longer than one may come late. */
struct reader_ring_ref {
	const struct reader *r;
	uint32_t map;
};
int reader_rings_sleep(const struct reader_ring_ref *ring, size_t n,
		       unsigned ms);
/* Records that there was no room for, but for those that a reader has told of. */
uint64_t reader_ring_lost(const struct reader *r, uint32_t map);
void reader_ring_told(const struct reader *r, uint32_t map, uint64_t lost);
/* Nobody else takes this ring's records: false if somebody does, through another
 * reader.  Until it is unlocked, or reader_close(). */
bool reader_ring_lock(struct reader *r, uint32_t map);
void reader_ring_unlock(struct reader *r, uint32_t map);

/* --- feed.c: USER_RINGBUF maps, whose samples programs drain.  One producer at
 * a time: opening fails while there is another, and discards what a dead one
 * has left.  READER_WRITE. */
struct reader_feed {
	const struct reader *r; /* must stay open */
	uint32_t map;
	int fd;
};
int reader_feed_open(const struct reader *r, uint32_t map,
		     struct reader_feed *out, struct err *e);
void reader_feed_close(struct reader_feed *f);
/* `len` bytes to be filled, for which there is room; NULL: not now or, as *never
 * says, a sample cannot be that large. */
void *reader_feed_reserve(const struct reader_feed *f, uint32_t len,
			  bool *never);
void reader_feed_submit(void *sample);
void reader_feed_discard(void *sample);
/* Sleep until a program has drained some, or so long. */
void reader_feed_sleep(const struct reader_feed *f, unsigned ms);

/* Line number *next of trace_printk, or the oldest that is still there; then
 * *missed has grown.  False: there is none yet. */
bool reader_line(const struct reader *r, uint64_t *next,
		 struct region_trace_record *out, uint64_t *missed);
bool reader_prints(const struct reader *r); /* some program does */
/* Who takes lines is one at a time, as at a ring, and leaves in the region how far
 * it is: from the first that nobody has taken to the one to come. */
bool reader_lines_lock(struct reader *r); /* until reader_close() */
uint64_t reader_lines_begin(const struct reader *r);
uint64_t reader_lines_end(const struct reader *r);
void reader_lines_done(const struct reader *r, uint64_t next);

/* loads.c: where processes had mapped code; none where no program takes call
 * chains.  The strings are in the arena. */
struct reader_load {
	uint64_t start, end, offset; /* addresses; `start` is at `offset` */
	const char *path;
	const uint8_t *build_id;     /* 20 bytes, or NULL */
	uint64_t device, inode;      /* major number << 32 | minor */
	bool is_weld;                /* it is the welded file */
};
uint64_t reader_loads_told(const struct reader *r); /* changes when they do */
size_t reader_loads(struct arena *a, const struct reader *r,
		    struct reader_load **out);

struct reader_probe {
	bool enabled;
	uint64_t hits, misses;
	uint64_t failed; /* runs that a guard has ended */
};
/* probe < head.probe_count */
struct reader_probe reader_probe(const struct reader *r, uint32_t probe);
/* In every running process, at once, and in those to come.  False: the region
 * was not opened to be written. */
bool reader_enable(const struct reader *r, uint32_t probe, bool enable);

#endif
