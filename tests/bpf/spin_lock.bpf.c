// SPDX-License-Identifier: MIT
// A map whose values have a lock, which the kernel has for other programs only.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct guarded {
	struct bpf_spin_lock lock;
	long n;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct guarded);
} guarded SEC(".maps");

SEC("uprobe")
int locks(void *ctx)
{
	int zero = 0;
	struct guarded *g = bpf_map_lookup_elem(&guarded, &zero);

	if (g)
		g->n++;
	return 0;
}
