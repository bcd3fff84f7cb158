/* SPDX-License-Identifier: MIT */
/* objects - what an object may hold beside its programs: global and weak
 * functions, things that may not be there, all kinds of CO-RE records on struct
 * pt_regs, sections of data with names, programs that are optional. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* --- Functions. */

__attribute__((noinline)) __u64 global(__u64 a, __u64 b)
{
	return a * 31 + b;
}

__weak __attribute__((noinline)) __u64 weak(__u64 a)
{
	return global(a, 7) ^ a;
}

/* By reference, as a verifier that looks at it alone wants it. */
__attribute__((noinline)) int fill(__u64 *to)
{
	if (!to)
		return -1;
	*to += 5;
	return *to & 1;
}

static __attribute__((noinline)) __u64 five(__u64 a, __u64 b, __u64 c, __u64 d,
					    __u64 e)
{
	return a + 2 * b + 3 * c + 5 * d + 7 * e;
}

struct functions {
	__u64 global, weak, filled, five, loops;
};
struct functions functions;

SEC("uprobe/calls:site")
int calls(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx), word = n;

	functions.global += global(n, functions.weak);
	functions.weak += weak(n);
	functions.filled += fill(&word) + word;
	functions.five += five(n, n + 1, n + 2, n + 3, word);
	return 0;
}

/* --- What may be there. */

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_NO_SUCH_THING __kconfig __weak;
extern int CONFIG_NO_SUCH_NUMBER __kconfig __weak;
extern const void no_such_symbol __ksym __weak;
extern void no_such_function(void) __ksym __weak;

struct there {
	__u64 new_enough, thing, number, symbol, function;
};
struct there there;

SEC("uprobe/calls:site")
int externs(void *ctx)
{
	there.new_enough += LINUX_KERNEL_VERSION >= 0x050000;
	there.thing += CONFIG_NO_SUCH_THING;
	there.number += CONFIG_NO_SUCH_NUMBER;
	there.symbol += &no_such_symbol != NULL;
	if (no_such_function) {
		there.function++;
		no_such_function();
	}
	return 0;
}

/* --- CO-RE. */

struct pt_regs___core {
	long unsigned int r15, r14, di, si, orig_ax, ip, flags, sp, no_such_field;
} __attribute__((preserve_access_index));
struct no_such_type {
	int x;
} __attribute__((preserve_access_index));
enum no_such_enum { NO_SUCH_ENUMERATOR = 3 };

struct core {
	__u64 di, ip, sp, off_r15, off_sp, size, is_signed, left, right;
	__u64 field, no_field, type, no_type, type_size, no_size, enumerator;
	__u64 read, lacks, unlike;
};
struct core core;
struct pt_regs___part {
	unsigned long di, flags;
} __attribute__((preserve_access_index));
struct pt_regs___unlike {
	unsigned long di, flags;
	unsigned int sp;
} __attribute__((preserve_access_index));

enum { OFFSET, SIZE, EXISTS, SIGNED, LEFT, RIGHT };
#define INFO(field, kind) __builtin_preserve_field_info(field, kind)

SEC("uprobe/calls:other")
int relocated(void *ctx)
{
	struct pt_regs___core *r = ctx;
	struct no_such_type *none = ctx;

	core.di += r->di;
	core.ip ^= r->ip;
	core.sp ^= r->sp;
	core.off_r15 = INFO(r->r15, OFFSET);
	core.off_sp = INFO(r->sp, OFFSET);
	core.size = INFO(r->flags, SIZE);
	core.is_signed = INFO(r->orig_ax, SIGNED);
	core.left = INFO(r->si, LEFT);
	core.right = INFO(r->si, RIGHT);
	core.field = INFO(r->r14, EXISTS);
	core.no_field = INFO(r->no_such_field, EXISTS);
	core.type = bpf_core_type_exists(struct pt_regs___core);
	core.no_type = bpf_core_type_exists(struct no_such_type);
	core.type_size = bpf_core_type_size(struct pt_regs___core);
	core.no_size = bpf_core_type_size(struct no_such_type);
	core.enumerator = bpf_core_enum_value_exists(enum no_such_enum,
						     NO_SUCH_ENUMERATOR);
	if (INFO(r->no_such_field, EXISTS))
		core.read += r->no_such_field;
	if (INFO(none->x, EXISTS))
		core.read += none->x;
	core.read += BPF_CORE_READ(r, si) == r->si;
#if __clang_major__ >= 15
	core.lacks = bpf_core_type_matches(struct pt_regs___core);
	core.unlike = bpf_core_type_matches(struct pt_regs___unlike);
#endif
	return 0;
}

/* --- Data. */

__u64 named_data SEC(".data.named") = 11;
__u64 named_bss SEC(".bss.named");
const volatile __u64 named_frozen SEC(".rodata.named") = 13;
static __u64 hidden[3] = { 1, 2, 3 };
static const char *const texts[] = { "none" };

SEC("uprobe/calls:other")
int data(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx);

	named_data += n * named_frozen;
	named_bss ^= named_data;
	hidden[n & 1] += n;
	(void)texts;
	return 0;
}

/* --- Optional. */

__u64 wanted, unwanted;

#if __clang_major__ >= 15
/* A kernel that gcc has made calls an unsigned long something else than clang
 * does, which is no match then. */
SEC("?uprobe/calls:other")
int matching(struct pt_regs *ctx)
{
	wanted = bpf_core_type_matches(struct pt_regs___part);
	return 0;
}
#endif

SEC("?uprobe/calls:other")
int optional(struct pt_regs *ctx)
{
	wanted += PT_REGS_PARM1(ctx);
	return 0;
}

SEC("?uprobe/calls:other")
int impossible(struct pt_regs *ctx)
{
	unwanted += bpf_get_current_cgroup_id();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
