/* SPDX-License-Identifier: MIT */
/* usdt - all that a program can ask of a USDT probe, by constants and not. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

struct seen {
	long hits, count, cookie, attach_cookie, err[12], arg[12];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 24);
	__type(key, __u32);
	__type(value, struct seen);
} asked SEC(".maps"), looped SEC(".maps");

static struct seen *seen_in(void *map, struct pt_regs *ctx)
{
	__u32 key = bpf_usdt_cookie(ctx);
	struct seen *s = bpf_map_lookup_elem(map, &key);

	if (!s)
		return NULL;
	s->hits++;
	s->count = bpf_usdt_arg_cnt(ctx);
	s->cookie = bpf_usdt_cookie(ctx);
	s->attach_cookie = bpf_get_attach_cookie(ctx);
	return s;
}

#define ASK(n) { long v = 1; s->err[n] = bpf_usdt_arg(ctx, n, &v); s->arg[n] = v; }

SEC("?usdt")
int ask(struct pt_regs *ctx)
{
	struct seen *s = seen_in(&asked, ctx);

	if (!s)
		return 0;
	ASK(0) ASK(1) ASK(2) ASK(3) ASK(4) ASK(5)
	ASK(6) ASK(7) ASK(8) ASK(9) ASK(10) ASK(11)
	return 0;
}

SEC("?usdt")
int loop(struct pt_regs *ctx)
{
	struct seen *s = seen_in(&looped, ctx);

	if (!s)
		return 0;
#pragma clang loop unroll(disable)
	for (__u64 n = 0; n < 12; n++) {
		long v = 1;

		s->err[n] = bpf_usdt_arg(ctx, n, &v);
		s->arg[n] = v;
	}
	return 0;
}

/* Only the last argument: what is wrong with the others does not matter. */
long last;

SEC("?usdt")
int fifth(struct pt_regs *ctx)
{
	long v;

	last = bpf_usdt_arg(ctx, 4, &v) * 1000 + v;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
