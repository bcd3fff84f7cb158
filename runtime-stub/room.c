/* SPDX-License-Identifier: MIT */
/* room.c - what memory cgroups leave for a file on tmpfs.
 *
 * Where tmpfs itself is full, fallocate() says so.  But its pages are charged to
 * the caller's memory cgroup, too, and there no room is no error: the kernel
 * kills.  So ask first, in our cgroup and all above it:
 *
 *     limit - usage >= size + rest      twice, at first: the target wants memory
 *                                       as well
 *
 * Pages of files that nobody uses count as free, as Kubernetes and Docker have it:
 * a cgroup that has run for a while is full of them.
 *
 * Where the cgroup is, /proc/self/cgroup says, in lines of ID:CONTROLLERS:PATH.
 * In a container that may be its path outside; then its files are in the root of
 * what is mounted.  What cannot be read is no limit.  Nobody is kept from
 * taking the memory between the answer and its use: so each piece is asked for,
 * with as much beside what is still to come as was missing at first.
 */
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/magic.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

#define NONE UINT64_MAX

enum { CHUNK = 64, MOST = 1 << 16, KINDS = 2, LIMITS = 2, PATH = 1024 };

/* Beyond memory.high the kernel does not kill, but lets wait without end. */
static const struct kind {
	char controller[8], root[24], idle[24];
	struct {
		char limit[28], usage[28];
	} of[LIMITS];
} kinds[KINDS] = {
	{ "", "/sys/fs/cgroup", "inactive_file ",
	  { { "memory.max", "memory.current" },
	    { "memory.high", "memory.current" } } },
	{ "memory", "/sys/fs/cgroup/memory", "total_inactive_file ",
	  { { "memory.limit_in_bytes", "memory.usage_in_bytes" },
	    { "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes" } } },
};

static char paths[KINDS][PATH]; /* all threads write the same bytes */

/* --- Reading. */

struct input {
	long fd, at, n;
	uint32_t left; /* an end that does come */
	char chunk[CHUNK];
};

static bool input_open(struct input *in, long dir, const char *name)
{
	in->at = in->n = 0;
	in->left = MOST;
	in->fd = sys4(__NR_openat, dir, (long)name, O_RDONLY | O_CLOEXEC, 0);
	return in->fd >= 0;
}

/* A character, or -1. */
static int next(struct input *in)
{
	if (in->at == in->n) {
		in->at = 0;
		in->n = sys3(__NR_read, in->fd, (long)in->chunk, CHUNK);
		if (in->n <= 0)
			in->n = 0;
	}
	if (in->at == in->n || !in->left)
		return -1;
	in->left--;
	return (uint8_t)in->chunk[in->at++];
}

/* NONE: there is none ("max"), or it is too large to be one. */
static uint64_t number(struct input *in)
{
	uint64_t v = NONE;

	for (int c = next(in); c >= '0' && c <= '9'; c = next(in)) {
		if (v == NONE)
			v = 0;
		if (v >= NONE / 10)
			return NONE;
		v = v * 10 + (uint64_t)(c - '0');
	}
	return v;
}

static __attribute__((noinline)) uint64_t number_of(long dir, const char *name)
{
	struct input in;
	uint64_t v;

	if (!input_open(&in, dir, name))
		return NONE;
	v = number(&in);
	sys1(__NR_close, in.fd);
	return v;
}

/* In the line that begins with `key`. */
static uint64_t number_behind(struct input *in, const char *key)
{
	const char *k = key;
	int c;

	while ((c = next(in)) >= 0)
		if (k && *k == c) {
			if (!*++k)
				return number(in);
		} else {
			k = c == '\n' ? key : NULL;
		}
	return NONE;
}

/* Bytes of files that the kernel takes back before it kills. */
static __attribute__((noinline)) uint64_t idle_in(long dir, const char *key)
{
	struct input in;
	uint64_t v;

	if (!input_open(&in, dir, "memory.stat"))
		return 0;
	v = number_behind(&in, key);
	sys1(__NR_close, in.fd);
	return v == NONE ? 0 : v;
}

