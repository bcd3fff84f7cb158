/* SPDX-License-Identifier: MIT */
/* linked_two - see linked_one.bpf.c */
#include "linked.h"

extern struct counts both SEC(".maps");
extern __u64 total, from_one;
extern const volatile __u64 step;
__u64 from_two = 2;
static __u64 mine = 50;

extern __u64 add_one(__u64 x);

__attribute__((noinline)) __u64 double_it(__u64 x)
{
	return 2 * add_one(x);
}

__attribute__((noinline)) __u64 which(__u64 x)
{
	return 2000 + x;
}

static __attribute__((noinline)) __u64 own(__u64 x)
{
	return x * 11;
}

static long turn(__u32 i, __u64 *sum)
{
	*sum += 3 * i;
	return 0;
}

int onward(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} leads SEC(".maps") = { .values = { [1] = (void *)&onward } };

SEC("uprobe")
int onward(struct pt_regs *ctx)
{
	mine += PT_REGS_PARM1(ctx);
	return 0;
}

SEC("uprobe/calls:site")
int link_two(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx), sum = 0;
	__u32 key = n & 7;
	struct pair *p = bpf_map_lookup_elem(&both, &key);

	if (p)
		p->two += n;
	bpf_loop(n & 3, turn, &sum, 0);
	from_two += own(n) + which(1) + step + from_one + sum;
	bpf_tail_call(ctx, &leads, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
