/* SPDX-License-Identifier: MIT */
/* bash_lines - what is typed into a shell, and which shell functions run.
 *
 *     bpfweld weld /bin/bash bash_lines.bpf.o -o bash.weld
 *     ./bash.weld -i        # type; then exit
 *     bpfweld map dump bash.weld lines
 *
 * maybe_add_history(line) gets each line that readline has returned;
 * execute_command_internal() runs once for each command, nested ones too.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct line {
	char text[64];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct line);
	__type(value, __u64);
} lines SEC(".maps");

__u64 commands;

SEC("uprobe//bin/bash:maybe_add_history")
int line(struct pt_regs *ctx)
{
	struct line l = {};
	__u64 one = 1, *n;

	bpf_probe_read_user_str(l.text, sizeof(l.text),
				(void *)PT_REGS_PARM1(ctx));
	n = bpf_map_lookup_elem(&lines, &l);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&lines, &l, &one, BPF_ANY);
	return 0;
}

SEC("uprobe//bin/bash:execute_command_internal")
int command(void *ctx)
{
	__sync_fetch_and_add(&commands, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
