/* SPDX-License-Identifier: MIT */
/* inner - maps of maps: what is found, and what may be done with it. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct counts {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} even SEC(".maps"), odd SEC(".maps");

struct table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, __u32);
	__type(value, __u64);
} small SEC(".maps"), large SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2); /* a hash may have another size */
	__type(key, __u32);
	__type(value, __u64);
} tiny SEC(".maps");

struct percpu {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} by_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct counts);
} arrays SEC(".maps") = {
	.values = { [0] = &even, [1] = &odd, [3] = &even },
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__uint(key_size, sizeof(__u32));
	__array(values, struct table);
} tables SEC(".maps") = {
	.values = { [0] = &small, [1] = &large, [4] = (void *)&tiny },
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, struct percpu);
} cpus SEC(".maps") = { .values = { &by_cpu } };
struct { /* only what would be in it is said; nothing ever is */
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(max_entries, 1000);
		__type(key, __u64);
		__type(value, char[4096]);
	});
} pattern SEC(".maps");

struct results {
	long found, missing, past, full, erased, seen, same, other;
	__u64 sum;
};
struct results out;

static long add(void *map, __u32 *key, __u64 *value, __u64 *sum)
{
	*sum += *key * 100 + *value;
	return 0;
}

SEC("uprobe/calls:site")
int in_arrays(struct pt_regs *ctx)
{
	__u32 n = PT_REGS_PARM1(ctx), at = n % 5, slot = n / 5 % 5, none = 0;
	void *map = bpf_map_lookup_elem(&arrays, &at);
	__u64 *value, sum = 0;

	out.other += bpf_map_lookup_elem(&pattern, &none) != NULL;
	if (!map) {
		out.missing++;
		return 0;
	}
	out.found++;
	value = bpf_map_lookup_elem(map, &slot);
	if (value)
		*value += n;
	else
		out.past++;
	out.seen += bpf_for_each_map_elem(map, add, &sum, 0);
	out.sum += sum;
	return 0;
}

SEC("uprobe/calls:other")
int in_tables(struct pt_regs *ctx)
{
	__u32 n = PT_REGS_PARM1(ctx), at = n % 6, key = n / 2;
	void *map = bpf_map_lookup_elem(&tables, &at);
	__u64 *value, v = n;

	if (!map) {
		out.missing++;
		return 0;
	}
	out.full += bpf_map_update_elem(map, &key, &v, BPF_NOEXIST);
	value = bpf_map_lookup_elem(map, &key);
	if (value)
		*value += 1000;
	if (n % 7 == 0)
		out.erased += bpf_map_delete_elem(map, &key);
	out.same += bpf_map_lookup_elem(&small, &key) == value;
	return 0;
}

SEC("uprobe/calls:other")
int in_cpus(struct pt_regs *ctx)
{
	__u32 n = PT_REGS_PARM1(ctx), at = n & 1, slot = n & 1;
	void *map = bpf_map_lookup_elem(&cpus, &at);
	__u64 *value = map ? bpf_map_lookup_elem(map, &slot) : NULL;

	if (value)
		*value += n;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
