// SPDX-License-Identifier: MIT
// Takes a field for a smaller one.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct task_struct {
	char tgid;
} __attribute__((preserve_access_index));
static struct task_struct *(*const current)(void) = (void *)158;
long sum;

SEC("uprobe")
int takes(void *ctx)
{
	sum += current()->tgid;
	return 0;
}
