// SPDX-License-Identifier: MIT
// Writes a field.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
static struct task_struct *(*const current)(void) = (void *)158;
long sum;

SEC("uprobe")
int takes(void *ctx)
{
	current()->pid = 1;
	return 0;
}
