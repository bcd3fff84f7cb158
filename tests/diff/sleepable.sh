#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs that may sleep, in each kind of section: as under the kernel.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -o $t/sleepable $D/sleepable.c
judge $t/sleepable $O/sleepable.bpf.o -- $t/sleepable
$CC -O2 -o $t/forms $D/usdt.c $D/usdt.S
judge $t/forms $O/sleepable.bpf.o -p copies_for_usdt=usdt:forms:memory \
	-- $t/forms
