// SPDX-License-Identifier: MIT
// A session whose program for the return cannot be loaded, the other can.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

extern bool bpf_session_is_return(void *ctx) __ksym __weak;

SEC("?uprobe.session")
int half(void *ctx)
{
	if (bpf_session_is_return(ctx))
		return bpf_get_current_cgroup_id();
	return 0;
}

SEC("uprobe")
int whole(void *ctx)
{
	return 0;
}
