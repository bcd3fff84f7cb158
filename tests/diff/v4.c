/* SPDX-License-Identifier: MIT */
/* v4 - instructions that only -mcpu=v4 has; clang-14 cannot compile this. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __s64);
} divided SEC(".maps");

struct words {
	__s8 byte;
	__s16 half;
	__s32 word;
	__u64 swapped[3];
	__s64 sum, moved;
	__u64 stored[4];
};
struct words words = { -7, -300, -70000 };

static __always_inline void add(__u32 at, __s64 v)
{
	__s64 *to = bpf_map_lookup_elem(&divided, &at);

	if (to)
		*to += v;
}

SEC("uprobe/calls:site")
int division(struct pt_regs *ctx)
{
	__s64 n = PT_REGS_PARM1(ctx) - 20, by = PT_REGS_PARM1(ctx) % 7 - 3;

	add(0, n / by); /* by 0, too: that is 0 */
	add(1, n % by);
	add(2, (__s32)n / (__s32)by);
	add(3, (__s32)n % (__s32)by);
	return 0;
}

SEC("uprobe/calls:site")
int extension(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	words.sum += words.byte + words.half + words.word;
	words.byte += n;
	words.half -= n * 3;
	words.word ^= n;
	words.moved += (__s8)n + (__s16)(n * 1000) + (__s32)(n << 30);
	words.swapped[0] += __builtin_bswap16(n + 1);
	words.swapped[1] += __builtin_bswap32(n + 1);
	words.swapped[2] += __builtin_bswap64(n + 1);
	words.stored[n & 3] = 77;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
