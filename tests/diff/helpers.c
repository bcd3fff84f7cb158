/* SPDX-License-Identifier: MIT */
/* helpers - the program that helpers.bpf.c and places.bpf.c probe.
 *
 * Everything that the programs read has been touched before: the kernel does
 * not fault pages in (docs/limits.md). */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "helpers.h"

long site(const struct inputs *in);
long leaf(long a, long b);
void call_known(void);

#define FUNCTION(name)                                                         \
	__attribute__((noinline, noclone)) long name(long x)                   \
	{                                                                      \
		__asm__ volatile("" : "+r"(x));                                \
		return x * 3 + 1;                                              \
	}
FUNCTION(twice)
FUNCTION(one_a)
FUNCTION(one_b)
FUNCTION(one_c)
FUNCTION(one_d)
FUNCTION(one_e)
FUNCTION(one_f)
FUNCTION(one_g)
FUNCTION(one_h)
FUNCTION(one_i)

/* Two pages that can be used, and behind them one that cannot.  (Not a hole:
 * the kernel would put its page for uprobes there.) */
static char *pages(void)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 'x', 2 * 4096);
	mprotect(p + 2 * 4096, 4096, PROT_NONE);
	return p;
}

int main(void)
{
	static char text[4][64] = { "hello", "a sentence of more than "
					     "thirty-two bytes",
				    "", "exactly as long as the buffer!!" };
	static char odd[32] = "xunaligned";
	char *p = pages();
	struct inputs in = {
		.word = text[0], .sentence = text[1], .empty = text[2],
		.fits = text[3], .odd = odd + 1, .last = p + 4096 - 4,
		.runs_out = p + 2 * 4096 - 13, .unmapped = (char *)4096,
		.no_read = p + 2 * 4096,
	};
	long sum = 0;

	memcpy(p + 4096 - 4, "end", 4);
	for (int i = 0; i < 5; i++)
		sum += site(&in) - (long)&in;
	for (int i = 0; i < 7; i++)
		sum += twice(i) + one_a(i) + one_b(i) + one_c(i) + one_d(i) +
		       one_e(i) + one_f(i) + one_g(i) + one_h(i) + one_i(i) +
		       leaf(i, -3);
	call_known();
	printf("%ld\n", sum);
	return 0;
}
