/* SPDX-License-Identifier: MIT */
/* fault - reads through the pointer that fault.c's site() is called with. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

long good, bad, wrong;

static __always_inline void count(long result, const char *copy, long want)
{
	if (result == want)
		__sync_fetch_and_add(&good, 1);
	else if (result == -14 && !copy[0] && !copy[4])
		__sync_fetch_and_add(&bad, 1);
	else
		__sync_fetch_and_add(&wrong, 1);
}

static __always_inline int both(void *from)
{
	char to[8] = "xxxxxxx";

	count(bpf_probe_read_user(to, 5, from), to, 0);
	__builtin_memset(to, 'x', 8);
	count(bpf_probe_read_user_str(to, 8, from), to, 5);
	return 0;
}

SEC("uprobe/fault:site")
int reads(struct pt_regs *ctx)
{
	return both((void *)PT_REGS_PARM1(ctx));
}

SEC("uprobe/go:main.site")
int reads_go(struct pt_regs *ctx)
{
	return both((void *)ctx->rax);
}

char LICENSE[] SEC("license") = "GPL";
