/* SPDX-License-Identifier: MIT */
/* bpfweld/reader.h - the maps, rings and probes of a welded program, from C.
 *
 *     #include <bpfweld/reader.h>
 *     cc reader.c $(pkg-config --cflags --libs bpfweld)       (--static: libbpfweld.a)
 *
 *     struct bpfweld *w = bpfweld_open("app.weld", 0);
 *     struct bpfweld_map *counts = bpfweld_map_find(w, "counts");
 *     uint32_t key = 7;
 *     uint64_t value;
 *
 *     if (!w || !counts)
 *             errx(1, "%s", bpfweld_error());
 *     if (bpfweld_map_lookup_elem(counts, &key, sizeof(key), &value,
 *                                 sizeof(value), 0) == 0)
 *             printf("%" PRIu64 "\n", value);
 *     bpfweld_close(w);
 *
 * The maps of a welded program are in a region of shared memory, which all its
 * processes use and which stays when they have ended (bpfweld(1)).  This reads and
 * writes it, while they run, or before they run again: there is nobody to ask, and
 * nothing of the target waits for us.  Names and arguments are libbpf's where it
 * has such a function.
 *
 * Errors.   Functions that return int return 0 or more, or a negative errno.
 *           Functions that return a pointer return NULL and set errno.  What went
 *           wrong, as a sentence, bpfweld_error() has, for the calling thread.
 *           NULL in the place of a handle is -EINVAL.
 * Threads.  A struct bpfweld, its maps and types may be used by any number of
 *           threads at once; only bpfweld_close() must be alone.  A struct
 *           bpfweld_ring or bpfweld_perf is for one thread at a time.  Nothing here
 *           is async-signal-safe.
 * Memory.   What functions return by pointer belongs to the struct bpfweld and
 *           lives until bpfweld_close(), unless they have a function to free it.
 *           Strings are NUL-terminated.  Callers' memory need not be aligned.
 * Trust.    The region is a file that its user may write anything to.  Whatever
 *           it holds, no call reads or writes outside of it or of what was handed
 *           in, none is endless, and sizes do not change while it is open; what is
 *           damaged is an error (-EIO, or -EBUSY from an update) or not there.
 *           But who makes the file shorter ends us by SIGBUS.
 * Versions. 0.x: a program is compiled for one BPFWELD_READER_MINOR; the soname
 *           has both numbers.  Structs that we fill have their size handed in, so
 *           that they can grow.
 */
#ifndef BPFWELD_READER_API_H
#define BPFWELD_READER_API_H

#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BPFWELD_READER_MAJOR 0
#define BPFWELD_READER_MINOR 1

#ifndef BPFWELD_API
#define BPFWELD_API
#endif

struct bpfweld;
struct bpfweld_map;
struct bpfweld_type;
struct bpfweld_ring;
struct bpfweld_perf;

/* "0.1", of the library that is there at run time. */
BPFWELD_API const char *bpfweld_version(void);

/* Why the last call of this thread failed: one sentence, lower case, no full
 * stop; "" before any has.  Until this thread's next call of ours. */
BPFWELD_API const char *bpfweld_error(void);

/* --- Opening. */

enum {
	/* To update maps, take records out of rings, switch probes. */
	BPFWELD_WRITE = 1 << 0
};

/* A welded file, and its region, which is at $BPFWELD_REGION or
 * /dev/shm/bpfweld-UID/WELD-ID.  ENOENT: no such file, or the program has not run
 * yet, so that there is no region; try again then.  EINVAL: not a welded file;
 * ESTALE: the region there is another weld's; EIO: it is damaged. */
BPFWELD_API struct bpfweld *bpfweld_open(const char *welded, unsigned flags);

/* Any region, by its own path.  It describes its maps, but not their types, nor
 * where probes are: those functions say -ENODATA or NULL. */
BPFWELD_API struct bpfweld *bpfweld_open_region(const char *region,
						unsigned flags);

/* All rings must have been freed.  NULL is fine. */
BPFWELD_API void bpfweld_close(struct bpfweld *w);

BPFWELD_API const char *bpfweld_region_path(const struct bpfweld *w);

