/* SPDX-License-Identifier: MIT */
/* task.c - helpers about who runs, where, and in which probe. */
#include <asm/prctl.h>
#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { COMM = 16 };

DEFINE_HELPER(get_current_pid_tgid)
{
	return (uint64_t)sys0(__NR_getpid) << 32 |
	       (uint32_t)sys0(__NR_gettid);
}

DEFINE_HELPER(get_current_uid_gid)
{
	return (uint64_t)sys0(__NR_getgid) << 32 |
	       (uint32_t)sys0(__NR_getuid);
}

/* strscpy_pad(buf, comm, size) */
DEFINE_HELPER(get_current_comm)
{
	char comm[COMM] = { 0 };
	uint8_t *to = (uint8_t *)r1;
	uint32_t n = 0;

	r2 = (uint32_t)r2;
	if (!r2)
		return 0;
	sys6(__NR_prctl, PR_GET_NAME, (long)comm, 0, 0, 0, 0);
	while (n < COMM - 1 && n < r2 - 1 && comm[n])
		n++;
	mem_copy(to, comm, n);
	mem_zero(to + n, r2 - n);
	return 0;
}

DEFINE_HELPER(get_smp_processor_id)
{
	return cpu_here();
}

DEFINE_HELPER(get_numa_node_id)
{
	return cpu_node();
}

/* stat() has a device number as user space writes it, programs as the kernel
 * does: 20 bits of minor number. */
static uint64_t kernel_dev(uint64_t dev)
{
	return (dev >> 8 & 0xfff) << 20 | (dev & 0xff) | (dev >> 12 & 0xfff00);
}

/* A process stays in its pid namespace, and all namespaces are on one device, so
 * the file system is asked once.  (Not for a child of vfork: it has its parent's
 * memory, but not its pid.) */
static bool is_our_namespace(uint64_t dev, uint64_t ino, uint32_t pid)
{
	static uint64_t device;
	uint64_t on = __atomic_load_n(&device, __ATOMIC_RELAXED);
	uint64_t us = own_self();
	struct stat st;

	if (on && us >> 32 && (uint32_t)us == pid)
		return dev == on && ino == us >> 32;
	if (sys4(__NR_newfstatat, AT_FDCWD, (long)"/proc/self/ns/pid",
		 (long)&st, 0))
		return false;
	on = kernel_dev(st.st_dev);
	__atomic_store_n(&device, on, __ATOMIC_RELAXED);
	return dev == on && ino == st.st_ino;
}

/* struct bpf_pidns_info: thread and process, if this is their namespace. */
DEFINE_HELPER(get_ns_current_pid_tgid)
{
	uint32_t *info = (uint32_t *)r3, pid = (uint32_t)sys0(__NR_getpid);

	if ((uint32_t)r4 == 8 && is_our_namespace(r1, r2, pid)) {
		info[0] = (uint32_t)sys0(__NR_gettid);
		info[1] = pid;
		return 0;
	}
	mem_zero(info, (uint32_t)r4);
	return (uint64_t)-EINVAL;
}

/* A counter, mixed (splitmix64); the time stamp keeps the children of a fork
 * from repeating their parent's numbers. */
DEFINE_HELPER(get_prandom_u32)
{
	static uint64_t seed;
	uint64_t v = __atomic_add_fetch(&seed, UINT64_C(0x9e3779b97f4a7c15),
					__ATOMIC_RELAXED);

	v ^= __builtin_ia32_rdtsc();
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(v ^ v >> 31);
}

/* Where %fs:r1 is.  Asked of the kernel: a thread that has no thread pointer
 * yet would crash at %fs:0. */
DEFINE_HELPER(fs_address)
{
	uint64_t base = 0;

	sys3(__NR_arch_prctl, ARCH_GET_FS, (long)&base, 0);
	return base + r1;
}

DEFINE_HELPER(get_func_ip)
{
	return ((const struct hit *)r1)->func_ip;
}

/* The trampoline does it, when all programs there have run. */
DEFINE_HELPER(override_return)
{
	struct hit *hit = (struct hit *)r1;

	hit->value = r2;
	hit->overridden = 1;
	return 0;
}

DEFINE_HELPER(get_attach_cookie)
{
	return ((const struct hit *)r1)->cookie;
}
