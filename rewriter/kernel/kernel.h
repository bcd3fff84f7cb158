/* SPDX-License-Identifier: MIT */
/* kernel.h - objects in the running kernel, through libbpf.
 *
 * It is no stage: nothing that is written depends on it.  `diff` runs programs
 * there, `--verify=kernel` asks what its verifier makes of them, and the tests
 * hold our verdicts against its.
 */
#ifndef BPFWELD_KERNEL_H
#define BPFWELD_KERNEL_H

#include "rewriter/bpf/bpf.h"

struct bpf_object;
struct bpf_program;

enum {
	ATTACH_UPROBE_MULTI = 48,
	ATTACH_UPROBE_SESSION = 57
};

/* --- load.c */

/* Does it load programs for us?  `why` not. */
bool kernel_loads(const char **why);

/* What libbpf says from now on is heard, not printed. */
struct kernel_heard {
	char warning[300]; /* its first; the cause of those that follow */
	char reason[300];  /* the verifier's last sentence */
	char program[64];  /* that it was asked for, and refused; or "" */
	bool loaded;       /* all programs were taken; what came then failed */
};
const struct kernel_heard *kernel_listen(void);

/* The last sentence of a verifier's log; NULL: there is none. */
const char *kernel_reason(struct arena *a, const char *log);

/* The opened object, nothing of which will be pinned; NULL: kernel_listen()
 * knows why. */
struct bpf_object *kernel_open(const char *name, struct bytes bytes);
/* Make it a uprobe's program. */
void kernel_kind(struct bpf_program *bp, uint32_t attach_type, bool sleeps);
/* The attach_type that a SEC() asks for: ATTACH_, or 0. */
uint32_t kernel_attach_type(const char *section);
/* Its maps become as they are on our side: --set has changed them, or nothing
 * that will be loaded (set_autoload comes first) needs them. */
int kernel_data(const struct bpf_set *set, uint32_t object,
		struct bpf_object *obj, struct err *e);

/* --- judge.c */

struct kernel_question {
	const char *name;     /* the object's */
	struct bytes bytes;   /* the object */
	const char *prog;     /* its function's name */
	uint32_t attach_type; /* 0, or ATTACH_ */
	bool sleeps;
	bool trace;                /* a log with every instruction */
	const struct bpf_set *set; /* NULL: maps as they are in the object; */
	uint32_t object;           /* else as they are in this one of the set */
};
struct kernel_verdict {
	enum {
		KERNEL_ACCEPTS,
		KERNEL_REFUSES,
		KERNEL_UNASKED /* it did not come to the verifier */
	} kind;
	const char *why; /* NULL: accepted */
	const char *log; /* the verifier's; "": none */
	uint32_t insns;  /* that it says to have looked at; 0: not known */
};
/* Load one program of the object, alone and as a uprobe's, and let it go again.
 * The answer lives in `a`. */
void kernel_judge(struct arena *a, const struct kernel_question *q,
		  struct kernel_verdict *v);

#endif
