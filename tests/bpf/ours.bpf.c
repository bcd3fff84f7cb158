// SPDX-License-Identifier: MIT
// The number of a helper that only stands in for kernel functions.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("uprobe")
int knows(void *ctx)
{
	asm volatile("r1 = r10\n r1 += -8\n call 252" ::: "r0", "r1", "r2", "r3",
		     "r4", "r5");
	return 0;
}
