/* SPDX-License-Identifier: MIT */
/* target - the bench's target: one function a row, all alike, called in a loop.
 *
 *     target ROW CALLS       prints nanoseconds per call
 *
 * The functions begin with `push %rbp`, which the kernel emulates: the fast
 * case for its uprobes (a single-stepped instruction costs it 9,000 ns).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROW(name)                                                              \
	__asm__(".pushsection .text\n.p2align 5\n.type row_" #name             \
		", @function\nrow_" #name ":\n.cfi_startproc\n"               \
		"push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset 6, -16\n"     \
		"mov %rsp, %rbp\n.cfi_def_cfa_register 6\n"                   \
		"lea (%rdi,%rsi), %rax\npop %rbp\n.cfi_def_cfa 7, 8\n"        \
		"ret\n.cfi_endproc\n.size row_" #name ", .-row_" #name        \
		"\n.popsection\n");                                           \
	long row_##name(long, long, long, long);

ROW(empty)
ROW(args)
ROW(array)
ROW(hash)

static const struct {
	const char *name;
	long (*fn)(long, long, long, long);
} rows[] = {
	{ "empty", row_empty },
	{ "args", row_args },
	{ "array", row_array },
	{ "hash", row_hash },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure(long (*volatile fn)(long, long, long, long), long calls)
{
	long (*f)(long, long, long, long) = fn;
	double start;

	for (long i = 0; i < 100; i++) /* arm, warm */
		f(i, 1, 2, 3);
	start = now();
	for (long i = 0; i < calls; i++)
		f(i, 1, 2, 3);
	return (now() - start) / (double)calls;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(rows[i].name, argv[1]) == 0) {
			printf("%.4f\n", measure(rows[i].fn, atol(argv[2])));
			return 0;
		}
	fputs("usage: target empty|args|array|hash CALLS\n", stderr);
	return 2;
}
