// SPDX-License-Identifier: MIT
// Needs a field of a type that only the kernel has: refused, with what helps.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct file {
	int f_flags;
} __attribute__((preserve_access_index));

SEC("uprobe")
int reads_file(struct file *f)
{
	return f->f_flags;
}
