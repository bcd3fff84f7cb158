/* SPDX-License-Identifier: MIT */
/* syscount - which system calls the C library makes, how often, for whom.
 *
 * Either at its functions, each with its call's number as cookie
 *
 *     lib=/lib/x86_64-linux-gnu/libc.so.6
 *     mkdir -p lib && bpfweld weld $lib syscount.bpf.o -o lib/libc.so.6 \
 *         -p call=none -p wrapper=uprobe:read,cookie=0 \
 *         -p wrapper=uprobe:write,cookie=1 -p wrapper=uprobe:close,cookie=3
 *
 * or at the system call instructions themselves, which the kernel's uprobes
 * cannot be at: -p wrapper=none and a -p call=uprobe:0xADDRESS for each address
 * that `bpfweld list --syscalls $lib` has.  Then
 *
 *     LD_LIBRARY_PATH=$PWD/lib ls
 *     bpfweld map dump lib/libc.so.6 counts
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct caller {
	__u64 nr;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct caller);
	__type(value, __u64);
} counts SEC(".maps");

__u64 total, no_room;

static int count(__u64 nr)
{
	struct caller key = { .nr = nr };
	__u64 *n, one = 1;

	__sync_fetch_and_add(&total, 1);
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	n = bpf_map_lookup_elem(&counts, &key);
	if (!n && !bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST))
		return 0;
	n = n ? n : bpf_map_lookup_elem(&counts, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		__sync_fetch_and_add(&no_room, 1);
	return 0;
}

SEC("uprobe")
int wrapper(struct pt_regs *ctx)
{
	return count(bpf_get_attach_cookie(ctx));
}

SEC("uprobe")
int call(struct pt_regs *ctx)
{
	return count((__u32)ctx->rax);
}

char LICENSE[] SEC("license") = "GPL";
