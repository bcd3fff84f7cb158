/* SPDX-License-Identifier: MIT */
/* size - what is put at very many sites: nothing, a counter, a table's. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

SEC("uprobe/target:empty")
int empty(void *ctx)
{
	return 0;
}

SEC("uprobe/target:array")
int array(void *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&count, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("uprobe/target:hash")
int hash(struct pt_regs *ctx)
{
	__u64 key = PT_REGS_PARM2(ctx), one = 1, *n;

	n = bpf_map_lookup_elem(&table, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&table, &key, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
