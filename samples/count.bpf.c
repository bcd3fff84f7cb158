/* SPDX-License-Identifier: MIT */
/* count - how often is a function called?
 *
 *     clang -target bpf -O2 -g -D__TARGET_ARCH_x86 \
 *         -I/usr/include/x86_64-linux-gnu -c count.bpf.c
 *     cc -O2 -pthread -o count count.c
 *     bpfweld weld ./count count.bpf.o -o count.weld
 *     ./count.weld
 *     bpfweld map dump count.weld calls
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("uprobe/count:work")
int count(void *ctx)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&calls, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
