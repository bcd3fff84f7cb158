#!/usr/bin/env bash
# Many at once: threads, processes, signals, and some of them killed.  Every
# call is counted, in every counter, and nobody ever waits for the dead.
. "$(dirname "$0")/common-run.sh"

cat > $t/main.c <<'X'
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
int work(int);
extern char **environ;

static void calls(int n)
{
	for (int i = 0; i < n; i++)
		if (work(i) != i * 3 + 1)
			abort();
}
static void check(int bad, const char *what)
{
	if (bad) {
		perror(what);
		exit(1);
	}
}
static void reap(int n)
{
	int status;

	while (n--) {
		check(wait(&status) < 0, "wait");
		check(status, "child");
	}
}

/* Threads that begin together. */
static pthread_barrier_t begin;
static void *together(void *n)
{
	pthread_barrier_wait(&begin);
	calls((long)n);
	return NULL;
}
static void threads(int n, long each)
{
	pthread_t *th = calloc(n, sizeof(*th));
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 1 << 16);
	pthread_barrier_init(&begin, NULL, n);
	for (int i = 0; i < n; i++)
		check(pthread_create(&th[i], &small, together, (void *)each),
		      "thread");
	for (int i = 0; i < n; i++)
		pthread_join(th[i], NULL);
}

/* One after the other, while main is busy too. */
static void *some(void *n)
{
	calls((long)n);
	return NULL;
}
static void churn(int n)
{
	pthread_t th;

	for (int i = 0; i < n; i++) {
		check(pthread_create(&th, NULL, some, (void *)7L), "thread");
		calls(3);
		pthread_join(th, NULL);
	}
}

/* A tree of processes: each calls, and two more come from it. */
static void tree(int depth)
{
	calls(10);
	for (int i = 0; i < 2 && depth; i++) {
		pid_t pid = fork();
		check(pid < 0, "fork");
		if (!pid) {
			tree(depth - 1);
			exit(0);
		}
	}
	if (depth)
		reap(2);
}

/* All of them at the same time, and we too. */
static void brood(int n, int each)
{
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();
		check(pid < 0, "fork");
		if (!pid) {
			calls(each);
			exit(0);
		}
	}
	calls(each);
	reap(n);
}

/* All other ways to a new process: the child calls, or becomes us again. */
static int clone_child(void *n)
{
	calls((long)n);
	return 0;
}
static void ways(char *self)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	char *argv[] = { self, "calls", "5", NULL };
	int status;
	pid_t pid = vfork();

	if (!pid) {
		calls(5);
		execv(self, argv);
		_exit(126);
	}
	check(posix_spawn(&pid, self, NULL, NULL, argv, environ), "spawn");
	reap(2);
	pid = clone(clone_child, stack + sizeof(stack), CLONE_VM | SIGCHLD,
		    (void *)5L);
	check(pid < 0, "clone");
	calls(5);
	reap(1);
	pid = clone(clone_child, stack + sizeof(stack), SIGCHLD, (void *)5L);
	check(pid < 0, "clone");
	reap(1);
	calls(5);
}

/* N processes that exec at the same moment. */
static void bomb(char *self, int n)
{
	char *argv[] = { self, "calls", "20", NULL };
	int gate[2];
	char c;

	check(pipe(gate), "pipe");
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();
		check(pid < 0, "fork");
		if (pid)
			continue;
		close(gate[1]);
		check(read(gate[0], &c, 1), "gate");
		execv(self, argv);
		_exit(126);
	}
	close(gate[1]);
	reap(n);
}

/* A timer, another thread, and the handler calls as well; it runs on the same
 * stack, or on an alternate one, and is interrupted itself: by the other
 * signals only, as its own would pile up frames, faster than they are worked
 * off, until the stack is full.  For the same reason a volley waits until we
 * have got on. */
static const int storms[] = { SIGUSR1, SIGUSR2, SIGALRM, SIGHUP,
			      SIGURG,  SIGIO,	SIGWINCH };
