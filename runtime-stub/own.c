/* SPDX-License-Identifier: MIT */
/* own.c - the region's owner: the process whose main thread counts its hits
 * without a lock.
 *
 * A locked increment takes about eight cycles, twice as long as all the rest
 * of an empty probe, and a program that counts something itself has one
 * already.  So each probe has two counters, and a reader adds them up:
 *
 *     cmp  %rsp, weld_own(%rip)      2^63 + LOW, or 0
 *     js   locked                    at or below LOW; always, when it is 0
 *     incq own(%rip)                 locked:  lock incq hits(%rip)
 *
 * Not a hit is lost, as only one thread can be above LOW, the lower end of the
 * main thread's stack: what mmap gives to others lies below.  A deeper main
 * thread, signal stacks and coroutines count with the lock, and so does
 *
 *   a forked child   the kernel wipes weld_own there (MADV_WIPEONFORK)
 *   another process  the header names the owner; it is replaced when it is
 *                    dead, which its pid tells only in the same pid namespace
 *
 * A child of vfork has our memory and our stack: it counts in the place of its
 * parent, which stands still until then.  (posix_spawn's child too, whose stack
 * glibc maps and musl has on its parent's.)  A child of another
 * clone(CLONE_VM) and a signal's handler are as good as a thread: where their
 * stack is decides.  So two can be above LOW only on buffers inside the main
 * thread's stack, or when a parent is killed while its vfork child runs, and
 * another process takes over (docs/limits.md).
 *
 * Where the kernel does not answer one of these questions there is no owner.
 */
#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

/* As much as a main thread's stack usually may have.  The kernel keeps mmap
 * away from 128 MiB. */
enum { STACK = 8 << 20 };

/* Us, as the header has it: pid, and above it the pid namespace; 0: unknown. */
static uint64_t self(void)
{
	struct stat st;

	if (sys4(__NR_newfstatat, AT_FDCWD, (long)"/proc/self/ns/pid",
		 (long)&st, 0) < 0)
		return 0;
	return (uint64_t)st.st_ino << 32 | (uint32_t)sys0(__NR_getpid);
}

uint64_t own_self(void)
{
	uint64_t us = __atomic_load_n(&weld_own[OWN_SELF], __ATOMIC_RELAXED);

	if (us)
		return us;
	us = self();
	if (!us)
		us = (uint32_t)sys0(__NR_getpid);
	if (sys3(__NR_madvise, (long)weld_own, sizeof(weld_own),
		 MADV_WIPEONFORK) == 0)
		__atomic_store_n(&weld_own[OWN_SELF], us, __ATOMIC_RELAXED);
	return us;
}

uint64_t own_writer(void)
{
	uint64_t us = __atomic_load_n(&weld_own[OWN_WRITER], __ATOMIC_RELAXED);
	bool kept = true;

	if (us)
		return us;
	us = 1;
	if (!region_is_private()) {
		us = own_self();
		kept = __atomic_load_n(&weld_own[OWN_SELF], __ATOMIC_RELAXED);
	}
	if (kept)
		__atomic_store_n(&weld_own[OWN_WRITER], us, __ATOMIC_RELAXED);
	return us;
}

bool own_is_dead(uint64_t owner, uint64_t us)
{
	return owner >> 32 && owner >> 32 == us >> 32 &&
	       sys3(__NR_kill, (uint32_t)owner, 0, 0) == -ESRCH;
}

/* Will this owner count no more?  Our own pid is what we were before exec. */
static bool is_gone(uint64_t owner, uint64_t us)
{
	if (owner == 0 || owner == us)
		return true;
	return own_is_dead(owner, us);
}

long own_pid(void)
{
	long pid = (long)__atomic_load_n(&weld_own[OWN_PID], __ATOMIC_RELAXED);

	if (pid)
		return pid;
	pid = sys0(__NR_getpid);
	if (sys3(__NR_madvise, (long)weld_own, sizeof(weld_own),
		 MADV_WIPEONFORK) == 0)
		__atomic_store_n(&weld_own[OWN_PID], (uint64_t)pid,
				 __ATOMIC_RELAXED);
	return pid;
}

void own_take(const void *stack)
{
	struct region_header *h = (struct region_header *)weld_region;
	uint64_t owner = __atomic_load_n(&h->owner, __ATOMIC_ACQUIRE);
	uint64_t us = own_self();

	if (us >> 32 && is_gone(owner, us) &&
	    sys3(__NR_madvise, (long)weld_own, sizeof(weld_own),
		 MADV_WIPEONFORK) == 0 &&
	    __atomic_compare_exchange_n(&h->owner, &owner, us, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		__atomic_store_n(weld_own,
				 (UINT64_C(1) << 63) + (uint64_t)stack - STACK,
				 __ATOMIC_RELAXED);
}
