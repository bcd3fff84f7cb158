/* SPDX-License-Identifier: MIT */
/* abi.h - what the welder, the code it generates and the stub agree on.
 * (layout.h is for what lies in the region and outlives the process; this is
 * for what lies inside one welded file.)
 *
 * The stub is freestanding C, no SSE, no libc, no dynamic relocation: every
 * reference is RIP-relative.  The welder links it (rewriter/code/stub.h) and
 * defines for it, hidden:
 *     weld_info         RX: the struct below
 *     weld_region       bss, page aligned: weld_info.range bytes
 *     weld_own          bss, a page for itself; its first word is 0, or (own.c)
 *                       2^63 + an address: a stack above that one is our main
 *                       thread's, which counts hits without a lock
 *     weld_stacks       bss, page aligned, where it is asked for (stack.S):
 *                       PROBE_STACKS + 1 stacks for programs in Go code
 *     weld_returns      bss: struct weld_pad[pad_count], an index to them of
 *                       twice as many words, a count
 *     weld_orig_entry   the target's own e_entry
 *     weld_orig_init    the target's own DT_INIT
 *     weld_fault_arm    fault_arm() or start_nothing(), by what programs need
 *     weld_clock_use, weld_libs_seen, weld_pins_map, weld_pins_tell
 *                       the same of clock_use(), libs_are_seen(), pins_map()
 *                       and pins_tell()
 *     weld_room_for     room_for(), or room_unasked() where region and pinned
 *                       maps are below ROOM_MATTERS
 * The stub defines, with C calling convention unless said:
 *     weld_arm          called by a trampoline when a gate is 0: arms the
 *                       region if that has not happened.  Preserves every
 *                       register, flags too; wants nothing of the stack but
 *                       room (the caller has stepped over the red zone).
 *     weld_cold         the same, and says by ZF whether the gate is 0 still
 *                       (entry.S has what must stand around the call)
 *     weld_cold_over    the same, and takes 128 from the stack: the red zone
 *     weld_entry        new e_entry: arms, then jumps to weld_orig_entry with
 *                       all registers and the stack as the kernel or ld.so
 *                       gave them.
 *     weld_trap_entry   the same where sites are traps (trap.c): installs
 *                       SIGTRAP's handler first
 *     weld_init         new DT_INIT: arms, then jumps to weld_orig_init.
 *     weld_exchange     rdi: where a return address is, esi: offset of a row.
 *                       Puts a pad's address in its place.  May change rdi,
 *                       rsi and rdx; nothing else, no flag.
 *     weld_exchange_to  the same where rdx is not in the row's code
 *     weld_origin       rdi: a return address; rax: the one it leads to
 *                       through pads.  Keeps all other registers.
 *     weld_pad          where a pad goes on; see returns.c
 *     weld_stack_claim  jumped to where a program needs a stack of its own; see
 *                       stack.S, which has weld_arm_go, too
 *     weld_loads        void (void), where there are loads: called when the
 *                       region's file was mapped (loads.c)
 *     weld_session_*    session.c: what an entry leaves to its return
 *     weld_tail         where a tail call leads (tail.h)
 *     weld_vm           uint64_t (const struct bpf_insn *, struct hit *)
 *     weld_task_load    r10: an address in a task_struct, r11d: size; r10: what
 *                       is there, 0 if the task has ended or there is none.
 *                       Changes r11 and flags, nothing else
 *     weld_run_signals  uint64_t (struct run *, uint64_t r0): sends what a run
 *                       has kept (signal.c); gives r0 back
 *     helper_NAME       one for each row of helpers.def:
 *                       uint64_t (uint64_t r1, .. uint64_t r5, struct run *)
 *     helper_NAME_TYPE  the same, given a map of this type (maps.def)
 *     helper_map_put_elem_HASH  an update where no value's address is held
 * Stack alignment on entry to any of them is unknown (8): none may use SSE.
 */
#ifndef BPFWELD_ABI_H
#define BPFWELD_ABI_H

