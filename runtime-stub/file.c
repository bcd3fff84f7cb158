/* SPDX-License-Identifier: MIT */
/* file.c - files that processes share: found or created, checked, mapped.  The
 * region's, and those of pinned maps (pin.c) in the same directory.
 *
 * Default: /dev/shm/bpfweld-UID/WELDNAME.  The directory must be ours alone (a
 * real directory, our euid, closed to others: in a user namespace without our
 * id, everybody's files look like ours), so nobody can put anything under its
 * names; a file must be ours, regular, for no others to write and what it should
 * be.  With BPFWELD_REGION=PATH the user answers for the directory.
 *
 * A new file has no name until it is complete, so the final name never shows
 * half a file, and a creator that is killed leaves nothing behind (where the
 * file system has no unnamed files: a dot file).  Of several creators one wins
 * and all use the winner's.  Its space is reserved, also where somebody has made
 * one with holes: what tmpfs cannot give is an error here and not a SIGBUS at some
 * later hit.  (What a memory cgroup cannot give is no error: room.c.)  The
 * target's umask and its limit on file sizes, which would be a SIGXFSZ, are not to
 * matter.
 *
 * Any failure means "no shared region", never anything to the target.  A file
 * descriptor lives here for microseconds only, and closed on exec.
 */
#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <linux/stat.h>

#include "runtime-stub/proc.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { OTHERS = 077, OTHERS_WRITE = 022, BLOCK = 512, EINTR_TRIES = 16 };

/* Keeps one step's buffers off the stack during the next. */
#define STEP static __attribute__((noinline))

static char parent[1024]; /* all threads write the same bytes */

static char *put_hex(char *to, uint64_t v)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[v >> shift & 15];
	return to;
}

static bool stat_is(long fd, uint32_t type, struct stat *st)
{
	return sys3(__NR_fstat, fd, (long)st, 0) == 0 &&
	       (st->st_mode & S_IFMT) == type &&
	       st->st_uid == (uint32_t)sys0(__NR_geteuid);
}

/* /dev/shm/bpfweld-UID, made if need be. */
STEP long open_default(void)
{
	static const char prefix[] = "/dev/shm/bpfweld-";
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char path[sizeof(prefix) + 10];
	struct stat st;
	long fd;

	mem_copy(path, prefix, sizeof(prefix) - 1);
	*proc_number(path + sizeof(prefix) - 1, (uint32_t)sys0(__NR_geteuid)) = 0;
	fd = sys4(__NR_openat, AT_FDCWD, (long)path, flags, 0);
	if (fd == -ENOENT) {
		if (sys3(__NR_mkdirat, AT_FDCWD, (long)path, 0700) == 0)
			sys3(__NR_fchmodat, AT_FDCWD, (long)path, 0700);
		fd = sys4(__NR_openat, AT_FDCWD, (long)path, flags, 0);
	}
	if (fd >= 0 &&
	    (!stat_is(fd, S_IFDIR, &st) || (st.st_mode & OTHERS))) {
		sys1(__NR_close, fd);
		return -EPERM;
	}
	return fd;
}

