/* SPDX-License-Identifier: MIT */
/* override - programs that return in a function's place. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern _Bool bpf_session_is_return(void) __ksym __weak;

/* The number that a function gets says what is to be done. */
enum { PASS, FAIL, FAIL_TWICE, FAIL_DEEP, FAIL_TAIL, LAST };

long first, second, returned, gave, sessions, session_value;

static __noinline int deep(struct pt_regs *ctx, long v)
{
	bpf_override_return(ctx, v);
	return bpf_override_return(ctx, v + 1);
}

SEC("?uprobe")
int tail(struct pt_regs *ctx)
{
	bpf_override_return(ctx, 0x1234);
	return 0;
}
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__array(values, int(void *));
} tails SEC(".maps") = { .values = { (void *)&tail } };

/* Runs last: the one that was attached first does. */
SEC("uprobe/override:target")
int last(struct pt_regs *ctx)
{
	__sync_fetch_and_add(&second, 1);
	if (PT_REGS_PARM1(ctx) == FAIL_TWICE)
		bpf_override_return(ctx, -2);
	return 0;
}

SEC("uprobe/override:target")
int fails(struct pt_regs *ctx)
{
	long what = PT_REGS_PARM1(ctx);

	__sync_fetch_and_add(&first, 1);
	if (what == FAIL)
		bpf_override_return(ctx, 0x123456789abcdef0);
	if (what == FAIL_TWICE)
		bpf_override_return(ctx, -1);
	if (what == FAIL_DEEP)
		deep(ctx, 7);
	if (what == FAIL_TAIL)
		bpf_tail_call(ctx, &tails, 0);
	return 0;
}

SEC("?uretprobe")
int after(struct pt_regs *ctx)
{
	__sync_fetch_and_add(&returned, 1);
	gave = PT_REGS_RC(ctx);
	return 0;
}

SEC("uprobe.session/override:both")
int both(struct pt_regs *ctx)
{
	if (bpf_session_is_return()) {
		sessions++;
		session_value = PT_REGS_RC(ctx);
		return 0;
	}
	if (PT_REGS_PARM1(ctx) == FAIL)
		bpf_override_return(ctx, 99);
	return 0;
}

/* In every thread its own: an odd number becomes its square. */
SEC("uprobe/override:busy")
int squares(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	if (n & 1)
		bpf_override_return(ctx, n * n);
	return 0;
}

/* Once, and for large ones. */
const volatile __u64 large = 1 << 20;
long failures;
SEC("?uprobe")
int no_memory(struct pt_regs *ctx)
{
	if (PT_REGS_PARM1(ctx) >= large &&
	    !__sync_fetch_and_add(&failures, 1))
		bpf_override_return(ctx, 0);
	return 0;
}

SEC("?uretprobe")
int too_late(struct pt_regs *ctx)
{
	return bpf_override_return(ctx, 0);
}

char LICENSE[] SEC("license") = "GPL";
