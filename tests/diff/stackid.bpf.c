/* SPDX-License-Identifier: MIT */
/* stackid - call chains by number, in maps of many and few places. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>

enum {
	SITES = 32,
	TIMES = 64
};

#define STACKS(name, size, entries, flags)                                     \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_STACK_TRACE);                        \
		__uint(key_size, sizeof(__u32));                               \
		__uint(value_size, size);                                      \
		__uint(max_entries, entries);                                  \
		__uint(map_flags, flags);                                      \
	} name SEC(".maps")
STACKS(deep, 127 * 8, 1024, 0);
STACKS(shallow, 3 * 8, 1000, 0);
STACKS(crowded, 20 * 8, 10, 0);
STACKS(reused, 20 * 8, 3, 0);
STACKS(reused_full, 20 * 8, 4, 0);
STACKS(fast, 20 * 8, 4, 0);
STACKS(fast_reused, 20 * 8, 5, 0);
STACKS(one, 8, 1, 0);
STACKS(files, 8 * sizeof(struct bpf_stack_build_id), 256, BPF_F_STACK_BUILD_ID);
STACKS(few_files, 8 * sizeof(struct bpf_stack_build_id), 3,
       BPF_F_STACK_BUILD_ID);

struct key {
	__u32 site, way, n;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct key);
	__type(value, __s64);
	__uint(max_entries, 16384);
} ids SEC(".maps");

__u32 hits[SITES];

#define WAY(way, map, flags)                                                   \
	do {                                                                   \
		struct key k = { site, way, n };                               \
		__s64 id = bpf_get_stackid(ctx, &map, flags);                  \
                                                                               \
		bpf_map_update_elem(&ids, &k, &id, BPF_ANY);                   \
	} while (0)

SEC("uprobe")
int number(struct pt_regs *ctx)
{
	__u32 site = bpf_get_attach_cookie(ctx), n;

	if (site >= SITES)
		return 0;
	n = hits[site]++;
	if (n >= TIMES)
		return 0;
	WAY(0, deep, BPF_F_USER_STACK);
	WAY(1, deep, BPF_F_USER_STACK | 2);
	WAY(2, deep, BPF_F_USER_STACK | 126);
	WAY(3, deep, BPF_F_USER_STACK | 127);
	WAY(4, deep, 0);
	WAY(5, deep, BPF_F_USER_STACK | 1ull << 20);
	WAY(6, deep, BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
	WAY(7, shallow, BPF_F_USER_STACK);
	WAY(8, crowded, BPF_F_USER_STACK);
	WAY(9, reused, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	WAY(10, reused_full, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	WAY(11, fast, BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP);
	WAY(12, fast_reused,
	    BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP | BPF_F_REUSE_STACKID);
	WAY(13, one, BPF_F_USER_STACK);
	WAY(14, one, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	WAY(15, files, BPF_F_USER_STACK);
	WAY(16, files, BPF_F_USER_STACK | 1);
	WAY(17, few_files, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
