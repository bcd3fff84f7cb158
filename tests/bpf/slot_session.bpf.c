// SPDX-License-Identifier: MIT
// A program for entry and return, which a tail call cannot be at once.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

int both(void *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [3] = (void *)&both } };

SEC("uprobe.session//proc/self/exe:f")
int both(void *ctx)
{
	bpf_tail_call(ctx, &jumps, 3);
	return 0;
}
