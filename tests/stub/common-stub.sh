#!/usr/bin/env bash
# Sourced by the tests of the stub: `target NAME [CC ARGS]` builds $t/NAME, a
# program with one gate, linked against the stub as the welder would.
#   NAME hit N [THREADS]   N hits (in each of THREADS); print gate, hits, state
#   NAME regs              are all registers and flags the same behind weld_arm?
#   NAME init              call weld_init with nonsense for arguments
#   NAME cost              nanoseconds that arming took
#   NAME fork              hits in a child and its parent
#   NAME storm             threads hit while children, forked and vforked, do
#   NAME late              a thread hits, and a while later one without descriptors
#   NAME alarm             a signal handler hits from the first moment on
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
STUB=$BUILD/runtime-stub/stub.o
[ -f "$STUB" ] || skip "no $STUB"
trap 'forget_default feed; rm -rf "$t"' EXIT

cat > $t/target.c <<'EOF'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "runtime-stub/abi.h"

#ifndef SIZE
#define SIZE 16384
#endif
uint8_t weld_region[SIZE] __attribute__((aligned(4096)));
uint8_t weld_returns[64];
uint8_t weld_stacks[4096];
uint64_t weld_own[512] __attribute__((aligned(4096)));
const struct {
	struct weld_info w;
	struct init_record r[1];
	uint8_t bytes[8];
} info __asm__("weld_info") = {
	{ .weld_id = { ID }, .weld_name = "feed", .region_size = SIZE,
	  .probe_count = 1, .gates = 256, .maps = 320, .counts = 384,
	  .trace = 512, .trace_size = sizeof(struct region_trace),
	  .init_count = 1, .init = sizeof(struct weld_info), .fault = 7 },
	{ { 4096, sizeof(struct weld_info) + sizeof(struct init_record), 8 } },
	{ 1, 2, 3, 4, 5, 6, 7, 8 },
};
void weld_arm(void);
void weld_init(uint64_t, uint64_t, uint64_t);
extern uint32_t weld_settled;
int inits;
void weld_orig_init(void)
{
	inits++;
}

static volatile uint8_t *gate = weld_region + 256;
static uint64_t *hits = (uint64_t *)(weld_region + 384);

static void hit(void) /* what a trampoline does */
{
	if (!*gate)
		__asm__ volatile("lea -128(%%rsp), %%rsp; call weld_arm;"
				 "lea 128(%%rsp), %%rsp" ::: "memory");
	if (*gate)
		__atomic_add_fetch(hits, 1, __ATOMIC_RELAXED);
}

static void *many(void *n)
{
	for (long i = 0; i < (long)n; i++)
		hit();
	return NULL;
}

static uint64_t now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

uint64_t before[16], after[16];
void probe_regs(void);
__asm__(".globl probe_regs\n"
"probe_regs: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
"mov $0x1001,%rax; mov $0x1002,%rcx; mov $0x1003,%rdx; mov $0x1004,%rbx\n"
"mov $0x1005,%rbp; mov $0x1006,%rsi; mov $0x1007,%rdi; mov $0x1008,%r8\n"
"mov $0x1009,%r9; mov $0x100a,%r10; mov $0x100b,%r11; mov $0x100c,%r12\n"
"mov $0x100d,%r13; mov $0x100e,%r14; mov $0x100f,%r15\n"
"std; stc; mov %rsp,before+120(%rip)\n"
"pushf; pop before(%rip)\n"
"lea -128(%rsp),%rsp; call weld_arm; lea 128(%rsp),%rsp\n"
"pushf; pop after(%rip); cld\n"
"mov %rsp,after+120(%rip); mov %rcx,after+8(%rip); mov %rdx,after+16(%rip)\n"
"mov %rbx,after+24(%rip); mov %rbp,after+32(%rip); mov %rsi,after+40(%rip)\n"
"mov %rdi,after+48(%rip); mov %r8,after+56(%rip); mov %r9,after+64(%rip)\n"
"mov %r10,after+72(%rip); mov %r11,after+80(%rip); mov %r12,after+88(%rip)\n"
"mov %r13,after+96(%rip); mov %r14,after+104(%rip); mov %r15,after+112(%rip)\n"
"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");

