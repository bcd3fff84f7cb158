/* SPDX-License-Identifier: MIT */
/* read.c - bpf_probe_read and its family: what they return and write.
 *
 * How memory is touched that may not be there is fault.c's.
 *
 *                      user address   kernel half   not canonical
 *   probe_read         read           -EFAULT       -ERANGE
 *   probe_read_user    read           -EFAULT       -EFAULT
 *   probe_read_kernel  -ERANGE (*)    -EFAULT       -ERANGE
 * (*) ctx, the BPF stack and maps are kernel memory under the kernel, and
 * programs read them so: what lies in a map, or not far above our frame on
 * the stack, is read.  Failure zeroes the destination, as there.  Unlike
 * there, a page that is mapped and not resident is brought in and read.
 * A task's fields are in the kernel's half, and can be read there (tasks.c).
 * probe_read_str takes maps for the kernel's and the stack for the user's
 * (its two kinds of copying differ behind the NUL).
 */
#include <linux/errno.h>

#include "runtime-stub/fault.h"
#include "runtime-stub/task.h"

enum { NEAR_STACK = 8192 };
#define TASK_SIZE UINT64_C(0x7ffffffff000)

static bool in_map(uint64_t addr)
{
	return addr - (uint64_t)weld_region < weld_info.range ||
	       addr - (uint64_t)&weld_info - weld_info.frozen <
		       weld_info.frozen_size;
}

static long failed(uint64_t to, uint32_t n, long err)
{
	mem_zero((void *)to, n);
	return err;
}

static __attribute__((noinline)) long read_long(uint64_t to, uint32_t n,
						uint64_t from, struct run *run)
{
	if (fault_in((void *)to, from, n, run))
		return 0;
	return failed(to, n, -EFAULT);
}

static inline long read_user(uint64_t to, uint32_t n, uint64_t from,
			     struct run *run)
{
	if (can_copy(from, n, run))
		return fault_read((void *)to, (const void *)from, n);
	return read_long(to, n, from, run);
}

/* A string's bytes, fetched by more than one where that cannot fail sooner:
 * within a page. */
struct source {
	struct run *run;
	uint64_t lo, n; /* bytes[] begins there, and so many are fetched */
	uint8_t bytes[64];
};

static bool refill(struct source *s, uint64_t at, uint64_t rest)
{
	if (rest > sizeof(s->bytes))
		rest = sizeof(s->bytes);
	s->lo = at;
	s->n = copy_in(s->bytes, at, rest, s->run) ? rest : 0;
	return s->n;
}