/* 1: the region is the one that the program uses when it runs next; 0: somebody
 * has removed it, and we read what is left of the old one.  Targets that end and
 * start again go on with the same region. */
BPFWELD_API int bpfweld_is_current(const struct bpfweld *w);

/* --- Maps. */

/* Global variables are in maps, too: ".bss", ".data", ".rodata" of an object. */
BPFWELD_API size_t bpfweld_map_count(const struct bpfweld *w);
/* index < bpfweld_map_count(), else NULL. */
BPFWELD_API struct bpfweld_map *bpfweld_map_at(struct bpfweld *w, size_t index);
/* By its name, or "OBJECT:NAME"; a data section also by ".bss" alone.  NULL:
 * there is none (ENOENT), or there are several (ENOTUNIQ). */
BPFWELD_API struct bpfweld_map *bpfweld_map_find(struct bpfweld *w,
						 const char *name);

struct bpfweld_map_info {
	const char *name;
	const char *object;  /* the BPF object it is from; "" if unknown */
	uint32_t type;       /* enum bpf_map_type, linux/bpf.h; 0: no program
				in the file uses it, it has no elements */
	uint32_t key_size;   /* 0: it has no keys (QUEUE, STACK, RINGBUF) */
	uint32_t value_size;
	uint32_t max_entries;
	uint32_t flags;      /* BPF_F_* as in the object */
	uint32_t cpus;       /* values a key has: 1, or of PERCPU_* those of so
				many CPUs, fixed when the file was welded */
	uint64_t value_bytes; /* what a lookup gives: value_size, or of PERCPU_*
				 that rounded up to 8, times cpus */
	uint64_t count;      /* elements now; records in a ring */
};
/* `size` is sizeof(*info). */
BPFWELD_API int bpfweld_map_info(const struct bpfweld_map *map,
				 struct bpfweld_map_info *info, size_t size);

/* As bpf_map__lookup_elem() and the like in libbpf.  key_size must be the map's
 * key_size (NULL and 0 where it has none), value_size its value_bytes; else
 * -EINVAL.  Values for each CPU come and go all at once, one behind the other, each
 * rounded up to 8 bytes.
 *
 * lookup   -ENOENT: no such key.  A copy, of which each aligned word of 8 bytes is
 *          whole; of a LPM_TRIE that of the longest prefix; of a QUEUE or STACK what
 *          would come out next.  flags must be 0.
 * update   flags are BPF_ANY, BPF_NOEXIST (-EEXIST) or BPF_EXIST (-ENOENT).  -E2BIG:
 *          the map is full, or no such index; -ENOSPC: an LPM_TRIE is full.  A QUEUE
 *          or STACK gets the value pushed.
 * delete   -ENOENT: no such key; -E2BIG: no number that a chain of a STACK_TRACE
 *          could have.  Arrays: -EINVAL.  flags must be 0.
 * lookup_and_delete   QUEUE and STACK: pop.  Others: -EOPNOTSUPP.
 *
 * All that write want BPFWELD_WRITE; -EPERM without it, and for maps that are frozen
 * (.rodata, .kconfig) or have BPF_F_RDONLY.  -EINVAL where the type has no such
 * operation.  They are what helpers of programs do: no lock, and an element is
 * replaced as a whole (values of arrays, and for each CPU, are written over). */
BPFWELD_API int bpfweld_map_lookup_elem(const struct bpfweld_map *map,
					const void *key, size_t key_size,
					void *value, size_t value_size,
					uint64_t flags);
BPFWELD_API int bpfweld_map_update_elem(struct bpfweld_map *map,
					const void *key, size_t key_size,
					const void *value, size_t value_size,
					uint64_t flags);
BPFWELD_API int bpfweld_map_delete_elem(struct bpfweld_map *map,
					const void *key, size_t key_size,
					uint64_t flags);
BPFWELD_API int bpfweld_map_lookup_and_delete_elem(struct bpfweld_map *map,
						   const void *key,
						   size_t key_size, void *value,
						   size_t value_size,
						   uint64_t flags);
