/* SPDX-License-Identifier: MIT */
/* effects.c - the processor is asked whether insn_effects() tells the truth.
 *
 * A traced child runs one instruction at a time.  Each runs twice: the second
 * time all registers that it is said not to read have other values, and so
 * have the flags if it is said not to read them.  Then
 *
 *   - a register it is said to write has the same value both times, and so
 *     have the flags that it is said to write, memory and xmm registers;
 *   - another register is unchanged, or it is said to read it (then the write
 *     is worth nothing: liveness asks for reads first).
 *
 * What would break a welded program is exactly what this sees: a register or
 * the flags called dead that are not.
 *
 * Instructions are random bytes behind a random opcode, of every map, with
 * and without prefixes; those that fault, branch or call the kernel are left
 * out, as are the few whose results change by themselves.  A longer run:
 * unit-effects COUNT SEED.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rewriter/site/insn.h"

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

enum {
	DATA_SIZE = 1 << 15,
	CODE_SIZE = 4096,
	LONGEST = 15
};
enum {
	SIX = 0x8d5,
	RESERVED = 0x202,
	STEPS = 8
};
#define DATA UINT64_C(0x20000000)
#define CODE UINT64_C(0x10000000)

static uint8_t *data, *code, pristine[DATA_SIZE];
static pid_t child;
static uint64_t seed = 1;
static unsigned count = 12000, checked;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* --- the child ---------------------------------------------------------- */

static void *shared(uint64_t at, size_t n)
{
	void *p = mmap((void *)at, n, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_true(p == (void *)at);
	return p;
}

static void child_start(void)
{
	int st;

	child = fork();
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0)
			raise(SIGSTOP);
		_exit(1);
	}
	assert_true(waitpid(child, &st, 0) == child);
	if (!WIFSTOPPED(st)) {
		print_message("skipped: processes cannot be traced here\n");
		skip();
	}
}

static unsigned long long *reg_of(struct user_regs_struct *u, int r)
{
	unsigned long long *const at[NREG] = {
		&u->rax, &u->rcx, &u->rdx, &u->rbx, &u->rsp, &u->rbp,
		&u->rsi, &u->rdi, &u->r8,  &u->r9,  &u->r10, &u->r11,
		&u->r12, &u->r13, &u->r14, &u->r15,
	};

	return at[r];
}

struct state {
	struct user_regs_struct u;
	struct user_fpregs_struct fp;
	uint8_t mem[DATA_SIZE];
};

/* Run the instruction at CODE from s; false: it does not end normally. */
static bool run(struct state *s, unsigned len)
{
	int st;

	memcpy(data, pristine, DATA_SIZE);
	if (ptrace(PTRACE_SETREGS, child, 0, &s->u) ||
	    ptrace(PTRACE_SETFPREGS, child, 0, &s->fp))
		return false;
	for (int i = 0; i < STEPS; i++) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, 0, 0), 0);
		assert_true(waitpid(child, &st, 0) == child);
		if (!WIFSTOPPED(st) || WSTOPSIG(st) != SIGTRAP)
			return false;
		ptrace(PTRACE_GETREGS, child, 0, &s->u);
		if (s->u.rip == CODE + len)
			break;
	}
	ptrace(PTRACE_GETFPREGS, child, 0, &s->fp);
	memcpy(s->mem, data, DATA_SIZE);
	return s->u.rip == CODE + len;
}

/* --- what to run -------------------------------------------------------- */

static uint64_t value(void)
{
	uint64_t v = rnd();

	switch (v >> 60) {
	case 0:
	case 1:
		return v & 0xff;
	case 2:
		return 0;
	case 3:
	case 4:
		return v << 4;
	}
	return DATA + DATA_SIZE / 4 + (v & (DATA_SIZE / 2 - 1) & ~7u);
}

static void make(uint8_t *p)
{
	static const uint8_t prefix[] = { 0x66, 0xf2, 0xf3, 0x67, 0xf0 };
	static const uint8_t vex[] = { 0xc4, 0xc5, 0x62 };
	uint64_t v = rnd();
	unsigned n = 0;

	if (v % 4 == 0)
		p[n++] = prefix[(v >> 8) % sizeof(prefix)];
	if (v % 3)
		p[n++] = 0x40 | (v >> 16 & 15);
	if (v % 32 == 1)
		p[n++] = vex[(v >> 32) % sizeof(vex)];
	else if ((v >> 20) % 2)
		p[n++] = 0x0f;
	for (; n < LONGEST; n++)
		p[n] = (uint8_t)rnd();
	/* Displacements stay small. */
	if (v >> 40 & 1)
		memset(p + LONGEST - 10 + (v >> 41 & 3), 0, 7);
}

/* Clocks, random numbers and processor numbers; what a tracer changes, or asks
 * the hypervisor; memory that is not ours. */
