/* SPDX-License-Identifier: MIT */
/* callers - who calls a function, and with how much: a flame graph of the bytes
 * that each chain of callers asks for.
 *
 *     cc -O2 -fno-omit-frame-pointer -o callers callers.c
 *     bpfweld weld ./callers callers.bpf.o -o callers.weld
 *     ./callers.weld
 *     bpfweld map dump callers.weld chains --folded --counts bytes
 *
 * The last command's lines are what flamegraph.pl and the like take.  Chains
 * are followed by frame pointers; the function itself begins with push %rbp.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 127 * sizeof(__u64));
	__uint(max_entries, 1024);
} chains SEC(".maps");

struct who {
	int stack_id; /* in chains; or an error */
	char comm[16];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct who);
	__type(value, __u64);
} bytes SEC(".maps");

SEC("uprobe/callers:take")
int take(struct pt_regs *ctx)
{
	__u64 size = PT_REGS_PARM1(ctx), *sum;
	struct who who = { 0 };

	who.stack_id = bpf_get_stackid(ctx, &chains, BPF_F_USER_STACK);
	bpf_get_current_comm(who.comm, sizeof(who.comm));
	sum = bpf_map_lookup_elem(&bytes, &who);
	if (sum)
		__sync_fetch_and_add(sum, size);
	else
		bpf_map_update_elem(&bytes, &who, &size, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
