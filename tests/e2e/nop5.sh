#!/usr/bin/env bash
# weld --usdt-nop5: the program runs as before and has no region; the kernel's
# own probes, attached by libbpf, find the sites where the notes say, see the
# same arguments, and are faster from Linux 6.18 on.
. "$(dirname "$0")/../common.sh"
H=$(dirname "$0")
[ -e /usr/include/x86_64-linux-gnu/sys/sdt.h ] ||
	skip "systemtap-sdt-dev is not installed"
cat > $t/spin.c <<'X'
#include <stdio.h>
#include <stdlib.h>
#include <sys/sdt.h>
#include <time.h>
static volatile int sink;
__attribute__((noinline, noipa)) int work(int n) { return n * 2; }
__attribute__((noinline)) static int spin(long n)
{
	volatile long local = 7; /* an argument by way of %rsp or %rbp */
	for (long i = 0; i < n; i++) {
		int twice = work(i);
		STAP_PROBE3(spin, turn, i, twice, local);
		sink += twice;
	}
	STAP_PROBE(spin, end);
	return sink;
}
__attribute__((noinline, noipa)) int leaf(int n)
{
	STAP_PROBE1(spin, leaf, n);
	return n + 1;
}
/* Of this process only: others may run meanwhile. */
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}
int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 10;
	double from;
	spin(100);
	from = now();
	spin(n);
	fprintf(stderr, "%.1f\n", (now() - from) / n);
	return leaf(-1);
}
X
$CC -O2 -o $t/spin $t/spin.c

$W weld --usdt-nop5 $t/spin -o $t/spin5 > $t/said
grep -F '2 USDT sites with a nop of five bytes, 1 in functions that may use' \
	$t/said >/dev/null || die "$(cat $t/said)"
$t/spin5 2>/dev/null || die "does not run"
[ ! -e $t/region ] || die "has a region"
$W unweld $t/spin5 -o $t/back
cmp $t/spin $t/back
# It can be looked at, but nothing be added to it.
why='already welded, by --usdt-nop5, .* weld the original, or unweld this first'
exits 3 $W weld --usdt-nop5 $t/spin5 -o $t/twice 2>&1 | has "$why"
exits 3 $W check $t/spin5 $O/usdt_count.bpf.o 2>&1 | has "$why"
exits 3 $W check $t/spin5 --explain leaf 2>&1 | has "$why"
$W info $t/spin5 | has 'region   none, no program'
$W list --usdt $t/spin5 > $t/listed
readelf -n $t/spin5 | sed -n 's/^ *Location: 0x0*\([0-9a-f]*\),.*/\1/p' |
	while read -r at; do
		grep -q "^0x0*$at  *- usdt   spin:" $t/listed || die "$at"
	done
[ "$(wc -l < $t/listed)" = 3 ] || die "$(cat $t/listed)"
$W list $t/spin5 work | has ' both  *work$'
exits 2 $W weld --usdt-nop5 $t/spin $O/usdt_count.bpf.o -o $t/no 2>/dev/null
exits 1 $W weld --usdt-nop5 /bin/true -o $t/no 2>/dev/null

# Where the notes say, there is the five-byte nop, or what was not changed.
readelf -n $t/spin5 | awk '/Name:/ { n = $2 } /Location/ { print n, $2 }' |
	tr -d , > $t/notes
while read -r name at; do
	bytes=$(objdump -d --start-address=$at --stop-address=$((at + 5)) \
		$t/spin5 | grep -m1 -P '^ *[0-9a-f]+:\t' | cut -f2 | tr -d ' ')
	case $name in
	leaf) [ "${bytes:0:2}" = 90 ] || die "leaf was changed: $bytes" ;;
	*) [ "$bytes" = 0f1f440000 ] || die "$name: $bytes at $at" ;;
	esac
done < $t/notes
[ "$(wc -l < $t/notes)" = 3 ] || die "notes: $(cat $t/notes)"

# Nops that are there already are used where they are: the note stays.
cat > $t/pad.S <<'X'
	.text
	.globl main
	.type main, @function
main:	.cfi_startproc
	sub $8, %rsp
	.cfi_adjust_cfa_offset 8
	call side
1:	nop; nop; nop; xchg %ax, %ax
	xor %eax, %eax
	add $8, %rsp
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size main, .-main
	.type side, @function
side:	ret
	.size side, .-side
	.section .note.stapsdt, "", "note"
	.4byte 8, 3f-2f, 3
	.asciz "stapsdt"
2:	.8byte 1b, 0, 0
	.asciz "p"
	.asciz "pad"
	.asciz "8@%rsp"
3:	.balign 4
	.section .note.GNU-stack, "", "progbits"
X
$CC -o $t/pad $t/pad.S
$W weld --usdt-nop5 $t/pad -o $t/pad5 >/dev/null
$t/pad5
at=$($W list --usdt $t/pad | cut -d' ' -f1)
readelf -n $t/pad5 | grep -F "$(printf 'Location: 0x%016x' $at)" >/dev/null ||
	die "the note has moved"
objdump -d --start-address=$at --stop-address=$((at + 5)) $t/pad5 |
	grep -F '0f 1f 44 00 00' >/dev/null || die "no nop in place"

$CC -O2 -o $t/attach $H/usdt_attach.c -lbpf
turns=5000
counted() { # FILE: the probe's view; $ns: the best of eight
	local status=0 i
	ns=
	for i in 1 2 3 4 5 6 7 8; do
		$t/attach $O/usdt_count.bpf.o $1 spin turn $1 $turns \
			> $t/counted 2> $t/ns || status=$?
		[ $status != 77 ] || skip "kernel uprobes cannot be used here"
		[ $status = 0 ] || die "$(cat $t/ns)"
		ns=$(printf '%s\n' $ns $(cat $t/ns) | sort -n | head -1)
	done
}
want="hits $((turns + 100)) sum $((3 * (turns * (turns - 1) + 9900) / 2)) depth $((7 * (turns + 100)))"
counted $t/spin
grep -xF "$want" $t/counted >/dev/null || die "$(cat $t/counted), not $want"
before=$ns
counted $t/spin5
grep -xF "$want" $t/counted >/dev/null || die "$(cat $t/counted), not $want"
echo "a kernel probe: $before ns on a nop, $ns ns on a nop5"
IFS=. read -r major minor rest <<< "$(uname -r)"
if [ $((major * 100 + ${minor%%[!0-9]*})) -ge 618 ]; then
	awk -v a=$before -v b=$ns 'BEGIN { exit !(b < a) }' ||
		die "not faster"
fi
