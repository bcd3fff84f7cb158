/* SPDX-License-Identifier: MIT */
/* memory - what loads and stores may touch. */
#include "rules.h"

MAP(array, ARRAY, __u32, struct pair, 4);
MAP(hash, HASH, __u64, struct pair, 4);
MAP(readonly, ARRAY, __u32, __u64, 4, __uint(map_flags, BPF_F_RDONLY_PROG););
MAP(writeonly, ARRAY, __u32, __u64, 4, __uint(map_flags, BPF_F_WRONLY_PROG););
__u64 table[16];
const volatile __u64 frozen[4] = { 7, 7, 7, 7 };

/* --- values ------------------------------------------------------------ */

// refused: R0 invalid mem access 'map_value_or_null'
RULE not_compared(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	p->a = 1;
	return 0;
}

// accepted
RULE compared(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	if (p)
		p->b = 1;
	return 0;
}

// refused: invalid mem access 'scalar'
RULE compared_wrongly(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	if (!p)
		p->b = 1;
	return 0;
}

// accepted
RULE compared_through_a_copy(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	struct pair *p = bpf_map_lookup_elem(&hash, &key), *q = p;

	USE(q);
	if (!q)
		return 0;
	return p->a;
}

// refused: it reads 8 bytes at 16, 'hash' has 16
RULE behind_a_value(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	return p ? (&p->b)[1] : 0;
}

// refused: it reads 8 bytes at -8, 'hash' has 16
RULE before_a_value(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	return p ? (&p->a)[-1] : 0;
}

// accepted
RULE indexed(struct pt_regs *ctx)
{
	__u64 i = UNKNOWN(ctx);

	if (i < 16)
		table[i]++;
	return 0;
}

// accepted
RULE masked(struct pt_regs *ctx)
{
	return table[UNKNOWN(ctx) & 15];
}

// guards: 1
RULE indexed_unchecked(struct pt_regs *ctx)
{
	return table[UNKNOWN(ctx)];
}

// guards: 1
RULE indexed_by_too_many(struct pt_regs *ctx)
{
	__u64 i = UNKNOWN(ctx);

	if (i < 17)
		table[i]++;
	return 0;
}

// refused: invalid access to map value, value_size=128 off=128 size=8
NAKED indexed_outside(void)
{
	asm volatile("r2 = *(u64 *)(r1 + 112); r2 &= 15; r2 += 16; r2 <<= 3;"
		     "r1 = %[table] ll; r1 += r2; r0 = *(u64 *)(r1 + 0);"
		     "exit" ::[table] "i"(table));
}

// refused: write into map forbidden
NAKED frozen_written(void)
{
	asm volatile("r1 = %[frozen] ll; r0 = 0; *(u64 *)(r1 + 8) = r0;"
		     "exit" ::[frozen] "i"(frozen));
}

// accepted
RULE frozen_read(struct pt_regs *ctx)
{
	return table[frozen[2]];
}

// refused: write into map forbidden
RULE readonly_written(struct pt_regs *ctx)
{
	__u32 key = UNKNOWN(ctx);
	__u64 *v = bpf_map_lookup_elem(&readonly, &key);

	if (v)
		*v = 1;
	return 0;
}

// refused: read from map forbidden
RULE writeonly_read(struct pt_regs *ctx)
{
	__u32 key = UNKNOWN(ctx);
	__u64 *v = bpf_map_lookup_elem(&writeonly, &key);

	return v ? *v : 0;
}

// refused: R1 invalid mem access 'scalar'
NAKED number_read(void)
{
	asm volatile("r1 = *(u64 *)(r1 + 112); r0 = *(u64 *)(r1 + 0); exit");
}

// refused: misaligned value access off 4 size 8
RULE atomic_misaligned(struct pt_regs *ctx)
{
	__u64 *p = (__u64 *)((char *)table + 4);

	__sync_fetch_and_add(p, 1);
	return 0;
}

/* --- ctx --------------------------------------------------------------- */

// accepted
NAKED ctx_read(void)
{
	asm volatile("r0 = *(u64 *)(r1 + 160); exit");
}

// refused: invalid bpf_context access off=168 size=8
NAKED ctx_behind(void)
{
	asm volatile("r0 = *(u64 *)(r1 + 168); exit");
}

// refused: invalid bpf_context access off=4 size=8
NAKED ctx_misaligned(void)
{
	asm volatile("r0 = *(u64 *)(r1 + 4); exit");
}

// refused: ctx is read only
NAKED ctx_written(void)
{
	asm volatile("r0 = 0; *(u64 *)(r1 + 8) = r0; exit");
}

