/* SPDX-License-Identifier: MIT */
/* layout.h - THE CONTRACT of the shared region: what the stub, the compiled
 * programs and the readers agree on.  docs/layout.md is the same as prose.
 *
 *   0            struct region_header
 *   gates        one byte a probe: 1 run it, 0 leave it out
 *   maps         struct region_map[map_count]: the region describes itself
 *   counts       struct region_count[probe_count]
 *   trace        struct region_trace and its records
 *   loads        struct region_loads
 *   cpus         struct region_cpu[cpu_count]
 *   the values for each CPU: cpu_count times cpu_stride bytes
 *   each map's data, page aligned when it is larger than a page
 *
 * and behind the region, in the range it is mapped over, but not in its file:
 *
 *   a page of the process's own: what became of its pinned maps
 *   each pinned map's file: a page for struct pin_header, then its data
 *
 * All numbers little-endian, all offsets from the region's first byte.  The
 * region has one size, fixed at weld time.  It is mapped over a page-aligned
 * range of the welded file's own bss, so programs reach it RIP-relative; until
 * the stub has mapped or initialised it, the range is zero, and a zero gate
 * sends the hit into the stub, which does so.  One test serves "is there a
 * region" and "is this probe enabled".
 */
#ifndef BPFWELD_LAYOUT_H
#define BPFWELD_LAYOUT_H

#include <stdint.h>

#define REGION_MAGIC UINT64_C(0x00646c6577667062) /* "bpfweld\0" */
enum { REGION_VERSION = 3 };

struct region_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size;   /* sizeof(struct region_header) */
	uint8_t weld_id[16];
	uint64_t size;          /* of the whole region, whole pages */
	uint32_t probe_count, map_count;
	uint64_t gates, maps, counts, trace; /* offsets */
	uint64_t trace_size;
	uint64_t lost;          /* hits that came while there was no region */
	uint64_t owner;         /* pid, and above it 32 bits of its pid
				   namespace: who may count into `own` */
	uint64_t cpus;          /* offset of struct region_cpu[cpu_count] */
	uint32_t cpu_count;     /* 0: no map has values for each CPU */
	uint32_t loads;         /* offset of struct region_loads, or 0 */
	uint64_t cpu_stride;    /* from the first CPU's values to the second's */
};

/* Who owns a CPU's values at the moment: 0, or the pid of a run's process, and
 * above it 32 bits of its pid namespace. */
struct region_cpu {
	uint64_t owner;
	uint64_t reserved[7];
};

struct region_count { /* one cache line a probe: no false sharing */
	uint64_t hits;    /* the program ran ... */
	uint64_t misses;  /* it should have run and could not */
	uint64_t own;     /* ... and ran in the owner's main thread */
	uint64_t failed;  /* it ran into a guard (guard.h): its run was ended */
	uint64_t reserved[4];
};

struct region_map {
	char name[64];      /* NUL-terminated, cut if longer */
	uint32_t type;      /* BPF_MAP_TYPE_* */
	uint32_t key_size, value_size, max_entries, flags;
	uint32_t stride;    /* ARRAY: bytes from value to value (value_size
			       rounded up to 8, as the kernel); HASH: bytes from
			       element to element; rings: bytes of the ring */
	uint64_t data;      /* offset of the map's data */
	uint64_t size;      /* of the data */
	uint32_t buckets;   /* HASH, and a ring's slots: a power of two */
	uint32_t value_stride; /* PERCPU_*: bytes from value to value ... */
	uint64_t values;       /* ... of the first CPU, whose values are here */
	uint32_t like; /* *_OF_MAPS: number of a map, plus 1, that those in it
			  are like; 0: none ever is in it */
	uint32_t hashes; /* BLOOM_FILTER: bits that a value sets */
	uint32_t pinned; /* PINNED: the data is in a file of its own, mapped at
			    data - PIN_HEADER; and PIN_START for each start that
			    could not use it.  0: no */
	uint32_t frozen; /* where the welded file has the data (from its
			    struct weld_info): programs read it there, as it
			    never changes.  0: here */
	uint32_t key_at; /* HASH and its kin: from an element to its key */
	uint32_t reserved;
};

