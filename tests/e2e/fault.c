/* SPDX-License-Identifier: MIT */
/* fault - a program that does with signals what the first argument says, and
 * calls site() with good and bad pointers meanwhile.  What it prints, and how
 * it ends, is the same with and without probes; the last line says how many
 * visits there were, each of 3 good and 6 bad pointers.
 *
 * Without SIGNALS it is one that has nothing to do with signals.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef SECCOMP
#include <linux/seccomp.h>
#include <sys/prctl.h>
#endif

__attribute__((noinline)) long site(const char *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return (long)p * 3 + 1;
}

static char known[64] = "data";
static char *heap, *none, *short_file;
static int visits;

static void visit(void)
{
	char local[16] = "near";

	site(known);
	site(heap);
	site(local);
	site(NULL);
	site((char *)4095);
	site(none);
	site(short_file + 4096);
	site((char *)0x8000000000001000);
	site((char *)0xffffffff81000000);
	visits++;
}

static void prepare(void)
{
	char name[] = "/tmp/fault.XXXXXX";
	int fd = mkstemp(name);

	heap = strcpy(malloc(100000), "heap");
	none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unlink(name);
	if (ftruncate(fd, 10))
		exit(3);
	short_file = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
}

static void plain(void)
{
	for (int i = 0; i < 100; i++)
		visit();
}

static void crash(void)
{
	visit();
	*(volatile int *)none = 1;
}

static void crash_general(void)
{
	visit();
	*(volatile int *)0x8000000000001000 = 1;
}

static void crash_bus(void)
{
	visit();
	*(volatile char *)(short_file + 4096);
}

static __attribute__((noinline)) long deep(volatile char *p)
{
	volatile char room[4096];

	room[0] = *p;
	return deep(room) + room[0];
}

static void crash_stack(void)
{
	visit();
	deep(known);
}

static void crash_child(void)
{
	int status;

	for (int i = 0; i < 3; i++) {
		visit();
		if (!fork()) {
			visit();
			*(volatile int *)none = 1;
		}
		wait(&status);
		visits++;
		printf("child %d\n", status & 0x7f);
	}
}

static void killed(void)
{
	visit();
	kill(getpid(), SIGSEGV);
}

static void raised(void)
{
	visit();
	raise(SIGBUS);
}

/* --- threads ------------------------------------------------------------ */

static char *volatile shifty;
static volatile int stop;

static void *maps(void *arg)
{
	for (int i = 0; i < 100000; i++) {
		munmap(shifty, 4096);
		if (mmap(shifty, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) != shifty)
			exit(3);
	}
	stop = 1;
	return arg;
}

static void *reads(void *arg)
{
	while (!stop)
		site(shifty);
	return arg;
}

static void threads(void)
{
	pthread_t a, b, c;

	shifty = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	pthread_create(&a, NULL, maps, NULL);
	pthread_create(&b, NULL, reads, NULL);
	pthread_create(&c, NULL, reads, NULL);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	pthread_join(c, NULL);
}

/* With ever less room on the stack: not enough for a signal's frame. */
static void *squeezed(void *arg)
{
	char here, *lowest, *room;
	pthread_attr_t attr;
	size_t size;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, (void **)&lowest, &size);
	pthread_attr_destroy(&attr);
	room = __builtin_alloca((size_t)(&here - lowest) - (size_t)arg);
	__asm__ volatile("" : : "r"(room) : "memory");
	visit();
	return NULL;
}

static void small_stacks(void)
{
	pthread_attr_t attr;
	pthread_t a;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (size_t left = 12 * 1024; left > 2 * 1024; left -= 256) {
		if (pthread_create(&a, &attr, squeezed, (void *)left))
			exit(3);
		pthread_join(a, NULL);
	}
}

#ifdef SECCOMP
/* exit_group() is not allowed either: both are killed at their end. */
static void strict(void)
{
	visit();
	fflush(stdout);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	plain();
	if (write(1, "still here\n", 11) != 11)
		return;
	_exit(0);
}

