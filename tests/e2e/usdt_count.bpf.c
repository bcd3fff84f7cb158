/* SPDX-License-Identifier: MIT */
/* usdt_count - hits of one USDT probe, and its arguments added up. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

long hits, sum, depth;

SEC("usdt")
int BPF_USDT(count, long n, int twice, long local)
{
	hits++;
	sum += n + twice;
	depth += local;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