static inline bool source_get(struct source *s, void *to, uint64_t at,
			      uint32_t n)
{
	uint64_t rest = FAULT_PAGE - at % FAULT_PAGE;

	if (rest < n)
		return copy_in(to, at, n, s->run);
	if ((at - s->lo >= s->n || at - s->lo + n > s->n) &&
	    !refill(s, at, rest))
		return false;
	mem_copy(to, s->bytes + (at - s->lo), n);
	return true;
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
static long copy_string(uint8_t *to, uint32_t n, uint64_t from,
			struct run *run)
{
	struct source s = { .run = run };
	uint32_t at = 0, z;
	uint64_t w;

	for (; n - at >= 8 && source_get(&s, &w, from + at, 8); at += 8) {
		z = zero_byte(w);
		if (z < 8)
			w &= (UINT64_C(1) << 8 * z) - 1;
		mem_copy(to + at, &w, 8);
		if (z < 8)
			return at + z;
	}
	for (; at < n; at++) {
		if (!source_get(&s, to + at, from + at, 1))
			return -EFAULT;
		if (!to[at])
			return at;
	}
	return at;
}

/* What the kernel has for tasks: ours are nowhere (task.h). */
static long read_task(uint64_t to, uint32_t n, uint64_t from)
{
	return task_read((void *)to, n, from) ? 0 : failed(to, n, -EFAULT);
}

static long read_task_str(uint64_t to, uint32_t n, uint64_t from)
{
	uint32_t room = task_room(from), at = 0;
	char text[sizeof(((struct task *)0)->comm)];

	if ((int32_t)n <= 0)
		return 0;
	if (room > n)
		room = n;
	if (!room || !task_read(text, room, from))
		return failed(to, n, -EFAULT);
	while (at < room - 1 && text[at])
		at++;
	text[at] = 0;
	mem_copy((void *)to, text, at + 1);
	return at + 1;
}

/* Length with the NUL; cut to n - 1 bytes and a NUL. */
static long read_user_str(uint64_t to, uint32_t n, uint64_t from,
			  struct run *run)
{
	long len;

	if ((int32_t)n <= 0)
		return 0;
	len = copy_string((uint8_t *)to, n, from, run);
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
	uint64_t frame = (uint64_t)__builtin_frame_address(0);

	return in_map(addr) || addr - frame < NEAR_STACK ? 0 : not_ours(addr);
}

/* strncpy_from_kernel_nofault(): by bytes; nothing behind the NUL is
 * written. */
static long read_kernel_str(uint64_t to, uint32_t n, uint64_t from,
			    struct run *run)
{
	struct source s = { .run = run };
	long bad = kernel_like(from);
	uint8_t *p = (uint8_t *)to;
	uint32_t at;

	if (task_is(from))
		return read_task_str(to, n, from);
	if ((int32_t)n <= 0)
		return 0;
	if (bad)
		return failed(to, n, bad);
	for (at = 0; at < n; at++) {
		if (!source_get(&s, p + at, from + at, 1))
			return failed(to, n, -EFAULT);
		if (!p[at])
			return at + 1;
	}
	p[n - 1] = 0;
	return n;
}

DEFINE_HELPER(probe_read)
{
	if (task_is(r3))
		return (uint64_t)read_task(r1, (uint32_t)r2, r3);
	if (r3 >= TASK_SIZE)
		return (uint64_t)failed(r1, (uint32_t)r2, not_ours(r3));
	return (uint64_t)read_user(r1, (uint32_t)r2, r3, run);
}

/* Where all of it is in one cache line, AMD's op cache has not enough room for
 * that line, and a read takes a quarter longer: it begins behind some nops. */
__asm__(".section .text.helper_probe_read_user, \"ax\", @progbits\n"
	".balign 64\n.skip 16, 0x90\n.text");

DEFINE_HELPER(probe_read_user)
{
	return (uint64_t)read_user(r1, (uint32_t)r2, r3, run);
}

DEFINE_HELPER(probe_read_str)
{
	if (r3 >= TASK_SIZE || in_map(r3))
		return (uint64_t)read_kernel_str(r1, (uint32_t)r2, r3, run);
	return (uint64_t)read_user_str(r1, (uint32_t)r2, r3, run);
}

DEFINE_HELPER(probe_read_user_str)
{
	return (uint64_t)read_user_str(r1, (uint32_t)r2, r3, run);
}

DEFINE_HELPER(probe_read_kernel)
{
	long bad = kernel_like(r3);

	if (task_is(r3))
		return (uint64_t)read_task(r1, (uint32_t)r2, r3);
	if (bad)
		return (uint64_t)failed(r1, (uint32_t)r2, bad);
	return (uint64_t)read_user(r1, (uint32_t)r2, r3, run);
}

DEFINE_HELPER(probe_read_kernel_str)
{
	return (uint64_t)read_kernel_str(r1, (uint32_t)r2, r3, run);
}

/* For programs that may sleep: the kernel faults pages in, as all reads here
 * do.  Where nothing is to be copied it looks at no address, not even at one
 * that is not the user's. */
DEFINE_HELPER(copy_from_user)
{
	if (!(uint32_t)r2)
		return 0;
	return (uint64_t)read_user(r1, (uint32_t)r2, r3, run);
}

/* Bytes in front of what cannot be written are written, as by the kernel. */
DEFINE_HELPER(probe_write_user)
{
	return copy_out(r1, (const void *)r2, (uint32_t)r3, run)
		       ? 0
		       : (uint64_t)-EFAULT;
}
