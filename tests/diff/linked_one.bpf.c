/* SPDX-License-Identifier: MIT */
/* linked_one - has the map, some data, and a weak function that the other one
 * overrides. */
#include "linked.h"

struct counts both SEC(".maps");
__u64 total, from_one;
const volatile __u64 step = 3;
static __u64 mine = 5;
extern __u64 from_two;

extern __u64 double_it(__u64 x);

__attribute__((noinline)) __u64 add_one(__u64 x)
{
	mine += x;
	return x + 1;
}

__weak __attribute__((noinline)) __u64 which(__u64 x)
{
	return 1000 + x;
}

static __attribute__((noinline)) __u64 own(__u64 x)
{
	return x * 7;
}

static long turn(__u32 i, __u64 *sum)
{
	*sum += i + 1;
	return 0;
}

SEC("uprobe/calls:site")
int link_one(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx), sum = 0;
	__u32 key = n & 15;
	struct pair *p, none = {};

	bpf_map_update_elem(&both, &key, &none, BPF_NOEXIST);
	p = bpf_map_lookup_elem(&both, &key);
	if (p)
		p->one += n;
	bpf_loop(n & 7, turn, &sum, 0);
	total += double_it(n) + which(n) + own(n) + sum;
	from_one += step + from_two;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