/* --- Finding our cgroup. */

/* Is `want` among the controllers, up to the colon?  Of the second version there
 * are none: an empty name. */
static bool is_listed(struct input *in, const char *want)
{
	const char *w = want;
	bool found = false;
	int c;

	do {
		c = next(in);
		if (c == ',' || c == ':') {
			found |= w && !*w;
			w = want;
		} else {
			w = w && *w && *w == c ? w + 1 : NULL;
		}
	} while (c >= 0 && c != ':');
	return found;
}

/* The rest of the line; false: too long for `to`. */
static bool rest(struct input *in, char *to, uint32_t room)
{
	uint32_t n = 0;
	int c;

	while ((c = next(in)) >= 0 && c != '\n' && n < room)
		to[n++] = (char)c;
	if (n == room)
		return false;
	to[n] = 0;
	return true;
}

static bool skip_past(struct input *in, char end)
{
	int c;

	do
		c = next(in);
	while (c >= 0 && c != end);
	return c >= 0;
}

static bool path_read(struct input *in, const struct kind *k, char *path)
{
	uint32_t n = 0;

	for (; k->root[n]; n++)
		path[n] = k->root[n];
	while (skip_past(in, ':')) {
		if (is_listed(in, k->controller))
			return rest(in, path + n, PATH - n - 1);
		skip_past(in, '\n');
	}
	return false;
}

static __attribute__((noinline)) bool path_find(const struct kind *k,
						char *path)
{
	struct input in;
	bool found;

	if (!input_open(&in, AT_FDCWD, "/proc/self/cgroup"))
		return false;
	found = path_read(&in, k, path);
	sys1(__NR_close, in.fd);
	return found;
}

/* --- Asking. */

static bool fits(uint64_t limit, uint64_t usage, uint64_t need)
{
	return limit >= usage && limit - usage >= need;
}

static bool level_has(long dir, const struct kind *k, uint64_t need)
{
	for (int i = 0; i < LIMITS; i++) {
		uint64_t limit = number_of(dir, k->of[i].limit), usage, idle;

		if (limit == NONE)
			continue;
		usage = number_of(dir, k->of[i].usage);
		if (usage == NONE || fits(limit, usage, need))
			continue;
		idle = idle_in(dir, k->idle);
		if (!fits(limit, usage - (idle < usage ? idle : usage), need))
			return false;
	}
	return true;
}

static long open_dir(long dir, const char *name)
{
	return sys4(__NR_openat, dir, (long)name,
		    O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

/* How many cgroups are above, up to the root of what is mounted? */
static int depth_of(const char *path)
{
	int n = 0;

	for (; *path; path++)
		n += path[0] == '/' && path[1];
	return n;
}

/* Our cgroup and those above. */
static bool kind_has(const struct kind *k, char *path, uint64_t need)
{
	long dir = -1, up;
	int above = 0;
	bool has = true;

	if (path_find(k, path)) {
		above = depth_of(path) - depth_of(k->root);
		dir = open_dir(AT_FDCWD, path);
	}
	if (dir < 0) {
		above = 0;
		dir = open_dir(AT_FDCWD, k->root);
	}
	for (; dir >= 0; dir = up) {
		has = level_has(dir, k, need);
		up = has && above-- > 0 ? open_dir(dir, "..") : -1;
		sys1(__NR_close, dir);
	}
	return has;
}

static __attribute__((noinline)) bool is_on_tmpfs(long fd)
{
	struct statfs st;

	return sys3(__NR_fstatfs, fd, (long)&st, 0) == 0 &&
	       st.f_type == TMPFS_MAGIC;
}

bool room_unasked(void)
{
	return true;
}

bool room_for(long fd, uint64_t size, uint64_t rest)
{
	if (size < ROOM_MATTERS || !is_on_tmpfs(fd))
		return true;
	for (int i = 0; i < KINDS; i++)
		if (!kind_has(&kinds[i], paths[i], size + rest))
			return false;
	return true;
}
