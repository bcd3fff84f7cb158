/* SPDX-License-Identifier: MIT */
/* A hit of work() in every kind of memory at once: an array, a hash, .bss and
 * .data.  Where nothing is lost, all of them agree (common-e2e.sh: exact). */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct key { /* 12 bytes: not whole words */
	__u32 low, four, six;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct key);
	__type(value, __u64);
} seen SEC(".maps");

__u64 total, never_zero;
__u64 from_1000 = 1000;

SEC("uprobe/main:work")
int busy(struct pt_regs *ctx)
{
	struct key key = { PT_REGS_PARM1(ctx) & 7, 4, 6 };
	__u32 zero = 0;
	__u64 nothing = 0, *n;

	n = bpf_map_lookup_elem(&calls, &zero);
	if (n)
		__sync_fetch_and_add(n, 1);
	n = bpf_map_lookup_elem(&seen, &key);
	if (!n) { /* whoever comes first, it is there afterwards */
		bpf_map_update_elem(&seen, &key, &nothing, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&seen, &key);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	__sync_fetch_and_add(&total, 1);
	__sync_fetch_and_add(&from_1000, 1);
	if (bpf_ktime_get_ns())
		never_zero = bpf_get_current_pid_tgid();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
