/* SPDX-License-Identifier: MIT */
/* uapi - CO-RE on what the kernel shares with user space, as vmlinux.h makes
 * programs ask for all of it: rewriter/bpf/uapi.def and the kernel's BTF. */
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/perf_event.h>
#include <linux/tcp.h>
#include <linux/time_types.h>

struct iovec { /* <linux/uio.h> thinks that pointers have 4 bytes */
	void *iov_base;
	unsigned long iov_len;
};
struct stat { /* with names and sizes that are right, and nothing else */
	long st_size, st_blocks;
	unsigned int st_mode;
};
struct iovec___reversed {
	unsigned long iov_len;
	void *iov_base;
};
struct sockaddr_in___new {
	__be16 sin_port;
	__u32 sin_no_such_field;
};
struct tcphdr___few {
	__u16 padding, syn : 1, ack : 1;
};
struct mmsghdr {
	struct user_msghdr {
		struct iovec *msg_iov;
		unsigned int msg_flags;
	} ignored;
	unsigned int msg_len;
};
struct linux_dirent64 {
	char d_name[0];
};
#pragma clang attribute pop

#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

enum { OFFSET, SIZE, EXISTS, SIGNED, LEFT, RIGHT };
#define INFO(field, kind) __builtin_preserve_field_info(field, kind)

struct seen {
	__u64 at[16], size[4], is[16], value[8], shift[16], read[16];
};
struct seen seen;

/* Where things are. */
SEC("uprobe/calls:site")
int places(void *ctx)
{
	struct sockaddr_in6 *six = ctx;
	struct iovec___reversed *v = ctx;
	struct stat *st = ctx;
	struct tcphdr *tcp = ctx;
	struct iphdr *ip = ctx;

	seen.at[0] = INFO(six->sin6_addr.in6_u.u6_addr32[2], OFFSET);
	seen.at[1] = INFO(six->sin6_scope_id, OFFSET);
	seen.at[2] = INFO(v->iov_len, OFFSET);
	seen.at[3] = INFO(v[3].iov_base, OFFSET);
	seen.at[4] = INFO(st->st_size, OFFSET);
	seen.at[5] = INFO(st->st_mode, OFFSET);
	seen.at[6] = INFO(((struct mmsghdr *)ctx)->msg_len, OFFSET);
	seen.at[7] = INFO(((struct user_msghdr *)ctx)->msg_flags, OFFSET);
	seen.at[8] = INFO(((struct linux_dirent64 *)ctx)->d_name, OFFSET);
	seen.at[9] = INFO(((struct bpf_stack_build_id *)ctx)->ip, OFFSET);
	seen.at[10] = INFO(((struct perf_event_header *)ctx)->size, OFFSET);
	seen.at[11] = INFO(tcp->syn, OFFSET);
	seen.at[12] = INFO(tcp->window, OFFSET);
	seen.at[13] = INFO(ip->version, OFFSET);
	seen.shift[0] = INFO(tcp->syn, LEFT);
	seen.shift[1] = INFO(tcp->syn, RIGHT);
	seen.shift[2] = INFO(tcp->syn, SIZE);
	seen.shift[3] = INFO(tcp->doff, LEFT);
	seen.shift[4] = INFO(tcp->doff, RIGHT);
	seen.shift[5] = INFO(ip->ihl, LEFT);
	seen.shift[6] = INFO(ip->version, LEFT);
	seen.shift[7] = INFO(ip->version, RIGHT);
	seen.shift[8] = INFO(st->st_mode, LEFT);
	seen.shift[9] = INFO(st->st_mode, RIGHT);
	seen.shift[10] = INFO(st->st_mode, SIZE);
	seen.shift[11] = INFO(((struct tcphdr___few *)ctx)->ack, LEFT);
	seen.at[14] = INFO(((struct tcphdr___few *)ctx)->ack, OFFSET);
	seen.size[0] = bpf_core_type_size(struct sockaddr_in6);
	seen.size[1] = bpf_core_type_size(struct iovec___reversed);
	seen.size[2] = bpf_core_type_size(struct stat);
	seen.size[3] = bpf_core_type_size(enum bpf_map_type);
	return 0;
}

