/* SPDX-License-Identifier: MIT */
/* ops - a thousand operations in one program: what helpers cost without the
 * hit around them. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAP(map, kind)                                                         \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, 1024);                                     \
		__type(key, __u32);                                            \
		__type(value, __u64);                                          \
	} map SEC(".maps")
MAP(array_ops, ARRAY);
MAP(hash_ops, HASH);
MAP(new_ops, HASH);
MAP(lru_ops, LRU_HASH);
MAP(cpu_array_ops, PERCPU_ARRAY);
MAP(cpu_hash_ops, PERCPU_HASH);

/* How often each program has run, and something that needs all its results. */
__u64 done[16];
__u64 sink;

#define OPS(name, number, what)                                                \
	SEC("uprobe/target:row_" #name) int name(struct pt_regs *ctx)          \
	{                                                                      \
		__u64 value = PT_REGS_PARM1(ctx), sum = value, *v = &value;    \
                                                                               \
		_Pragma("clang loop unroll(disable)") for (__u32 i = 0;        \
							   i < 1000; i++) {    \
			__u32 key = i;                                         \
                                                                               \
			what;                                                  \
		}                                                              \
		done[number]++;                                                \
		sink = sum + (v != 0);                                   \
		return 0;                                                      \
	}
#define LOOKUP(map)                                                            \
	do {                                                                   \
		v = bpf_map_lookup_elem(&map, &key);                           \
		if (v)                                                         \
			sum += *v;                                             \
	} while (0)
#define UPDATE(map) sum |= bpf_map_update_elem(&map, &key, &value, BPF_ANY)

OPS(array_lookup, 0, LOOKUP(array_ops))
OPS(array_update, 1, UPDATE(array_ops))
OPS(hash_update, 2, UPDATE(hash_ops))
OPS(hash_lookup, 3, LOOKUP(hash_ops))
OPS(hash_delete, 4, { /* of keys that are not there */
	key += 5000;
	sum |= bpf_map_delete_elem(&hash_ops, &key);
})
OPS(hash_new, 5, {
	UPDATE(new_ops);
	bpf_map_delete_elem(&new_ops, &key);
})
OPS(lru_update, 6, UPDATE(lru_ops))
OPS(lru_lookup, 7, LOOKUP(lru_ops))
OPS(cpu_array, 8, LOOKUP(cpu_array_ops))
OPS(cpu_array_put, 9, UPDATE(cpu_array_ops))
OPS(cpu_hash_put, 10, UPDATE(cpu_hash_ops))
OPS(cpu_hash, 11, LOOKUP(cpu_hash_ops))

char LICENSE[] SEC("license") = "GPL";