/* Never reached; but what is certain is looked at before any path is. */
// ours: refused: ctx is read only
NAKED ctx_written_in_dead_code(void)
{
	asm volatile("r0 = *(u64 *)(r1 + 112); r0 &= 3; if r0 < 4 goto 1f;"
		     "*(u64 *)(r1 + 8) = r0; 1: exit");
}

// refused: dereference of modified ctx ptr R1
NAKED ctx_moved(void)
{
	asm volatile("r1 += 8; r0 = *(u64 *)(r1 + 0); exit");
}

/* --- the stack --------------------------------------------------------- */

// accepted
NAKED spilled(void)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r2 = *(u64 *)(r10 - 8);"
		     "r0 = *(u64 *)(r2 + 8); exit");
}

// refused: it was overwritten there
NAKED spilled_and_spoilt(void)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r3 = 0; *(u8 *)(r10 - 5) = r3;"
		     "r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 8); exit");
}

// refused: what R2 was went by bpf_probe_read_user at
NAKED spilled_and_given(void)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8; r2 = 4;"
		     "r3 = 0; call 112;"
		     "r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 8); exit");
}

/* (A number was put there on purpose.) */
// refused: read what it may point to by bpf_probe_read_user()
NAKED spilled_and_replaced(void)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r2 = *(u64 *)(r1 + 8);"
		     "*(u64 *)(r10 - 8) = r2;"
		     "r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 8); exit");
}

// refused: invalid size of register fill
NAKED spilled_and_halved(void)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r0 = *(u32 *)(r10 - 8); exit");
}

// accepted
NAKED spilled_number(void)
{
	asm volatile("r2 = 3; *(u32 *)(r10 - 8) = r2; r3 = *(u32 *)(r10 - 8);"
		     "r3 <<= 3; r1 = %[table] ll; r1 += r3;"
		     "r0 = *(u64 *)(r1 + 0); exit" ::[table] "i"(table));
}

// accepted
NAKED spilled_below_bounds(void)
{
	asm volatile("r2 = *(u64 *)(r1 + 112); *(u64 *)(r10 - 8) = r2;"
		     "if r2 > 15 goto 1f; r3 = *(u64 *)(r10 - 8); r3 <<= 3;"
		     "r1 = %[table] ll; r1 += r3; r0 = *(u64 *)(r1 + 0); exit;"
		     "1: r0 = 0; exit" ::[table] "i"(table));
}

// refused: invalid write to stack R10 off=-520 size=8: the stack is from -512 to 0
NAKED stack_too_low(void)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 520) = r0; exit");
}

// refused: invalid write to stack R10 off=0 size=8
NAKED stack_too_high(void)
{
	asm volatile("r0 = 0; *(u64 *)(r10 + 0) = r0; exit");
}

/* No number is the negative of this one. */
// refused: invalid read from stack R1 off=-9223372036854775808
NAKED stack_as_low_as_can_be(void)
{
	asm volatile("r2 = 0x8000000000000000 ll; r1 = r10; r1 += r2;"
		     "r0 = *(u64 *)(r1 + 0); exit");
}

// refused: misaligned stack access off -12 size 8
NAKED stack_misaligned(void)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 12) = r0; exit");
}

// accepted
RULE stack_indexed(struct pt_regs *ctx)
{
	char buf[16] = {};
	__u64 i = UNKNOWN(ctx) & 15;

	USE(buf);
	buf[i] = 1;
	USE(buf);
	return buf[i];
}

/* By more bits than there are: nobody knows where that is. */
// guards: 1
NAKED stack_indexed_by_a_wide_shift(void)
{
	asm volatile("r4 = -128; r4 s>>= r4; r4 <<= 1; r1 = r10; r1 += -64;"
		     "r4 += r1; r0 = *(u16 *)(r4 + 0); exit;");
}

// guards: 1
RULE stack_indexed_unchecked(struct pt_regs *ctx)
{
	char buf[16] = {};
	__u64 i = UNKNOWN(ctx);

	USE(buf);
	buf[i] = 1;
	USE(buf);
	return 0;
}

// refused: it was overwritten there
NAKED stack_index_spoils_spills(void)
{
	asm volatile("r2 = *(u64 *)(r1 + 112); r2 &= 15; *(u64 *)(r10 - 8) = r1;"
		     "*(u64 *)(r10 - 16) = r1; r3 = r10; r3 += -16; r3 += r2;"
		     "r4 = 0; *(u8 *)(r3 + 0) = r4; r5 = *(u64 *)(r10 - 8);"
		     "r0 = *(u64 *)(r5 + 8); exit");
}

/* --- arithmetic on addresses -------------------------------------------- */

