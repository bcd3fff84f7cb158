/* SPDX-License-Identifier: MIT */
/* stress-run.c - call each function that stress.py made with random registers,
 * flags, xmm registers, stack and memory, and print a hash of all that it left:
 * a welded run has to print the same.  A leaf's red zone counts, unless there
 * is an argument: a return that is seen behind the ret overwrites what is below
 * the stack then.  Flags do not count, as a call preserves none: functions show
 * theirs in registers and memory.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	STACK = 16384,
	SP = STACK - 1024,
	RED = 128,
	ROUNDS = 3
};

struct cpu {
	uint64_t r[16]; /* in encoding order; rsp is not looked at */
	uint64_t flags;
	uint8_t xmm[256];
};
extern const struct {
	void (*fn)(void);
	uint64_t leaf; /* what is below its return address counts */
} functions[];
extern const uint64_t nfunctions;
uint8_t buf[4096] __attribute__((aligned(64)));
int turns;
static uint8_t stack[STACK] __attribute__((aligned(64)));
static uint64_t seed;
static int below = 1; /* what is below the caller's stack counts */

/* All of *cpu into the processor, on another stack; and back. */
void run(void (*fn)(void), struct cpu *cpu, void *sp);
asm(".text\n.type run, @function\nrun:\n"
    "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, own_sp(%rip)\nmov %rsi, own_cpu(%rip)\n"
    "mov %rdi, own_fn(%rip)\nmov %rdx, %rsp\nmov %rsi, %rax\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "movups 136+16*\\n(%rax), %xmm\\n\n.endr\n"
    "pushq 128(%rax)\npopfq\n"
    "mov 8(%rax), %rcx\nmov 16(%rax), %rdx\nmov 24(%rax), %rbx\n"
    "mov 40(%rax), %rbp\nmov 48(%rax), %rsi\nmov 56(%rax), %rdi\n"
    ".irp n,8,9,10,11,12,13,14,15\nmov 8*\\n(%rax), %r\\n\n.endr\n"
    "mov (%rax), %rax\ncall *own_fn(%rip)\n"
    "mov %rax, own_fn(%rip)\nmov own_cpu(%rip), %rax\n"
    "mov %rcx, 8(%rax)\nmov %rdx, 16(%rax)\nmov %rbx, 24(%rax)\n"
    "mov %rsp, 32(%rax)\nmov %rbp, 40(%rax)\nmov %rsi, 48(%rax)\n"
    "mov %rdi, 56(%rax)\n"
    ".irp n,8,9,10,11,12,13,14,15\nmov %r\\n, 8*\\n(%rax)\n.endr\n"
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "movups %xmm\\n, 136+16*\\n(%rax)\n.endr\n"
    "mov own_fn(%rip), %rcx\nmov %rcx, (%rax)\n"
    "mov own_sp(%rip), %rsp\n" /* leaves the other stack as it is */
    "pushfq\npopq 128(%rax)\ncld\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
    ".size run, . - run\n"
    ".local own_sp, own_cpu, own_fn\n.comm own_sp, 8\n.comm own_cpu, 8\n"
    ".comm own_fn, 8\n");

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void fill(void *p, size_t n)
{
	uint64_t *v = p;

	for (size_t i = 0; i < n / 8; i++)
		v[i] = rnd() % 4 ? rnd() : rnd() % 64;
}

static uint64_t hash(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3;
	return h;
}

static uint64_t one(uint64_t i, int round)
{
	struct cpu cpu;
	uint64_t h = 1;
	size_t at;

	seed = (i * 64 + (uint64_t)round + 1) * 0x9e3779b97f4a7c15;
	fill(&cpu, sizeof(cpu));
	fill(buf, sizeof(buf));
	fill(stack, sizeof(stack));
	cpu.flags = (cpu.flags & 0x8d5) | 0x202;
	cpu.r[14] &= 3;
	cpu.r[15] = (uint64_t)buf;
	turns = 3;
	run(functions[i].fn, &cpu, stack + SP);
	cpu.flags = 0;
	h = hash(h, &cpu, sizeof(cpu));
	h = hash(h, buf, sizeof(buf));
	at = SP - (below ? 8 : 0) - (below && functions[i].leaf ? RED : 0);
	return hash(h, stack + at, STACK - at);
}

static void go_on(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	static uint8_t alt[1 << 16];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	struct sigaction sa = { .sa_handler = go_on, .sa_flags = SA_ONSTACK };

	(void)argv;
	below = argc == 1;
	sigaltstack(&ss, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	for (uint64_t i = 0; i < nfunctions; i++)
		for (int round = 0; round < ROUNDS; round++) {
			printf("f%lu.%d %016lx\n", i, round, one(i, round));
			fflush(stdout);
		}
	return 0;
}
