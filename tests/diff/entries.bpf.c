/* SPDX-License-Identifier: MIT */
/* entries - count every probed address: what the coverage tests weld. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, __u64);
} hits SEC(".maps");

SEC("uprobe")
int entry(void *ctx)
{
	__u64 ip = bpf_get_func_ip(ctx), none = 0, *n;

	n = bpf_map_lookup_elem(&hits, &ip);
	if (!n) {
		/* Somebody else may do the same: one of us adds the key. */
		bpf_map_update_elem(&hits, &ip, &none, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&hits, &ip);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
