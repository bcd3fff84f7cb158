/* SPDX-License-Identifier: MIT */
/* run.c - run the workload so that it finds our copy of the target.
 *
 * The copy stands in a private directory under the target's own file name (a
 * library: under its soname), which comes first in PATH and LD_LIBRARY_PATH;
 * words of the command that name the target are replaced.  All runs therefore
 * see the same path, arguments and environment, and no other process of the
 * machine can hit the probes.  Address randomisation is off.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rewriter/diff/diff.h"

static bool is_target(const struct stat *target, const char *word)
{
	struct stat st;

	return stat(word, &st) == 0 && st.st_dev == target->st_dev &&
	       st.st_ino == target->st_ino;
}

/* The first word may be a bare name that PATH resolves. */
static bool in_path(struct arena *a, const struct stat *target,
		    const char *word)
{
	const char *path = getenv("PATH");
	struct stat st;

	if (strchr(word, '/') || !path)
		return false;
	while (*path) {
		size_t n = strcspn(path, ":");
		const char *file =
			arena_printf(a, "%.*s/%s", (int)n, path, word);

		if (stat(file, &st) == 0 && (st.st_mode & S_IXUSR))
			return st.st_dev == target->st_dev &&
			       st.st_ino == target->st_ino;
		path += n + (path[n] == ':');
	}
	return false;
}

static const char *file_name(const struct weld *w)
{
	const char *name = w->img.soname ? w->img.soname : w->img.path;
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

int stage_make(struct arena *a, const struct weld *w, char **command,
	       struct stage *out, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	struct stat st;
	size_t n = 0;

	if (stat(w->img.path, &st))
		return fail(e, w->img.path, NOWHERE, "%s", strerror(errno));
	snprintf(out->dir, sizeof(out->dir), "%.40s/bpfweld-diff.XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(out->dir))
		return fail(e, out->dir, NOWHERE, "%s", strerror(errno));
	out->file = arena_printf(a, "%s/%s", out->dir, file_name(w));
	while (command[n])
		n++;
	out->command = arena_alloc(a, (n + 1) * sizeof(*out->command));
	for (size_t i = 0; i < n; i++)
		out->command[i] = is_target(&st, command[i]) ||
						  (i == 0 &&
						   in_path(a, &st, command[i]))
					  ? out->file
					  : command[i];
	return 0;
}

static void env_prefix(const char *name, const char *dir)
{
	const char *old = getenv(name);
	char *value;

	if (asprintf(&value, "%s%s%s", dir, old && *old ? ":" : "",
		     old ? old : "") >= 0)
		setenv(name, value, 1);
}

static _Noreturn void child(const struct stage *s, int output)
{
	char region[PATH_MAX];
	int null = open("/dev/null", O_RDONLY);

	if (null >= 0)
		dup2(null, 0);
	dup2(output, 1);
	dup2(output, 2);
	snprintf(region, sizeof(region), "%s/region", s->dir);
	setenv("BPFWELD_REGION", region, 1);
	env_prefix("PATH", s->dir);
	env_prefix("LD_LIBRARY_PATH", s->dir);
	personality(ADDR_NO_RANDOMIZE);
	execvp(s->command[0], s->command);
	dprintf(2, "%s: %s\n", s->command[0], strerror(errno));
	_exit(127);
}

int stage_run(struct arena *a, const struct stage *s, const char *name,
	      struct snapshot *out, struct err *e)
{
	pid_t pid;
	int fd;

	out->output = arena_printf(a, "%s/output.%s", s->dir, name);
	fd = open(out->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(e, out->output, NOWHERE, "%s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(s, fd);
	close(fd);
	if (pid < 0)
		return fail(e, NULL, NOWHERE, "fork: %s", strerror(errno));
	while (waitpid(pid, &out->status, 0) < 0)
		if (errno != EINTR)
			return fail(e, NULL, NOWHERE, "wait: %s",
				    strerror(errno));
	return 0;
}

void stage_remove(struct stage *s)
{
	char cmd[128];

	/* Only what mkdtemp() named: no user's characters are in it beyond
	 * TMPDIR, which is quoted. */
	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", s->dir);
	if (s->dir[0] && !strchr(s->dir, '\'') && system(cmd))
		fprintf(stderr, "bpfweld: %s: could not be removed\n", s->dir);
}
