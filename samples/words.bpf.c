/* SPDX-License-Identifier: MIT */
/* words - arguments and strings: which words are looked up, and how often?
 *
 *     cc -O2 -pthread -o words words.c
 *     bpfweld weld ./words words.bpf.o -o words.weld
 *     ./words.weld to be or not to be
 *     bpfweld map dump words.weld seen
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct word {
	char text[16];
};
struct use {
	__u64 count;
	__u64 bytes; /* total length asked for */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct word);
	__type(value, struct use);
} seen SEC(".maps");

SEC("uprobe/words:lookup")
int lookup(struct pt_regs *ctx)
{
	struct use first = { 1, PT_REGS_PARM2(ctx) }, *u;
	struct word w = {};

	bpf_probe_read_user_str(w.text, sizeof(w.text),
				(void *)PT_REGS_PARM1(ctx));
	u = bpf_map_lookup_elem(&seen, &w);
	if (u) {
		__sync_fetch_and_add(&u->count, 1);
		__sync_fetch_and_add(&u->bytes, PT_REGS_PARM2(ctx));
	} else {
		bpf_map_update_elem(&seen, &w, &first, BPF_ANY);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
