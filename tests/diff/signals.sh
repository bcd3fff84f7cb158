#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Signals that programs send: results, receivers, siginfo, as the kernel's.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/signals $D/signals.c
judge $t/signals $O/signals.bpf.o -- $t/signals
