#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# gdb and perf on welded programs: breakpoints on functions and on every line
# stop where they do in the original, no breakpoint leads the program astray,
# backtraces are right at every instruction of a hit, trampolines have names.
. "$(dirname "$0")/../common.sh"
need gdb
cd "$t"

cat > p.c <<'E'
#include <stdio.h>
#define F __attribute__((noinline))
F int inner(int a, int b)
{
	int r = a * b;
	if (r > 100)
		r -= b;
	return r + a;
}
F int work(int x)
{
	int y = x + 3;
	y += inner(x, y);
	return y * 2;
}
F int none(void)
{
	static int n;
	return ++n;
}
F int sum(int *v, int n)
{
	int s = 0;
	for (int i = 0; i < n; i++)
		s += v[i] + work(i);
	return s;
}
int main(int argc, char **argv)
{
	int v[10] = { argc, 2, 3 };
	int s = sum(v, 10);
	for (int i = 0; i < 10; i++)
		s += none();
	printf("%d\n", s);
	return argv == 0;
}
E
gdb() { command gdb -nx -batch -ex 'set disable-randomization off' \
	-ex 'set debuginfod enabled off' "$@" 2>&1; }

# stops FILE: the callers' names at each stop, and how it ended
stops() {
	gdb -ex 'break work' -ex 'break none' -ex 'break inner' -ex run \
		-ex bt -ex c -ex bt -ex 'delete 3' -ex c -ex bt -ex delete \
		-ex c "./$1" |
		sed -n 's/^\(#[0-9]*\) .*\(\<[a-z]*\) (.*/\1 \2/p; /^[0-9]*$/p
			s/.*exited normally.*/exited/p'
}

# every_line FILE: stopped at each line once, what does it print?
every_line() {
	local n args=()
	for n in $(seq "$(wc -l < p.c)"); do args+=(-ex "tbreak p.c:$n"); done
	args+=(-ex run)
	for n in $(seq "$(wc -l < p.c)"); do args+=(-ex c); done
	gdb "${args[@]}" "./$1" | sed 's/(process [0-9]*)//' |
		grep -E '^[0-9]+$|exited|SIG'
}

# look "COMPILER FLAGS" PROGRAM: probes at all functions but main and none
look() {
	local flags=$1 prog=$2
	command -v "${flags%% *}" > log ||
		{ echo "skipped: no ${flags%% *}"; return; }
	$flags -o p p.c
	rm -f region
	$W weld p "$O/unwind.bpf.o" -o w -p "$prog=uprobe:work" \
		-p "$prog=uprobe:inner" -p "$prog=uprobe:sum" > log
	stops p > want; stops w > got
	[ "$(grep -c '^#' want)" -ge 9 ] || die "$flags: $(cat want)"
	diff want got || die "$flags, $prog: other stops"
	[[ $flags != *-g* ]] || [ "$(every_line w)" = "$(every_line p)" ] ||
		die "$flags, $prog: lines: $(every_line w)"
	rm -f region
	gdb -ex 'break work' -ex 'ignore 1 1000' -ex run ./w > log
	$W map dump w .bss | has '"calls": 21' ||
		die "$flags: counts are wrong under gdb"
	echo "ok $flags"
}
look "gcc -g -O0" light
look "gcc -g -O2" heavy
look "gcc -O2" heavy
look "gcc -g -O1 -static" light
look "gcc -g -O2 -fcf-protection" light
look "clang-14 -g -O0" light
look "clang-14 -g -O2" heavy
look "clang-14 -O0" light

# --- at every instruction of a hit ----------------------------------------------

gdb -ex 'python print(1 + 1)' | has -x 2 || skip "gdb has no python"
cat > step.py <<'E'
import gdb
gdb.execute("break work")
gdb.execute("run")
sp, names, steps = None, {}, 0
while True:
    frames, f = [], gdb.newest_frame()
    names[f.name()] = gdb.execute("info symbol $pc", to_string=True)
    while f is not None:
        frames.append(f.name())
        f = f.older()
    if frames[-1] != "main" or frames[-2] != "sum":
        print("LOST at", gdb.execute("x/i $pc", to_string=True), frames)
        break
    if "inner" in frames or steps > 20000:
        break
    gdb.execute("stepi", to_string=True)
    steps += 1
# gdb 13 prints x.cold, and so x.weld, as x[cold].
names = {str(n).replace("[", ".").rstrip("]"): s for n, s in names.items()}
print(steps, "steps", "work.weld" in names,
      "in section .bpfweld.text" in names.get("work.weld", ""))
E
for flags in "-O2" "-O0" "-O2 -static"; do
	# shellcheck disable=SC2086
	$CC $flags -o p p.c
	$W weld p "$O/unwind.bpf.o" -o w -p heavy=uprobe:work > log
	rm -f region
	gdb -x step.py ./w > log
	grep -q ' steps True True$' log || die "stepi, $flags: $(tail -3 log)"
	echo "stepi, $flags: $(tail -1 log)"
done

# A breakpoint in C++ is one: the trampoline's name is no other form of the function's.
cat > p.cc <<'E'
__attribute__((noinline)) int work(int x) { asm volatile("nop; nop; nop"); return x + 1; }
int main(int n, char **) { return work(n) == 99; }
E
g++ -g -O2 -o p p.cc
$W weld p "$O/unwind.bpf.o" -o w -p heavy=uprobe:_Z4worki > log
nm w | has '_Z4worki-weld$' || die "the trampoline's name: $(nm w | grep _Z4worki)"
gdb -batch -ex 'break work' ./w 2> log | has '^Breakpoint 1 at 0x[0-9a-f]*: file p.cc' ||
	die "a breakpoint in C++: $(gdb -batch -ex 'break work' ./w 2>&1)"

