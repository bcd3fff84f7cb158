/* SPDX-License-Identifier: MIT */
/* rows - one program a row of the bench. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} count SEC(".maps"), sum SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

SEC("uprobe/target:row_empty")
int empty(void *ctx)
{
	return 0;
}

SEC("uprobe/target:row_args") /* bpftime's headline program: 4 instructions */
int args(struct pt_regs *ctx)
{
	return PT_REGS_PARM2(ctx) + PT_REGS_PARM3(ctx);
}

SEC("uprobe/target:row_array")
int array(void *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&count, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("uprobe/target:row_plain") /* the same without the atomic */
int plain(void *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&sum, &key);

	if (n)
		*n += 1;
	return 0;
}

SEC("uprobe/target:row_hash")
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

SEC("uretprobe/target:row_return")
int returned(void *ctx)
{
	return 0;
}

SEC("uprobe/target:row_both")
int both_in(void *ctx)
{
	return 0;
}

SEC("uretprobe/target:row_both")
int both_out(void *ctx)
{
	return 0;
}

SEC("uretprobe/target:row_tail") /* ends in a jump */
int tail(void *ctx)
{
	return 0;
}

long seen[3];

SEC("usdt/target:bench:usdt")
int BPF_USDT(usdt, long a, long b, int c)
{
	seen[0] = a;
	seen[1] = b;
	seen[2] = c;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
