/* SPDX-License-Identifier: MIT */
/* ringload - rings under load, of events and of samples to drain, by
 * mapload.c's calls: i is which process << 48 | which thread << 40 | which
 * call. */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum {
	PROCESSES = 4096
};

/* It tells by itself if it is whole. */
struct event {
	__u64 i, not_i, thrice;
};

/* What each process has written; counted when it has. */
struct sent {
	__u64 put, sum, refused, discarded, bad;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROCESSES);
	__type(key, __u32);
	__type(value, struct sent);
} sent SEC(".maps");

static __always_inline struct sent *sent_of(__u64 i)
{
	__u32 process = i >> 48;

	return bpf_map_lookup_elem(&sent, &process);
}

static __always_inline void count(struct sent *s, __u64 i)
{
	__sync_fetch_and_add(&s->put, 1);
	__sync_fetch_and_add(&s->sum, i);
}

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} ringbuf SEC(".maps");

SEC("uprobe/mapload:op_ringbuf")
int on_ringbuf(struct pt_regs *ctx)
{
	struct sent *s = sent_of(PT_REGS_PARM1(ctx));
	__u64 i = PT_REGS_PARM1(ctx);
	struct event *e;

	if (!s)
		return 1;
	e = bpf_ringbuf_reserve(&ringbuf, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&s->refused, 1);
		return 0;
	}
	e->i = i;
	e->not_i = ~i;
	e->thrice = i * 3;
	if ((i & 63) == 63) {
		e->not_i = 0;
		bpf_ringbuf_discard(e, 0);
		__sync_fetch_and_add(&s->discarded, 1);
	} else {
		bpf_ringbuf_submit(e, 0);
		count(s, i);
	}
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} perf SEC(".maps");

SEC("uprobe/mapload:op_perf")
int on_perf(struct pt_regs *ctx)
{
	__u64 i = PT_REGS_PARM1(ctx);
	struct event e = { i, ~i, i * 3 };
	struct sent *s = sent_of(i);
	long bad;

	if (!s)
		return 1;
	bad = bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &e,
				    sizeof(e));
	if (!bad)
		count(s, i);
	else if (bad == -ENOSPC)
		__sync_fetch_and_add(&s->refused, 1);
	else
		__sync_fetch_and_add(&s->bad, 1);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 1 << 16);
} user_ring SEC(".maps");

/* Samples are numbered, and there is one drainer at a time: so `next` is the
 * number of those that were seen.  One whose drainer was killed may come again.
 */
__u64 next, sum, again, wrong, drained, busy, errors;

static long take(struct bpf_dynptr *p, void *ctx)
{
	struct event e;

	/* Somebody is in here most of the time. */
	for (int k = 0; k < 300; k++)
		__asm__ volatile("" : "+r"(k));
	if (bpf_dynptr_read(&e, sizeof(e), p, 0, 0) || e.not_i != ~e.i ||
	    e.thrice != e.i * 3) {
		wrong++;
	} else if (e.i == next) {
		sum += e.i;
		next = e.i + 1;
	} else if (e.i + 1 == next) {
		again++;
	} else {
		wrong++;
	}
	return 0;
}

SEC("uprobe/mapload:op_user_ring")
int on_user_ring(struct pt_regs *ctx)
{
	long n = bpf_user_ringbuf_drain(&user_ring, take, 0, 0);

	if (n >= 0)
		__sync_fetch_and_add(&drained, n);
	else if (n == -EBUSY)
		__sync_fetch_and_add(&busy, 1);
	else
		__sync_fetch_and_add(&errors, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
