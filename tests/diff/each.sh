#!/usr/bin/env bash
# Programs that walk over maps: bpf_for_each_map_elem, as under the kernel.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/calls $D/calls.c
# On one CPU, so that both threads write to the values of the same one.
cpu=$(taskset -cp $$ | grep -o '[0-9]*$')
judge $t/calls $O/each.bpf.o -- taskset -c "$cpu" $t/calls
bpf $D/each.bpf.c -mcpu=v3
judge $t/calls $t/each.bpf.o -- taskset -c "$cpu" $t/calls
