/* SPDX-License-Identifier: MIT */
/* session - programs that run on entry and on return: the cookie that one
 * leaves to the other, and entries that want no return. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern __u64 *bpf_session_cookie(void) __ksym;
extern _Bool bpf_session_is_return(void) __ksym;

struct seen {
	__u64 entries, returns, unclean, product, ip, sp;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, struct seen);
} seen SEC(".maps");
__u64 left, found;

static struct seen *seen_of(struct pt_regs *ctx)
{
	__u64 func = bpf_get_func_ip(ctx);
	struct seen none = {};

	bpf_map_update_elem(&seen, &func, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&seen, &func);
}

/* Returns only where the argument is no multiple of 3. */
SEC("uprobe.session//proc/self/exe:work_*")
int carry(struct pt_regs *ctx)
{
	__u64 *cookie = bpf_session_cookie();
	struct seen *s = seen_of(ctx);

	if (!s)
		return 0;
	if (bpf_session_is_return()) {
		s->returns++;
		s->product += *cookie * PT_REGS_RC(ctx);
		s->ip = PT_REGS_IP(ctx);
		s->sp = PT_REGS_SP(ctx);
		return 0;
	}
	s->entries++;
	s->unclean += *cookie != 0;
	*cookie = PT_REGS_PARM1(ctx) + 1;
	return PT_REGS_PARM1(ctx) % 3 == 0;
}

/* A second one on the same functions has its own cookie. */
SEC("uprobe.session//proc/self/exe:work_r*")
int other(struct pt_regs *ctx)
{
	if (bpf_session_is_return())
		found += *bpf_session_cookie();
	else
		left += *bpf_session_cookie() = PT_REGS_PARM1(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
