/* SPDX-License-Identifier: MIT */
/* ops - a thousand operations in one program: what helpers cost without the
 * hit around them.  And events, of which a hit makes one. */
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
		__sync_fetch_and_add(&done[number], 1);                       \
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
#define READ(from) sum |= key ^ bpf_probe_read_user(&value, 5, (void *)(from))
OPS(read_known, 12, READ(PT_REGS_IP(ctx)))
OPS(read_heap, 13, READ(PT_REGS_PARM4(ctx)))

struct event { /* 32 bytes */
	__u64 arg[4];
};
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} perf SEC(".maps");

SEC("uprobe/target:row_ring")
int ring_event(struct pt_regs *ctx)
{
	struct event e = { { PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx),
			     PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx) } };

	bpf_ringbuf_output(&ring, &e, sizeof(e), BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("uprobe/target:row_perf")
int perf_event(struct pt_regs *ctx)
{
	struct event e = { { PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx),
			     PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx) } };

	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &e, sizeof(e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
