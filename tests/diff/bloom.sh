#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Bloom filters: the kernel's answers, the wrong ones too.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -o $t/maps $D/maps.c
judge $t/maps $O/bloom.bpf.o -- $t/maps 500
