#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every type of map: results of its operations and its elements, as the kernel's.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -o $t/maps $D/maps.c
judge $t/maps $O/maps.bpf.o -- $t/maps 200
