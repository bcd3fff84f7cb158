// SPDX-License-Identifier: MIT
// A table of strings: its pointers would need relocating.  Refused.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
const char *names[] = { "a", "b" };

SEC("uprobe")
int reads_table(void *ctx)
{
	return names[(long)ctx & 1] != 0;
}
