/* SPDX-License-Identifier: MIT */
/* latency - time between two points of a program, as a log2 histogram, for
 * each thread apart.
 *
 *     cc -O2 -pthread -o latency latency.c
 *     bpfweld weld ./latency latency.bpf.o -o latency.weld
 *     ./latency.weld
 *     bpfweld map dump latency.weld .bss
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);   /* thread */
	__type(value, __u64); /* when its request began */
} begun SEC(".maps");

__u64 slots[32]; /* requests that took 2^i .. 2^(i+1) nanoseconds */
__u64 requests, unmatched;

static int log2_u64(__u64 v)
{
	int r = 0;

	if (v >> 32)
		return 31;
	if (v >> 16)
		v >>= 16, r += 16;
	if (v >> 8)
		v >>= 8, r += 8;
	if (v >> 4)
		v >>= 4, r += 4;
	if (v >> 2)
		v >>= 2, r += 2;
	return r + (v >> 1);
}

SEC("uprobe/latency:request_begin")
int begin(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&begun, &tid, &now, BPF_ANY);
	return 0;
}

SEC("uprobe/latency:request_end")
int end(void *ctx)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 *t = bpf_map_lookup_elem(&begun, &tid);

	if (!t) {
		__sync_fetch_and_add(&unmatched, 1);
		return 0;
	}
	__sync_fetch_and_add(&slots[log2_u64(bpf_ktime_get_ns() - *t) & 31],
			     1);
	__sync_fetch_and_add(&requests, 1);
	bpf_map_delete_elem(&begun, &tid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
