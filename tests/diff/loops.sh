#!/usr/bin/env bash
# Programs that loop: bpf_loop and bpf_for, as under the kernel.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/calls $D/calls.c
judge $t/calls $O/loops.bpf.o -- $t/calls
bpf $D/loops.bpf.c -mcpu=v3
judge $t/calls $t/loops.bpf.o -- $t/calls
