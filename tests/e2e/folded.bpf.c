/* SPDX-License-Identifier: MIT */
/* folded - call chains and what is counted by them, as tools keep it. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16 * sizeof(__u64));
	__uint(max_entries, 1024);
} chains SEC(".maps");

#define HASH(name, key_type, value_type)                                       \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                               \
		__type(key, key_type);                                         \
		__type(value, value_type);                                     \
		__uint(max_entries, 1024);                                     \
	} name SEC(".maps")

struct who {
	__u32 pid;
	int kern_stack_id;
	int user_stack_id;
	char comm[16];
};
HASH(by_who, struct who, __u64);
HASH(by_id, int, __u32);
HASH(by_pid, __u32, __u64); /* of no use for --counts */
struct allocation {
	__u64 size, when;
	int stack_id;
};
HASH(allocations, __u64, struct allocation);
struct pair {
	__u64 one, two;
};
HASH(nothing, struct pair, __u64);

struct record {
	__u64 arg;
	int stack_id;
	__u64 ustack[8];
};
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");
struct record *unused; /* keeps the type */

static void add(void *map, void *key, __u64 n)
{
	__u64 zero = 0, *v;

	bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
	v = bpf_map_lookup_elem(map, key);
	if (v)
		*v += n;
}

SEC("uprobe")
int sample(struct pt_regs *ctx)
{
	int id = bpf_get_stackid(ctx, &chains, BPF_F_USER_STACK);
	struct allocation a = { PT_REGS_PARM1(ctx), 1, id };
	struct who who = { .kern_stack_id = -14, .user_stack_id = id };
	__u64 key = bpf_ktime_get_ns();
	__u32 one = 1, *n, pid = bpf_get_current_pid_tgid() >> 32 | 1 << 30;
	struct record *r;

	bpf_get_current_comm(who.comm, sizeof(who.comm));
	add(&by_who, &who, 1);
	add(&by_pid, &pid, 1);
	n = bpf_map_lookup_elem(&by_id, &id);
	if (n)
		++*n;
	else
		bpf_map_update_elem(&by_id, &id, &one, BPF_ANY);
	bpf_map_update_elem(&allocations, &key, &a, BPF_ANY);
	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r)
		return 0;
	r->arg = a.size;
	r->stack_id = id;
	bpf_get_stack(ctx, r->ustack, sizeof(r->ustack), BPF_F_USER_STACK);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
