/* SPDX-License-Identifier: MIT */
/* sandbox.c - where the command finds our file in the target's place.
 *
 *     tool     own mount namespace; a tmpfs on a directory of its own holds
 *              the original, the twin, the welded file, the region, output
 *     command  own mount namespace again, in which the file under test is
 *              bound over the target's very path
 *
 * So whoever in the workload uses the target, by whatever path or link, a
 * library too, gets the file under test, with the path, arguments and
 * environment that it always has; nobody else on the machine can hit the
 * probes; and when the processes end, nothing is left but an empty directory,
 * which sandbox_close() removes.  Address randomisation is off.
 *
 * Signals that ask the tool to stop are not handled but waited for, so that
 * there is one place where a run is broken off.  The tool is the reaper of the
 * command's orphans: a run is over when all its processes are.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rewriter/diff/diff.h"

enum {
	PATIENCE = 3
}; /* seconds for what the command leaves behind */

static const int stops[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
enum {
	NSTOP = sizeof(stops) / sizeof(stops[0])
};

bool sandbox_usable(const char **why)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		*why = "a mount namespace of one's own is not permitted";
		return false;
	}
	return true;
}

/* A signal that is ignored (nohup) stays so. */
static void signals_hold(struct sandbox *s)
{
	struct sigaction sa, chld = { .sa_handler = SIG_DFL };

	sigaction(SIGCHLD, &chld, NULL); /* ignored, it would reap for us */
	sigemptyset(&s->wait);
	sigaddset(&s->wait, SIGCHLD);
	for (int i = 0; i < NSTOP; i++)
		if (!sigaction(stops[i], NULL, &sa) && sa.sa_handler != SIG_IGN)
			sigaddset(&s->wait, stops[i]);
	sigprocmask(SIG_BLOCK, &s->wait, &s->old);
}

static int stopped(struct sandbox *s, int sig, struct err *e)
{
	s->stopped_by = sig;
	return fail(e, NULL, NOWHERE, "stopped by a signal: %s",
		    strsignal(sig));
}

/* Was the tool told to stop while it did other things? */
static int stop_asked(struct sandbox *s, struct err *e)
{
	const struct timespec now = { 0, 0 };
	sigset_t set = s->wait;
	int sig;

	sigdelset(&set, SIGCHLD);
	sig = sigtimedwait(&set, NULL, &now);
	return sig > 0 ? stopped(s, sig, e) : 0;
}

int sandbox_open(struct arena *a, const char *target, char **command,
		 struct sandbox *out, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX], *dir;

	*out = (struct sandbox){ .command = command };
	signals_hold(out);
	if (!realpath(target, path))
		return fail(e, target, NOWHERE, "%s", strerror(errno));
	out->target = arena_strdup(a, path);
	dir = arena_printf(a, "%s/bpfweld-diff.XXXXXX",
			   tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return fail(e, dir, NOWHERE, "%s", strerror(errno));
	out->dir = dir;
	/* Readable for all: the command may change its user. */
	if (mount("bpfweld", out->dir, "tmpfs", 0, "mode=0755"))
		return fail(e, out->dir, NOWHERE, "cannot mount a tmpfs: %s",
			    strerror(errno));
	out->mounted = true;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return 0;
}

void sandbox_close(struct sandbox *s)
{
	if (s->mounted)
		umount2(s->dir, MNT_DETACH);
	if (s->dir && rmdir(s->dir))
		say_to(stderr, "bpfweld: %s: not removed: %s\n", s->dir,
		       strerror(errno));
	s->dir = NULL;
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	sigprocmask(SIG_SETMASK, &s->old, NULL);
	if (s->stopped_by) /* now that all is clean, as without us */
		raise(s->stopped_by);
}

/* --- in the child. */

/* What went wrong, for the parent; the pipe closes when the command starts. */
struct start_fault {
	int error;
	char what[64];
};

