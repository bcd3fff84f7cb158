/* SPDX-License-Identifier: MIT */
/* emit_file.c - bytes onto the disk, all or nothing.
 *
 * They go to a temporary file beside OUT, which takes OUT's name only when
 * every byte is on the disk.  A program that runs from the old OUT goes on with
 * it.  Pages of zeroes are left out: the gap before RX may be a large one.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "elf/emit_parts.h"

static bool all_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static int write_bytes(int fd, struct bytes b)
{
	size_t at = 0;

	while (at < b.n) {
		size_t len = b.n - at < 1 << 20 ? b.n - at : 1 << 20;
		ssize_t n;

		while (len >= PAGE && all_zero(b.p + at, PAGE)) {
			at += PAGE;
			len -= PAGE;
		}
		for (size_t i = PAGE; i + PAGE <= len; i += PAGE)
			if (all_zero(b.p + at + i, PAGE))
				len = i;
		if (!len)
			continue;
		n = pwrite(fd, b.p + at, len, (off_t)at);
		if (n < 0 && errno != EINTR)
			return -1;
		at += n < 0 ? 0 : (size_t)n;
	}
	return ftruncate(fd, (off_t)b.n);
}

/* Which extended attributes a changed program may keep.  Not the signatures
 * (security.ima, security.evm): they are of the old bytes. */
static bool keeps_xattr(const char *name, bool privileged)
{
	return !strncmp(name, "user.", 5) ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "security.selinux") ||
	       (privileged && !strcmp(name, "security.capability"));
}

/* Best effort: the file system may not know them, or we may not set them. */
static void copy_xattrs(const char *from, int fd, bool privileged)
{
	static char names[65536], value[65536];
	ssize_t n = listxattr(from, names, sizeof(names));

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t len;

		if (!keeps_xattr(names + at, privileged))
			continue;
		len = getxattr(from, names + at, value, sizeof(value));
		if (len >= 0)
			fsetxattr(fd, names + at, value, (size_t)len, 0);
	}
}

/* Owner first: changing it clears setuid bits and capabilities.  Those stay
 * only if the owner could be kept: else they would lend us to the callers. */
static int set_owner_and_mode(int fd, mode_t mode, const char *like,
			      bool privileged)
{
	struct stat was, is;

	if (like && !stat(like, &was)) {
		if (!geteuid() && fchown(fd, was.st_uid, was.st_gid))
			return -1;
		if (fstat(fd, &is))
			return -1;
		if (is.st_uid != was.st_uid || is.st_gid != was.st_gid)
			mode &= ~(mode_t)(S_ISUID | S_ISGID);
	}
	if (fchmod(fd, mode & 07777))
		return -1;
	if (like)
		copy_xattrs(like, fd, privileged);
	return 0;
}

/* OUT's directory, and in it a name that nobody has. */
static char *temporary_name(const char *out)
{
	const char *slash = strrchr(out, '/');
	int dir = slash ? (int)(slash - out) + 1 : 0;
	char *name;

	return asprintf(&name, "%.*s.bpfweld-XXXXXX", dir, out) < 0 ? NULL
								    : name;
}

/* While there is a temporary file, nothing may end us and leave it behind: a
 * limit on file sizes is an error as any other, other signals wait. */
struct calm {
	sigset_t mask;
	struct sigaction xfsz;
};

static void calm_begin(struct calm *old)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGXFSZ); /* blocked, it would not be ignored */
	sigprocmask(SIG_BLOCK, &all, &old->mask);
	sigaction(SIGXFSZ, &ignore, &old->xfsz);
}

static void calm_end(const struct calm *old)
{
	sigaction(SIGXFSZ, &old->xfsz, NULL);
	sigprocmask(SIG_SETMASK, &old->mask, NULL);
}

int file_write(const char *out, struct bytes content, mode_t mode,
	       const char *xattrs_of, bool privileged, struct err *e)
{
	struct calm calm;
	struct stat st;
	char *tmp;
	int fd, ret = -1;

	/* rename() would put a plain file in the place of a device, or of a link
	 * that others go by, as /dev/stdout is. */
	if (!lstat(out, &st) && S_ISLNK(st.st_mode))
		return fail(e, out, NOWHERE,
			    "is a symbolic link: name the file itself");
	if (!stat(out, &st) && !S_ISREG(st.st_mode))
		return fail(e, out, NOWHERE, "exists and is not a plain file");
	tmp = temporary_name(out);
	if (!tmp)
		return fail(e, out, NOWHERE, "%s", strerror(errno));
	calm_begin(&calm);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0) {
		fail(e, out, NOWHERE, "%s", strerror(errno));
		goto out;
	}
	if (write_bytes(fd, content) ||
	    set_owner_and_mode(fd, mode, xattrs_of, privileged) || fsync(fd) ||
	    rename(tmp, out)) {
		fail(e, out, NOWHERE, "%s", strerror(errno));
		unlink(tmp);
		goto out;
	}
	ret = 0;
out:
	if (fd >= 0)
		close(fd);
	calm_end(&calm);
	free(tmp);
	return ret;
}

int emit_file(const char *out, struct bytes content, mode_t mode,
	      const char *xattrs_of, struct err *e)
{
	return file_write(out, content, mode, xattrs_of, false, e);
}
