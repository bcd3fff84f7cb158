/* SPDX-License-Identifier: MIT */
/* watch.h - what the verifier thought of each instruction, against what is
 * there when a program runs.
 */
#ifndef BPFWELD_PROVE_WATCH_H
#define BPFWELD_PROVE_WATCH_H

#include "judge.h"
#include "rewriter/verify/program.h"

struct watch;
struct watch *watch_new(void);
void watch_free(struct watch *w);
/* verify_program(), and all states noted. */
int watch_verify(struct watch *w, struct arena *a, const struct bpf_set *set,
		 struct bpf_prog *p, FILE *log, struct verified *out,
		 struct err *e);
/* Look at each step of a run. */
void watch_judge(struct watch *w, struct judge *j);

#endif
