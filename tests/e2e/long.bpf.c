/* SPDX-License-Identifier: MIT */
/* long - runs that would take hours: each of them ends when it has taken
 * seconds.  `in` counts how often they began, `out` how often they came to
 * their end. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MOST (8 << 20) /* BPF_MAX_LOOPS */

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

struct results {
	__u64 loops_in, loops_turns, loops_out;
	__u64 iters_in, iters_turns, iters_out;
	__u64 open_in, open_turns, open_out;
	__u64 empty_in, empty_turns, empty_out;
	__u64 after;
};
struct results out;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, __u32);
	__type(value, __u32);
} empty_map SEC(".maps");

static long turn(__u32 i, void *ctx)
{
	out.loops_turns++;
	return 0;
}

static long turns(__u32 i, __u64 *n)
{
	bpf_loop(*n, turn, 0, 0);
	return 0;
}

/* As often as it is told, squared. */
SEC("uprobe/app:f")
int loops(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	out.loops_in++;
	bpf_loop(n, turns, &n, 0);
	out.loops_out++;
	return 0;
}

SEC("uprobe/app:f")
int iters(struct pt_regs *ctx)
{
	int n = (int)PT_REGS_PARM1(ctx);
	struct bpf_iter_num it, in;

	out.iters_in++;
	bpf_iter_num_new(&it, 0, n);
	while (bpf_iter_num_next(&it)) {
		bpf_iter_num_new(&in, 0, n);
		while (bpf_iter_num_next(&in))
			out.iters_turns++;
		bpf_iter_num_destroy(&in);
	}
	bpf_iter_num_destroy(&it);
	out.iters_out++;
	return 0;
}

static long open_turn(__u32 i, void *ctx)
{
	out.open_turns++;
	return 0;
}

/* A loop whose end nobody knows. */
SEC("uprobe/app:f")
int open(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	out.open_in++;
	for (__u64 i = 0; i != n; i++) {
		asm volatile("" : "+r"(i) : : "memory");
		bpf_loop(n, open_turn, 0, 0);
	}
	out.open_out++;
	return 0;
}

static long element(void *map, __u32 *key, __u32 *value, void *ctx)
{
	out.empty_turns++;
	return 0;
}

static long goes_through(__u32 i, void *ctx)
{
	bpf_for_each_map_elem(&empty_map, element, 0, 0);
	return 0;
}

/* Nobody is called, and the map is gone through all the same. */
SEC("uprobe/app:f")
int empty(struct pt_regs *ctx)
{
	out.empty_in++;
	bpf_loop(PT_REGS_PARM1(ctx), goes_through, 0, 0);
	out.empty_out++;
	return 0;
}

/* What runs behind them at the site. */
SEC("uprobe/app:f")
int after(struct pt_regs *ctx)
{
	out.after++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
