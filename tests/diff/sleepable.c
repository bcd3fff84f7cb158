/* SPDX-License-Identifier: MIT */
/* sleepable - the program that sleepable.bpf.c probes: it hands over memory
 * that nobody has touched, which a program that may sleep can read. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sleepable.h"

#define PROBED(name)                                                           \
	__attribute__((noinline, noclone)) long name(const struct places *p)   \
	{                                                                      \
		__asm__ volatile("" : "+r"(p) : : "memory");                   \
		return (long)p->number;                                        \
	}
PROBED(site)
PROBED(left)
PROBED(multi_a)
PROBED(multi_b)

/* Two pages, the second one without a right. */
static char *fresh(int fd)
{
	char *p = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE,
		       fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE, fd,
		       0);

	mprotect(p + 4096, 4096, PROT_NONE);
	return p;
}

static long all(int file, unsigned long number)
{
	static char word[32] = "hello";
	struct places p = { .number = number,
			    .word = word,
			    .fresh = fresh(-1),
			    .fresh_end = fresh(-1) + 4096 - 8,
			    .of_file = fresh(file),
			    .no_right = fresh(-1) + 4096,
			    .unmapped = (char *)4096 };

	return site(&p) + left(&p) + multi_a(&p) + multi_b(&p);
}

int main(void)
{
	char name[] = "/tmp/sleepable.XXXXXX";
	static char text[2 * 4096] = "from a file";
	int fd = mkstemp(name);
	long sum = 0;

	unlink(name);
	if (write(fd, text, sizeof(text)) < 0)
		return 1;
	for (unsigned long i = 0; i < 4; i++)
		sum += all(fd, i);
	return sum != 4 * 6;
}
