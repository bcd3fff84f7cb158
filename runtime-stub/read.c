/* SPDX-License-Identifier: MIT */
/* read.c - bpf_probe_read and its family: memory that may not be there.
 *
 * No signal is caught: before a page is read, the kernel is asked whether it
 * can be, by a call that reads 8 bytes and then fails for another reason:
 * rt_sigprocmask with a `how` that does not exist, -EFAULT or -EINVAL, 137 ns.
 * The region and the rest of the current stack page are known and not asked
 * about.  A page that another thread unmaps between question and copy is the
 * one fault that is left.
 *
 *                      user address   kernel half   not canonical
 *   probe_read         read           -EFAULT       -ERANGE
 *   probe_read_user    read           -EFAULT       -EFAULT
 *   probe_read_kernel  -ERANGE (*)    -EFAULT       -ERANGE
 * (*) ctx, the BPF stack and maps are kernel memory under the kernel, and
 * programs read them so: what lies in the region, or not far above our frame on
 * the stack, is read.  Failure zeroes the destination, as there.  Unlike
 * there, a page that is mapped and not resident is brought in and read.
 * probe_read_str takes the region for the kernel's and the stack for the user's
 * (its two kinds of copying differ behind the NUL).
 */
#include <linux/errno.h>
#include <linux/uio.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { PAGE = 4096, NEAR_STACK = 8192, NO_SUCH_HOW = -1 };
#define TASK_SIZE UINT64_C(0x7ffffffff000)

static uint64_t page_end(uint64_t addr)
{
	return (addr | (PAGE - 1)) + 1;
}

static inline uint64_t frame_here(void)
{
	return (uint64_t)__builtin_frame_address(0);
}

static bool in_region(uint64_t addr)
{
	return addr - (uint64_t)weld_region < weld_info.region_size;
}

/* Readable from addr on up to the returned address without asking. */
static uint64_t known_end(uint64_t addr)
{
	uint64_t frame = frame_here();

	if (in_region(addr))
		return (uint64_t)weld_region + weld_info.region_size;
	if (addr >= frame && addr < page_end(frame))
		return page_end(frame);
	return addr;
}

/* Push *end, up to which memory is known to be readable, to `need` or more. */
static bool extend(uint64_t *end, uint64_t need)
{
	while (*end < need) {
		if ((int64_t)*end < 0 ||
		    sys4(__NR_rt_sigprocmask, NO_SUCH_HOW, (long)(*end & ~7ul),
			 0, 8) != -EINVAL)
			return false;
		*end = page_end(*end);
	}
	return true;
}

bool can_read(uint64_t addr, uint64_t n)
{
	uint64_t end = known_end(addr);

	return (int64_t)addr >= 0 && addr + n >= addr && extend(&end, addr + n);
}

static long failed(uint64_t to, uint32_t n, long err)
{
	mem_zero((void *)to, n);
	return err;
}

static long read_user(uint64_t to, uint32_t n, uint64_t from)
{
	if (!can_read(from, n))
		return failed(to, n, -EFAULT);
	mem_copy((void *)to, (const void *)from, n);
	return 0;
}

/* Index of the lowest zero byte in w, or 8. */
static uint32_t zero_byte(uint64_t w)
{
	uint64_t z = (w - UINT64_C(0x0101010101010101)) & ~w &
		     UINT64_C(0x8080808080808080);

	return z ? (uint32_t)__builtin_ctzll(z) / 8 : 8;
}

/* strncpy_from_user(): by words, of which what follows the NUL is zeroed; by
 * bytes at the end or where the next word is not all there.  Returns the
 * length without NUL, n if there is none. */
