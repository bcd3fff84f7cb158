/* SPDX-License-Identifier: MIT */
/* task - what can be read of the task that runs the program: by CO-RE reads,
 * loads, and what bpf_core_field_exists() says. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#define CORE __attribute__((preserve_access_index))
struct task_struct {
	int pid, tgid;
	char comm[16];
	struct task_struct *real_parent, *group_leader;
	__u64 start_time, start_boottime;
} CORE;
struct task_struct___none {
	int no_such_field;
} CORE;
struct no_such_type {
	int field;
} CORE;
static struct task_struct *(*const current_btf)(void) = (void *)158;

enum { CASES = 8 };
#define HERE SEC("uprobe/task:here")
#define NUMBER(ctx) (PT_REGS_PARM1(ctx) & (CASES - 1))

struct seen {
	long is_pid, is_tgid, is_parent, is_parents_pid, is_leader;
	long leader_leads, parent_leads;
	char comm[16], leader_comm[16], str[24];
	long str_len, part_len;
	char part[8];
} read[CASES], loaded[CASES];

HERE int reads(struct pt_regs *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	struct seen *s = &read[NUMBER(ctx)];

	s->is_pid = BPF_CORE_READ(t, pid) == PT_REGS_PARM2(ctx);
	s->is_tgid = BPF_CORE_READ(t, tgid) == PT_REGS_PARM3(ctx);
	s->is_parent = BPF_CORE_READ(t, real_parent, tgid) == PT_REGS_PARM4(ctx);
	s->is_leader = t == BPF_CORE_READ(t, group_leader);
	s->leader_leads = BPF_CORE_READ(t, group_leader, pid) ==
			  PT_REGS_PARM3(ctx);
	s->parent_leads = BPF_CORE_READ(t, real_parent, group_leader, tgid) ==
			  PT_REGS_PARM4(ctx);
	BPF_CORE_READ_INTO(&s->comm, t, comm);
	BPF_CORE_READ_INTO(&s->leader_comm, t, group_leader, comm);
	__builtin_memset(s->str, 0xaa, sizeof(s->str));
	s->str_len = BPF_CORE_READ_STR_INTO(&s->str, t, comm);
	s->part_len = bpf_probe_read_kernel_str(s->part, 3, &t->comm[1]);
	return 0;
}

HERE int loads(struct pt_regs *ctx)
{
	struct task_struct *t = current_btf();
	struct seen *s = &loaded[NUMBER(ctx)];

	s->is_pid = t->pid == PT_REGS_PARM2(ctx);
	s->is_tgid = t->tgid == PT_REGS_PARM3(ctx);
	s->is_parent = t->real_parent->tgid == PT_REGS_PARM4(ctx);
	s->is_leader = t == t->group_leader;
	s->leader_leads = t->group_leader->pid == PT_REGS_PARM3(ctx);
	s->parent_leads = t->real_parent->group_leader->tgid ==
			  PT_REGS_PARM4(ctx);
	for (int i = 0; i < 16 && t->comm[0]; i++)
		s->comm[i] = t->comm[i];
	s->str_len = t == (void *)bpf_get_current_task();
	return 0;
}

/* Many values live over a load. */
__u64 sums[CASES];
HERE int in_between(struct pt_regs *ctx)
{
	struct task_struct *t = current_btf();
	__u64 a = PT_REGS_PARM1(ctx), b = a * 3, c = a ^ 7, d = b + c, e = d * d;
	__u64 sum = t->pid == PT_REGS_PARM2(ctx);

	sum += a + b * (t->tgid == PT_REGS_PARM3(ctx)) + c * d - e;
	sum = sum * 31 + (__u8)t->comm[2] + a * b * c * d * e;
	sums[NUMBER(ctx)] = sum;
	return 0;
}