# And of a return: the exchange, the pad, what that leads to.
cat > back.c <<'E'
#define F __attribute__((noinline))
F long last(long a, long b) { return a * b + (a ^ 3); }
F long tail(long a) { return last(a, a + 1); }
F long work(long x) { return x & 1 ? tail(x * 2) : x + last(x, 1); }
F long sum(long n)
{
	long s = 0;
	for (long i = 0; i < n; i++)
		s += work(i);
	return s;
}
int main(int argc, char **argv) { return sum(argc + 3) == 0 && argv; }
E
cat > back.py <<'E'
import gdb
gdb.execute("break sum")
gdb.execute("run")
names, steps, lost = set(), 0, []
while gdb.newest_frame().name() != "main" and steps < 20000:
    f, frames = gdb.newest_frame(), []
    names.add(str(f.name()).replace("[", ".").replace("]", ""))
    while f is not None and len(frames) < 20:
        frames.append(f.name())
        f = f.older()
    if "sum" not in frames or frames[-1] != "main":
        lost.append(gdb.execute("x/i $pc", to_string=True))
    gdb.execute("stepi", to_string=True)
    steps += 1
print(steps, "steps", len(lost), "lost", lost[:5],
      any("work.weld.return" in n for n in names) and
      "bpfweld.pads" in names)
E
for flags in "-O2" "-O2 -static" "-O2 -static-pie"; do
	# shellcheck disable=SC2086
	$CC $flags -o p back.c
	$W weld p "$O/unwind.bpf.o" -o w -p light=uretprobe:work \
		-p heavy=uretprobe:tail -p whole=uretprobe:last > log
	rm -f region
	gdb -x back.py ./w > log
	grep -q ' steps 0 lost \[\] True$' log ||
		die "returns, $flags: $(tail -3 log)"
	echo "returns, $flags: $(tail -1 log)"
done

# A fault of a displaced instruction is where the function is.
cat > fault.c <<'E'
__attribute__((noinline)) int deref(long *p) { return (int)*p + 1; }
int main(int argc, char **argv) { return deref(argc > 5 ? (long *)argv : 0); }
E
$CC -O1 -fno-inline -o fault fault.c
$W weld fault "$O/unwind.bpf.o" -o w -p light=uprobe:deref > log
gdb -ex run -ex bt ./w > log
grep -q '^#0 .* in deref.weld\]\? ()' log && grep -q '^#1 .* in main ()' log ||
	die "fault: $(cat log)"

# --- perf -----------------------------------------------------------------------

need perf
cat > busy.c <<'E'
#include <stdlib.h>
__attribute__((noinline)) long tiny(long x) { return x * 3 + 1; }
__attribute__((noinline)) long calls(long n)
{
	long s = 0;
	while (n--)
		s += tiny(n ^ s);
	return s;
}
int main(int argc, char **argv) { return calls(atol(argv[argc - 1])) == 0; }
E
$CC -O2 -fno-omit-frame-pointer -o busy busy.c
# perf keeps a copy of each file it has seen, finds it by build-id, and takes
# names and frame descriptions from there: a weld has its original's build-id.
# So each layout is seen alone, by a cache of its own.
perf() { command perf --buildid-dir "$t/cache" "$@"; }

# sampled HOW: the call chains of ./w, one line a sample: function, caller, ...
sampled() {
	perf record -q -e cpu-clock -F 2000 --call-graph "$1" -o data \
		./w 20000000 > log 2>&1 || skip "perf record: $(tail -1 log)"
	perf script -i data -F ip,sym 2>/dev/null |
		awk 'NF { s = s " " $2; next } { print s; s = "" }' > samples
}

# right WHAT PATTERN: of the samples in trampolines, 19 of 20 are like PATTERN
right() {
	local n good
	n=$(grep -c '^ [a-z]*\.weld ' samples) || true
	[ "$n" -gt 20 ] || die "perf, $1: $(sort samples | uniq -c |
		sort -rn | head -5)"
	good=$(grep -cE "^ ($2)" samples) || true
	[ "$good" -ge $((n * 95 / 100)) ] ||
		die "perf, $1: $(grep '\.weld' samples | sort | uniq -c)"
	echo "perf, $1: $n samples in trampolines, $good right"
}

by_fp='tiny\.weld( calls)? main |calls\.weld main '
by_dwarf='tiny\.weld calls main |calls\.weld main '
# layout ARG...: by frame pointers, the caller of a function without a frame is
# lost
layout() {
	local how
	$W weld busy "$O/unwind.bpf.o" -o w "$@" > log
	for how in fp dwarf; do
		rm -rf cache region
		sampled $how
		if [ $how = fp ]; then
			right "fp, ${*: -1}" "$by_fp"
		else
			right "dwarf, ${*: -1}" "$by_dwarf"
		fi
	done
}
layout -p flags=uprobe:tiny -p light=uprobe:calls
layout -p flags=uprobe:tiny -p light=uprobe:calls -p light=uprobe:_start
layout -p heavy=uprobe:main -p whole=uprobe:calls -p light=uprobe:tiny
layout -p light=uprobe:tiny -p light=uretprobe:tiny -p heavy=uretprobe:main

# What limits.md says of that cache: the original's copy hides the weld until it
# is replaced.
rm -rf cache
perf record -q -e cpu-clock -o data ./busy 20000 > log 2>&1
perf buildid-cache -u ./w > log
sampled dwarf
right "after the original" "$by_dwarf"
