/* SPDX-License-Identifier: MIT */
/* entries - count every probed address, and every return of a probed function:
 * what the coverage tests weld. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct counts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} hits SEC(".maps"), returns SEC(".maps");

static __always_inline int count(void *map, void *ctx)
{
	__u64 ip = bpf_get_func_ip(ctx), none = 0, *n;

	n = bpf_map_lookup_elem(map, &ip);
	if (!n) {
		/* Somebody else may do the same: one of us adds the key. */
		bpf_map_update_elem(map, &ip, &none, BPF_NOEXIST);
		n = bpf_map_lookup_elem(map, &ip);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("uprobe")
int entry(void *ctx)
{
	return count(&hits, ctx);
}

SEC("?uretprobe")
int leave(void *ctx)
{
	return count(&returns, ctx);
}

char LICENSE[] SEC("license") = "GPL";
