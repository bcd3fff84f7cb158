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
	note(&cpu_array_ops, 6, bpf_map_update_elem(&cpu_array, &key, &v, LOCK));
	note(&cpu_array_ops, 7,
	     bpf_map_update_elem(&cpu_array, &key, &v, LOCK | NOEXIST));
	if (i == 6)
		note(&cpu_array_ops, 5,
		     bpf_map_update_elem(&cpu_array, &key, &v, EXIST));
	return 0;
}

/* --- ARRAY: keys and values from everywhere, of every size */
#define ARRAY_OF(map, size)                                                    \
	struct of_##map {                                                      \
		__u8 byte[size];                                               \
	};                                                                     \
	MAP(map, ARRAY, __u32, struct of_##map, 5, 0)
ARRAY_OF(array1, 1);
ARRAY_OF(array3, 3);
ARRAY_OF(array7, 7);
ARRAY_OF(array12, 12);
ARRAY_OF(array32, 32);
ARRAY_OF(array33, 33);
OUTCOMES(array_ops, 16);

struct source {
	__u32 key[2];
	__u8 byte[64];
};
MAP(source, ARRAY, __u32, struct source, 1, 0);

#define PUT(map, at, key, value, flags)                                        \
	note(&array_ops, at, bpf_map_update_elem(&map, key, value, flags))

SEC("uprobe/maps:step")
int arrays(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx), key = i % 7, zero = 0;
	struct source *from = bpf_map_lookup_elem(&source, &zero);
	__u64 value[5] = { i, ~i, i * 3, i * 5, i * 7 };

	if (!from)
		return 1;
	from->key[1] = (i + 1) % 6;
	__builtin_memcpy(from->byte, value, sizeof(value));
	PUT(array1, 0, &key, value, ANY);
	PUT(array3, 1, &from->key[1], value, EXIST);
	PUT(array7, 2, &key, from->byte, ANY);
	PUT(array12, 3, &from->key[1], from->byte, ANY);
	PUT(array32, 4, &key, &value[1], ANY);
	PUT(array33, 5, &key, from->byte, EXIST);
	PUT(array7, 7, &key, value, i & 1 ? NOEXIST : ANY);
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

/* --- LPM_TRIE */
struct prefix {
	__u32 bits;
	__u8 data[4];
};
MAP(lpm, LPM_TRIE, struct prefix, __u64, 20, BPF_F_NO_PREALLOC);
OUTCOMES(lpm_ops, 12);
MAP(lpm_found, ARRAY, __u32, __u64, 256, 0);

static __always_inline struct prefix prefix(__u32 bits, __u32 address)
{
	return (struct prefix){ bits, { address >> 24, address >> 16,
					address >> 8, address } };
}

SEC("uprobe/maps:step")
int on_lpm(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx), at = i & 255;
	__u64 v = i, *p, *found = bpf_map_lookup_elem(&lpm_found, &at);
	/* Few bits, so that addresses often meet. */
	__u32 address = (i * 0x9e3779b1) & 0xd2a08000, bits = i % 19;
	struct prefix get = prefix(32, (i * 0x85ebca6b) & 0xd2a08000);
	struct prefix part = prefix(i % 33, ((i + 1) * 0x9e3779b1) &
						    0xd2a08000), put;
	struct prefix zero = prefix(0, 0), wrong = prefix(33, 0);

	if (!found)
		return 1;
	put = prefix(bits, address);
	note(&lpm_ops, 0, bpf_map_update_elem(&lpm, &put, &v, i % 3));
	note(&lpm_ops, 1, bpf_map_update_elem(&lpm, &put, &v, BAD));
	note(&lpm_ops, 2, bpf_map_update_elem(&lpm, &wrong, &v, ANY));
	note(&lpm_ops, 3, bpf_map_delete_elem(&lpm, &wrong));
	p = bpf_map_lookup_elem(&lpm, &get);
	*found = p ? *p : -1;
	p = bpf_map_lookup_elem(&lpm, &part);
	*found = *found * 1000 + (p ? *p : 999);
	note(&lpm_ops, 4, bpf_map_lookup_elem(&lpm, &wrong) ? 0 : -2);
	note(&lpm_ops, 5, bpf_map_lookup_elem(&lpm, &zero) ? 0 : -2);
	if (i % 11 == 4)
		note(&lpm_ops, 6, bpf_map_delete_elem(&lpm, &put));
	if (i % 17 == 4)
		note(&lpm_ops, 7, bpf_map_delete_elem(&lpm, &get));
	return 0;
}

