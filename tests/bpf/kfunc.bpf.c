// SPDX-License-Identifier: MIT
// A weak kernel function is asked for and not there; a strong one is refused.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
extern void may_be_there(void) __ksym __weak;
#ifdef STRONG
extern void must_be_there(void) __ksym;
#endif

SEC("uprobe")
int asks(void *ctx)
{
	if (may_be_there)
		may_be_there();
#ifdef STRONG
	must_be_there();
#endif
	return 0;
}