/* --- A pinned map's file: PIN_PREFIX and the map's name, in the directory of
 * the region's.  All welds that have a map of this name and definition share
 * its data.
 *
 *   0            struct pin_header
 *   PIN_HEADER   the data, up to a whole page
 *
 * Welds of several versions of bpfweld meet here.  PIN_VERSION says how data
 * lies, of maps of all types: it changes with that. */
#define PIN_MAGIC UINT64_C(0x006e697077667062) /* "bpfwpin\0" */
#define PIN_PREFIX "pin-"
enum { PIN_VERSION = 2, PIN_HEADER = 4096, PIN_PAGE = 4096, PIN_MIXED = 1 };
enum { PINNED = 1, PIN_START = 2 };
struct pin_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size;  /* PIN_HEADER */
	uint64_t size;         /* of the file, whole pages */
	uint32_t pid_space;    /* the pid namespace of all that have it mapped;
				  PIN_MIXED: several, or one that is unknown;
				  0: nobody had it yet */
	uint32_t reserved;
	struct region_map map; /* `data` from the file's first byte, `pinned`
				  is PINNED */
};
static inline uint64_t pin_size(const struct region_map *m)
{
	return PIN_HEADER + (m->size + PIN_PAGE - 1) / PIN_PAGE * PIN_PAGE;
}

/* --- trace_printk: a ring of fixed records, the newest overwrite the oldest.
 * A writer takes a number n from `next`, writes record n % slots and stores
 * n + 1 into its `seq` last.  A reader that wants record n accepts it when seq
 * is n + 1 before and after copying.  `slots` is 0 when no program prints. */
enum { TRACE_TEXT = 224, TRACE_SLOTS = 1024 };
struct region_trace_record {
	uint64_t seq;
	uint64_t ns;     /* CLOCK_MONOTONIC */
	uint32_t tgid, tid;
	uint32_t cpu, len;
	char text[TRACE_TEXT]; /* len bytes, no NUL needed */
};
struct region_trace {
	uint64_t next;
	uint64_t slots;
	uint64_t read; /* of bpfweld trace: the first line not yet taken */
	uint64_t reserved[5];
	struct region_trace_record record[];
};

/* --- Loads: where processes have mapped code, so that readers find names for
 * the addresses in call chains; only where some program takes those.  A process
 * adds what it has mapped when it arms the region, and nothing that is there
 * already.  An entry is taken by adding to the count, and counts when its last
 * word says so: whoever is killed in between leaves a gap. */
enum { LOAD_FILES = 128, LOADS = 2048, LOAD_PATH = 208 };
enum { FILE_COUNTS = 1, FILE_HAS_ID = 2, FILE_IS_WELD = 4 };
struct region_file {
	uint64_t device, inode;  /* major number << 32 | minor */
	uint8_t build_id[20];
	uint32_t flags;
	char path[LOAD_PATH];    /* NUL-terminated, cut if longer */
};
struct region_load {
	uint64_t start, end, offset; /* addresses; `start` is at `offset` of */
	uint32_t file;               /* file[file - 1]; 0: it does not count */
	uint32_t reserved;
};
struct region_loads {
	uint64_t nfile, nload;       /* taken; may be more than there are */
	uint64_t reserved[6];
	struct region_file file[LOAD_FILES];
	struct region_load load[LOADS];
};