static _Noreturn void start_failed(int pipe, const char *what)
{
	struct start_fault f = { .error = errno };

	snprintf(f.what, sizeof(f.what), "%s", what);
	if (write(pipe, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

/* Begin on one CPU after the other, free to leave it: what depends on the CPU
 * shall vary, where the scheduler would have us always on the same one. */
static void begin_on(unsigned nth)
{
	cpu_set_t all, one;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	nth %= (unsigned)CPU_COUNT(&all);
	do
		cpu++;
	while (!CPU_ISSET(cpu, &all) || nth--);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	sched_setaffinity(0, sizeof(all), &all);
}

static _Noreturn void child(const struct sandbox *s, const char *file,
			    int output, int pipe)
{
	char region[PATH_MAX];
	int null = open("/dev/null", O_RDONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, &s->old, NULL);
	if (unshare(CLONE_NEWNS) || mount(file, s->target, NULL, MS_BIND, NULL))
		start_failed(pipe, "cannot take the target's place");
	if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 ||
	    dup2(output, 2) < 0)
		start_failed(pipe, "cannot have its output, or /dev/null");
	snprintf(region, sizeof(region), "%s/region", s->dir);
	setenv("BPFWELD_REGION", region, 1);
	personality(ADDR_NO_RANDOMIZE);
	begin_on(s->runs);
	execvp(s->command[0], s->command);
	start_failed(pipe, "cannot be run");
}

/* --- in the parent. */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct wait {
	pid_t command;
	bool done;
	double until; /* then it is killed; 0: never */
	struct snapshot *out;
};

/* End all children.  Theirs become ours when they end. */
static size_t kill_children(const struct wait *w)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	size_t n = 0;
	int pid;

	if (!f) /* a kernel without CONFIG_PROC_CHILDREN */
		return !w->done && !kill(w->command, SIGKILL);
	while (fscanf(f, "%d", &pid) == 1)
		n += !kill(pid, SIGKILL);
	fclose(f);
	return n;
}

static void kill_all(const struct wait *w)
{
	while (kill_children(w))
		if (waitpid(-1, NULL, 0) < 0)
			return;
}

/* Collect who has ended.  False when nobody is left. */
static bool reap(struct wait *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != w->command)
			continue;
		w->out->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
						     : WEXITSTATUS(status);
		w->done = true;
		w->until = seconds() + PATIENCE;
	}
	return pid == 0;
}

static void patience_ends(struct wait *w)
{
	size_t n = kill_children(w);

	if (w->done)
		w->out->killed += n;
	else
		w->out->hung = true;
}

static int wait_all(struct sandbox *s, struct wait *w, struct err *e)
{
	static const struct timespec step = { 0, 100 * 1000 * 1000 };
	siginfo_t info;

	while (reap(w)) {
		if (w->until && seconds() > w->until)
			patience_ends(w);
		if (sigtimedwait(&s->wait, &info, &step) < 0 ||
		    info.si_signo == SIGCHLD)
			continue;
		kill_all(w);
		return stopped(s, info.si_signo, e);
	}
	return 0;
}

/* Wait until the command runs, or say why it does not. */
static int started(const struct sandbox *s, int pipe, struct err *e)
{
	struct start_fault f;
	ssize_t n;

	do
		n = read(pipe, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof(f))
		return fail(e, s->command[0], NOWHERE, "cannot be run");
	return fail(e, s->command[0], NOWHERE, "%s: %s", f.what,
		    strerror(f.error));
}

static int run(struct sandbox *s, const char *file, int output, struct wait *w,
	       struct err *e)
{
	int pipe[2], bad;

	if (pipe2(pipe, O_CLOEXEC))
		return fail(e, NULL, NOWHERE, "pipe: %s", strerror(errno));
	fflush(NULL);
	w->command = fork();
	if (w->command == 0)
		child(s, file, output, pipe[1]);
	close(pipe[1]);
	if (w->command < 0)
		bad = fail(e, NULL, NOWHERE, "fork: %s", strerror(errno));
	else
		bad = started(s, pipe[0], e);
	close(pipe[0]);
	if (!bad)
		return wait_all(s, w, e);
	kill_all(w);
	return bad;
}

int sandbox_run(struct arena *a, struct sandbox *s, const char *file,
		double limit, struct snapshot *out, struct err *e)
{
	double from = seconds();
	struct wait w = { .until = limit ? from + limit : 0, .out = out };
	int fd, bad;

	if (stop_asked(s, e))
		return -1;
	out->output = arena_printf(a, "%s/output.%u", s->dir, s->runs++);
	fd = open(out->output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(e, out->output, NOWHERE, "%s", strerror(errno));
	bad = run(s, file, fd, &w, e);
	close(fd);
	out->seconds = seconds() - from;
	return bad;
}
