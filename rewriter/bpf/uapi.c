/* SPDX-License-Identifier: MIT */
/* uapi.c - uapi.def with the numbers that the UAPI headers give.
 *
 * Nothing here may include what a libc has of the same names (<sys/stat.h>,
 * <time.h>, ..): it is the kernel's struct stat that the table means.
 */
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/eventpoll.h>
#include <linux/fanotify.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inotify.h>
#include <linux/io_uring.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/mount.h>
#include <linux/mqueue.h>
#include <linux/msg.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/poll.h>
#include <linux/resource.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/seccomp.h>
#include <linux/sem.h>
#include <linux/signalfd.h>
#include <linux/stat.h>
#include <linux/sysinfo.h>
#include <linux/tcp.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/times.h>
#include <linux/udp.h>
#include <linux/uio.h>
#include <linux/un.h>
#include <linux/utsname.h>
#include <string.h>

#include "rewriter/bpf/uapi.h"

/* System calls take these, too, but only libcs have a header with them, and
 * some of those the kernel's headers call something else (__kernel_old_*). */
struct sockaddr {
	__kernel_sa_family_t sa_family;
	char sa_data[14];
};
struct user_msghdr {
	void *msg_name;
	int msg_namelen;
	struct iovec *msg_iov;
	__kernel_size_t msg_iovlen;
	void *msg_control;
	__kernel_size_t msg_controllen;
	unsigned int msg_flags;
};
struct mmsghdr {
	struct user_msghdr msg_hdr;
	unsigned int msg_len;
};
struct cmsghdr {
	__kernel_size_t cmsg_len;
	int cmsg_level, cmsg_type;
};
struct ucred {
	__u32 pid, uid, gid;
};
struct linger {
	int l_onoff, l_linger;
};
struct file_handle {
	__u32 handle_bytes;
	int handle_type;
	unsigned char f_handle[];
};
struct linux_dirent64 {
	__u64 d_ino;
	__s64 d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

#define F(name) { #name, 8 * offsetof(T, name), sizeof(((T *)0)->name), 0 },
#define V(name) { #name, 8 * offsetof(T, name), 0, 0 },
#define B(name, bit, bits) { #name, bit, 0, bits },
#define UAPI(name, ...) ROW(name, false, __VA_ARGS__)
#define GROWS(name, ...) ROW(name, true, __VA_ARGS__)
#define ROW(name, grows, ...)                                                  \
	if (!i--) {                                                            \
		typedef struct name T;                                         \
		static const struct uapi_field field[] = { __VA_ARGS__ };      \
		static const struct uapi u = {                                 \
			#name, sizeof(T), grows, field,                        \
			sizeof(field) / sizeof(*field),                        \
		};                                                             \
		return &u;                                                     \
	}

const struct uapi *uapi_at(size_t i)
{
#include "rewriter/bpf/uapi.def"
	return NULL;
}

/* With a row of the type's own name in front of its enumerators. */
#define E(name) { NULL, #name, name },
#define ENUM(type, ...) { #type, NULL, 0 }, __VA_ARGS__
static const struct uapi_value values[] = {
#include "rewriter/bpf/uapi.def"
};

const struct uapi_value *uapi_value_at(size_t i)
{
	return i < sizeof(values) / sizeof(*values) ? &values[i] : NULL;
}

const struct uapi_value *uapi_enum(const char *type)
{
	const struct uapi_value *v;

	for (size_t i = 0; (v = uapi_value_at(i)); i++)
		if (v->type && !strcmp(v->type, type))
			return v;
	return NULL;
}

const struct uapi_value *uapi_value(const char *type, const char *name)
{
	const struct uapi_value *v = uapi_enum(type);
	const struct uapi_value *end = values + sizeof(values) / sizeof(*v);

	while (v && ++v < end && !v->type)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

const struct uapi *uapi_find(const char *name)
{
	const struct uapi *u;

	for (size_t i = 0; (u = uapi_at(i)); i++)
		if (!strcmp(u->name, name))
			return u;
	return NULL;
}

const struct uapi_field *uapi_field(const struct uapi *u, const char *name)
{
	for (size_t i = 0; i < u->nfield; i++)
		if (!strcmp(u->field[i].name, name))
			return &u->field[i];
	return NULL;
}
