/* SPDX-License-Identifier: MIT */
/* proc.h - what /proc says of a process or thread. */
#ifndef BPFWELD_PROC_H
#define BPFWELD_PROC_H

#include <linux/fcntl.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

static inline char *proc_text(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	return to;
}

static inline char *proc_number(char *to, uint32_t v)
{
	char digit[10];
	int n = 0;

	do
		digit[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*to++ = digit[--n];
	return to;
}

/* How much of /proc/TID/NAME was read; 0: nothing. */
static inline uint32_t proc_read(uint32_t tid, const char *name, char *buf,
				 uint32_t size)
{
	char path[64], *end = proc_text(path, "/proc/");
	long fd, n;

	end = proc_text(proc_number(end, tid), name);
	*end = 0;
	fd = sys4(__NR_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	n = sys3(__NR_read, fd, (long)buf, size);
	sys1(__NR_close, fd);
	return n > 0 ? (uint32_t)n : 0;
}

#endif