enum { STORMS = sizeof(storms) / sizeof(storms[0]) };
static atomic_long handled, done;
static atomic_int over;
static void handler(int sig)
{
	calls(3);
	handled += 3;
}
static void *shooter(void *at)
{
	for (long seen = -1; !over; sched_yield()) {
		if (seen == done)
			continue;
		seen = done;
		for (int i = 0; i < STORMS; i++)
			pthread_kill(*(pthread_t *)at, storms[i]);
	}
	return NULL;
}
static long storm(int alternate, long n)
{
	struct itimerval every = { { 0, 300 }, { 0, 300 } }, never = { 0 };
	struct sigaction sa = { .sa_handler = handler,
				.sa_flags = SA_RESTART };
	stack_t ss = { .ss_sp = malloc(1 << 18), .ss_size = 1 << 18 };
	pthread_t self = pthread_self(), th;
	sigset_t all;

	if (alternate) {
		sa.sa_flags |= SA_ONSTACK;
		sigaltstack(&ss, NULL);
	}
	for (int i = 0; i < STORMS; i++)
		sigaction(storms[i], &sa, NULL);
	pthread_create(&th, NULL, shooter, &self);
	setitimer(ITIMER_REAL, &every, NULL);
	while (done < n || handled < 3000) {
		calls(100);
		done += 100;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	over = 1;
	pthread_join(th, NULL);
	sigfillset(&all); /* the last one may still be on its way */
	sigprocmask(SIG_BLOCK, &all, NULL);
	return done + handled;
}

/* Nobody calls it a day; some are killed in the middle of it. */
static void kills(int n)
{
	pid_t pid[64];
	int status;

	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < n; i++) {
			pid[i] = fork();
			check(pid[i] < 0, "fork");
			if (!pid[i])
				for (;;)
					calls(1000);
		}
		for (int i = 0; i < n; i++) {
			usleep(500 + 37 * i);
			kill(pid[i], SIGKILL);
		}
		for (int i = 0; i < n; i++)
			check(wait(&status) < 0, "wait");
	}
}

int main(int argc, char **argv)
{
	const char *what = argv[1];
	int n = argc > 2 ? atoi(argv[2]) : 0, m = argc > 3 ? atoi(argv[3]) : 0;

	if (!strcmp(what, "calls"))
		calls(n);
	else if (!strcmp(what, "threads"))
		threads(n, m);
	else if (!strcmp(what, "churn"))
		churn(n);
	else if (!strcmp(what, "tree"))
		tree(n);
	else if (!strcmp(what, "brood"))
		brood(n, m);
	else if (!strcmp(what, "ways"))
		ways(argv[0]);
	else if (!strcmp(what, "bomb"))
		bomb(argv[0], n);
	else if (!strcmp(what, "storm"))
		printf("%ld\n", storm(m, n));
	else if (!strcmp(what, "kills"))
		kills(n);
	else if (!strcmp(what, "chain")) {
		char left[16];

		calls(10);
		snprintf(left, sizeof(left), "%d", n - 1);
		if (n)
			execl(argv[0], argv[0], what, left, NULL);
	}
	return 0;
}
X
program main $t/main.c

for kind in $kinds; do
	same $kind main threads 1000 200
	counted $kind main 200000 "1000 threads"
	same $kind main churn 500; counted $kind main 5000 churn
	same $kind main tree 5; counted $kind main 630 "a tree of processes"
	same $kind main ways; counted $kind main 35 "ways to a process"
	same $kind main bomb 200; counted $kind main 4000 "200 at once"
	same $kind main chain 50; counted $kind main 510 "a chain of exec"
	for alternate in 0 1; do
		n=$($(probed $kind main) storm 200000 $alternate)
		counted $kind main $n "a storm of signals"
	done
done

# With a program that does nothing a hit is short enough for two to meet, and
# the probe's own counter is all there is.
echo '#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("uprobe/main:work") int nothing(void *ctx) { return 0; }
char LICENSE[] SEC("license") = "GPL";' > $t/nothing.bpf.c
bpf $t/nothing.bpf.c
f=$t/nothing.weld
$W weld $t/pie/main $t/nothing.bpf.o -o $f >/dev/null
for i in {1..4}; do $f calls 4000000 & done; wait
$f brood 3 4000000
$f threads 8 2000000
hits=$($W info $f | awk '/ nothing .* window|insn / { print $(NF - 1) }')
[ "$hits" = 48000000 ] || die "short hits: $hits, not 48000000"
rm $BPFWELD_REGION

