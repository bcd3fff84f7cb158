#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tail calls that leave frames behind, as many as there may be: a thread with the
# least stack that there is lives; if need be, fewer are taken there.
. "$(dirname "$0")/../common.sh"
cat > $t/app.c <<'C'
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
__attribute__((noinline)) long hit(long n)
{
	__asm__ volatile("");
	return 3 * n;
}
static void *run(void *arg)
{
	return hit((long)arg) ? arg : NULL;
}
int main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (argc > 1)
		pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN);
	if (pthread_create(&thread, &attr, run, NULL))
		return 2;
	pthread_join(thread, NULL);
	puts("lives");
	return 0;
}
C
cat > $t/chain.bpf.c <<'C'
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
char _license[] SEC("license") = "GPL";
int again(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__array(values, int(struct pt_regs *));
} progs SEC(".maps") = { .values = { (void *)&again } };
long runs;
#define USE_STACK()                                                            \
	({                                                                     \
		long x = 0;                                                    \
		asm volatile("*(u8 *)(r10 - 208) = %0;"                        \
			     "%0 = *(u8 *)(r10 - 208)" : "+r"(x));             \
		runs += x;                                                     \
	})
static __attribute__((noinline)) int below(struct pt_regs *ctx)
{
	USE_STACK();
	bpf_tail_call(ctx, &progs, 0);
	return 0;
}
SEC("uprobe") int again(struct pt_regs *ctx)
{
	USE_STACK();
	__sync_fetch_and_add(&runs, 1);
	return below(ctx);
}
C
$CC -O1 -pthread -o $t/app $t/app.c
bpf $t/chain.bpf.c

# runs ARG...: how often the program has run
runs() {
	rm -f $t/region
	[ "$($t/w "$@")" = lives ] || die "$engine: it died with '$*'"
	$W map dump -j $t/w .bss | sed 's/.*"runs":\([0-9]*\).*/\1/'
}
for engine in native vm; do
	$W weld --engine=$engine $t/app $t/chain.bpf.o -p again=uprobe:hit \
		-o $t/w > /dev/null
	all=$(runs)
	few=$(runs small)
	[ "$all" = 34 ] || die "$engine: $all runs, not 34"
	[ "$few" -gt 1 ] && [ "$few" -le 34 ] || die "$engine: $few runs"
	echo "$engine: $all, $few"
done
