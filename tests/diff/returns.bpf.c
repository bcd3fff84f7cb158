/* SPDX-License-Identifier: MIT */
/* returns - what programs at entries and at returns see, event by event where
 * one thread runs, and added up where the order of events is chance. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>

enum {
	EVENTS = 1024
};
enum kind {
	ENTER = 1,
	LEAVE
};

struct event {
	__u64 func, ip, sp, ax, dx, cookie;
	__u32 kind, program;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EVENTS);
	__type(key, __u32);
	__type(value, struct event);
} events SEC(".maps");

struct where {
	__u64 func;
	__u32 kind, program;
};
struct total {
	__u64 count, ip, sp, ax, dx, cookie;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct where);
	__type(value, struct total);
} totals SEC(".maps");

__u64 nevents;
const volatile _Bool in_order = 1;

static __always_inline void event_add(struct pt_regs *ctx, __u64 func,
				      enum kind kind, __u32 program)
{
	__u32 at = __sync_fetch_and_add(&nevents, 1);
	struct event *e = bpf_map_lookup_elem(&events, &at);

	if (!e)
		return;
	e->func = func;
	e->ip = ctx->rip;
	e->sp = ctx->rsp;
	e->ax = ctx->rax;
	e->dx = ctx->rdx;
	e->cookie = bpf_get_attach_cookie(ctx);
	e->kind = kind;
	e->program = program;
}

static __always_inline void total_add(struct pt_regs *ctx, __u64 func,
				      enum kind kind, __u32 program)
{
	struct where key = { func, kind, program };
	struct total none = {}, *t;

	t = bpf_map_lookup_elem(&totals, &key);
	if (!t) {
		bpf_map_update_elem(&totals, &key, &none, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&totals, &key);
	}
	if (!t)
		return;
	__sync_fetch_and_add(&t->count, 1);
	__sync_fetch_and_add(&t->ip, ctx->rip);
	__sync_fetch_and_add(&t->sp, ctx->rsp);
	__sync_fetch_and_add(&t->ax, ctx->rax);
	__sync_fetch_and_add(&t->dx, ctx->rdx);
	__sync_fetch_and_add(&t->cookie, bpf_get_attach_cookie(ctx));
}

static __always_inline int note(struct pt_regs *ctx, enum kind kind,
				__u32 program)
{
	__u64 func = bpf_get_func_ip(ctx);

	if (in_order)
		event_add(ctx, func, kind, program);
	total_add(ctx, func, kind, program);
	return 0;
}

SEC("?uprobe")
int enter(struct pt_regs *ctx)
{
	return note(ctx, ENTER, 0);
}

SEC("?uretprobe")
int leave(struct pt_regs *ctx)
{
	return note(ctx, LEAVE, 0);
}

/* The same again, for several programs on one function. */
SEC("?uprobe")
int enter_too(struct pt_regs *ctx)
{
	return note(ctx, ENTER, 1);
}

SEC("?uretprobe")
int leave_too(struct pt_regs *ctx)
{
	return note(ctx, LEAVE, 1);
}

SEC("?uretprobe")
int leave_last(struct pt_regs *ctx)
{
	return note(ctx, LEAVE, 2);
}

char LICENSE[] SEC("license") = "GPL";