// refused: R1 pointer arithmetic with *= operator prohibited: only += and -=
NAKED multiplied(void)
{
	asm volatile("r1 = r10; r1 *= 2; r0 = 0; exit");
}

// refused: R1 bitwise operator &= on pointer prohibited: only += and -=
NAKED anded(void)
{
	asm volatile("r1 = r10; r1 &= -8; r0 = 0; exit");
}

// refused: R2 bitwise operator |= on pointer prohibited: R2 came from bpf_map_lookup_elem
RULE ored_into_a_number(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	register void *p asm("r2") = bpf_map_lookup_elem(&hash, &key);

	if (!p)
		return 0;
	asm volatile("r3 = 1; r3 |= %0" ::"r"(p) : "r3");
	return 0;
}

// refused: R1 pointer += pointer prohibited: of two, there is only
NAKED added(void)
{
	asm volatile("r1 += r10; r0 = 0; exit");
}

// accepted
NAKED subtracted(void)
{
	asm volatile("r2 = r10; r2 -= r10; r0 = r2; exit");
}

// refused: R1 tried to subtract pointer from scalar
NAKED subtracted_from_a_number(void)
{
	asm volatile("r1 = 8; r1 -= r10; r0 = 0; exit");
}

// refused: R1 subtraction from stack pointer prohibited: add the negative
NAKED subtracted_from_the_stack(void)
{
	asm volatile("r1 = r10; r1 -= 8; r0 = 0; exit");
}

// refused: it can only be passed on as it is
NAKED map_moved(void)
{
	asm volatile("r1 = %[hash] ll; r1 += 8; r0 = 0; exit" ::[hash] "i"(
		&hash));
}

// refused: is not allowed: it leads far outside
NAKED moved_far(void)
{
	asm volatile("r1 = r10; r1 += 0x40000000; r0 = 0; exit");
}

// refused: R1 32-bit pointer arithmetic prohibited: calculate in 64 bits
NAKED added_in_half(void)
{
	asm volatile("r1 = r10; w1 += 8; r0 = 0; exit");
}

// refused: pointer arithmetic on map_value_or_null prohibited, null-check it
RULE moved_before_compared(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx);
	char *p = bpf_map_lookup_elem(&hash, &key);

	asm volatile("%0 += 8" : "+r"(p));
	return p ? *p : 0;
}

// refused: R3 !read_ok
NAKED unset(void)
{
	asm volatile("r0 = r3; exit");
}

// refused: R2 !read_ok
NAKED unset_on_one_way(void)
{
	asm volatile("r0 = *(u64 *)(r1 + 112); if r0 == 0 goto 1f; r2 = 1;"
		     "1: r0 = r2; exit");
}

/* What a session keeps lies behind the registers; half of its address is none.
 */
// refused: invalid bpf_context access off=184 size=4
SESSION part_of_a_cookie(struct pt_regs *ctx)
{
	asm volatile("r2 = *(u32 *)(%[ctx] + 184);"
		     "*(u64 *)(r2 + 0) = r2;"
		     :
		     : [ctx] "r"(ctx)
		     : "r2");
	return 0;
}

/* Our objects may be at low addresses, where something far below one is NULL; the
 * kernel's never are. */
// ours: refused: R3 invalid mem access 'scalar'
NAKED null_by_arithmetic(void)
{
	asm volatile("r1 = %[table] ll; r1 += -0x4b9080; if r1 == 0 goto 1f;"
		     "r0 = 0; exit; 1: r3 = 0x4141 ll; *(u64 *)(r3 + 0) = r3;"
		     "r0 = 0; exit" ::[table] "i"(&table));
}

// ours: refused: R6 invalid mem access 'map_value_or_null'
NAKED equal_to_null_by_arithmetic(void)
{
	asm volatile("r1 = 7; *(u64 *)(r10 - 8) = r1; r2 = r10; r2 += -8;"
		     "r1 = %[hash] ll; call 1; r6 = r0; r1 = %[table] ll;"
		     "r1 += -0x4b9080; if r6 != r1 goto 1f; r0 = *(u64 *)(r6 + 0);"
		     "1: r0 = 0; exit" ::[hash] "i"(&hash),
		     [table] "i"(&table));
}

// accepted
NAKED not_null_where_it_is(void)
{
	asm volatile("r1 = %[table] ll; r1 += 8; if r1 == 0 goto 1f; r0 = 0; exit;"
		     "1: r3 = 0x4141 ll; *(u64 *)(r3 + 0) = r3; r0 = 0; exit" ::
			     [table] "i"(&table));
}

// refused: invalid size of register spill
NAKED half_a_pointer(void)
{
	asm volatile("*(u32 *)(r10 - 8) = r1; r0 = 0; exit;");
}
