/* SPDX-License-Identifier: MIT */
/* callers - a program for callers.bpf.c to look at. */
#include <stdio.h>

static volatile unsigned long taken;

__attribute__((noinline)) void take(unsigned long size)
{
	volatile unsigned long here = size; /* on a stack of its own */

	taken += here;
}

__attribute__((noinline)) static void parse(int depth)
{
	take(64);
	if (depth)
		parse(depth - 1);
	taken++; /* not a tail call */
}

__attribute__((noinline)) static void load(int n)
{
	for (int i = 0; i < n; i++)
		parse(i);
	take(4096);
	taken++;
}

__attribute__((noinline)) static void save(int n)
{
	for (int i = 0; i < n; i++)
		take(512);
	taken++;
}

int main(void)
{
	load(4);
	save(10);
	printf("%lu\n", taken);
	return 0;
}
