/* SPDX-License-Identifier: MIT */
/* perf - events of ring.sh's program through a perf event array. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct event {
	__u64 thread, n;
	char text[16];
};
struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

long sent, results[2];

SEC("uprobe/ring:event")
int events_output(struct pt_regs *ctx)
{
	struct event e = { PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), "text" };

	if (!bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &e,
				   sizeof(e)))
		__sync_fetch_and_add(&sent, 1);
	return 0;
}

SEC("uprobe/ring:odd")
int odd_output(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM2(ctx), text[8] = { n, n, n, n, n, n, n, n };

	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, text,
			      1 + (n & 31));
	results[0] = bpf_perf_event_output(ctx, &events, 1ULL << 32, text, 8);
	results[1] = bpf_perf_event_output(
		ctx, &events, bpf_get_smp_processor_id() ^ 1, text, 8);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
