#!/usr/bin/env bash
# The main job, on a program of our own, in both engines: same output, exact
# count, the same file for the same input, and the original back.
. "$(dirname "$0")/../common.sh"
$CC -O2 -o $t/count $SOURCE/samples/count.c
want=$($t/count)

for engine in native vm; do
	rm -f $t/region
	$W weld $t/count $O/count.bpf.o -o $t/count.$engine --engine=$engine
	[ "$($t/count.$engine)" = "$want" ] || die "$engine: other output"
	$W map dump $t/count.$engine calls | has '"value": 1000' ||
		die "$engine: $($W map dump $t/count.$engine calls)"
	$t/count.$engine >/dev/null
	$W map lookup $t/count.$engine calls 0 | has 2000 ||
		die "$engine: the region does not outlive the process"
	$W info $t/count.$engine | has 'work' || die "$engine: info"
	$W unweld $t/count.$engine -o $t/back
	cmp $t/count $t/back
done

$W weld $t/count $O/count.bpf.o -o $t/again
cmp $t/count.native $t/again
exits 3 $W weld $t/count.native $O/count.bpf.o -o $t/twice
[ ! -e $t/twice ]
