/* SPDX-License-Identifier: MIT */
/* progs.bpf.c - programs for golden.sh: as little as shows a shape.  Their
 * sections name another binary; golden.sh says with -p where they go.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>

__u64 seen, counter;
struct pt_regs last;

SEC("uprobe//nowhere:f")
int empty(void *ctx)
{
	return 0;
}

SEC("uprobe//nowhere:f")
int count(void *ctx)
{
	__sync_fetch_and_add(&counter, 1);
	return 0;
}

/* Reads one register of the target. */
SEC("uprobe//nowhere:f")
int look(struct pt_regs *ctx)
{
	seen = ctx->rdi;
	return 0;
}

/* Uses its stack. */
SEC("uprobe//nowhere:f")
int stack(struct pt_regs *ctx)
{
	volatile __u64 v[2] = { 1, 2 };

	seen = v[0];
	return 0;
}

/* Wants a whole pt_regs in memory, and calls. */
SEC("uprobe//nowhere:f")
int copy(struct pt_regs *ctx)
{
	bpf_probe_read_kernel(&last, sizeof(last), ctx);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
