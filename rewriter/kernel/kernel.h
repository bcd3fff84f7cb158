/* SPDX-License-Identifier: MIT */
/* kernel.h - the running kernel, asked what it makes of a program.
 *
 * It is no stage: nothing that is written depends on it.  `--verify=kernel`
 * shows its verdicts, and the tests hold ours against them.
 */
#ifndef BPFWELD_KERNEL_H
#define BPFWELD_KERNEL_H

#include <stdbool.h>

#include "elf/arena.h"
#include "elf/bytes.h"

struct bpf_object;

struct kernel_question {
	const char *name;     /* the object's, for libbpf */
	struct bytes bytes;   /* the object */
	const char *prog;     /* its function's name */
	uint32_t attach_type; /* 0, or a session's */
	bool sleeps;
	bool trace; /* the log with every instruction */
	/* NULL, or what is done to the object before it is loaded; 0 if it
	 * could be. */
	int (*prepare)(void *arg, struct bpf_object *obj);
	void *arg;
};
struct kernel_verdict {
	enum {
		KERNEL_ACCEPTS,
		KERNEL_REFUSES,
		KERNEL_UNASKED /* it did not come to the verifier */
	} kind;
	const char *why; /* NULL: accepted */
	const char *log; /* the verifier's; "" is none */
	uint32_t insns;  /* that it says to have looked at; 0: not known */
};
/* Load one program of the object, alone and as a uprobe's, and let it go again.
 * The answer lives in `a`. */
void kernel_judge(struct arena *a, const struct kernel_question *q,
		  struct kernel_verdict *v);

#endif