/* What there is. */
SEC("uprobe/calls:site")
int existing(void *ctx)
{
	struct sockaddr_in___new *in = ctx;
	struct __kernel_timespec *t = ctx;

	seen.is[0] = INFO(in->sin_port, EXISTS);
	seen.is[1] = INFO(in->sin_no_such_field, EXISTS);
	seen.is[2] = INFO(t->tv_sec, EXISTS);
	seen.is[3] = INFO(t->tv_sec, SIGNED);
	seen.is[4] = INFO(in->sin_port, SIGNED);
	seen.is[5] = bpf_core_type_exists(struct sockaddr_in___new);
	seen.is[6] = bpf_core_type_exists(struct bpf_pidns_info);
	seen.is[7] = bpf_core_type_exists(enum bpf_func_id);
	seen.is[8] = bpf_core_enum_value_exists(enum bpf_func_id,
						BPF_FUNC_loop);
	seen.is[9] = bpf_core_enum_value_exists(enum bpf_map_type,
						BPF_MAP_TYPE_RINGBUF);
	seen.value[0] = bpf_core_enum_value(enum bpf_func_id, BPF_FUNC_loop);
	seen.value[1] = bpf_core_enum_value(enum bpf_map_type,
					    BPF_MAP_TYPE_RINGBUF);
	seen.value[2] = bpf_core_enum_value(enum perf_type_id,
					    PERF_TYPE_HARDWARE);
	seen.value[3] = bpf_core_enum_value(enum bpf_stack_build_id_status,
					    BPF_STACK_BUILD_ID_IP);
	if (INFO(in->sin_no_such_field, EXISTS))
		seen.is[10] = in->sin_no_such_field;
	return 0;
}

static __attribute__((noinline)) __u64 bits(struct tcphdr *h)
{
	return h->syn | h->ack << 1 | h->doff << 2 |
	       BPF_CORE_READ_BITFIELD(h, syn) << 8 |
	       BPF_CORE_READ_BITFIELD(h, doff) << 12;
}

/* Reading it. */
SEC("uprobe/calls:site")
int reading(struct pt_regs *ctx)
{
	struct sockaddr_in6 six = { .sin6_family = 10, .sin6_port = 80 };
	struct sockaddr_in four = { .sin_family = 2, .sin_port = 443 };
	struct __kernel_timespec t = { 11, 13 };
	struct iovec v[2] = { { ctx, 17 }, { NULL, 19 } }, *p = v;
	struct tcphdr tcp = { .syn = 1, .doff = 5 };
	struct bpf_pidns_info ns = {};
	struct bpf_stack_build_id id[2] = {};
	__u64 n = PT_REGS_PARM1(ctx);

	six.sin6_addr.in6_u.u6_addr16[n & 7] = n;
	four.sin_addr.s_addr = n;
	seen.read[0] += six.sin6_addr.in6_u.u6_addr32[1] + six.sin6_port;
	seen.read[1] += four.sin_addr.s_addr ^ four.sin_port;
	seen.read[2] += t.tv_sec * t.tv_nsec;
	seen.read[3] += BPF_CORE_READ(p, iov_len) +
			BPF_CORE_READ((struct iovec___reversed *)p, iov_len);
	p = &v[n & 1];
	__asm__ volatile("" : "+r"(p));
	seen.read[4] += p->iov_len;
	seen.read[5] += bits(&tcp);
	seen.read[6] += bpf_get_ns_current_pid_tgid(0, 0, &ns, sizeof(ns)) +
			ns.pid;
	seen.read[7] += bpf_get_stack(ctx, id, sizeof(id),
				      BPF_F_USER_STACK | BPF_F_USER_BUILD_ID) +
			id[0].status + id[0].build_id[3] + id[0].offset;
	return 0;
}

#if __clang_major__ >= 15
/* As in objects.bpf.c: it is by chance that the kernel says so. */
__u64 wanted;

SEC("?uprobe/calls:other")
int matching(void *ctx)
{
	wanted = bpf_core_type_matches(struct iovec___reversed) |
		 bpf_core_type_matches(struct sockaddr_in___new) << 1 |
		 bpf_core_type_matches(struct in6_addr) << 2;
	return 0;
}
#endif

char LICENSE[] SEC("license") = "GPL";
