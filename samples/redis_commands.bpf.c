/* SPDX-License-Identifier: MIT */
/* redis_commands - which commands a redis server gets, and how many arguments.
 *
 *     bpfweld weld /usr/bin/redis-server redis_commands.bpf.o -o redis.weld
 *     ./redis.weld --port 7777 &
 *     redis-cli -p 7777 set a 1
 *     bpfweld map dump redis.weld commands
 *
 * lookupCommandLogic(dict *commands, robj **argv, int argc, int strict) of redis
 * 7: argv[0]->ptr is the command's name.  (lookupCommand() is inlined where
 * commands are processed.)
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct name {
	char text[16];
};
struct count {
	__u64 calls, args;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct name);
	__type(value, struct count);
} commands SEC(".maps");

enum { ROBJ_PTR = 8 }; /* robj: type, encoding, lru, refcount; then ptr */

SEC("uprobe//usr/bin/redis-server:lookupCommandLogic")
int command(struct pt_regs *ctx)
{
	struct count first = { 1, PT_REGS_PARM3(ctx) }, *c;
	const char *object = NULL, *text = NULL;
	struct name n = {};

	bpf_probe_read_user(&object, sizeof(object),
			    (void *)PT_REGS_PARM2(ctx));
	bpf_probe_read_user(&text, sizeof(text), object + ROBJ_PTR);
	bpf_probe_read_user_str(n.text, sizeof(n.text), text);
	c = bpf_map_lookup_elem(&commands, &n);
	if (c) {
		__sync_fetch_and_add(&c->calls, 1);
		__sync_fetch_and_add(&c->args, PT_REGS_PARM3(ctx));
	} else {
		bpf_map_update_elem(&commands, &n, &first, BPF_ANY);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
