// SPDX-License-Identifier: MIT
// Everything bpf_load() puts together: maps, all kinds of data, static and
// global subprograms, .kconfig, a CO-RE struct pt_regs, dead code.
// tests/unit/bpf_load.c looks at the result.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 100);
	__type(key, int);
	__type(value, long);
} counts SEC(".maps");

enum mode { SLOW = 3, FAST = -4 };

const volatile int target = -1;
const volatile _Bool verbose = 0;
const volatile unsigned char small = 1;
const volatile char who[8] = "none";
const volatile enum mode mode = SLOW;
static volatile long first = 5, second = 6;
int third = 7;
long total;

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_NOT_THERE __kconfig __weak;

struct task_struct {
	int on_cpu;
} __attribute__((preserve_access_index));
struct pt_regs___new {
	unsigned long di, si;
	unsigned int ip;
} __attribute__((preserve_access_index));

static __attribute__((noinline)) int inner(int x)
{
	return x * 3 + total;
}

__attribute__((noinline)) int outer(int x)
{
	return inner(x) + 1;
}

SEC("uprobe/app:main")
int whole(struct pt_regs *ctx)
{
	int k = outer(PT_REGS_PARM1(ctx));
	long *v;

	if (target != -1 && target != k)
		return small + who[1] + mode;
	v = bpf_map_lookup_elem(&counts, &k);
	if (v)
		__sync_fetch_and_add(v, 1);
	if (verbose)
		bpf_get_current_cgroup_id();
	total += second + first + third;
	if (LINUX_KERNEL_VERSION < 0x50000 || CONFIG_NOT_THERE)
		bpf_override_return(ctx, 0);
	return inner(k);
}

SEC("uprobe/app:main")
int core(void *ctx)
{
	struct pt_regs___new *regs = ctx;
	struct task_struct *t = ctx;

	if (__builtin_preserve_field_info(t->on_cpu, 2 /* exists */))
		return t->on_cpu;
	return regs->si + regs->ip;
}

SEC("?uprobe/app:main")
int optional(void *ctx)
{
	return bpf_get_current_cgroup_id();
}