/* --- HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH: lock-free lists over a
 * fixed pool of elements.  PERCPU: without values, they are those of each CPU at
 * the element's number.  LRU: an element's last word says if it was looked up.
 *
 *   data: struct hash_head, uint64_t bucket[buckets], then the pool:
 *         max_entries + HASH_SPARE elements of `stride` bytes
 *         from the next multiple of 8 that is none of 16
 *   element: uint64_t next, uint64_t state, key (rounded up to 8), value
 *     or, with a value of 8 bytes or less, next, state, value (8 bytes), key;
 *     then `stride` is a multiple of 16, so that cmpxchg16b can change the
 *     value of an element whose state is what it was
 *
 * A link word (bucket or next) is
 *     bits 0..30   element index + 1; in an end word the bucket's number
 *     bit 31       end: the list ends here (LINK_END)
 *     bit 32       mark: the element that holds this `next` is deleted
 *     bit 33       and another one is in its place (LINK_REPLACED): it is a
 *                  spare one now
 *     bits 34..63  tag, counts up with every change of the word (ABA)
 * A whole low half of 0 also ends: an empty bucket, or the end of the list of
 * freed elements, which a free element's `next` belongs to.  Zero bytes are a
 * valid empty table.
 *
 * An update of a key that exists replaces its element: one CAS marks the old
 * element and makes it point to the new one, which points to the old one's
 * successor.  So a key is in its list once, at any instant.
 *
 * To walk bucket b, remember the last link word that is not marked and where
 * it was read (at first the bucket itself).  For each element: read state, next
 * and key, then read that word again; if it has changed, start again from the
 * bucket, as the element may have been freed and reused meanwhile.  Skip marked
 * elements.  A key or value that was read belongs together if the state is the
 * same afterwards.  At the end, too, the word must be unchanged.
 * runtime-stub/hash.h has the hash function and the words' parts. */
#ifndef HASH_SPARE /* hash_model.c has fewer */
enum { HASH_SPARE = 32 };
#endif
struct hash_holder {
	uint64_t owner; /* 0, or who changes the map: its pid, and above it 32
			   bits of its pid namespace */
	/* Numbers + 1 of elements in its hands, or 0: */
	uint32_t spare; /* its own, also between owners; 0: number max_entries
			   + the holder's number; LINK_END: none */
	uint32_t held;  /* that is taken, or is about to be */
	uint32_t out;   /* that is taken out of its list and then freed */
	uint32_t unused;
	uint64_t reserved[5];
};
struct hash_head {
	uint64_t free;  /* link words: top of the stacks of free elements, of */
	uint64_t spare; /* those for keys and of spare ones without a holder */
	uint64_t taken; /* elements ever taken from the first max_entries */
	uint64_t hand;  /* LRU_*: where to look for one to give up */
	uint64_t recoverer; /* 0, or who looks after holders of the dead */
	uint64_t reserved[3];
	struct hash_holder holder[HASH_SPARE];
};
struct hash_elem {
	uint64_t next;
	uint64_t state;    /* odd: in the map; bits 1, 2: hold.h; counts up */
	uint8_t data[];    /* key and value, or value and key, 8-aligned */
};

/* --- LPM_TRIE: a HASH whose keys have the bits behind their prefix zeroed, and
 * at the end of the data a word for each length, 0 to 8 * (key_size - 4): how
 * many prefixes have it. */

/* --- QUEUE, STACK: elements from `begin` to `end`, the oldest first; whose
 * numbers + 1 are in the slots of their positions, but for the last's.
 *
 *   data: struct queue_head, uint64_t slot[buckets], then the pool:
 *         max_entries + QUEUE_SPARE elements of `stride` bytes
 *   now     a: begin (low half) and end, positions of 32 bits that go on for ever
 *           b: the last element's number + 1 (low half; 0: empty), and a version
 *   slot    of position p: p % buckets; as now.b was when its element was last
 *   element: uint64_t state, then the value
 *   state   0: free
 *           QUEUE_READY, below it 31 bits of a position, above the half of now.b
 *           that is the version: it may be put there into the map if that is
 *           now's version, or is there, or was once and is free
 *           else in the hand of who writes it: a pid, and above it 32 bits of
 *           its pid namespace
 *
 * To read them: now, the slots, the values; they were in the map together if now
 * is the same afterwards (b never has the same value twice). */
enum { QUEUE_SPARE = 32 };
#define QUEUE_READY UINT32_C(0x80000000)

