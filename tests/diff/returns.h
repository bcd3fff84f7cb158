/* SPDX-License-Identifier: MIT */
/* returns.h - ways out of a function, one case each: returns.c and
 * returns_stacks.c have what C can do, returns.cc C++, returns.S the rest.
 * Case X runs run_X(); its probed functions are called X_something, but for
 * those that returns.sh adds.
 */
#ifndef RETURNS_H
#define RETURNS_H

#include <stdio.h>
#include <sys/types.h>

/* Nobody may know what the function does, nor make a copy of it. */
#ifdef __clang__
#define PROBED __attribute__((noinline))
#else
#define PROBED __attribute__((noipa))
#endif
/* Large constants make functions longer than four bytes: compilers put shorter
 * ones side by side, with no room for a jump.
 * What is before this is no tail call; nobody knows the value. */
#define HIDE(x) __asm__ volatile("" : "+r"(x) : : "memory")

// clang-format off
#define CASES(CASE) \
	/* returns.c */ \
	CASE(tail) CASE(indirect) CASE(label) CASE(plt) CASE(args) \
	CASE(mutual) CASE(forth) CASE(depth) CASE(deep) CASE(jump) CASE(again) \
	CASE(noreturn) CASE(exit) CASE(exec) CASE(exec_target) \
	CASE(value) CASE(caller) CASE(order) CASE(seldom) CASE(first) \
	/* returns_stacks.c */ \
	CASE(signal_same) CASE(signal_below) CASE(signal_above) CASE(leap) \
	CASE(context) CASE(swap) CASE(hand) CASE(fork) CASE(vfork) \
	CASE(clone) CASE(thread) CASE(crowd) CASE(end) CASE(cancel) \
	/* returns.cc */ \
	CASE(throw) CASE(within) CASE(rethrow) CASE(unwound) CASE(method) \
	/* returns.S */ \
	CASE(rets) CASE(out) CASE(thunk) CASE(popped) CASE(pushed) \
	CASE(carry) CASE(loop) CASE(fall) CASE(common) CASE(middle) CASE(part)
// clang-format on

#ifdef __cplusplus
extern "C" {
#endif

#define DECLARE(name) void run_##name(void);
CASES(DECLARE)

/* returns.S */
void switch_to(void **from, void *to);
long twice_set(void *env[8]);
void twice_jump(void *env[8], long value);

int status_of(pid_t pid); /* waits for its end */

static inline void say(const char *what, long value)
{
	printf("%s %ld\n", what, value);
	fflush(stdout);
}

#ifdef __cplusplus
}
#endif
#endif