#include "runtime-stub/abi_asm.h"
#include "runtime-stub/layout.h"

/* A smaller file on tmpfs is not worth a system call: a memory cgroup that has less
 * than twice this left has no room for a program either. */
#define ROOM_MATTERS (UINT64_C(4) << 20)

/* At the upper end of each of weld_stacks. */
struct probe_stack {
	uint64_t taken; /* 0: free */
	uint64_t rsp;   /* of the target, while it is taken */
};

/* struct pt_regs of x86-64 (arch/x86/include/asm/ptrace.h), which a program's
 * ctx points to, and behind it what the kernel keeps in its run context. */
struct hit {
	uint64_t r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si,
		di, orig_ax, ip, cs, flags, sp, ss;
	uint64_t cookie;  /* bpf_get_attach_cookie() */
	uint64_t func_ip; /* bpf_get_func_ip() */
	uint64_t session; /* bpf_session_cookie() */
	uint64_t tails;   /* bpf_tail_call()s so far */
	uint32_t push_rbp; /* 1: that is the probed instruction (walk.c) */
	uint32_t probe;    /* its number, where the run may fail (guard.h) */
	uint64_t overridden; /* 1: return from the function ... */
	uint64_t value;      /* ... with this; see bpf_override_return() */
};
enum {
	PT_REGS_SIZE = 168, HIT_SIZE = 224, HIT_SESSION = 184, HIT_TAILS = 192,
	USER_CS = 0x33, USER_SS = 0x2b,
};

/* What lives as long as one run of a program, in its frame.  The welder makes
 * one, zeroed, where a helper that is called wants it (helper_runs() in
 * rewriter/code/helpers.c); other helpers are called with anything in its place.
 * Callbacks get it as their sixth argument, as helpers do. */
struct run {
	uint64_t *cpu;  /* the word that makes a CPU's values ours, or NULL */
	uint64_t area;  /* from the first CPU's values to that one's */
	uint8_t fault;   /* RUN_*: what is known of its bad pointers (fault.h) */
	uint8_t no_cpu;  /* it has looked for one, in vain */
	uint16_t unused;
	int32_t left;    /* what its loops may still use up; negative: the run
			    has failed (guard.h).  Only where a guard may ask */
	uint64_t signals; /* to be sent at the end, a byte each (signal.c);
			     zeroed only where there may be some */
};
/* What the code of a program does at its end. */
static inline void run_end(struct run *r)
{
	if (r->cpu)
		__atomic_store_n(r->cpu, 0, __ATOMIC_RELEASE);
}

struct init_record { /* bytes that are not zero in a fresh region */
	uint64_t to;      /* region offset */
	uint32_t from;    /* offset of the bytes from struct weld_info */
	uint32_t len;
};
/* How memory that may not be there is touched (runtime-stub/fault.c); with none
 * of them, by asking first. */
enum fault_way {
	FAULT_COPY = 1,
	FAULT_CATCH = 2,
	FAULT_TRUST = 4,
	FAULT_TOLD = 8 /* to catch, whatever comes of FAULT_TRUST */
};
/* A file, by its build id, which zeros fill up.  FNV-1a. */
enum { BUILD_ID = 20 };
static inline uint64_t file_digest(const uint8_t id[BUILD_ID])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (int i = 0; i < BUILD_ID; i++)
		h = (h ^ id[i]) * UINT64_C(0x100000001b3);
	return h;
}
/* Memory that is there as long as the file's code runs, from struct weld_info
 * on.  The first range has most of it: it is looked at first. */
