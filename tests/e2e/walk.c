/* SPDX-License-Identifier: MIT */
/* walk.c - a program that single-steps itself, and at every instruction asks
 * libgcc who called.
 *
 * The trap flag raises SIGTRAP behind each instruction.  The handler unwinds
 * from there and notes the return addresses, the frames' addresses and the
 * registers that callees have to keep, as the unwinder finds them in every
 * caller; code that stands behind the program (bpfweld's) is passed over.
 * While one function runs all this stays the same, so what is printed is a
 * line for each call and each return.  A welded program prints the same lines,
 * or the unwinder was led astray somewhere in a trampoline.
 *
 * The functions w_* have frames of every kind that compilers make.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

enum { LINE = 4096, LINES = 4096, DEEPEST = 24, TRAP_FLAG = 0x100 };

extern char end[]; /* of the program; new code begins behind it */
#define NEW_CODE_END ((uintptr_t)end + (16 << 20))
int main(void);
static char line[LINES][LINE];
static size_t lines;
static unsigned long steps, lost;

struct walk {
	uintptr_t from; /* the interrupted instruction */
	char *to;
	int frame;      /* -1: still in the handler's own frames */
	int at_main;
};

static void note(struct walk *w, struct _Unwind_Context *c, uintptr_t ip)
{
	static const struct {
		const char *name;
		int dwarf;
	} kept[] = { { "bx", 3 }, { "bp", 6 }, { "12", 12 },
		     { "13", 13 }, { "14", 14 }, { "15", 15 } };

	w->to += sprintf(w->to, "%lx sp %lx", (unsigned long)ip,
			 (unsigned long)_Unwind_GetCFA(c));
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		w->to += sprintf(w->to, " %s %lx", kept[i].name,
				 (unsigned long)_Unwind_GetGR(c, kept[i].dwarf));
	w->to += sprintf(w->to, "; ");
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *c, void *arg)
{
	struct walk *w = arg;
	int before;
	uintptr_t ip = _Unwind_GetIPInfo(c, &before);
	void *f = _Unwind_FindEnclosingFunction((void *)(ip - !before));

	if (w->frame < 0 && !(before && ip == w->from))
		return _URC_NO_REASON;
	w->at_main = f == (void *)main;
	if (++w->frame > 0 && (ip < (uintptr_t)end || ip > NEW_CODE_END))
		note(w, c, ip);
	return w->at_main || w->frame > DEEPEST ? _URC_END_OF_STACK
						: _URC_NO_REASON;
}

static void trap(int sig, siginfo_t *si, void *uc)
{
	struct walk w = { .frame = -1 };

	(void)sig;
	(void)si;
	if (lines == LINES)
		return;
	w.from = (uintptr_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
	w.to = line[lines];
	steps++;
	_Unwind_Backtrace(visit, &w);
	if (!w.at_main) {
		lost++;
		sprintf(w.to, "lost at %lx", (unsigned long)w.from);
	}
	if (!lines || strcmp(line[lines], line[lines - 1]))
		lines++;
}

static inline __attribute__((always_inline)) void step(int on)
{
	if (on)
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq\n"
				 "orq %0, (%%rsp); popfq\n"
				 "lea 128(%%rsp), %%rsp"
				 : : "i"(TRAP_FLAG) : "cc", "memory");
	else
		__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq\n"
				 "andq %0, (%%rsp); popfq\n"
				 "lea 128(%%rsp), %%rsp"
				 : : "i"(~TRAP_FLAG) : "cc", "memory");
}

#define FUNC __attribute__((noinline, noclone, noipa)) long
#ifdef __clang__
#undef FUNC
#define FUNC __attribute__((noinline)) long
#endif

FUNC w_leaf(long x)
{
	volatile long red[4] = { x, 1, 2, 3 };

	return red[0] * 3 + red[2];
}

FUNC w_saves(long a, long b, long c)
{
	long s = w_leaf(a) + c;

	s ^= w_leaf(b + s);
	return s * a + b - c + w_leaf(s);
}

FUNC w_frame(long n) /* the frame is found by rbp */
{
	volatile char *p = alloca((size_t)n + 16);

	p[0] = (char)n;
	p[n] = 2;
	return p[0] + w_saves(p[n], n, 3);
}

FUNC w_many(long a, long b, long c, long d, long e, long f, long g, long h)
{
	return w_leaf(a + b) + c - d + e * f + w_leaf(g) + h;
}

FUNC w_pushes(long x) /* rsp moves before the call */
{
	return w_many(x, 1, 2, 3, 4, 5, 6, 7) +
	       w_many(1, 2, x, 4, 5, x, 7, 8);
}

FUNC w_aligned(long a, long b, long c, long d, long e, long f, long g)
{
	_Alignas(64) volatile long v[8] = { a, b, c, d };

	v[a & 7] += w_leaf(e) + f + g;
	return v[0] + w_leaf(v[3]) + ((uintptr_t)v & 63);
}

FUNC w_tail(long x)
{
	return w_frame(x & 31);
}

FUNC w_recurse(long n)
{
	long mine = n * 7;

	if (n <= 0)
		return w_tail(5);
	return w_recurse(n - 1) + mine;
}

static long (*volatile table[3])(long) = { w_leaf, w_tail, w_pushes };

FUNC w_indirect(long x)
{
	long (*f)(long) = table[x % 3];
	long s = table[(x + 1) % 3](x);

	return f(s & 15) + s;
}

FUNC w_switch(long x)
{
	switch (x) {
	case 0: return w_leaf(9);
	case 1: return 17;
	case 2: return w_leaf(2) + 1;
	case 3: return x * x;
	default: return w_leaf(x) * 3;
	}
}

FUNC all(void)
{
	long s = w_leaf(1);

	s += w_saves(1, 2, 3) + w_pushes(3);
	s += w_aligned(1, 2, 3, 4, 5, 6, 7) + w_recurse(1);
	s += w_indirect(0) + w_indirect(2);
	for (long i = 0; i < 5; i++)
		s ^= w_switch(i);
	return s;
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO };
	long s;

	sigaction(SIGTRAP, &sa, NULL);
	step(1);
	s = all();
	step(0);
	for (size_t i = 0; i < lines; i++)
		puts(line[i]);
	printf("%ld\n", s);
	fprintf(stderr, "%lu steps, %lu lost\n", steps, lost);
	return lines == LINES || lost;
}
