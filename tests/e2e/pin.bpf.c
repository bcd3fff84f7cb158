/* SPDX-License-Identifier: MIT */
/* pin - maps that several welded programs share, one of each type that can be.
 * pin.sh also compiles it with other values, and for programs with other names.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef ENTRIES
#define ENTRIES 100
#endif
#ifndef ADD
#define ADD add
#endif
#ifndef VALUE
#define VALUE __u64
#endif

struct prefix {
	__u32 bits;
	__u8 data[4];
};
struct event {
	__u64 from, n;
};
struct event *unused __attribute__((unused));

#define MAP(name, kind, n, ...)                                                \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, n);                                        \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                           \
		__VA_ARGS__                                                    \
	} name SEC(".maps")

#ifdef OTHER /* other maps, in another order */
MAP(last, STACK, 32, __type(value, __u64););
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 300);
	__type(key, __u64);
	__type(value, __u64);
} others SEC(".maps");
#endif
MAP(shared, HASH, ENTRIES, __type(key, __u32); __type(value, VALUE););
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} mine SEC(".maps");
MAP(sums, ARRAY, 2, __type(key, __u32); __type(value, __u64););
MAP(recent, LRU_HASH, 16, __type(key, __u32); __type(value, __u64););
MAP(routes, LPM_TRIE, 16, __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct prefix); __type(value, __u64););
MAP(first, QUEUE, 32, __type(value, __u64););
#ifndef OTHER
MAP(last, STACK, 32, __type(value, __u64););
#endif
MAP(events, RINGBUF, 16384, );

__u64 answer, told;

SEC("uprobe")
int ADD(struct pt_regs *ctx)
{
	__u32 key = PT_REGS_PARM2(ctx) & 63, zero = 0;
	VALUE nothing = 0, *n = bpf_map_lookup_elem(&shared, &key);
	__u64 *all = bpf_map_lookup_elem(&sums, &zero);
	__u64 *own = bpf_map_lookup_elem(&mine, &zero);

	if (!n) {
		bpf_map_update_elem(&shared, &key, &nothing, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&shared, &key);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	if (all)
		__sync_fetch_and_add(all, 1);
	if (own)
		__sync_fetch_and_add(own, 1);
	return 0;
}

/* ask(what, n): what do the others say? */
SEC("?uprobe")
int look(struct pt_regs *ctx)
{
	__u32 key = PT_REGS_PARM2(ctx);
	VALUE *n = bpf_map_lookup_elem(&shared, &key);

	answer = n ? *n : -1;
	return 0;
}

SEC("?uprobe")
int tell(struct pt_regs *ctx)
{
	struct event e = { PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx) };
	struct prefix p = { 24, { 10, 0, e.n & 7 } };
	__u32 key = e.n & 7;

	bpf_map_update_elem(&recent, &key, &e.from, BPF_ANY);
	bpf_map_update_elem(&routes, &p, &e.n, BPF_ANY);
	bpf_map_push_elem(&first, &e.n, BPF_EXIST);
	bpf_map_push_elem(&last, &e.n, BPF_EXIST);
	bpf_ringbuf_output(&events, &e, sizeof(e), 0);
	__sync_fetch_and_add(&told, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
