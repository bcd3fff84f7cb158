/* SPDX-License-Identifier: MIT */
/* tails - bpf_tail_call: where it leads, how often, and what comes back. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct results {
	__u64 entered, first, second, last, missing, empty, past, limit, links;
	__u64 sub_before, sub_after, sub_result, sub_missing, returned, loops;
	__u64 ping, pong, cookie, ip, arg, depth, deep_missing, in_both, sent;
};
struct results out;

enum { SIGNAL_IGNORED = 23 /* SIGURG */ };

int first(struct pt_regs *ctx);
int second(struct pt_regs *ctx);
int last(struct pt_regs *ctx);
int link(struct pt_regs *ctx);
int ping(struct pt_regs *ctx);
int pong(struct pt_regs *ctx);
int deeper(struct pt_regs *ctx);
int in_both(struct pt_regs *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = {
		[0] = (void *)&first,
		[1] = (void *)&second,
		[2] = (void *)&last,
		[5] = (void *)&link,
		[7] = (void *)&deeper,
	},
};
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, int(void *));
} table SEC(".maps") = {
	.values = { (void *)&ping, (void *)&pong, (void *)&in_both },
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} by_cpu SEC(".maps");
struct { /* nothing in it */
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} nothing SEC(".maps");

static __always_inline void count(__u32 at)
{
	__u64 *n = bpf_map_lookup_elem(&by_cpu, &at);

	if (n)
		++*n;
}

/* --- A chain, with what each program sees. */

SEC("uprobe")
int first(struct pt_regs *ctx)
{
	out.first++;
	count(1);
	out.sent += bpf_send_signal(SIGNAL_IGNORED) + 1;
	out.arg += PT_REGS_PARM1(ctx);
	bpf_tail_call(ctx, &jumps, 1);
	out.missing++;
	return 0;
}

SEC("uretprobe")
int second(struct pt_regs *ctx)
{
	char room[64] = {};

	out.second++;
	out.cookie += bpf_get_attach_cookie(ctx);
	out.ip += bpf_get_func_ip(ctx) == PT_REGS_IP(ctx);
	bpf_get_current_comm(room, sizeof(room));
	bpf_tail_call(ctx, &jumps, 2 + (room[0] == 0));
	out.missing++;
	return 0;
}

SEC("kprobe/nobody_is_called_so")
int last(struct pt_regs *ctx)
{
	out.last += PT_REGS_PARM1(ctx) + 1;
	count(0);
	return 0;
}

SEC("uprobe/calls:site")
int entered(struct pt_regs *ctx)
{
	out.entered++;
	bpf_tail_call(ctx, &jumps, 3); /* empty */
	out.empty++;
	bpf_tail_call(ctx, &jumps, 8 + PT_REGS_PARM1(ctx));
	bpf_tail_call(ctx, &nothing, 0);
	out.past++;
	bpf_tail_call(ctx, &jumps, 0);
	out.missing++;
	return 0;
}

/* --- The limit: it is the run's, not the program's. */

SEC("uprobe")
int link(struct pt_regs *ctx)
{
	out.links++;
	bpf_tail_call(ctx, &jumps, 5);
	out.limit++;
	return 0;
}

SEC("uprobe/calls:other")
int links(struct pt_regs *ctx)
{
	bpf_tail_call(ctx, &jumps, 5);
	out.missing++;
	return 0;
}

/* --- In subprograms: its caller gets what the other program returns. */

static __attribute__((noinline)) int sub(struct pt_regs *ctx, __u32 at)
{
	out.sub_before++;
	count(2);
	bpf_tail_call(ctx, &table, at);
	out.sub_missing++;
	return 7;
}

SEC("uprobe")
int ping(struct pt_regs *ctx)
{
	out.ping++;
	count(3);
	bpf_tail_call(ctx, &table, 1);
	return 1000;
}

SEC("uprobe")
int pong(struct pt_regs *ctx)
{
	out.pong++;
	bpf_tail_call(ctx, &table, 0);
	return 100;
}

SEC("uprobe/calls:site")
int subs(struct pt_regs *ctx)
{
	__u32 n = PT_REGS_PARM1(ctx);
	int got;

	got = sub(ctx, n & 3);
	out.sub_after++;
	out.sub_result += got;
	/* What is left of 33. */
	out.returned += sub(ctx, 0);
	return 0;
}

/* --- Frames that stay: a subprogram leads to a program that calls one. */

static __attribute__((noinline)) int down(struct pt_regs *ctx)
{
	volatile char room[96];

	room[PT_REGS_PARM1(ctx) & 63] = 1;
	bpf_tail_call(ctx, &jumps, 7);
	out.deep_missing++;
	return 3 + room[PT_REGS_PARM1(ctx) & 63];
}

SEC("uprobe")
int deeper(struct pt_regs *ctx)
{
	out.depth++;
	return 2 + down(ctx);
}

SEC("uprobe/calls:other")
int depths(struct pt_regs *ctx)
{
	out.loops += down(ctx);
	return 0;
}

/* --- Bound to a site and in a map. */

SEC("uprobe/calls:other")
int in_both(struct pt_regs *ctx)
{
	out.in_both += PT_REGS_PARM1(ctx);
	return 11;
}

/* --- An element that a caller holds is not the one that is updated. */

int updates(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u64);
	__type(value, __u64);
} elements SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} to_updates SEC(".maps") = { .values = { (void *)&updates } };
struct {
	__u64 before, after, now;
} held;

SEC("uprobe")
int updates(struct pt_regs *ctx)
{
	__u64 key = 1, value = 99;

	bpf_map_update_elem(&elements, &key, &value, BPF_ANY);
	return 0;
}

static __attribute__((noinline)) int goes_on(struct pt_regs *ctx)
{
	bpf_tail_call(ctx, &to_updates, 0);
	return 5;
}

SEC("uprobe/calls:other")
int holds(struct pt_regs *ctx)
{
	__u64 key = 1, value = 7, *e;

	bpf_map_update_elem(&elements, &key, &value, BPF_ANY);
	e = bpf_map_lookup_elem(&elements, &key);
	if (!e)
		return 0;
	held.before += *(volatile __u64 *)e;
	goes_on(ctx);
	held.after += *(volatile __u64 *)e;
	e = bpf_map_lookup_elem(&elements, &key);
	if (e)
		held.now += *e;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