struct weld_range {
	int32_t at;
	uint32_t size;
};
enum { KNOWN_RANGES = 4 };
struct weld_pin { /* a map that is pinned */
	uint32_t map;
	char file[68];    /* its file's name */
};
struct weld_info {
	uint8_t weld_id[16];
	char weld_name[40];   /* weld_id in hex: the region's file name */
	uint64_t region_size;
	uint64_t range;       /* with the pinned maps behind the region */
	uint32_t probe_count, map_count;
	uint64_t gates, maps, counts, trace, trace_size; /* region offsets */
	uint64_t cpus, cpu_stride;
	uint32_t cpu_count;
	uint32_t loads;       /* region offset, or 0 */
	uint32_t init_count;
	uint32_t init;        /* offset of struct init_record[] from here */
	uint32_t map;         /* offset of struct region_map[] from here */
	uint32_t pin;         /* offset of struct weld_pin[] from here */
	uint32_t pin_count;
	uint64_t pin_words;   /* region offset of uint64_t[pin_count] (pin.c) */
	int32_t pads;         /* from here to pad 0, when there are any */
	uint32_t pad_count;   /* a power of two */
	uint32_t trap_count;
	int32_t traps;        /* offset of struct weld_trap[] from here */
	uint32_t progs;       /* offset of int32_t[prog_count] from here: from
				 here to each program that may be in a map, for
				 the VM to its instructions; 0: it is not here */
	uint32_t prog_count;
	int32_t armed;        /* from here to weld_loads, where there are any */
	uint32_t fault;       /* of enum fault_way: what may be done */
	uint32_t frozen;      /* offset of all maps' data that programs only
				 read from here ... */
	uint32_t frozen_size; /* ... in one piece */
	uint64_t libs;        /* FAULT_TRUST: the sum of the digests of all
				 files with code that are to be mapped */
	struct weld_range known[KNOWN_RANGES];
};

/* --- Sites that are an int3 (rewriter/patch/trap.c), sorted. */
struct weld_trap { /* offsets are from struct weld_info */
	int32_t site, tramp;
};

/* --- Return probes at the return address (rewriter/patch/late.c). */
struct weld_pad {
	uint64_t ret;   /* where the function would have returned to */
	uint32_t late;  /* its row: offset from struct weld_info */
	uint32_t depth; /* how many pads `ret` leads through */
};
struct weld_late { /* offsets are from struct weld_info */
	int32_t code;   /* what is run when the function has returned */
	uint32_t part;  /* struct weld_part[nparts]: its code but its entry */
	uint32_t nparts;
	uint32_t probe, nprobe; /* their numbers, for misses */
};
struct weld_part {
	int32_t lo;
	uint32_t size;
};
enum { PAD_CODE = 16, PAD_DEPTH = 64 }; /* bytes of one; most in a row */

/* What the welder defines for the stub, and what the stub and the VM call. */
struct bpf_insn;
#pragma GCC visibility push(hidden)
extern const struct weld_info weld_info;
extern uint8_t weld_region[];
extern uint64_t weld_own[512];
extern uint8_t weld_returns[];
#define HELPER(id, name, ...)                                                  \
	uint64_t helper_##name(uint64_t r1, uint64_t r2, uint64_t r3,          \
			       uint64_t r4, uint64_t r5, struct run *run);
#include "runtime-stub/helpers.def"
#define TYPED(type, name)                                                      \
	uint64_t helper_##name##_##type(uint64_t r1, uint64_t r2, uint64_t r3, \
					uint64_t r4, uint64_t r5,              \
					struct run *run);
#define KEYED(type, ...)                                                       \
	TYPED(type, map_lookup_elem)                                           \
	TYPED(type, map_update_elem)                                           \
	TYPED(type, map_delete_elem)
#define QUEUED(type, ...)                                                      \
	TYPED(type, map_push_elem)                                             \
	TYPED(type, map_pop_elem)                                              \
	TYPED(type, map_peek_elem)
#include "runtime-stub/maps.def"
TYPED(HASH, map_put_elem)
#undef TYPED
/* What weld_task_load calls: n bytes of a task (task.h); elsewhere is 0. */
uint64_t task_load(uint64_t addr, uint32_t n);
uint64_t weld_run_signals(struct run *run, uint64_t r0);
#pragma GCC visibility pop

#endif
