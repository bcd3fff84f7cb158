/* SPDX-License-Identifier: MIT */
/* What linked_one.bpf.c and linked_two.bpf.c, one object after bpftool gen
 * object, know of each other. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct pair {
	__u64 one, two;
};
struct counts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct pair);
};