static bool fickle(const uint8_t *p, unsigned len)
{
	static const char *const names[] = { "rdtsc",  "rdrand",  "rdseed",
					     "rdpid",  "cpuid",   "rdpmc",
					     "xgetbv", "pushf",   "popf",
					     "clzero", "vmmcall", "vmcall",
					     "%fs:",   "%gs:",
					     /* With UMIP the kernel does these,
						in its own way. */
					     "str ",   "sldt ",  "smsw ",
					     "sgdt ",  "sidt " };
	char text[96];

	insn_print(p, len, CODE, text, sizeof(text));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strstr(text, names[i]))
			return true;
	return false;
}

static void state_make(struct state *s, const struct user_regs_struct *base,
		       const struct user_fpregs_struct *fp, bool rep)
{
	s->u = *base;
	s->fp = *fp;
	for (int r = 0; r < NREG; r++)
		*reg_of(&s->u, r) = value();
	if (rep)
		s->u.rcx = rnd() % 4;
	s->u.rsp = DATA + DATA_SIZE / 2;
	s->u.rip = CODE;
	s->u.eflags = RESERVED | (rnd() & SIX);
	s->u.orig_rax = -1ull;
	for (unsigned i = 0; i < sizeof(fp->xmm_space) / 4; i++)
		s->fp.xmm_space[i] = (unsigned)rnd();
}

static void state_vary(struct state *s, const struct effects *fx)
{
	for (int r = 0; r < NREG; r++)
		if (r != RSP && !(fx->reads & REG_BIT(r)))
			*reg_of(&s->u, r) = value();
	if (!fx->reads_flags)
		s->u.eflags = RESERVED | (rnd() & SIX);
}

static void wrong(const uint8_t *p, unsigned len, const char *what, int r)
{
	char text[96];

	insn_print(p, len, CODE, text, sizeof(text));
	print_error("%s (", text);
	for (unsigned i = 0; i < len; i++)
		print_error("%s%02x", i ? " " : "", p[i]);
	print_error("): %s, register %d\n", what, r);
	fail();
}

static void compare(const uint8_t *p, unsigned len, const struct effects *fx,
		    struct state *in, struct state *a, struct state *b,
		    struct state *in2)
{
	for (int r = 0; r < NREG; r++) {
		uint64_t va = *reg_of(&a->u, r), vb = *reg_of(&b->u, r);

		if (fx->writes & REG_BIT(r)) {
			if (va != vb)
				wrong(p, len, "reads more than it says", r);
		} else if (!(fx->reads & REG_BIT(r)) &&
			   (va != *reg_of(&in->u, r) ||
			    vb != *reg_of(&in2->u, r))) {
			wrong(p, len, "writes more than it says", r);
		}
	}
	if (fx->writes_flags && (a->u.eflags ^ b->u.eflags) & SIX)
		wrong(p, len, "leaves flags, or reads more", -1);
	if (memcmp(a->mem, b->mem, DATA_SIZE))
		wrong(p, len, "stores something else", -1);
	if (memcmp(a->fp.xmm_space, b->fp.xmm_space, sizeof(a->fp.xmm_space)))
		wrong(p, len, "another xmm register", -1);
}

static void one(const struct user_regs_struct *base,
		const struct user_fpregs_struct *fp)
{
	static struct state in, in2, a, b;
	uint8_t p[LONGEST];
	struct effects fx;
	struct insn x;

	make(p);
	if (!insn_decode(p, LONGEST, CODE, &x) || x.flow != FLOW_NEXT ||
	    x.rip_off || !insn_effects(p, x.len, &fx) || fickle(p, x.len))
		return;
	memcpy(code, p, x.len);
	for (int round = 0; round < 2; round++) {
		state_make(&in, base, fp, x.prefixed);
		a = in2 = in;
		state_vary(&in2, &fx);
		b = in2;
		if (!run(&a, x.len) || !run(&b, x.len))
			return;
		compare(p, x.len, &fx, &in, &a, &b, &in2);
		checked++;
	}
}

static void processor_agrees(void **state)
{
	static struct user_regs_struct base;
	static struct user_fpregs_struct fp;

	(void)state;
#ifdef SANITIZED
	print_message("skipped: under the address sanitizer stray accesses hit "
		      "its shadow memory instead of faulting\n");
	skip();
#endif
	code = shared(CODE, CODE_SIZE);
	data = shared(DATA, DATA_SIZE);
	for (unsigned i = 0; i < DATA_SIZE; i += 8) {
		uint64_t v = i % 5 ? rnd() : 0;

		memcpy(pristine + i, &v, 8);
	}
	child_start();
	ptrace(PTRACE_GETREGS, child, 0, &base);
	ptrace(PTRACE_GETFPREGS, child, 0, &fp);
	for (unsigned i = 0; i < count; i++)
		one(&base, &fp);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	print_message("%u of %u instructions compared\n", checked / 2, count);
	assert_true(checked > count / 4);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processor_agrees),
	};

	if (argc > 1)
		count = (unsigned)strtoul(argv[1], NULL, 0);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0) * 2 + 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
