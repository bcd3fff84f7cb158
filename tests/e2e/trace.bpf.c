/* SPDX-License-Identifier: MIT */
/* trace - a busy ring and what comes seldom, for trace.sh's program. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct event {
	__u64 n, fill[3];
};
struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} busy SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} rare SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

SEC("uprobe/trace:often")
int often(struct pt_regs *ctx)
{
	struct event e = { PT_REGS_PARM1(ctx) };

	bpf_ringbuf_output(&busy, &e, sizeof(e), 0);
	return 0;
}

SEC("uprobe/trace:seldom")
int seldom(struct pt_regs *ctx)
{
	struct event e = { PT_REGS_PARM1(ctx) };

	bpf_ringbuf_output(&rare, &e, sizeof(e), 0);
	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &e, sizeof(e));
	bpf_printk("seldom %lu", e.n);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