static void crash_strict(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	crash();
}
#endif

/* --- handlers of its own ------------------------------------------------ */

#ifdef SIGNALS
static sigjmp_buf back;
static volatile int handled;
static struct sigaction before;

static void handler(int n, siginfo_t *info, void *context)
{
	(void)context, (void)info;
	handled++;
	visit();
	if (handled > 1000)
		_exit(4);
	siglongjmp(back, n);
}

static void takes(int n, int flags, void (*h)(int, siginfo_t *, void *))
{
	struct sigaction a = { .sa_flags = SA_SIGINFO | flags };

	a.sa_sigaction = h;
	sigaction(n, &a, &before);
}

static void recovers(int flags)
{
	for (int n = 0; n < 3; n++) {
		takes(SIGSEGV, flags, handler);
		takes(SIGBUS, flags, handler);
		visit();
		if (!sigsetjmp(back, 1))
			*(volatile int *)none = 1;
		if (!sigsetjmp(back, 1))
			*(volatile char *)(short_file + 4096);
		visit();
	}
	printf("handled %d\n", handled);
}

static void own(void)
{
	visit();
	recovers(0);
}

static void own_once(void)
{
	recovers(SA_RESETHAND);
}

static void own_nodefer(void)
{
	recovers(SA_NODEFER);
}

static void altstack(void)
{
	stack_t s = { .ss_sp = malloc(16384), .ss_size = 16384 };

	sigaltstack(&s, NULL);
	recovers(SA_ONSTACK);
}

static void blocked(void)
{
	sigset_t all;

	sigfillset(&all);
	for (int i = 0; i < 3; i++) {
		visit();
		sigprocmask(i & 1 ? SIG_UNBLOCK : SIG_BLOCK, &all, NULL);
		visit();
	}
}

/* What crash reporters do: look, pass on to whoever was there before. */
static void reporter(int n, siginfo_t *info, void *context)
{
	printf("report %d\n", n);
	fflush(stdout);
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(n, info, context);
	else if (before.sa_handler == SIG_DFL)
		signal(n, SIG_DFL);
}

static void chained(void)
{
	visit();
	takes(SIGSEGV, 0, reporter);
	visit();
	*(volatile int *)none = 1;
}

static void restored(void)
{
	takes(SIGSEGV, 0, handler);
	visit();
	sigaction(SIGSEGV, &before, NULL);
	visit();
	*(volatile int *)none = 1;
}

/* As the kernel's own do: neither from anybody nor for a fault. */
static void queued(void)
{
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };

	visit();
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV, &info);
	printf("still here\n");
}

static void ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	signal(SIGBUS, SIG_IGN);
	plain();
	kill(getpid(), SIGSEGV);
	printf("still here\n");
}

__attribute__((constructor)) static void early(void)
{
	if (getenv("EARLY"))
		takes(SIGSEGV, 0, handler);
}
#endif

static const struct {
	const char *name;
	void (*run)(void);
} all[] = {
	{ "plain", plain }, { "crash", crash }, { "general", crash_general },
	{ "bus", crash_bus }, { "stack", crash_stack },
	{ "child", crash_child }, { "killed", killed }, { "raised", raised },
	{ "threads", threads }, { "small", small_stacks },
#ifdef SECCOMP
	{ "strict", strict }, { "crash_strict", crash_strict },
#endif
#ifdef SIGNALS
	{ "own", own }, { "once", own_once }, { "nodefer", own_nodefer },
	{ "altstack", altstack }, { "blocked", blocked },
	{ "chained", chained }, { "restored", restored },
	{ "ignored", ignored }, { "queued", queued },
#endif
};

int main(int argc, char **argv)
{
	prepare();
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(*all); i++)
		if (!strcmp(all[i].name, argv[1]))
			all[i].run();
	printf("visits %d\n", visits);
	return 0;
}
