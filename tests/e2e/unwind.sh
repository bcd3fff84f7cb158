#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Callers are found from every instruction of a welded program, trampolines and
# stub included, with the same registers as in the original: by libgcc inside
# the process (walk.c), by libdw outside (stepper.c).  And what depends on it:
# backtrace(), C++ exceptions with cleanups, thread cancellation.
. "$(dirname "$0")/../common.sh"
need objdump
here=$here/e2e
cd "$t"
alone() { setarch -R env -i "$@"; } # same addresses in every run
setarch -R true 2>/dev/null || skip "address randomisation cannot be disabled"

# --- every instruction, by libgcc ---------------------------------------------

# weld_walk ARG...: ./walk welded prints what ./walk printed
weld_walk() {
	rm -f region
	$W weld walk "$O/unwind.bpf.o" -o weld "$@" > log 2>&1 ||
		die "$flags: $(grep -v 'not placed' log)"
	$after weld
	alone BPFWELD_REGION="$t/region" ./weld > raw 2> new.steps ||
		die "$flags, ${*: -1}: $(cat new.steps; head -c 200 raw)"
	# A pad's CFA is one more than the frame's that returns to it (late.c).
	sed 's/\( sp [0-9a-f]*\)1 /\10 /g; s/\( sp [0-9a-f]*\)9 /\18 /g' raw |
		uniq > new
	diff -q want new >/dev/null ||
		die "$flags, ${*: -1}: other callers: $(diff want new | head -4)"
	$W map dump weld .bss | has '"calls": [1-9]' ||
		die "$flags, ${*: -1}: no probe was hit"
	steps=$((steps + $(cut -d' ' -f1 new.steps)))
	welds=$((welds + 1))
}

# sites ROUND: instructions of w_*, other ones each round, no two too close
sites() {
	objdump -d --no-show-raw-insn walk |
		awk -v r="$1" 'function hex(s, i, v) {
			for (i = 1; i <= length(s); i++)
				v = v * 16 + index("0123456789abcdef",
						   substr(s, i, 1)) - 1
			return v }
		/^[0-9a-f]+ <.*>:$/ { on = /<w_/; next }
		on && /^ +[0-9a-f]+:\t/ && !/nop|xchg +%ax|data16|cs / {
			sub(":", "", $1); v = hex($1)
			if (++n % 3 == r && v - last >= 20) {
				print "0x" $1; last = v } }'
}

