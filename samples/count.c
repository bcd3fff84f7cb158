/* SPDX-License-Identifier: MIT */
/* count - a program for count.bpf.c to look at. */
#include <stdio.h>

__attribute__((noinline)) int work(int x)
{
	return x * 3 + 1;
}

int main(void)
{
	int sum = 0;

	for (int i = 0; i < 1000; i++)
		sum += work(i);
	printf("%d\n", sum);
	return 0;
}