# Killed anywhere, 160 times: what is there is whole, and counting goes on.
for kind in pie lib; do
	same $kind main kills 20
	f=$(welded $kind main)
	read -r calls seen total from hits <<< "$(counts $f)"
	for n in $seen $total $from $hits; do # at most one off for each
		[ $((n - calls)) -le 160 ] && [ $((calls - n)) -le 160 ] ||
			die "$kind: after kills: $(counts $f)"
	done
	same $kind main threads 50 100
	want="$((calls + 5000)) $((seen + 5000)) $((total + 5000)) \
$((from + 5000)) $((hits + 5000))"
	[ "$(counts $f)" = "$want" ] || die "$kind: $(counts $f), not $want"
	rm $BPFWELD_REGION
done

# Updates need spare elements, of which each death may cost one.  After more
# deaths than there are, updates still work.
echo '#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} last SEC(".maps");
__u64 updated, refused;
SEC("uprobe/main:work") int update(struct pt_regs *ctx)
{
	__u64 value = PT_REGS_PARM1(ctx), key = value & 7;

	if (bpf_map_update_elem(&last, &key, &value, BPF_ANY))
		__sync_fetch_and_add(&refused, 1);
	else
		__sync_fetch_and_add(&updated, 1);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";' > $t/update.bpf.c
bpf $t/update.bpf.c
f=$t/update.weld
$W weld $t/pie/main $t/update.bpf.o -o $f >/dev/null
for i in {1..3}; do $f kills 20; done
$f calls 1000
refused=$($W map dump $f update.bss | awk '/"refused":/ { print $2 }')
[ "$refused" = 0 ] || die "$refused updates refused after 480 kills"
for key in {0..7}; do
	$W map lookup $f last $key | has "\"value\": $((992 + key))" ||
		die "key $key: $($W map lookup $f last $key)"
done
rm $BPFWELD_REGION

# A library without DT_INIT is armed by its first hit: by 1000 at once, from
# every thread and from 20 processes; with a private region, too.
$CC -O2 -shared -fPIC -nostartfiles -Wl,-soname,libwork.so -o $t/bare.so \
	$t/work.c
welds_busy $t/bare.so $t/bare.weld.so
cp $t/bare.so $t/lib/libwork.so; cp $t/bare.weld.so $t/lib.weld/libwork.so
for i in 1 2 3; do
	same lib main threads 1000 10
	counted lib main 10000 "1000 threads arm at once"
done
for i in {1..20}; do $t/lib.weld/main threads 20 50 & done; wait
counted lib main 20000 "20 processes arm at once"
same lib main bomb 200; counted lib main 4000 "200 processes arm at once"
BPFWELD_REGION=private same lib main threads 1000 10
BPFWELD_REGION=private $t/lib.weld/main storm 1000 0 >/dev/null

# Opened and closed again: no mapping stays, every call counts.
cat > $t/open.c <<'X'
#include <dlfcn.h>
#include <stdio.h>
static int maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int n = 0, c;
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}
int main(int argc, char **argv)
{
	int before = 0;
	for (int i = 0; i < 300; i++) {
		void *lib = dlopen(argv[1], RTLD_NOW);
		int (*work)(int) = lib ? dlsym(lib, "work") : 0;
		for (int k = 0; work && k < 10; k++)
			work(k);
		if (!work || dlclose(lib))
			return 1;
		if (i == 1)
			before = maps();
	}
	return maps() != before;
}
X
$CC -O2 -o $t/open $t/open.c
program main $t/main.c
for lib in $t/bare.weld.so $t/lib.weld/libwork.so; do
	$t/open $lib || die "$lib: leaves mappings"
	exact $lib 3000 "dlopen, dlclose"
	rm $BPFWELD_REGION
done
