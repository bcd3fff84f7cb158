/* SPDX-License-Identifier: MIT */
/* steady.c - preloaded into workloads: all files have one age.
 *
 * git compares a file's time with its index's, to the second, to tell whether
 * it has to look into the file.  So how often its functions run depends on
 * when it ran.  Here all times are equal, and it always looks.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/stat.h>

static int steady(int result, struct stat64 *st)
{
	if (!result)
		st->st_mtim = st->st_ctim = (struct timespec){ 1700000000, 0 };
	return result;
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

int stat64(const char *path, struct stat64 *st)
{
	return steady(REAL(stat64)(path, st), st);
}

int lstat64(const char *path, struct stat64 *st)
{
	return steady(REAL(lstat64)(path, st), st);
}

int fstat64(int fd, struct stat64 *st)
{
	return steady(REAL(fstat64)(fd, st), st);
}
