// SPDX-License-Identifier: MIT
// Needs a field of a kernel type: refused, naming it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct mm_struct {
	long owner;
} __attribute__((preserve_access_index));
struct task_struct {
	struct mm_struct *mm;
} __attribute__((preserve_access_index));

SEC("uprobe")
int reads_task(struct task_struct *t)
{
	return t->mm != 0;
}
