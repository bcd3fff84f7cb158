/* SPDX-License-Identifier: MIT */
/* guards - what can fail in which place; guards_put.c makes guards of the marks.
 * All of them count how far they came, `x_in` and `x_out`; f(n) passes up to
 * 99. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define AT_MOST_99(x) asm volatile("if %0 > 99 goto +0" : : "r"((__u64)(x)))
#define ITERATION(x) asm volatile("if %0 == 0x600d goto +0" : : "r"((__u64)(x)))
#define ADD(x) __sync_fetch_and_add(&out.x, 1)

struct results {
	__u64 plain_in, plain_out, deep_in, deep_mid, deep_out;
	__u64 loop_in, loop_mid, loop_out, each_in, each_mid, each_out;
	__u64 spin_in, spin_out, tail_in, tail_mid, tail_out, from_in, from_out;
	__u64 from_mid, big_in, big_out, cpu_in, cpu_out, last, back_out;
	__u64 both_in, both_out, both_back;
};
struct results out;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} by_cpu SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 10);
	__type(key, __u32);
	__type(value, __u64);
} ten SEC(".maps");

int tailed(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = { (void *)&tailed },
};

SEC("uprobe/app:f")
int plain(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	ADD(plain_in);
	AT_MOST_99(n);
	ADD(plain_out);
	return 0;
}

static __attribute__((noinline)) int second(__u64 n)
{
	AT_MOST_99(n);
	ADD(deep_mid);
	return (int)n;
}

static __attribute__((noinline)) int first(__u64 n)
{
	return second(n) + 1;
}

SEC("uprobe/app:f")
int deep(struct pt_regs *ctx)
{
	ADD(deep_in);
	out.last = (__u64)first(PT_REGS_PARM1(ctx));
	ADD(deep_out);
	return 0;
}

static long turn(__u32 i, void *ctx)
{
	ADD(loop_mid);
	AT_MOST_99(i + 97);
	return 0;
}

SEC("uprobe/app:f")
int loop(struct pt_regs *ctx)
{
	ADD(loop_in);
	bpf_loop(PT_REGS_PARM1(ctx) > 99 ? 10 : 3, turn, 0, 0);
	ADD(loop_out);
	return 0;
}

struct to {
	__u64 n;
};
static long element(void *map, __u32 *key, __u64 *value, struct to *to)
{
	ADD(each_mid);
	AT_MOST_99(to->n + *key);
	return 0;
}

SEC("uprobe/app:f")
int each(struct pt_regs *ctx)
{
	struct to to = { PT_REGS_PARM1(ctx) };

	ADD(each_in);
	bpf_for_each_map_elem(&ten, element, &to, 0);
	ADD(each_out);
	return 0;
}

/* A loop without end, but for up to 99. */
SEC("uprobe/app:f")
int spin(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	ADD(spin_in);
	do {
		ITERATION(n);
		asm volatile("" : "+r"(n));
	} while (n > 99);
	ADD(spin_out);
	return 0;
}

SEC("uprobe")
int tailed(struct pt_regs *ctx)
{
	ADD(tail_mid);
	AT_MOST_99(PT_REGS_PARM1(ctx));
	ADD(tail_out);
	return 5;
}

SEC("uprobe/app:f")
int tail(struct pt_regs *ctx)
{
	ADD(tail_in);
	bpf_tail_call(ctx, &jumps, 0);
	return 0;
}

static __attribute__((noinline)) int leaves(struct pt_regs *ctx)
{
	int got = 7;

	bpf_tail_call(ctx, &jumps, 0);
	asm volatile("" : "+r"(got));
	return got;
}

/* What a subprogram leads to fails, and its caller goes on. */
SEC("uprobe/app:f")
int from(struct pt_regs *ctx)
{
	int got;

	ADD(from_in);
	got = leaves(ctx);
	if (got == 0)
		ADD(from_mid);
	ADD(from_out);
	AT_MOST_99(got + 94);
	ADD(back_out);
	return 0;
}

/* It owns a CPU when it fails. */
SEC("uprobe/app:f")
int cpu(struct pt_regs *ctx)
{
	__u32 key = PT_REGS_PARM1(ctx) & 3;
	__u64 *n = bpf_map_lookup_elem(&by_cpu, &key);

	ADD(cpu_in);
	if (n)
		++*n;
	AT_MOST_99(PT_REGS_PARM1(ctx));
	ADD(cpu_out);
	return 0;
}

/* A failed entry has the result 0, so its return runs. */
extern _Bool bpf_session_is_return(void) __ksym;

SEC("uprobe.session/app:f")
int both(struct pt_regs *ctx)
{
	if (bpf_session_is_return()) {
		ADD(both_back);
		return 0;
	}
	ADD(both_in);
	AT_MOST_99(PT_REGS_PARM1(ctx));
	ADD(both_out);
	return 0;
}

/* Too large to stand at very many sites. */
SEC("uprobe/app:many*")
int big(struct pt_regs *ctx)
{
	char room[32] = {};

	ADD(big_in);
	bpf_get_current_comm(room, sizeof(room));
	out.last += room[1] * bpf_ktime_get_ns() + bpf_get_func_ip(ctx);
	AT_MOST_99(PT_REGS_PARM1(ctx));
	ADD(big_out);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
