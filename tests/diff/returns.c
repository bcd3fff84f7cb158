/* SPDX-License-Identifier: MIT */
/* returns.c - run the named cases, one after the other; see returns.h.
 * Each prints what it computes, so that a value that is lost shows, too.
 */
#define _GNU_SOURCE
#include "returns.h"

#include <ctype.h>
#include <execinfo.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- tail calls ---------------------------------------------------------- */

PROBED long tail_g(long x)
{
	HIDE(x);
	return x * 3;
}
PROBED long tail_f(long x)
{
	return tail_g(x + 1);
}
void run_tail(void)
{
	say("tail", tail_f(4) + tail_f(5));
}

/* Through a register and through memory. */
PROBED long indirect_a(long x)
{
	HIDE(x);
	return x + 1000;
}
PROBED long indirect_b(long x)
{
	HIDE(x);
	return x + 2000;
}
long (*volatile indirect_table[])(long) = { indirect_a, indirect_b };
struct ops {
	long pad;
	long (*call)(long);
};
PROBED long indirect_register(long (*call)(long), long x)
{
	return call(x);
}
PROBED long indirect_memory(const struct ops *ops)
{
	return ops->call(ops->pad);
}
PROBED long indirect_index(long i)
{
	return indirect_table[i & 1](i);
}
void run_indirect(void)
{
	struct ops ops = { 7, indirect_b };

	say("register", indirect_register(indirect_a, 4));
	say("memory", indirect_memory(&ops));
	say("index", indirect_index(2) + indirect_index(3));
}

/* To labels of its own, and by one of them out. */
PROBED long label_goto(const unsigned char *p)
{
	static void *const to[] = { &&one, &&three, &&odd, &&call, &&end };
	long x = 0;

	goto *to[*p++];
one:
	x += 1;
	goto *to[*p++];
three:
	x *= 3;
	goto *to[*p++];
odd:
	x ^= 0x1234567;
	goto *to[*p++];
call:
	return indirect_table[0](x);
end:
	return x;
}
PROBED long label_switch(long i, long x)
{
	switch (i) {
	case 0:
		return indirect_table[0](x);
	case 1:
		return x * 0x1234567;
	case 2:
		return indirect_table[1](x) + 1;
	case 3:
		return x ^ 0x7654321;
	case 4:
		return indirect_table[0](indirect_table[1](x));
	}
	return x;
}
void run_label(void)
{
	say("goto", label_goto((const unsigned char *)"\0\1\2\0\1\4"));
	say("out", label_goto((const unsigned char *)"\0\3"));
	for (long i = 0; i < 6; i++)
		say("switch", label_switch(i, 5));
}

/* Into another file, through the PLT or the GOT. */
PROBED int plt_upper(int c)
{
	return toupper(c);
}
PROBED char *plt_environment(const char *name)
{
	return getenv(name);
}
void run_plt(void)
{
	say("upper", plt_upper('a'));
	say("environment", plt_environment("RETURNS_NONE") == NULL);
}

/* More arguments than registers. */
PROBED long args_g(long a, long b, long c, long d, long e, long f, long g,
		   long h)
{
	HIDE(a);
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}
PROBED long args_f(long a, long b, long c, long d, long e, long f, long g,
		   long h)
{
	return args_g(h, g, f, e, d, c, b, a + 1);
}
void run_args(void)
{
	say("args", args_f(1, 2, 3, 4, 5, 6, 7, 8));
}

/* Each calls the other: jumps, once compilers optimise. */
PROBED long mutual_odd(long n);
PROBED long mutual_even(long n)
{
	HIDE(n);
	return n ? mutual_odd(n - 1) : 1;
}
PROBED long mutual_odd(long n)
{
	HIDE(n);
	return n ? mutual_even(n - 1) : 0;
}
void run_mutual(void)
{
	say("mutual", mutual_even(9));
}
PROBED long forth_ping(long n, long sum);
PROBED long forth_pong(long n, long sum)
{
	HIDE(sum);
	return n ? forth_ping(n - 1, sum + n) : sum;
}
PROBED long forth_ping(long n, long sum)
{
	HIDE(sum);
	return n ? forth_pong(n - 1, sum ^ n) : sum;
}
void run_forth(void)
{
	say("forth", forth_ping(3000, 0));
}

/* --- recursion ----------------------------------------------------------- */

PROBED long deep_down(long n)
{
	long r = 0;

	if (n)
		r = deep_down(n - 1);
	HIDE(r);
	return r + n;
}
void run_depth(void)
{
	say("depth", deep_down(60));
}
void run_deep(void)
{
	say("deep", deep_down(199));
}
/* --- frames that end without a return ------------------------------------ */

static jmp_buf jump_back;
PROBED void jump_g(int x)
{
	if (x)
		longjmp(jump_back, x);
}
PROBED int jump_f(int x)
{
	jump_g(x);
	HIDE(x);
	return x + 1;
}
void run_jump(void)
{
	volatile int n = 0;
	int from = setjmp(jump_back);

	if (n++ < 3)
		jump_f(n);
	say("jump", from * 100 + jump_f(0) * 10 + n);
}

/* What setjmp does: the second time it returns to where it did the first. */
static void *again_env[8];
PROBED long again_g(long x)
{
	HIDE(x);
	if (x < 3)
		twice_jump(again_env, x);
	return x;
}
__attribute__((noinline)) void run_again(void)
{
	volatile long n = 0, from = twice_set(again_env);

	if (n++ < 3)
		again_g(n);
	say("again", from * 100 + again_g(7));
}

