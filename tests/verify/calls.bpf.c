/* SPDX-License-Identifier: MIT */
/* calls - subprograms, callbacks and exits. */
#include "rules.h"

#define SUB static __attribute__((noinline))
MAP(array, ARRAY, __u32, struct pair, 4);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} progs SEC(".maps");
long sum[16];

/* --- subprograms */

SUB int twice(int n)
{
	return 2 * n;
}

SUB void sets(long *to)
{
	*to = 1;
}

// accepted
RULE subprograms(struct pt_regs *ctx)
{
	long n = UNKNOWN(ctx);

	sets(&n);
	return twice(n) + twice(3);
}

/* What a subprogram returns is known at each call. */
// accepted
RULE result_as_index(struct pt_regs *ctx)
{
	sum[twice(3)] = 1;
	return 0;
}

// refused: R1 !read_ok
NAKED argument_gone(void)
{
	asm volatile("r1 = 0;"
		     "call nothing;"
		     "r0 = r1;"
		     "exit;");
}

/* The kernel says so of a read that has no effect, too. */
SUB __attribute__((used)) int nothing(int n)
{
	USE(n);
	return 0;
}

SUB __attribute__((naked, used)) int reads_r6(void)
{
	asm volatile("r0 = r6;"
		     "exit;");
}

// refused: R6 !read_ok
NAKED callee_has_registers_of_its_own(void)
{
	asm volatile("r6 = 1;"
		     "call reads_r6;"
		     "r0 = r6;"
		     "exit;");
}

// accepted
NAKED caller_keeps_its_own(void)
{
	asm volatile("r6 = 1;"
		     "r1 = 0;"
		     "call nothing;"
		     "r0 = r6;"
		     "exit;");
}

SUB long *own_stack(void)
{
	long n[2];
	long *p = n;

	USE(p);
	return p;
}

// refused: cannot return stack pointer to the caller
RULE stack_of_callee_returned(struct pt_regs *ctx)
{
	return *own_stack();
}

// refused: R0 !read_ok
NAKED nothing_returned(void)
{
	asm volatile("exit;");
}

/* --- callbacks */

static long adds(__u32 i, long *n)
{
	*n += i;
	return 0;
}

// accepted
RULE loop(struct pt_regs *ctx)
{
	long n = 0;

	return bpf_loop(UNKNOWN(ctx) & 31, adds, &n, 0) + n;
}

static long fills(__u32 i, void *ctx)
{
	sum[i] = 1;
	return 0;
}

/* The index is below the number of times: the kernel does not know. */
// ours: accepted
RULE index_of_a_loop(struct pt_regs *ctx)
{
	return bpf_loop(16, fills, NULL, 0);
}

// guards: 1
RULE index_of_a_longer_loop(struct pt_regs *ctx)
{
	return bpf_loop(17, fills, NULL, 0);
}

static long two(__u32 i, void *ctx)
{
	return 2;
}

// refused: At callback return the register R0 has smin=2 smax=2 should have been
RULE callback_returns_two(struct pt_regs *ctx)
{
	return bpf_loop(3, two, NULL, 0);
}

struct nested {
	long n;
	struct nested *outer;
};

static long inner(__u32 i, struct nested *n)
{
	n->outer->n += i;
	n->n++;
	return 0;
}

static long outer(__u32 i, struct nested *n)
{
	struct nested m = { 0, n };

	bpf_loop(i, inner, &m, 0);
	return m.n > 100;
}

/* The kernel counts to a million.  We count the turns. */
// ours: guards: 2
RULE loop_in_a_loop(struct pt_regs *ctx)
{
	struct nested n = {};

	bpf_loop(UNKNOWN(ctx), outer, &n, 0);
	return n.n;
}

static long returns_pointer(__u32 i, void *ctx)
{
	return (long)ctx;
}

// refused: At callback return the register R0 is not a scalar
RULE callback_returns_pointer(struct pt_regs *ctx)
{
	long n = 0;

	return bpf_loop(3, returns_pointer, &n, 0);
}

static long writes_key(void *map, __u32 *key, struct pair *value, void *ctx)
{
	*key = 1;
	return 0;
}

// refused: cannot write into
RULE key_of_an_element_written(struct pt_regs *ctx)
{
	return bpf_for_each_map_elem(&array, writes_key, NULL, 0);
}

static long writes_value(void *map, __u32 *key, struct pair *value, long *n)
{
	value->b = *key;
	*n += value->a;
	return 0;
}

// accepted
RULE each_element(struct pt_regs *ctx)
{
	long n = 0;

	return bpf_for_each_map_elem(&array, writes_value, &n, 0) + n;
}

static long writes_behind_value(void *map, __u32 *key, struct pair *value,
				void *ctx)
{
	value[1].a = 1;
	return 0;
}

// refused: invalid access to map value, value_size=16 off=16 size=8
RULE behind_an_element(struct pt_regs *ctx)
{
	return bpf_for_each_map_elem(&array, writes_behind_value, NULL, 0);
}

struct at {
	long *p;
};

static long changes(__u32 i, struct at *a)
{
	a->p = NULL;
	return 0;
}

/* It may have been called, or not. */
// refused: invalid mem access 'scalar'
RULE changed_by_callback(struct pt_regs *ctx)
{
	struct at a = { sum };

	bpf_loop(3, changes, &a, 0);
	return *a.p;
}

/* --- tail calls */

// accepted
RULE tail_call(struct pt_regs *ctx)
{
	bpf_tail_call(ctx, &progs, UNKNOWN(ctx));
	return 1;
}

SUB int may_go_on(struct pt_regs *ctx)
{
	int n = 3;

	asm volatile("" : "+r"(n));
	bpf_tail_call(ctx, &progs, 0);
	return n;
}

