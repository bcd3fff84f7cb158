#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs have .rodata and .kconfig as they were proved with: whoever writes
# over all of it in the region, while they run, changes nothing but what readers
# of the map are shown.
. "$(dirname "$0")/../common.sh"
need python3
cd "$t"

cat > frozen.c <<'X'
#include <stdio.h>
__attribute__((noinline)) int work(int x) { __asm__ volatile("" : "+r"(x)); return x * 3 + 1; }
int main(void)
{
	int s = 0;
	for (int c; (c = getchar()) != EOF;) {
		if (c == '\n')
			continue;
		for (int i = 0; i < 20; i++)
			s ^= work(i);
		printf("%d\n", s);
		fflush(stdout);
	}
	return 0;
}
X
# over WITH: each byte of what is frozen, where --dump=region has it
cat > over.py <<'X'
import os, re, sys
size = 0
with open(os.environ["BPFWELD_REGION"], "r+b") as f:
    for m in re.finditer(r"map \S*\.(?:rodata\S*|kconfig) at (\S+), (\d+) bytes",
                         open("layout").read()):
        f.seek(int(m[1], 16))
        f.write(bytes([int(sys.argv[1], 16)]) * int(m[2]))
        size += int(m[2])
print(size)
X
# All that programs have made, but for times and processes.
results() {
	$W map dump "$1" frozen.bss
	$W trace --once "$1" | sed 's/.*\(more\)/\1/'
}
$CC -O2 -o frozen frozen.c

for engine in native vm; do
	$W weld frozen "$O/frozen.bpf.o" --engine=$engine -o welded > log
	$W weld frozen "$O/frozen.bpf.o" --engine=$engine -n -o none \
		--dump=region > layout
	grep -q '^map frozen.rodata at ' layout || die "$(cat layout)"
	rm -f "$BPFWELD_REGION"
	printf 'a\nb\nc\n' | ./welded > want.out
	results welded > want
	$W map dump welded frozen.rodata > want.rodata
	grep -q 'table": \[3,1,0,2\]' want.rodata || die "$(cat want.rodata)"
	grep -q '"hits": \[60,60,60,60\]' want || die "$(cat want)"
	grep -q 'two|a name of its own|1' want || die "$(cat want)"
	grep -q '"kernel": "a name of its own"' want || die "$(cat want)"
	# 60 times: "two", no error, two lengths with their NULs, -EFAULT
	looked=$((60 * (0x6f7774 + 0 + 18 + 5 - 14)))
	grep -q "\"looked\": $looked\$" want || die "$looked: $(cat want)"
	[ "$(grep -c 'more at [01]' want)" = 60 ] || die "$(cat want)"

	for with in ff 25 00; do
		rm -f "$BPFWELD_REGION"
		coproc ./welded
		pid=$COPROC_PID
		exec 5<&"${COPROC[0]}" 6>&"${COPROC[1]}"
		eval "exec ${COPROC[0]}<&- ${COPROC[1]}>&-"
		echo a >&6
		read -r line <&5; echo "$line" > got.out
		[ "$(python3 over.py $with)" -gt 100 ] || die "nothing written"
		echo b >&6
		read -r line <&5 || die "$engine, $with: ends: $(wait $pid; echo $?)"
		echo "$line" >> got.out
		python3 over.py $with > log
		echo c >&6
		exec 6>&-
		cat <&5 >> got.out
		wait $pid || die "$engine, $with: exit $?"
		cmp got.out want.out || die "$engine, $with: the target's output"
		results welded > got
		diff want got || die "$engine, $with: other results"
		# That it was written over is to be seen.
		$W map dump welded frozen.rodata > got.rodata
		if cmp -s got.rodata want.rodata; then
			die "$engine, $with: nobody wrote there"
		fi
	done
done