PROBED _Noreturn void noreturn_die(int status)
{
	_exit(status);
}
PROBED int noreturn_f(int x)
{
	if (x)
		noreturn_die(x);
	return 2;
}
int status_of(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : 1000 + WTERMSIG(status);
}
void run_noreturn(void)
{
	pid_t pid = fork();

	if (!pid)
		exit(noreturn_f(7));
	say("noreturn", status_of(pid) * 10 + noreturn_f(0));
}

PROBED void exit_late(void)
{
	say("exit_late", 1);
}
PROBED int exit_f(int x)
{
	exit(x);
}
void run_exit(void)
{
	pid_t pid = fork();

	if (!pid) {
		atexit(exit_late);
		exit_f(9);
	}
	say("exit", status_of(pid));
}

PROBED int exec_f(int x)
{
	if (x)
		execl("/proc/self/exe", "returns", "exec_target", (char *)0);
	return 3;
}
PROBED int exec_g(int x)
{
	HIDE(x);
	return x + 1000;
}
void run_exec(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(exec_f(1));
	say("exec", status_of(pid) * 10 + exec_f(0));
}
void run_exec_target(void)
{
	say("exec_target", exec_g(4));
}

/* --- what a function takes and gives ------------------------------------- */

PROBED long value_varargs(int n, ...)
{
	va_list l;
	double d = 0;
	long sum = 0;

	va_start(l, n);
	for (int i = 0; i < n; i++) {
		sum += va_arg(l, long);
		d += va_arg(l, double);
	}
	va_end(l);
	return sum + (long)d;
}
struct two {
	long a, b;
};
struct many {
	long v[9];
};
PROBED struct two value_two(long x)
{
	struct two r = { x, x + 1 };

	HIDE(r.b);
	return r;
}
PROBED struct two value_two_tail(long x)
{
	return value_two(x + 1);
}
PROBED struct many value_many(long x)
{
	struct many r = { { x, x + 1, 0, 0, 0, 0, 0, 0, x + 2 } };

	HIDE(r.v[1]);
	return r;
}
PROBED long double value_long(long double x)
{
	return x * 1.25L;
}
PROBED double value_double(double x)
{
	__asm__ volatile("" : "+x"(x));
	return x / 3;
}
PROBED _Complex long double value_complex(long double x)
{
	return x + x * 2.0iF;
}
PROBED __int128 value_wide(long x)
{
	HIDE(x);
	return (__int128)x * 0x123456789abcdef0;
}
PROBED float value_float(float x)
{
	return value_double(x);
}
void run_value(void)
{
	struct two t = value_two_tail(3);
	struct many m = value_many(4);
	_Complex long double c = value_complex(1.5L);
	long double l = value_long(1.1L);
	double d = value_double(1.1);
	float f = value_float(2.5F);

	say("varargs", value_varargs(6, 1L, 1.5, 2L, 2.5, 3L, 3.5, 4L, 4.5, 5L,
				     5.5, 6L, 6.5));
	say("two", t.a * 100 + t.b);
	say("many", m.v[0] + 10 * m.v[1] + 100 * m.v[8]);
	printf("%.15Lf %.15f %.6f\n", l, d, (double)f);
	printf("%.6Lf %.6Lf\n", __real__ c, __imag__ c);
	say("wide", (long)(value_wide(-77777777777L) >> 60));
}

/* Where a function is called from, as it sees it. */
PROBED void *caller_of(void)
{
	return __builtin_return_address(0);
}
PROBED long caller_frames(void)
{
	void *at[20];
	int n = backtrace(at, 20);

	return n * 10 + (at[1] != NULL);
}
PROBED long caller_f(long x)
{
	long n = caller_frames();

	HIDE(n);
	return n + x;
}
void run_caller(void)
{
	char *at = caller_of(), *here = (char *)run_caller;

	say("caller", at > here && at < here + 1000);
	say("frames", caller_f(0) / 10 == caller_frames() / 10 + 1);
}

/* --- the rest ------------------------------------------------------------ */

PROBED int order_f(int x)
{
	HIDE(x);
	return x + 1000;
}
void run_order(void)
{
	say("order", order_f(1));
}

/* A part that is seldom run, and its own way out. */
__attribute__((cold, noinline)) static int seldom_run(int x)
{
	HIDE(x);
	return x * 777;
}
PROBED int seldom_f(int x)
{
	if (__builtin_expect(x > 3, 0))
		return seldom_run(x) + seldom_run(x + 1);
	HIDE(x);
	return x;
}
void run_seldom(void)
{
	say("seldom", seldom_f(2) + seldom_f(9));
}

static int first_value;
PROBED __attribute__((constructor)) void first_constructor(void)
{
	int five = 5;

	HIDE(five);
	first_value += five;
}
PROBED long first_chosen(long x)
{
	HIDE(x);
	return x + 1000;
}
typedef long first_fn(long);
PROBED first_fn *first_resolver(void)
{
	return first_chosen;
}
long first_ifunc(long) __attribute__((ifunc("first_resolver")));
void run_first(void)
{
	say("first", first_ifunc(1) + first_value);
}

#define ENTRY(name) { #name, run_##name },
static const struct {
	const char *name;
	void (*run)(void);
} cases[] = { CASES(ENTRY) };

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		size_t k, n = sizeof(cases) / sizeof(*cases);

		for (k = 0; k < n && strcmp(cases[k].name, argv[i]); k++)
			;
		if (k == n)
			return 2;
		cases[k].run();
	}
	return 0;
}
