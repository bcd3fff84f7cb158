#!/usr/bin/env bash
# Instructions that have to be re-encoded when they are moved do what they did,
# are hit as often as under the kernel, and those that the kernel cannot probe
# are left out of the comparison, said aloud.
. "$(dirname "$0")/common-diff.sh"
grep -qw avx /proc/cpuinfo || skip "the CPU has no AVX"

for options in -pie -no-pie "-static -no-pie"; do
	$CC -O2 $options -o $t/odd $D/odd.c $D/odd.S
	judge $t/odd $O/entries.bpf.o -p 'entry=uprobe:odd_*' -- $t/odd
	not grep 'left out' $t/verdict
	judge $t/odd $O/entries.bpf.o -p 'entry=uprobe:odd_flags' \
		-p 'entry=uprobe:odd_flags+0x5' -- $t/odd
done
judge $t/odd $O/entries.bpf.o -p 'entry=uprobe:never_*' \
	-p entry=uprobe:odd_call -- $t/odd
grep -qx 'bpfweld: 5 probes are left out: the kernel cannot probe.*' \
	$t/verdict || die "$(cat $t/verdict)"
# And we can.
BPFWELD_REGION=$t/region
export BPFWELD_REGION
$W weld $t/odd $O/entries.bpf.o -p 'entry=uprobe:never_*' -o $t/odd.weld
$t/odd > $t/want
$t/odd.weld > $t/got
cmp $t/want $t/got
$W info -j $t/odd.weld | grep -o '"hits":[0-9]*' | sort | uniq -c > $t/hits
grep -qx ' *5 "hits":6' $t/hits || die "$(cat $t/hits)"
