/* SPDX-License-Identifier: MIT */
/* frozen - programs that hang on what is in .rodata and .kconfig, where the code
 * has to read it: the proof of an index, formats, strings, what is read by
 * helpers; in a loop, a subprogram and a callback. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define X ((__u64)PT_REGS_PARM1(ctx))
#define ROLLED _Pragma("clang loop unroll(disable)")

const __u32 table[4] = { 3, 1, 0, 2 };
const struct {
	__u8 to[4];
	__s16 by;
	char name[10];
} row[3] = {
	{ { 0, 1, 2, 3 }, -1, "one" },
	{ { 3, 2, 1, 0 }, 300, "two" },
	{ { 1, 1, 1, 1 }, 7, "more" },
};
const __u64 nothing[4]; /* all of it is 0 */
const char named[] SEC(".rodata.named") = "a name of its own";
extern int LINUX_KERNEL_VERSION __kconfig;

/* No addresses among it. */
__u64 hits[4], sums[4], called[4];
__s64 compared, looked, zeroes, version;
char text[32], kernel[32], either[32];

SEC("uprobe/frozen:work")
int on_loop(struct pt_regs *ctx)
{
	ROLLED
	for (int i = 0; i < 4; i++)
		hits[table[i]] += 1;
	version = LINUX_KERNEL_VERSION > 0;
	return 0;
}

static __attribute__((noinline)) int add(__u64 n)
{
	ROLLED
	for (int i = 0; i < 4; i++)
		sums[row[1].to[i]] += (__u64)(row[n & 1].by + i);
	return 0;
}

SEC("uprobe/frozen:work")
int on_sub(struct pt_regs *ctx)
{
	return add(X);
}

static long on_round(__u64 i, void *unused)
{
	ROLLED
	for (int k = 0; k < 4; k++)
		called[table[k]] += i + 1;
	return 0;
}

SEC("uprobe/frozen:work")
int on_callback(struct pt_regs *ctx)
{
	bpf_loop(3, on_round, NULL, 0);
	return 0;
}

SEC("uprobe/frozen:work")
int on_text(struct pt_regs *ctx)
{
	static const char fmt[] = "%s|%pks|%d";
	__u64 args[3] = { (__u64)row[1].name, (__u64)named, X & 1 };

	bpf_snprintf(text, sizeof(text), fmt, args, sizeof(args));
	compared += bpf_strncmp(text, 3, row[1].name);
	bpf_printk("%s at %d", row[2].name, (int)X & 1);
	return 0;
}

SEC("uprobe/frozen:work")
int on_reads(struct pt_regs *ctx)
{
	__u64 n = 0;

	looked += bpf_probe_read_kernel(&n, sizeof(n), (void *)(row[1].name));
	looked += (__s64)n;
	looked += bpf_probe_read_kernel_str(kernel, sizeof(kernel), named);
	looked += bpf_probe_read_str(either, sizeof(either), row[2].name);
	looked += bpf_probe_write_user((void *)table, &n, sizeof(n));
	zeroes += (__s64)nothing[X & 3];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
