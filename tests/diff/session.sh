#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sessions: what an entry leaves to its return, and whether there is one, as
# under the kernel; over recursion, tail calls, longjmp, threads and fork.
. "$(dirname "$0")/common-diff.sh"

cat > "$t/session.c" <<'X'
#include <pthread.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>
#define WORK __attribute__((noinline, noclone)) long
static jmp_buf back;
WORK work_leaf(long x) { __asm__ volatile("" : "+r"(x)); return x * 2 + 1; }
WORK work_tail(long x) { return x & 1 ? work_leaf(x + 1) : x; }
WORK work_recurses(long x)
{
	return x ? work_recurses(x - 1) + work_tail(x) : 0;
}
WORK work_raises(long x)
{
	if (x > 4)
		longjmp(back, 1);
	return work_leaf(x) + 1;
}
static void *all(void *unused)
{
	volatile long sum = 0;

	(void)unused;
	for (long i = 0; i < 40; i++)
		sum += work_leaf(i) + work_tail(i) + work_recurses(i % 20);
	return 0;
}
int main(void)
{
	volatile long i = 0;
	pthread_t t;

	all(0);
	if (setjmp(back))
		i++;
	for (; i < 9; i++)
		work_raises(i);
	pthread_create(&t, 0, all, 0);
	pthread_join(t, 0);
	if (!fork()) {
		all(0);
		_exit(0);
	}
	wait(0);
	return 0;
}
X
$CC -O2 -pthread -o "$t/session" "$t/session.c"
judge "$t/session" "$O/session.bpf.o" -- "$t/session"
export BPFWELD_REGION=$t/region
$W weld "$t/session" "$O/session.bpf.o" -o "$t/w" > /dev/null
"$t/w"
$W map dump "$t/w" seen > "$t/seen"
grep -q '"unclean": [1-9]' "$t/seen" && die "a cookie was not 0: $(cat "$t/seen")"
grep -q '"product": [1-9]' "$t/seen" || die "no return: $(cat "$t/seen")"

# More calls in a row than there are cells: those left over have no return.
cat > "$t/deep.c" <<'X'
__attribute__((noinline, noclone)) long work_rec(long n)
{
	return n ? work_rec(n - 1) + n : 0;
}
int main(void) { return work_rec(100000) == 0; }
X
$CC -O1 -o "$t/deep" "$t/deep.c"
$W weld "$t/deep" "$O/session.bpf.o" -o "$t/w" -p carry=uprobe:work_rec \
	-p other=uprobe:work_rec > /dev/null
rm -f "$BPFWELD_REGION"
"$t/w"
$W info "$t/w" | awk '
	/work_rec returns/ { hits += $(NF - 1); misses += $NF }
	/work_rec  / { entries += $(NF - 1) }
	END { exit !(entries == 200002 && hits > 4000 && misses > 100000) }' ||
	die "deep: $($W info "$t/w")"
