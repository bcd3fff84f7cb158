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
	$W map dump w .bss | grep -q '"calls": 21' ||
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

gdb -ex 'python print(1 + 1)' | grep -qx 2 || skip "gdb has no python"
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
$W weld busy "$O/unwind.bpf.o" -o w -p flags=uprobe:tiny -p light=uprobe:calls \
	> log
for how in fp dwarf; do
	perf record -q -e cpu-clock -F 2000 --call-graph $how -o data \
		./w 20000000 > log 2>&1 || skip "perf record: $(tail -1 log)"
	# One line a sample: the function, its caller, ...
	perf script -i data -F ip,sym 2>/dev/null |
		awk 'NF { s = s " " $2; next } { print s; s = "" }' > samples
	grep -c '^ tiny\.weld ' samples > in
	[ "$(cat in)" -gt 20 ] || die "perf, $how: $(sort samples | uniq -c |
		sort -rn | head -5)"
	# By frame pointers, the caller of a function without a frame is lost.
	good=$(grep -cE '^ tiny\.weld( calls)? main ' samples) || true
	[ "$good" -ge $(($(cat in) * 95 / 100)) ] ||
		die "perf, $how: $(grep tiny.weld samples | sort | uniq -c)"
	echo "perf, $how: $(cat in) samples in the trampoline, $good right"
done
