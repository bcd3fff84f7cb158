/* SPDX-License-Identifier: MIT */
/* objects - dynptrs and iterators. */
#include "rules.h"

RING(ring, RINGBUF);
RING(user, USER_RINGBUF);
struct pair value;
char bytes[16];
long into;
struct {
	long n;
} word SEC(".data.word");

extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, __u32 start,
			     __u32 end) __weak __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p,
			    struct bpf_dynptr *clone) __weak __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __weak __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset,
			      void *buffer, __u32 size) __weak __ksym;

struct bpf_iter_num {
	__u64 opaque;
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
	__weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

static __always_inline void of_value(struct bpf_dynptr *p)
{
	bpf_dynptr_from_mem(&value, sizeof(value), 0, p);
}

/* --- dynptrs of memory */

// accepted
RULE dynptr_of_value(struct pt_regs *ctx)
{
	struct bpf_dynptr p, q;
	__u64 *data;

	of_value(&p);
	bpf_dynptr_write(&p, 0, bytes, 8, 0);
	bpf_dynptr_read(bytes, 8, &p, 0, 0);
	bpf_dynptr_clone(&p, &q);
	bpf_dynptr_adjust(&q, 0, 8);
	data = bpf_dynptr_data(&q, 0, 8);
	return data ? *data : bpf_dynptr_size(&p);
}

// refused: Expected an initialized dynptr as arg #2
RULE dynptr_unmade(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	return bpf_dynptr_read(bytes, 8, &p, 0, 0);
}

// refused: Unsupported reg type fp for bpf_dynptr_from_mem data
RULE dynptr_of_stack(struct pt_regs *ctx)
{
	struct bpf_dynptr p;
	__u64 v = 0;

	return bpf_dynptr_from_mem(&v, sizeof(v), 0, &p);
}

// refused: expected pointer to stack or const struct bpf_dynptr
RULE dynptr_in_a_map(struct pt_regs *ctx)
{
	return bpf_dynptr_from_mem(bytes, 8, 0, (struct bpf_dynptr *)&value);
}

// refused: cannot pass in dynptr at an offset=-20
RULE dynptr_misaligned(struct pt_regs *ctx)
{
	char b[24] = {};

	USE(b);
	return bpf_dynptr_from_mem(bytes, 8, 0, (struct bpf_dynptr *)(b + 4));
}

// refused: dynptr has to be at a constant offset
RULE dynptr_somewhere(struct pt_regs *ctx)
{
	struct bpf_dynptr p[2];

	return bpf_dynptr_from_mem(bytes, 8, 0, &p[UNKNOWN(ctx) & 1]);
}

// refused: invalid write to stack R4 off=-520 size=8
NAKED dynptr_below_the_stack(void)
{
	asm volatile("r1 = %[value] ll;"
		     "r2 = 16;"
		     "r3 = 0;"
		     "r4 = r10;"
		     "r4 += -520;"
		     "call 197;"
		     "r0 = 0;"
		     "exit;"
		     :
		     : [value] "i"(&value));
}

// refused: R0 invalid mem access 'mem_or_null'
RULE data_unchecked(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	return *(char *)bpf_dynptr_data(&p, 0, 1);
}

// refused: R3 is not a known constant
RULE data_of_any_size(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	return bpf_dynptr_data(&p, 0, UNKNOWN(ctx) & 7) != NULL;
}

// refused: invalid access to memory, mem_size=4 off=4 size=1
RULE data_too_short(struct pt_regs *ctx)
{
	struct bpf_dynptr p;
	char *data;

	of_value(&p);
	data = bpf_dynptr_data(&p, 0, 4);
	return data ? data[4] : 0;
}

// refused: invalid mem access 'scalar'
RULE data_of_overwritten_dynptr(struct pt_regs *ctx)
{
	struct bpf_dynptr p;
	char *data;

	of_value(&p);
	data = bpf_dynptr_data(&p, 0, 4);
	if (!data)
		return 0;
	of_value(&p);
	return *data;
}

// refused: Expected an initialized dynptr as arg #2
RULE dynptr_overwritten(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	*(volatile __u32 *)((char *)&p + 12) = 1;
	return bpf_dynptr_read(bytes, 8, &p, 0, 0);
}

// refused: invalid read from stack
RULE dynptr_read_as_memory(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	return *(volatile __u64 *)&p;
}

// refused: disallowed: bpf_dynptr_read writes there
RULE dynptr_written_by_helper(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	return bpf_dynptr_read(&p, 8, &p, 0, 0);
}

// refused: R6 cannot write into
NAKED slice_written(void)
{
	asm volatile("r1 = %[value] ll;"
		     "r2 = 16;"
		     "r3 = 0;"
		     "r4 = r10;"
		     "r4 += -16;"
		     "call 197;"
		     "r1 = r10;"
		     "r1 += -16;"
		     "r2 = 0;"
		     "r3 = 0;"
		     "r4 = 8;"
		     "call bpf_dynptr_slice;"
		     "if r0 == 0 goto 1f;"
		     "r6 = r0;"
		     "*(u64 *)(r6 + 0) = r6;"
		     "1: r0 = 0;"
		     "exit;"
		     :
		     : [value] "i"(&value));
}

// refused: R4 type=fp expected=scalar
RULE slice_of_an_address(struct pt_regs *ctx)
{
	struct bpf_dynptr p;
	char b[8];

	of_value(&p);
	return ((void *(*)(const struct bpf_dynptr *, __u32, void *,
			   void *))bpf_dynptr_slice)(&p, 0, b, b) != NULL;
}

// refused: R4 is not a known constant
RULE slice_of_any_size(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	return bpf_dynptr_slice(&p, 0, NULL, UNKNOWN(ctx) & 7) != NULL;
}

/* There is no need of it here, but in the kernel. */
// refused: value_size=8 off=0 size=16
RULE slice_by_short_buffer(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	return bpf_dynptr_slice(&p, 0, &word.n, 16) != NULL;
}

/* --- dynptrs of records */

// accepted
RULE record_of_any_size(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, UNKNOWN(ctx), 0, &p);
	bpf_dynptr_write(&p, 0, bytes, 8, 0);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

// refused: Unreleased reference id=
RULE record_left(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	return 0;
}

// refused: Unreleased reference id=
RULE record_left_where_there_is_none(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	if (bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p))
		return 0;
	bpf_ringbuf_discard_dynptr(&p, 0);
	return 0;
}

