/* SPDX-License-Identifier: MIT */
/* stack - call chains, taken in every way at every site of stack.c. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>

enum {
	DEPTH = 140,
	SITES = 32,
	TIMES = 4
};

struct key {
	__u32 site, way, n;
};
struct chain {
	__s64 ret;
	__u64 ip[DEPTH];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct key);
	__type(value, struct chain);
	__uint(max_entries, 4096);
} chains SEC(".maps");

struct chain blank = { 1, { [0 ... DEPTH - 1] = 0x5a5a5a5a5a5a5a5a } };
__u32 hits[SITES];

static struct chain *room(__u32 site, __u32 way, __u32 n)
{
	struct key k = { site, way, n };

	bpf_map_update_elem(&chains, &k, &blank, BPF_ANY);
	return bpf_map_lookup_elem(&chains, &k);
}

#define WAY(way, size, flags)                                                  \
	do {                                                                   \
		struct chain *c = room(site, way, n);                          \
                                                                               \
		if (c)                                                         \
			c->ret = bpf_get_stack(ctx, c->ip, size, flags);       \
	} while (0)

SEC("uprobe")
int walk(struct pt_regs *ctx)
{
	__u32 site = bpf_get_attach_cookie(ctx), n;

	if (site >= SITES)
		return 0;
	n = hits[site]++;
	if (n >= TIMES)
		return 0;
	WAY(0, DEPTH * 8, BPF_F_USER_STACK);
	WAY(1, DEPTH * 8, BPF_F_USER_STACK | 2);
	WAY(2, 24, BPF_F_USER_STACK);
	WAY(3, 24, BPF_F_USER_STACK | 1);
	WAY(4, 8, BPF_F_USER_STACK | 5);
	WAY(5, 0, BPF_F_USER_STACK);
	WAY(6, 12, BPF_F_USER_STACK);
	WAY(7, 64, BPF_F_USER_STACK | 126);
	WAY(8, 64, BPF_F_USER_STACK | 127);
	WAY(9, 64, BPF_F_USER_STACK | 128);
	WAY(10, 64, BPF_F_USER_STACK | 255);
	WAY(11, 64, BPF_F_USER_STACK | 1ull << 20);
	WAY(12, 64, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	WAY(13, 64, 0);
	WAY(14, 64, 1);
	WAY(15, 0, 0);
	return 0;
}

SEC("uprobe")
int build_ids(struct pt_regs *ctx)
{
	__u32 site = bpf_get_attach_cookie(ctx), n;

	if (site >= SITES)
		return 0;
	n = hits[site]++;
	if (n >= TIMES)
		return 0;
	WAY(0, 32 * 32, BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
	WAY(1, 96, BPF_F_USER_STACK | BPF_F_USER_BUILD_ID | 1);
	WAY(2, 40, BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
	WAY(3, 64, BPF_F_USER_BUILD_ID);
	WAY(4, 64, BPF_F_USER_STACK | BPF_F_USER_BUILD_ID | 200);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
