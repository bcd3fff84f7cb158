#!/usr/bin/env bash
# USDT: every operand that the kernel's libbpf can fetch, in both engines, as
# it does; programs that read the specs by themselves, in both layouts.
. "$(dirname "$0")/common-diff.sh"

probes=(regs consts floats memory sib symbols own nothing lone pair nop5
	nop10 tight behind)
each() { # PROGRAM...: -p for each of the probes, with a cookie of its own
	local i prog
	for i in "${!probes[@]}"; do
		for prog; do
			echo "-p $prog=usdt:forms:${probes[i]},cookie=$i"
		done
	done
}
for how in -pie -no-pie; do
	$CC -O2 $how -o $t/forms $D/usdt.c $D/usdt.S
	judge $t/forms $O/usdt.bpf.o $(each ask loop) \
		-p 'fifth=usdt:forms:regs' -- $t/forms
	# Here the kernel knows of SIB operands; the array has to grow.
	judge $t/forms $O/usdt_new.bpf.o $(each look) -- $t/forms
done
# Each probe's arguments are where the welded program and the kernel found
# them, not merely in the same wrong place: e2e/usdt.sh.
