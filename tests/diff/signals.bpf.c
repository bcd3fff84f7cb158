/* SPDX-License-Identifier: MIT */
/* signals - bpf_send_signal and bpf_send_signal_thread: what they return, who
 * gets the signal, and what is said to him. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* The last ones end the process: no result of these is kept, as here they do so
 * at once (docs/limits.md). */
enum { CASES = 64, ENDS = 50 };
struct got {
	long times, sig, code, pid, main;
};
long sent[CASES], sent_thread[CASES], status[CASES];
struct got got[CASES];

SEC("uprobe/signals:ask")
int send(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);
	long ret = bpf_send_signal(PT_REGS_PARM2(ctx));

	if (at < ENDS)
		sent[at] += ret + 1000;
	return 0;
}

SEC("uprobe/signals:ask_thread")
int send_thread(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);
	long ret = bpf_send_signal_thread(PT_REGS_PARM2(ctx));

	if (at < ENDS)
		sent_thread[at] += ret + 1000;
	return 0;
}

SEC("uprobe/signals:caught")
int caught(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);

	if (at >= CASES)
		return 1;
	got[at].times++;
	got[at].sig = PT_REGS_PARM2(ctx);
	got[at].code = PT_REGS_PARM3(ctx);
	got[at].pid = PT_REGS_PARM4(ctx);
	got[at].main = PT_REGS_PARM5(ctx);
	return 0;
}

SEC("uprobe/signals:ended")
int ended(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);

	if (at < CASES)
		status[at] = PT_REGS_PARM2(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
