/* SPDX-License-Identifier: MIT */
/* words - a program for words.bpf.c to look at. */
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) unsigned lookup(const char *word, unsigned long len)
{
	unsigned h = 5381;

	while (len--)
		h = h * 33 + (unsigned char)*word++;
	return h;
}

int main(int argc, char **argv)
{
	unsigned h = 0;

	for (int i = 1; i < argc; i++)
		h ^= lookup(argv[i], strlen(argv[i]));
	printf("%08x\n", h);
	return 0;
}
