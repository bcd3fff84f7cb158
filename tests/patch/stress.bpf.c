/* SPDX-License-Identifier: MIT */
/* stress.bpf.c - programs for stress.sh that overwrite as much as they may, in
 * every shape of trampoline.  sum_* add up what they see of the target; each
 * sees it another way, so their sums have to agree.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");
__u64 counter, sink, sum;

static __always_inline __u64 mix(__u64 h, __u64 v)
{
	return (h ^ v) * 0x9e3779b97f4a7c15ull;
}

static __always_inline void add_up(const struct pt_regs *r)
{
	__u64 h = mix(1, r->rax);

	h = mix(h, r->rcx);
	h = mix(h, r->rdx);
	h = mix(h, r->rbx);
	h = mix(h, r->rbp);
	h = mix(h, r->rsi);
	h = mix(h, r->rdi);
	h = mix(h, r->r8);
	h = mix(h, r->r9);
	h = mix(h, r->r10);
	h = mix(h, r->r11);
	h = mix(h, r->r12);
	h = mix(h, r->r13);
	h = mix(h, r->r14);
	h = mix(h, r->r15);
	h = mix(h, r->rip);
	h = mix(h, r->rsp);
	h = mix(h, r->eflags & 0x8d5);
	sum += h;
}

SEC("uprobe//nowhere:f")
int count(void *ctx)
{
	__sync_fetch_and_add(&counter, 1);
	return 0;
}

/* No calls: all registers the compiler can lay hands on. */
SEC("uprobe//nowhere:f")
int busy(struct pt_regs *ctx)
{
	volatile __u64 *to = &sink;
	__u64 a = ctx->rdi, b = ctx->rsi, c = *to, d = *to, e = *to, f = *to;
	__u64 g = *to;

	c += a << (b & 31);
	d ^= c / (a | 1);
	e += d % (b | 3);
	f -= e >> (c & 7);
	g ^= f * 31;
	if (a > b)
		g += d;
	*to = a;
	*to = b ^ f;
	*to = c + e;
	*to = d;
	*to = g;
	return 0;
}

/* Calls, the whole stack, a hash map, memory of the target. */
SEC("uprobe//nowhere:f")
int calls(struct pt_regs *ctx)
{
	__u64 v[48], key = ctx->rip & 63, one = 1, *old;

	bpf_probe_read_user(v, sizeof(v), (void *)ctx->rsp);
	old = bpf_map_lookup_elem(&table, &key);
	if (old)
		*old += v[0] ^ v[47];
	else
		bpf_map_update_elem(&table, &key, &one, BPF_ANY);
	sink += bpf_ktime_get_ns() ^ bpf_get_prandom_u32();
	return 0;
}

SEC("uprobe//nowhere:f")
int sum_direct(struct pt_regs *ctx)
{
	add_up(ctx);
	return 0;
}

/* The same, having called before: all is in the frame. */
SEC("uprobe//nowhere:f")
int sum_called(struct pt_regs *ctx)
{
	sink += bpf_ktime_get_ns();
	add_up(ctx);
	return 0;
}

/* The same, from a copy that a helper makes. */
SEC("uprobe//nowhere:f")
int sum_copied(struct pt_regs *ctx)
{
	struct pt_regs r;

	if (bpf_probe_read_kernel(&r, sizeof(r), ctx) == 0)
		add_up(&r);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
