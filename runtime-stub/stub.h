/* SPDX-License-Identifier: MIT */
/* stub.h - the stub's files among themselves.
 *
 *   entry.S     weld_arm, weld_entry, weld_init: save everything, call C
 *   start.c     is there a region, and if not, make one
 *   file.c      files that are shared: open, check, create
 *   room.c      is there memory for them?
 *   pin.c       those of pinned maps
 *   own.c       who may count hits without a lock
 *   returns.c   return addresses that are exchanged for pads
 *   session.c   what an entry leaves to its return
 *   trap.c      sites that are an int3: SIGTRAP's handler
 *   process.c   environment and auxiliary vector, however the stub came to run
 *   map.c       bpf_map_*, by the rows of maps.def: array.c, hash.c, ...
 *   hold.c      elements that are in no hash, and what the dead held
 *   cpu.c       values for each CPU
 *   ring.c      bpf_ringbuf_*; user_ring.c: bpf_user_ringbuf_drain
 *   fault.c     memory that may not be there; fault.S: touching it
 *   read.c      bpf_probe_read*, bpf_copy_from_user, bpf_probe_write_user
 *   format.c    formats, bpf_snprintf; trace.c: bpf_trace_printk
 *   dynptr.c    bpf_dynptr_*, bpf_ringbuf_*_dynptr
 *   string.c    bpf_strncmp, bpf_strtol, bpf_strtoul
 *   callback.c  what calls a program back; each.c: bpf_for_each_map_elem
 *   iter.c      bpf_iter_num_*; tail.c: bpf_tail_call
 *   walk.c      bpf_get_stack; buildid.c: the files its addresses are in
 *   mappings.c  what is mapped where; loads.c: and told to readers
 *   stackmap.c  bpf_get_stackid
 *   tasks.c     bpf_get_current_task*, and the fields of a task
 *   clock.c     ktime through the vDSO; task.c: who and where we are
 *   signal.c    bpf_send_signal*
 *   vm.c        the interpreter
 *
 * Rules for all of them: any thread and any signal handler may be inside at
 * once, and any may be killed there; no lock, little stack (512 bytes, the VM
 * apart), no memory but the stub's own data and the region, no errno.
 */
#ifndef BPFWELD_STUB_INTERNAL_H
#define BPFWELD_STUB_INTERNAL_H

#include <stdbool.h>

#include "runtime-stub/abi.h"
#include "runtime-stub/mem.h"

/* A helper's definition; its arguments are r1 to r5, as in BPF, and the run it
 * is called in. */
#define UNUSED __attribute__((unused))
#define ARGUMENTS                                                              \
	uint64_t r1 UNUSED, uint64_t r2 UNUSED, uint64_t r3 UNUSED,            \
		uint64_t r4 UNUSED, uint64_t r5 UNUSED, struct run *run UNUSED
#define DEFINE_HELPER(name) uint64_t helper_##name(ARGUMENTS)

#pragma GCC visibility push(hidden)

/* One file for each kind of map (maps.def): results are 0 or the kernel's
 * -errno, and addresses of values. */
void *array_lookup(const struct region_map *m, const void *key);
/* inner.c: the map that a value of a map of maps leads to, or NULL. */
const struct region_map *inner_map(const struct region_map *m,
				   const uint32_t *value);
long array_update(const struct region_map *m, const void *key,
		  const void *value, uint64_t flags);
void *percpu_array_lookup(const struct region_map *m, const void *key,
			  struct run *run);
long percpu_array_update(const struct region_map *m, const void *key,
			 const void *value, uint64_t flags, struct run *run);
void *hash_lookup(const struct region_map *m, const void *key);
long hash_update(const struct region_map *m, const void *key, const void *value,
		 uint64_t flags);
/* The same of a HASH with hash_beside() where nobody in this run has an address
 * of such a value. */
long hash_put(const struct region_map *m, const void *key, const void *value,
	      uint64_t flags);
void *percpu_hash_lookup(const struct region_map *m, const void *key,
			 struct run *run);
long percpu_hash_update(const struct region_map *m, const void *key,
			const void *value, uint64_t flags, struct run *run);
void *lru_hash_lookup(const struct region_map *m, const void *key);
void *lru_percpu_hash_lookup(const struct region_map *m, const void *key,
			     struct run *run);
long hash_delete(const struct region_map *m, const void *key);
void *lpm_lookup(const struct region_map *m, const void *key);
long lpm_update(const struct region_map *m, const void *key, const void *value,
		uint64_t flags);
long lpm_delete(const struct region_map *m, const void *key);
long bloom_add(const struct region_map *m, const void *value, uint64_t flags);
long bloom_test(const struct region_map *m, const void *value);
long queue_push(const struct region_map *m, const void *value, uint64_t flags);
long queue_pop(const struct region_map *m, void *value);
long queue_peek(const struct region_map *m, void *value);

/* cpu.c: the value at `index` of the CPU that this run owns; NULL: there is
 * none to be had. */
void *cpu_value(const struct region_map *m, uint64_t index, struct run *run);
/* Write it; false: there is none to be had. */
bool cpu_put(const struct region_map *m, uint64_t index, const void *value,
	     struct run *run);
