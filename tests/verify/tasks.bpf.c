/* SPDX-License-Identifier: MIT */
/* tasks - loads from a task, and from what is none. */
#include "rules.h"

#include <bpf/bpf_core_read.h>

#define SUB static __attribute__((noinline, used))
#define CORE __attribute__((preserve_access_index))
struct task_struct {
	int pid, tgid;
	char comm[16];
	struct task_struct *real_parent, *group_leader;
	__u64 start_time;
} CORE;
struct raw {
	__u64 first;
};
static struct task_struct *(*const current)(void) = (void *)158;

__u64 sum, out[8], last;
MAP(table, HASH, __u64, __u64, 4);

// accepted
RULE fields(struct pt_regs *ctx)
{
	struct task_struct *t = current();

	sum += t->pid + t->comm[3] + t->real_parent->tgid + t->start_time +
	       t->group_leader->real_parent->comm[15];
	return t == t->group_leader;
}

// accepted
RULE ancestors(struct pt_regs *ctx)
{
	struct task_struct *t = current();

	for (int i = 0; i < 20; i++)
		t = t->real_parent;
	sum = t->pid;
	return 0;
}

SUB long pid_of(struct task_struct *t)
{
	return t->pid;
}
// accepted
RULE given(struct pt_regs *ctx)
{
	sum += pid_of(current()->real_parent);
	return 0;
}

/* What was on the stack is what it was. */
// accepted
RULE spilled(struct pt_regs *ctx)
{
	struct task_struct *volatile t = current();
	__u64 *volatile p = out;
	struct {
		__u64 *volatile to;
	} x, *volatile q = &x;

	x.to = out;
	sum += t->pid + *p + q->to[7];
	return 0;
}

struct shared {
	struct task_struct *task;
	__u64 *value;
};
SUB int adds(__u32 i, struct shared *s)
{
	*s->value += s->task->pid;
	return 0;
}
// accepted
RULE in_callback(struct pt_regs *ctx)
{
	struct shared s;

	s.task = current();
	s.value = out;
	bpf_loop(3, adds, &s, 0);
	return 0;
}

// accepted
RULE not_null(struct pt_regs *ctx)
{
	struct task_struct *t = current(), *p = t->real_parent;

	if (t && p)
		sum += p->tgid;
	return 0;
}

// refused: R1 invalid mem access 'scalar'
RULE argument(struct pt_regs *ctx)
{
	struct task_struct *t = (void *)UNKNOWN(ctx);

	sum += t->pid;
	return 0;
}

// refused: invalid mem access 'scalar'
RULE no_pointer(struct pt_regs *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	sum += t->pid;
	return 0;
}

// refused: invalid mem access 'scalar'
RULE on_one_path(struct pt_regs *ctx)
{
	struct task_struct *volatile t = current();

	if (UNKNOWN(ctx))
		t = (void *)UNKNOWN(ctx);
	sum += t->pid;
	return 0;
}

// refused: invalid mem access 'scalar'
RULE was_kept(struct pt_regs *ctx)
{
	struct task_struct *t = (void *)last;

	if (t)
		sum += t->pid;
	last = (long)current();
	return 0;
}

// refused: invalid access to map value
RULE far_beyond(struct pt_regs *ctx)
{
	__u64 *volatile q = (void *)current();

	q = out;
	sum += q[5000];
	return 0;
}

// refused: invalid mem access 'map_value_or_null'
RULE perhaps_null(struct pt_regs *ctx)
{
	__u64 key = (long)current(), *volatile q;

	q = bpf_map_lookup_elem(&table, &key);
	sum += *q;
	return 0;
}

/* A map's value here, a task there. */
// refused: same insn cannot be used with different pointers
NAKED either(void)
{
	asm volatile("r6 = *(u64 *)(r1 + 112); call 158; r7 = %[out] ll;"
		     "if r6 == 0 goto 1f; r7 = r0; r7 += 16384; 1:"
		     "r1 = *(u32 *)(r7 + 0); r0 = 0; exit;"
		     :
		     : [out] "i"(out));
}

// refused: only read is supported
NAKED written(void)
{
	asm volatile("call 158; r1 = 1; *(u32 *)(r0 + 16384) = r1; r0 = 0; exit;");
}

// ours: refused: access beyond the fields of task_struct
NAKED past_a_field(void)
{
	asm volatile("call 158; r1 = *(u64 *)(r0 + 16388); r0 = 0; exit;");
}

// ours: refused: access beyond the fields of task_struct
RULE by_offset(struct pt_regs *ctx)
{
	sum += ((struct raw *)current())->first;
	return 0;
}

// refused: invalid variable offset
RULE variable(struct pt_regs *ctx)
{
	sum += current()->comm[UNKNOWN(ctx) & 7];
	return 0;
}

/* Of another size it is not the field. */
struct task_struct___wide {
	unsigned long pid;
} CORE;

// accepted
RULE asks_first(struct pt_regs *ctx)
{
	struct task_struct *t = current();

	if (bpf_core_field_size(t->pid) == 8)
		sum += ((struct task_struct___wide *)t)->pid;
	else
		sum += *(short *)&t->pid;
	return 0;
}
