/* SPDX-License-Identifier: MIT */
/* signals - bpf_send_signal and bpf_send_signal_thread: what they return, who
 * gets the signal, and what is said to him. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum { CASES = 64 };
struct got {
	long times, sig, code, pid, main;
};
/* What was caught before the program's end, and that it came to its end. */
long sent[CASES], sent_thread[CASES], early[CASES], whole[CASES], status[CASES];
struct got got[CASES];

SEC("uprobe/signals:ask")
int send(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);

	if (at >= CASES)
		return 1;
	sent[at] += bpf_send_signal(PT_REGS_PARM2(ctx)) + 1000;
	early[at] += got[at].times;
	whole[at]++;
	return 0;
}

SEC("uprobe/signals:ask_thread")
int send_thread(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);

	if (at >= CASES)
		return 1;
	sent_thread[at] += bpf_send_signal_thread(PT_REGS_PARM2(ctx)) + 1000;
	early[at] += got[at].times;
	whole[at]++;
	return 0;
}

/* In a subprogram, and more of them. */
static __attribute__((noinline)) long twice(__u64 sig)
{
	return bpf_send_signal(sig) + 10 * bpf_send_signal_thread(sig);
}

SEC("uprobe/signals:ask_twice")
int send_twice(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);

	if (at >= CASES)
		return 1;
	sent[at] += twice(PT_REGS_PARM2(ctx)) + 1000;
	sent[at] += twice(PT_REGS_PARM2(ctx)) + 1000;
	early[at] += got[at].times;
	whole[at]++;
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

/* Its result decides whether there is a return, whatever it sends. */
extern bool bpf_session_is_return(void) __ksym __weak;
long left[CASES];
SEC("uprobe.session/signals:ended")
int session(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);

	if (bpf_session_is_return()) {
		left[PT_REGS_RC(ctx) % CASES]++;
		return 0;
	}
	bpf_send_signal(17 /* SIGCHLD */);
	return at & 1;
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
