/* SPDX-License-Identifier: MIT */
/* memleak - memory that was allocated and not given back, by who asked for it.
 *
 *     lib=/lib/x86_64-linux-gnu/libc.so.6
 *     mkdir -p lib && bpfweld weld $lib memleak.bpf.o -o lib/libc.so.6
 *     LD_LIBRARY_PATH=$PWD/lib jq -n '[range(1000)] | length'
 *     bpfweld map dump lib/libc.so.6 leaks
 *     bpfweld map dump lib/libc.so.6 callers
 *
 * An allocation is counted when its function has returned: then it is known
 * where it is.  What it asked for is kept by thread until then.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u64 min_size = 0, max_size = ~0ULL; /* count those between */
const volatile __u32 only_pid = 0;                   /* 0: all */
const volatile __u32 one_in = 1; /* count one allocation of so many */

enum { DEPTH = 32 };

struct pending { /* what a thread has asked for */
	__u64 size;
	__u64 where; /* posix_memalign(): its answer goes there; else 0 */
};
struct allocation {
	__u64 size;
	__s32 stack; /* the number of its call chain in `callers` */
	__u32 tid;
};
struct leak {
	__u64 bytes, count;       /* not given back */
	__u64 all_bytes, allocations; /* all there were */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* thread */
	__type(value, struct pending);
} pending SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, __u64); /* address */
	__type(value, struct allocation);
} allocations SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __s32); /* call chain */
	__type(value, struct leak);
} leaks SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1 << 14);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, DEPTH * sizeof(__u64));
} callers SEC(".maps");

__u64 asked, failed, freed, strangers, no_room;

static int asks(__u64 size, __u64 where)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = id;
	struct pending p = { size, where };

	if (only_pid && only_pid != id >> 32)
		return 0;
	if (size < min_size || size > max_size)
		return 0;
	if (__sync_fetch_and_add(&asked, 1) % one_in)
		return 0;
	bpf_map_update_elem(&pending, &tid, &p, BPF_ANY);
	return 0;
}

static void count(__s32 stack, __u64 size)
{
	struct leak none = {}, *l = bpf_map_lookup_elem(&leaks, &stack);

	if (!l) {
		bpf_map_update_elem(&leaks, &stack, &none, BPF_NOEXIST);
		l = bpf_map_lookup_elem(&leaks, &stack);
	}
	if (!l)
		return;
	__sync_fetch_and_add(&l->bytes, size);
	__sync_fetch_and_add(&l->count, 1);
	__sync_fetch_and_add(&l->all_bytes, size);
	__sync_fetch_and_add(&l->allocations, 1);
}

static int gets(void *ctx, __u64 addr)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct pending *p = bpf_map_lookup_elem(&pending, &tid);
	struct allocation a = { .tid = tid };

	if (!p)
		return 0;
	a.size = p->size;
	if (p->where &&
	    bpf_probe_read_user(&addr, sizeof(addr), (void *)p->where))
		addr = 0;
	bpf_map_delete_elem(&pending, &tid);
	if (!addr) {
		__sync_fetch_and_add(&failed, 1);
		return 0;
	}
	a.stack = bpf_get_stackid(ctx, &callers, BPF_F_USER_STACK);
	if (bpf_map_update_elem(&allocations, &addr, &a, BPF_ANY)) {
		__sync_fetch_and_add(&no_room, 1);
		return 0;
	}
	count(a.stack, a.size);
	return 0;
}

static int gives_back(__u64 addr)
{
	struct allocation *a;
	struct leak *l;

	if (!addr)
		return 0;
	a = bpf_map_lookup_elem(&allocations, &addr);
	if (!a) {
		__sync_fetch_and_add(&strangers, 1);
		return 0;
	}
	l = bpf_map_lookup_elem(&leaks, &a->stack);
	if (l) {
		__sync_fetch_and_add(&l->bytes, -a->size);
		__sync_fetch_and_add(&l->count, -1);
	}
	bpf_map_delete_elem(&allocations, &addr);
	__sync_fetch_and_add(&freed, 1);
	return 0;
}

SEC("uprobe/libc.so.6:malloc")
int BPF_KPROBE(malloc_asks, __u64 size)
{
	return asks(size, 0);
}
SEC("uretprobe/libc.so.6:malloc")
int BPF_KRETPROBE(malloc_gets, __u64 addr)
{
	return gets(ctx, addr);
}

SEC("uprobe/libc.so.6:calloc")
int BPF_KPROBE(calloc_asks, __u64 n, __u64 size)
{
	return asks(n * size, 0);
}
SEC("uretprobe/libc.so.6:calloc")
int BPF_KRETPROBE(calloc_gets, __u64 addr)
{
	return gets(ctx, addr);
}

SEC("uprobe/libc.so.6:realloc")
int BPF_KPROBE(realloc_asks, __u64 old, __u64 size)
{
	gives_back(old);
	return asks(size, 0);
}
SEC("uretprobe/libc.so.6:realloc")
int BPF_KRETPROBE(realloc_gets, __u64 addr)
{
	return gets(ctx, addr);
}

SEC("uprobe/libc.so.6:posix_memalign")
int BPF_KPROBE(posix_memalign_asks, __u64 where, __u64 align, __u64 size)
{
	return asks(size, where);
}
SEC("uretprobe/libc.so.6:posix_memalign")
int BPF_KRETPROBE(posix_memalign_gets)
{
	return gets(ctx, 0);
}

SEC("uprobe/libc.so.6:aligned_alloc")
int BPF_KPROBE(aligned_alloc_asks, __u64 align, __u64 size)
{
	return asks(size, 0);
}
SEC("uretprobe/libc.so.6:aligned_alloc")
int BPF_KRETPROBE(aligned_alloc_gets, __u64 addr)
{
	return gets(ctx, addr);
}

SEC("uprobe/libc.so.6:free")
int BPF_KPROBE(free_gives_back, __u64 addr)
{
	return gives_back(addr);
}

char LICENSE[] SEC("license") = "GPL";
