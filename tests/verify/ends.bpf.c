/* SPDX-License-Identifier: MIT */
/* ends - every run ends: loops that helpers and iterators see to, and such that
 * only look as if they did. */
#include "rules.h"

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#define SUB static __attribute__((noinline, used))

__u64 sum, other;

/* --- that end ---------------------------------------------------------- */

// accepted
RULE iterator_in_iterator(struct pt_regs *ctx)
{
	struct bpf_iter_num it, in;
	int *i, *k;

	bpf_iter_num_new(&it, 0, 100);
	while ((i = bpf_iter_num_next(&it))) {
		bpf_iter_num_new(&in, 0, *i & 0xff);
		while ((k = bpf_iter_num_next(&in)))
			sum += *k;
		bpf_iter_num_destroy(&in);
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

// accepted
RULE iterator_in_loop_that_counts(struct pt_regs *ctx)
{
	struct bpf_iter_num in;
	int *k;

	for (int i = 0; i < 10; i++) {
		USE(i);
		bpf_iter_num_new(&in, 0, 100);
		while ((k = bpf_iter_num_next(&in)))
			sum += *k;
		bpf_iter_num_destroy(&in);
	}
	return 0;
}

SUB int add(__u32 i, void *ctx)
{
	sum += i;
	return 0;
}

SUB int add_often(__u32 i, void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 100);
	while (bpf_iter_num_next(&it))
		bpf_loop(i & 0xff, add, 0, 0);
	bpf_iter_num_destroy(&it);
	return 0;
}

// accepted
RULE callbacks_in_iterator_in_callback(struct pt_regs *ctx)
{
	bpf_loop(UNKNOWN(ctx) & 0xff, add_often, 0, 0);
	return 0;
}

// accepted
RULE callbacks_in_loop_that_counts(struct pt_regs *ctx)
{
	for (int i = 0; i < 10; i++) {
		USE(i);
		bpf_loop(UNKNOWN(ctx), add, 0, 0);
	}
	return 0;
}

/* --- that need not ----------------------------------------------------- */

/* The helper returns each time, and is called again.  (The kernel believes that
 * it gets on by that.) */
// ours: guards: 1
RULE called_anew(struct pt_regs *ctx)
{
	while (bpf_get_prandom_u32() != 7)
		bpf_loop(1, add, 0, 0);
	return 0;
}

// guards: 1
RULE made_anew(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	while (bpf_get_prandom_u32() != 7) {
		bpf_iter_num_new(&it, 0, 10);
		bpf_iter_num_next(&it);
		bpf_iter_num_destroy(&it);
	}
	return 0;
}

/* A drained iterator can be asked for ever. */
// guards: 1
RULE asked_on(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	do
		bpf_iter_num_next(&it);
	while (bpf_get_prandom_u32() != 7);
	bpf_iter_num_destroy(&it);
	return 0;
}

SUB int set_back(__u32 i, __u64 *n)
{
	*n = 0;
	return 0;
}

/* (Nor does the kernel see that the callback keeps the loop from its end.) */
// ours: guards: 1
RULE set_back_by_callback(struct pt_regs *ctx)
{
	volatile __u64 n = 0;

	while (n < 10) {
		n++;
		bpf_loop(1, set_back, (void *)&n, 0);
	}
	return 0;
}

/* One way round has the iterator give a number; the other one meets it behind
 * that, where the first has been looked at to its end. */
// guards: 1
NAKED past_the_iterator(void)
{
	asm volatile("r1 = r10; r1 += -8; r2 = 0; r3 = 10;"
		     "call bpf_iter_num_new;"
		     "call 7;" SOME "if r0 == 1 goto 9f;" SOME
		     "if r0 == 2 goto 9f;"
		     "1: call 7;"
		     "if r0 > 5 goto 3f;"
		     "r1 = r10; r1 += -8;"
		     "call bpf_iter_num_next;"
		     "if r0 == 0 goto 9f;"
		     "call 7;"
		     "if r0 == 1 goto 9f;"
		     "3:" ONE_IS_KEPT "goto 1b;"
		     "9: r1 = r10; r1 += -8;"
		     "call bpf_iter_num_destroy;"
		     "r0 = 0;"
		     "exit;");
}
