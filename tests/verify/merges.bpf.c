/* SPDX-License-Identifier: MIT */
/* merges - where paths meet, and what is forgotten there. */
#include "rules.h"

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

RING(ring, RINGBUF);
MAP(array, ARRAY, __u32, __u64[8], 4);

/* (Assembly may call only what the compiler has called somewhere.) */
// accepted
RULE iterators(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 1);
	bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

/* From one time round to the next its least offset moves: that has no least one
 * any more. */
// refused: invalid access to map value
NAKED offset_of_no_least(void)
{
	asm volatile("r1 = 0;"
		     "*(u32 *)(r10 - 12) = r1;"
		     "r2 = r10; r2 += -12;"
		     "r1 = %[array] ll;"
		     "call 1;"
		     "if r0 == 0 goto 3f;"
		     "r6 = r0;"
		     "call 7;"
		     "r0 &= 15; r0 -= 8;"
		     "r8 = r6;"
		     "r6 += r0;"
		     "r8 += -8; r8 += r0;"
		     "r1 = r10; r1 += -8;"
		     "r2 = 0; r3 = 1000;"
		     "call bpf_iter_num_new;"
		     "1: r1 = r10; r1 += -8;"
		     "call bpf_iter_num_next;"
		     "if r0 == 0 goto 2f;"
		     "r6 = r8;"
		     "goto 1b;"
		     "2: r1 = r10; r1 += -8;"
		     "call bpf_iter_num_destroy;"
		     "r1 = 0;"
		     "*(u64 *)(r6 - 8) = r1;"
		     "3: r0 = 0;"
		     "exit;"
		     :
		     : [array] "i"(&array));
}

/* Where it meets the other path, the dynptr's data is 8 bytes with a reference, as
 * the record is. */
// refused: R1 must be referenced when passed to release function
NAKED dynptr_is_no_record(void)
{
	asm volatile("call 7;"
		     "if r0 == 7 goto 1f;"
		     "r1 = %[ring] ll; r2 = 8; r3 = 0;"
		     "call 131;"
		     "if r0 == 0 goto 7f;"
		     "r6 = r0;"
		     "goto 3f;"
		     "1: r1 = %[ring] ll; r2 = 16; r3 = 0;"
		     "r4 = r10; r4 += -16;"
		     "call 198;"
		     "r1 = r10; r1 += -16; r2 = 8; r3 = 8;"
		     "call 203;"
		     "if r0 == 0 goto 2f;"
		     "r6 = r0;"
		     "goto 3f;"
		     "2: r1 = r10; r1 += -16; r2 = 0;"
		     "call 200;"
		     "goto 7f;"
		     "3:" ONE_IS_KEPT
		     "r1 = r6; r2 = 0;"
		     "call 132;"
		     "7: r0 = 0;"
		     "exit;"
		     :
		     : [ring] "i"(&ring));
}

/* --- what a loop does to a number comes to rest where it is bounded --------- */

char text[64];

#define EACH(what)                                                             \
	struct bpf_iter_num it;                                                \
	unsigned k = 0;                                                        \
                                                                               \
	bpf_iter_num_new(&it, 0, 1000);                                        \
	while (bpf_iter_num_next(&it)) {                                       \
		what                                                           \
	}                                                                      \
	bpf_iter_num_destroy(&it);                                             \
	return 0

/* (The compiler makes the next number before it compares this one, and only the
 * kernel goes through all of them.) */
// ours: guards: 1
RULE stops_where_it_is_full(struct pt_regs *ctx)
{
	EACH(if (k >= sizeof(text)) break; text[k++] = 1;);
}

// accepted
RULE stops_behind_the_last(struct pt_regs *ctx)
{
	EACH(text[k] = 1; if (++k == sizeof(text)) break;);
}

// accepted
RULE begins_anew(struct pt_regs *ctx)
{
	EACH(text[k] = 1; k += 8; if (k >= sizeof(text)) k = 0;);
}

// accepted
RULE goes_from_state_to_state(struct pt_regs *ctx)
{
	EACH(text[k] = 1; k = k == 0 ? 3 : k == 3 ? 60 : UNKNOWN(ctx) & 1;);
}

/* One more than there are. */
// ours: guards: 1
RULE stops_too_late(struct pt_regs *ctx)
{
	EACH(text[k] = 1; if (++k == sizeof(text) + 1) break;);
}

static long takes_turns(unsigned i, unsigned long *k)
{
	text[*k] = 1;
	*k = (*k + 1) & 63;
	return 0;
}

// accepted
RULE masked_in_a_callback(struct pt_regs *ctx)
{
	unsigned long k = 0;

	bpf_loop(1000, takes_turns, &k, 0);
	return 0;
}

/* An atomic instruction leaves r0 where it was: what is stored there is looked at
 * again, and its number matters. */
__u64 words[4];
#define ATOMIC "r0 = r10; r0 += -8; r2 = %[words] ll; r3 = 1;"                  \
	       "lock *(u64 *)(r2 + 0) += r3;"
#define WORDS                                                                  \
	:                                                                      \
	: [words] "i"(words)
// refused: invalid access to map value
NAKED stored_behind_an_atomic(void)
{
	asm volatile("r6 = *(u64 *)(r1 + 112); r8 = *(u64 *)(r1 + 104);"
		     "r7 = 1000000; if r6 == 3 goto 1f; r7 = 1; 1:" SOME
		     "if r8 == 4 goto 2f; r8 = 0; 2:" SOME
		     "if r8 == 5 goto 3f; r8 = 1; 3:" SOME
		     "if r8 == 6 goto 4f; r8 = 1; 4:" ATOMIC
		     "*(u64 *)(r0 + 0) = r7; r4 = *(u64 *)(r10 - 8); r4 <<= 3;"
		     "r2 += r4; r5 = *(u64 *)(r2 + 0); r0 = 0; exit;" WORDS);
}

// accepted
NAKED loaded_behind_an_atomic(void)
{
	asm volatile("r6 = *(u64 *)(r1 + 112); r2 = %[words] ll;"
		     "*(u64 *)(r10 - 8) = r2;" ATOMIC SOME
		     "if r6 == 4 goto 2f; r8 = 0; 2: r2 = *(u64 *)(r0 + 0);"
		     "r3 = *(u64 *)(r2 + 0); r0 = 0; exit;" WORDS);
}
