/* SPDX-License-Identifier: MIT */
/* filter - a program for filter.bpf.c to look at. */
#include <stdio.h>

__attribute__((noinline)) long give(unsigned long size)
{
	return (long)size + 1;
}

__attribute__((noinline)) long take(unsigned long size)
{
	return (long)size - 1;
}

int main(void)
{
	long sum = 0;

	for (unsigned long i = 0; i < 200; i++)
		sum += i % 3 ? give(i) : take(i);
	printf("%ld\n", sum);
	return 0;
}
