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

#include "runtime-stub/proc.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

/* As much as a main thread's stack usually may have.  The kernel keeps mmap
 * away from 128 MiB. */
enum {
	STACK = 8 << 20
};

/* Words behind the first: what is known of us, and wiped in a forked child. */
enum {
	PID = 1,
	SELF,
	WRITER,
	SPACE,
	LENT
};
/* 64 GiB of addresses: nobody else takes as much in the meantime. */
#define LOOK (UINT64_C(1) << 36)

/* Who kept something here last: a forked child finds its parent. */
static uint32_t memory_of;

static uint64_t known(int what)
{
	return __atomic_load_n(&weld_own[what], __ATOMIC_RELAXED);
}

static void keep(int what, uint64_t v)
{
	__atomic_store_n(&weld_own[what], v, __ATOMIC_RELAXED);
}

static bool is_wiped(void)
{
	return sys3(__NR_madvise, (long)weld_own, sizeof(weld_own),
		    MADV_WIPEONFORK) == 0;
}

/* --- Whose memory is it?  A child of vfork() that is the first one in there to
 * be asked for its pid must not leave it behind: its parent would go on under
 * the name of somebody dead, whose work others take over.
 *
 * Then its parent has this memory, and a forked child's parent has another one.
 * That is so where the parent is who kept something here last; else a mapping
 * of ours shows it, in the number of pages that the parent is said to have. */

/* How many a process has; 0: that cannot be told. */
static uint64_t pages_of(uint32_t pid)
{
	char buf[32];
	uint32_t n = proc_read(pid, "/statm", buf, sizeof(buf));
	uint64_t v = 0;

	for (uint32_t i = 0; i < n && buf[i] >= '0' && buf[i] <= '9'; i++)
		v = v * 10 + (uint64_t)(buf[i] - '0');
	return v;
}

/* True as well where that cannot be told. */
static bool sees_our_memory(uint32_t pid)
{
	uint64_t before = pages_of(pid), with;
	long at = sys6(__NR_mmap, 0, (long)LOOK, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at < 0)
		return true;
	with = pages_of(pid);
	sys3(__NR_munmap, at, (long)LOOK, 0);
	return !before || !with || with >= before + LOOK / 4096;
}

static bool is_lent(void)
{
	uint32_t now = (uint32_t)sys0(__NR_getppid), parent;
	bool lent;

	do {
		parent = now;
		lent = parent !=
			       __atomic_load_n(&memory_of, __ATOMIC_RELAXED) &&
		       sees_our_memory(parent);
		now = (uint32_t)sys0(__NR_getppid);
	} while (lent && now != parent); /* it has ended meanwhile */
	return lent;
}

static bool may_keep(uint32_t pid)
{
	if (known(LENT) == pid || !is_wiped())
		return false;
	if (is_lent()) {
		keep(LENT, pid);
		return false;
	}
	__atomic_store_n(&memory_of, pid, __ATOMIC_RELAXED);
	return true;
}

/* (Out of the way of who knows it.) */
static __attribute__((noinline)) uint32_t ask_pid(void)
{
	uint32_t pid = (uint32_t)sys0(__NR_getpid);

	if (may_keep(pid))
		keep(PID, pid);
	return pid;
}

long own_pid(void)
{
	uint32_t pid = (uint32_t)known(PID);

	return pid ? pid : ask_pid();
}

/* The pid namespace; 0: unknown. */
static uint64_t space(void)
{
	uint64_t v = known(SPACE);
	struct stat st;

	if (v)
		return v;
	if (sys4(__NR_newfstatat, AT_FDCWD, (long)"/proc/self/ns/pid",
		 (long)&st, 0) < 0)
		return 0;
	if (is_wiped())
		keep(SPACE, st.st_ino);
	return st.st_ino;
}

uint64_t own_self(void)
{
	uint64_t us = known(SELF);

	if (us)
		return us;
	us = space() << 32 | (uint32_t)own_pid();
	if (known(PID))
		keep(SELF, us);
	return us;
}

uint64_t own_writer(void)
{
	uint64_t us = known(WRITER);

	if (us)
		return us;
	us = region_is_private() ? 1 : own_self();
	if (us == 1 || known(PID))
		keep(WRITER, us);
	return us;
}

/* Who has just been executed has no memory but its own: no need to ask. */
void own_begin(void)
{
	__atomic_store_n(&memory_of, (uint32_t)sys0(__NR_getppid),
			 __ATOMIC_RELAXED);
	own_self();
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

void own_take(const void *stack)
{
	struct region_header *h = (struct region_header *)weld_region;
	uint64_t owner = __atomic_load_n(&h->owner, __ATOMIC_ACQUIRE);
	uint64_t us = own_self();

	if (us >> 32 && is_gone(owner, us) && is_wiped() &&
	    __atomic_compare_exchange_n(&h->owner, &owner, us, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		__atomic_store_n(weld_own,
				 (UINT64_C(1) << 63) + (uint64_t)stack - STACK,
				 __ATOMIC_RELAXED);
}
