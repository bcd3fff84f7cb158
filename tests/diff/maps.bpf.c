/* SPDX-License-Identifier: MIT */
/* maps - every type of map: what its operations return, and what is in it. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAP(map, kind, k, v, n, f)                                             \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, n);                                        \
		__uint(map_flags, f);                                          \
		__type(key, k);                                                \
		__type(value, v);                                              \
	} map SEC(".maps")

enum { ANY, NOEXIST, EXIST, BAD, LOCK };

/* What happened at each step: a counter for each result, by operation. */
struct outcome {
	__u64 ok, missing, exists, full, invalid, other;
};
#define OUTCOMES(name, n) MAP(name, ARRAY, __u32, struct outcome, n, 0)

static __always_inline void note(void *map, __u32 op, long ret)
{
	struct outcome *o = bpf_map_lookup_elem(map, &op);

	if (!o)
		return;
	switch (ret) {
	case 0: o->ok++; break;
	case -2: o->missing++; break;
	case -17: o->exists++; break;
	case -7: o->full++; break;
	case -22: o->invalid++; break;
	default: o->other++;
	}
}

struct pair {
	__u64 count;
	__u32 last;
	__u32 hits[3];
};

/* --- PERCPU_ARRAY */
MAP(cpu_array, PERCPU_ARRAY, __u32, struct pair, 7, 0);
OUTCOMES(cpu_array_ops, 8);

SEC("uprobe/maps:step")
int percpu_array(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx), key = i % 9;
	struct pair *p = bpf_map_lookup_elem(&cpu_array, &key), v = {};

	note(&cpu_array_ops, 0, p ? 0 : -2);
	if (p) {
		p->count += i;
		p->hits[i & 1]++;
	}
	v.count = i;
	v.last = 3;
	if (i == 5)
		note(&cpu_array_ops, 1,
		     bpf_map_update_elem(&cpu_array, &key, &v, ANY));
	note(&cpu_array_ops, 2,
	     bpf_map_update_elem(&cpu_array, &key, &v, NOEXIST));
	note(&cpu_array_ops, 3, bpf_map_update_elem(&cpu_array, &key, &v, BAD));
	note(&cpu_array_ops, 4, bpf_map_delete_elem(&cpu_array, &key));
	if (i == 6)
		note(&cpu_array_ops, 5,
		     bpf_map_update_elem(&cpu_array, &key, &v, EXIST));
	return 0;
}

/* --- hashes: the same program for each kind, ARRAY-like results aside */
#define HASHES(map, kind, size, f)                                             \
	MAP(map, kind, __u64, struct pair, size, f);                           \
	OUTCOMES(map##_ops, 12);                                               \
	SEC("uprobe/maps:step")                                                \
	int on_##map(struct pt_regs *ctx)                                      \
	{                                                                      \
		__u64 i = PT_REGS_PARM1(ctx), key = i % 11, next = key + 1;    \
		struct pair v = { .count = i, .last = 1 }, *p;                 \
                                                                               \
		note(&map##_ops, 0,                                            \
		     bpf_map_update_elem(&map, &key, &v, NOEXIST));            \
		note(&map##_ops, 1,                                            \
		     bpf_map_update_elem(&map, &next, &v, EXIST));             \
		p = bpf_map_lookup_elem(&map, &key);                           \
		note(&map##_ops, 2, p ? 0 : -2);                               \
		if (p) {                                                       \
			p->count++;                                            \
			p->hits[i & 1]++;                                      \
		}                                                              \
		note(&map##_ops, 3, bpf_map_update_elem(&map, &key, &v, BAD)); \
		if (i % 5 == 2)                                                \
			note(&map##_ops, 4, bpf_map_delete_elem(&map, &key));  \
		if (i % 7 == 2)                                                \
			note(&map##_ops, 5, bpf_map_delete_elem(&map, &next)); \
		if (i % 13 == 3)                                               \
			note(&map##_ops, 6,                                    \
			     bpf_map_update_elem(&map, &key, &v, ANY));        \
		p = bpf_map_lookup_elem(&map, &next);                          \
		note(&map##_ops, 7, p ? 0 : -2);                               \
		return 0;                                                      \
	}
HASHES(hash, HASH, 8, 0)
HASHES(hash_malloc, HASH, 16, BPF_F_NO_PREALLOC)
HASHES(cpu_hash, PERCPU_HASH, 8, 0)
HASHES(cpu_hash_malloc, PERCPU_HASH, 16, BPF_F_NO_PREALLOC)
/* (Large enough that nothing is given up: what is, is nobody's promise.) */
HASHES(lru, LRU_HASH, 4096, 0)
HASHES(lru_cpu, LRU_PERCPU_HASH, 4096, 0)
HASHES(lru_own, LRU_HASH, 4096, BPF_F_NO_COMMON_LRU)

char LICENSE[] SEC("license") = "GPL";
