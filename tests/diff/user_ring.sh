#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# User ring buffers: right and wrong samples are drained as the kernel drains
# them.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -I$SOURCE -o $t/user_ring $D/user_ring.c
judge $t/user_ring $O/user_ring.bpf.o -- $t/user_ring
