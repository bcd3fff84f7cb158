/* SPDX-License-Identifier: MIT */
/* process.c - the environment and the auxiliary vector, however the stub came
 * to run: from the entry point they are on the stack; in a first hit they are
 * not, and the kernel is asked (PR_GET_AUXV since 6.4, else /proc, and where
 * neither answers, defaults do).
 *
 * The static buffers are filled with the same bytes by every thread that gets
 * here, so no one needs to wait for another.
 */
#include <linux/auxvec.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static const char variable[] = "BPFWELD_REGION=";
enum { VARIABLE = sizeof(variable) - 1 };

static uint64_t aux_copy[128];
static char env_copy[1024];

struct aux aux_read(const uint64_t *v, const uint64_t *end)
{
	struct aux a = { .secure = true };

	for (; v + 1 < end && v[0] != AT_NULL; v += 2)
		switch (v[0]) {
		case AT_SECURE:
			a.secure = v[1] != 0;
			break;
		case AT_SYSINFO_EHDR:
			a.vdso = v[1];
			break;
		case AT_MINSIGSTKSZ:
			a.frame = v[1];
			break;
		case AT_EXECFN:
			a.last = v[1];
		}
	return a;
}

static long open_patiently(const char *path)
{
	int tries = 0;
	long fd;

	do
		fd = sys4(__NR_openat, AT_FDCWD, (long)path,
			  O_RDONLY | O_CLOEXEC, 0);
	while (region_wait_scarce(fd, &tries));
	return fd;
}

static long read_file(const char *path, void *buf, uint64_t size)
{
	long fd = open_patiently(path);
	long n;

	if (fd < 0)
		return fd;
	n = sys3(__NR_read, fd, (long)buf, (long)size);
	sys1(__NR_close, fd);
	return n;
}

struct aux aux_find(void)
{
	long n = sys6(__NR_prctl, PR_GET_AUXV, (long)aux_copy, sizeof(aux_copy),
		      0, 0, 0);

	if (n <= 0)
		n = read_file("/proc/self/auxv", aux_copy, sizeof(aux_copy));
	if (n < 0)
		n = 0;
	if ((uint64_t)n > sizeof(aux_copy))
		n = sizeof(aux_copy);
	return aux_read(aux_copy, aux_copy + n / 8);
}

const char *env_want(const char *const *envp)
{
	for (; *envp; envp++)
		if (str_starts(*envp, variable))
			return *envp + VARIABLE;
	return NULL;
}

bool env_converts(const char *const *envp)
{
	for (; *envp; envp++)
		if (str_starts(*envp, "GCONV_PATH="))
			return true;
	return false;
}

/* One byte of the environment: where in the variable it puts us. */
static int env_step(int at, char c)
{
	if (c == 0)
		return 0;
	if (at < 0 || at >= VARIABLE || c != variable[at])
		return -1;
	return at + 1;
}

/* Copy the value that starts in chunk[i], reading on as needed. */
static const char *env_value(long fd, const char *chunk, long i, long n)
{
	uint32_t len = 0;

	for (;;) {
		for (; i < n && len < sizeof(env_copy); i++) {
			env_copy[len++] = chunk[i];
			if (!chunk[i])
				return env_copy;
		}
		if (len == sizeof(env_copy))
			return "private"; /* too long to be opened */
		n = sys3(__NR_read, fd, (long)chunk, 128);
		i = 0;
		if (n <= 0)
			return NULL;
	}
}

const char *env_find(void)
{
	long fd = open_patiently("/proc/self/environ");
	const char *value = NULL;
	char chunk[128];
	int at = 0;
	long n, i;

	if (fd < 0)
		return NULL;
	while (!value && (n = sys3(__NR_read, fd, (long)chunk, 128)) > 0) {
		for (i = 0; i < n && at < VARIABLE; i++)
			at = env_step(at, chunk[i]);
		if (at == VARIABLE) {
			value = env_value(fd, chunk, i, n);
			break;
		}
	}
	sys1(__NR_close, fd);
	return value;
}
