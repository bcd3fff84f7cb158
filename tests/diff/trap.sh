#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sites that only a trap has room for (--allow-trap): their counts, and every
# register that a program sees there, under the kernel and welded.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/trap $SOURCE/tests/e2e/trap.c $SOURCE/tests/e2e/trap.S
places=(lone named calls calls+1 loops loops+2 leaves)
probes=()
for p in "${places[@]}"; do
	probes+=(-p "entry=uprobe:$p")
done
for p in lone lone_too named calls; do probes+=(-p "leave=uretprobe:$p"); done
$W check $t/trap $O/entries.bpf.o --allow-trap "${probes[@]}" | tail -1
judge --allow-trap $t/trap $O/entries.bpf.o "${probes[@]}" -- \
	$t/trap hits threads fork vfork altstack hits

probes=(-p identity=uprobe:lone) n=0
for p in "${places[@]}"; do
	probes+=(-p "regs=uprobe:$p,cookie=$n")
	n=$((n + 1))
done
# On one CPU, as programs say which.
cpu=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')
judge --allow-trap $t/trap $O/helpers.bpf.o "${probes[@]}" -- \
	taskset -c "$cpu" $t/trap hits
