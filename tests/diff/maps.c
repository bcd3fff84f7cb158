/* SPDX-License-Identifier: MIT */
/* maps - the program that maps.bpf.c probes: step(i) for i from 0. */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline, noclone)) long step(long i)
{
	__asm__ volatile("" : "+r"(i));
	return i * 3 + 1;
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 100, sum = 0;

	for (long i = 0; i < n; i++)
		sum += step(i);
	printf("%ld\n", sum);
	return 0;
}
