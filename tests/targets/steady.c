/* SPDX-License-Identifier: MIT */
/* steady.c - preloaded into workloads, so that they run the same functions
 * each time.
 *
 * All files have one age: git compares a file's time with its index's, to the
 * second, to tell whether it has to look into the file; here it always looks.
 * Clocks stand still, and waiting has no end but an event: what servers do
 * once a second they would do more often under slow uprobes.
 * /dev/urandom is no surprise: redis seeds its hash function from it.  What
 * comes through a pipe comes in pieces as large as asked for: else how often
 * git reads depends on how fast the writer is.
 * With STEADY_ENTROPY=N all random bytes are N: ruby seeds its hash function
 * with them, and which keys collide depends on that.  openssl makes its keys of
 * them, and those should differ.
 * With STEADY_UID=N root has another number: postgres refuses to be root, and
 * as somebody else it could not use root's region.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NOW = 1700000000, PATIENCE_MS = 50 };

static int steady(int result, struct stat64 *st)
{
	if (!result)
		st->st_mtim = st->st_ctim = (struct timespec){ NOW, 0 };
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

static const char *unsurprising(const char *path)
{
	return strcmp(path, "/dev/urandom") ? path : "/dev/zero";
}

FILE *fopen(const char *path, const char *mode)
{
	return REAL(fopen)(unsurprising(path), mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return REAL(fopen64)(unsurprising(path), mode);
}

int getentropy(void *to, size_t n)
{
	const char *fixed = getenv("STEADY_ENTROPY");

	if (!fixed)
		return REAL(getentropy)(to, n);
	memset(to, atoi(fixed), n);
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	*tv = (struct timeval){ NOW, 0 };
	return 0;
}

time_t time(time_t *to)
{
	if (to)
		*to = NOW;
	return NOW;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	*ts = (struct timespec){ NOW, 0 };
	return 0;
}

int epoll_wait(int fd, struct epoll_event *event, int n, int timeout)
{
	return REAL(epoll_wait)(fd, event, n, timeout ? -1 : 0);
}

/* More of it, and soon? */
static int goes_on(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct stat64 st;

	return !REAL(fstat64)(fd, &st) && S_ISFIFO(st.st_mode) &&
	       poll(&p, 1, PATIENCE_MS) > 0;
}

ssize_t read(int fd, void *to, size_t n)
{
	ssize_t got = REAL(read)(fd, to, n), more = got;

	while (more > 0 && (size_t)got < n && goes_on(fd)) {
		more = REAL(read)(fd, (char *)to + got, n - (size_t)got);
		got += more > 0 ? more : 0;
	}
	return got;
}

static uid_t other(uid_t real)
{
	const char *uid = getenv("STEADY_UID");

	return uid ? (uid_t)atoi(uid) : real;
}

uid_t getuid(void)
{
	return other(REAL(getuid)());
}

uid_t geteuid(void)
{
	return other(REAL(geteuid)());
}