/* The directory of a path; its last part through *name. */
static long open_parent(const char *path, const char **name)
{
	uint32_t i, cut = 0;

	for (i = 0; path[i]; i++) {
		if (i + 1 == sizeof(parent))
			return -ENAMETOOLONG;
		if (path[i] == '/')
			cut = i + 1;
	}
	*name = path + cut;
	if (!cut)
		return AT_FDCWD;
	mem_copy(parent, path, cut);
	parent[cut] = 0;
	return sys4(__NR_openat, AT_FDCWD, (long)parent,
		    O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

/* Is this the region of this weld? */
STEP bool region_is_right(long fd)
{
	const struct weld_info *w = &weld_info;
	struct region_header h;

	return sys4(__NR_pread64, fd, (long)&h, sizeof(h), 0) == sizeof(h) &&
	       h.magic == REGION_MAGIC && h.version == REGION_VERSION &&
	       h.size == w->region_size &&
	       mem_equal(h.weld_id, w->weld_id, sizeof(h.weld_id));
}

/* room_for(), or room_unasked(). */
#pragma GCC visibility push(hidden)
bool weld_room_for(long fd, uint64_t size, uint64_t rest);
#pragma GCC visibility pop

static bool reserve_at(long fd, uint64_t at, uint64_t n)
{
	long ret, tries = EINTR_TRIES;

	do
		ret = sys4(__NR_fallocate, fd, 0, (long)at, (long)n);
	while (ret == -EINTR && --tries);
	return ret >= 0;
}

/* `missing`: how much of it is not there yet.  A large one piece by piece, as
 * others may be taking the same room. */
static bool reserve_all(long fd, uint64_t size, uint64_t missing)
{
	uint64_t piece = missing < ROOM_MATTERS ? size : ROOM_MATTERS / 2;

	for (uint64_t at = 0; at < size; at += piece) {
		uint64_t left = size - at;

		if (!weld_room_for(fd, missing,
				   left < missing ? left : missing) ||
		    !reserve_at(fd, at, left < piece ? left : piece))
			return false;
	}
	return true;
}

/* Is it ours, of the right size, and without holes? */
STEP bool file_is_ours(long fd, struct shared *s)
{
	struct stat st;
	uint64_t there;

	if (!stat_is(fd, S_IFREG, &st) || (uint64_t)st.st_size != s->size ||
	    st.st_mode & OTHERS_WRITE)
		return false;
	s->ino = st.st_ino;
	there = (uint64_t)st.st_blocks * BLOCK;
	return there >= s->size || reserve_all(fd, s->size, s->size - there);
}

static bool file_is_right(long fd, struct shared *s)
{
	return file_is_ours(fd, s) && (s->pin ? pin_is_right(fd, s->pin)
					      : region_is_right(fd));
}

static long map(uint8_t *at, const struct shared *s, long fd, long flags)
{
	return sys6(__NR_mmap, (long)at, (long)s->size, PROT_READ | PROT_WRITE,
		    flags, fd, 0);
}

/* Reserve the space, write the first content. */
static bool fill_file(long fd, const struct shared *s)
{
	long ret;

	if (!reserve_all(fd, s->size, s->size))
		return false;
	ret = map(NULL, s, fd, MAP_SHARED);
	if (ret < 0 && ret > -4096)
		return false;
	if (s->pin)
		pin_fill((uint8_t *)ret, s->pin);
	else
		region_fill((uint8_t *)ret);
	sys3(__NR_munmap, ret, (long)s->size, 0);
	return true;
}

/* May the target have files of this size? */
static bool size_allowed(uint64_t size)
{
	struct rlimit64 max;

	return sys4(__NR_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&max) < 0 ||
	       max.rlim_cur >= size;
}

/* Where unnamed files cannot be had. */
STEP void create_named(long dir, const struct shared *s)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char temp[1 + 16 + 16 + 1], *p = temp;
	long fd;

	*p++ = '.';
	p = put_hex(p, __builtin_ia32_rdtsc());
	p = put_hex(p, (uint64_t)sys0(__NR_gettid));
	*p = 0;
	fd = sys4(__NR_openat, dir, (long)temp, flags, 0600);
	if (fd < 0)
		return;
	sys3(__NR_fchmod, fd, 0600, 0);
	if (fill_file(fd, s))
		sys6(__NR_linkat, dir, (long)temp, dir, (long)s->name, 0, 0);
	sys3(__NR_unlinkat, dir, (long)temp, 0);
	sys1(__NR_close, fd);
}

/* Name an unnamed file: by its descriptor since Linux 6.10, else by /proc. */
STEP long give_name(long fd, long dir, const char *name)
{
	static const char prefix[] = "/proc/self/fd/";
	char path[sizeof(prefix) + 10];
	long ret = sys6(__NR_linkat, fd, (long)"", dir, (long)name,
			AT_EMPTY_PATH, 0);

	if (ret == 0 || ret == -EEXIST)
		return ret;
	mem_copy(path, prefix, sizeof(prefix) - 1);
	*proc_number(path + sizeof(prefix) - 1, (uint32_t)fd) = 0;
	return sys6(__NR_linkat, AT_FDCWD, (long)path, dir, (long)name,
		    AT_SYMLINK_FOLLOW, 0);
}

/* 0, even where nothing was made, but for want of a descriptor. */
STEP long create(long dir, const struct shared *s)
{
	const int flags = O_RDWR | O_TMPFILE | O_CLOEXEC;
	bool filled = false;
	long fd, ret = 0;

	if (!size_allowed(s->size))
		return 0;
	fd = sys4(__NR_openat, dir, (long)".", flags, 0600);
	if (fd >= 0) {
		sys3(__NR_fchmod, fd, 0600, 0);
		filled = fill_file(fd, s);
		if (filled)
			ret = give_name(fd, dir, s->name);
		sys1(__NR_close, fd);
	}
	if (fd == -EMFILE || fd == -ENFILE)
		return fd;
	if (fd < 0 || (filled && ret < 0 && ret != -EEXIST))
		create_named(dir, s);
	return 0;
}

/* An old kernel takes the old pages away before it knows that it can give the
 * new ones: a hole is filled again, the region's with one of our own, as another
 * thread may believe in its armed one. */
bool shared_over(long fd, const struct shared *s)
{
	long at = map(s->at, s, fd, MAP_SHARED | MAP_FIXED);

	if (at == (long)s->at)
		return true;
	at = map(s->at, s, -1,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE);
	if (at == (long)s->at) {
		if (!s->pin)
			region_fill(s->at);
		return !s->pin;
	}
	if (at > 0) /* before Linux 4.17 the flag means nothing */
		sys3(__NR_munmap, at, (long)s->size, 0);
	return false;
}

long shared_open(long dir, struct shared *s)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	long fd = sys4(__NR_openat, dir, (long)s->name, flags, 0);

	if (fd == -ENOENT) {
		long scarce = create(dir, s);

		fd = scarce ? scarce
			    : sys4(__NR_openat, dir, (long)s->name, flags, 0);
	}
	if (fd < 0 || file_is_right(fd, s))
		return fd;
	sys1(__NR_close, fd);
	return -EPERM;
}