/* The key behind cur_key; the first one if that is NULL, or not in the map.
 * -ENOENT: there is no further one.  To delete on the way, ask for the next key
 * first.  While others add and replace, each key that stays comes once; where they
 * delete cur_key meanwhile, it begins again. */
BPFWELD_API int bpfweld_map_get_next_key(const struct bpfweld_map *map,
					 const void *cur_key, void *next_key,
					 size_t key_size);
/* Write `size` bytes at `offset` into the value that is there, as programs do by
 * its address, and leave the rest alone: a global variable, say.  Aligned words of 8
 * bytes are written whole.  Not of PERCPU_*. */
BPFWELD_API int bpfweld_map_write(struct bpfweld_map *map, const void *key,
				  size_t key_size, size_t offset,
				  const void *bytes, size_t size);

/* --- Types, from the objects' BTF. */

/* Of a map's keys and values; NULL (ENODATA): it is not known. */
BPFWELD_API const struct bpfweld_type *
bpfweld_map_key_type(const struct bpfweld_map *map);
BPFWELD_API const struct bpfweld_type *
bpfweld_map_value_type(const struct bpfweld_map *map);
/* A struct of the map's object by its name; or, name being NULL, the only one that
 * has a name and `size` bytes: what a record of a ring most likely is.  NULL: none
 * (ENOENT), or several (ENOTUNIQ). */
BPFWELD_API const struct bpfweld_type *
bpfweld_map_struct(const struct bpfweld_map *map, const char *name, size_t size);

BPFWELD_API size_t bpfweld_type_size(const struct bpfweld_type *type);

/* A part of a value: "count", "pos.x", "list[2].next", of an array "[2]", of a data
 * section the name of a variable.  To be found once and used often. */
struct bpfweld_field {
	uint32_t offset, size;         /* bytes; of a bit field those around it */
	uint32_t bit_offset, bit_size; /* of a bit field, from offset; else 0 */
	int is_number;                 /* integer, bool, enum or pointer ... */
	int is_signed;
};
/* `field_size` is sizeof(*field).  -ENOENT: there is no such part. */
BPFWELD_API int bpfweld_type_field(const struct bpfweld_type *type,
				   const char *path, struct bpfweld_field *field,
				   size_t field_size);
/* ... which these read from a value of `size` bytes, to 64 bits (extended by its
 * sign).  -EINVAL: it is no number, or the value is too short. */
BPFWELD_API int bpfweld_field_get(const struct bpfweld_field *field,
				  const void *value, size_t size, uint64_t *out);
/* The same by the path, for what is not done often. */
BPFWELD_API int bpfweld_type_get(const struct bpfweld_type *type,
				 const char *path, const void *value,
				 size_t size, uint64_t *out);

/* The value as JSON on one line, as bpfweld map dump shows it.  Like snprintf():
 * returns the length that it has, and `text` (`room` bytes, may be 0) gets what fits
 * with a NUL. */
BPFWELD_API int bpfweld_type_format(const struct bpfweld_type *type,
				    const void *value, size_t size, char *text,
				    size_t room);
/* The reverse, of one number, bool, enum's name or (for char[N]) string.  -EINVAL:
 * it is none, or does not fit; `size` is bpfweld_type_size(). */
BPFWELD_API int bpfweld_type_parse(const struct bpfweld_type *type,
				   const char *text, void *value, size_t size);

/* --- RINGBUF maps: libbpf's struct ring_buffer. */

/* A record: `size` bytes at `data`, 8-aligned, a copy that is ours until the
 * callback returns.  A negative result ends poll or consume, which return it; the
 * record counts as read. */
typedef int (*bpfweld_sample_fn)(void *ctx, void *data, size_t size);

/* A ring's records are taken out of it, from the first that nobody has read, and
 * there is one consumer at a time: NULL with EBUSY where there is another one, in any
 * process (`bpfweld trace` is one).  EPERM without BPFWELD_WRITE, EINVAL: not a
 * RINGBUF.  The map must stay open. */
BPFWELD_API struct bpfweld_ring *bpfweld_ring_new(struct bpfweld_map *map,
						  bpfweld_sample_fn sample_cb,
						  void *ctx);
