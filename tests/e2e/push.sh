#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# map push writes samples that a program drains when it runs next.
. "$(dirname "$0")/../common.sh"
cat > $t/user_ring.c <<'END'
#define SITE __attribute__((noinline, noclone)) long
SITE step(long i, long stop_after, long calls)
{
	__asm__ volatile("" : "+r"(i), "+r"(stop_after), "+r"(calls));
	return i;
}
SITE step_large(long i)
{
	__asm__ volatile("" : "+r"(i));
	return i;
}
int main(int argc, char **argv)
{
	return argc > 1 ? step(argc - 1, 0, 0) < 0 : step_large(0);
}
END
$CC -O2 -o $t/user_ring $t/user_ring.c
w=$t/welded
$W weld $t/user_ring $O/user_ring.bpf.o -o $w
exits 1 $W map push $w ring hex 01 2> $t/err
grep -q 'has not run yet' $t/err || die "$(cat $t/err)"
$w

$W map push $w ring hex 10 11 12 13 14
printf 'from standard input' | $W map push $w ring
$W map list $w | has -E '^ *ring .* 2$' || die "two samples are not counted"
$w 1
$W map list $w | has -E '^ *ring .* 0$' || die "samples are left"
$W map lookup $w drains 1 > $t/one
grep -q '"drained": 2,' $t/one || die "$(cat $t/one)"

exits 2 $W map push $w ring hex 2> $t/err
exits 2 $W map push $w ring 5 2>> $t/err
[ "$(grep -c "give .hex. and the sample" $t/err)" = 2 ] || die "$(cat $t/err)"
head -c 4088 /dev/zero | $W map push $w ring
exits 1 $W map push $w ring hex 01 2> $t/err
grep -q 'no room just now' $t/err || die "$(cat $t/err)"
$w 1 2
head -c 4089 /dev/zero | exits 1 $W map push $w ring 2> $t/err
grep -q 'more than fit' $t/err || die "$(cat $t/err)"
exits 1 $W map push $w drains hex 01 2> $t/err
grep -q 'no user ring buffer' $t/err || die "$(cat $t/err)"