/* --- BLOOM_FILTER: words of bits, as many as `size` has, a power of two.  Bit b
 * of a value is bit % 64 of word bit / 64, bit its jhash() with seed b, modulo
 * the number of bits (jhash.h), b below `hashes`. */

/* --- STACK_TRACE: as a HASH, but a chain is in the bucket of its number, alone,
 * and what stands for an element's key is its hash and length. */
struct stack_elem {
	uint64_t next, state;
	uint32_t hash, n;  /* hash % buckets is its number */
	uint8_t chain[];   /* n addresses, or struct bpf_stack_build_id */
};

/* --- RINGBUF: records one behind the other, and a table that says whose each
 * of them is.  PERF_EVENT_ARRAY: one such ring for all CPUs; the last four bytes
 * of a record are the CPU.
 *
 *   data: struct ring_head, struct ring_pair slot[buckets], then records:
 *         twice `stride` bytes, as a record may begin anywhere in the first
 *         half and is in one piece
 *   record: uint32_t len and flags, uint32_t number, len bytes, up to 8
 *
 * Positions are bytes, numbers are records, both since the beginning; the
 * record at position p begins at p % stride, record n has slot n % buckets.
 * (The record itself is as in the kernel's ring, kernel/bpf/ringbuf.c.)
 *
 * A pair is read as b, a, b and changed by cmpxchg16b.  What is pointed at by
 *
 *   tail   a: the position behind the last record
 *          b: how many records there are, and whose the last one is
 *   slot   a: the record's number + 1, and whose it is
 *          b: the position behind it, and its state
 *   head   a: the position of the first record that was not read
 *          b: its number
 *
 * Whoever adds to the tail first sees to it that the last record has its slot.
 * So a record that has none is the last, and the tail tells whose it is: at
 * every instant it is known who must end each record, and where the next one
 * begins.  The reader passes over what a dead process began. */
enum {
	RING_BUSY = (int)0x80000000u, RING_DISCARD = 1 << 30, /* in len */
	RING_HEADER = 8,
	RING_OWNER = 22, /* bits of a pid, below a number */
};
enum ring_state { RING_RESERVED, RING_COMMITTED, RING_DISCARDED, RING_STATES = 7 };
struct ring_pair {
	_Alignas(16) uint64_t a;
	uint64_t b;
};
struct queue_head {
	struct ring_pair now;
	uint64_t free; /* which may be free: the number + 1 of what was popped */
	uint64_t hand; /* and of what was found last by going round */
	uint64_t reserved[4];
};
/* --- USER_RINGBUF: samples one behind the other, written from outside, for
 * programs to drain.
 *
 *   data: struct user_ring_head, then samples: twice `stride` bytes, as a sample
 *         may begin anywhere in the first half and is in one piece
 *   sample: uint32_t len and flags (RING_BUSY while it is written, RING_DISCARD),
 *         uint32_t 0, len bytes, up to 8; that at position p is at p % stride
 *
 * To write one, mark its place busy, then move `producer` behind it; at the end
 * take the mark away.  One producer at a time: it has the file's byte at the
 * map's `data` locked (F_OFD_SETLK).  Samples that it finds busy then are those
 * of one that died, and are discarded. */
struct user_ring_head {
	uint64_t consumer; /* position of the first sample not drained yet */
	uint64_t drainer;  /* who drains: 0, or its tid, and above it 32 bits of
			      the pid namespace */
	uint32_t waiting;  /* futex: the producer sleeps */
	uint32_t unused;
	uint64_t reserved[5];
	uint64_t producer; /* position behind the last sample */
	uint64_t reserved2[7];
};
struct ring_head {
	struct ring_pair head;
	uint32_t waiting;  /* futex: a reader sleeps */
	uint32_t unused;
	uint64_t reserved[5];
	struct ring_pair tail;
	uint64_t dropped;  /* records that there was no room for */
	uint64_t told;     /* of those, what a reader has reported */
	uint64_t reserved2[4];
};

#endif
