/* SPDX-License-Identifier: MIT */
/* usdt.c - calls usdt.S's probes, with an area that ends where memory does;
 * says which semaphores are on. */
#include <stdio.h>
#include <sys/mman.h>

enum { PAGE = 4096, AREA = 128 };
int forms(void *area);

int main(void)
{
	unsigned char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + PAGE, PAGE, PROT_NONE))
		return 1;
	p += PAGE - AREA;
	for (int i = 0; i < AREA; i++)
		p[i] = (unsigned char)(i * 7 + 0x80);
	printf("semaphores %d\n", forms(p));
	return 0;
}
