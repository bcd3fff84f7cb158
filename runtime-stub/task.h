/* SPDX-License-Identifier: MIT */
/* task.h - what a program's task_struct pointers are.
 *
 * They name a task and point to nothing:
 *
 *     TASK_BASE | tid << 16 | 1 << 15 if it leads its process
 *
 * an address of the kernel's half, where tasks are under the kernel, which
 * nobody in user space can map.  So a thread has one such pointer at any time
 * (programs use them as keys), and nothing has to be kept for it.  Whoever reads
 * there asks the operating system: bpf_probe_read_kernel() and the like, and
 * loads, which become TASK_LOADs where the verifier knows that it is a task
 * (rewriter/verify/program.c).
 *
 * Fields are from TASK_FIELDS on.  In the kernel no field of task_struct is so
 * far off, so an offset that was not relocated is none of ours: -EFAULT.
 */
#ifndef BPFWELD_TASK_H
#define BPFWELD_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TASK_BASE UINT64_C(0xffff888000000000)
enum {
	TASK_LEADS = 1 << 15,
	TASK_SHIFT = 16,
	TASK_TID_BITS = 22, /* PID_MAX_LIMIT */
	TASK_FIELDS = 1 << 14,
};

/* LDX's mode where the address is in a task_struct, or in that at 0; the second one
 * extends the sign.  (In the kernel, too, loads that may fault have these modes.) */
enum { TASK_LOAD = 0x20, TASK_LOADSX = 0x40, LOAD_MODE = 0xe0 };

struct task {
	uint32_t pid, tgid;
	char comm[16];
	uint64_t real_parent, group_leader;
	uint64_t start_time, start_boottime;
};

static inline bool task_is(uint64_t addr)
{
	return (addr ^ TASK_BASE) >> (TASK_SHIFT + TASK_TID_BITS) == 0;
}

#endif
