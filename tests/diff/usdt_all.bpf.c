/* SPDX-License-Identifier: MIT */
/* usdt_all - for every USDT probe of a program: hits, and all arguments added
 * up.  For real programs, whose probes are their own. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

struct seen {
	long hits, count, sum[12];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64); /* the site */
	__type(value, struct seen);
} sites SEC(".maps");

#define ADD(n) { long v; bpf_usdt_arg(ctx, n, &v); s->sum[n] += v; }

SEC("?usdt")
int all(struct pt_regs *ctx)
{
	__u64 site = bpf_get_func_ip(ctx);
	struct seen *s = bpf_map_lookup_elem(&sites, &site), none = {};

	if (!s) {
		bpf_map_update_elem(&sites, &site, &none, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&sites, &site);
	}
	if (!s)
		return 0;
	s->hits++;
	s->count = bpf_usdt_arg_cnt(ctx);
	ADD(0) ADD(1) ADD(2) ADD(3) ADD(4) ADD(5)
	ADD(6) ADD(7) ADD(8) ADD(9) ADD(10) ADD(11)
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
