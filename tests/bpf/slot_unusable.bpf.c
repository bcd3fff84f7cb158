// SPDX-License-Identifier: MIT
// An optional program that cannot be loaded, and is in a map all the same.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

int impossible(void *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { (void *)&impossible } };

SEC("?uprobe")
int impossible(void *ctx)
{
	return bpf_get_current_cgroup_id();
}

SEC("uprobe")
int leaves(void *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return 0;
}
