#!/usr/bin/env bash
# Maps of maps as under the kernel, and what is said of them.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/calls $D/calls.c
judge $t/calls $O/inner.bpf.o -- $t/calls
bpf $D/inner.bpf.c -mcpu=v3
judge $t/calls $t/inner.bpf.o -- $t/calls

export BPFWELD_REGION=$t/region
$W weld $t/calls $O/inner.bpf.o -o $t/w > /dev/null
$t/w
$W map dump $t/w tables | tr -d ' \t\n' > $t/tables
grep -q '^\[{"key":0,"value":"small"},{"key":1,"value":"large"},{"key":4,"value":"tiny"}\]$' \
	$t/tables || die "tables: $(cat $t/tables)"
$W map list $t/w | has 'pattern  *array_of_maps  *4  *4  *2  *0$' ||
	die "list: $($W map list $t/w)"
# A pattern takes no room.
size=$(stat -c %s "$BPFWELD_REGION")
[ "$size" -lt 200000 ] || die "the region has $size bytes"

# What is put into a map of maps must be like what its definition says.
sed 's/values = { \[0\] = &even, /values = { [0] = (void *)\&small, /' \
	$D/inner.bpf.c > $t/unlike.bpf.c
bpf $t/unlike.bpf.c
exits 1 $W weld $t/calls $t/unlike.bpf.o -o $t/w 2> $t/said
grep -q "map 'arrays': values\[0\] is not as the definition says: 'small'" \
	$t/said || die "said: $(cat $t/said)"