/* A task, a value of a map and the stack itself, by pointers that were on the
 * stack. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct seen);
} kept SEC(".maps");
#define SPILL                                                                  \
	__asm__ volatile("" ::: "r0", "r1", "r2", "r3", "r4", "r5", "r6",      \
			 "r7", "r8", "r9", "memory")
HERE int spilled(struct pt_regs *ctx)
{
	struct task_struct *t = current_btf();
	struct seen zero = { .str_len = 0x1122334455667788 }, *s;
	int key = NUMBER(ctx) & 1;

	bpf_map_update_elem(&kept, &key, &zero, BPF_NOEXIST);
	s = bpf_map_lookup_elem(&kept, &key);
	if (!s)
		return 0;
	SPILL;
	s->is_pid = t->pid == PT_REGS_PARM2(ctx);
	SPILL;
	for (int i = 0; i < 16; i++)
		s->comm[i] = t->comm[i];
	SPILL;
	s->part[1] = ((char *)&s->str_len)[3] + (int)s->str_len;
	s->part_len += *(int *)&s->str_len + *(short *)&s->comm[1];
	s->is_tgid = t->tgid == PT_REGS_PARM3(ctx);
	SPILL;
	s->is_parent = t->real_parent->tgid == PT_REGS_PARM4(ctx);
	return 0;
}

/* Of init's parent, and of its parents, all is 0. */
long oldest[CASES];
HERE int ancestors(struct pt_regs *ctx)
{
	struct task_struct *t = current_btf();

#pragma unroll
	for (int i = 0; i < 60; i++)
		t = t->real_parent;
	oldest[NUMBER(ctx)] = 1 + t->pid;
	return 0;
}

/* Never before the process, and a tick at most too early. */
struct starts {
	long is_old, is_later, leader_is_older, same, boot_is_later;
} starts[CASES];
__u64 first;
HERE int start(struct pt_regs *ctx)
{
	enum { TICK = 10000000, MINUTE = 60000000000 };
	struct task_struct *t = (void *)bpf_get_current_task();
	struct starts *s = &starts[NUMBER(ctx)];
	__u64 at = BPF_CORE_READ(t, start_time), now = bpf_ktime_get_ns();
	__u64 boot = BPF_CORE_READ(t, start_boottime);

	s->is_old = at <= now && now - at < MINUTE;
	if (!first)
		first = at;
	s->is_later = at + TICK >= first;
	s->leader_is_older = BPF_CORE_READ(t, group_leader, start_time) <= at;
	s->same = at == BPF_CORE_READ(t, start_time);
	s->boot_is_later = boot + TICK >= at &&
			   boot <= bpf_ktime_get_boot_ns();
	return 0;
}

struct {
	long pid, comm, none, type, field, bytes, comm_bytes, is_signed;
} exists;
HERE int what_exists(struct pt_regs *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	struct task_struct___none *u = (void *)t;
	struct no_such_type *n = (void *)t;

	exists.pid = bpf_core_field_exists(t->pid);
	exists.comm = bpf_core_field_exists(t->comm);
	exists.none = bpf_core_field_exists(u->no_such_field);
	exists.type = bpf_core_type_exists(struct task_struct);
	exists.field = bpf_core_field_exists(n->field);
	exists.bytes = bpf_core_field_size(t->start_time);
	exists.comm_bytes = bpf_core_field_size(t->comm);
	if (bpf_core_field_exists(u->no_such_field))
		exists.none = BPF_CORE_READ(u, no_such_field);
	return 0;
}

/* What is no field. */
struct {
	long at_0, user, user_str, other;
	__u64 v[4];
} wrong = { .v = { -1, -1, -1, -1 } };
HERE int wrong_reads(struct pt_regs *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	wrong.user = bpf_probe_read_user(&wrong.v[1], 4, &t->pid);
	wrong.user_str = bpf_probe_read_user_str(&wrong.v[2], 8, t->comm);
	wrong.other = bpf_probe_read(&wrong.v[3], 4, &t->pid);
	wrong.v[3] -= PT_REGS_PARM2(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
