/* SPDX-License-Identifier: MIT */
/* references - records of a ring are given back on every path, once. */
#include "rules.h"

RING(ring, RINGBUF);
MAP(hash, HASH, __u64, struct pair, 4);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} progs SEC(".maps");

static __always_inline struct pair *reserve(void)
{
	return bpf_ringbuf_reserve(&ring, sizeof(struct pair), 0);
}

// accepted
RULE record_submitted_or_discarded(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	r->a = UNKNOWN(ctx);
	if (r->a)
		bpf_ringbuf_submit(r, 0);
	else
		bpf_ringbuf_discard(r, 0);
	return 0;
}

// refused: Unreleased reference id=
RULE record_left(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (r)
		r->a = 1;
	return 0;
}

// refused: call bpf_ringbuf_submit() or bpf_ringbuf_discard() on every path
RULE record_left_on_one_path(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r || UNKNOWN(ctx))
		return 0;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// refused: R1 type=mem_or_null expected=ringbuf_mem
RULE record_unchecked(struct pt_regs *ctx)
{
	bpf_ringbuf_submit(reserve(), 0);
	return 0;
}

// refused: R1 type=scalar expected=ringbuf_mem
RULE record_twice(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	bpf_ringbuf_submit(r, 0);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// refused: invalid mem access 'scalar'
RULE record_used_afterwards(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	bpf_ringbuf_submit(r, 0);
	return r->a;
}

// refused: invalid mem access 'scalar'
RULE part_of_record_used_afterwards(struct pt_regs *ctx)
{
	struct pair *r = reserve();
	__u64 *part;

	if (!r)
		return 0;
	part = &r->b;
	USE(part);
	bpf_ringbuf_discard(r, 0);
	return *part;
}

/* A copy that was on the stack in the meantime. */
// refused: R1 invalid mem access 'scalar'
NAKED spilled_record_used_afterwards(void)
{
	asm volatile("r1 = %[ring] ll;"
		     "r2 = 16;"
		     "r3 = 0;"
		     "call 131;"
		     "if r0 == 0 goto 1f;"
		     "*(u64 *)(r10 - 8) = r0;"
		     "r1 = r0;"
		     "r2 = 0;"
		     "call 132;"
		     "r1 = *(u64 *)(r10 - 8);"
		     "r1 = *(u64 *)(r1 + 0);"
		     "1: r0 = 0;"
		     "exit;"
		     :
		     : [ring] "i"(&ring));
}

// accepted
RULE address_of_record_is_a_number_afterwards(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	USE(r);
	bpf_ringbuf_submit(r, 0);
	return r != NULL;
}

// refused: R1 must have zero offset when passed to release func
RULE part_of_record_submitted(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	bpf_ringbuf_submit(&r->b, 0);
	return 0;
}

// refused: R1 type=map_value expected=ringbuf_mem
RULE value_submitted(struct pt_regs *ctx)
{
	__u64 k = 1;
	struct pair *p = bpf_map_lookup_elem(&hash, &k);

	if (p)
		bpf_ringbuf_submit(p, 0);
	return 0;
}

// refused: R1 type=fp expected=ringbuf_mem
RULE stack_submitted(struct pt_regs *ctx)
{
	struct pair p = {};

	bpf_ringbuf_submit(&p, 0);
	return 0;
}

// refused: invalid access to memory, mem_size=16 off=16 size=8
RULE record_too_short(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	r[1].a = 1;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// accepted
RULE two_records(struct pt_regs *ctx)
{
	struct pair *r = reserve(), *s;

	if (!r)
		return 0;
	s = reserve();
	if (s)
		bpf_ringbuf_submit(s, 0);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/* A call's result is the record, or not, on both sides. */
// accepted
RULE record_in_either_case(struct pt_regs *ctx)
{
	struct pair *r = UNKNOWN(ctx) ? reserve() : NULL;

	if (r)
		bpf_ringbuf_submit(r, 0);
	return 0;
}

// refused: tail_call would lead to reference leak
RULE record_and_tail_call(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	bpf_tail_call(ctx, &progs, 0);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/* --- subprograms and callbacks */

static __attribute__((noinline)) struct pair *fetched(void)
{
	return reserve();
}

static __attribute__((noinline)) void given_back(struct pair *r)
{
	if (r)
		bpf_ringbuf_submit(r, 0);
}

// accepted
RULE record_from_one_to_another(struct pt_regs *ctx)
{
	given_back(fetched());
	return 0;
}

// refused: Unreleased reference id=
RULE record_from_subprogram_left(struct pt_regs *ctx)
{
	return fetched() != NULL;
}

static __attribute__((noinline)) int leaves(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	bpf_tail_call(ctx, &progs, 0);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/* When the call is taken the subprogram ends there. (This kernel does not look
 * at that.) */
// ours: refused: Unreleased reference id=
RULE record_and_tail_call_in_subprogram(struct pt_regs *ctx)
{
	return leaves(ctx);
}

static __attribute__((noinline)) int may_leave(struct pt_regs *ctx)
{
	bpf_tail_call(ctx, &progs, 0);
	return 0;
}

/* Its caller goes on. */
// accepted
RULE record_during_tail_call_of_subprogram(struct pt_regs *ctx)
{
	struct pair *r = reserve();

	if (!r)
		return 0;
	r->a = may_leave(ctx);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

static long one_each(__u32 i, void *ctx)
{
	struct pair *r = reserve();

	if (r)
		bpf_ringbuf_submit(r, 0);
	return 0;
}

// accepted
RULE record_in_callback(struct pt_regs *ctx)
{
	bpf_loop(10, one_each, NULL, 0);
	return 0;
}

static long one_left(__u32 i, void *ctx)
{
	struct pair *r = reserve();

	return r ? 1 : 0;
}

// refused: Unreleased reference id=
RULE record_left_in_callback(struct pt_regs *ctx)
{
	bpf_loop(10, one_left, NULL, 0);
	return 0;
}

struct held {
	struct pair *r;
};

static long gives_back(__u32 i, struct held *h)
{
	if (h->r)
		bpf_ringbuf_submit(h->r, 0);
	return 1;
}

// refused: Unreleased reference id=
RULE record_of_caller_released_in_callback(struct pt_regs *ctx)
{
	struct held h = { reserve() };

	if (!h.r)
		return 0;
	bpf_loop(1, gives_back, &h, 0);
	return 0;
}

static long writes(__u32 i, struct held *h)
{
	h->r->a += i;
	return 0;
}

// accepted
RULE record_of_caller_used_in_callback(struct pt_regs *ctx)
{
	struct held h = { reserve() };

	if (!h.r)
		return 0;
	bpf_loop(8, writes, &h, 0);
	bpf_ringbuf_submit(h.r, 0);
	return 0;
}

/* Of 32 a list is kept. */
// ours: refused: more than 32 references are held
NAKED too_many_records(void)
{
	asm volatile(".rept 33;"
		     "r1 = %[ring] ll;"
		     "r2 = 8;"
		     "r3 = 0;"
		     "call 131;"
		     "if r0 == 0 goto 1f;"
		     ".endr;"
		     "1: r0 = 0;"
		     "exit;"
		     :
		     : [ring] "i"(&ring));
}
