/* SPDX-License-Identifier: MIT */
/* judges.h - a program in memory, judged by the running kernel's verifier and
 * by ours, one after the other in this process; and a count of what came out.
 *
 * What the kernel refuses and we accept without guards is a fault of ours,
 * unless we know better: because of a rule or a limit of the kernel's, or of
 * bounds that it loses, which nobody but a reader can tell.
 */
#ifndef BPFWELD_TESTS_JUDGES_H
#define BPFWELD_TESTS_JUDGES_H

#include <stdio.h>

#include "rewriter/bpf/bpf.h"

struct trial {
	const struct bpf_set *set;
	const struct bpf_prog *prog; /* stays as it is */
	const int *map_fd;           /* the set's maps in the kernel */
	bool raw;                    /* for ours it must be checked and settled,
					as one that comes from a file */
};
enum verdict {
	BOTH_ACCEPT,
	BOTH_REFUSE,
	GUARDED,   /* the kernel refuses it */
	WE_REFUSE, /* the kernel accepts these */
	WE_GUARD,
	WE_ACCEPT,      /* the kernel refuses it */
	WE_KNOW_BETTER, /* so, too */
	WE_DIFFER,      /* with ourselves, when all numbers matter */
	VERDICTS
};
struct ours {
	bool accepts;
	uint32_t guards;
	uint64_t processed; /* instructions looked at */
	struct err why;
	char kernels[200]; /* what the kernel says that only we accept */
};

/* The exit is 77 if the kernel cannot be asked. */
void judges_begin(void);
void judges_need(bool good, const char *what);

void judge_ours(const struct trial *t, FILE *log, struct ours *out);
/* The answer lives until the kernel is asked again. */
bool judge_kernel(const struct trial *t);
const char *judge_kernels_log(const struct trial *t, uint32_t level);

/* Both, counted; `where` is how the program is found again.  `rules` are more
 * messages of the kernel's that are about a rule of its own. */
enum verdict judge_both(const struct trial *t, const char *const *rules,
			const char *where, struct ours *ours);
/* Is it the same when all numbers matter?  (But for what is too long.) */
void judge_exactly(const struct trial *t, const char *where,
		   const struct ours *o);
/* The program, and what both say of it, at length. */
void judges_look(const struct trial *t);

extern uint64_t judges_total[VERDICTS];
/* A line for each verdict; one for each pair of messages, where the two differ:
 * how often, where it was first, the kernel's message, ours. */
void judges_report(void);

#endif