static int regs(void)
{
	for (int i = 1; i < 15; i++)
		before[i] = 0x1001 + i;
	for (int twice = 0; twice < 2; twice++) { /* armed, and then not */
		probe_regs();
		for (int i = 0; i < 16; i++)
			if (before[i] != after[i])
				return printf("register %d: %lx\n", i, after[i]);
	}
	return 0;
}

static void storm(void)
{
	pthread_t th[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&th[i], NULL, many, (void *)1000);
	for (int i = 0; i < 8; i++)
		if (i & 1 ? !fork() : !vfork()) {
			many((void *)100);
			_exit(0);
		}
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	while (wait(NULL) > 0)
		;
	printf("%d %lu\n", *gate, *hits);
}

static void late(void)
{
	struct rlimit few = { 5, 5 }; /* the directory and the file of one thread */
	pthread_t th;

	setrlimit(RLIMIT_NOFILE, &few);
	pthread_create(&th, NULL, many, (void *)10);
	usleep(100000);
	many((void *)10);
	pthread_join(th, NULL);
	printf("gate %d, state %u\n", *gate, weld_settled);
}

static volatile uint64_t handled;
static void on_alarm(int n)
{
	(void)n;
	hit();
	handled++;
}

static void alarms(void)
{
	struct itimerval every = { { 0, 20 }, { 0, 20 } }, none = { 0 };
	uint64_t n = 0;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	for (; n < 100 || handled < 5; n++)
		hit();
	setitimer(ITIMER_REAL, &none, NULL);
	printf("%d %ld\n", *gate, (long)(*hits - n - handled));
}

int main(int argc, char **argv)
{
	pthread_t th[64];
	int n = argc > 3 ? atoi(argv[3]) : 0;

	if (!strcmp(argv[1], "regs"))
		return regs();
	if (!strcmp(argv[1], "init")) {
		weld_init(5, 0x1000, 0x1030);
		weld_init(1, 0, 16);
		weld_init(0, (uint64_t)argv, (uint64_t)-8);
		weld_init(1, (uint64_t)-8, 8);
		return inits != 4;
	}
	if (!strcmp(argv[1], "cost")) {
		uint64_t t = now();
		hit();
		printf("%lu\n", now() - t);
		return 0;
	}
	if (!strcmp(argv[1], "storm")) {
		storm();
		return 0;
	}
	if (!strcmp(argv[1], "late")) {
		late();
		return 0;
	}
	if (!strcmp(argv[1], "alarm")) {
		alarms();
		return 0;
	}
	if (!strcmp(argv[1], "fork")) {
		hit();
		if (!fork()) {
			many((void *)10);
			_exit(0);
		}
		wait(NULL);
		printf("%lu\n", *hits);
		return 0;
	}
	printf("before %d, ", *gate);
	for (int i = 0; i < n; i++)
		pthread_create(&th[i], NULL, many, (void *)atol(argv[2]));
	if (!n)
		many((void *)atol(argv[2]));
	for (int i = 0; i < n; i++)
		pthread_join(th[i], NULL);
	printf("gate %d, hits %lu, state %u, data %lx\n", *gate, *hits,
	       weld_settled, *(uint64_t *)(weld_region + 4096));
	return 0;
}
EOF

target() {
	local name=$1; shift
	$CC -O2 -pthread -I"$SOURCE" -DID=1 -o "$t/$name" $t/target.c "$STUB" \
		-Wl,--defsym=weld_orig_entry=_start \
		-Wl,--defsym=weld_fault_arm=fault_arm \
		-Wl,--defsym=weld_clock_use=clock_use \
		-Wl,--defsym=weld_libs_seen=libs_are_seen \
		-Wl,--defsym=weld_pins_map=pins_map \
		-Wl,--defsym=weld_room_for=room_for \
		-Wl,--defsym=weld_pins_tell=pins_tell -Wl,-z,noexecstack "$@"
}
