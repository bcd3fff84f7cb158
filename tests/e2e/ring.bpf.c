/* SPDX-License-Identifier: MIT */
/* ring - events of ring.sh's program into ring buffers, in every way. */
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
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16384);
} events SEC(".maps"), other SEC(".maps");

long refused, wrong;

SEC("uprobe/ring:event")
int events_reserve(struct pt_regs *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		__sync_fetch_and_add(&refused, 1);
		return 0;
	}
	e->thread = PT_REGS_PARM1(ctx);
	e->n = PT_REGS_PARM2(ctx);
	bpf_get_current_comm(e->text, sizeof(e->text));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* Lengths of all kinds; some are thrown away. */
SEC("uprobe/ring:odd")
int odd_output(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM2(ctx), text[8] = { n, n, n, n, n, n, n, n };
	__u64 *v;
	long err;

	err = bpf_ringbuf_output(&other, text, n & 63, 0);
	if (err && err != -11)
		__sync_fetch_and_add(&wrong, 1);
	if (bpf_ringbuf_output(&other, text, 8, 4) != -22)
		__sync_fetch_and_add(&wrong, 1);
	v = bpf_ringbuf_reserve(&other, 8, 0);
	if (v) {
		*v = n;
		if (n % 3)
			bpf_ringbuf_submit(v, BPF_RB_NO_WAKEUP);
		else
			bpf_ringbuf_discard(v, 0);
	}
	v = bpf_ringbuf_reserve(&other, 8, 1);
	if (v) {
		bpf_ringbuf_discard(v, 0);
		__sync_fetch_and_add(&wrong, 1);
	}
	if (bpf_ringbuf_query(&other, BPF_RB_RING_SIZE) != 16384 ||
	    bpf_ringbuf_query(&other, BPF_RB_PROD_POS) -
			    bpf_ringbuf_query(&other, BPF_RB_CONS_POS) !=
		    bpf_ringbuf_query(&other, BPF_RB_AVAIL_DATA))
		__sync_fetch_and_add(&wrong, 1);
	bpf_printk("odd %lu", n);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
