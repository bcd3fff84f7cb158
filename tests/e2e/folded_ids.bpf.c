/* SPDX-License-Identifier: MIT */
/* folded_ids - call chains as build ids and offsets. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16 * sizeof(struct bpf_stack_build_id));
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_STACK_BUILD_ID);
} by_file SEC(".maps");

SEC("uprobe")
int by_id(struct pt_regs *ctx)
{
	bpf_get_stackid(ctx, &by_file, BPF_F_USER_STACK);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
