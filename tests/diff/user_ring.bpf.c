/* SPDX-License-Identifier: MIT */
/* user_ring - programs that drain what user_ring.c has written; step(i) is the
 * i-th time. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum { STEPS = 64, SIZE = 4096, LARGE = 2 << 20 };

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, SIZE);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, LARGE);
} large SEC(".maps");

extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;

#define ARRAY(name, val, n)                                                    \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(max_entries, n);                                        \
		__type(key, __u32);                                            \
		__type(value, val);                                            \
	} name SEC(".maps")

struct drained {
	long drained, again, inner, flags, last_read, last_end, last_past, data;
	__u64 sum, lengths, calls, stop_after;
	__u8 bytes[16], end[8];
};
ARRAY(drains, struct drained, STEPS);
ARRAY(largest, long, STEPS);

static long nothing(struct bpf_dynptr *p, void *ctx)
{
	return 0;
}

/* (A dynptr that does not stay in a register is lost on the verifier.) */
static long take(struct bpf_dynptr *p, struct drained *d)
{
	__u32 n = bpf_dynptr_size(p);
	__u8 *data;

	d->lengths = d->lengths * 1000003 + n;
	d->last_read = bpf_dynptr_read(d->bytes, 16, p, 0, 0);
	d->last_end = bpf_dynptr_read(d->end, 4, p, n - 4, 0);
	d->last_past = bpf_dynptr_read(d->end, 1, p, n, 0);
	data = bpf_dynptr_data(p, 0, 4);
	d->data = data ? data[0] | data[3] << 8 : -1;
	if (data)
		data[1] = 0xee;
	d->sum = d->sum * 31 + *(__u32 *)d->end + d->bytes[7];
	d->inner = bpf_user_ringbuf_drain(&ring, nothing, 0, 0);
	return ++d->calls == d->stop_after;
}

SEC("uprobe/user_ring:step")
int drains_it(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS;
	/* (Counted from a number that the verifier knows, every call would be
	 * another state to it.) */
	struct drained d = { .stop_after = PT_REGS_PARM2(ctx),
			     .calls = PT_REGS_PARM3(ctx) };

	d.flags = bpf_user_ringbuf_drain(&ring, take, &d, 4 + i);
	d.drained = bpf_user_ringbuf_drain(&ring, take, &d, i % 3);
	d.stop_after = 0;
	d.again = bpf_user_ringbuf_drain(&ring, take, &d, i % 4 == 3 ? 3 : 0);
	return bpf_map_update_elem(&drains, &i, &d, BPF_ANY);
}

SEC("uprobe/user_ring:step_large")
int drains_large(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS;
	long *d = bpf_map_lookup_elem(&largest, &i);

	if (d)
		*d = bpf_user_ringbuf_drain(&large, nothing, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
