#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Dynptrs to memory and records: results and contents, as the kernel's.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -o $t/maps $D/maps.c
judge $t/maps $O/dynptr.bpf.o -- $t/maps 256
