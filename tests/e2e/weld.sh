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

# A file at fixed addresses may use some behind it: that much of them is taken is
# said, with the range that the loader takes; not where they are few, or moved.
need python3
$CC -O2 -no-pie -fno-pie -o $t/fixed $SOURCE/samples/count.c
# noted FILE ENTRIES: the ranges in the notes of weld and check, each for people
# and as JSON, where the map is so large
noted() {
	local set=(-p count=uprobe:work --set calls.max_entries=$2) command
	for command in "weld -o $t/noted" check; do
		$W $command $1 $O/count.bpf.o "${set[@]}" 2>&1 >/dev/null
		$W $command $1 $O/count.bpf.o "${set[@]}" -j 2>/dev/null |
			python3 -c 'import json, sys
for note in json.load(sys.stdin)["notes"]: print("bpfweld: note:", note)'
	done
}
noted $t/fixed 4000000 > $t/notes
[ "$(wc -l < $t/notes)" = 4 ] && [ "$(uniq $t/notes | wc -l)" = 1 ] ||
	die "other notes: $(cat $t/notes)"
range=$(readelf -lW $t/noted | awk '$1 == "LOAD" { print $3, $6 }' | tail -n 2 |
	{ read -r rx _; read -r rw size; printf '0x%x-0x%x' $rx $((rw + size)); })
grep -q "note: $t/fixed: not position-independent, .* 30 MiB at $range: if it maps" \
	$t/notes || die "not at $range: $(cat $t/notes)"
for small in "fixed 1000000" "count 4000000"; do
	noted $t/$small > $t/notes
	[ ! -s $t/notes ] || die "$small: $(cat $t/notes)"
done
