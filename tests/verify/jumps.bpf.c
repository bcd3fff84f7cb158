/* SPDX-License-Identifier: MIT */
/* jumps - what a path knows, and where paths meet. */
#include "rules.h"

MAP(hash, HASH, __u64, struct pair, 4);
__u64 table[16];

// accepted
RULE correlated(struct pt_regs *ctx)
{
	__u64 key = UNKNOWN(ctx), x = PT_REGS_PARM2(ctx) & 1;
	struct pair *p = NULL;

	if (x) {
		p = bpf_map_lookup_elem(&hash, &key);
		if (!p)
			return 0;
	}
	USE(key);
	if (x)
		return p->a;
	return 0;
}

// refused: invalid mem access 'scalar'
NAKED not_correlated(void)
{
	asm volatile("r6 = *(u64 *)(r1 + 112); r7 = *(u64 *)(r1 + 104);"
		     "r0 = 0; r8 = 0; if r6 == 0 goto 1f; r8 = r10;"
		     "1: if r7 == 0 goto 2f; r0 = *(u64 *)(r8 - 8);"
		     "2: exit");
}

/* Copies of a number learn what is said of one of them. */
// accepted
NAKED copies(void)
{
	asm volatile("r2 = *(u64 *)(r1 + 112); r3 = r2; r0 = 0;"
		     "if r3 > 15 goto 1f; r2 <<= 3; r1 = %[table] ll; r1 += r2;"
		     "r0 = *(u64 *)(r1 + 0); 1: exit" ::[table] "i"(table));
}

// guards: 1
NAKED copies_no_more(void)
{
	asm volatile("r2 = *(u64 *)(r1 + 112); r3 = r2; r3 += 1; r0 = 0;"
		     "if r3 > 15 goto 1f; r2 <<= 3; r1 = %[table] ll; r1 += r2;"
		     "r0 = *(u64 *)(r1 + 0); 1: exit" ::[table] "i"(table));
}

// accepted
NAKED two_bounds(void)
{
	asm volatile("r2 = *(u64 *)(r1 + 112); r3 = *(u64 *)(r1 + 104);"
		     "r0 = 0; if r3 > 15 goto 1f; if r2 > r3 goto 1f;"
		     "r2 <<= 3; r1 = %[table] ll; r1 += r2;"
		     "r0 = *(u64 *)(r1 + 0); 1: exit" ::[table] "i"(table));
}

/* Which of two numbers it is does not matter until it is an index. */
// refused: invalid access to map value, value_size=128 off=160
NAKED it_matters_in_the_end(void)
{
	asm volatile("r2 = *(u64 *)(r1 + 112); r3 = 1; r0 = 0;"
		     "if r2 == 0 goto 1f; r3 = 20;"
		     "1: r0 += 1; r0 += 1; r0 += 1; if r2 == 7 goto 2f; r0 += 1;"
		     "2: r0 += 1; r0 += 1; r0 += 1; if r2 == 9 goto 3f; r0 += 1;"
		     "3: r0 += 1; r0 += 1; if r2 == 11 goto 4f; r0 += 1;"
		     "4: r3 <<= 3; r1 = %[table] ll; r1 += r3;"
		     "r0 = *(u64 *)(r1 + 0); exit" ::[table] "i"(table));
}

/* Twenty-six questions, and a sum of which nothing depends. */
#define IF(k)                                                                  \
	if (x & (1ul << (k))) {                                                \
		n += (k) * 3 + 1;                                              \
		asm volatile("" : "+r"(n));                                    \
	}
// accepted
RULE many_ways(struct pt_regs *ctx)
{
	__u64 x = UNKNOWN(ctx), n = 0;

	IF(0) IF(1) IF(2) IF(3) IF(4) IF(5) IF(6) IF(7) IF(8) IF(9) IF(10)
	IF(11) IF(12) IF(13) IF(14) IF(15) IF(16) IF(17) IF(18) IF(19) IF(20)
	IF(21) IF(22) IF(23) IF(24) IF(25)
	table[3] = n;
	return 0;
}

/* --- loops ------------------------------------------------------------- */

// accepted
RULE counted(struct pt_regs *ctx)
{
	__u64 sum = 0;

	for (int i = 0; i < 16; i++) {
		sum += table[i];
		asm volatile("" : "+r"(i));
	}
	return sum;
}

// guards: 1
RULE endless_perhaps(struct pt_regs *ctx)
{
	__u64 n = 0;

	while (UNKNOWN(ctx) != n) {
		n++;
		asm volatile("" : "+r"(n));
	}
	return n;
}

// refused: infinite loop detected
NAKED endless(void)
{
	asm volatile("r0 = 0; 1: r0 = 0; goto 1b");
}

// refused: infinite loop detected
NAKED endless_with_a_jump(void)
{
	asm volatile("r0 = *(u64 *)(r1 + 112); 1: r2 = 0; if r0 == 7 goto 1b;"
		     "goto 1b");
}

// guards: 1
NAKED endless_on_one_way(void)
{
	asm volatile("r0 = *(u64 *)(r1 + 112); 1: r2 = 0; if r0 == 7 goto 1b;"
		     "r0 = 0; exit");
}

/* The budget does not make an index right. */
// refused: invalid access to map value
NAKED endless_and_outside(void)
{
	asm volatile("r6 = *(u64 *)(r1 + 112); r1 = %[table] ll; r0 = 0;"
		     "1: *(u64 *)(r1 + 0) = r0; r1 += 8; r6 += 1;"
		     "if r6 != 7 goto 1b; exit" ::[table] "i"(table));
}