/* pins_map() and pins_tell(), or start_nothing() where nothing is pinned. */
#pragma GCC visibility push(hidden)
void weld_pins_map(long dir);
void weld_pins_tell(void);
#pragma GCC visibility pop

/* Pinned maps first: with the region come gates that are 1, and programs run. */
static bool map_all(long dir, long fd, struct shared *region)
{
	if (!region_claim_file())
		return false;
	weld_pins_map(dir);
	if (shared_over(fd, region)) {
		weld_pins_tell();
		return true;
	}
	region_unclaim_file();
	return false;
}

/* 0, or why not. */
static long try_map(const char *want)
{
	struct shared region = {
		.name = weld_info.weld_name,
		.size = weld_info.region_size,
		.at = weld_region,
	};
	long dir = want ? open_parent(want, &region.name) : open_default();
	long fd, ret;

	if (dir < 0 && dir != AT_FDCWD)
		return dir;
	ret = fd = shared_open(dir, &region);
	if (fd >= 0) {
		ret = map_all(dir, fd, &region) ? 0 : -EPERM;
		sys1(__NR_close, fd);
	}
	if (dir >= 0)
		sys1(__NR_close, dir);
	return ret;
}

bool file_map(const char *want)
{
	int tries = 0;
	long ret;

	do
		ret = try_map(want);
	while (region_wait_scarce(ret, &tries));
	return ret == 0;
}