# walk "COMPILER FLAGS" "PROGRAMS AT ENTRIES" "PROGRAMS AT INSTRUCTIONS" ARG...
walk() {
	local flags=$1 entries=$2 inside=$3 prog round args; shift 3
	steps=0 welds=0
	command -v "${flags%% *}" > log ||
		{ echo "skipped: no ${flags%% *}"; return; }
	# shellcheck disable=SC2086
	$flags -o walk "$here/walk.c" || die "$flags"
	alone BPFWELD_REGION="$t/region" ./walk > want 2> old.steps
	for prog in $entries; do
		weld_walk "$@" -p "$prog=uprobe:w_*"
		weld_walk "$@" -p "$prog=uretprobe:w_*"
	done
	for prog in $inside; do
		for round in 0 1 2; do
			mapfile -t args < <(sites $round |
				sed "s/.*/-p\n$prog=uprobe:&/")
			[ ${#args[@]} -gt 20 ] || die "$flags: no sites"
			weld_walk "$@" "${args[@]}"
		done
	done
	echo "$flags: $welds welds, $steps steps," \
		"$(cut -d' ' -f1 old.steps) in the original"
}

after=true
walk "gcc -O2" "light whole sub tail" "flags heavy"
after=strip walk "gcc -O2" "heavy" ""
walk "gcc -O2" "heavy tail" "" --engine=vm
walk "gcc -O2 -fno-omit-frame-pointer" "light" "flags"
walk "gcc -O2 -fcf-protection -no-pie -fno-pie" "heavy" "flags"
walk "gcc -Os" "flags" "flags"
walk "gcc -O2 -static" "light whole" "heavy"
after=strip walk "gcc -O2 -static" "sub" ""
walk "gcc -O0" "light" "flags"
walk "clang-14 -O2 -fno-omit-frame-pointer" "sub" "flags heavy"
walk "clang-14 -O2" "light" "flags"

# --- every instruction, by libdw ------------------------------------------------

cat > lib.c <<'E'
__attribute__((noinline)) long leaf(long a, long b)
{
	volatile long v[4] = { a, b, a * b };
	return v[2] + v[0];
}
long both(long a, long b) { return leaf(a, b) * leaf(b, a) + leaf(3, a); }
E
cat > prog.c <<'E'
#include <signal.h>
#include <stdlib.h>
long both(long a, long b);
__attribute__((noinline)) long work(long a)
{
	raise(SIGUSR1);
	a = both(a, 7) + both(1, a);
	raise(SIGUSR1);
	return a;
}
int main(int argc, char **argv)
{
	signal(SIGUSR1, SIG_IGN);
	return work(argc) == 123 && argv;
}
E
$CC -O2 -o stepper "$here/stepper.c" -ldw || skip "no libdw to build with"
# No DT_INIT that could arm: the first hit does it all, under our eyes.
$CC -O2 -shared -fPIC -nostartfiles -Wl,-z,now -Wl,-soname,liblib.so -o liblib.so lib.c
$CC -O2 -Wl,-z,now -o prog prog.c -L. -llib
$CC -O2 -o whole prog.c lib.c
# main FILE: where its main() is
main() {
	local a
	read -ra a < <(nm -S "$1" | grep ' main$')
	echo "0x${a[0]} $((0x${a[0]} + 0x${a[1]}))"
}

mkdir -p lib
for prog in heavy sub whole; do
	rm -f region
	$W weld liblib.so "$O/unwind.bpf.o" -o lib/liblib.so \
		-p $prog=uprobe:leaf -p $prog=uprobe:both \
		-p $prog=uretprobe:leaf -p $prog=uretprobe:both > log
	# shellcheck disable=SC2046
	LD_LIBRARY_PATH=lib ./stepper main $(main prog) ./prog > out 2>&1 ||
		die "library, $prog: $(cat out)"
	[ -s region ] || die "the first hit did not arm"
	echo "library, $prog: $(cat out)"
done
# The second run is all on the cold path.
$W weld whole "$O/unwind.bpf.o" -o w -p heavy=uprobe:leaf -p sub=uprobe:both \
	> log
for region in $t/region off; do
	# shellcheck disable=SC2046
	BPFWELD_REGION=$region ./stepper main $(main whole) ./w > out 2>&1 ||
		die "$region: $(cat out)"
	echo "program, ${region##*/}: $(cat out)"
done
# Return addresses that are pads, one of them a pad's.
cat > tail.c <<'E'
#define F __attribute__((noinline))
F long leaf(long a, long b) { return a * b + (a ^ 3); }
F long tail(long a, long b) { return leaf(b, a + 1); }
long both(long a, long b) { return a & 1 ? tail(a * 2, b) : leaf(a, b) + 1; }
E
$CC -O2 -o tails prog.c tail.c
$W weld tails "$O/unwind.bpf.o" -o w -p heavy=uretprobe:both \
	-p light=uretprobe:tail -p whole=uretprobe:leaf > log
rm -f region
# shellcheck disable=SC2046
./stepper main $(main tails) ./w > out 2>&1 || die "pads: $(cat out)"
echo "pads: $(cat out)"
# Without .eh_frame_hdr, there is a .debug_frame at least.
$CC -O2 -static -o static prog.c lib.c
$W weld static "$O/unwind.bpf.o" -o w -p heavy=uprobe:leaf > log
# shellcheck disable=SC2046
./stepper main $(main static) ./w > out 2>&1 || die "static: $(cat out)"
echo "static: $(cat out)"
# From the kernel's first instruction to the original entry.
$CC -O2 -static-pie -o first prog.c lib.c
$W weld first "$O/unwind.bpf.o" -o w -p heavy=uprobe:leaf > log
entry=$(readelf -h first | sed -n 's/.*Entry point address: *//p')
rm -f region
./stepper start "$entry" 0 ./w > out 2>&1 || die "entry: $(cat out)"
[ "$(cut -d' ' -f1 out)" -gt 100 ] || die "entry: nothing was stepped through"
echo "entry: $(cat out)"

# --- what is unwound in earnest -------------------------------------------------

cat > throw.cc <<'E'
#include <cstdio>
#include <cstdlib>
#include <execinfo.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#define F extern "C" __attribute__((noinline, used))
extern char __executable_start, etext;
static int cleaned, caught;
struct guard { int n; guard(int i) : n(i) {} ~guard() { cleaned += n; } };

F long f_1(long n)
{
	guard g(1);
	if (n % 3 == 0)
		throw std::runtime_error(std::string(40, 'x'));
	if (n % 3 == 1)
		throw n;
	return n;
}
F long f_2(long n) { guard g(10); return f_1(n) + 1; }
F long f_3(long n)
{
	guard a(100), b(n & 1);
	try {
		return f_2(n) * 2;
	} catch (long) {
		cleaned += 1000;
		throw;
	}
}
F long f_4(long n, long (*f)(long)) { guard g(10000); return f(n) ^ 5; }
F int f_order(const void *a, const void *b)
{
	guard g(7);
	if (*(int *)a == 3)
		f_1(3);
	return *(int *)a - *(int *)b;
}
F long f_5(long n)
{
	long s = 0;
	int v[] = { 2, 1, 3, 0 };
	try {
		s = f_4(n, f_3);
	} catch (std::exception &e) {
		caught++;
	} catch (long x) {
		caught += (int)x;
	}
	try {
		qsort(v, 4, sizeof(*v), f_order); // through a C library
	} catch (std::exception &) {
		caught += 1000;
	}
	return s;
}

// The same frames, whoever asks.
static int traced;
F void f_trace()
{
	void *at[32];
	int n = backtrace(at, 32);
	for (int i = 0; i < n && !traced; i++)
		if ((char *)at[i] > &__executable_start && (char *)at[i] < &etext)
			printf("%tx ", (char *)at[i] - &__executable_start);
	traced++;
	puts("");
}
F long f_callee(long n) { guard g(0); f_trace(); return n; }
F long f_calls(long n)
{
	traced = 0;
	n = f_callee(n) + 1;
	traced = 0;
	return f_callee(n) + n;
}

F void *f_exit(void *p) { guard g(3); pthread_exit(p); }
F void *f_cancelled(void *)
{
	guard g(5);
	for (volatile long i = 0;; i++)
		if (i % 1000 == 0)
			pthread_testcancel();
}
// At any instruction of f_spin, most of which are a trampoline's.
static volatile bool spinning;
F long f_leaf(long i) { volatile long v = i; return v * 3; }
F void f_spin()
{
	for (volatile long i = 0;; i = f_leaf(i) + f_leaf(1)) {
		spinning = true;
		i = i / 3 ^ i;
	}
}
static void (*volatile spin)() = f_spin; // as far as gcc knows, it may throw
F void *f_anywhere(void *)
{
	guard g(9);
	int old;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	spin();
	return nullptr;
}
static void join(void *(*f)(void *), bool cancel)
{
	pthread_t t;
	spinning = f != f_anywhere;
	pthread_create(&t, nullptr, f, nullptr);
	while (!spinning)
		sched_yield();
	if (cancel)
		pthread_cancel(t);
	pthread_join(t, nullptr);
}

int main(int argc, char **)
{
	long s = 0;
	for (long i = 0; i < 60; i++)
		s += f_5(i);
	s += f_calls(argc);
	join(f_exit, false);
	join(f_cancelled, true);
#ifndef NO_TABLE // else libgcc finds no trampolines, docs/limits.md
	for (int i = 0; i < 50; i++)
		join(f_anywhere, true);
#endif
	printf("%ld, %d cleaned, %d caught\n", s, cleaned, caught);
}
E

# every FILE NAME-PATTERN: its functions' instructions but for the first ones
every() {
	objdump -d --no-show-raw-insn "$1" |
		awk -v p="$2" 'function hex(s, i, v) {
			for (i = 1; i <= length(s); i++)
				v = v * 16 + index("0123456789abcdef",
						   substr(s, i, 1)) - 1
			return v }
		/^[0-9a-f]+ <.*>:$/ { on = $2 ~ p; last = hex($1); next }
		on && /^ +[0-9a-f]+:\t/ && !/nop|xchg +%ax|data16|cs / {
			sub(":", "", $1); v = hex($1)
			if (v - last >= 20) { print "0x" $1; last = v } }'
}
for flags in -O0 -O1 -O2 "-O2 -fno-omit-frame-pointer" "-O2 -static-pie" \
	"-O2 -static -DNO_TABLE" "-O2 -fcf-protection=full -no-pie"; do
	# shellcheck disable=SC2086
	g++ -g0 $flags -pthread -o throw throw.cc
	./throw > want
	mapfile -t inside < <(every throw '<f_' | sed "s/.*/-p\nheavy=uprobe:&/")
	for args in "-p heavy=uprobe:f_*" "-p light=uprobe:f_* ${inside[*]}" \
		"-p light=uretprobe:f_* -p heavy=uprobe:f_*"; do
		rm -f region
		# shellcheck disable=SC2086
		$W weld throw "$O/unwind.bpf.o" -o w $args > log 2>&1 ||
			die "$flags: $(grep -v 'not placed' log)"
		./w > new || die "throw, $flags: exit $?: $(diff want new)"
		diff want new || die "throw, $flags"
	done
	echo "throw, $flags: $(tail -1 log)"
done

# The same through a C++ library and an unwinder that are welded everywhere.
mkdir -p libs
for lib in libstdc++.so.6 libgcc_s.so.1; do
	file=$($CC -print-file-name=$lib)
	$W weld "$file" "$O/unwind.bpf.o" -o libs/$lib -p 'heavy=uprobe:*' \
		> log 2>&1 || die "$lib: $(cat log)"
	tail -1 log
	rm -f region
	LD_LIBRARY_PATH=libs ./w > new || die "$lib: exit $?"
	diff want new || die "$lib"
done
# Each file takes the one region for itself if it is the first to start.
rm -f region
LD_LIBRARY_PATH=libs ./throw > new
diff want new || die "welded libraries"
n=$($W map dump libs/libgcc_s.so.1 .bss | sed -n 's/.*"calls": //p')
[ "$n" -gt 10000 ] || die "libgcc_s: $n calls"
echo "libgcc_s: $n calls"