uint32_t cpu_here(void);
uint32_t cpu_node(void);

/* loads.c: tell readers what we have mapped. */
void weld_loads(void);

/* tasks.c: n bytes of one field; `addr` is a task's (task.h).  False: there is
 * no such field, or it cannot be had. */
bool task_read(void *to, uint32_t n, uint64_t addr);
uint32_t task_room(uint64_t addr); /* to the end of the field; 0: none */

/* format.c: a format with its arguments, and what is made of it. */
enum { FORMAT_ARGS = 12 };
struct format {
	const char *fmt, *end; /* `end`: its NUL, set by format_prepare() */
	const uint64_t *arg; /* at any address */
	uint32_t nargs;
	uint16_t len[FORMAT_ARGS]; /* of strings; set by format_prepare() */
	struct run *run;
};
struct text {
	char *to;
	uint32_t room;
	uint32_t len; /* of the whole text, whether it fitted or not */
	struct run *run;
};
/* Arguments as programs hand them over, `size` bytes: 0 or -EINVAL. */
long format_args(struct format *f, uint64_t args, uint64_t size);
/* Can it be printed?  0 or an error; its NUL must be within `size`. */
long format_prepare(struct format *f, uint32_t size);
void format_print(const struct format *f, struct text *t);

/* clock.c: a clock's time (linux/time.h, which hosted tests cannot include
 * beside time.h); the vDSO to take it from, if that is known. */
enum { MONOTONIC = 1, BOOTTIME = 7, TAI = 11 };
uint64_t clock_ns(int clock);
void clock_use(uint64_t vdso);
/* entry.S: call with an aligned stack, which vDSO code expects. */
long vdso_call(uint64_t func, int clock, void *ts);

/* process.c: what the kernel told the process when it began. */
struct aux {
	bool secure;       /* AT_SECURE, or unknown: distrust the environment */
	uint64_t vdso;     /* AT_SYSINFO_EHDR, or 0 */
	uint64_t frame;    /* AT_MINSIGSTKSZ, or 0 */
	uint64_t last;     /* AT_EXECFN, the last string on the stack, or 0 */
};
/* From the vector itself; *v is AT_NULL's place at the latest. */
struct aux aux_read(const uint64_t *v, const uint64_t *end);
struct aux aux_find(void);      /* by asking */
const char *env_want(const char *const *envp); /* $BPFWELD_REGION or NULL */
const char *env_find(void);     /* the same, by asking */
/* Has the C library been told where there are more modules for iconv()? */
bool env_converts(const char *const *envp);

/* file.c: map the shared region's file over weld_region, and first pinned maps'
 * behind it.  `want`: its path, or NULL for the default one. */
bool file_map(const char *want);
/* A file that processes share, and where it belongs. */
struct shared {
	const char *name;
	uint64_t size;
	uint8_t *at;
	const struct region_map *pin; /* whose file it is; NULL: the region's */
	uint64_t ino;                 /* when it is open */
};
/* A descriptor of the file, made if need be and checked; or -errno. */
long shared_open(long dir, struct shared *s);
bool shared_over(long fd, const struct shared *s); /* map it where it belongs */

/* room.c: may so much more of this file be reserved?  False: a memory cgroup has
 * no room for it, and would kill. */
bool room_for(long fd, uint64_t size, uint64_t rest);
bool room_unasked(void); /* in its place where no file is large */

/* pin.c: map what can be had; then say in the region what could not. */
void pins_map(long dir);
void pins_tell(void);
void pin_fill(uint8_t *to, const struct region_map *m); /* a new file */
bool pin_is_right(long fd, const struct region_map *m);
/* start.c: write the initial content over zeroes, gates last. */
void region_fill(uint8_t *base);
bool region_is_armed(void);
bool region_is_off(void); /* for good: BPFWELD_REGION=off */
/* Before the file is mapped over the region.  False: another thread fills it. */
bool region_claim_file(void);
void region_unclaim_file(void); /* it could not be mapped */
bool region_is_private(void); /* no other process has it */
/* Yields and says yes if it is worthwhile to try again what gave `ret`, counting in
 * *tries: no descriptor was left, and other threads that arm will give theirs back. */
bool region_wait_scarce(long ret, int *tries);
/* own.c: become the region's owner, if there is none; `stack` is an address
 * near the top of the main thread's stack. */
void own_take(const void *stack);
/* The program begins: this is no child of vfork(). */
void own_begin(void);
/* Us: the pid, and above it the pid namespace; never 0.  Kept, but in a child of
 * vfork() that is the first one to ask in its parent's memory. */
uint64_t own_self(void);
/* Who changes maps: the same, or 1 in a private region, without any call. */
uint64_t own_writer(void);
/* Does this other one live no more?  False where nobody can tell. */
bool own_is_dead(uint64_t owner, uint64_t us);
/* Our pid, kept likewise. */
long own_pid(void);
/* fault.c: find out how memory may be touched.  `envp`: the program's, on the
 * main thread's stack, or NULL where that is not known. */
void fault_arm(const char *const *envp, struct aux aux);
void start_nothing(void); /* in its place where no program needs it */

#pragma GCC visibility pop

#endif
