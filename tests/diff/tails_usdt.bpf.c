/* SPDX-License-Identifier: MIT */
/* tails_usdt - a program that others continue in asks for the arguments of the
 * USDT probe at which they began. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

int onward(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} onwards SEC(".maps") = { .values = { [1] = (void *)&onward } };

__u64 first, second, count, cookies, results, missing;

SEC("usdt")
int onward(struct pt_regs *ctx)
{
	long v = 0;

	results += bpf_usdt_arg(ctx, 0, &v);
	first += v;
	results += bpf_usdt_arg(ctx, 1, &v);
	second += v;
	results += bpf_usdt_arg(ctx, 7, &v);
	count += bpf_usdt_arg_cnt(ctx);
	cookies += bpf_usdt_cookie(ctx);
	return 0;
}

SEC("usdt//proc/self/exe:app:hit")
int entered(struct pt_regs *ctx)
{
	long v = 0;

	bpf_usdt_arg(ctx, 0, &v);
	cookies += v;
	bpf_tail_call(ctx, &onwards, 1);
	missing++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