static long copy_string(uint8_t *to, uint32_t n, uint64_t from)
{
	uint64_t end = known_end(from), w;
	uint32_t at = 0, z;

	if ((int64_t)from < 0)
		return -EFAULT;
	for (; n - at >= 8 && extend(&end, from + at + 8); at += 8) {
		w = load64((const void *)(from + at));
		z = zero_byte(w);
		if (z < 8)
			w &= (UINT64_C(1) << 8 * z) - 1;
		mem_copy(to + at, &w, 8);
		if (z < 8)
			return at + z;
	}
	for (; at < n; at++) {
		if (!extend(&end, from + at + 1))
			return -EFAULT;
		to[at] = *(const volatile uint8_t *)(from + at);
		if (!to[at])
			return at;
	}
	return at;
}

/* Length with the NUL; cut to n - 1 bytes and a NUL. */
static long read_user_str(uint64_t to, uint32_t n, uint64_t from)
{
	long len;

	if ((int32_t)n <= 0)
		return 0;
	len = copy_string((uint8_t *)to, n, from);
	if (len < 0)
		return failed(to, n, -EFAULT);
	if (len < (long)n)
		return len + 1;
	((uint8_t *)to)[n - 1] = 0;
	return n;
}

/* What copy_from_kernel_nofault() says of an address that is not ours. */
static long not_ours(uint64_t addr)
{
	return addr >> 47 == 0x1ffff ? -EFAULT : -ERANGE;
}

/* Would the kernel find this address in its own half?  0, or the error. */
static long kernel_like(uint64_t addr)
{
	return in_region(addr) || addr - frame_here() < NEAR_STACK
		       ? 0
		       : not_ours(addr);
}

/* strncpy_from_kernel_nofault(): by bytes; nothing behind the NUL is
 * written. */
static long read_kernel_str(uint64_t to, uint32_t n, uint64_t from)
{
	uint64_t end = known_end(from);
	long bad = kernel_like(from);
	uint8_t *p = (uint8_t *)to;
	uint32_t at;

	if ((int32_t)n <= 0)
		return 0;
	if (bad)
		return failed(to, n, bad);
	for (at = 0; at < n; at++) {
		if (!extend(&end, from + at + 1))
			return failed(to, n, -EFAULT);
		p[at] = *(const volatile uint8_t *)(from + at);
		if (!p[at])
			return at + 1;
	}
	p[n - 1] = 0;
	return n;
}

DEFINE_HELPER(probe_read)
{
	if (r3 >= TASK_SIZE)
		return (uint64_t)failed(r1, (uint32_t)r2, not_ours(r3));
	return (uint64_t)read_user(r1, (uint32_t)r2, r3);
}

DEFINE_HELPER(probe_read_user)
{
	return (uint64_t)read_user(r1, (uint32_t)r2, r3);
}

DEFINE_HELPER(probe_read_str)
{
	if (r3 >= TASK_SIZE || in_region(r3))
		return (uint64_t)read_kernel_str(r1, (uint32_t)r2, r3);
	return (uint64_t)read_user_str(r1, (uint32_t)r2, r3);
}

DEFINE_HELPER(probe_read_user_str)
{
	return (uint64_t)read_user_str(r1, (uint32_t)r2, r3);
}

DEFINE_HELPER(probe_read_kernel)
{
	long bad = kernel_like(r3);

	if (bad)
		return (uint64_t)failed(r1, (uint32_t)r2, bad);
	return (uint64_t)read_user(r1, (uint32_t)r2, r3);
}

DEFINE_HELPER(probe_read_kernel_str)
{
	return (uint64_t)read_kernel_str(r1, (uint32_t)r2, r3);
}

/* For programs that may sleep: the kernel faults pages in, as all reads here
 * do. */
DEFINE_HELPER(copy_from_user)
{
	return (uint64_t)read_user(r1, (uint32_t)r2, r3);
}

/* The kernel writes: it can tell what may be written, and no page can go in
 * between. */
DEFINE_HELPER(probe_write_user)
{
	const struct iovec from = { (void *)r2, (uint32_t)r3 };
	const struct iovec to = { (void *)r1, (uint32_t)r3 };
	long n = sys6(__NR_process_vm_writev, sys0(__NR_getpid), (long)&from, 1,
		      (long)&to, 1, 0);

	return n == (long)from.iov_len ? 0 : (uint64_t)-EFAULT;
}
