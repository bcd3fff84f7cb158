/* SPDX-License-Identifier: MIT */
/* trap MODE...: what programs do with SIGTRAP, while sites of theirs trap. Each
 * mode ends with a line, for which some sites are hit once more. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

void noise(int n), own(void);
int calls(int (*f)(void)), named(int x), loops(int n), leaves(int (*f)(void));
extern char own_behind[];
int five(void);

static void *many(void *n)
{
	noise((long)n);
	return NULL;
}

static void threads(long each)
{
	pthread_t th[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&th[i], NULL, many, (void *)each);
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
}

static void child(pid_t pid)
{
	int status;

	if (pid == 0) {
		noise(10);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		printf("child: %x\n", status);
}

static volatile sig_atomic_t alarms;
static void on_alarm(int sig)
{
	(void)sig;
	noise(1);
	alarms++;
}

/* Hits in handlers, some of which have interrupted one. */
static void nested(void)
{
	struct itimerval every = { { 0, 50 }, { 0, 50 } }, none = { 0 };
	struct sigaction a = { .sa_handler = on_alarm, .sa_flags = SA_NODEFER };

	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (alarms < 200)
		noise(1);
	setitimer(ITIMER_REAL, &none, NULL);
}

/* --- handlers of its own -------------------------------------------------- */

static struct sigaction old;
static void on_trap_chained(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if ((char *)uc->uc_mcontext.gregs[REG_RIP] == own_behind)
		puts("mine");
	else if (old.sa_flags & SA_SIGINFO)
		old.sa_sigaction(sig, info, context);
}

static void set(void (*f)(int, siginfo_t *, void *))
{
	struct sigaction a = { .sa_sigaction = f,
			       .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGTRAP, &a, &old);
}

/* As a target does that lets another one judge its own traps. */
static void chained(void)
{
	set(on_trap_chained);
	noise(5);
	own();
	noise(5);
	sigaction(SIGTRAP, &old, NULL);
	noise(5);
}

/* As debuggers are looked for: one's own, for a moment. */
static void moment(void)
{
	set(on_trap_chained);
	sigaction(SIGTRAP, &old, NULL);
	noise(5);
	signal(SIGTRAP, signal(SIGTRAP, SIG_IGN)); /* without SA_SIGINFO */
	noise(5);
}

static void blocked(void)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	printf("blocked: %d\n", sigismember(&now, SIGTRAP));
}

/* What nothing can be done about. */
static void block(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
}

static void altstack(void)
{
	stack_t s = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 };

	sigaltstack(&s, NULL);
	noise(10);
}

/* Others' SIGTRAPs, while sites are hit. */
static void shower(void)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid) {
		while (getppid() == parent) {
			kill(parent, SIGTRAP);
			usleep(10);
		}
		_exit(0);
	}
	noise(20000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* trap.sh: the library that is there before us. */
__attribute__((weak)) void early_jump(void (*f)(void));

static void jump(void)
{
	if (early_jump)
		early_jump(own);
}

static void one(const char *mode)
{
	if (!strcmp(mode, "hits"))
		noise(100);
	else if (!strcmp(mode, "threads"))
		threads(5000);
	else if (!strcmp(mode, "crowd"))
		threads(50000);
	else if (!strcmp(mode, "fork"))
		child(fork());
	else if (!strcmp(mode, "vfork"))
		child(vfork());
	else if (!strcmp(mode, "nested"))
		nested();
	else if (!strcmp(mode, "raise"))
		raise(SIGTRAP);
	else if (!strcmp(mode, "own"))
		own();
	else if (!strcmp(mode, "chained"))
		chained();
	else if (!strcmp(mode, "moment"))
		moment();
	else if (!strcmp(mode, "altstack"))
		altstack();
	else if (!strcmp(mode, "shower"))
		shower();
	else if (!strcmp(mode, "block"))
		block();
	else if (!strcmp(mode, "jump"))
		jump();
	else
		blocked();
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		one(argv[i]);
		printf("%s: %d %d %d %d\n", argv[i], named(3), calls(five),
		       loops(4), leaves(five));
	}
	return 0;
}
