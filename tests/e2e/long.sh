#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that are right and would run for hours: their runs end, are counted,
# and the target goes on; short runs of them come to their end.  In both engines.
. "$(dirname "$0")/../common.sh"
B=$O/long.bpf.o
cd $t

cat > app.c <<'X'
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) long f(long n)
{
	__asm__ volatile("");
	return n * 3 + 1;
}
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%ld\n", f(atol(argv[i])));
	return 0;
}
X
$CC -O2 -o app app.c

# is FILE NAME N, failed FILE PROGRAM N
is() {
	local got
	got=$($W map dump $1 .bss | tr -d ' ,"' | tr : ' ' |
		awk -v k=$2 '$1 == k { print $2 }')
	[ "$got" = "$3" ] || die "$1: $2 is $got, not $3"
}
failed() {
	local got
	got=$($W info -j $1 | grep -oE '"(program|failed)":[^,}]*' |
		tr -d '"' | awk -F: -v k=$2 '/^program/ { p = $2 }
			/^failed/ && p == k { n += $2 }
			END { print n + 0 }')
	[ "$got" = "$3" ] || die "$1: $got runs of $2 failed, not $3"
}

many=8388608
./app 30 $many > want
for engine in native vm; do
	w=long.$engine
	export BPFWELD_REGION=$t/region.$engine
	$W weld app $B -o $w --engine=$engine > said
	./$w 30 > short
	for p in loops iters open; do
		is $w ${p}_in 1
		is $w ${p}_turns 900
		is $w ${p}_out 1
		failed $w $p 0
	done
	is $w empty_out 1
	is $w empty_turns 0
	failed $w empty 0

	# 2^46 turns, but for the limit
	timeout 300 ./$w 30 $many > got || die "$engine: $?"
	cmp got want || die "$engine: the target has changed"
	for p in loops iters open empty; do
		is $w ${p}_in 3
		is $w ${p}_out 2
		failed $w $p 1
	done
	is $w after 3
	failed $w after 0
done

# --- What is said.
$W check app $B > said
grep -A1 '^  loops: long.bpf.c:[0-9]*: *out.loops_turns++;$' said |
	has -E '    a run may come to [0-9]{16} instructions, fails after [0-9]{9} of these turns; 0.2 ns$' ||
	die "check: $(cat said)"
grep -q 'fails after 8388608 iterations in a run; 0.2 ns$' said ||
	die "check: $(cat said)"
grep -q '^  after' said && die "a guard in what has no loop"
$W check -j app $B | has '"kind":"turn","max":[0-9]*,"instructions":[0-9]*,' ||
	die "check -j: $($W check -j app $B)"
# A value is zeroed for each CPU that the map has values for.
cat > percpu.bpf.c <<'C'
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct large {
	char text[16384];
} value;
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct large);
} map SEC(".maps");
static long turn(__u32 i, void *unused)
{
	__u64 key = 0;

	bpf_map_update_elem(&map, &key, &value, 0);
	bpf_map_delete_elem(&map, &key);
	return 0;
}
SEC("uprobe") int renews(void *ctx)
{
	return bpf_loop(60000, turn, 0, 0);
}
char _license[] SEC("license") = "GPL";
C
bpf percpu.bpf.c
for cpus in 32 1024; do
	want=4
	[ $cpus != 32 ] || want=0
	exits $want $W weld app percpu.bpf.o -p renews=uprobe:f --strict \
		--cpus=$cpus -o strict > log 2>&1
done
has 'it would run with a guard' log || die "--cpus: $(cat log)"

exits 4 $W weld app $B -o strict --strict 2> log
grep -q "program '[a-z]*' could not be proved, it would run with a guard" log ||
	die "strict: $(cat log)"
exit 0
