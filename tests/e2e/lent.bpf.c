/* SPDX-License-Identifier: MIT */
/* lent - what takes its time between begin and end, where who has begun must not
 * be taken for dead (lent.sh). */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sum SEC(".maps");

struct record {
	__u64 n;
};

static long turn(__u32 i, void *ctx)
{
	return 0;
}

/* Some 10 ms. */
static __always_inline void wait(__u64 slow)
{
	if (slow)
		bpf_loop(1 << 22, turn, NULL, 0);
}

SEC("uprobe/lent:event")
int BPF_KPROBE(event, __u64 n, __u64 slow)
{
	struct record *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r)
		return 0;
	r->n = n;
	wait(slow);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SEC("uprobe/lent:add")
int BPF_KPROBE(add, __u64 slow)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&sum, &key), was;

	if (!n)
		return 0;
	was = *n;
	wait(slow);
	*n = was + 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
