/* SPDX-License-Identifier: MIT */
/* lent - what a helper gives a callback is gone when that returns, though it
 * was left on the stack of who called the helper. */
#include "rules.h"

#define LENT static __attribute__((noinline, used, naked)) int

RING(ring, USER_RINGBUF);
MAP(array, ARRAY, __u32, __u64, 4);
MAP(hash, HASH, __u64, __u64, 4);

/* *ctx = dynptr */
LENT leave_dynptr(void)
{
	asm volatile("*(u64 *)(r2 + 0) = r1;"
		     "r0 = 0;"
		     "exit;");
}

// refused: expected pointer to stack or const struct bpf_dynptr
NAKED dynptr_afterwards(void)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "r1 = %[ring] ll;"
		     "r2 = leave_dynptr ll;"
		     "r3 = r10; r3 += -8; r4 = 0;"
		     "call 209;"
		     "r1 = *(u64 *)(r10 - 8);"
		     "if r1 == 0 goto 1f;"
		     "r2 = 0; r3 = 8;"
		     "call 203;"
		     "1: r0 = 0;"
		     "exit;"
		     :
		     : [ring] "i"(&ring));
}

/* *ctx = bpf_dynptr_data(dynptr, 0, 8) */
LENT leave_data(void)
{
	asm volatile("r6 = r2;"
		     "r2 = 0; r3 = 8;"
		     "call 203;"
		     "if r0 == 0 goto 1f;"
		     "*(u64 *)(r6 + 0) = r0;"
		     "1: r0 = 0;"
		     "exit;");
}

/* (The kernel does not come to it: "too complex".) */
// refused: it was lent to the callback only
NAKED data_afterwards(void)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "r1 = %[ring] ll;"
		     "r2 = leave_data ll;"
		     "r3 = r10; r3 += -8; r4 = 0;"
		     "call 209;"
		     "r1 = *(u64 *)(r10 - 8);"
		     "if r1 == 0 goto 1f;"
		     "*(u64 *)(r1 + 0) = r1;"
		     "1: r0 = 0;"
		     "exit;"
		     :
		     : [ring] "i"(&ring));
}

/* *ctx = key; the value is the map's own. */
LENT leave_key(void)
{
	asm volatile("*(u64 *)(r4 + 0) = r2;"
		     "r0 = 0;"
		     "exit;");
}

/* (An array's key is a variable of the helper's, in the kernel, too.) */
// ours: refused: it was lent to the callback only
NAKED key_afterwards(void)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "r1 = %[array] ll;"
		     "r2 = leave_key ll;"
		     "r3 = r10; r3 += -8; r4 = 0;"
		     "call 164;"
		     "r1 = *(u64 *)(r10 - 8);"
		     "if r1 == 0 goto 1f;"
		     "r0 = *(u32 *)(r1 + 0);"
		     "1: r0 = 0;"
		     "exit;"
		     :
		     : [array] "i"(&array));
}

LENT leave_value(void)
{
	asm volatile("*(u64 *)(r4 + 0) = r3;"
		     "r0 = 0;"
		     "exit;");
}

// accepted
NAKED value_afterwards(void)
{
	asm volatile("r1 = 0;"
		     "*(u64 *)(r10 - 8) = r1;"
		     "r1 = %[hash] ll;"
		     "r2 = leave_value ll;"
		     "r3 = r10; r3 += -8; r4 = 0;"
		     "call 164;"
		     "r1 = *(u64 *)(r10 - 8);"
		     "if r1 == 0 goto 1f;"
		     "r0 = *(u64 *)(r1 + 0);"
		     "1: r0 = 0;"
		     "exit;"
		     :
		     : [hash] "i"(&hash));
}
