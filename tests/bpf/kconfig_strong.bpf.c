// SPDX-License-Identifier: MIT
// A kernel setting that nobody can answer: refused, naming it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
extern int CONFIG_HZ __kconfig;

SEC("uprobe")
int asks(void *ctx)
{
	return CONFIG_HZ;
}
