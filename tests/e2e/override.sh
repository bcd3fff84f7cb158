#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bpf_override_return: the value, the registers, other programs at the site,
# return probes, threads, callers; what is refused; and malloc that fails once.
. "$(dirname "$0")/../common.sh"
E=$SOURCE/tests/e2e
o=$O/override.bpf.o
cd "$t"
$CC -O2 -pthread -o override $E/override.c $E/override.S

of() { # GLOBAL: its value
	$W map dump w | sed -n "s/.*\"$1\": \(-\?[0-9]*\).*/\1/p" | head -1
}
runs() { # ARG...: the welded program's output
	rm -f region
	$W weld override $o -o w "$@" > log || die "$(cat log)"
	timeout 60 ./w
}
is() { [ "$(of $1)" = $2 ] || die "$engine: $1 is $(of $1), not $2"; }

cat > want <<'X'
0: 0x1 ran 1 changed 0
1: 0x123456789abcdef0 ran 1 changed 0
2: 0xfffffffffffffffe ran 1 changed 0
3: 0x8 ran 1 changed 0
4: 0x1234 ran 1 changed 0
never 0 0x123456789abcdef0
both 100 99
places 4660 4660 4660
threads 0
X
links=(-p last=uprobe:target -p fails=uprobe:target -p fails=uprobe:never
	-p both=uprobe:both
	-p squares=uprobe:busy -p tail=uprobe:tiny -p tail=uprobe:loop
	-p tail=uprobe:calls)
for engine in native vm; do
	runs --engine=$engine "${links[@]}" | diff want -
	is first 6; is second 5; is sessions 2; is session_value 99
	# Return probes see all returns, and what the callers get.
	runs --engine=$engine "${links[@]}" -p after=uretprobe:target |
		diff want -
	is first 6; is second 5; is returned 5; is gave 4660
	runs --engine=$engine --allow-trap "${links[@]}" | diff want -
done
# Nothing is overridden without a program that runs.
# (It dies in never().)
not env BPFWELD_REGION=off ./w > out 2> log
grep -qx '1: 0x2 ran 2 changed 0' out || die "off: $(cat out)"

# More sites than have trampolines of their own.
for n in {1..1100}; do
	echo "__attribute__((noinline)) int f$n(int n) { __asm__(\"\"); return n; }"
done > many.c
{ echo 'int main(void) { long sum = 0;'
for n in {1..1100}; do echo "sum += f$n($n);"; done
echo 'return sum != 1100l * 0x1234; }'; } >> many.c
$CC -O2 -fno-inline -o many many.c
for engine in native vm; do
	rm -f region
	$W weld many $o --engine=$engine -p 'tail=uprobe:f*' -o w > log 2>&1
	./w || die "$engine: many"
done

# Callers are found from every instruction, with a return probe and without.
cat > step.c <<'X'
#include <signal.h>
__attribute__((noipa)) long leaf(long n) { return n * 77 ^ n; }
__attribute__((noipa)) long work(long n)
{
	raise(SIGUSR1);
	n = leaf(n) + leaf(3);
	raise(SIGUSR1);
	return n;
}
int main(int argc, char **argv)
{
	signal(SIGUSR1, SIG_IGN);
	return work(argc) != 2 * 0x1234 || !argv;
}
X
$CC -O2 -o step step.c
main=$(nm -S step | awk '/ main$/ { print "0x" $1, "0x" $2 }')
if $CC -O2 -o stepper "$E/stepper.c" -ldw 2> log; then
	for more in "" "-p after=uretprobe:leaf"; do
		rm -f region
		# shellcheck disable=SC2086
		$W weld step $o -p tail=uprobe:leaf $more -o w > log
		read -r lo size <<< "$main"
		./stepper main $lo $((lo + size)) ./w > out 2>&1 ||
			die "callers: $(cat out)"
		./w || die "not overridden: $more"
	done
fi

# What is refused, and why.
refused() { # WHY ARG...
	local why=$1; shift
	exits 3 $W weld override $o -o w "$@" 2> said > log
	grep -q "program '[a-z_]*' (override.bpf.c:[0-9]*): .*$why" said ||
		die "not '$why': $(cat said)"
}
refused 'target has returned already' -p too_late=uretprobe:target
refused 'target+0x4 is not where' -p fails=uprobe:target+4
refused 'target+0x4 is not where' -p fails=uprobe:target \
	-p last=uprobe:target+4
if command -v go > log; then
	printf 'package main\nfunc main() { println(1) }\n' > main.go
	GOCACHE=$t/cache go build -o go.out main.go 2> log ||
		die "go: $(cat log)"
	exits 3 $W weld go.out $o -p fails=uprobe:main.main -o w 2> said > log
	grep -q "main.main is Go's" said || die "go: $(cat said)"
fi
exits 4 $W weld --strict override $o -p tail=uprobe:_start -o w 2> said > log
grep -q 'not entered by a call' said || die "_start: $(cat said)"

# malloc() that says no: to us, and to a program that can do with less.
cat > asks.c <<'X'
#include <stdlib.h>
int main(void)
{
	volatile void *a = malloc(1 << 20), *b = malloc(1 << 20);

	return !(a == NULL && b != NULL);
}
X
$CC -O2 -fno-builtin -static -o asks asks.c
$CC -O2 -fno-builtin -o asks.shared asks.c
$W weld asks $o -p no_memory=uprobe:malloc -o w > log
./w || die "malloc did not fail, or fails for good"
libc=$(ldd asks.shared | awk '/libc\.so\.6/ { print $3 }')
[ -n "$libc" ] || skip "no glibc"
mkdir lib
$W weld $libc $o -p no_memory=uprobe:malloc -o lib/libc.so.6 > log
seq 20000 | sort -R --random-source=$W > numbers
rm -f region
LD_LIBRARY_PATH=lib sort -n numbers | cmp - <(seq 20000) ||
	die "sort gave up, or is wrong"
failures=$($W map dump lib/libc.so.6 |
	sed -n 's/.*"failures": \([0-9]*\).*/\1/p')
[ "${failures:-0}" -ge 1 ] || die "sort has asked for nothing large"