/* One more, also of another struct bpfweld. */
BPFWELD_API int bpfweld_ring_add(struct bpfweld_ring *ring,
				 struct bpfweld_map *map,
				 bpfweld_sample_fn sample_cb, void *ctx);
/* Sleep until there are records, at most timeout_ms (0: not; -1: for ever), and
 * consume them.  Returns their number, 0 after the time, -EINTR when a signal came
 * first.  Records of NO_WAKEUP writers, and rarely others, come up to a tenth of a
 * second late. */
BPFWELD_API int bpfweld_ring_poll(struct bpfweld_ring *ring, int timeout_ms);
/* All records that are there now.  Returns their number. */
BPFWELD_API int bpfweld_ring_consume(struct bpfweld_ring *ring);
/* Records that there was no room for, since anybody last asked.  Programs drop those,
 * and see it in the helper's result; every other record reaches a callback, except
 * those that programs discard, and what a process that was killed had not finished. */
BPFWELD_API uint64_t bpfweld_ring_lost(struct bpfweld_ring *ring);
BPFWELD_API void bpfweld_ring_free(struct bpfweld_ring *ring); /* NULL is fine */

/* --- PERF_EVENT_ARRAY maps: libbpf's struct perf_buffer.  All CPUs write to one
 * ring, so records are in their order; `size` is what the program gave (the kernel
 * pads it).  Errors, poll and consume are as of rings. */

typedef void (*bpfweld_perf_sample_fn)(void *ctx, int cpu, void *data,
				       __u32 size);
/* `cnt` more that there was no room for; cpu is -1, as that is not known. */
typedef void (*bpfweld_perf_lost_fn)(void *ctx, int cpu, __u64 cnt);

/* lost_cb may be NULL. */
BPFWELD_API struct bpfweld_perf *
bpfweld_perf_new(struct bpfweld_map *map, bpfweld_perf_sample_fn sample_cb,
		 bpfweld_perf_lost_fn lost_cb, void *ctx);
BPFWELD_API int bpfweld_perf_poll(struct bpfweld_perf *perf, int timeout_ms);
BPFWELD_API int bpfweld_perf_consume(struct bpfweld_perf *perf);
BPFWELD_API void bpfweld_perf_free(struct bpfweld_perf *perf); /* NULL is fine */

/* --- What bpf_trace_printk() prints. */

struct bpfweld_line {
	uint64_t ns;   /* CLOCK_MONOTONIC */
	uint32_t tgid, tid, cpu;
	uint32_t len;  /* of text */
	const char *text; /* NUL-terminated; until the callback returns */
};
/* A result that is not 0 ends bpfweld_lines(), which returns it. */
typedef int (*bpfweld_line_fn)(void *ctx, const struct bpfweld_line *line);
/* Hand over the lines from number *next on, which counts up; begin with 0.  Lines
 * stay until later ones overwrite them: *missed (may be NULL) grows by those that are
 * gone.  Any number of readers; there is no waiting. */
BPFWELD_API int bpfweld_lines(const struct bpfweld *w, uint64_t *next,
			      uint64_t *missed, bpfweld_line_fn line_cb,
			      void *ctx);

/* --- Probes. */

BPFWELD_API size_t bpfweld_probe_count(const struct bpfweld *w);

struct bpfweld_probe_info {
	const char *program;  /* its C name */
	const char *spec;     /* "uprobe:main+0x4", "usdt:app:start" */
	const char *function;
	uint64_t address;     /* in the file's address space */
	int enabled;
	uint64_t hits;        /* its program ran ... */
	uint64_t misses;      /* ... or should have, and could not */
	uint64_t failed;      /* of its runs, so many were ended by a guard */
};
/* `size` is sizeof(*info).  Strings are "" where only the region is open. */
BPFWELD_API int bpfweld_probe_info(const struct bpfweld *w, size_t probe,
				   struct bpfweld_probe_info *info, size_t size);
/* Let it run, or leave it out, in all processes, now and in those to come.  Wants
 * BPFWELD_WRITE. */
BPFWELD_API int bpfweld_probe_enable(struct bpfweld *w, size_t probe, int enable);

#ifdef __cplusplus
}
#endif
#endif
