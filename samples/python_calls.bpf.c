/* SPDX-License-Identifier: MIT */
/* python_calls - which functions Python programs call, and how often the
 * garbage collector runs.
 *
 *     bpfweld weld /usr/bin/python3.11 python_calls.bpf.o -o python.weld
 *     ./python.weld -c 'import json; json.dumps([1, 2, 3])'
 *     bpfweld map dump python.weld calls
 *
 * Debian's python3.11 has USDT probes, whose semaphores the weld switches on:
 * function__entry(file, function, line), gc__start(generation). */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

struct name {
	char text[32];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct name);
	__type(value, __u64);
} calls SEC(".maps");

__u64 collections[3]; /* by generation */

SEC("usdt//usr/bin/python3.11:python:function__entry")
int BPF_USDT(entry, const char *file, const char *function, int line)
{
	struct name key = {};
	__u64 one = 1, *n;

	bpf_probe_read_user_str(key.text, sizeof(key.text), function);
	n = bpf_map_lookup_elem(&calls, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&calls, &key, &one, BPF_NOEXIST);
	return 0;
}

SEC("usdt//usr/bin/python3.11:python:gc__start")
int BPF_USDT(gc, int generation)
{
	if ((unsigned)generation < 3)
		__sync_fetch_and_add(&collections[generation], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
