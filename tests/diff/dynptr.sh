#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Dynptrs to memory and records: results and contents, as the kernel's.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -o $t/maps $D/maps.c
judge $t/maps $O/dynptr.bpf.o -- $t/maps 256
grep -q ' bpf_dynptr_memset$' /proc/kallsyms || skip "no bpf_dynptr_memset()"
judge $t/maps $O/dynptr_kfuncs.bpf.o -- $t/maps 256
