// SPDX-License-Identifier: MIT
// Takes a field for a part of it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct task_struct {
	unsigned int pid : 8;
} __attribute__((preserve_access_index));
static struct task_struct *(*const current)(void) = (void *)158;
long sum;

SEC("uprobe")
int takes(void *ctx)
{
	sum += current()->pid;
	return 0;
}