/* It may return what the other program returns.  (This kernel does not look at
 * that.) */
// ours: guards: 1
RULE result_of_a_tail_call(struct pt_regs *ctx)
{
	long n = may_go_on(ctx);

	USE(n);
	return sum[n];
}

static long leaves(__u32 i, void **ctx)
{
	bpf_tail_call(*ctx, &progs, 0);
	return 0;
}

/* Whatever the other program returns, the loop goes on or ends.  ("verifier
 * bug", says the kernel.) */
// ours: accepted
RULE tail_call_in_callback(struct pt_regs *ctx)
{
	void *c = ctx;

	return bpf_loop(3, leaves, &c, 0);
}

/* --- the stack */

SUB int needs_400(int n)
{
	volatile char b[400];

	b[n & 127] = 1;
	return b[3];
}

SUB int needs_800(int n)
{
	volatile char b[400];

	b[n & 127] = 1;
	return b[3] + needs_400(n);
}

/* Functions that need much have stacks of their own. */
// accepted
RULE stacks_add_up(struct pt_regs *ctx)
{
	return needs_800(UNKNOWN(ctx));
}

/* But not where one makes a tail call. */
// refused: combined stack size of 3 calls is 800. Too large
RULE stacks_add_up_to_too_much(struct pt_regs *ctx)
{
	int n = needs_800(UNKNOWN(ctx));

	if (n)
		bpf_tail_call(ctx, &progs, 0);
	return n;
}

// refused: tail_calls are not allowed when call stack of previous frames is
RULE tail_call_above_much(struct pt_regs *ctx)
{
	volatile char b[256];

	b[UNKNOWN(ctx) & 127] = 1;
	return may_go_on(ctx) + b[3];
}

/* Also of what is only at places that are not known, or at one of two. */
#define TAIL_CALL "r1 = r6; r2 = %[progs] ll; r3 = 0; call 12; r0 = 0; exit;"
#define ANYWHERE                                                               \
	"call 7; r0 &= 255; r1 = r10; r1 += -504; r1 += r0; *(u8 *)(r1 + 0) = r6;"
#define ONE_OF_TWO                                                             \
	"call 7; r1 = r10; r1 += -496; if r0 == 1 goto 1f; r1 += -8; 1:"

SUB __attribute__((naked, used)) int anywhere(void)
{
	asm volatile("r6 = 1;" ANYWHERE "r0 = 0; exit;");
}

// refused: combined stack size of 2 calls is 1024. Too large
NAKED somewhere_and_deeper(void)
{
	asm volatile("r6 = r1;" ANYWHERE "call anywhere;" TAIL_CALL
		     :
		     : [progs] "i"(&progs));
}

SUB __attribute__((naked, used)) int tail_calls(void)
{
	asm volatile("r6 = r1;" TAIL_CALL : : [progs] "i"(&progs));
}

// refused: tail_calls are not allowed when call stack of previous frames is
NAKED tail_call_above_somewhere(void)
{
	asm volatile("r6 = r1;" ANYWHERE "r1 = r6; call tail_calls; r0 = 0;"
		     "exit;");
}

SUB __attribute__((naked, used)) int one_of_two(void)
{
	asm volatile(ONE_OF_TWO "*(u64 *)(r1 + 0) = r0; r0 = 0; exit;");
}

SUB __attribute__((naked, used)) int helper_at_one_of_two(void)
{
	asm volatile(ONE_OF_TWO "r2 = 8; r3 = 0; call 112; r0 = 0; exit;");
}

// refused: combined stack size of 2 calls is 1024. Too large
NAKED store_at_one_of_two(void)
{
	asm volatile("r6 = r1; *(u64 *)(r10 - 504) = r1; call one_of_two;"
		     TAIL_CALL
		     :
		     : [progs] "i"(&progs));
}

// refused: combined stack size of 2 calls is 1024. Too large
NAKED helper_there(void)
{
	asm volatile("r6 = r1; *(u64 *)(r10 - 504) = r1;"
		     "call helper_at_one_of_two;" TAIL_CALL
		     :
		     : [progs] "i"(&progs));
}

// refused: combined stack size of 2 calls is 1024. Too large
NAKED callback_somewhere(void)
{
	asm volatile("r6 = r1; r1 = 3; r2 = anywhere ll; r3 = 0; r4 = 0;"
		     "call 181; *(u64 *)(r10 - 504) = r6;" TAIL_CALL
		     :
		     : [progs] "i"(&progs));
}

/* A stored address is not forgotten. */
// refused: combined stack size of 2 calls is 1024. Too large
NAKED by_a_stored_address(void)
{
	asm volatile("r6 = r1; r1 = r10; r1 += -504; *(u64 *)(r10 - 8) = r1;"
		     "r1 = *(u64 *)(r10 - 8); *(u64 *)(r1 + 0) = r6;"
		     "call anywhere;" TAIL_CALL
		     :
		     : [progs] "i"(&progs));
}

/* --- sessions */

// accepted
SESSION session_runs_or_not(struct pt_regs *ctx)
{
	return UNKNOWN(ctx) & 1;
}

/* Where its cookie is, is the stub's to know. */
// refused: invalid bpf_context access off=184 size=8
SESSION session_reads_behind_ctx(struct pt_regs *ctx)
{
	return *(__u64 *)((char *)ctx + 184) == 0;
}

// refused: At program exit the register R0 has
SESSION session_returns_two(struct pt_regs *ctx)
{
	return 2;
}

/* It comes back when it has failed, with nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} others SEC(".maps");
// refused: R0 !read_ok
NAKED behind_a_tail_call(void)
{
	asm volatile("r2 = %[others] ll; r3 = 0; call 12; exit;"
		     :
		     : [others] "i"(&others));
}
