/* SPDX-License-Identifier: MIT */
/* fault.h - the target's memory, which may not be there.
 *
 *     copy_in(to, from, n, run)    `from` is the target's
 *     copy_out(to, from, n, run)   `to` is
 *
 * True: all n bytes.  False: some of them cannot be had; those that can may
 * have been copied.  Nothing happens to the target in either case, whichever of
 * fault.c's ways is gone.  `run` is that of the program (abi.h): what has been
 * found out about the process is good until the program ends.
 *
 * No system call for what is known to be there as long as this code runs:
 *     the file's own image, its bss and the region among it (weld_info.known)
 *     the rest of the current page of the stack
 *     on the main thread's stack, all that is above us
 */
#ifndef BPFWELD_FAULT_H
#define BPFWELD_FAULT_H

#include "runtime-stub/stub.h"

/* What run->fault says of a program's run. */
enum { RUN_UNKNOWN, RUN_CAUGHT, RUN_ASKED };
/* As far below its beginning as the main thread's stack goes for sure. */
enum { FAULT_PAGE = 4096, FAULT_STACK = 8 << 20 };

#pragma GCC visibility push(hidden)
extern uint64_t fault_stack_top; /* 0, or the main thread's stack's */
/* fault.S */
uint32_t fault_copy(void *to, const void *from, uint64_t n);
long fault_read(void *to, const void *from, uint64_t n);
/* fault.c: for what is not known.  */
bool fault_in(void *to, uint64_t from, uint64_t n, struct run *run);
bool fault_out(uint64_t to, const void *from, uint64_t n, struct run *run);
/* libs.c: are the libraries mapped those that the welder has seen?  Linked where
 * FAULT_TRUST is, as weld_libs_seen(). */
bool libs_are_seen(void);
bool weld_libs_seen(void);
/* What fault_read() does in the end: `to` is zeroed. */
long fault_failed(void *to, uint32_t n);
#pragma GCC visibility pop

/* Not the kernel's half, nor into it. */
static inline bool is_users(uint64_t addr, uint64_t n)
{
	return (int64_t)(addr | (addr + n)) >= 0;
}

static inline bool in_range(uint64_t addr, uint64_t n, uint64_t lo,
			    uint64_t size)
{
	uint64_t off = addr - lo;

	return off < size && off + n <= size;
}

static inline bool in_known(uint64_t addr, uint64_t n, int i)
{
	const struct weld_range *k = &weld_info.known[i];

	return in_range(addr, n,
			(uint64_t)&weld_info + (uint64_t)(int64_t)k->at,
			k->size);
}

/* Can fault_copy() and fault_read() do it now?  Most that can are seen here. */
static inline bool can_copy(uint64_t from, uint64_t n, const struct run *run)
{
	return __builtin_expect(is_users(from, n), 1) &&
	       (run->fault == RUN_CAUGHT || in_known(from, n, 0));
}

static inline bool copy_in(void *to, uint64_t from, uint64_t n,
			   struct run *run)
{
	if (can_copy(from, n, run))
		return !fault_copy(to, (const void *)from, n);
	return fault_in(to, from, n, run);
}

static inline bool copy_out(uint64_t to, const void *from, uint64_t n,
			    struct run *run)
{
	return fault_out(to, from, n, run);
}

/* Without a run: are all n bytes readable now? */
bool can_read(uint64_t addr, uint64_t n);

#endif
