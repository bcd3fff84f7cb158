/* SPDX-License-Identifier: MIT */
/* orders - what a program's USDT probes tell: how many pieces orders have, and
 * the dearest one.
 *
 *     cc -O2 -o orders orders.c             (systemtap-sdt-dev for sys/sdt.h)
 *     bpfweld list --usdt orders
 *     bpfweld weld ./orders orders.bpf.o -o orders.weld
 *     ./orders.weld
 *     bpfweld map dump orders.weld
 *
 * Arguments are asked for as libbpf's usdt.bpf.h has it; in the welded file a
 * question has become the register or the memory where the argument is. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, int); /* pieces */
	__type(value, __u64);
} pieces_of SEC(".maps");

__u64 begun;
int dearest;  /* its id */
double price; /* and what it costs */

SEC("usdt/orders:orders:begin")
int begin(void *ctx)
{
	__sync_fetch_and_add(&begun, 1);
	return 0;
}

SEC("usdt/orders:orders:done")
int BPF_USDT(done, int id, int pieces, long total)
{
	__u64 one = 1, *n = bpf_map_lookup_elem(&pieces_of, &pieces);

	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&pieces_of, &pieces, &one, BPF_NOEXIST);
	/* Bits of doubles that are not negative compare as the doubles do. */
	if (total > *(long *)&price) {
		*(long *)&price = total;
		dearest = id;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
