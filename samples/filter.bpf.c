/* SPDX-License-Identifier: MIT */
/* filter - settings chosen at weld time, one program at several places told
 * apart by cookies, a probe in the middle of a function, a shared subprogram.
 *
 *     cc -O2 -pthread -o filter filter.c
 *     bpfweld weld ./filter filter.bpf.o -o filter.weld --set min_size=64 \
 *         -p note=uprobe:give,cookie=1 -p note=uprobe:take,cookie=2
 *     ./filter.weld
 *     bpfweld map dump filter.weld totals
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u32 min_size = 0; /* smaller sizes are not counted */

struct total {
	__u64 calls, bytes, largest;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct total);
} totals SEC(".maps");

static __attribute__((noinline)) int add(__u32 which, __u64 size)
{
	struct total *t = bpf_map_lookup_elem(&totals, &which);

	if (!t)
		return 1;
	__sync_fetch_and_add(&t->calls, 1);
	__sync_fetch_and_add(&t->bytes, size);
	if (size > t->largest)
		t->largest = size;
	return 0;
}

SEC("uprobe")
int note(struct pt_regs *ctx)
{
	__u64 size = PT_REGS_PARM1(ctx);

	if (size < min_size)
		return 0;
	return add(bpf_get_attach_cookie(ctx), size);
}

char LICENSE[] SEC("license") = "GPL";