/* --- QUEUE, STACK */
#define QUEUE(map, kind, v, n)                                                 \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, n);                                        \
		__type(value, v);                                              \
	} map SEC(".maps");                                                    \
	OUTCOMES(map##_ops, 12);                                               \
	MAP(map##_out, ARRAY, __u32, __u64, 256, 0);                           \
	SEC("uprobe/maps:step")                                                \
	int on_##map(struct pt_regs *ctx)                                      \
	{                                                                      \
		__u32 i = PT_REGS_PARM1(ctx), at = i & 255;                    \
		v value = { i, i + 1 };                                        \
		__u64 *out = bpf_map_lookup_elem(&map##_out, &at);             \
                                                                               \
		if (!out)                                                      \
			return 1;                                              \
		note(&map##_ops, 0, bpf_map_push_elem(&map, &value, ANY));     \
		note(&map##_ops, 1,                                            \
		     bpf_map_push_elem(&map, &value, NOEXIST));                \
		note(&map##_ops, 2, bpf_map_push_elem(&map, &value, BAD));     \
		if (i % 3 == 0)                                                \
			note(&map##_ops, 3,                                    \
			     bpf_map_push_elem(&map, &value, EXIST));          \
		note(&map##_ops, 4, bpf_map_peek_elem(&map, &value));          \
		*out = value.a * 1000000 + value.b;                            \
		for (int k = 0; k < (i / 16) % 4; k++) {                       \
			note(&map##_ops, 5, bpf_map_pop_elem(&map, &value));   \
			*out = *out * 31 + value.a;                            \
		}                                                              \
		if (i % 64 == 63)                                              \
			for (int k = 0; k < 9; k++) {                          \
				note(&map##_ops, 6,                            \
				     bpf_map_pop_elem(&map, &value));          \
				*out = *out * 31 + value.b;                    \
				note(&map##_ops, 7,                            \
				     bpf_map_peek_elem(&map, &value));         \
				*out = *out * 31 + value.b;                    \
			}                                                      \
		return 0;                                                      \
	}
struct item {
	__u32 a;
	__u64 b;
};
struct bytes {
	__u8 a, b, more[3];
};
QUEUE(queue, QUEUE, struct item, 7)
QUEUE(queue_one, QUEUE, struct bytes, 1)
QUEUE(stack, STACK, struct item, 8)
QUEUE(stack_bytes, STACK, struct bytes, 5)

/* --- HASH: who has looked a value up sees that one after an update, and writes
 * to it; in whichever way the address was kept. */
MAP(kept, HASH, __u32, __u64, 8, 0);
MAP(kept_small, HASH, __u64, __u16, 8, 0);
MAP(kept_seen, ARRAY, __u32, __u64, 8, 0);

static __always_inline void seen(__u32 at, __u64 v)
{
	__u64 *n = bpf_map_lookup_elem(&kept_seen, &at);

	if (n)
		*n = *n * 31 + v;
}

SEC("uprobe/maps:step")
int kept_in_register(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx), key = i % 5;
	__u64 new = i * 10 + 7, *p = bpf_map_lookup_elem(&kept, &key), *q;

	bpf_map_update_elem(&kept, &key, &new, ANY);
	if (!p)
		return 0;
	seen(0, *p);
	*p = 99;
	q = bpf_map_lookup_elem(&kept, &key);
	seen(1, q ? *q : 5);
	return 0;
}

static __attribute__((noinline)) long put_small(__u64 key, __u16 value)
{
	return bpf_map_update_elem(&kept_small, &key, &value, ANY);
}

SEC("uprobe/maps:step")
int kept_by_caller(struct pt_regs *ctx)
{
	__u64 i = PT_REGS_PARM1(ctx), key = i % 5;
	__u16 *p = bpf_map_lookup_elem(&kept_small, &key), *q;

	put_small(key, (__u16)(i * 3 + 1));
	if (!p)
		return 0;
	seen(2, *p);
	q = bpf_map_lookup_elem(&kept_small, &key);
	seen(3, q ? *q : 5);
	return 0;
}

/* More than there are registers. */
SEC("uprobe/maps:step")
int kept_on_stack(struct pt_regs *ctx)
{
	__u32 key[6];
	__u64 *p[6], new = PT_REGS_PARM1(ctx) + 1000;

#pragma unroll
	for (__u32 k = 0; k < 6; k++) {
		key[k] = k;
		p[k] = bpf_map_lookup_elem(&kept, &key[k]);
		if (!p[k])
			return 0;
	}
	bpf_map_update_elem(&kept, &key[3], &new, EXIST);
	seen(4, *p[0] + *p[1] * 3 + *p[2] * 5 + *p[3] * 7 + *p[4] * 9 + *p[5]);
	return 0;
}

/* Nobody has one. */
SEC("uprobe/maps:step")
int kept_by_nobody(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx), key = i % 7;
	__u64 new = i, *p = bpf_map_lookup_elem(&kept, &key);

	new += p ? *p : 3;
	seen(5, bpf_map_update_elem(&kept, &key, &new, ANY));
	p = bpf_map_lookup_elem(&kept, &key);
	seen(6, p ? *p : 5);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