// refused: arg 1 is an unacquired reference
RULE record_twice(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	bpf_ringbuf_submit_dynptr(&p, 0);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

// refused: arg 1 is an unacquired reference
RULE value_submitted(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	of_value(&p);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

// refused: R1 must be referenced when passed to release function
RULE data_submitted(struct pt_regs *ctx)
{
	struct bpf_dynptr p;
	void *data;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	data = bpf_dynptr_data(&p, 0, 8);
	if (data)
		bpf_ringbuf_submit(data, 0);
	else
		bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

// refused: cannot overwrite referenced dynptr
RULE record_overwritten(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	of_value(&p);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

// refused: cannot overwrite referenced dynptr
RULE record_overwritten_by_store(struct pt_regs *ctx)
{
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	*(volatile __u64 *)&p = 1;
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

// refused: invalid mem access 'scalar'
RULE data_after_submit(struct pt_regs *ctx)
{
	struct bpf_dynptr p;
	__u64 *data;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	data = bpf_dynptr_data(&p, 0, 8);
	bpf_ringbuf_submit_dynptr(&p, 0);
	if (data)
		*data = 1;
	return 0;
}

// refused: Expected an initialized dynptr as arg #2
RULE clone_after_submit(struct pt_regs *ctx)
{
	struct bpf_dynptr p, q;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	bpf_dynptr_clone(&p, &q);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return bpf_dynptr_read(bytes, 8, &q, 0, 0);
}

// accepted
RULE clone_submitted(struct pt_regs *ctx)
{
	struct bpf_dynptr p, q;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	bpf_dynptr_clone(&p, &q);
	bpf_ringbuf_submit_dynptr(&q, 0);
	return 0;
}

/* The kernel's slice of a record has no reference. */
// ours: refused: invalid mem access 'scalar'
RULE slice_after_submit(struct pt_regs *ctx)
{
	struct bpf_dynptr p;
	__u64 *data;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &p);
	data = bpf_dynptr_slice(&p, 0, NULL, 8);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return data ? *data : 0;
}

/* --- dynptrs in callbacks */

static long reads(struct bpf_dynptr *p, void *ctx)
{
	return bpf_dynptr_read(bytes, 8, p, 0, 0) != 0;
}

// accepted
RULE sample_read(struct pt_regs *ctx)
{
	return bpf_user_ringbuf_drain(&user, reads, NULL, 0);
}

static long looks_inside(struct bpf_dynptr *p, void *ctx)
{
	into = *(__u64 *)p;
	return 0;
}

// refused: R1 invalid mem access 'dynptr_ptr'
RULE sample_read_as_memory(struct pt_regs *ctx)
{
	return bpf_user_ringbuf_drain(&user, looks_inside, NULL, 0);
}

static long submits(struct bpf_dynptr *p, void *ctx)
{
	bpf_ringbuf_submit_dynptr(p, 0);
	return 0;
}

// refused: cannot release unowned const bpf_dynptr
RULE sample_submitted(struct pt_regs *ctx)
{
	return bpf_user_ringbuf_drain(&user, submits, NULL, 0);
}

static long makes(struct bpf_dynptr *p, void *ctx)
{
	of_value(p);
	return 0;
}

// refused: Dynptr has to be an uninitialized dynptr
RULE sample_overwritten(struct pt_regs *ctx)
{
	return bpf_user_ringbuf_drain(&user, makes, NULL, 0);
}

/* --- iterators */

// accepted
RULE iterator(struct pt_regs *ctx)
{
	struct bpf_iter_num it;
	int *i, n = 0;

	bpf_iter_num_new(&it, 0, UNKNOWN(ctx));
	while ((i = bpf_iter_num_next(&it)))
		n += *i;
	bpf_iter_num_destroy(&it);
	return n;
}

// refused: call bpf_iter_num_destroy() on every path
RULE iterator_left(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	if (!bpf_iter_num_next(&it))
		return 0;
	bpf_iter_num_destroy(&it);
	return 0;
}

// refused: expected an initialized iter_num as arg #0
RULE iterator_not_begun(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	return bpf_iter_num_next(&it) != NULL;
}

// refused: expected an initialized iter_num as arg #0
RULE iterator_ended_twice(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

// refused: expected uninitialized iter_num as arg #0
RULE iterator_begun_twice(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	bpf_iter_num_new(&it, 0, 3);
	bpf_iter_num_destroy(&it);
	return 0;
}

// refused: cannot overwrite an iterator
RULE iterator_overwritten(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 3);
	*(volatile __u64 *)&it = 1;
	bpf_iter_num_destroy(&it);
	return 0;
}

// refused: R2 is not a scalar
RULE iterator_from_address(struct pt_regs *ctx)
{
	struct bpf_iter_num it;

	((void (*)(void *, void *, int))bpf_iter_num_new)(&it, ctx, 3);
	bpf_iter_num_destroy(&it);
	return 0;
}

// refused: expected pointer to an iterator on stack
RULE iterator_in_a_map(struct pt_regs *ctx)
{
	bpf_iter_num_new((struct bpf_iter_num *)&into, 0, 3);
	return 0;
}

// refused: R0 invalid mem access 'scalar'
RULE number_unchecked(struct pt_regs *ctx)
{
	struct bpf_iter_num it;
	int n;

	bpf_iter_num_new(&it, 0, 3);
	n = *bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return n;
}

// refused: cannot write into
RULE number_written(struct pt_regs *ctx)
{
	struct bpf_iter_num it;
	int *i;

	bpf_iter_num_new(&it, 0, 3);
	i = bpf_iter_num_next(&it);
	if (i)
		*i = 2;
	bpf_iter_num_destroy(&it);
	return 0;
}

// refused: invalid mem access 'scalar'
RULE number_after_the_end(struct pt_regs *ctx)
{
	struct bpf_iter_num it;
	int *i;

	bpf_iter_num_new(&it, 0, 3);
	i = bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return i ? *i : 0;
}
