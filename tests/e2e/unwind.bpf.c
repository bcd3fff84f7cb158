/* SPDX-License-Identifier: MIT */
/* unwind.bpf.c - one program for each shape of trampoline: without a frame,
 * with one, with helper calls and as many registers as a program can want, with
 * a pt_regs in memory, with a subprogram and with tail calls.  Where they go is said with -p.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

__u64 calls, heavy_calls, sum;
struct pt_regs last;

SEC("uprobe//nowhere:f")
int light(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

/* Reads flags and argument registers. */
SEC("uprobe//nowhere:f")
int flags(struct pt_regs *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	sum += ctx->eflags ^ ctx->rdi ^ ctx->rsi ^ ctx->rdx ^ ctx->rcx;
	return 0;
}

/* Keeps five values over calls, which is one more than there are registers. */
SEC("uprobe//nowhere:f")
int heavy(struct pt_regs *ctx)
{
	__u64 a = ctx->rdi, b = ctx->rsi, c = ctx->rdx, key = a & 15, one = 1;
	__u64 word = 0, *n;

	__sync_fetch_and_add(&calls, 1);
	n = bpf_map_lookup_elem(&table, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&table, &key, &one, BPF_ANY);
	bpf_probe_read_user(&word, sizeof(word), (void *)ctx->rsp);
	word += bpf_get_current_pid_tgid();
	sum += (a ^ b) + (c ^ word) + (a & c);
	__sync_fetch_and_add(&heavy_calls, 1);
	return 0;
}

SEC("uprobe//nowhere:f")
int whole(struct pt_regs *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	bpf_probe_read_kernel(&last, sizeof(last), ctx);
	return 0;
}

/* A function form: a frame of its own, and registers kept over calls. */
static __noinline __u64 mix(__u64 a, __u64 b, __u64 sp)
{
	__u64 word = 0, pid = bpf_get_current_pid_tgid();

	bpf_probe_read_user(&word, sizeof(word), (void *)sp);
	return (a * 3 ^ b) + word + pid + bpf_get_current_uid_gid() * a;
}

SEC("uprobe//nowhere:f")
int sub(struct pt_regs *ctx)
{
	__u64 a = ctx->rdi, b = ctx->rsi;

	__sync_fetch_and_add(&calls, 1);
	sum += mix(a, b, ctx->rsp) + mix(b, a, ctx->rsp) + a;
	return 0;
}

/* Frames that are given up for another program's; and helpers in between. */
int onward(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [1] = (void *)&onward } };

static __noinline int leave(struct pt_regs *ctx, __u64 a)
{
	a += bpf_get_current_uid_gid();
	bpf_tail_call(ctx, &jumps, a & 1);
	return a;
}

static long once(__u32 i, __u64 *to)
{
	*to += bpf_get_current_pid_tgid() + i;
	return 0;
}

SEC("uprobe")
int onward(struct pt_regs *ctx)
{
	__u64 a = ctx->rdi, b = ctx->rsi, n = a + bpf_get_current_pid_tgid();

	bpf_loop(2, once, &n, 0);
	sum += n + a * b;
	return 0;
}

SEC("uprobe//nowhere:f")
int tail(struct pt_regs *ctx)
{
	__u64 a = ctx->rdi, b = ctx->rsi, n = bpf_get_current_pid_tgid();

	__sync_fetch_and_add(&calls, 1);
	sum += leave(ctx, a) + leave(ctx, b) + n;
	bpf_tail_call(ctx, &jumps, 1);
	sum += a ^ b;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
