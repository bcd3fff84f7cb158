/* SPDX-License-Identifier: MIT */
/* sleepable - programs that may sleep, in each kind of section, and what they
 * may: bpf_copy_from_user. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

#include "sleepable.h"

enum { BUFFER = 32, COPIES = 18, CALLS = 4 };
struct copy {
	long ret;
	unsigned char to[BUFFER];
};
struct copy copies[CALLS][COPIES], left[CALLS], multi[2][CALLS];
struct copy left_multi[CALLS], of_usdt[8];
long read_later[CALLS];

static __always_inline void copy(struct copy *c, __u32 size, __u64 from)
{
	__builtin_memset(c->to, 0xaa, BUFFER);
	c->ret = bpf_copy_from_user(c->to, size, (void *)from);
}

static __always_inline int places(struct pt_regs *ctx, struct places *p)
{
	return bpf_copy_from_user(p, sizeof(*p), (void *)PT_REGS_PARM1(ctx));
}

SEC("uprobe.s/sleepable:site")
int copies_of_all(struct pt_regs *ctx)
{
	struct places p;
	struct copy *c;

	if (places(ctx, &p))
		return 1;
	c = copies[p.number % CALLS];
	copy(&c[0], BUFFER, (__u64)p.word);
	copy(&c[1], BUFFER, (__u64)p.fresh);
	copy(&c[2], 8, (__u64)p.fresh_end);
	copy(&c[3], 9, (__u64)p.fresh_end);
	copy(&c[4], BUFFER, (__u64)p.of_file);
	copy(&c[5], BUFFER, (__u64)p.no_right);
	copy(&c[6], BUFFER, (__u64)p.unmapped);
	copy(&c[7], BUFFER, 0);
	copy(&c[8], BUFFER, 0xffff800000000000);
	copy(&c[9], BUFFER, 0x8000000000000000);
	copy(&c[10], 0, (__u64)p.word);
	copy(&c[11], 1, (__u64)p.word);
	copy(&c[12], 0, (__u64)p.no_right);
	copy(&c[13], 5, (__u64)p.word + 1);
	copy(&c[14], BUFFER, 0x7ffffffff000);
	copy(&c[15], BUFFER, -1ull);
	copy(&c[16], 0, 0x8000000000000000);
	copy(&c[17], 0, -1ull);
	return 0;
}

/* What was copied once can be read without sleeping. */
SEC("uprobe.s/sleepable:left")
int reads_afterwards(struct pt_regs *ctx)
{
	struct places p;
	char byte = 1;

	if (places(ctx, &p))
		return 1;
	bpf_copy_from_user(&byte, 1, p.of_file);
	read_later[p.number % CALLS] = bpf_probe_read_user(&byte, 1, p.of_file);
	return 0;
}

SEC("uretprobe.s/sleepable:left")
int copies_when_left(struct pt_regs *ctx)
{
	copy(&left[PT_REGS_RC(ctx) % CALLS], 8, PT_REGS_SP(ctx));
	return 0;
}

SEC("uprobe.multi.s/sleepable:multi_*")
int copies_of_many(struct pt_regs *ctx)
{
	struct places p;

	if (places(ctx, &p))
		return 1;
	copy(&multi[0][p.number % CALLS], BUFFER, (__u64)p.word);
	copy(&multi[1][p.number % CALLS], BUFFER, (__u64)p.fresh);
	return 0;
}

SEC("uretprobe.multi.s/sleepable:multi_*")
int copies_when_many_are_left(struct pt_regs *ctx)
{
	copy(&left_multi[PT_REGS_RC(ctx) % CALLS], 8, PT_REGS_SP(ctx));
	return 0;
}

SEC("?usdt.s")
int copies_for_usdt(struct pt_regs *ctx)
{
	long value = 0;

	bpf_usdt_arg(ctx, 0, &value);
	copy(&of_usdt[0], 8, PT_REGS_SP(ctx));
	copy(&of_usdt[1], 8, 0);
	of_usdt[2].ret = value;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
