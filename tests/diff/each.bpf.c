/* SPDX-License-Identifier: MIT */
/* each - bpf_for_each_map_elem: what the callback is given, what it may do. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAP(kind, name, n)                                                     \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, n);                                        \
		__type(key, __u32);                                            \
		__type(value, __u64);                                          \
	} name SEC(".maps")
MAP(ARRAY, array, 8);
MAP(HASH, hash, 64);
MAP(HASH, empty, 8);
MAP(HASH, fading, 64);
MAP(HASH, grown, 64);
MAP(ARRAY, copies, 64);
MAP(PERCPU_ARRAY, by_cpu, 4);
MAP(PERCPU_HASH, hash_by_cpu, 64);
MAP(LRU_HASH, lru, 4096);
MAP(HASH, two, 2);
MAP(PERCPU_HASH, two_by_cpu, 2);
MAP(LRU_HASH, lru_two, 4096);
MAP(LRU_PERCPU_HASH, lru_two_by_cpu, 4096);
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_ZERO_SEED); /* where the kernel skips none */
	__type(key, __u32);
	__type(value, __u64);
} sixteen SEC(".maps");

struct results {
	long array, hash, empty, stopped, flags, flags_hash, faded, left,
		replaced, replaced_again, nested, small, counted, by_cpu,
		hash_by_cpu, lru, two, two_by_cpu, lru_two, lru_two_by_cpu,
		sixteen;
	__u64 array_sum, hash_sum, first_keys, visits, is_map, looked_up;
};
struct results out;

struct state {
	__u64 sum;
};
__u64 left; /* here, or the verifier would count down with us */

static long sum(void *map, __u32 *key, __u64 *value, struct state *s)
{
	s->sum += *key * 1000 + *value;
	return 0;
}

static long write(void *map, __u32 *key, __u64 *value, struct state *s)
{
	*value += *key + s->sum;
	return 0;
}

static long until(void *map, __u32 *key, __u64 *value, struct state *s)
{
	s->sum += *key;
	return left-- == 0;
}

static long odd_ones_go(void *map, __u32 *key, __u64 *value, void *unused)
{
	if (*key & 1)
		bpf_map_delete_elem(&fading, key);
	return 0;
}

static long all_go(void *map, __u32 *key, __u64 *value, void *unused)
{
	return bpf_map_delete_elem(map, key) != 0;
}

/* Each is shown once, however often it is replaced. */
static long replace(void *map, __u32 *key, __u64 *value, void *unused)
{
	__u64 next = *value + 1;

	bpf_map_update_elem(&grown, key, &next, BPF_EXIST);
	out.visits++;
	return 0;
}

static long copy(void *map, __u32 *key, __u64 *value, void *unused)
{
	__u64 *found = bpf_map_lookup_elem(map, key);

	out.is_map += map == (void *)&hash;
	out.looked_up += found && *found == *value;
	bpf_map_update_elem(&copies, key, value, BPF_ANY);
	return 0;
}

static long pair(void *map, __u32 *key, __u64 *value, struct state *s)
{
	s->sum += *key;
	out.nested += bpf_for_each_map_elem(&array, sum, s, 0);
	return 0;
}

static __always_inline void put(void *map, __u32 key, __u64 value)
{
	bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

SEC("uprobe/calls:site")
int each(struct pt_regs *ctx)
{
	struct state a = {}, h = {}, w = {}, s = {}, p = {};
	__u64 n = PT_REGS_PARM1(ctx);

	put(&hash, n, n * n);
	put(&fading, n, n);
	put(&grown, n, 0);
	put(&hash_by_cpu, n, n);
	put(&lru, n, n);
	out.array += bpf_for_each_map_elem(&array, sum, &a, 0);
	out.array_sum += a.sum;
	out.hash += bpf_for_each_map_elem(&hash, sum, &h, 0);
	out.hash_sum += h.sum;
	out.empty += bpf_for_each_map_elem(&empty, sum, &h, 0);
	w.sum = n;
	bpf_for_each_map_elem(&array, write, &w, 0);
	left = n & 7;
	out.stopped += bpf_for_each_map_elem(&array, until, &s, 0);
	out.first_keys += s.sum;
	left = 3;
	out.small += bpf_for_each_map_elem(&hash, until, &s, 0);
	out.flags = bpf_for_each_map_elem(&array, sum, &a, n + 1);
	out.flags_hash = bpf_for_each_map_elem(&hash, sum, &a, 1);
	w.sum = n;
	out.by_cpu += bpf_for_each_map_elem(&by_cpu, write, &w, 0);
	out.hash_by_cpu += bpf_for_each_map_elem(&hash_by_cpu, write, &w, 0);
	out.lru += bpf_for_each_map_elem(&lru, write, &w, 0);
	bpf_for_each_map_elem(&array, pair, &p, 0);
	out.nested += p.sum;
	return 0;
}

SEC("uprobe/calls:other")
int changes(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	out.replaced += bpf_for_each_map_elem(&grown, replace, NULL, 0);
	out.replaced_again += bpf_for_each_map_elem(&grown, replace, NULL, 0);
	out.counted += bpf_for_each_map_elem(&hash, copy, NULL, 0);
	out.faded += bpf_for_each_map_elem(&fading, odd_ones_go, NULL, 0);
	if (n % 8 == 7)
		out.faded += bpf_for_each_map_elem(&fading, all_go, NULL, 0);
	out.left += bpf_for_each_map_elem(&fading, replace, NULL, 0);
	return 0;
}

/* The callback replaces another key, which may be the next one. */
static long swap(void *map, __u32 *key, __u64 *value, void *unused)
{
	__u32 other = *key ^ 1;
	__u64 next = 7;

	bpf_map_update_elem(map, &other, &next, BPF_EXIST);
	return 0;
}

#define SWAP(name, n)                                                          \
	({                                                                     \
		for (__u32 i = 0; i < (n); i++)                                \
			put(&name, i, i);                                      \
		out.name += bpf_for_each_map_elem(&name, swap, NULL, 0);       \
	})

SEC("uprobe/calls:other")
int neighbours(struct pt_regs *ctx)
{
	SWAP(two, 2);
	SWAP(two_by_cpu, 2);
	SWAP(lru_two, 2);
	SWAP(lru_two_by_cpu, 2);
	SWAP(sixteen, 8);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
